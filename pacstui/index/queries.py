"""What can be asked of the index. Statements are built with SQLAlchemy Core, compiled once, and run on the driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from pacstui.clock import moment
from pacstui.contract.storage import DayUse, QuarantineRow
from pacstui.contract.studies import SeriesRow, StudyDetail, StudyPage, StudyRow
from pacstui.db import Database
from pacstui.errors import BadRequest, NotFound
from pacstui.index import tables as t
from pacstui.index.fold import fold
from pacstui.index.redirects import current

_TOP = 1 << 62
_COUNT_LIMIT = 1000
_WINDOW = 20_000
_WINDOWS = 10
_HIGHEST = "\U0010ffff"


class Statement:
    """A SQLAlchemy statement as text with named parameters, compiled once."""

    __slots__ = ("_defaults", "sql")

    def __init__(self, statement: sa.ClauseElement) -> None:
        dialect = sqlite.dialect(paramstyle="named")
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.sql = str(compiled)
        self._defaults: Mapping[str, Any] = compiled.params

    def run(self, connection: sqlite3.Connection, **values: Any) -> sqlite3.Cursor:
        """Run and return the cursor."""
        return connection.execute(self.sql, {**self._defaults, **values})

    def all(self, connection: sqlite3.Connection, **values: Any) -> list[Any]:
        """Run and return all rows."""
        return connection.execute(self.sql, {**self._defaults, **values}).fetchall()

    def first(self, connection: sqlite3.Connection, **values: Any) -> Any:
        """Run and return the first row or None."""
        return connection.execute(self.sql, {**self._defaults, **values}).fetchone()


_SEEN = t.SEEN
"""What was rejected is in no list."""


def among(column: sa.ColumnElement[Any], values: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    """Return that a column has one of the values in a JSON list, however many they are."""
    return column.in_(sa.select(sa.literal_column("value")).select_from(sa.func.json_each(values)))


@dataclass(frozen=True, slots=True)
class Counts:
    """What the archive holds; ``bytes`` are those of the data sets."""

    patients: int = 0
    studies: int = 0
    series: int = 0
    instances: int = 0
    bytes: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Instance:
    """Where one object is and what it is. ``path`` is relative to the data directory; the data set begins at
    ``data_offset`` and has ``size`` bytes with SHA-256 ``digest``. ``missing`` is true when its file was not found."""

    sop_instance: str
    sop_class: str
    transfer_syntax: str
    study: str
    series: str
    path: str
    data_offset: int
    size: int
    digest: bytes
    meta_digest: bytes
    received: datetime
    calling: str
    missing: bool


def _columns() -> list[sa.ColumnElement[Any]]:
    s = t.studies.c
    return [s.id, s.study, s.patient_name, s.patient_id, s.issuer, s.birth_date, s.sex, s.date, s.time, s.modalities,
            s.description, s.accession, s.series, s.instances, s.bytes, s.received, s.marked, s.calling, s.changed,
            s.conflict, _match()]  # fmt: skip


def _match() -> sa.ColumnElement[Any]:
    """Return how a study fits its order: a look-up by the key of another table, for the rows that are shown only."""
    m = t.matches.c
    own = sa.select(m.state).where(m.study == t.studies.c.study, m.settled == "").scalar_subquery()
    return sa.func.coalesce(own, "")


def study_row(row: Sequence[Any]) -> StudyRow:
    """Return a row of the studies table as the contract has it."""
    modalities = tuple(row[9].split("\\")) if row[9] else ()
    return StudyRow(
        key=row[0], study=row[1], patient_name=row[2], patient_id=row[3], issuer=row[4], birth_date=row[5], sex=row[6],
        date=row[7], time=row[8], modalities=modalities, description=row[10], accession=row[11], series=row[12],
        instances=row[13], bytes=row[14], received=moment(row[15]), marked=bool(row[16]),
        changed=moment(row[18]), conflict=row[19], match=row[20],
    )  # fmt: skip


def _prefix(column: sa.Column[str]) -> Statement:
    # +id keeps SQLite on the column's index: walking the table by key until enough match is slow for a rare word.
    plain = sa.literal_column("+id", sa.Integer)
    # Written out, not as a parameter: SQLite uses a partial index only where it sees that the condition holds.
    given = sa.text(f"studies.{column.name} != ''")
    return Statement(
        sa.select(t.studies.c.id)
        .where(column >= sa.bindparam("low"), column < sa.bindparam("high"), given)
        .where(plain < sa.bindparam("before"), _SEEN)
        .order_by(plain.desc())
        .limit(sa.bindparam("most", type_=sa.Integer))
    )


class Index:
    """Questions to the index; each runs on a reader connection and never waits for a write."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def counts(self) -> Counts:
        """Return the totals."""
        return await self._db.read(_counts)

    async def studies(
        self, search: str = "", limit: int = 100, before: int | None = None, only: str = "", after: int | None = None
    ) -> StudyPage:
        """Return a page of studies, newest arrival first.

        Parameters
        ----------
        search
            Empty for all. Else the beginning of patient name, Patient ID or accession number, or any part of name,
            ID, accession number or description; case does not matter and no character is special. Parts are looked
            for among the 200,000 studies that follow ``before``, beginnings everywhere.
        limit
            Rows at most, 1 to 1000.
        before
            Cursor: the ``next`` of the page before.
        only
            ``conflicts`` for studies that objects of two patients came for, ``missing`` for those with objects that
            have no file, ``exceptions`` for those that do not fit their order or patient; ``search`` is then any part.
        after
            A key: the studies that are next newer, for the way back up. Not with ``before``, ``search`` or ``only``.

        Returns
        -------
        StudyPage
            ``total`` is the number of all studies or, with ``search``, of the matches from this page on, 1001 standing
            for more than 1000.
        """
        limit = max(1, min(limit, 1000))
        word = fold(search)
        top = _TOP if before is None else before
        if after is not None:
            if search or only or before is not None:
                raise BadRequest("after goes with none of before, search and only", "")
            return await self._db.read(lambda c: _page_above(c, limit, after))
        if only:
            statement = _ONLY.get(only)
            if statement is None:
                raise BadRequest(f"there is no list of {only}", f"one of {', '.join(_ONLY)}")
            return await self._db.read(lambda c: _only(c, statement, word, limit, top))
        if word:
            return await self._db.read(lambda c: _search(c, word, limit, top))
        return await self._db.read(lambda c: _page(c, limit, top))

    async def study(self, study: str) -> StudyDetail:
        """Return a study and its series.

        Raises
        ------
        NotFound
            When the archive has none of that UID.
        """
        return await self._db.read(lambda c: _detail(c, study))

    async def instance(self, sop_instance: str) -> Instance | None:
        """Return what is known of one object, None if it is not stored."""
        return (await self.named([sop_instance]))[0]

    async def named(self, uids: Sequence[str]) -> list[Instance | None]:
        """Return what is known of objects, in the order of their SOP Instance UIDs; of one that was given another UID
        by a correction also by that which it carries."""
        rows = await self._db.read(lambda c: [_by_any_name(c, uid) for uid in uids])
        return [_instance(row) if row else None for row in rows]

    async def instances(self, study: str, series: str = "") -> list[Instance]:
        """Return the objects of a study, or of one of its series, in the order of arrival."""
        statement = _OF_SERIES if series else _OF_STUDY
        values = {"study": study, "series": series} if series else {"study": study}
        return [_instance(row) for row in await self._db.read(lambda c: statement.all(c, **values))]

    async def days(self, limit: int = 366) -> tuple[DayUse, ...]:
        """Return what was received on the last ``limit`` days that received anything, oldest first."""
        rows = await self._db.read(lambda c: _DAYS.all(c, most=limit))
        return tuple(DayUse(date.fromisoformat(row[0]), row[1], row[2]) for row in reversed(rows))

    async def quarantine(self, limit: int = 100) -> tuple[QuarantineRow, ...]:
        """Return the objects set aside, newest first."""
        rows = await self._db.read(lambda c: _QUARANTINE.all(c, most=limit))
        return tuple(QuarantineRow(row[0], moment(row[1]), *row[2:]) for row in rows)

    async def doubts(self, most: int = 1000) -> tuple[int, int]:
        """Return how many objects have no file, and how many studies have objects of two patients; ``most`` at most."""

        def count(connection: sqlite3.Connection) -> tuple[int, int]:
            return _MISSING_COUNT.first(connection, most=most)[0], _CONFLICT_COUNT.first(connection, most=most)[0]

        return await self._db.read(count)

    async def missing(self, limit: int = 100) -> list[Instance]:
        """Return objects whose file was not found, newest first."""
        return [_instance(row) for row in await self._db.read(lambda c: _MISSING.all(c, most=limit))]


