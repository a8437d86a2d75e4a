"""pydicom's bundled files, and what each that cannot be stored is to be told."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydicom.data import get_charset_files, get_testdata_file, get_testdata_files

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4."

STORESCU_OPTIONS = {
    IMPLICIT: "-xi", EXPLICIT: "-xe", BIG_ENDIAN: "-xb", DEFLATED: "-xd", RLE: "-xr",
    JPEG + "50": "-xy", JPEG + "51": "-xx", JPEG + "70": "-xs", JPEG + "80": "-xt", JPEG + "81": "-xu",
    JPEG + "90": "-xv", JPEG + "91": "-xw",
}  # fmt: skip
"""What makes storescu send a file of this transfer syntax as it is."""

DIRECTORIES = {
    "DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-empty.dcm", "DICOMDIR-implicit", "DICOMDIR-nooffset", "DICOMDIR-nopatient",
    "DICOMDIR-reordered",
}  # fmt: skip
NOT_TAKEN: dict[str, tuple[str, str]] = {
    **dict.fromkeys(DIRECTORIES, ("skipped", "it is a DICOMDIR, a directory of other files")),
    **dict.fromkeys(
        ("FileInfo.txt", "README.txt", "README", "crayons.icc", "rtplan.dump", "rtstruct.dump", "no_meta.dcm"),
        ("skipped", "it is no DICOM file"),
    ),
    **dict.fromkeys(("test1.json", "test_PN.json"), ("skipped", "it is no DICOM file but a JSON document")),
    "zipMR.gz": ("skipped", "it is no DICOM file but gzip data"),
    "MR_truncated.dcm": ("refused", "The data set ends inside the value of (7FE0,0010)"),
    "rtplan_truncated.dcm": ("refused", "The data set ends inside the value of (300A,00B0)"),
    "emri_small_jpeg_2k_lossless_too_short.dcm": ("refused", "The data set ends inside the pixel data (7FE0,0010)"),
    "meta_missing_tsyntax.dcm": ("refused", "its transfer syntax is not told and cannot be guessed"),
    "bad_sequence.dcm": ("refused", "SOP Instance UID is missing or not valid"),
    **dict.fromkeys(
        ("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "SC_rgb_jls_lossy_line.dcm",
         "SC_rgb_jls_lossy_sample.dcm"),
        ("refused", "Study Instance UID is missing or not valid"),
    ),
    **dict.fromkeys(
        ("UN_sequence.dcm", "chrSQEncoding.dcm", "chrSQEncoding1.dcm", "empty_charset_LEI.dcm", "nested_priv_SQ.dcm",
         "no_meta_group_length.dcm", "priv_SQ.dcm"),
        ("refused", "SOP Class UID is missing or not valid"),
    ),
}  # fmt: skip
"""Files that the archive cannot take: the result, and why in words. The name of the file is enough."""


@cache
def bundled() -> tuple[Path, ...]:
    """Return every file that pydicom and pydicom-data bring."""
    paths = {Path(str(each)) for each in (*get_testdata_files(), *get_charset_files())}
    return tuple(sorted(path for path in paths if path.is_file()))


def sample(name: str) -> Path:
    """Return one of them."""
    found = get_testdata_file(name)
    assert found is not None
    return Path(str(found))
