"""How objects stand in a journal's segment.

A segment begins with a block that holds its generation. Records follow, each on a boundary of 4096 bytes, so that no
later write touches the block of an earlier one: a header with the generation and a checksum over all but the data set,
then path, file meta information (which ends with the data set's SHA-256) and data set. A record of another kind takes
an object back that was refused after all.
"""

from __future__ import annotations

import hashlib
import mmap
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from pacstui.archive import part10

BLOCK: Final = 4096
HEAD_BYTES: Final = 44
_TITLE: Final = b"pacstui journal 1\n".ljust(32)
_OBJECT: Final = b"\xd1object\n"
_TAKEN_BACK: Final = b"\xd1undone\n"
_HEAD = Struct("<32sQI")
_RECORD = Struct("<8sQIIIId")
_ZEROS: Final = bytes(BLOCK)


class Record(NamedTuple):
    """One object in the journal. ``path`` is relative to the data directory; ``meta`` is what stands before the data
    set in its file; ``received`` is in seconds since 1970. With no body, one that is taken back: ``meta`` is its
    digest."""

    path: str
    meta: bytes
    body: bytes | bytearray | memoryview | None
    received: float = 0.0

    @property
    def digest(self) -> bytes:
        """SHA-256 of the data set."""
        return self.meta[-part10.DIGEST_BYTES :]


def head(generation: int) -> bytes:
    """Return how a segment begins."""
    start = _HEAD.pack(_TITLE, generation, 0)[:-4]
    return start + zlib.crc32(start).to_bytes(4, "little")


def generation_of(start: bytes) -> int:
    """Return the generation of a segment that begins with ``start``, 0 if it is none."""
    if len(start) < _HEAD.size or not start.startswith(_TITLE):
        return 0
    return int(_HEAD.unpack_from(start)[1])


def _padding(size: int) -> int:
    return -size % BLOCK


def encode(record: Record, generation: int) -> tuple[list[bytes | bytearray | memoryview], int]:
    """Return a record in parts, and its length."""
    path, meta = record.path.encode("ascii"), record.meta
    body: bytes | bytearray | memoryview = b"" if record.body is None else record.body
    mark = _TAKEN_BACK if record.body is None else _OBJECT
    sizes = (len(path), len(meta), len(body))
    check = zlib.crc32(meta, zlib.crc32(path, zlib.crc32(_RECORD.pack(mark, generation, 0, *sizes, record.received))))
    length = _RECORD.size + sum(sizes)
    head = _RECORD.pack(mark, generation, check, *sizes, record.received)
    return [head + path + meta, body, _ZEROS[: _padding(length)]], length + _padding(length)


def read(data: bytes | memoryview | mmap.mmap) -> Iterator[Record]:
    """Yield the records of a segment, as far as they are whole.

    A record whose data set does not have the digest that its file meta information states is left out: the sync that
    it was written for never came back, so nobody was told that the object is kept.
    """
    view = memoryview(data)
    if len(view) < BLOCK:
        return
    title, generation, check = _HEAD.unpack_from(view)
    if title != _TITLE or check != zlib.crc32(view[: _HEAD.size - 4]):
        return
    at = BLOCK
    while at + _RECORD.size <= len(view):
        mark, of, check, path_size, meta_size, body_size, received = _RECORD.unpack_from(view, at)
        start = at + _RECORD.size
        end = start + path_size + meta_size + body_size
        if mark not in (_OBJECT, _TAKEN_BACK) or of != generation or end > len(view):
            return
        rest = view[start : start + path_size + meta_size]
        head = _RECORD.pack(mark, of, 0, path_size, meta_size, body_size, received)
        if meta_size < part10.DIGEST_BYTES or check != zlib.crc32(rest, zlib.crc32(head)):
            return
        path, meta = bytes(rest[:path_size]).decode("ascii", "replace"), bytes(rest[path_size:])
        body = view[end - body_size : end]
        if mark == _TAKEN_BACK:
            yield Record(path, meta, None, received)
        elif hashlib.sha256(body).digest() == meta[-part10.DIGEST_BYTES :]:
            yield Record(path, meta, body, received)
        at = end + _padding(end)


def most(record: Record) -> int:
    """Return how many bytes a record takes at most."""
    return _RECORD.size + len(record.path) + len(record.meta) + len(record.body or b"") + BLOCK
