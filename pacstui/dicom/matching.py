"""Attribute matching of queries (PS3.4 C.2.2.2): what a key asks for, and whether a value is that.

Only ``*`` and ``?`` are special. Names are compared without regard to case and by component group, other text exactly.
Dates and times are compared as what they mean: ``1030`` and ``103000.000`` are one time, and moments (DT) are
compared in UTC. Sequences match where one of their items has all that the key's item asks for.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

from pacstui.dicom.sequences import items_of, name_of

UNIVERSAL, SINGLE, LIST, WILDCARD, RANGE, NOTHING = "universal", "single", "list", "wildcard", "range", "nothing"
SEQUENCE = "sequence"

_WILD_VRS: Final = frozenset(["AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"])
_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?")
_WILD_RUN = re.compile(r"[*?]*\*[*?]*")
_LONGEST: Final = 1024
_DELIMITERS: Final = 4
_MOMENT = r"\d{4}(?:\d\d){0,5}(?:\.\d{1,6})?(?:[+-](?:0\d|1[0-4])[0-5]\d)?"
_PARTS = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?(?:([+-])(\d\d)(\d\d))?", re.ASCII)
_MOMENTS = re.compile(rf"({_MOMENT})?\s*-\s*({_MOMENT})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Match:
    """What a key asks for.

    ``kind`` is one of the words above; ``values`` are the single value, the values of a list, the pattern, or lower
    and upper end of a range, empty where it is open. Dates are ``YYYYMMDD``, times ``HHMMSSFFFFFF``, moments both in a
    row. ``nothing`` is asked for by a value that no attribute of that VR can have. ``items`` are the tags that a key of
    VR SQ names in its item, and what they ask for.
    """

    vr: str
    kind: str
    values: tuple[str, ...] = ()
    items: tuple[tuple[int, Match], ...] = ()

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


def normal_moment(text: str, last: bool = False) -> str:
    """Return a DT as ``YYYYMMDDHHMMSSFFFFFF`` in UTC, empty if it is none (PS3.5 6.2).

    What it leaves open is the first moment of it, or with ``last`` the last one. Without an offset it is taken in the
    zone of this machine.
    """
    match = _PARTS.fullmatch(text.strip())
    if match is None:
        return ""
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    try:
        of_month = calendar.monthrange(int(year), int(month or 1))[1]
        whole = datetime(  # noqa: DTZ001 - its zone follows
            int(year), int(month or (12 if last else 1)), int(day or ((of_month if month else 31) if last else 1)),
            int(hour or (23 if last else 0)), int(minute or (59 if last else 0)),
            min(int(second or (59 if last else 0)), 59), int((fraction or "").ljust(6, "9" if last else "0")),
        )  # fmt: skip
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            whole = whole.replace(tzinfo=timezone(-offset if sign == "-" else offset))
        whole = whole.astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return f"{whole.year:04}{whole:%m%d%H%M%S%f}"


def match_of(vr: str, text: str) -> Match:
    """Return what the key ``text`` (without padding) of VR ``vr`` asks for."""
    if not text or text.strip("*") == "":
        return Match(vr, UNIVERSAL)
    if vr == "UI":
        values = tuple(each.strip(" \0") for each in text.split("\\") if each.strip(" \0"))
        return Match(vr, LIST if len(values) > 1 else SINGLE, values)
    if vr in ("DA", "TM"):
        return _moment(vr, text)
    if vr == "DT":
        return _moments(text)
    if vr in _WILD_VRS:
        values = tuple(each.strip(" ") for each in text.split("\\")) if vr == "CS" else (text,)
        if len(values) > 1:
            return Match(vr, LIST, values)
        if len(text) - text.count("*") > _LONGEST:
            return Match(vr, NOTHING)
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


def _moments(text: str) -> Match:
    """A DT; its hyphen may begin an offset: what can be read as one moment is one."""
    if _PARTS.fullmatch(text.strip()) and re.fullmatch(_MOMENT, text.strip()):
        whole = normal_moment(text)
        return Match("DT", SINGLE, (whole,)) if whole else Match("DT", NOTHING)
    match = _MOMENTS.fullmatch(text.strip())
    if match is None:
        return Match("DT", NOTHING)
    low, high = match.groups()
    first, last = normal_moment(low or ""), normal_moment(high or "", last=True)
    if (low and not first) or (high and not last) or not (low or high):
        return Match("DT", NOTHING)
    return Match("DT", RANGE, (first, last))


def sequence_of(items: Sequence[tuple[int, Match]]) -> Match:
    """Return what a key of VR SQ asks for, given what the elements of its item do (PS3.4 C.2.2.2.6)."""
    asks = any(not match.is_universal for _, match in items)
    return Match("SQ", SEQUENCE if asks else UNIVERSAL, (), tuple(items))


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


def plainer(text: str) -> str:
    """Return a wildcard key with the same meaning in which no two ``*`` stand beside each other or around ``?``."""
    return _WILD_RUN.sub(lambda run: "?" * run[0].count("?") + "*", text)


@lru_cache(maxsize=512)
def pattern(text: str) -> re.Pattern[str]:
    """Return a wildcard key as a regular expression for whole values.

    What stands between two ``*`` is looked for once, from the left (atomic groups): no key makes it slow.
    """

    def plain(part: str) -> str:
        return "".join("." if c == "?" else re.escape(c) for c in part)

    first, *middle = (plain(part) for part in plainer(text).split("*"))
    if not middle:
        return re.compile(first, re.DOTALL)
    last = middle.pop()
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last, re.DOTALL)


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
    if kind == SEQUENCE:
        test = item_test(match, fuzzy)
        return lambda value: any(test(item) for item in items_of(value))
    if match.vr == "PN":
        return _name_test(match, fuzzy or str.casefold)
    if kind == RANGE:
        low, high = values
        whole = _WHOLE[match.vr]

        def within(value: str) -> bool:
            moment = whole(value)
            return bool(moment) and (not low or low <= moment) and (not high or moment <= high)

        return within
    if match.vr in _WHOLE:
        whole = _WHOLE[match.vr]
        return lambda value: whole(value) == values[0]
    if match.vr in ("IS", "DS"):
        return _number_test(values[0])
    if kind == WILDCARD:
        whole_match = pattern(values[0]).fullmatch
        return lambda value: any(whole_match(each.strip(" ")) for each in value.split("\\"))
    wanted = frozenset(values)
    return lambda value: value in wanted or any(each.strip(" ") in wanted for each in value.split("\\"))


_WHOLE: Final[Mapping[str, Callable[[str], str]]] = {"DA": normal_date, "TM": normal_time, "DT": normal_moment}


def item_test(match: Match, fuzzy: Callable[[str], str] | None = None) -> Callable[[Mapping[str, Any]], bool]:
    """Return a test of one item of a sequence, given as text by tag (``GGGGEEEE``), and sequences in it as lists."""
    tests: list[tuple[str, Match, Callable[[Any], bool]]] = [
        (name_of(tag), inner, item_test(inner, fuzzy) if inner.vr == "SQ" else comparison(inner, fuzzy))
        for tag, inner in match.items
        if not inner.is_universal
    ]

    def fits(item: Mapping[str, Any]) -> bool:
        for tag, inner, test in tests:
            value = item.get(tag, "")
            if not (any(test(each) for each in value) if inner.vr == "SQ" else test(value)):
                return False
        return True

    return fits


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
        # Delimiters at the end may be left out (PS3.5 6.2.1): DOE^* is DOE as well.
        full = form("^" * _DELIMITERS).ljust(1)
        return lambda group: any(whole_match(each) for each in (form(group), form(group) + full))
    wanted = form(asked)
    return lambda group: form(group) == wanted
