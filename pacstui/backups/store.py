"""Where a target's files lie: what is asked of a folder and of a bucket alike."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from pacstui.errors import PacsError, StorageFull, Unavailable

ROOM: Final = (
    "make room there, prune (pacstui backup prune) if it has snapshots to spare, or use another target; the next run"
    " goes on where this one ended"
)
"""What mends a target that is full."""


_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY: Final = (errno.EROFS, errno.EACCES, errno.EPERM)


class Refused(Unavailable):
    """A file may not be removed: locked, immutable, or the key here may not."""


def translate(error: OSError, place: str) -> PacsError:
    """Return what an error of the system means for a target."""
    if error.errno in _FULL:
        return StorageFull(f"{place} is full", ROOM)
    if error.errno in _READ_ONLY:
        return Unavailable(
            f"{place} cannot be written: {error.strerror}", "correct its rights, or mount it for writing"
        )
    if error.errno in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return Unavailable(f"{place} fails: {error.strerror}", "check cable and disk; mount it again")
    return Unavailable(f"{place} cannot be used: {error.strerror or error}", "is it mounted?")


class Store(Protocol):
    """Files by name. What `put` and `put_file` return from is durable there, whole or not at all.

    Every method raises `Unavailable` (away, read-only, refused), `StorageFull`, `NotFound` or `Corrupt`, each with what
    mends it.
    """

    kind: str
    url: str

    def open(self, make: bool) -> None:
        """See that the place is there; with ``make``, make it where only its last part is missing."""
        ...

    def get(self, name: str) -> bytes:
        """Return a small file."""
        ...

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a file in pieces."""
        ...

    def part(self, name: str, offset: int, size: int) -> bytes:
        """Return a part of a file."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write a file, in place of one of that name."""
        ...

    def put_file(self, name: str, path: Path) -> None:
        """Write a file that was made below `spool`; it may be gone afterwards."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one of that name; return whether it was written."""
        ...

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield names below a folder (``prefix`` ends with a slash, or is empty), and sizes."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; that it is gone already is no fault. Raises `Refused` where it has to stay."""
        ...

    def free(self) -> int | None:
        """Return free bytes, none where nobody can tell."""
        ...

    def spool(self) -> Path:
        """Return a folder for temporary files, made if need be."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...

    def clear(self) -> None:
        """Remove what an interrupted run left of temporary files. Called by who holds the lock."""
        ...
