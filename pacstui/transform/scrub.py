"""Finds what identifies a patient where it does not belong, and keeps of descriptions what is known to be harmless."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from pacstui.dicom import charset
from pacstui.dicom.dictionary import vr_of
from pacstui.transform.table import table
from pacstui.transform.tree import Item, text_of
from pacstui.transform.vocabulary import WORDS

_WORD = re.compile(r"[^\W\d_]+", re.UNICODE)
_TOKEN = re.compile(r"[^\W_]+|[+/&.-]", re.UNICODE)
_MEASURE = re.compile(r"\d{1,3}(?:[.,]\d{1,2})?(?:mm|cm|s|ms|deg|kv|x)|t[12]|[23]d|[0-9]", re.IGNORECASE | re.ASCII)
_SHORTEST: Final = 4
_LONG: Final = 6
_COLLECTED: Final = frozenset(("LO", "PN", "SH", "ST", "UC", "DA"))
_OVERLAP: Final = 1 << 10
_FEWEST: Final = 2


_NOTHING: Final = re.compile("(?!)")
_INSTITUTION: Final = (0x00080080, 0x00080081, 0x00100021)
_TELLING: Final = 10


@dataclass(slots=True)
class Identifiers:
    """What was found in a data set that must not be left in it, case-folded.

    ``whole`` are values, which are looked for anywhere in a text; ``words`` are parts of names: long ones are looked
    for anywhere too, short ones as words. ``written`` is how they stood there.
    """

    whole: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    _long: list[str] = field(default_factory=list)
    _short: re.Pattern[str] = _NOTHING
    _bytes: list[bytes] | None = None
    _terms: str = ""

    def collect(self, root: Item, kept: Callable[[int, str], bool]) -> None:
        """Take the identifiers of a data set and its items: names of people, and what else tells who the patient is.

        ``kept`` says whether an attribute of that VR is retained as it is: its value is none then.
        """
        for item in root.below():
            for tag, element in item.elements.items():
                vr = element.vr if element.vr != "UN" else vr_of(tag)
                if element.items is not None or vr not in _COLLECTED or kept(tag, vr):
                    continue
                if vr == "PN" or vr_of(tag) == "PN":
                    self._name(text_of(item, element))
                elif _is_identifier(tag, vr):
                    for value in text_of(item, element).split("\\"):
                        if vr == "DA":
                            self._date(value)
                        elif tag not in _INSTITUTION or len(value) >= _TELLING:
                            self._value(value)
        short = "|".join(re.escape(one) for one in sorted(self.whole) if not _is_long(one))
        self._short = re.compile(rf"(?<![^\W_])(?:{short})(?![^\W_])" if short else _NOTHING.pattern)
        self._long = sorted(one for one in self.whole | self.words if _is_long(one))

    def _value(self, value: str) -> None:
        plain = _folded(value)
        shortest = _SHORTEST + plain.isdigit() if plain.isascii() else _FEWEST
        if len(plain) >= shortest:
            self.whole.add(plain)
            self.written.add(value.strip())

    def _date(self, value: str) -> None:
        """Take a date in the usual ways to write it."""
        if len(value) == 8 and value.isdigit():
            year, month, day = value[:4], value[4:6], value[6:]
            for form in ("{0}{1}{2}", "{0}-{1}-{2}", "{2}.{1}.{0}", "{2}/{1}/{0}", "{1}/{2}/{0}", "{2}{1}{0}"):
                self._value(form.format(year, month, day))

    def _name(self, name: str) -> None:
        for one in name.split("\\"):
            for group in one.split("="):
                self._value(group.strip("^ "))
                self._value(" ".join(part for part in re.split(r"[\^ ]+", group) if part))
                for part in _WORD.findall(group):
                    word = _folded(part)
                    if len(word) > _FEWEST or (not word.isascii() and len(word) == _FEWEST):
                        self.words.add(word)
                        if len(word) >= _SHORTEST or not word.isascii():
                            self.written.add(part)

    def inside(self, text: str) -> bool:
        """Return whether a text holds one of them."""
        plain = _folded(text)
        if not plain:
            return False
        if any(one in plain for one in self._long) or self._short.search(plain):
            return True
        return not self.words.isdisjoint(_WORD.findall(plain))

    def in_code(self, text: str) -> bool:
        """Return whether one of several codes or numbers is one of them, or holds a long one.

        Words of the vocabulary do not count: some are names of people too.
        """
        codes = [_folded(code) for code in text.split("\\")]
        if any(one in code for one in self._long if one not in WORDS for code in codes):
            return True
        return any(code in self.whole and code not in WORDS for code in codes)

    def in_bytes(self, pieces: Iterable[bytes], terms: str, least: int = _SHORTEST) -> bool:
        """Return whether data, given in pieces, hold one of them in any likely encoding, of ``least`` bytes or more.

        The more there is of what is no text, the likelier a short one stands there by chance.
        """
        if self._bytes is None or self._terms != terms:
            self._bytes = sorted({each for one in self.written for each in _encodings(one, terms)})
            self._terms = terms
        tail = b""
        for piece in pieces:
            low = tail + piece.lower()
            if any(one in low for one in self._bytes if len(one) >= least):
                return True
            tail = low[-_OVERLAP:]
        return False


_IDENTIFYING: Final = frozenset((
    0x00080050, 0x00080080, 0x00080081, 0x00200010, 0x00321000, 0x00400009, 0x00400253, 0x00401001, 0x00401005,
    0x00402016, 0x00402017, 0x0040A023, 0x0040A027,
))  # fmt: skip
"""Numbers of orders and procedures, and the institution."""
_GROUPS: Final = (0x0010, 0x0012, 0x0038)


def _is_identifier(tag: int, vr: str) -> bool:
    """Return whether a protected attribute tells by its value who the patient is, and is no description."""
    if vr == "DA":
        return tag == 0x00100030
    options = table()[tag][1] if tag in table() else {}
    return (tag >> 16 in _GROUPS or tag in _IDENTIFYING) and "d" not in options and "p" not in options


def _is_long(one: str) -> bool:
    """Return whether it is looked for inside of words too, which not all scripts divide."""
    return len(one) >= _LONG or not one.isascii()


def _encodings(text: str, terms: str) -> Iterable[bytes]:
    """Yield a text as the bytes that it may be, in capitals and not; ASCII in small letters."""
    for form in (text, text.lower(), text.upper(), text.title()):
        for codec in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
            try:
                yield form.encode(codec).lower()
            except UnicodeEncodeError:
                continue
        encoded = charset.encode(form, terms)
        if encoded is not None:
            yield encoded.lower()


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("^", " ").split())


def harmless(text: str, identifiers: Identifiers, more: frozenset[str] = frozenset()) -> str:
    """Return of a description what is known to be harmless: words of the vocabulary, and measures.

    Everything else is left out, so that neither names nor ages or dates are kept (PS3.15 E.3.5 note 2).
    """
    kept: list[str] = []
    for token in _TOKEN.findall(text):
        word = token.casefold()
        known = word in WORDS or word in more or _MEASURE.fullmatch(word)
        harmless = known and word not in identifiers.words and word not in identifiers.whole
        if harmless or (kept and len(token) == 1 and not token.isalnum() and kept[-1].isalnum()):
            kept.append(token)
    while kept and not kept[-1].isalnum():
        kept.pop()
    return re.sub(r" ?([/.-]) ?", r"\1", " ".join(kept)) if any(len(word) > 1 for word in kept) else ""
