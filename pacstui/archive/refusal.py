"""Why an object is not taken, as a C-STORE status (PS3.4 B.2.3, PS3.7 9.1.1.1.9)."""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

from pacstui.db.faults import is_environment, primary_code
from pacstui.errors import PacsError

OUT_OF_RESOURCES: Final = 0xA700
DOES_NOT_MATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
DUPLICATE: Final = 0xC111
PROCESSING_FAILURE: Final = 0x0110
SET_ASIDE: Final = 0xB000
NO_PIXELS: Final = 0xB007

FREE_SPACE: Final = "Free space on the archive's volume"
END_LOCK: Final = "End the program that holds it, a backup or an SQLite shell"

SOP_CLASS: Final = 0x00080016
SOP_INSTANCE: Final = 0x00080018
STUDY: Final = 0x0020000D
SERIES: Final = 0x0020000E

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


class Refused(PacsError):
    """The object was not taken; nothing of it is kept.

    Parameters
    ----------
    status
        The status to answer with, a failure.
    comment
        Error Comment (0000,0902): why, in at most 64 ASCII characters.
    offending
        Tags for Offending Element (0000,0901).
    """

    code = "refused"

    def __init__(self, status: int, comment: str, offending: tuple[int, ...] = (), hint: str = "") -> None:
        self.status = status
        self.comment = comment_of(comment)
        self.offending = offending
        self.told = False  # whether the bus has heard of it
        super().__init__(comment, hint)


def comment_of(text: str) -> str:
    """Return ``text`` as an Error Comment: VR LO, at most 64 characters of the default repertoire (PS3.7 C)."""
    plain = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    return plain if len(plain) <= 64 else plain[:61] + "..."


def refusal_of(error: BaseException) -> Refused:
    """Return the refusal that a fault of disk or database comes to."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return Refused(OUT_OF_RESOURCES, "The archive's disk is full", hint=FREE_SPACE)
        reason = error.strerror or type(error).__name__
        return Refused(OUT_OF_RESOURCES, f"The archive cannot be written: {reason}", hint="Check the archive's disk")
    if isinstance(error, sqlite3.Error):
        code = primary_code(error)
        if code == sqlite3.SQLITE_FULL:
            return Refused(OUT_OF_RESOURCES, "The database has no room", hint=FREE_SPACE)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Refused(OUT_OF_RESOURCES, "The database is locked by another program", hint=END_LOCK)
        if is_environment(error):
            return Refused(OUT_OF_RESOURCES, f"The database cannot be written: {error}", hint="Check the disk")
    return Refused(PROCESSING_FAILURE, f"Processing failure: {type(error).__name__}", hint="See the node's log")


def is_pressure(error: BaseException) -> bool:
    """Return whether the fault is one of room, disk or lock, that is expected to pass."""
    return isinstance(error, OSError) or (isinstance(error, sqlite3.Error) and is_environment(error))
