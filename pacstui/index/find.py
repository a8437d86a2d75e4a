"""Answers queries (PS3.4 C.4.1) from the index: ids first, as fast as the database gives them, then rows in pages.

However many match and however slowly they are taken, no more than their ids (8 bytes each) and one page of rows are in
memory, and the database's reader is free as soon as the ids are known.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from array import array
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final

import sqlalchemy as sa

from pacstui.db import Database
from pacstui.dicom.matching import (
    LIST,
    NOTHING,
    RANGE,
    SEQUENCE,
    SINGLE,
    WILDCARD,
    Match,
    between,
    comparison,
    plainer,
)
from pacstui.index import tables as t
from pacstui.index.attributes import ATTRIBUTES, IMAGE, PATIENT, SERIES, STUDY, Attribute
from pacstui.index.fold import fold
from pacstui.index.queries import Statement, among

PAGE: Final = 200
_CHUNK: Final = 1000
_HIGHEST: Final = "\U0010ffff"
_MODALITIES: Final = 0x00080061
_PAIRS: Final = {
    0x00080030: 0x00080020, 0x00080031: 0x00080021, 0x00080032: 0x00080022, 0x00080033: 0x00080023,
    0x00080013: 0x00080012, 0x00400245: 0x00400244,
}  # fmt: skip
"""The date that belongs to a time."""
_STARS: Final = 4
_SAFE = re.compile(r"[A-Za-z0-9 ._+-]*")

_FROM: Final[dict[str, sa.FromClause]] = {
    PATIENT: t.patients,
    STUDY: t.studies,
    SERIES: t.series.join(t.studies, t.series.c.study == t.studies.c.id),
    IMAGE: t.instances.join(t.series, t.instances.c.series == t.series.c.id).join(
        t.studies, t.series.c.study == t.studies.c.id
    ),
}
_SEEN: Final = {PATIENT: t.SEEN_PATIENT} | dict.fromkeys((STUDY, SERIES, IMAGE), t.SEEN)
"""What was rejected is not found."""
_ID: Final = {PATIENT: t.patients.c.id, STUDY: t.studies.c.id, SERIES: t.series.c.id, IMAGE: t.instances.c.id}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for at a level: keys with what they match, and the tags to return.

    ``together`` takes a date and its time as one moment. ``fuzzy`` compares names without regard to accents and
    delimiters.
    """

    level: str
    keys: Mapping[int, Match]
    wanted: Sequence[int]
    together: bool = False
    fuzzy: bool = False


