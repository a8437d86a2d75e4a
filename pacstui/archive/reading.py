"""Reads objects back, and hands out nothing that differs from what was stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pacstui.errors import Corrupt, NotFound, PacsError, Unavailable

WHOLE: Final = 8 << 20
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """Where the data set of an object is, and what it must be."""

    path: str
    offset: int
    size: int
    digest: bytes


class Content:
    """The bytes of a data set, whole or in pieces; they were compared with the digest."""

    def __init__(self, path: Path, part: Part, data: bytes | None) -> None:
        self._path = path
        self._part = part
        self.data = data

    def pieces(self) -> Iterator[bytes]:
        """Yield the data set in pieces of 1 MiB; raises OSError."""
        if self.data is not None:
            yield self.data
            return
        with self._path.open("rb") as file:
            file.seek(self._part.offset)
            left = self._part.size
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise OSError(5, "the file became shorter while it was read")
                left -= len(piece)
                yield piece

    def whole(self) -> bytes:
        """Return all of it; raises OSError."""
        return b"".join(self.pieces()) if self.data is None else self.data


def read_part(root: Path, part: Part) -> Content:
    """Read an object and compare it with its digest; up to 8 MiB stay in memory, more is read again piece by piece.

    Raises
    ------
    NotFound
        When the file is not there.
    Corrupt
        When it has another length or other bytes.
    Unavailable
        When the disk does not give it.
    """
    path = root / part.path
    try:
        with path.open("rb") as file:
            file.seek(part.offset)
            if part.size <= WHOLE:
                data = file.read(part.size + 1)
                if len(data) == part.size and sha256(data).digest() == part.digest:
                    return Content(path, part, data)
            else:
                digest, length = sha256(), 0
                while piece := file.read(_PIECE):
                    digest.update(piece)
                    length += len(piece)
                if length == part.size and digest.digest() == part.digest:
                    return Content(path, part, None)
    except FileNotFoundError:
        raise NotFound(f"the file {part.path} is not there", "restore it from a backup, or import it again") from None
    except OSError as error:
        raise Unavailable(f"the file {part.path} cannot be read: {error.strerror}", "check the disk") from error
    raise Corrupt(f"the file {part.path} differs from what was stored", "restore it from a backup, or import it again")


class ObjectReader:
    """Reads on threads of its own, so that neither the event loop nor the ingest waits for it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="pacstui-read")

    def read(self, part: Part) -> asyncio.Future[Content]:
        """Begin to read; the future fails as `read_part` does."""
        try:
            return asyncio.get_running_loop().run_in_executor(self._threads, read_part, self._root, part)
        except RuntimeError:
            raise PacsError("the archive is being closed") from None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)
