"""Reconciliation and quality control: which study belongs to which order and patient, and putting wrong ones right."""
