"""Exceptions read for people: rows, counts, and one beside the orders that it may belong to."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pacstui.contract.exceptions import (
    Candidate,
    Difference,
    Disagreement,
    ExceptionPage,
    ExceptionRow,
    SaidText,
)
from pacstui.errors import BadRequest, NotFound
from pacstui.index.fold import fold
from pacstui.orders.holding import BODY, IS_HELD, ON_HOLD, hold_of
from pacstui.qc import scoring, verdict
from pacstui.qc.candidates import expected, patient
from pacstui.qc.likeness import Kind
from pacstui.qc.matching import OPEN
from pacstui.qc.sayings import Said
from pacstui.qc.scoring import Arrived, Expected, Scored
from pacstui.text import safe

STATES: Final = (verdict.CONFLICTING, verdict.UNMATCHED, verdict.PROBABLE)
"""States that are exceptions, gravest first."""
_SHOWN: Final = 12
_FOUND: Final = 40
_HIGHEST: Final = "\U0010ffff"
_OF_ORDER: Final = "FROM orders o WHERE o.id = m.\"order\" AND o.state IN ('scheduled', 'arrived')"
_FROM: Final = " FROM "
_ROW: Final = (
    "SELECT m.study, m.state, coalesce(json_extract(m.body, '$.name'), s.patient_name),"
    " coalesce(json_extract(m.body, '$.id'), s.patient_id), s.accession, s.modalities, s.description, s.calling,"
    ' s.instances, s.received, m."order", m.score, m.why, m.settled, s.id,'
    f" (SELECT {BODY} {_OF_ORDER}){_FROM}"
)
_HELD: Final = f"EXISTS (SELECT 1 {_OF_ORDER} AND {IS_HELD})"
"""Whether the best order of a study is on hold."""
_MARKS: Final = {
    Kind.SAME: "same", Kind.ALIKE: "near", Kind.SLIP: "near", Kind.DIFFERENT: "different", Kind.MISSING: "missing",
}  # fmt: skip


def _row(row: Sequence[Any]) -> ExceptionRow:
    hold = hold_of(row[15])
    return ExceptionRow(
        row[0], row[1], row[2], row[3], row[4], row[5].replace("\\", "/"), row[6], row[7].replace("\\", ", "), row[8],
        datetime.fromtimestamp(row[9] / 1e6, UTC), row[10], row[11], row[12], row[13],
        "" if hold is None else hold.who, "" if hold is None else safe(hold.why, 200),
    )  # fmt: skip


def one(connection: sqlite3.Connection, study: str) -> ExceptionRow:
    """Return how a study fits.

    Raises
    ------
    NotFound
        When the archive has none of that UID, or it was not looked at yet.
    """
    row = connection.execute(
        f"{_ROW} studies s JOIN matches m ON m.study = s.study WHERE s.study=? AND s.hidden=0",
        (study,),
    ).fetchone()
    if row is None:
        raise NotFound(f"study {study} is not among those that were matched", "it may have come just now, or is gone")
    return _row(row)


def counts(connection: sqlite3.Connection) -> tuple[dict[str, int], int]:
    """Return how many exceptions there are by state and how many were settled, and since when the oldest is one
    (microseconds since 1970, 0 for none)."""
    rows = connection.execute(
        "SELECT m.state, count(*), min(m.at) FROM matches m JOIN studies s ON s.study = m.study"  # noqa: S608
        f" WHERE {_open()} AND s.hidden=0"
        " GROUP BY m.state"
    ).fetchall()
    found = dict.fromkeys(STATES, 0) | {row[0]: row[1] for row in rows}
    settled = connection.execute(
        "SELECT count(*) FROM matches m JOIN studies s ON s.study = m.study WHERE m.settled != '' AND s.hidden=0"
    ).fetchone()[0]
    return found | {"settled": settled}, min((row[2] for row in rows), default=0)


def _open() -> str:
    return OPEN.replace("state", "m.state").replace("settled", "m.settled")


def page(
    connection: sqlite3.Connection, state: str, search: str, settled: bool, before: int, limit: int
) -> ExceptionPage:
    """Return exceptions, newest arrival first; of a state that is none, the studies in it. On hold are those whose best
    order is.

    Raises
    ------
    BadRequest
        For a state that there is not.
    """
    if state and state not in (*STATES, verdict.MATCHED, verdict.APART, ON_HOLD):
        raise BadRequest(f"there is no state {state[:32]}", f"one of {', '.join((*STATES, verdict.MATCHED, ON_HOLD))}")
    if settled:
        source, where = "matches m CROSS JOIN studies s ON s.study = m.study", "m.settled != ''"
    elif state in (verdict.MATCHED, verdict.APART):
        source, where = "studies s CROSS JOIN matches m ON m.study = s.study", "m.study != ''"
    else:
        source, where = "matches m CROSS JOIN studies s ON s.study = m.study", _open()
    values: list[object] = [before or 1 << 62]
    where += " AND s.hidden=0 AND s.id < ?"
    if state == ON_HOLD:
        where += f" AND {_HELD}"
    elif state:
        where += " AND m.state = ?"
        values.append(state)
    if word := fold(search):
        where += " AND (instr(s.search, ?) > 0 OR instr(coalesce(json_extract(m.body, '$.key'), ''), ?) > 0)"
        values += [word, word]
    limit = max(1, min(limit, 1000))
    rows = connection.execute(
        f"{_ROW} {source} WHERE {where} ORDER BY s.id DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    told, _ = counts(connection)
    return ExceptionPage(
        tuple(_row(row) for row in rows[:limit]), rows[limit - 1][14] if len(rows) > limit else 0, told
    )


def found(connection: sqlite3.Connection, arrived: Arrived, search: str) -> list[Scored]:
    """Return orders, and patients without any, for a text: the beginning of a name, an ID, an accession number, or of a
    placer's or filler's number; compared with a study."""
    word = fold(search)
    if not word:
        return []
    orders: list[int] = []
    given = search.strip()
    for column, low in (("accession_key", word), ("placer", given), ("filler", given)):
        rows = connection.execute(
            f"SELECT id FROM orders WHERE {column} >= ? AND {column} < ? AND {column} != '' LIMIT {_FOUND}",  # noqa: S608
            (low, low + _HIGHEST),
        )
        orders += [row[0] for row in rows]
    persons: list[int] = []
    for column, low in (("name_key", word), ("patient_id", given), ("patient_id", given.upper())):
        rows = connection.execute(
            "SELECT CASE merged_into WHEN 0 THEN id ELSE merged_into END FROM persons"  # noqa: S608 - names of columns
            f" WHERE {column} >= ? AND {column} < ? LIMIT {_FOUND}",
            (low, low + _HIGHEST),
        )
        persons += [row[0] for row in rows]
    alone: list[Expected] = []
    for person in dict.fromkeys(persons):
        mine = connection.execute(
            "SELECT id FROM orders WHERE person=? ORDER BY id DESC LIMIT 20", (person,)
        ).fetchall()
        orders += [row[0] for row in mine]
        if not mine:
            alone.append(patient(connection, person))
    there = expected(connection, list(dict.fromkeys(orders))[:200], arrived.study)
    scored = [scoring.score(arrived, each) for each in there]
    return [*verdict.rank(scored), *(scoring.score(arrived, each) for each in alone)][:_FOUND]


def candidate(scored: Scored) -> Candidate:
    """Return an order beside a study as the contract has it."""
    e = scored.expected
    shown = [part for part in scored.parts if part.attribute != scoring.STATE]
    when = f"{e.moment:%Y-%m-%d %H:%M}" if e.moment and e.timed else f"{e.moment:%Y-%m-%d}" if e.moment else ""
    return Candidate(
        e.order, e.step, e.name, e.patient_id, e.accession, e.modality, e.description, when, scored.score,
        tuple(Difference(p.attribute, p.arrived, p.expected, _MARKS[p.kind], p.how) for p in shown),
        tuple(_reason(p) for p in sorted(scored.parts, key=lambda p: -abs(p.points)) if p.points),
        e.issuer, e.state, safe(e.held, 100), safe(e.held_why, 200),
    )  # fmt: skip


def _reason(part: scoring.Part) -> str:
    how = f": {part.how}" if part.how else " agrees" if part.points > 0 else ""
    return f"{part.points:+d} {part.attribute}{how}"


def disagreements(said: Said | None) -> tuple[tuple[Disagreement, ...], int]:
    """Return where objects of a study disagree as the contract has it, and how many of them were looked at."""
    if said is None or said.counts is None:
        return (), 0
    found = tuple(
        Disagreement(each.attribute, tuple(SaidText(safe(text, 200), count) for text, count in each.values))
        for each in said.counts.differences()
    )
    return found, said.counts.total


def candidates(ranked: Sequence[Scored]) -> tuple[Candidate, ...]:
    """Return the best orders of a study as the contract has them: those for which anything speaks, and those that its
    UID or accession number name."""
    worth = [each for each in ranked if each.score > 0 or each.linked]
    return tuple(candidate(each) for each in worth[:_SHOWN])
