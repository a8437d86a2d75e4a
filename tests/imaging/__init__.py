"""Tests of pacstui.imaging."""
