"""Pixels and encodings of objects, for those who cannot take them as they are kept."""
