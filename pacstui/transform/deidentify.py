"""De-identifies an object in place (PS3.15 Annex E)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pacstui.dicom.dictionary import vr_of
from pacstui.dicom.uids import name_of, valid_uid
from pacstui.transform.faults import Refused, TransformError, named
from pacstui.transform.pixels import doubt
from pacstui.transform.private import Safe
from pacstui.transform.profile import BASIC, OPTIONS, Profile
from pacstui.transform.pseudonyms import Person, Pseudonyms
from pacstui.transform.scrub import Identifiers, harmless
from pacstui.transform.source import Span
from pacstui.transform.structured import (
    REMOVED,
    clean_annotations,
    clean_content,
    code_item,
    codes,
    dummy_annotations,
    dummy_content,
    dummy_document,
)
from pacstui.transform.tree import NUMBER_VRS, PIXELS, Element, Item, Note, Part10, raw, text_of
from pacstui.transform.values import LONGEST, split

_CLASS: Final = 0x00080016
_STUDY: Final = 0x0020000D
_ZONE: Final = 0x00080201
_OFFSET: Final = re.compile(r"[+-]\d{4}", re.ASCII)
_NAME, _ID, _ISSUER = 0x00100010, 0x00100020, 0x00100021
_CONTENT, _ANNOTATIONS, _DOCUMENT = 0x0040A730, 0x00700001, 0x00420011
_DUMMIES: Final = {
    "AE": REMOVED, "AS": "000Y", "CS": REMOVED, "DA": "19000101", "DS": "0", "DT": "19000101000000", "IS": "0",
    "LO": REMOVED, "LT": REMOVED, "PN": REMOVED, "SH": REMOVED, "ST": REMOVED, "TM": "000000", "UC": REMOVED,
    "UR": "about:blank", "UT": REMOVED,
}  # fmt: skip
_TEXTS: Final = frozenset(("LO", "LT", "SH", "ST", "UC", "UT", "PN", "UR", "AE"))
_CODES: Final = frozenset(("CS", "DS", "IS", "AS"))
_PLAIN: Final = re.compile(rb"[\t\n\f\r -~]*\0*")
_DATES: Final = frozenset(("DA", "DT", "TM"))
_PUBLIC_SCHEMES: Final = frozenset((
    "DCM", "SCT", "SRT", "SNM3", "99SDM", "UCUM", "LN", "RADLEX", "FMA", "NCIT", "I9C", "I10", "ICD10", "ICDO3", "MA",
    "UMLS", "NEU", "UBERON", "RFC5646", "ISO3166_1",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deidentifier:
    """The basic profile with options, compiled."""

    profile: Profile
    pseudonyms: Pseudonyms
    safe: Safe | None
    words: frozenset[str]
    send_doubtful: bool

    def apply(self, part: Part10, note: Note) -> None:
        """De-identify an object.

        Raises
        ------
        Refused
            When a person has to look at its pixels or listen to it first.
        TransformError
            When a value cannot be judged.
        """
        why = "" if self.send_doubtful else doubt(part.root)
        if why:
            raise Refused(
                f"a person has to look at it before it may leave: {why}",
                'look at it; burned_in = "send" (--burned-in send) lets such objects go with the pixels as they are',
            )
        _Work(self, part, note).whole()


class _Work:
    """One object on its way."""

    def __init__(self, rules: Deidentifier, part: Part10, note: Note) -> None:
        root, self.source = part.root, part.source
        self.rules, self.profile, self.pseudonyms = rules, rules.profile, rules.pseudonyms
        self.root, self.note = root, note
        self.sop_class = root.text(0x00080016)
        self.person = _patient(root)
        self.identifiers = Identifiers()
        self.identifiers.collect(root, lambda tag, vr: self._action(tag, vr, root) in ("K", "C"))

    def whole(self) -> None:
        code = self.pseudonyms.code(self.person)
        self.item(self.root)
        if _STUDY in self.root.elements:  # what is of no patient, such as a colour palette, gets none
            for tag, vr in ((_NAME, "PN"), (_ID, "LO")):
                self.root.put(tag, vr, code)
        self.marks()

    def marks(self) -> None:
        """Say in the copy what was done (PS3.15 E.1.1 6, E.2, E.3)."""
        root, options = self.root, self.profile.options
        told = {"K": "UNMODIFIED", "C": "MODIFIED"}.get(self.profile.dates, "REMOVED")
        root.put(0x00120062, "CS", "YES")
        root.put(0x00120063, "LO", f"PACSTUI, PS3.15 E, basic profile, {len(options)} options")
        root.put(0x00280303, "CS", told)
        items = [code_item(root, BASIC[0], "DCM", BASIC[1])]
        items += [code_item(root, OPTIONS[name][1], "DCM", OPTIONS[name][2]) for name in OPTIONS if name in options]
        root.elements[0x00120064] = codes(root, *items)
        for tag in (0x00120062, 0x00120063, 0x00120064, 0x00280303):
            self.note(root, tag, "set", None, root.elements[tag])

    def _action(self, tag: int, vr: str, item: Item) -> str:
        return self.profile.action(tag, vr, self.sop_class, item is self.root)

    def item(self, item: Item) -> None:
        """De-identify an item and what is nested in it."""
        safe = set(self.rules.safe.keeps(item)) if self.rules.safe is not None else set()
        person = self._whose(item)
        for tag in list(item.elements):
            before = item.elements[tag]
            group = tag >> 16
            if group & 1:
                action = "K" if tag in safe else "X"
            elif group <= 4 or group >> 8 == 0x50 or group >> 8 == 0x60:
                action = "X"  # of commands, files and directories; curves; overlays
            else:
                action = self._action(tag, before.vr, item)
            if tag in (_NAME, _ID):
                after: Element | None = Element("PN" if tag == _NAME else "LO", self.pseudonyms.code(person))
                action = "Z"
            else:
                after = self.after(item, tag, before, action)
            if after is None:
                del item.elements[tag]
            else:
                item.elements[tag] = after
            if after is not before:
                self.note(item, tag, action, before, after)

    def _whose(self, item: Item) -> Person:
        """Return whose item it is: who it names itself, else who the whole object is of."""
        patient = item.text(_ID) if item is not self.root else ""
        if not patient or patient == self.person.patient_id:
            return self.person
        return Person(patient, item.text(_ISSUER))

    def after(self, item: Item, tag: int, before: Element, action: str) -> Element | None:
        """Return what takes the place of an element; None to remove it."""
        if action == "X":
            return None
        if action == "Z":
            return Element("SQ", items=[]) if before.items is not None else Element(before.vr)
        if before.items is not None:
            return self.sequence(item, tag, before, action)
        if action == "D":
            return self.dummy(item, tag, before)
        if action == "U":
            return self.uids(item, before)
        if action == "C":
            return self.cleaned(item, tag, before)
        return self.kept(item, tag, before)

    def sequence(self, item: Item, tag: int, before: Element, action: str) -> Element:
        """Apply the rules to each item; what a dummy may stand for is replaced."""
        if tag == _CONTENT:
            if action == "D":
                return dummy_content(item)
            options = self.profile.options
            clean_content(
                item, before, "retain-patient-characteristics" in options, "retain-device-identity" in options
            )
        elif tag == _ANNOTATIONS:
            if action == "D":
                before = dummy_annotations(item, before)
            else:
                clean_annotations(before)
        elif action == "C" and _are_codes(before):
            before.items = [each for each in before.items or () if each.text(0x00080102) in _PUBLIC_SCHEMES]
        elif action == "D" and _are_codes(before):
            return codes(item, code_item(item, REMOVED, "99PACSTUI", "Removed"))
        for each in before.items or ():
            self.item(each)
        return before

    def dummy(self, item: Item, tag: int, before: Element) -> Element:
        if tag == _DOCUMENT:
            return Element("OB", dummy_document(self.sop_class))
        vr = before.vr
        if vr == "UI":
            return self.uids(item, before)
        if vr in NUMBER_VRS or vr == "AT":
            return Element(vr, bytes(len(raw(before))))
        return Element(vr, _DUMMIES[vr]) if vr in _DUMMIES else Element(vr, b"\0\0")

    def uids(self, item: Item, before: Element) -> Element:
        """Return an element with new UIDs; those of the standard itself stay."""
        old = [uid.strip() for uid in text_of(item, before).split("\\")]
        new = [uid if not uid or name_of(uid) != uid else self.pseudonyms.uid(uid) for uid in old]
        return Element("UI", "\\".join(new))

    def cleaned(self, item: Item, tag: int, before: Element) -> Element | None:
        """Return an element without what identifies: dates are shifted, words that are not known are left out."""
        vr = before.vr
        if vr == "TM":
            return self.kept(item, tag, before)  # the shift is one of whole days
        if tag == _ZONE and _OFFSET.fullmatch(text_of(item, before)):
            return before
        if vr in ("DA", "DT"):
            moved = [self.pseudonyms.shifted(self.person, value) for value in text_of(item, before).split("\\")]
            return Element(vr, "\\".join(moved)) if all(moved) else self.dummy(item, tag, before)
        if vr == "AE":
            return Element(vr, self.pseudonyms.ae_title(text_of(item, before)))
        if vr in _TEXTS or vr == "CS":
            values = split(vr, self._text(item, tag, before))
            known = [harmless(value, self.identifiers, self.rules.words) for value in values]
            kept = "\\".join(value[: LONGEST.get(vr, 10240)].strip() for value in known if value)
            return Element(vr, kept.upper() if vr == "CS" else kept) if kept else self._base(item, tag, before)
        return self._base(item, tag, before)

    def _base(self, item: Item, tag: int, before: Element) -> Element | None:
        """Return what the profile alone makes of an element."""
        action = Profile(frozenset()).action(tag, before.vr, self.sop_class, item is self.root)
        if action in ("C", "K"):
            return self.dummy(item, tag, before)
        return self.after(item, tag, before, action)

    def _text(self, item: Item, tag: int, element: Element) -> str:
        if isinstance(element.value, Span):
            raise TransformError(
                f"{named(tag)} has a text of {element.value.size:,} bytes, too long to be looked through"
            )
        return text_of(item, element)

    def kept(self, item: Item, tag: int, before: Element) -> Element | None:
        """Return an element that stays, unless the identifiers of this patient stand in it."""
        vr = before.vr
        if tag in PIXELS:
            return before if item is self.root else None  # PS3.15 E.3.1 note 4
        if before.open or (vr_of(tag) == "SQ" and not tag >> 16 & 1):
            return None  # what it holds could not be followed
        if vr == "UI":
            text = text_of(item, before)
            odd = not all(valid_uid(uid.strip()) for uid in text.split("\\") if uid)
            return self.uids(item, before) if tag != _CLASS and (odd or self.identifiers.in_code(text)) else before
        if vr in _DATES:
            return self.dummy(item, tag, before) if self._names(item, tag, before, letters=True) else before
        if vr in _TEXTS or vr in _CODES:
            return self._without(item, tag, before)
        least = 8 if isinstance(before.value, Span) else 6
        if not self.identifiers.in_bytes(self._pieces(before), item.terms, least):
            return before
        return self.dummy(item, tag, before) if vr in NUMBER_VRS else None

    def _without(self, item: Item, tag: int, before: Element) -> Element:
        """Return a text of which the values are left that do not identify the patient."""
        vr, text = before.vr, self._text(item, tag, before)
        if not self._names(item, tag, before):
            return before
        holds = self.identifiers.inside if vr in _TEXTS else self.identifiers.in_code
        values = split(vr, text)
        left = [_DUMMIES[vr] if holds(value) else value for value in values]
        clean = "\\".join(left)
        return Element(vr, clean if left != values and _plain(raw(before)) and not holds(clean) else _DUMMIES[vr])

    def _names(self, item: Item, tag: int, element: Element, letters: bool = False) -> bool:
        """Return whether a text holds an identifier, in the character set of the object or another."""
        text = self._text(item, tag, element)
        if letters and not any(char.isalpha() for char in text):
            return False
        holds = self.identifiers.in_code if element.vr in _CODES else self.identifiers.inside
        return holds(text) or (not _plain(raw(element)) and self.identifiers.in_bytes([raw(element)], item.terms))

    def _pieces(self, element: Element) -> Iterable[bytes]:
        if isinstance(element.value, Span):
            return self.source.pieces(element.value)
        return [raw(element)]


def _plain(value: bytes) -> bool:
    """Return whether a text is printable ASCII, so that it cannot be read in another way."""
    return _PLAIN.fullmatch(value) is not None


def _are_codes(element: Element) -> bool:
    return any(tag in item.elements for item in element.items or () for tag in (0x00080100, 0x00080119, 0x00080120))


def _patient(root: Item) -> Person:
    """Return whose object it is; without Patient ID name and birth date count, else the study."""
    if root.text(_ID):
        return Person(root.text(_ID), root.text(_ISSUER))
    name, birth = root.text(_NAME), root.text(0x00100030)
    return Person("", "", f"{name}\n{birth}" if name else root.text(_STUDY))
