"""Huffman codes of JPEG Lossless (ITU-T T.81 annexes C, H.1.2.2) read by numpy.

Where a code ends is known only when it was read, which is slow in Python. So for every bit of a stream is looked up how
far it would be to the next code if one began there; a short loop follows these, several codes at a step, and all
that was found is made into numbers at once.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

_BLOCK: Final = 1 << 13
"""Bytes of a stream that are looked at together, so that the tables of their bits stay in the processor's cache."""

_AHEAD: Final = 40
"""Bytes behind a block that the codes of one step may reach into."""

_LONGEST: Final = 31
"""Bits of a code and its difference at most."""


class BadStream(Exception):
    """The stream is damaged, or none of JPEG Lossless; the message says where or why."""


class Table:
    """A Huffman table: codes of up to 16 bits, each for the number of bits of a difference.

    Parameters
    ----------
    counts
        How many codes there are of each length from 1 to 16.
    values
        What they stand for, in their order.
    """

    def __init__(self, counts: bytes, values: bytes) -> None:
        self.length = np.zeros(1 << 16, "u1")
        """Bits of the code that 16 bits begin with; 0 where they begin with none."""
        self.size = np.zeros(1 << 16, "u1")
        """Bits of the difference that follows it; 16 for the one that nothing needs to follow."""
        code = at = 0
        for length, count in enumerate(counts, 1):
            code <<= 1
            for value in values[at : at + count]:
                begin, end = code << 16 - length, code + 1 << 16 - length
                if end > 1 << 16 or value > 16:
                    raise BadStream("a Huffman table makes no sense")
                self.length[begin:end] = length
                self.size[begin:end] = value
                code += 1
            at += count
        self.step = self.length + np.where(self.size == 16, 0, self.size).astype("u1")
        """Bits to the next code."""
        self.step[self.length == 0] = 1  # goes on somehow; it is found out when numbers are made


_TOP: Final = np.array([0, *(1 << size - 1 for size in range(1, 17))], "<i4")
_BELOW: Final = np.array([0, *((1 << size) - 1 for size in range(1, 17))], "<i4")
_SHIFTS: Final = np.arange(8, 0, -1)
_HERE: Final = np.arange(8 * (_BLOCK + _AHEAD))
_MASK: Final = np.array([*((1 << size) - 1 for size in range(16)), 0], "<u8")


def differences(part: bytes, tables: Sequence[Table], count: int) -> Any:
    """Return ``count`` differences of a stream without stuffed bytes, modulo 2**16.

    Parameters
    ----------
    tables
        The tables of successive codes, which are taken in turn.

    Raises
    ------
    BadStream
        When there are other bits than codes, or fewer or more than it takes.
    """
    if all(table is tables[0] for table in tables):
        tables = tables[:1]
    width = len(tables)
    while 2 * width * _LONGEST < 256:  # the more codes at a step, the shorter the loop in Python; a step is a byte
        width *= 2
    groups = -(-count // width)
    out = np.empty((groups, width), "<i4")
    data = np.frombuffer(part + bytes(_BLOCK + 2 * _AHEAD), "u1")
    done = skip = end = 0
    for at in range(0, len(part), _BLOCK):
        size = min(_BLOCK, len(part) - at)
        block = _Block(data[at : at + size + _AHEAD + 8], size, tables)
        starts, skip = block.starts(width, skip, groups - done)
        for place in range(width):
            numbers, known, ends = block.numbers(starts, place)
            out[done : done + len(starts), place] = numbers
            last = count - 1 - done * width  # the last that counts, from the beginning of this block
            wanted = min(len(starts), max(0, (last - place) // width + 1))
            if not known[:wanted].all():
                raise BadStream("it has bits that are no Huffman code")
            if wanted and (done + wanted - 1) * width + place == count - 1:
                end = 8 * at + int(ends[wanted - 1])
            starts = ends
        done += len(starts)
        if done == groups:
            break
    if done < groups or end > 8 * len(part):
        raise BadStream("it is cut short")
    if 8 * len(part) - end >= 8:
        raise BadStream("it has more data than samples")
    return out.reshape(-1)[:count]


def _then(first: Any, second: Any) -> Any:
    """Return how far two steps take, one after the other, from each bit."""
    return first + np.take(second, _HERE[: len(first)] + first, mode="clip")  # what is clipped lies behind the block


class _Block:
    """Some bytes of a stream, and for each of their bits how far it is to the next code."""

    def __init__(self, data: Any, size: int, tables: Sequence[Table]) -> None:
        self._tables = tables
        self._bits = 8 * size
        wide = data.astype("<u8")
        count = len(data) - 8
        self._words = np.zeros(count, "<u8")
        """The 40 bits from each byte on: a code and its difference, wherever in the byte they begin."""
        for byte in range(5):
            self._words |= wide[byte : byte + count] << np.uint64(32 - 8 * byte)
        windows = (self._words >> np.uint64(16)).astype(np.intp)[:, None] >> _SHIFTS
        windows &= 0xFFFF
        self._steps = {id(table): np.take(table.step, windows).reshape(-1) for table in tables}

    def starts(self, width: int, skip: int, most: int) -> tuple[Any, int]:
        """Return where groups of ``width`` codes begin, from bit ``skip`` on, and how far the next one is into the next
        block."""
        ahead, codes = self._steps[id(self._tables[0])], len(self._tables)
        for table in self._tables[1:]:
            ahead = _then(ahead, self._steps[id(table)])
        while codes < width:
            ahead, codes = _then(ahead, ahead), codes * 2
        jump, found, at = ahead.tobytes(), array("i"), skip
        note = found.append
        while at < self._bits:
            note(at)
            at += jump[at]
        return np.frombuffer(found, "<i4")[:most].astype(np.intp), at - self._bits

    def numbers(self, starts: Any, place: int) -> tuple[Any, Any, Any]:
        """Return the differences whose codes begin at ``starts``, whether each is a code, and where they end."""
        table = self._tables[place % len(self._tables)]
        words, shift = self._words[starts >> 3], (starts & 7).astype("<u8")
        windows = (words >> (np.uint64(24) - shift)) & np.uint64(0xFFFF)
        size, ends = table.size[windows], starts + table.step[windows]
        more = np.uint64(40) - shift - table.step[windows]
        value = ((words >> more) & _MASK[size]).astype("<i4")
        numbers = value - _BELOW[size] * (value < _TOP[size])
        numbers[size == 16] = 32768
        return numbers, table.length[windows] != 0, ends
