"""Patients as the RIS knows them, what was ordered for them, what is scheduled and what was performed."""
