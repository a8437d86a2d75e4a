"""A study of the index looked at: what it says, which orders there are for it, and what comes of it as a row.

Everything here runs on a thread of the database, :func:`look` on any, the rest on the writer lane in its transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pacstui.clock import microseconds
from pacstui.index.fold import fold
from pacstui.orders import standing
from pacstui.qc import scoring, verdict
from pacstui.qc.candidates import candidates, issuers_of, moment_of, patient, persons_of
from pacstui.qc.likeness import Kind
from pacstui.qc.sayings import Said, Sayings, loaded, spelled
from pacstui.qc.scoring import Arrived, Scored, score
from pacstui.qc.told import Told, corrected
from pacstui.qc.verdict import Doubts, Thresholds, Verdict
from pacstui.routing.conditions import Patterns
from pacstui.settings.qc import QcSettings

OPEN: Final = "state IN ('probable', 'unmatched', 'conflicting') AND settled = ''"
"""What is an exception; as the index ``matches_open`` has it."""
_STUDY: Final = (
    "SELECT id, study, accession, patient_id, issuer, patient_name, birth_date, sex, modalities, calling, date, time,"
    " description, conflict, instances, received, changed FROM studies WHERE study=? AND hidden=0"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A study as the index has it. ``received`` and ``changed`` are microseconds since 1970."""

    key: int
    arrived: Arrived
    calling: tuple[str, ...]
    conflict: str
    instances: int
    received: int
    changed: int
    date: str


@dataclass(frozen=True, slots=True)
class Look:
    """What came of looking at a study; ``said`` is what its objects say."""

    seen: Seen
    verdict: Verdict
    ranked: tuple[Scored, ...]
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of ``matches`` before and after. ``changed`` is whether state or order are others now; ``left`` the order
    that the study was matched to and is not any more, 0 for none."""

    study: str
    state: str
    order: int
    step: int
    score: int
    changed: bool
    calling: str = ""
    left: int = 0


class Rules:
    """The settings made ready: thresholds, and which studies need no order."""

    def __init__(self, settings: QcSettings, local_issuer: str = "") -> None:
        self.thresholds = Thresholds(settings.matched_score, min(settings.probable_score, settings.matched_score))
        self.local_issuer = local_issuer
        self._from = frozenset(settings.orders_expected_from)
        self._calling = Patterns(settings.ignore_calling) if settings.ignore_calling else None
        self._descriptions = Patterns(settings.ignore_descriptions) if settings.ignore_descriptions else None
        self._modalities = frozenset(each.upper() for each in settings.ignore_modalities)
        self._prior = timedelta(days=settings.prior_days)

    def needs_none(self, seen: Seen, first_order: int) -> str:
        """Return why no order is expected for a study, empty if one is. ``first_order`` is when the first order of all
        came, 0 if there never was one."""
        if not first_order:
            return "this node has no orders"
        if seen.changed < first_order:
            return "it came before there were orders"
        if self._from and not self._from & set(seen.calling):
            return "its sender needs no orders"
        if self._calling is not None and seen.calling and all(self._calling.fit(each) for each in seen.calling):
            return "its sender needs no orders"
        if self._descriptions is not None and self._descriptions.fit(seen.arrived.description):
            return "its kind needs no order"
        there = {each.upper() for each in seen.arrived.modalities}
        if there and there <= self._modalities:
            return "its modality needs no order"
        taken, _ = moment_of(seen.date, "")
        if taken is not None and local(seen.received) - taken > self._prior:
            return "it is a prior study"
        return ""


def local(micro: int) -> datetime:
    """Return microseconds since 1970 as local time without a zone, as steps are scheduled."""
    return datetime.fromtimestamp(micro / 1e6)  # noqa: DTZ006 - local on purpose


def seen_of(
    connection: sqlite3.Connection, study: str, local_issuer: str = "", told: Told | None = None
) -> Seen | None:
    """Return a study as the index has it, of the patient whom its objects ``told``; none if the index has it not."""
    row = connection.execute(_STUDY, (study,)).fetchone()
    if row is None:
        return None
    (key, uid, accession, patient_id, issuer, name, born, sex, modalities, calling, day, clock, description, conflict,
     instances, received, changed) = row  # fmt: skip
    stations = connection.execute("SELECT DISTINCT station FROM series WHERE study=? LIMIT 20", (key,)).fetchall()
    callers = tuple(each for each in calling.split("\\") if each)
    moment, _ = moment_of(day, clock)
    if moment is None:
        moment = local(received)
    if told is not None:
        patient_id, issuer, name, born, sex = told.patient_id, told.issuer, told.name, told.born, told.sex
        accession = told.accession or accession
    arrived = Arrived(
        uid, accession, patient_id, issuer or (local_issuer if patient_id else ""), name, born, sex,
        tuple(each for each in modalities.split("\\") if each),
        tuple(dict.fromkeys((*callers, *(each[0] for each in stations if each[0])))), moment, description,
    )  # fmt: skip
    return Seen(key, arrived, callers, conflict, instances, received, changed, day)


def counted_of(connection: sqlite3.Connection, study: str) -> tuple[Sayings, int]:
    """Return what was counted of a study's objects and is kept with its row, and how many objects it has."""
    row = connection.execute(
        "SELECT m.body, s.instances FROM studies s LEFT JOIN matches m ON m.study = s.study WHERE s.study=?", (study,)
    ).fetchone()
    return (loaded(row[0] or ""), int(row[1])) if row is not None else (Sayings(), 0)