def _most() -> sa.BindParameter[int]:
    return sa.bindparam("most", type_=sa.Integer)


_PAGE = Statement(
    sa.select(*_columns())
    .where(t.studies.c.id < sa.bindparam("before"), _SEEN)
    .order_by(t.studies.c.id.desc())
    .limit(_most())
)
_PAGE_ABOVE = Statement(
    sa.select(*_columns()).where(t.studies.c.id > sa.bindparam("after"), _SEEN).order_by(t.studies.c.id).limit(_most())
)
_PREFIXES = tuple(
    _prefix(column)
    for column in (t.studies.c.name_key, t.studies.c.other_name_key, t.studies.c.patient_id_key,
                   t.studies.c.accession_key)
)  # fmt: skip
_FLOOR = Statement(
    sa.select(t.studies.c.id)
    .where(t.studies.c.id < sa.bindparam("before"))
    .order_by(t.studies.c.id.desc())
    .limit(1)
    .offset(_WINDOW - 1)
)
_PARTS = Statement(
    sa.select(t.studies.c.id)
    .where(t.studies.c.id < sa.bindparam("before"), t.studies.c.id >= sa.bindparam("floor"), _SEEN)
    .where(sa.func.instr(t.studies.c.search, sa.bindparam("word")) > 0)
    .order_by(t.studies.c.id.desc())
    .limit(_most())
)
_BY_KEY = Statement(sa.select(*_columns()).where(t.studies.c.id == sa.bindparam("key")))
_BY_UID = Statement(sa.select(*_columns()).where(t.studies.c.study == sa.bindparam("study")))
_MISFIT = Statement(sa.select(t.matches.c.why).where(t.matches.c.study == sa.bindparam("study")))
_SERIES = Statement(
    sa.select(t.series.c.series, t.series.c.number, t.series.c.modality, t.series.c.description, t.series.c.station,
              t.series.c.instances, t.series.c.bytes)
    .where(t.series.c.study == sa.bindparam("study"))
    .order_by(sa.cast(t.series.c.number, sa.Integer), t.series.c.id)
)  # fmt: skip
_TOTALS = Statement(
    sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in (
        t.daily.c.patients, t.daily.c.studies, t.daily.c.series, t.daily.c.instances, t.daily.c.bytes)))
)  # fmt: skip
_SET_ASIDE = Statement(sa.select(sa.func.count()).select_from(t.quarantine))
_DAYS = Statement(
    sa.select(t.daily.c.day, t.daily.c.instances, t.daily.c.bytes).order_by(t.daily.c.day.desc()).limit(_most())
)
_QUARANTINE = Statement(
    sa.select(t.quarantine.c.id, t.quarantine.c.received, t.quarantine.c.sop_instance, t.quarantine.c.calling,
              t.quarantine.c.reason, t.quarantine.c.path, t.quarantine.c.bytes)
    .order_by(t.quarantine.c.id.desc()).limit(_most())
)  # fmt: skip
_IN_CONFLICT = sa.text("studies.conflict != ''")
_IS_MISSING = sa.text("instances.missing != 0")


