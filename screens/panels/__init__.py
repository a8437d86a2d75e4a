"""The dashboard's panels, one a file; each draws from the newest view."""