def first_order(connection: sqlite3.Connection) -> int:
    """Return when the first order came, 0 if there never was one."""
    row = connection.execute("SELECT created FROM orders ORDER BY id LIMIT 1").fetchone()
    return (int(row[0]) or 1) if row else 0


def look(
    connection: sqlite3.Connection,
    study: str,
    rules: Rules,
    since: int,
    said: Said | None = None,
    again: bool = False,
) -> Look | None:
    """Look at a study; None if the index has it not.

    Parameters
    ----------
    since
        When the first order came.
    said
        What its objects say.
    again
        Whether only orders or patients have changed since it was looked at last: a study that was matched stays so when
        its patient gets another name or birth date.
    """
    counts = said.counts if said is not None else None
    seen = seen_of(connection, study, rules.local_issuer, counts.told() if counts is not None else None)
    if seen is None:
        return None
    apart = rules.needs_none(seen, since)
    ranked = verdict.rank(candidates(connection, seen.arrived)) if since else []
    judged = verdict.judge(seen.arrived, ranked, _doubts(connection, seen), rules.thresholds)
    given = corrected(connection, study)
    if given and not seen.conflict:  # somebody has decided it
        mine = next((each for each in ranked if each.expected.order == given), None)
        step, points = (mine.expected.step, mine.score) if mine is not None else (0, judged.score)
        judged = Verdict(verdict.MATCHED, given, step, points, "")
    elif again and judged.state == verdict.PROBABLE and given is None:
        row = connection.execute('SELECT state, "order", seen FROM matches WHERE study=?', (study,)).fetchone()
        if row == (verdict.MATCHED, judged.order, seen.changed):
            judged = replace(judged, state=verdict.MATCHED, why="")
    if counts is not None and given is None:
        judged = _apart(judged, counts, seen.conflict)
    if apart and judged.state != verdict.MATCHED and not seen.conflict:
        judged = Verdict(verdict.APART, 0, 0, judged.score, apart)
    return Look(seen, judged, tuple(ranked), said)


