"""What all objects of a study say of patient and order: counted as they arrive, and where they disagree.

The first object of a study may be the odd one: one that was sent again by hand, or made under another patient's
worklist item. What most of them say counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pacstui.index.fold import fold
from pacstui.qc import likeness
from pacstui.qc.likeness import Kind
from pacstui.qc.told import Told
from pacstui.text import safe

MOST: Final = 32
"""Different sayings of one study that are kept apart; more are counted as the first."""
_SHOWN: Final = 4


class Saying(NamedTuple):
    """What an object says; as :class:`pacstui.events.InstanceStored` tells it."""

    name: str
    patient_id: str
    issuer: str
    born: str
    sex: str
    accession: str


@dataclass(frozen=True, slots=True)
class Difference:
    """An attribute that objects of a study say otherwise, with how many say what, most first; empty text is none."""

    attribute: str
    values: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Sayings:
    """How many objects say what, in the order of arrival."""

    counts: dict[Saying, int] = field(default_factory=dict)

    def add(self, said: Sequence[str], objects: int = 1) -> None:
        """Count what objects say."""
        counts = self.counts
        if said in counts:  # as nearly always: an equal tuple is found without being made one of these
            counts[said] += objects
            return
        saying = Saying(*said)
        if saying not in counts and len(counts) >= MOST:
            saying = next(iter(counts))
        counts[saying] = counts.get(saying, 0) + objects

    def with_more(self, other: Sayings | None) -> Sayings:
        """Return these and others together."""
        both = Sayings(dict(self.counts))
        for saying, objects in other.counts.items() if other is not None else ():
            both.add(saying, objects)
        return both

    def without(self, other: Sayings) -> Sayings:
        """Return these less others."""
        left = {saying: objects - other.counts.get(saying, 0) for saying, objects in self.counts.items()}
        return Sayings({saying: objects for saying, objects in left.items() if objects > 0})

    @property
    def total(self) -> int:
        """How many objects were counted."""
        return sum(self.counts.values())

    def told(self) -> Told | None:
        """Return whose the study is and what accession number it has by most of its objects; none without any."""
        if not self.counts:
            return None
        known = {(s.patient_id, s.issuer): 0 for s in self.counts if s.patient_id.strip()} or {("", ""): 0}
        for saying, objects in self.counts.items():
            if (saying.patient_id, saying.issuer) in known:
                known[saying.patient_id, saying.issuer] += objects
        whose = max(known, key=lambda each: known[each])
        same = {s: n for s, n in self.counts.items() if (s.patient_id, s.issuer) == whose} or self.counts
        best = max(same, key=lambda each: same[each])
        numbers = self._values("accession")
        accession = next((text for text, _ in numbers if text.strip()), "")
        return Told(best.name, best.patient_id, best.issuer, best.born, best.sex, accession)

    def differences(self) -> tuple[Difference, ...]:
        """Return the attributes that objects say otherwise. That some do not tell a name, birth date or sex is none."""
        found = []
        for attribute, label in (
            ("patient_id", "patient ID"), ("accession", "accession number"), ("name", "name"), ("born", "born"),
            ("sex", "sex"),
        ):  # fmt: skip
            values = self._values(attribute)
            if attribute not in ("patient_id", "accession"):
                values = [each for each in values if each[0].strip()]
            if len(values) > 1:
                found.append(Difference(label, tuple(values)))
        return tuple(found)

    def _values(self, attribute: str) -> list[tuple[str, int]]:
        """Return what an attribute has, each with how many objects have it, most first; notation does not count."""
        first: dict[str, str] = {}
        counts: dict[str, int] = {}
        for saying, objects in self.counts.items():
            text = str(getattr(saying, attribute)).strip()
            key = fold(text.replace("=", " ")) if attribute == "name" else fold(text)
            first.setdefault(key, text)
            counts[key] = counts.get(key, 0) + objects
        return sorted(((first[key], count) for key, count in counts.items()), key=lambda each: -each[1])

    def grave(self) -> str:
        """Return in words what keeps a study from being matched without a look: accession numbers of two orders, or
        somebody else's name and birth date; empty if there is nothing."""
        named = {each.attribute: each for each in self.differences()}
        numbers = [each for each in _values_of(named.get("accession number")) if each[0]]
        if len(numbers) > 1:
            return f"its objects have several accession numbers: {spelled(numbers)}"
        names, births = _values_of(named.get("name")), _values_of(named.get("born"))
        if len(births) > 1 and any(likeness.names(names[0][0], other).kind is Kind.DIFFERENT for other, _ in names[1:]):
            return f"its objects name several patients: {spelled(names)}"
        return ""

    def dumped(self) -> list[list[object]]:
        """Return these as JSON keeps them."""
        return [[*saying, objects] for saying, objects in self.counts.items()]


@dataclass(frozen=True, slots=True)
class Said:
    """What objects of a study say: ``counts`` what counts, none where a person has corrected the study or nothing can
    be read; ``counted`` what was counted as they came, which is less for objects from before that was done."""

    counts: Sayings | None
    counted: Sayings


def _values_of(difference: Difference | None) -> tuple[tuple[str, int], ...]:
    return difference.values if difference is not None else ()


def spelled(values: Iterable[tuple[str, int]]) -> str:
    """Return what objects say, with how many of them, in words."""
    shown = list(values)
    told = ", ".join(f"{safe(text, 64) or '(none)'} in {count:,}" for text, count in shown[:_SHOWN])
    return told + (f" and {len(shown) - _SHOWN:,} more" if len(shown) > _SHOWN else "")


def loaded(text: str) -> Sayings:
    """Return what a row of ``matches`` keeps of them; none of a row from before they were kept."""
    found = Sayings()
    for each in json.loads(text).get("said", ()) if text else ():
        found.add(tuple(map(str, each[:6])), int(each[6]))
    return found
