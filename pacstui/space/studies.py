"""Studies as rules see them, read from the index in pages."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from pacstui.archive.aside import REPLACED
from pacstui.backups.protection import Kept
from pacstui.db import Database
from pacstui.space.rules import Candidate, Rule

PAGE: Final = 5_000
MOST: Final = 20_000
_STUDIES: Final = (
    "SELECT s.id, s.study, s.patient_name, s.patient_id, s.date, s.accession, s.description, s.modalities, s.calling,"
    " s.conflict, s.instances, s.bytes, s.received, s.changed FROM studies s WHERE s.id > ? AND s.instances > 0"
    " ORDER BY s.id LIMIT ?"
)
_DOUBTFUL: Final = (
    "SELECT e.study, count(*) FROM instances i JOIN series e ON e.id = i.series WHERE i.missing != 0 GROUP BY e.study"
)
_ASIDE: Final = (
    "SELECT e.study, count(*) FROM quarantine q JOIN instances i ON i.sop_instance = q.sop_instance"
    " JOIN series e ON e.id = i.series WHERE q.reason != ? GROUP BY e.study"
)
_INSTANCES: Final = (
    "SELECT i.id, i.received, i.digest, i.meta_digest FROM instances i JOIN series e ON e.id = i.series"
    " WHERE e.study = ? ORDER BY i.id"
)


Pinned = Callable[[str], str]
"""Returns by whom a study is pinned and why, empty if it is not."""


async def candidates(db: Database, pinned: Pinned) -> AsyncIterator[list[Candidate]]:
    """Yield all studies, a page at a time."""
    missing, aside = await db.read(_doubts)
    after = 0
    while True:
        rows = await db.read(partial(_page, after))
        if not rows:
            return
        after = rows[-1][0]
        yield [_candidate(row, missing, aside, pinned) for row in rows]


def _candidate(
    row: tuple[Any, ...], missing: dict[int, int], aside: dict[int, int], pinned: Pinned
) -> Candidate:  # fmt: skip
    modalities, calling = (tuple(each for each in text.split("\\") if each) for text in row[7:9])
    doubts = missing.get(row[0], 0), aside.get(row[0], 0)
    return Candidate(*(*row[:7], modalities, calling, *row[9:], *doubts, pinned(row[1])))


async def matching(db: Database, rules: Sequence[Rule], now: datetime, pinned: Pinned) -> list[Candidate]:
    """Return the studies that a rule is for; of very many only the oldest: the rest is for another time."""
    found: list[Candidate] = []
    async for page in candidates(db, pinned):
        found += [each for each in page if any(rule.why(each, now) for rule in rules)]
        if len(found) > 2 * MOST:
            found = _oldest(found, rules, now)
    return _oldest(found, rules, now)


def _oldest(found: list[Candidate], rules: Sequence[Rule], now: datetime) -> list[Candidate]:
    found.sort(key=lambda each: -max(rule.age(each, now) for rule in rules))
    return found[:MOST]


async def last_rows(db: Database, studies: Sequence[int]) -> list[int]:
    """Return the highest row of an instance of each study."""

    def rows(connection: sqlite3.Connection) -> list[int]:
        return [
            int(connection.execute(
                "SELECT coalesce(max(i.id), 0) FROM instances i JOIN series e ON e.id = i.series WHERE e.study = ?",
                (study,),
            ).fetchone()[0])
            for study in studies
        ]  # fmt: skip

    return await db.read(rows)


async def instances(db: Database, study: int) -> list[Kept]:
    """Return the instances of a study, as they are looked for in backups."""
    rows = await db.read(lambda c: c.execute(_INSTANCES, (study,)).fetchall())
    return [Kept(*row) for row in rows]


def _doubts(connection: sqlite3.Connection) -> tuple[dict[int, int], dict[int, int]]:
    return dict(connection.execute(_DOUBTFUL)), dict(connection.execute(_ASIDE, (REPLACED,)))


def _page(after: int, connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(_STUDIES, (after, PAGE)).fetchall()
