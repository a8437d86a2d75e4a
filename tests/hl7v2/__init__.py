"""Tests of the HL7 intake."""
