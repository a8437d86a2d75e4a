"""How objects stand in a journal's segment.

A segment begins with a block that holds its generation. Records follow, each on a boundary of 4096 bytes, so that no
later write touches the block of an earlier one: a header with the generation and a checksum over all but the data set,
then a checksum of the data set (XXH3, 128 bits), path, file meta information and data set. The file meta information
ends with the data set's SHA-256, which need not be known yet when the record is written: whoever reads it works it out.
A record of another kind takes an object back that was refused after all.
"""

from __future__ import annotations

import hashlib
import mmap
import zlib
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final, NamedTuple

import xxhash

from pacstui.archive import part10

BLOCK: Final = 4096
HEAD_BYTES: Final = 44
_TITLE: Final = b"pacstui journal 1\n".ljust(32)
_OBJECT: Final = b"\xd1object2"
_OBJECT_WITH_DIGEST: Final = b"\xd1object\n"  # of version 0.1: no checksum, the digest is always there
_TAKEN_BACK: Final = b"\xd1undone\n"
_HEAD = Struct("<32sQI")
_RECORD = Struct("<8sQIIIId")
_SUM_BYTES: Final = 16
_ZEROS: Final = bytes(BLOCK)


class Record(NamedTuple):
    """One object in the journal. ``path`` is relative to the data directory; ``meta`` is what stands before the data
    set in its file, where the digest may be zeros when it is written; ``received`` is in seconds since 1970. With no
    body, one that is taken back: ``meta`` is its digest."""

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
    start = (b"" if record.body is None else xxhash.xxh3_128_digest(body)) + path + meta
    check = zlib.crc32(start, zlib.crc32(_RECORD.pack(mark, generation, 0, *sizes, record.received)))
    length = _RECORD.size + len(start) + len(body)
    head = _RECORD.pack(mark, generation, check, *sizes, record.received)
    return [head + start, body, _ZEROS[: _padding(length)]], length + _padding(length)


def read(data: bytes | memoryview | mmap.mmap) -> Iterator[Record]:
    """Yield the records of a segment, as far as they are whole, with their digests.

    A record whose data set does not have its checksum is left out: the sync that it was written for never came back, so
    nobody was told that the object is kept.
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
        if mark not in (_OBJECT, _OBJECT_WITH_DIGEST, _TAKEN_BACK) or of != generation:
            return
        start = at + _RECORD.size
        path_at = start + (_SUM_BYTES if mark == _OBJECT else 0)
        body_at = path_at + path_size + meta_size
        end = body_at + body_size
        head = _RECORD.pack(mark, of, 0, path_size, meta_size, body_size, received)
        if end > len(view) or meta_size < part10.DIGEST_BYTES:
            return
        if check != zlib.crc32(view[start:body_at], zlib.crc32(head)):
            return
        path = bytes(view[path_at : path_at + path_size]).decode("ascii", "replace")
        meta = bytes(view[path_at + path_size : body_at])
        body = view[body_at:end]
        if mark == _TAKEN_BACK:
            yield Record(path, meta, None, received)
        elif mark == _OBJECT:
            if xxhash.xxh3_128_digest(body) == view[start:path_at]:
                yield Record(path, part10.with_digest(meta, hashlib.sha256(body).digest()), body, received)
        elif hashlib.sha256(body).digest() == meta[-part10.DIGEST_BYTES :]:
            yield Record(path, meta, body, received)
        at = end + _padding(end)


def standing(records: Iterable[Record]) -> dict[str, Record]:
    """Return the last object of each path that was not taken back; ``records`` are in the order of their writing."""
    last: dict[str, Record] = {}
    for record in records:
        if record.body is not None:
            last[record.path] = record
        elif record.path in last and last[record.path].digest == record.digest:
            del last[record.path]
    return last


def room_for(record: Record) -> int:
    """Return how many bytes of a segment an object takes, with the block in which it may be taken back."""
    length = _RECORD.size + _SUM_BYTES + len(record.path) + len(record.meta) + len(record.body or b"")
    return length + _padding(length) + BLOCK