def _some(condition: sa.ColumnElement[bool] | sa.TextClause) -> Statement:
    return Statement(
        sa.select(*_columns())
        .where(condition, t.studies.c.id < sa.bindparam("before"), _SEEN)
        .where(sa.func.instr(t.studies.c.search, sa.bindparam("word")) > 0)
        .order_by(t.studies.c.id.desc())
        .limit(_most())
    )


def _how_many(select: sa.Select[Any]) -> Statement:
    return Statement(sa.select(sa.func.count()).select_from(select.limit(_most()).subquery()))


_STUDIES_MISSING = (
    sa.select(t.series.c.study)
    .select_from(t.instances.join(t.series, t.instances.c.series == t.series.c.id))
    .where(_IS_MISSING)
)
_EXCEPTIONS = sa.select(t.matches.c.study).where(
    # As the partial index has it.
    sa.text("matches.state IN ('probable', 'unmatched', 'conflicting') AND matches.settled = ''")
)
_ONLY = {
    "conflicts": _some(_IN_CONFLICT),
    "missing": _some(t.studies.c.id.in_(_STUDIES_MISSING)),
    "exceptions": _some(t.studies.c.study.in_(_EXCEPTIONS)),
}
_CONFLICT_COUNT = _how_many(sa.select(t.studies.c.id).where(_IN_CONFLICT))
_MISSING_COUNT = _how_many(sa.select(t.instances.c.id).where(_IS_MISSING))
_MISSING_IN = Statement(
    sa.select(sa.func.count())
    .select_from(t.instances.join(t.series, t.instances.c.series == t.series.c.id))
    .where(_IS_MISSING, t.series.c.study == sa.bindparam("key"))
)


