"""Why a copy cannot be made."""

from __future__ import annotations

from pacstui.dicom.dictionary import keyword_of
from pacstui.errors import PacsError


class TransformError(PacsError):
    """The outgoing copy cannot be made as the plan asks; the message names attribute and reason."""

    code = "transform"


class Refused(TransformError):
    """The copy could be made, but it may still tell who the patient is; the hint says what lets it go."""

    code = "transform-refused"


def named(tag: int) -> str:
    """Return an attribute for people: ``PatientName (0010,0010)``, the tag alone where it has no keyword."""
    keyword, number = keyword_of(tag), f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return number if keyword == number else f"{keyword} {number}"
