"""The DICOM protocol: upper layer without I/O (``ul``), sockets (``net``), messages, UIDs, headers.

Nothing in here knows of the archive.
"""
