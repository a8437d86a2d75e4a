"""A copy of an object that says what is known now, with what it said before (PS3.3 C.12.1.1.9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from pacstui.transform.faults import TransformError, named
from pacstui.transform.paths import BadPath, Path, parse
from pacstui.transform.plan import Outcome
from pacstui.transform.tree import Element, Item, Part10, open_object, text_of
from pacstui.transform.values import element_of, vr_at, wrong
from pacstui.transform.write import write_object

_ORIGINAL: Final = 0x04000561
_CHARSET: Final = 0x00080005
_UIDS: Final = frozenset((0x00081155, 0x0020000D, 0x0020000E))
_ID, _ISSUER = 0x00100020, 0x00100021


@dataclass(frozen=True, slots=True)
class Corrections:
    """What an object is to say.

    Parameters
    ----------
    values
        Text by path; of attributes that differ only in padding nothing is changed.
    patient
        Likewise, but only for an object whose Patient ID and issuer are among ``once``, where that says any.
    uids
        New UIDs of objects, series and studies, by the old ones: references to them follow.
    at
        When that was decided (DT).
    system
        Who changes it.
    reason
        CORRECT where a person put it right, COERCE where the patient's registration did.
    source
        Where the former values come from.
    """

    values: Mapping[str, str]
    patient: Mapping[str, str]
    once: tuple[tuple[str, str], ...] = ()
    uids: Mapping[str, str] | None = None
    at: str = ""
    system: str = ""
    reason: str = "CORRECT"
    source: str = ""


def corrected(
    source: BinaryIO, out: BinaryIO, wanted: Corrections, *, syntax: str = "", at: int = 0
) -> Outcome | None:  # fmt: skip
    """Write the corrected copy of an object to ``out``; None, and nothing written, where it says all of it already.

    The pixel data are copied piece by piece; see :meth:`pacstui.transform.Plan.write` for ``syntax`` and ``at``.

    Raises
    ------
    TransformError
        When the object cannot be followed, or a value does not fit into it.
    """
    part = open_object(source, syntax, at)
    try:
        if not _correct(part, wanted):
            return None
        start = write_object(part, out)
        return Outcome(part.root.text(0x00080016), part.root.text(0x00080018), part.syntax, start)
    finally:
        part.close()


def _correct(part: Part10, wanted: Corrections) -> bool:
    root = part.root
    before: dict[int, Element | None] = {}
    values = dict(wanted.values)
    if wanted.patient and (not wanted.once or (root.text(_ID), root.text(_ISSUER)) in wanted.once):
        values |= wanted.patient
    for path, value in values.items():
        _set(root, _parsed(path), value, before)
    if wanted.uids:
        for tag, element in list(root.elements.items()):
            if element.items and tag != _ORIGINAL and tag not in before and _refers(element, wanted.uids):
                before[tag] = _copied(element, root)
                for item in element.items:
                    _follow(item, wanted.uids)
    if not before:
        return False
    _tell(root, wanted, before)
    return True


def _parsed(path: str) -> Path:
    try:
        return parse(path)
    except BadPath as fault:
        raise TransformError(f"{path}: {fault}") from None


def _set(root: Item, path: Path, value: str, before: dict[int, Element | None]) -> None:
    """Set an attribute where it differs, and keep what stood at the top of its path."""
    top = path.steps[0].tag
    found = next(path.places(root), None)
    old = text_of(found[0], found[0].elements[found[1]]) if found is not None else ""
    if old.strip() == value.strip() and (found is not None or not value.strip()):
        return
    if top not in before:
        element = root.elements.get(top)
        before[top] = _copied(element, root) if element is not None else None
    for item, tag in list(path.made(root)):
        vr = vr_at(item, tag)
        why = wrong(vr, value, told=False)
        if why:
            raise TransformError(f"{named(tag)}: {why}", "undo the correction, or correct it to a value that fits")
        item.elements[tag] = element_of(item, vr, value)


def _copied(element: Element, parent: Item) -> Element:
    """Return an element that no later change reaches."""
    if element.items is None:
        return Element(element.vr, element.value, None, element.open)
    items = []
    for item in element.items:
        copy = Item(parent=parent, big=item.big)
        copy.elements = {tag: _copied(each, copy) for tag, each in item.elements.items()}
        items.append(copy)
    return Element("SQ", items=items)


def _refers(element: Element, uids: Mapping[str, str]) -> bool:
    return any(
        text_of(item, each) in uids
        for one in element.items or ()
        for item in one.below()
        for tag, each in item.elements.items()
        if tag in _UIDS and each.items is None
    )


def _follow(one: Item, uids: Mapping[str, str]) -> None:
    for item in one.below():
        for tag in _UIDS & item.elements.keys():
            new = uids.get(text_of(item, item.elements[tag]))
            if new is not None:
                item.elements[tag] = Element("UI", new)


def _tell(root: Item, wanted: Corrections, before: dict[int, Element | None]) -> None:
    """Add an item to the Original Attributes Sequence: what was replaced, when, by whom and why."""
    held = root.elements.get(_ORIGINAL)
    items = list(held.items or ()) if held is not None else []
    told = Item(parent=root, big=root.big)
    modified = Item(parent=told, big=root.big)
    for tag, element in before.items():
        # What was absent has no former value; where that is all, an empty one says which attribute was added.
        if element is not None or all(each is None for each in before.values()):
            modified.elements[tag] = element if element is not None else _empty(root, tag)
            for item in modified.elements[tag].items or ():
                item.parent = modified
    told.put(0x04000562, "DT", wanted.at)
    told.put(0x04000563, "LO", wanted.system[:64])
    told.put(0x04000564, "LO", wanted.source[:64])
    told.put(0x04000565, "CS", wanted.reason)
    told.elements[0x04000550] = Element("SQ", items=[modified])
    root.elements[_ORIGINAL] = Element("SQ", items=[*items, told])


def _empty(root: Item, tag: int) -> Element:
    now = root.elements[tag]
    return Element("SQ", items=[]) if now.items is not None else Element(now.vr)
