"""The audit trail: who did what, in a chain in which every change is found."""
