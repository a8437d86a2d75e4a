"""Conditions on what an object says of itself: ``BodyPartExamined = CHEST | ABDOMEN``.

A condition is a keyword of PS3.6 (or a tag), an operator and a value. Any attribute that the index holds may be asked
for, so that a rule says the same of an object that comes and of one that came yesterday.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from pacstui.dicom.dictionary import keyword_of, tag_of
from pacstui.errors import BadRequest
from pacstui.index.attributes import ATTRIBUTES, IMAGE
from pacstui.text import safe

ALLOWED = (
    'write KEYWORD = VALUE, as "BodyPartExamined = CHEST | ABDOMEN"; also !=, <, <=, >, >=, "KEYWORD present" and '
    '"KEYWORD absent". * stands for anything, ? for one character, case does not matter'
)
_SHAPE = re.compile(
    r"\s*(\(?[0-9A-Fa-f]{4},?[0-9A-Fa-f]{4}\)?|[A-Za-z]+)\s*(!=|<=|>=|=|<|>|\s(?:present|absent)\b)(.*)", re.S
)
_LONGEST = 500
_VALUES = 64
_MODALITIES_IN_STUDY = 0x00080061

Values = Callable[[int], str]
"""Gives the value of a tag as text, several separated by a backslash; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, made ready. ``text`` is how it is written."""

    tag: int
    text: str
    test: Callable[[str], bool]

    def holds(self, values: Values) -> bool:
        """Return whether it holds for an object."""
        return self.test(values(self.tag))


class Patterns:
    """Texts with * and ?, one of which has to fit; none at all fits everything."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._found = re.compile("|".join(translate(each.strip()) for each in texts), re.IGNORECASE) if texts else None

    def fit(self, text: str) -> bool:
        """Return whether a text is one of those that are meant."""
        return self._found is None or self._found.match(text.strip()) is not None


@lru_cache(1024)
def condition_of(text: str) -> Condition:
    """Return the condition that a text means.

    Raises
    ------
    BadRequest
        When it cannot be understood, or asks for what the index does not hold.
    """
    found = _SHAPE.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise BadRequest(f'"{safe(text, 80)}" is no condition', ALLOWED)
    name, operator, value = found[1], found[2].strip(), found[3].strip()
    tag = _tag(name)
    said = keyword_of(tag)
    if operator in ("present", "absent"):
        if value:
            raise BadRequest(f'"{safe(text, 80)}" has a value after "{operator}"', ALLOWED)
        wanted = operator == "present"
        return Condition(tag, f"{said} {operator}", lambda has: bool(has.strip("\\ ")) is wanted)
    if not value:
        raise BadRequest(f'"{safe(text, 80)}" has no value', ALLOWED)
    if operator in ("=", "!="):
        choices = [each.strip() for each in value.split("|")]
        if not all(choices) or len(choices) > _VALUES:
            raise BadRequest(f'"{safe(text, 80)}" has an empty value, or more than {_VALUES}', ALLOWED)
        return Condition(tag, f"{said} {operator} {' | '.join(choices)}", _equal(choices, operator == "="))
    if "|" in value:
        raise BadRequest(f'"{safe(text, 80)}" compares with one value only', ALLOWED)
    return Condition(tag, f"{said} {operator} {value}", _compare(operator, value))


def _tag(name: str) -> int:
    tag = int(re.sub("[(),]", "", name), 16) if re.fullmatch(r"\(?[0-9A-Fa-f]{4},?[0-9A-Fa-f]{4}\)?", name) else 0
    tag = tag or tag_of(name)
    if not tag:
        raise BadRequest(
            f"{safe(name, 60)} is no keyword of the standard", "keywords are those of PS3.6, as StudyDescription"
        )
    if tag == _MODALITIES_IN_STUDY:
        raise BadRequest("ModalitiesInStudy is not known while a study comes", "ask for Modality")
    known = ATTRIBUTES[IMAGE].get(tag)
    if known is None or known.computed:
        raise BadRequest(
            f"{keyword_of(tag)} is not indexed",
            "add it to [query] study_attributes, series_attributes or image_attributes, and restart the node",
        )
    return tag


def _equal(choices: Sequence[str], wanted: bool) -> Callable[[str], bool]:
    patterns = Patterns(choices)

    def test(has: str) -> bool:
        return any(patterns.fit(each) for each in has.split("\\")) is wanted

    return test


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _compare(operator: str, value: str) -> Callable[[str], bool]:
    number = _number(value)
    compare: dict[str, Callable[[int], bool]] = {
        "<": lambda sign: sign < 0,
        "<=": lambda sign: sign <= 0,
        ">": lambda sign: sign > 0,
        ">=": lambda sign: sign >= 0,
    }
    accept = compare[operator]

    def test(has: str) -> bool:
        for each in has.split("\\"):
            each = each.strip()
            if not each:
                continue
            other = _number(each) if number is not None else None
            sign = (other > number) - (other < number) if number is not None and other is not None else 0
            if number is None or other is None:
                sign = (each > value) - (each < value)
            if accept(sign):
                return True
        return False

    return test
