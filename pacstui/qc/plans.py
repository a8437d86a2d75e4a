"""What a correction would do: read from the rows, said in words, and done by the same steps.

A plan is made twice, for the preview and again inside the transaction that does it; its digest tells whether anything
that counts has changed between.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, NamedTuple

from pacstui.clock import moment_or_none
from pacstui.contract.corrections import ChangeText, Downstream
from pacstui.errors import BadRequest, NotFound
from pacstui.qc.ledger import Ledger, Row, rows_of
from pacstui.text import person, plural, safe

KINDS: Final = ("assign", "edit", "split", "merge", "move", "reject")
_SENT_TO: Final = (
    "SELECT s.destination, o.sop_instance, o.changed FROM sendings s JOIN outbox o"
    " ON o.sending = s.id AND o.state IN ('sent', 'warning') WHERE s.study IN (SELECT value FROM json_each(?))"
    " AND o.sop_instance IN (SELECT value FROM json_each(?)) ORDER BY s.destination"
)


class Awaited(NamedTuple):
    """An object that a rejection note names and that is not here: its UIDs as the note has them."""

    sop_instance: str
    study: str
    series: str


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants corrected. ``note`` is the rejection note that asks for it, ``awaited`` what that names and
    is not here; ``exact`` is whether only what is named is rejected, and nothing that comes later."""

    kind: str
    study: str
    series: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    order: int = 0
    patient_id: str = ""
    issuer: str = ""
    into: str = ""
    reason: str = ""
    note: str = ""
    awaited: tuple[Awaited, ...] = ()
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """How corrections are made, by the settings."""

    new_uids: str = "when moved"
    study_uid: str = "keep"
    show_rejected: bool = False


@dataclass(slots=True)
class Plan:
    """What a correction would do. ``steps`` does it; ``salient`` is what the token depends on beside ``changes``,
    ``already`` what an order or patient gives and is so here.

    ``of_series`` are the rows and ``of_images`` the UIDs that it is about; ``rejects`` is the reason of a rejection,
    whose objects stay visible where ``stays``. ``says`` is what the study will say, by keyword and by path.
    """

    request: Request
    study: Row
    sentence: str
    changes: list[ChangeText] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)
    series: int = 0
    instances: int = 0
    new_uids: bool = False
    downstream: tuple[Downstream, ...] = ()
    doubts: list[str] = field(default_factory=list)
    steps: Callable[[Ledger], None] = lambda ledger: None
    of_series: tuple[int, ...] = ()
    of_images: tuple[str, ...] = ()
    rejects: str = ""
    stays: bool = False
    says: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    salient: Any = None
    already: list[ChangeText] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """What the token holds for: everything but counters, which rise while a study arrives."""
        changes = [(each.level, each.attribute, each.old, each.new) for each in self.changes]
        told = [changes, self.studies, self.new_uids, self.study["id"], self.study["patient"], self.salient]
        return sha256(json.dumps(told, default=str).encode()).hexdigest()


def study_of(connection: sqlite3.Connection, uid: str) -> Row:
    """Return a study's row.

    Raises
    ------
    NotFound
        When there is none.
    """
    rows = rows_of(connection, "SELECT * FROM studies WHERE study=?", (uid,))
    if not rows:
        raise NotFound(f"The archive has no study {safe(uid, 64)}", "it may have been merged or deleted; refresh")
    return rows[0]


def visible(connection: sqlite3.Connection, uid: str) -> Row:
    """Return the row of a study that was not rejected."""
    row = study_of(connection, uid)
    if row["hidden"]:
        raise BadRequest("this was rejected already", "undo its rejection first: pacstui corrections list")
    return row


def series_of(connection: sqlite3.Connection, study: Row, uids: Sequence[str] = ()) -> list[Row]:
    """Return series of a study, all of them where none are named."""
    rows = rows_of(connection, "SELECT * FROM series WHERE study=? ORDER BY id", (study["id"],))
    if not uids:
        return rows
    known = {row["series"]: row for row in rows}
    strange = [uid for uid in uids if uid not in known]
    if strange:
        raise NotFound(f"the study has no series {safe(strange[0], 64)}", "pacstui studies show has its series")
    return [known[uid] for uid in dict.fromkeys(uids)]


