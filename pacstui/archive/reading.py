"""Reads objects back, and hands out nothing that differs from what was stored."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Final

from pacstui.errors import Corrupt, NotFound, PacsError, Unavailable

WHOLE: Final = 8 << 20
_PIECE: Final = 1 << 20
_TRUSTED_S: Final = 600.0
_KNOWN: Final = 50_000


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


class Compared:
    """Files that were found to be as stored, for some minutes: who fetches a study twice pays for it once.

    A file that was touched since, which its inode's change time tells, is compared again.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, path: str, found: os.stat_result) -> bool:
        """Return whether the file is one that was compared just now."""
        known = self._known.get(path)
        return known is not None and known[:2] == (found.st_ino, found.st_ctime_ns) and time.monotonic() < known[2]

    def add(self, path: str, found: os.stat_result) -> None:
        """Note a file that is as it was stored."""
        with self._lock:
            self._known[path] = (found.st_ino, found.st_ctime_ns, time.monotonic() + _TRUSTED_S)
            self._known.move_to_end(path)
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)


def read_part(root: Path, part: Part, compared: Compared | None = None) -> Content:
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
    path = f"{root}/{part.path}"
    try:
        with open(path, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            known = compared is not None and compared.knows(part.path, found)
            data = None
            if found.st_size == part.offset + part.size:
                if part.size <= WHOLE:
                    file.seek(part.offset)
                    data = file.read(part.size)
                    good = len(data) == part.size and (known or sha256(data).digest() == part.digest)
                else:
                    good = known or _digest_of(file, part.offset) == part.digest
                if good:
                    if compared is not None and not known:
                        compared.add(part.path, found)
                    return Content(Path(path), part, data)
    except FileNotFoundError:
        raise NotFound(f"the file {part.path} is not there", "restore it from a backup, or import it again") from None
    except OSError as error:
        raise Unavailable(f"the file {part.path} cannot be read: {error.strerror}", "check the disk") from error
    raise Corrupt(f"the file {part.path} differs from what was stored", "restore it from a backup, or import it again")


def _digest_of(file: FileIO, offset: int) -> bytes:
    digest = sha256()
    file.seek(offset)
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.digest()


def read_parts(root: Path, parts: Sequence[Part], compared: Compared | None = None) -> list[Content | PacsError]:
    """Read several objects; in place of one that cannot be handed out stands why."""
    found: list[Content | PacsError] = []
    for part in parts:
        try:
            found.append(read_part(root, part, compared))
        except PacsError as error:
            found.append(error)
    return found


class ObjectReader:
    """Reads on threads of its own, so that neither the event loop nor the ingest waits for it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._compared = Compared()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="pacstui-read")

    def read(self, parts: Sequence[Part], *, fresh: bool = False) -> asyncio.Future[list[Content | PacsError]]:
        """Begin to read some objects, small ones together: a hop to a thread and back costs as much as reading one.

        ``fresh`` compares each with its digest now, also one that was compared some minutes ago.
        """
        try:
            loop = asyncio.get_running_loop()
            compared = None if fresh else self._compared
            return loop.run_in_executor(self._threads, read_parts, self._root, parts, compared)
        except RuntimeError:
            raise PacsError("the archive is being closed") from None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)
