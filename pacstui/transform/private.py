"""Private attributes that are known to be safe (PS3.15 E.3.10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pacstui.transform.paths import BadPath, parse
from pacstui.transform.tree import Item

_ROWS: Final = """
7053 Philips PET Private Group: 00 09
00E1 ELSCINT1: 21 50
01E1 ELSCINT1: 26
01F1 ELSCINT1: 01 07 26 27
0019 GEMS_ACQU_01: 23 24 27 9E
0025 GEMS_SERS_01: 07
0043 GEMS_PARM_01: 27 39 6F
0045 GEMS_HELIOS_01: 01 02
0903 GEIIS PACS: 10 11 12
2001 Philips Imaging DD 001: 03 04
0019 SIEMENS MR HEADER: 0C 0D 0E 27
"""
"""Of PS3.15 Table E.3.10-1 the numbers and codes; its sequences, texts and binary values are not kept."""

_VRS: Final = frozenset(("AS", "CS", "DS", "FD", "FL", "IS", "LO", "SH", "SL", "SS", "UL", "US"))


class NotPrivate(ValueError):
    """What is named is no private attribute; the message says why."""


@dataclass(frozen=True, slots=True)
class Safe:
    """Safe private attributes: group, creator and the element's last two digits."""

    known: frozenset[tuple[int, str, int]]

    def keeps(self, item: Item) -> Iterator[int]:
        """Yield what of an item's private elements is kept, the creators of it included."""
        for tag, element in item.elements.items():
            group, number = tag >> 16, tag & 0xFFFF
            if not group & 1 or number <= 0xFF or (element.items is None and element.vr not in _VRS | {"UN"}):
                continue
            creator = group << 16 | number >> 8
            if element.items is None and (group, item.text(creator).strip(), number & 0xFF) in self.known:
                yield tag
                yield creator


def safe_private(more: tuple[str, ...]) -> Safe:
    """Return those of the standard and of ``more``, written as (0019,xx0C,SIEMENS MR HEADER).

    Raises
    ------
    NotPrivate
        Where one is none.
    """
    known: set[tuple[int, str, int]] = set()
    for line in _ROWS.strip().splitlines():
        head, _, numbers = line.partition(": ")
        group, _, creator = head.partition(" ")
        known |= {(int(group, 16), creator, int(number, 16)) for number in numbers.split()}
    for text in more:
        try:
            path = parse(text)
        except BadPath as fault:
            raise NotPrivate(f'"{text}" {fault}') from None
        step = path.last
        if len(path.steps) > 1 or path.everywhere or not step.creator or not step.one:
            raise NotPrivate(f'"{text}" is no private attribute; write it as (0019,xx0C,SIEMENS MR HEADER)')
        known.add((step.tag >> 16, step.creator, step.tag & 0xFF))
    return Safe(frozenset(known))