def _apart(judged: Verdict, said: Sayings, conflict: str) -> Verdict:
    """Return a verdict that takes into account that objects of the study disagree: one that is matched by most of them
    is to be looked at, one that conflicts says how many of them say what."""
    if judged.state == verdict.MATCHED and (why := said.grave()):
        return replace(judged, state=verdict.PROBABLE, why=why)
    ids = next((each.values for each in said.differences() if each.attribute == "patient ID"), ())
    if conflict and judged.state == verdict.CONFLICTING and ids:
        return replace(judged, why=f"{judged.why}; patient ID {spelled(ids)} of its objects")
    return judged


def _doubts(connection: sqlite3.Connection, seen: Seen) -> Doubts:
    a = seen.arrived
    owners = persons_of(connection, a.patient_id)
    issuers = issuers_of(connection, a.patient_id) if owners and not a.issuer else ()
    return Doubts(seen.conflict, issuers, bool(owners), _owner(connection, a, [row[0] for row in owners]))


def _owner(connection: sqlite3.Connection, arrived: Arrived, persons: list[int]) -> str:
    """Return in words why none of those who have the study's ID can be its patient, empty if one can, or nobody has
    exactly that ID."""
    told = ""
    for person in persons:
        scored = score(arrived, patient(connection, person))
        if scored.kind(scoring.ID) < Kind.ALIKE:
            continue
        if not verdict.contradicts(scored):
            return ""
        told = told or verdict.differences(scored, verdict.WHO)
    return told


def keep(connection: sqlite3.Connection, found: Look, at: int) -> Kept:
    """Write what came of a look. Who took a study as it is did so for what it was then: where state and order are the
    same, that stays."""
    study, judged = found.seen.arrived.study, found.verdict
    row = connection.execute('SELECT state, "order", at, settled FROM matches WHERE study=?', (study,)).fetchone()
    same = row is not None and (row[0], row[1]) == (judged.state, judged.order)
    since, settled = (row[2], row[3]) if same and row is not None else (at, "")
    connection.execute(
        'INSERT INTO matches (study, "order", state, score, why, settled, body, at, seen) VALUES (?,?,?,?,?,?,?,?,?)'
        ' ON CONFLICT (study) DO UPDATE SET "order"=excluded."order", state=excluded.state, score=excluded.score,'
        " why=excluded.why, settled=excluded.settled, body=excluded.body, at=excluded.at, seen=excluded.seen",
        (
            study,
            judged.order,
            judged.state,
            judged.score,
            judged.why,
            settled,
            _body(found),
            since,
            found.seen.changed,
        ),
    )
    caller = found.seen.calling[0] if found.seen.calling else ""
    left = row[1] if row is not None and row[0] == verdict.MATCHED and not same else 0
    return Kept(study, judged.state, judged.order, judged.step, judged.score, not same, caller, left)


def images_came(connection: sqlite3.Connection, step: int, now: datetime) -> bool:
    """Let a step that is still scheduled stand at arrived; return whether it was."""
    row = connection.execute("SELECT \"order\" FROM steps WHERE id=? AND state='scheduled'", (step,)).fetchone()
    if row is None:
        return False
    at = microseconds(now)
    connection.execute(
        "UPDATE steps SET state='arrived', changed=?, body=json_set(body, '$.by_images', 1) WHERE id=?", (at, step)
    )
    standing.note(connection, row[0], now, "images arrived")
    standing.settle(connection, row[0], at)
    return True


def images_went(connection: sqlite3.Connection, order: int, now: datetime) -> list[int]:
    """Let steps of an order whose images are another one's be scheduled again; return these.

    Only those that stand at arrived because of images, and if no other study is matched to the order.
    """
    if connection.execute("SELECT 1 FROM matches WHERE \"order\"=? AND state='matched' LIMIT 1", (order,)).fetchone():
        return []
    rows = connection.execute(
        "SELECT id FROM steps WHERE \"order\"=? AND state='arrived' AND json_extract(body, '$.by_images') = 1", (order,)
    ).fetchall()
    at = microseconds(now)
    for (step,) in rows:
        connection.execute(
            "UPDATE steps SET state='scheduled', changed=?, body=json_remove(body, '$.by_images') WHERE id=?",
            (at, step),
        )
    if rows:
        standing.note(connection, order, now, "the images that arrived are of another order")
        standing.settle(connection, order, at)
    return [row[0] for row in rows]