@dataclass(slots=True)
class _Plan:
    """A query as SQL, and what SQL cannot say: tests of the columns that are selected beside the id."""

    clauses: list[sa.ColumnElement[bool]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    shape: list[str] = field(default_factory=list)
    columns: list[sa.ColumnElement[str]] = field(default_factory=list)
    tests: list[Callable[[Sequence[str]], bool]] = field(default_factory=list)

    def bind(self, value: Any) -> sa.BindParameter[Any]:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return sa.bindparam(name)

    def add(self, shape: str, clause: sa.ColumnElement[bool]) -> None:
        self.shape.append(shape)
        self.clauses.append(clause)

    def test(self, attribute: Attribute, test: Callable[[str], bool]) -> None:
        at = len(self.columns) + 1
        self.shape.append(f"t{attribute.tag:x}")
        self.columns.append(attribute.column)
        self.tests.append(lambda row: test(row[at] or ""))


def _glob(text: str) -> str:
    """Return a wildcard key as a GLOB pattern of SQLite, in which ``[`` is special too.

    It has at most a few ``*``, as GLOB tries all their combinations; beyond them anything matches.
    """
    parts = plainer(text).split("*")
    kept = "*".join(parts[: _STARS + 1]) + "*" * (len(parts) > _STARS + 1)
    return kept.replace("[", "[[]")


def _literal(text: str) -> str:
    """Return what a wildcard key begins with."""
    return re.split(r"[*?]", text, maxsplit=1)[0]


def _begins(plan: _Plan, column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    return sa.and_(column >= plan.bind(text), column < plan.bind(text + _HIGHEST))


def plan_of(query: Query) -> _Plan:
    """Return how a query is put to the database: as narrow as its indexes allow, and exact."""
    known = ATTRIBUTES[query.level]
    plan = _Plan()
    for tag, match in query.keys.items():
        attribute = known[tag]
        if match.is_universal:
            continue
        dates = query.keys.get(_PAIRS.get(tag, 0)) if query.together else None
        shape = f"{tag:x}{match.kind}"
        if match.kind == NOTHING:
            plan.add("none", sa.false())
        elif match.vr == "PN":
            _name(plan, attribute, match, query.fuzzy)
        elif match.kind == SEQUENCE:
            _items(plan, attribute, match, query.fuzzy)
        elif dates is not None and dates.kind == match.kind == RANGE:
            _moment(plan, known[_PAIRS[tag]], attribute, dates, match)
        elif attribute.computed or match.vr == "DT":
            plan.test(attribute, comparison(match))
        elif match.vr == "DA" and match.kind == RANGE:
            low, high = match.values
            shape += "l" * bool(low) + "h" * bool(high)
            ends = [attribute.column >= plan.bind(low)] if low else [attribute.column != ""]
            ends += [attribute.column <= plan.bind(high)] if high else []
            plan.add(shape, sa.and_(*ends))
        elif match.vr == "DA":
            plan.add(shape, attribute.column == plan.bind(match.values[0]))
        elif match.vr == "UI" and not (tag == 0x00083002 and match.kind != SINGLE):
            if match.kind == SINGLE:
                plan.add(shape, attribute.column == plan.bind(match.values[0]))
            else:
                plan.add(shape, among(attribute.column, plan.bind(json.dumps(match.values))))
        elif match.vr in ("TM", "IS", "DS", "US") or match.kind == LIST or tag == _MODALITIES:
            plan.test(attribute, comparison(match))
            if tag == _MODALITIES and match.kind != WILDCARD:
                some = [sa.func.instr(attribute.column, plan.bind(value)) > 0 for value in match.values]
                plan.add(f"m{len(some)}", sa.or_(*some))
        else:
            _plain(plan, attribute, match, shape)
    return plan


def _plain(plan: _Plan, attribute: Attribute, match: Match, shape: str) -> None:
    """Text that is compared exactly. Several values in one column are rare; those are tested one by one."""
    value = match.values[0]
    column = attribute.column
    begins = _literal(value)
    if attribute.key is not None and fold(begins):
        if attribute.key is t.studies.c.accession_key:
            plan.add("a", sa.and_(sa.text("studies.accession_key != ''"), sa.true()))
        if match.kind == WILDCARD:
            plan.add(shape + "k", _begins(plan, attribute.key, fold(begins)))
        else:
            plan.add(shape + "k", attribute.key == plan.bind(fold(value)))
    exact = column.op("GLOB")(plan.bind(_glob(value))) if match.kind == WILDCARD else column == plan.bind(value)
    if match.kind == WILDCARD and plainer(value).count("*") > _STARS:
        plan.add(shape + "w", exact)
        plan.test(attribute, comparison(match))
    elif attribute.vr == "CS":
        plan.add(shape + "s", sa.or_(exact, sa.func.instr(column, plan.bind("\\")) > 0))
        plan.test(attribute, comparison(match))
    else:
        plan.add(shape, exact)


def _name(plan: _Plan, attribute: Attribute, match: Match, fuzzy: bool) -> None:
    """Names: narrowed down by the folded columns, then compared as they are."""
    plan.test(attribute, comparison(match, fold if fuzzy else None))
    group = max((each for each in match.values[0].split("=")), key=lambda each: len(each.strip("*^ ")))
    if attribute.key is None or not group.strip("*^? "):
        return
    begins = fold(_literal(group))
    part = max((fold(each) for each in re.split(r"[*?]", group)), key=len)
    exact = "*" not in group and "?" not in group
    how = "n" if exact else "b" if begins else "i"
    if not part:
        return

    def has(key: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        if exact:
            return key == plan.bind(part)
        if begins:
            return _begins(plan, key, begins)
        return sa.func.instr(key, plan.bind(part)) > 0

    if attribute.other is None:  # groups beyond the first are in the name alone
        plan.add(how + "1", sa.or_(has(attribute.key), sa.func.instr(attribute.column, "=") > 0))
        return
    # Written out: SQLite uses a partial index only where it sees that the condition holds.
    more = sa.text("studies.other_name_key != ''")
    third = sa.and_(more, sa.func.instr(t.studies.c.search, plan.bind(part)) > 0)
    ways = (has(attribute.key), sa.and_(more, has(attribute.other)), third)
    if how == "i":
        plan.add(how + "3", sa.or_(*ways))
    else:  # each by its own index; of an OR with one part that has none, SQLite would use none
        plan.add(how + "3", t.studies.c.id.in_(sa.union_all(*(sa.select(t.studies.c.id).where(way) for way in ways))))


def _items(plan: _Plan, attribute: Attribute, match: Match, fuzzy: bool) -> None:
    """Sequences: tested item by item where what is asked for stands anywhere."""
    for text in _literals(match) if attribute.store is not None else ():
        plan.add(f"i{attribute.tag:x}", sa.func.instr(attribute.store, plan.bind(text)) > 0)
    plan.test(attribute, comparison(match, fold if fuzzy else None))


def _literals(match: Match) -> list[str]:
    """Return text that has to be in a sequence as it is written in the index."""
    found: list[str] = []
    for _, inner in match.items:
        if inner.kind == SEQUENCE:
            found += _literals(inner)
        elif inner.kind == SINGLE and inner.vr in ("LO", "SH", "CS", "UI") and _SAFE.fullmatch(inner.values[0]):
            found += inner.values
    return found


def _moment(plan: _Plan, date: Attribute, time: Attribute, dates: Match, times: Match) -> None:
    at = len(plan.columns) + 1
    plan.shape.append(f"m{time.tag:x}")
    plan.columns += [date.column, time.column]
    plan.tests.append(lambda row: between(row[at] or "", row[at + 1] or "", dates, times))


_CACHE: dict[tuple[str, ...], Statement] = {}


def _select_ids(level: str, plan: _Plan) -> Statement:
    key = (level, *plan.shape)
    statement = _CACHE.get(key)
    if statement is None:
        if len(_CACHE) > 500:
            _CACHE.clear()
        statement = _CACHE[key] = Statement(
            sa.select(_ID[level], *plan.columns).select_from(_FROM[level]).where(_SEEN[level], *plan.clauses)
        )
    return statement


@lru_cache(maxsize=256)
def _select_rows(level: str, wanted: tuple[int, ...]) -> Statement:
    known = ATTRIBUTES[level]
    columns = [known[tag].column for tag in wanted]
    ids = among(_ID[level], sa.bindparam("ids"))
    return Statement(sa.select(_ID[level], *columns).select_from(_FROM[level]).where(ids))


def rows_of(connection: sqlite3.Connection, query: Query, ids: Sequence[int]) -> list[tuple[str, ...]]:
    """Return the wanted values of rows, in the order of their ids; rows that are gone meanwhile are left out."""
    statement = _select_rows(query.level, tuple(query.wanted))
    found = {row[0]: row[1:] for row in statement.run(connection, ids=json.dumps(list(ids)))}
    return [found[each] for each in ids if each in found]


class _Search:
    """One query under way: the ids so far, and whether there will be more."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.plan = plan_of(query)
        self.ids: array[int] = array("q")
        self.first: tuple[int, list[tuple[str, ...]]] | None = None
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Future[None] | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Collect all ids, and with the first of them their rows; on a reader's thread."""
        plan, query = self.plan, self.query
        cursor = _select_ids(query.level, plan).run(connection, **plan.values)
        size = PAGE
        while chunk := cursor.fetchmany(size):
            passed = [row[0] for row in chunk if all(test(row) for test in plan.tests)]
            if passed and self.first is None:
                self.first = len(passed), rows_of(connection, query, passed)
            self.ids.extend(passed)
            if passed:
                self._loop.call_soon_threadsafe(self._tell)
            size = _CHUNK

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def more(self, have: int) -> bool:
        """Wait for ids beyond ``have``; return whether there are some."""
        while len(self.ids) <= have and not self.ended:
            self._news = self._loop.create_future()
            await self._news
        return len(self.ids) > have

    def end(self, _: object) -> None:
        self.ended = True
        self._tell()


async def find(database: Database, query: Query) -> AsyncGenerator[list[tuple[str, ...]], None]:
    """Yield pages of what matches, each row with the wanted values in the query's order.

    Raises
    ------
    PacsError
        What the database says.
    """
    search = _Search(query)
    collecting = asyncio.ensure_future(database.read(search.run))
    collecting.add_done_callback(search.end)
    try:
        done = 0
        while await search.more(done):
            if not done and search.first is not None:
                done, rows = search.first
                yield rows
                continue
            ids = list(search.ids[done : done + PAGE])
            done += len(ids)
            yield await database.read(partial(_page, query, ids))
        await collecting
    finally:
        if not collecting.done():
            collecting.cancel()
        elif not collecting.cancelled():
            collecting.exception()


def _page(query: Query, ids: list[int], connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return rows_of(connection, query, ids)
