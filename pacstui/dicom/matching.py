"""Attribute matching of queries (PS3.4 C.2.2.2): what a key asks for, and whether a value is that.

Only ``*`` and ``?`` are special. Names are compared without regard to case and by component group, other text exactly.
Dates and times are compared as what they mean: ``1030`` and ``103000.000`` are one time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

UNIVERSAL, SINGLE, LIST, WILDCARD, RANGE, NOTHING = "universal", "single", "list", "wildcard", "range", "nothing"

_WILD_VRS: Final = frozenset(["AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"])
_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?")


@dataclass(frozen=True, slots=True)
class Match:
    """What a key asks for.

    ``kind`` is one of the words above; ``values`` are the single value, the values of a list, the pattern, or lower
    and upper end of a range, empty where it is open. Dates are ``YYYYMMDD``, times ``HHMMSSFFFFFF``. ``nothing`` is
    asked for by a value that no attribute of that VR can have.
    """

    vr: str
    kind: str
    values: tuple[str, ...] = ()

    @property
    def is_universal(self) -> bool:
        """Whether every value matches, also an absent one."""
        return self.kind == UNIVERSAL


def normal_date(text: str) -> str:
    """Return a DA as ``YYYYMMDD``, empty if it is none."""
    match = _DATE.fullmatch(text.strip())
    return "".join(match.groups()) if match else ""


def normal_time(text: str, last: bool = False) -> str:
    """Return a TM as ``HHMMSSFFFFFF``, empty if it is none.

    What it leaves open is the first moment of it, or with ``last`` the last one.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return ""
    hours, minutes, seconds, fraction = match.groups()
    rest = ("59", "59", "999999") if last else ("00", "00", "000000")
    if fraction is not None:
        fraction += (rest[2] if last else "000000")[len(fraction) :]
    return f"{hours}{minutes or rest[0]}{seconds or rest[1]}{fraction or rest[2]}"


def match_of(vr: str, text: str) -> Match:
    """Return what the key ``text`` (without padding) of VR ``vr`` asks for."""
    if not text or text.strip("*") == "":
        return Match(vr, UNIVERSAL)
    if vr == "UI":
        values = tuple(each.strip(" \0") for each in text.split("\\") if each.strip(" \0"))
        return Match(vr, LIST if len(values) > 1 else SINGLE, values)
    if vr in ("DA", "TM"):
        return _moment(vr, text)
    if vr in _WILD_VRS:
        values = tuple(each.strip(" ") for each in text.split("\\")) if vr == "CS" else (text,)
        if len(values) > 1:
            return Match(vr, LIST, values)
        return Match(vr, WILDCARD if "*" in text or "?" in text else SINGLE, values)
    return Match(vr, SINGLE, (text.strip(" "),))


def _moment(vr: str, text: str) -> Match:
    whole = normal_date if vr == "DA" else normal_time
    if vr == "DA" and whole(text):  # an old form has hyphens of its own
        return Match(vr, SINGLE, (whole(text),))
    low, hyphen, high = text.partition("-")
    if not hyphen:
        return Match(vr, SINGLE, (whole(text),)) if whole(text) else Match(vr, NOTHING)
    low, high = low.strip(" "), high.strip(" ")
    first = whole(low) if low else ""
    last = (normal_date(high) if vr == "DA" else normal_time(high, last=True)) if high else ""
    if (low and not first) or (high and not last) or not (low or high):
        return Match(vr, NOTHING)
    return Match(vr, RANGE, (first, last))


def between(date: str, time: str, dates: Match, times: Match) -> bool:
    """Return whether a moment lies in a range of dates and times taken together (PS3.4 C.2.2.2.5.1): from the first
    date's first time to the last date's last time."""
    day, clock = normal_date(date), normal_time(time or "00")
    if not day:
        return False
    moment = day + clock
    low = dates.values[0] and dates.values[0] + (times.values[0] or "0" * 12)
    high = dates.values[1] and dates.values[1] + (times.values[1] or "9" * 12)
    return (not low or low <= moment) and (not high or moment <= high)


@lru_cache(maxsize=512)
def pattern(text: str, fold: bool = False) -> re.Pattern[str]:
    """Return a wildcard key as a regular expression for whole values."""
    parts = [".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", text)]
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if fold else 0))


def groups_of(name: str) -> list[str]:
    """Return the component groups of a PN without what says nothing at their ends (PS3.5 6.2.1)."""
    return [group.strip(" ").rstrip("^ ") for group in name.split("=")]


def comparison(match: Match, fuzzy: Callable[[str], str] | None = None) -> Callable[[str], bool]:
    """Return a test of values for a key.

    Parameters
    ----------
    fuzzy
        Brings names into the form in which they are compared, for both sides; by default only case does not matter.
    """
    kind, values = match.kind, match.values
    if kind == UNIVERSAL:
        return lambda value: True
    if kind == NOTHING:
        return lambda value: False
    if match.vr == "PN":
        return _name_test(match, fuzzy or str.casefold)
    if kind == RANGE:
        low, high = values
        whole = normal_date if match.vr == "DA" else normal_time

        def within(value: str) -> bool:
            moment = whole(value)
            return bool(moment) and (not low or low <= moment) and (not high or moment <= high)

        return within
    if match.vr in ("DA", "TM"):
        whole = normal_date if match.vr == "DA" else normal_time
        return lambda value: whole(value) == values[0]
    if match.vr in ("IS", "DS"):
        return _number_test(values[0])
    if kind == WILDCARD:
        whole_match = pattern(values[0]).fullmatch
        return lambda value: any(whole_match(each.strip(" ")) for each in value.split("\\"))
    wanted = frozenset(values)
    return lambda value: value in wanted or any(each.strip(" ") in wanted for each in value.split("\\"))


def _number_test(text: str) -> Callable[[str], bool]:
    try:
        wanted = float(text)
    except ValueError:
        return lambda value: value == text

    def test(value: str) -> bool:
        try:
            return any(float(each) == wanted for each in value.split("\\"))
        except ValueError:
            return False

    return test


def _name_test(match: Match, form: Callable[[str], str]) -> Callable[[str], bool]:
    """One group asked for matches any group of a name; of several each matches the group at its place."""
    asked = groups_of(match.values[0])
    tests = [_group_test(group, form) for group in asked]

    def test(value: str) -> bool:
        groups = groups_of(value)
        if len(tests) == 1:
            return any(tests[0](group) for group in groups)
        return all(each(groups[at] if at < len(groups) else "") for at, each in enumerate(tests))

    return test


def _group_test(asked: str, form: Callable[[str], str]) -> Callable[[str], bool]:
    if not asked.strip("*"):
        return lambda group: True
    if "*" in asked or "?" in asked:
        whole_match = pattern(form(asked)).fullmatch
        return lambda group: whole_match(form(group)) is not None
    wanted = form(asked)
    return lambda group: form(group) == wanted
