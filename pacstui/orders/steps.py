"""The scheduled procedure steps that a query of the worklist asks for (PS3.4 K.6.1), by pages."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pacstui.db import Database
from pacstui.dicom.matching import LIST, RANGE, SINGLE, UNIVERSAL, Match, between, item_test
from pacstui.dicom.sequences import name_of
from pacstui.index.fold import fold
from pacstui.orders import holding, keys
from pacstui.orders.keys import STEP
from pacstui.orders.telling import COLUMNS, FROM, Item, item_of

_PAGE: Final = 256


@dataclass(frozen=True, slots=True)
class Window:
    """What is told beside what is asked for: states that are ``hidden``, the days ``first`` to ``last`` (YYYYMMDD,
    empty: all) where no date is asked, those of ``wide`` where a name or part of an ID is, and, if ``own``, steps of
    ``caller`` only and of no station."""

    hidden: tuple[str, ...] = ()
    first: str = ""
    last: str = ""
    wide: tuple[str, str] = ("", "")
    caller: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query of the worklist: its keys, as the item of a sequence, and what is told beside."""

    match: Match
    window: Window = field(default_factory=Window)

    @property
    def keys(self) -> dict[int, Match]:
        """The keys outside of the Scheduled Procedure Step Sequence."""
        return dict(self.match.items)

    @property
    def step(self) -> dict[int, Match]:
        """Those inside of it."""
        asked = self.keys.get(STEP)
        return dict(asked.items) if asked is not None else {}


_IDENTIFYING: Final = (
    keys.PATIENT_ID,
    keys.NAME,
    keys.ACCESSION,
    keys.STUDY,
    keys.PROCEDURE_ID,
    0x00402016,
    0x00402017,
)
_SINGLY: Final = (
    (False, keys.PATIENT_ID, "p.patient_id"), (False, keys.STUDY, "o.study"),
    (False, keys.ACCESSION, "o.accession_key != '' AND o.accession_key"),
    (False, keys.PROCEDURE_ID, "o.procedure_id != '' AND o.procedure_id"),
    (False, keys.PLACER, "o.placer != '' AND o.placer"), (False, keys.FILLER, "o.filler != '' AND o.filler"),
    (True, keys.STEP_ID, "s.step_id"), (True, keys.MODALITY, "s.modality"),
)  # fmt: skip


class Plan:
    """A query as SQL for what the database can tell, and a test for the rest.

    Dates and times that are both ranges are one period, from the first date's first time to the last date's last
    (PS3.4 K.6.1.2.2).
    """

    def __init__(self, wanted: Wanted) -> None:
        self.where: list[str] = []
        self.values: list[str] = []
        self._few = False
        step = dict(wanted.step)
        dates, times = step.get(keys.START_DATE), step.get(keys.START_TIME)
        self._period: tuple[Match, Match] | None = None
        if dates is not None and times is not None and dates.kind == RANGE and times.kind == RANGE:
            self._period = dates, times
            del step[keys.START_DATE], step[keys.START_TIME]
        self._hide(wanted, step)
        outside = wanted.keys
        for inside, tag, column in _SINGLY:
            match = (step if inside else outside).get(tag)
            if match is not None and match.kind in (SINGLE, LIST):
                values = [fold(value) for value in match.values] if tag == keys.ACCESSION else match.values
                self._add(f"{column} IN ({','.join('?' * len(values))})", *values)
                self._few |= tag != keys.MODALITY
        self._dates(wanted, dates)
        station = step.get(keys.STATION_AE)
        self._station = station.values[0] if station is not None and station.kind == SINGLE else wanted.window.caller
        rest = {tag: match for tag, match in outside.items() if tag != STEP}
        self._test = _test_of(rest, step)
        self._anywhere = _test_of(rest, {tag: match for tag, match in step.items() if tag != keys.STATION_AE})

    @property
    def date(self) -> str:
        """The column of the date in a form that uses its index, unless the keys narrow it down to few rows anyway."""
        return "+s.date" if self._few else "s.date"

    def _add(self, condition: str, *values: str) -> None:
        self.where.append(condition)
        self.values += values

    def _hide(self, wanted: Wanted, step: dict[int, Match]) -> None:
        window = wanted.window
        self._add(_NOT_HELD)
        status = step.get(keys.STEP_STATUS)
        if window.hidden and (status is None or status.kind == UNIVERSAL):
            self._add(f"s.state NOT IN ({','.join('?' * len(window.hidden))})", *window.hidden)
        if window.own:
            self._add("(s.station_ae = '' OR instr('\\' || s.station_ae || '\\', ?))", f"\\{window.caller}\\")

    def _dates(self, wanted: Wanted, dates: Match | None) -> None:
        if dates is not None and dates.kind in (SINGLE, RANGE):
            first, last = dates.values[0], dates.values[-1]
        else:
            asked = [wanted.keys.get(tag, _ANY) for tag in _IDENTIFYING] + [wanted.step.get(keys.STEP_ID, _ANY)]
            if any(match.kind in (SINGLE, LIST) and match.vr != "PN" for match in asked):
                return
            narrow = all(match.kind == UNIVERSAL for match in asked)
            first, last = (wanted.window.first, wanted.window.last) if narrow else wanted.window.wide
        if first:
            self._add(f"{self.date} >= ?", first)
        if last:
            self._add(f"{self.date} <= ?", last)

    def fits(self, item: Item) -> bool:
        """Return whether an item is asked for, as far as SQL has not told already.

        What can be done at any station fits each, and is told as for the one that is asked for: Scheduled Station AE
        Title is of type 1.
        """
        step = item[name_of(STEP)][0]
        if self._period is not None:
            moment = step[name_of(keys.START_DATE)], step[name_of(keys.START_TIME)]
            if not between(*moment, *self._period):
                return False
        if step[_STATION]:
            return self._test(item)
        step[_STATION] = self._station
        return self._anywhere(item)


