"""Deflated data sets, inflated within bounds (RFC 1951, PS3.5 A.5)."""

from __future__ import annotations

import mmap
import zlib

from pacstui.dicom.mapped import LET_GO, NEVER, Buffer, let_go

_KEEP = 8 << 20
# One element has at most 4 GiB (PS3.5 7.1.1), so what is larger than two is no honest data set.
LIMIT = 9_000_000_000


def inflate(data: Buffer, start: int) -> tuple[bytes, int, bool]:
    """Inflate a deflated data set (RFC 1951, PS3.5 A.5), bounded.

    Returns
    -------
    tuple
        The first 8 MiB, the full length in bytes, and whether the stream came to its end. A stream that grows beyond
        9 GB is given up.
    """
    packer = zlib.decompressobj(-zlib.MAX_WBITS)
    kept = bytearray()
    total = 0
    view = memoryview(data)
    again = start + LET_GO if isinstance(data, mmap.mmap) else NEVER
    try:
        for at in range(start, len(view), 1 << 16):
            if at > again:
                again = let_go(data, at)
            rest: bytes | memoryview = view[at : at + (1 << 16)]
            while len(rest) and not packer.eof:
                out = packer.decompress(rest, 1 << 20)
                rest = packer.unconsumed_tail
                total += len(out)
                if len(kept) < _KEEP:
                    kept += out
                if total > LIMIT:
                    return bytes(kept), total, False
            if packer.eof:
                break
    except zlib.error:
        return bytes(kept), len(kept), False
    finally:
        view.release()
    return bytes(kept), total, packer.eof