def images_of(connection: sqlite3.Connection, study: Row, uids: Sequence[str]) -> list[Row]:
    """Return single objects of a study, by their SOP Instance UIDs."""
    found = []
    for uid in dict.fromkeys(uids):
        rows = rows_of(
            connection,
            "SELECT i.* FROM instances i JOIN series e ON e.id = i.series WHERE e.study=? AND i.sop_instance=?",
            (study["id"], uid),
        )
        if not rows:
            raise NotFound(f"the study has no image {safe(uid, 64)}", "name SOP Instance UIDs of this study")
        found += rows
    return found


def uids_of(connection: sqlite3.Connection, series: Iterable[Row], images: Sequence[Row] = ()) -> dict[str, str]:
    """Return the SOP Instance UIDs that objects have or had, each with the present one."""
    now = [row["sop_instance"] for row in images]
    for each in series if not images else ():
        rows = connection.execute("SELECT sop_instance FROM instances WHERE series=?", (each["id"],))
        now += [row[0] for row in rows]
    told = {uid: uid for uid in now}
    while now:
        pairs = connection.execute(
            "SELECT old, new FROM renamed_instances WHERE new IN (SELECT value FROM json_each(?))", (json.dumps(now),)
        ).fetchall()
        told |= {old: told[new] for old, new in pairs}
        now = [old for old, _ in pairs]
    return told


def names_of(connection: sqlite3.Connection, study: str) -> list[str]:
    """Return the Study Instance UIDs under which objects of a study came or were sent."""
    told, ahead = [study], [study]
    while ahead:
        rows = connection.execute("SELECT DISTINCT study FROM redirects WHERE to_study=?", (ahead.pop(),))
        new = [row[0] for row in rows if row[0] not in told]
        told += new
        ahead += new
    return told


def sent_to(connection: sqlite3.Connection, study: str, uids: Mapping[str, str]) -> tuple[Downstream, ...]:
    """Return which destinations were sent some objects of a study, as the queue remembers it."""
    rows = connection.execute(_SENT_TO, (json.dumps(names_of(connection, study)), json.dumps(list(uids))))
    found: dict[str, tuple[set[str], int]] = {}
    for destination, uid, at in rows:
        held, last = found.get(destination, (set(), 0))
        held.add(uids[uid])
        found[destination] = (held, max(last, at))
    return tuple(
        Downstream(safe(name, 64), len(held), moment_or_none(last), "") for name, (held, last) in found.items()
    )


def doubts_of(connection: sqlite3.Connection, study: Row, moving: bool = False) -> list[str]:
    """Return what speaks against touching a study at all."""
    told = []
    row = connection.execute("SELECT by, why FROM pins WHERE study=?", (study["study"],)).fetchone()
    if row is not None:
        told.append(f"it is pinned by {safe(row[0], 64)}" + (f": {safe(row[1], 100)}" if row[1] else ""))
    if study["conflict"]:
        told.append(f"its objects are of more than one patient: {safe(study['conflict'], 200)}")
    missing = connection.execute(
        "SELECT count(*) FROM instances i JOIN series e ON e.id = i.series WHERE e.study=? AND i.missing != 0",
        (study["id"],),
    ).fetchone()[0]
    if missing:
        told.append(f"{plural(missing, 'object')} of it have no file, or a damaged one")
    return told


def renaming(policy: Policy, moves: bool, other_patient: bool, sent: Sequence[Downstream]) -> bool:
    """Return whether objects get new SOP Instance UIDs (PS3.3 C.12.1: what identifies an object does not change)."""
    if policy.new_uids == "never":
        return False
    return policy.new_uids == "always" or moves or (other_patient and bool(sent))


def who(row: Row) -> str:
    """Return whom a study is of, in words."""
    ident = safe(row["patient_id"], 64) or "no ID"
    return f"{person(row['patient_name'])} ({ident})"


def counted(series: int, instances: int) -> str:
    """Return how much it is."""
    return f"{plural(series, 'series', 'series')}, {plural(instances, 'image')}"
