"""Transfer syntaxes (PS3.5 A, PS3.6 A): their UIDs, their names, and which are alike."""

from __future__ import annotations

from typing import Final

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS_ANY: Final = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR: Final = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"
RLE: Final = "1.2.840.10008.1.2.5"

PLAIN: Final = (EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN)
"""Not compressed, the preferred one first."""

LITTLE: Final = (EXPLICIT, IMPLICIT)
"""What is proposed for anything without pixels; every peer takes the last one (PS3.5 10.1)."""

WHOLLY_DEFLATED: Final = frozenset((DEFLATED, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))
"""The whole data set is deflated (PS3.5 A.5, A.7, A.4.12)."""

NO_OBJECTS: Final = frozenset(("1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2"))
"""MIME and XML: no way in which objects are stored."""

TRANSFER_SYNTAXES: Final[dict[str, str]] = {
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    "1.2.840.10008.1.2.1": "Explicit VR Little Endian",
    "1.2.840.10008.1.2.1.98": "Encapsulated Uncompressed Explicit VR Little Endian",
    "1.2.840.10008.1.2.1.99": "Deflated Explicit VR Little Endian",
    "1.2.840.10008.1.2.2": "Explicit VR Big Endian",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline",
    "1.2.840.10008.1.2.4.51": "JPEG Extended 12 bit",
    "1.2.840.10008.1.2.4.52": "JPEG Extended (3, 5)",
    "1.2.840.10008.1.2.4.53": "JPEG Spectral Selection (6, 8)",
    "1.2.840.10008.1.2.4.54": "JPEG Spectral Selection (7, 9)",
    "1.2.840.10008.1.2.4.55": "JPEG Full Progression (10, 12)",
    "1.2.840.10008.1.2.4.56": "JPEG Full Progression (11, 13)",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless (14)",
    "1.2.840.10008.1.2.4.58": "JPEG Lossless (15)",
    "1.2.840.10008.1.2.4.59": "JPEG Extended Hierarchical (16, 18)",
    "1.2.840.10008.1.2.4.60": "JPEG Extended Hierarchical (17, 19)",
    "1.2.840.10008.1.2.4.61": "JPEG Spectral Selection Hierarchical (20, 22)",
    "1.2.840.10008.1.2.4.62": "JPEG Spectral Selection Hierarchical (21, 23)",
    "1.2.840.10008.1.2.4.63": "JPEG Full Progression Hierarchical (24, 26)",
    "1.2.840.10008.1.2.4.64": "JPEG Full Progression Hierarchical (25, 27)",
    "1.2.840.10008.1.2.4.65": "JPEG Lossless Hierarchical (28)",
    "1.2.840.10008.1.2.4.66": "JPEG Lossless Hierarchical (29)",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless, first order",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.92": "JPEG 2000 Multi-component Lossless",
    "1.2.840.10008.1.2.4.93": "JPEG 2000 Multi-component",
    "1.2.840.10008.1.2.4.94": "JPIP Referenced",
    "1.2.840.10008.1.2.4.95": "JPIP Referenced Deflate",
    "1.2.840.10008.1.2.4.100": "MPEG2 Main Profile, Main Level",
    "1.2.840.10008.1.2.4.100.1": "MPEG2 Main Profile, Main Level, fragmentable",
    "1.2.840.10008.1.2.4.101": "MPEG2 Main Profile, High Level",
    "1.2.840.10008.1.2.4.101.1": "MPEG2 Main Profile, High Level, fragmentable",
    "1.2.840.10008.1.2.4.102": "MPEG-4 High Profile 4.1",
    "1.2.840.10008.1.2.4.102.1": "MPEG-4 High Profile 4.1, fragmentable",
    "1.2.840.10008.1.2.4.103": "MPEG-4 BD-compatible 4.1",
    "1.2.840.10008.1.2.4.103.1": "MPEG-4 BD-compatible 4.1, fragmentable",
    "1.2.840.10008.1.2.4.104": "MPEG-4 High Profile 4.2 for 2D",
    "1.2.840.10008.1.2.4.104.1": "MPEG-4 High Profile 4.2 for 2D, fragmentable",
    "1.2.840.10008.1.2.4.105": "MPEG-4 High Profile 4.2 for 3D",
    "1.2.840.10008.1.2.4.105.1": "MPEG-4 High Profile 4.2 for 3D, fragmentable",
    "1.2.840.10008.1.2.4.106": "MPEG-4 Stereo 4.2",
    "1.2.840.10008.1.2.4.106.1": "MPEG-4 Stereo 4.2, fragmentable",
    "1.2.840.10008.1.2.4.107": "HEVC Main Profile 5.1",
    "1.2.840.10008.1.2.4.108": "HEVC Main 10 Profile 5.1",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL, recompressed JPEG",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.201": "HTJ2K Lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K Lossless RPCL",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
    "1.2.840.10008.1.2.4.204": "JPIP HTJ2K Referenced",
    "1.2.840.10008.1.2.4.205": "JPIP HTJ2K Referenced Deflate",
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.6.1": "RFC 2557 MIME encapsulation",
    "1.2.840.10008.1.2.6.2": "XML Encoding",
    "1.2.840.10008.1.2.7.1": "SMPTE ST 2110-20 progressive video",
    "1.2.840.10008.1.2.7.2": "SMPTE ST 2110-20 interlaced video",
    "1.2.840.10008.1.2.7.3": "SMPTE ST 2110-30 audio",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    "1.2.840.10008.1.20": "Papyrus 3 Implicit VR Little Endian",
}
"""Every transfer syntax of PS3.6 Table A-1, retired ones included, with a short name."""
