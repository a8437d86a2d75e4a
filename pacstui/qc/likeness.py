"""How alike two spellings of one thing are: names, identifiers, dates. No I/O, and no text makes these raise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from pacstui.index.fold import fold

_LONG: Final = 64
"""Longer parts of a name are compared up to here."""


class Kind(IntEnum):
    """How two values compare, least agreement first. ``ALIKE`` is the same thing written another way, which nobody
    needs to look at; ``SLIP`` is what a hurried hand makes of it."""

    DIFFERENT = 0
    MISSING = 1
    SLIP = 2
    ALIKE = 3
    SAME = 4


@dataclass(frozen=True, slots=True)
class Likeness:
    """A comparison and, in a few words, what is not the same."""

    kind: Kind
    how: str = ""


SAME: Final = Likeness(Kind.SAME)
MISSING: Final = Likeness(Kind.MISSING)


def distance(one: str, other: str, most: int) -> int:
    """Return how many letters have to be put in, left out, changed or swapped with their neighbour to make one text of
    the other; ``most + 1`` where it is more than ``most``.

    The distance of optimal string alignment, computed in a band of ``most`` about the diagonal.
    """
    if one == other:
        return 0
    if abs(len(one) - len(other)) > most:
        return most + 1
    width, far = len(other), most + 1
    before: list[int] = []
    last = [min(j, far) for j in range(width + 1)]
    for i, letter in enumerate(one, 1):
        row = [far] * (width + 1)
        if i <= most:
            row[0] = i
        for j in range(max(1, i - most), min(width, i + most) + 1):
            cost = min(last[j - 1] + (letter != other[j - 1]), last[j] + 1, row[j - 1] + 1)
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == other[j - 1]:
                cost = min(cost, before[j - 2] + 1)
            row[j] = min(cost, far)
        if min(row) > most:
            return far
        before, last = last, row
    return last[width]


def _bound(one: str, other: str) -> int:
    """Return how many letters may differ: none in short words, where each makes another name of it."""
    length = max(len(one), len(other))
    return 0 if length < 4 else 1 if length < 8 else 2


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())[:_LONG]


def _plain(text: str) -> str:
    """Return a folded word so that ``mueller`` and ``muller`` (for ``Müller``), ``aas`` and ``as`` (``Ås``) agree."""
    for two, one in (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a")):
        text = text.replace(two, one)
    return text


@dataclass(frozen=True, slots=True)
class _Name:
    """The first three components of a group (PS3.5 6.2.1.1): folded, and as letters only."""

    whole: str
    family: str
    given: str
    middle: str
    words: tuple[str, ...]


@lru_cache(maxsize=2048)
def _groups(name: str) -> tuple[_Name, ...]:
    found = []
    for group in name.split("=")[:3]:
        parts = [fold(part) for part in group.split("^")[:3]]
        if len(parts) == 1 and "," in group:  # written as people do, not as the standard does
            family, _, given = group.partition(",")
            parts = [fold(family), fold(given)]
        words = tuple(word for part in parts for each in part.split() if (word := _letters(each)))
        family, given, middle, *_ = [*(_letters(part) for part in parts), "", "", ""]
        if words:
            found.append(_Name(" ".join(words), family, given, middle, words))
    return tuple(found)


def names(one: str, other: str) -> Likeness:
    """Compare two person names (VR PN); of several groups of letters the ones that agree best count."""
    pairs = [_name(a, b) for a in _groups(one) for b in _groups(other)]
    if not pairs:
        return MISSING
    return max(pairs, key=lambda each: each.kind)


def _name(a: _Name, b: _Name) -> Likeness:
    if (a.family, a.given, a.middle) == (b.family, b.given, b.middle):
        return SAME
    family_a, family_b, given_a, given_b = map(_plain, (a.family, b.family, a.given, b.given))
    if (family_a, given_a) == (family_b, given_b):
        return _middle(_plain(a.middle), _plain(b.middle))
    words_a, words_b = [_plain(word) for word in a.words], [_plain(word) for word in b.words]
    if words_a == words_b:
        return Likeness(Kind.ALIKE, "divided into parts differently")
    if len(words_a) > 1 and sorted(words_a) == sorted(words_b):
        return Likeness(Kind.SLIP, "parts swapped")
    straight = _parts(a.family, a.given, b.family, b.given) or _parts(family_a, given_a, family_b, given_b)
    crossed = _parts(a.family, a.given, b.given, b.family) or _parts(family_a, given_a, given_b, family_b)
    if straight is not None:
        return straight
    if crossed is not None and given_a and given_b:
        return Likeness(Kind.SLIP, f"parts swapped, {crossed.how}")
    if given_a == given_b and given_a and _double(a, b):
        return Likeness(Kind.SLIP, "one part of a double family name only")
    if given_a == given_b and given_a:
        return Likeness(Kind.DIFFERENT, "another family name")
    if family_a == family_b and family_a:
        return Likeness(Kind.DIFFERENT, "another given name")
    return Likeness(Kind.DIFFERENT, "another name")


def _middle(a: str, b: str) -> Likeness:
    if a == b:
        return Likeness(Kind.ALIKE, "spelled without special letters")
    if not a or not b or (min(len(a), len(b)) == 1 and a[0] == b[0]):
        return Likeness(Kind.ALIKE, "middle name not in both")
    if distance(a, b, 2) <= _bound(a, b):
        return Likeness(Kind.SLIP, "middle name misspelled")
    return Likeness(Kind.SLIP, "another middle name")


def _parts(family_a: str, given_a: str, family_b: str, given_b: str) -> Likeness | None:
    """Compare family and given name, each with a few slips; none if they are other ones."""
    if not family_a or not family_b:
        return None
    wrong = distance(family_a, family_b, 2)
    if wrong > _bound(family_a, family_b):
        return None
    if not given_a or not given_b:
        missing = "given name missing"
        return Likeness(Kind.SLIP, f"{missing}, {_spelled(wrong)}" if wrong else missing)
    if min(len(given_a), len(given_b)) == 1 and given_a[0] == given_b[0]:
        initial = "given name as an initial"
        return Likeness(Kind.SLIP, f"{initial}, {_spelled(wrong)}" if wrong else initial)
    more = distance(given_a, given_b, 2)
    if more > _bound(given_a, given_b):
        return None
    return Likeness(Kind.SLIP, _spelled(wrong + more)) if wrong + more else Likeness(Kind.SLIP, "written differently")


def _spelled(wrong: int) -> str:
    return "1 letter differs" if wrong == 1 else f"{wrong} letters differ"


def _double(a: _Name, b: _Name) -> bool:
    """Return whether one family name is at the beginning or end of the other, as of double names."""
    short, long = sorted((a.family, b.family), key=len)
    return len(short) >= 3 and (long.startswith(short) or long.endswith(short))


def normal(identifier: str) -> str:
    """Return an identifier without regard to case, blanks, punctuation and leading zeros."""
    kept = _letters(fold(identifier))
    return kept.lstrip("0") or kept


def identifiers(one: str, other: str) -> Likeness:
    """Compare two identifiers: Patient IDs, or accession numbers."""
    a, b = one.strip(), other.strip()
    if not a or not b:
        return MISSING
    if a == b:
        return SAME
    plain_a, plain_b = normal(a), normal(b)
    if not plain_a or not plain_b:
        return Likeness(Kind.DIFFERENT, "another one")
    if plain_a == plain_b:
        return Likeness(Kind.ALIKE, _written(a, b))
    if min(len(plain_a), len(plain_b)) >= 5 and distance(plain_a, plain_b, 1) == 1:
        swapped = sorted(plain_a) == sorted(plain_b)
        return Likeness(Kind.SLIP, "two characters swapped" if swapped else "one character differs")
    return Likeness(Kind.DIFFERENT, "another one")


def _written(a: str, b: str) -> str:
    if a.casefold() == b.casefold():
        return "capitals differ"
    if a.lstrip("0") == b.lstrip("0"):
        return "leading zeros differ"
    return "blanks or signs differ"


def is_date(text: str) -> bool:
    """Return whether a text is a date as the index has them, YYYYMMDD."""
    return len(text) == 8 and text.isascii() and text.isdigit()


def dates(one: str, other: str) -> Likeness:
    """Compare two dates of birth (VR DA)."""
    a, b = one.strip(), other.strip()
    if not is_date(a) or not is_date(b):
        return MISSING
    if a == b:
        return SAME
    if a[:4] == b[:4] and a[4:6] == b[6:] and a[6:] == b[4:6]:
        return Likeness(Kind.SLIP, "day and month swapped")
    wrong = [at for at in range(8) if a[at] != b[at]]
    if len(wrong) == 1:
        return Likeness(Kind.SLIP, "one digit differs")
    if len(wrong) == 2 and a[wrong[0]] == b[wrong[1]] and a[wrong[1]] == b[wrong[0]]:
        return Likeness(Kind.SLIP, "two digits swapped")
    return Likeness(Kind.DIFFERENT, "another day")


def slips_of(date: str) -> Iterator[str]:
    """Yield a date, and the dates that differ from it by day and month swapped or two neighbouring digits swapped."""
    yield date
    if is_date(date):
        seen = {date}
        turned = [date[:4] + date[6:] + date[4:6]]
        turned += [date[:at] + date[at + 1] + date[at] + date[at + 2 :] for at in range(7)]
        for each in turned:
            if each not in seen:
                seen.add(each)
                yield each
