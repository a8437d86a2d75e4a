"""A merge of patients taken back: which orders and studies go back to the prior one, said before it is done.

What is read here runs on any thread of the database, :func:`undo` on the writer lane, inside its transaction.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pacstui.clock import microseconds
from pacstui.errors import BadRequest, NotFound, Stale
from pacstui.index import identities
from pacstui.orders import persons, standing
from pacstui.orders.merging import Moved, identity_of
from pacstui.orders.persons import Person

MERGE: Final = "merge"
_UNDER: Final = (
    "SELECT f.study, f.patient_id FROM former_identities f JOIN studies s ON s.study = f.study"
    " WHERE s.patient_id=? AND s.issuer=? AND (instr(s.corrected, '\"PatientID\"') = 0) = ?"
)


@dataclass(frozen=True, slots=True)
class Back:
    """What goes back to whom.

    ``chain`` are those that had been merged into the prior one before, ``before`` is name, birth date and sex that
    studies had, by study; those that came since have none. ``decided`` are studies that somebody gave to the survivor
    by a correction: they stay.
    """

    merge: int
    prior: Person
    survivor: Person
    chain: tuple[Person, ...]
    orders: tuple[int, ...]
    studies: tuple[str, ...]
    before: dict[str, tuple[str, str, str]]
    decided: tuple[str, ...]
    body: dict[str, Any]

    @property
    def token(self) -> str:
        """Text that is another one when something else would go back, or to somebody else."""
        return f"{self.merge}-{self.survivor.id}-{'.'.join(map(str, self.orders))}-{'.'.join(self.studies)}"


def hindrance(kind: str, undone: int) -> str:
    """Return why a merge cannot be undone, empty if it can."""
    if undone:
        return "it was undone already"
    if kind != MERGE:
        return "a change of ID is not undone here: the RIS sends the old ID by A47, or A49"
    return ""


def back(connection: sqlite3.Connection, merge: int) -> Back:
    """Return what undoing a merge, by its row of ``merges``, would put back.

    Raises
    ------
    NotFound
        When there is no such merge.
    BadRequest
        When it was undone before, or was a change of ID.
    """
    row = connection.execute("SELECT prior, survivor, body, kind, undone FROM merges WHERE id=?", (merge,)).fetchone()
    if row is None:
        raise NotFound(f"there is no merge {merge}", "pacstui merges list has them")
    why = hindrance(row[3], row[4])
    if why:
        raise BadRequest(f"merge {merge} cannot be undone: {why}", "pacstui merges list says which can")
    prior, body = persons.by_id(connection, row[0]), json.loads(row[2])
    survivor = persons.survivor(connection, persons.by_id(connection, row[1]))
    chain = tuple(
        each for each in (persons.by_id(connection, one) for one in body["chain"]) if each.merged_into == survivor.id
    )
    orders = connection.execute(
        "SELECT id FROM orders WHERE person=? AND id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (survivor.id, json.dumps(body["orders"])),
    ).fetchall()
    ids = {prior.patient_id, *(persons.by_id(connection, one).patient_id for one in body["chain"])}
    before = {each[0]: (each[3], each[4], each[5]) for each in body["studies"] if each[1] in ids}
    moved, decided = (_under(connection, survivor, ids, free) for free in (1, 0))
    return Back(merge, prior, survivor, chain, tuple(each[0] for each in orders), moved, before, decided, body)


def _under(connection: sqlite3.Connection, survivor: Person, ids: set[str], free: int) -> tuple[str, ...]:
    """Return the survivor's studies whose objects have one of those IDs and not its own; ``free`` those that nobody has
    given to it by a correction: a person's choice stays."""
    rows = connection.execute(_UNDER, (survivor.patient_id, survivor.issuer, free)).fetchall()
    own = {study for study, ident in rows if ident == survivor.patient_id}
    return tuple(sorted({study for study, ident in rows if ident in ids} - own))


def undo(connection: sqlite3.Connection, merge: int, now: datetime, by: str = "", why: str = "", token: str = ""
         ) -> Moved:  # fmt: skip
    """Undo a merge: the prior patient is one of its own again, with the orders and studies that went along and the
    studies that came for its ID since. With a ``token`` only if that is what it was shown to be.

    Raises
    ------
    NotFound, BadRequest
        As :func:`back`.
    """
    found, at = back(connection, merge), microseconds(now)
    if token and token != found.token:
        raise Stale("something else would go back now", "look at it again, then undo it")
    prior, survivor, body = found.prior, found.survivor, found.body
    for person in found.chain:
        connection.execute("UPDATE persons SET merged_into=?, changed=? WHERE id=?", (prior.id, at, person.id))
    prior = replace(prior, merged_into=0)
    persons.save(connection, prior, at)
    left = {key: value for key, value in survivor.body.items() if key not in body["kept"]}
    left["names"] = [name for name in left.get("names", ()) if name not in body["names"]]
    persons.save(connection, replace(survivor, body=left), at)
    told = f"with {prior.shown} again: the merge into {survivor.shown} was undone{', by ' + by if by else ''}"
    for order in found.orders:
        connection.execute("UPDATE orders SET person=?, changed=? WHERE id=?", (prior.id, at, order))
        standing.note(connection, order, now, told)
    identity = identity_of(prior)
    for study in found.studies:
        identities.give_back(connection, identity, study, found.before.get(study))
    body = {**body, "undone_by": by, "why": why}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    connection.execute("UPDATE merges SET undone=?, body=? WHERE id=?", (at, text, merge))
    return Moved(found.orders, bool(found.studies))