def _instance_select() -> sa.Select[Any]:
    i = t.instances.c
    return (
        sa.select(i.sop_instance, i.sop_class, i.transfer_syntax, t.studies.c.study, t.series.c.series, i.path,
                  i.data_offset, i.size, i.digest, i.meta_digest, i.received, i.calling, i.missing)
        .select_from(t.instances.join(t.series, i.series == t.series.c.id)
                     .join(t.studies, t.series.c.study == t.studies.c.id))
    )  # fmt: skip


_INSTANCE = Statement(_instance_select().where(t.instances.c.sop_instance == sa.bindparam("sop_instance")))
_OF_STUDY = Statement(
    _instance_select().where(t.studies.c.study == sa.bindparam("study")).order_by(t.series.c.id, t.instances.c.id)
)
_OF_SERIES = Statement(
    _instance_select()
    .where(t.studies.c.study == sa.bindparam("study"), t.series.c.series == sa.bindparam("series"))
    .order_by(t.instances.c.id)
)
_MISSING = Statement(_instance_select().where(_IS_MISSING).order_by(t.instances.c.id.desc()).limit(_most()))


def _by_any_name(connection: sqlite3.Connection, uid: str) -> Any:
    row = _INSTANCE.first(connection, sop_instance=uid)
    if row is None:
        now = current(connection, uid)
        row = _INSTANCE.first(connection, sop_instance=now) if now != uid else None
    return row


def _counts(connection: sqlite3.Connection) -> Counts:
    return Counts(*(*_TOTALS.first(connection), _SET_ASIDE.first(connection)[0]))


def _page(connection: sqlite3.Connection, limit: int, before: int) -> StudyPage:
    rows = _PAGE.all(connection, before=before, most=limit + 1)
    return StudyPage(
        rows=tuple(study_row(row) for row in rows[:limit]),
        next=rows[limit - 1][0] if len(rows) > limit else None,
        total=_TOTALS.first(connection)[1],
    )


def _page_above(connection: sqlite3.Connection, limit: int, after: int) -> StudyPage:
    rows = _PAGE_ABOVE.all(connection, after=after, most=limit)[::-1]
    return StudyPage(
        rows=tuple(study_row(row) for row in rows),
        next=rows[-1][0] if rows and _PAGE.first(connection, before=rows[-1][0], most=1) else None,
        total=_TOTALS.first(connection)[1],
    )


def _only(connection: sqlite3.Connection, statement: Statement, word: str, limit: int, before: int) -> StudyPage:
    rows = statement.all(connection, before=before, word=word, most=_COUNT_LIMIT + 1)
    return StudyPage(
        rows=tuple(study_row(row) for row in rows[:limit]),
        next=rows[limit - 1][0] if len(rows) > limit else None,
        total=len(rows),
    )


def _search(connection: sqlite3.Connection, word: str, limit: int, before: int) -> StudyPage:
    most = max(limit, _COUNT_LIMIT) + 1
    keys: set[int] = set()
    for statement in _PREFIXES:
        rows = statement.all(connection, low=word, high=word + _HIGHEST, before=before, most=most)
        keys.update(row[0] for row in rows)
    top = before
    for _ in range(_WINDOWS):
        if top <= 0 or (len(keys) >= most and sorted(keys, reverse=True)[most - 1] >= top):
            break
        row = _FLOOR.first(connection, before=top)
        floor = row[0] if row else 0
        keys.update(row[0] for row in _PARTS.all(connection, before=top, floor=floor, word=word, most=most))
        top = floor
    newest = sorted(keys, reverse=True)
    shown = newest[:limit]
    rows = [_BY_KEY.first(connection, key=key) for key in shown]
    return StudyPage(
        rows=tuple(study_row(row) for row in rows if row),
        next=shown[-1] if len(newest) > limit else None,
        total=min(len(newest), _COUNT_LIMIT + 1),
    )


def _detail(connection: sqlite3.Connection, study: str) -> StudyDetail:
    row = _BY_UID.first(connection, study=study)
    if row is None:
        raise NotFound(
            f"The archive has no study {study}",
            "It may have been deleted, or rejected (C lists that); refresh the list",
        )
    series = tuple(SeriesRow(*each) for each in _SERIES.all(connection, study=row[0]))
    missing = _MISSING_IN.first(connection, key=row[0])[0]
    why = _MISFIT.first(connection, study=study)
    return StudyDetail(
        replace(study_row(row), misfit=why[0] if why else ""),
        series,
        tuple(row[17].split("\\")) if row[17] else (),
        missing,
    )


def _instance(row: Sequence[Any]) -> Instance:
    return Instance(*(*row[:10], moment(row[10]), row[11], bool(row[12])))