def _body(found: Look) -> str:
    """Return what a study said of its patient, for the list: the index may have it otherwise; and how many of its
    objects said what, of those that were counted."""
    arrived = found.seen.arrived
    counted = found.said.counted.dumped() if found.said is not None else []
    key = " ".join(filter(None, (fold(arrived.name.replace("=", " ")), fold(arrived.patient_id))))
    return json.dumps({"name": arrived.name, "id": arrived.patient_id, "key": key, "said": counted}, ensure_ascii=False)


def unseen(connection: sqlite3.Connection, before: int, most: int) -> tuple[list[str], int]:
    """Return studies among the ``most`` that came before a key of which something came since the last look, newest
    first, and the key to go on with, 0 at the end."""
    rows = connection.execute(
        "SELECT s.id, s.study, s.changed > coalesce(m.seen, -1) FROM studies s LEFT JOIN matches m ON m.study = s.study"
        " WHERE s.id < ? ORDER BY s.id DESC LIMIT ?",
        (before, most),
    ).fetchall()
    return [row[1] for row in rows if row[2]], rows[-1][0] if len(rows) == most else 0


_UNDECIDED: Final = (
    "AND NOT EXISTS (SELECT 1 FROM matches m WHERE m.study = s.study AND m.state IN ('matched', 'not expected'))"
)
"""Of a patient's studies those that a new order may be for."""


def touched_by_orders(connection: sqlite3.Connection, orders: Iterable[int], most: int = 50) -> list[str]:
    """Return studies to look at again because orders changed: those matched to them, those that UID or accession number
    point at, and those of the patient that belong to none yet."""
    found: list[str] = []
    for order in orders:
        row = connection.execute(
            "SELECT o.study, o.accession_key, o.person FROM orders o WHERE o.id=?", (order,)
        ).fetchone()
        queries: list[tuple[str, tuple[object, ...]]] = [('SELECT study FROM matches WHERE "order"=?', (order,))]
        if row is not None:
            queries.append(("SELECT study FROM studies WHERE study=?", (row[0],)))
            if row[1]:
                queries.append(
                    ("SELECT study FROM studies WHERE accession_key=? AND accession_key != '' LIMIT 20", (row[1],))
                )
            found += touched_by_persons(connection, [row[2]], most, _UNDECIDED)
        for query, values in queries:
            found += [each[0] for each in connection.execute(query, values)]
    return list(dict.fromkeys(found))


def touched_by_persons(
    connection: sqlite3.Connection, persons: Iterable[int], most: int = 50, which: str = ""
) -> list[str]:
    """Return the newest studies of patients, by any ID that they have or had; ``which`` is a condition."""
    found: list[str] = []
    for person in persons:
        rows = connection.execute(
            "SELECT patient_id FROM persons WHERE id=? UNION"
            " SELECT patient_id FROM persons WHERE merged_into=? AND merged_into != 0",
            (person, person),
        ).fetchall()
        for (patient_id,) in rows:
            if patient_id:
                some = connection.execute(
                    f"SELECT s.study FROM studies s WHERE s.patient_id_key=? {which} ORDER BY +s.id DESC LIMIT ?",  # noqa: S608
                    (fold(patient_id), most),
                )
                found += [each[0] for each in some]
    return list(dict.fromkeys(found))


def open_ones(connection: sqlite3.Connection, most: int) -> list[str]:
    """Return the newest exceptions that nobody has settled."""
    rows = connection.execute(f"SELECT study FROM matches WHERE {OPEN} ORDER BY at DESC LIMIT ?", (most,))  # noqa: S608
    return [row[0] for row in rows]
