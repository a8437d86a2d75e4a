"""Where an attribute stands: ``PatientID``, ``(0010,0020)``, ``RequestAttributesSequence[0].StudyID``, and more.

- a keyword or a tag; a tag with x for any digit, as (60xx,3000), stands for all that fit;
- ``Sequence[2].Attribute`` in one item (counted from 0), ``Sequence.Attribute`` in all items;
- ``**.Attribute`` wherever it stands, at the top and in items of any depth;
- ``(0029,xx10,SIEMENS CSA HEADER)`` a private element, found by its private creator (PS3.5 7.8.1);
  ``(0029,xxxx,SIEMENS CSA HEADER)`` the whole block; ``private`` all private elements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pacstui.dicom.dictionary import keyword_of, known_keywords, tag_of, vr_of
from pacstui.transform.faults import TransformError
from pacstui.transform.tree import Element, Item, text_of

_STEP = re.compile(
    r"(?:\((?P<group>[0-9A-Fa-fxX]{4}),(?P<number>[0-9A-Fa-fxX]{4})(?:,(?P<creator>[^()]+))?\)"
    r"|(?P<keyword>[A-Za-z][A-Za-z0-9]*))(?:\[(?P<index>\d{1,6}|\*|)\])?"
)
_EVERYWHERE: Final = "**."


class BadPath(ValueError):
    """What is written is no path to an attribute; the message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``mask`` has a bit for each digit of the tag that counts; with a creator, ``tag`` has block 00."""

    tag: int
    mask: int = 0xFFFFFFFF
    creator: str = ""
    index: int | None = None

    @property
    def one(self) -> bool:
        """Whether it leads to one element at most, so that there can be made one."""
        return self.mask == 0xFFFFFFFF or (bool(self.creator) and self.mask & 0xFF == 0xFF)

    def tags(self, item: Item) -> list[int]:
        """Return the elements of an item that it leads to."""
        if self.mask == 0xFFFFFFFF:
            return [self.tag] if self.tag in item.elements else []
        if not self.creator:
            return [tag for tag in item.elements if tag & self.mask == self.tag]
        block = _block(item, self.tag >> 16, self.creator)
        if not block:
            return []
        if self.one:
            tag = self.tag | block << 8
            return [tag] if tag in item.elements else []
        first = self.tag & 0xFFFF0000
        inside = [tag for tag in item.elements if tag & 0xFFFFFF00 == first | block << 8]
        return [*inside, first | block]

    def make(self, item: Item) -> int:
        """Return the tag to set it at; a private block is reserved if there is none."""
        if not self.creator:
            return self.tag
        group = self.tag >> 16
        block = _block(item, group, self.creator)
        if not block:
            free = (number for number in range(0x10, 0x100) if group << 16 | number not in item.elements)
            block = next(free, 0)
            if not block:
                raise TransformError(f"group {group:04X} has no free private block")
            item.put(group << 16 | block, "LO", self.creator)
        return self.tag | block << 8


def _block(item: Item, group: int, creator: str) -> int:
    """Return the block that a private creator reserved, 0 if it did not."""
    for number in range(0x10, 0x100):
        element = item.elements.get(group << 16 | number)
        if element is not None and text_of(item, element).strip() == creator:
            return number
    return 0


@dataclass(frozen=True, slots=True)
class Path:
    """A path to an attribute."""

    text: str
    steps: tuple[Step, ...]
    everywhere: bool = False

    @property
    def last(self) -> Step:
        return self.steps[-1]

    @property
    def tag(self) -> int:
        """The tag of the attribute, 0 where there may be several or it is private."""
        return self.last.tag if self.last.mask == 0xFFFFFFFF else 0

    @property
    def one(self) -> bool:
        """Whether the last step leads to one element of an item."""
        return self.last.one

    def vr(self) -> str:
        """Return the VR of the attribute by the dictionary, UN where it has none."""
        return vr_of(self.tag) if self.tag else "UN"

    def places(self, root: Item) -> Iterator[tuple[Item, int]]:
        """Yield where the attribute is."""
        for item in list(self._items(root, make=False)):
            for tag in self.last.tags(item):
                yield item, tag

    def made(self, root: Item) -> Iterator[tuple[Item, int]]:
        """Yield where the attribute is or should be; an item that is asked for by its number is made."""
        for item in list(self._items(root, make=True)):
            yield item, self.last.make(item)

    def _items(self, root: Item, make: bool) -> Iterator[Item]:
        for start in list(root.below()) if self.everywhere else (root,):
            yield from _descend(start, self.steps[:-1], make)


def _descend(item: Item, steps: tuple[Step, ...], make: bool) -> Iterator[Item]:
    if not steps:
        yield item
        return
    step = steps[0]
    make = make and step.index is not None
    for tag in step.tags(item) or ([step.make(item)] if make and step.one else []):
        element = item.elements.get(tag)
        if element is None and make:
            element = item.elements[tag] = Element("SQ", items=[])
        if element is None or element.items is None:
            continue
        items = element.items
        if make and step.index is not None and len(items) <= step.index:
            if len(items) < step.index:
                raise TransformError(
                    f"{keyword_of(tag)} has {len(items)} items, so that number {step.index} cannot be made"
                )
            items.append(Item(parent=item, big=item.big))
        chosen = items if step.index is None else items[step.index : step.index + 1]
        for each in chosen:
            yield from _descend(each, steps[1:], make)


def parse(text: str) -> Path:
    """Read a path.

    Raises
    ------
    BadPath
        Where it is none, or a keyword is not known.
    """
    rest = text.strip()
    everywhere = rest.startswith(_EVERYWHERE)
    if everywhere:
        rest = rest.removeprefix(_EVERYWHERE)
    steps: list[Step] = []
    at = 0
    while True:
        match = _STEP.match(rest, at)
        if match is None:
            raise BadPath("expected a keyword as PatientID, or a tag as (0010,0020)")
        steps.append(_step(match))
        at = match.end()
        if at == len(rest):
            break
        if rest[at] != ".":
            raise BadPath(f'cannot be understood from "{rest[at:][:20]}" on; steps are divided by a dot')
        at += 1
    for step in steps[:-1]:
        if not step.creator and step.mask == 0xFFFFFFFF and vr_of(step.tag) not in ("SQ", "UN"):
            raise BadPath(f"{keyword_of(step.tag)} is no sequence")
    if steps[-1].index is not None:
        raise BadPath("ends with an item; name an attribute in it")
    return Path(text.strip(), tuple(steps), everywhere)


def _step(match: re.Match[str]) -> Step:
    written = match["index"]
    index = int(written) if written and written != "*" else None
    if match["keyword"]:
        if match["keyword"] == "private":
            return Step(0x00010000, 0x00010000, index=index)
        tag = tag_of(match["keyword"])
        if not tag:
            raise BadPath(f'there is no attribute with the keyword "{match["keyword"]}"{_near(match["keyword"])}')
        return Step(tag, index=index)
    digits = (match["group"] + match["number"]).lower()
    creator = (match["creator"] or "").strip()
    tag = int(digits.replace("x", "0"), 16)
    mask = int("".join("0" if digit == "x" else "f" for digit in digits), 16)
    if creator:
        if "x" in digits[:4] or not tag >> 16 & 1 or digits[4:6] != "xx" or digits[6:].count("x") == 1:
            raise BadPath("write a private element as (0029,xx10,CREATOR), a block as (0029,xxxx,CREATOR)")
        return Step(tag, mask, creator, index)
    if mask == 0xFFFFFFFF and tag >> 16 & 1 and tag & 0xFFFF > 0xFF:
        raise BadPath("a private element is found by its creator: write (0029,xx10,CREATOR)")
    return Step(tag, mask, index=index)


def _near(keyword: str) -> str:
    import difflib

    near = difflib.get_close_matches(keyword, known_keywords(), n=1, cutoff=0.7)
    return f'; did you mean "{near[0]}"?' if near else ""
