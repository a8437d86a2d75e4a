"""The practice hospital: synthetic equipment that sends real DICOM to a scratch archive."""
