"""Bytes that are looked at where they lie, those of a mapped file among them."""

from __future__ import annotations

import mmap

Buffer = bytes | bytearray | memoryview | mmap.mmap

LET_GO = 1 << 24
"""After so many bytes memory is given back."""

NEVER = 1 << 62


def let_go(data: Buffer, pos: int) -> int:
    """Give back the memory of a mapped file before ``pos``, which has been looked at; return where to do so again.

    Without that a walk over the fragments of a large object maps all of it.
    """
    assert isinstance(data, mmap.mmap)
    if hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED, 0, pos - pos % mmap.PAGESIZE)
    return pos + LET_GO
