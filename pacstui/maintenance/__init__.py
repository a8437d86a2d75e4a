"""Out of service in order: draining, planned windows, and what was changed when."""