_ANY: Final = Match("", UNIVERSAL)
_NOT_HELD: Final = f"NOT ({holding.IS_HELD})"
"""An order on hold is not to be done now."""

_STATION: Final = name_of(keys.STATION_AE)


def _test_of(outside: Mapping[int, Match], step: Mapping[int, Match]) -> Callable[[Item], bool]:
    """Return a test of items for keys outside of the Scheduled Procedure Step Sequence and inside of it."""
    whole = {**outside, STEP: Match("SQ", "sequence", (), tuple(step.items()))} if step else outside
    return item_test(Match("SQ", "sequence", (), tuple(_asking(whole).items())))


def _asking(keys: Mapping[int, Match]) -> dict[int, Match]:
    """Return the keys that ask for something, those in sequences too."""
    found: dict[int, Match] = {}
    for tag, match in keys.items():
        if match.vr == "SQ":
            inner = _asking(dict(match.items))
            if inner:
                found[tag] = Match("SQ", "sequence", (), tuple(inner.items()))
        elif not match.is_universal:
            found[tag] = match
    return found


@dataclass(frozen=True, slots=True)
class Page:
    """Items that fit, and where the next page begins; empty after the last."""

    items: tuple[Item, ...]
    after: tuple[str, str, int] | None


def page(plan: Plan, after: tuple[str, str, int], connection: sqlite3.Connection) -> Page:
    """Read one page of steps by date and time."""
    where = [*plan.where, f"({plan.date}, s.time, s.id) > (?, ?, ?)"]
    rows = connection.execute(
        f"SELECT {COLUMNS}{FROM} WHERE {' AND '.join(where)} ORDER BY {plan.date}, s.time, s.id LIMIT {_PAGE}",
        (*plan.values, *after),
    ).fetchall()
    items = tuple(item for item in map(item_of, rows) if plan.fits(item))
    last = rows[-1] if len(rows) == _PAGE else None
    return Page(items, (last[6], last[7], last[0]) if last else None)


async def find(database: Database, wanted: Wanted) -> AsyncGenerator[tuple[Item, ...], None]:
    """Yield pages of the items that a query asks for, by date and time.

    Raises
    ------
    PacsError
        What the database says.
    """
    plan = Plan(wanted)
    after: tuple[str, str, int] | None = ("", "", 0)
    while after is not None:
        found = await database.read(partial(page, plan, after))
        after = found.after
        yield found.items
