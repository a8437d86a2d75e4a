"""Whether objects of the index still have their files: read back, compared, and marked."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pacstui.archive.reading import Part, read_part
from pacstui.archive.reconcile import DAMAGED, MISSING
from pacstui.errors import NotFound, PacsError

Mark = tuple[int, int, bytes, str]
"""State, row, digest and path of an instance."""


def faults(root: Path, parts: Sequence[Part], *, from_disk: bool = False) -> list[PacsError | None]:
    """Read objects and return what is wrong with each, None where it is as it was stored; in a thread.

    With ``from_disk`` the disk itself is asked, not what the system holds of it in memory.
    """
    found: list[PacsError | None] = []
    for part in parts:
        if from_disk:
            _forget_cached(root / part.path)
        try:
            read_part(root, part)
        except PacsError as fault:
            found.append(fault)
        else:
            found.append(None)
    return found


def state_of(fault: PacsError | None) -> int:
    """Return how the index marks an object with this fault."""
    return MISSING if isinstance(fault, NotFound) else DAMAGED if fault is not None else 0


def do_mark(marks: Iterable[Mark], connection: sqlite3.Connection) -> None:
    """Mark what is still the same object in the same file. On the lane."""
    connection.executemany("UPDATE instances SET missing=? WHERE id=? AND digest=? AND path=?", marks)


def _forget_cached(path: Path) -> None:
    with suppress(OSError, AttributeError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
