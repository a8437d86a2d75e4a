"""The DICOM upper layer (PS3.8) without I/O: bytes in, effects out."""
