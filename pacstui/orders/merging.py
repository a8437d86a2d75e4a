"""Two patients become one, or one gets another ID; studies and orders go along. On the writer lane, in a transaction.

What was done is kept in ``merges``, with the studies and orders that went along, so that it can be undone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pacstui.errors import NotFound
from pacstui.index import identities
from pacstui.index.identities import Identity
from pacstui.orders import persons
from pacstui.orders.persons import Identifier, Person

_MERGED: Final = "SELECT id, patient_id, issuer FROM persons WHERE merged_into=? AND merged_into != 0"


@dataclass(frozen=True, slots=True)
class Moved:
    """What went along: rows of ``orders``, and whether rows of the index changed."""

    orders: tuple[int, ...] = ()
    indexed: bool = False


def _identity(person: Person) -> Identity:
    body = person.body
    return Identity(
        person.id, person.patient_id, person.issuer, person.name, person.birth_date, person.sex,
        tuple(body.get("names", ())), tuple(body.get("deleted", ())), tuple(e[0] for e in body.get("other_ids", ())),
    )  # fmt: skip


def _sources(connection: sqlite3.Connection, person: Person, local_issuer: str) -> Iterator[tuple[str, str]]:
    """Yield the IDs whose studies are a person's: its own and those merged into it, each without issuer too where that
    means it."""
    keys = [(person.patient_id, person.issuer)]
    keys += [(row[1], row[2]) for row in connection.execute(_MERGED, (person.id,))]
    for patient_id, issuer in keys:
        yield patient_id, issuer
        if not issuer:
            continue
        if local_issuer:
            if issuer == local_issuer:
                yield patient_id, ""
        elif connection.execute("SELECT count(*) FROM persons WHERE patient_id=?", (patient_id,)).fetchone()[0] == 1:
            yield patient_id, ""


def follow(connection: sqlite3.Connection, person: Person, local_issuer: str = "", *, known: bool = True) -> bool:
    """Let the index follow a person; return whether anything changed."""
    sources = list(_sources(connection, person, local_issuer))
    return bool(identities.follow(connection, _identity(person), sources, known=known))


def merge(
    connection: sqlite3.Connection, prior: Person, survivor: Person, source: str, control: str, at: int,
    local_issuer: str = "",
) -> Moved:  # fmt: skip
    """Merge a patient, and all that were merged into it, into another."""
    orders = tuple(row[0] for row in connection.execute("SELECT id FROM orders WHERE person=?", (prior.id,)).fetchall())
    connection.execute("UPDATE orders SET person=?, changed=? WHERE person=?", (survivor.id, at, prior.id))
    chain = [row[0] for row in connection.execute(_MERGED, (prior.id,)).fetchall()]
    connection.execute(
        "UPDATE persons SET merged_into=?, changed=? WHERE merged_into=? AND merged_into != 0",
        (survivor.id, at, prior.id),
    )
    connection.execute("UPDATE persons SET merged_into=?, changed=? WHERE id=?", (survivor.id, at, prior.id))
    mine = survivor.body.get("names", ())
    more = [name for name in prior.body.get("names", ()) if name not in mine]
    # What harms if it is forgotten, and the survivor says nothing of.
    kept: dict[str, Any] = {
        key: prior.body[key]
        for key in ("allergies", "alerts", "pregnancy")
        if key in prior.body and key not in survivor.body
    }
    if more or kept:
        survivor = replace(survivor, body={**survivor.body, **kept, "names": [*mine, *more]})
        persons.save(connection, survivor, at)
    sources = list(_sources(connection, survivor, local_issuer))
    followed = identities.follow(connection, _identity(survivor), sources, known=True)
    connection.execute(
        "INSERT INTO merges (at, kind, prior, survivor, source, control, body) VALUES (?,?,?,?,?,?,?)",
        (at, "merge", prior.id, survivor.id, source, control,
         json.dumps({"orders": orders, "chain": chain, "names": more, "kept": sorted(kept),
                     "studies": followed.studies}, separators=(",", ":"))),
    )  # fmt: skip
    return Moved(orders, bool(followed))


def renamed(
    connection: sqlite3.Connection, person: Person, new: Identifier, source: str, control: str, at: int,
    local_issuer: str = "",
) -> Moved:  # fmt: skip
    """Give a patient another ID; the old one stays known as one that was merged into it."""
    old = Identifier(person.patient_id, person.issuer)
    connection.execute(
        "UPDATE persons SET patient_id=?, issuer=?, changed=? WHERE id=?", (new.id, new.issuer, at, person.id)
    )
    behind = persons.insert(connection, old, source, at)
    connection.execute("UPDATE persons SET merged_into=? WHERE id=?", (person.id, behind.id))
    person = replace(person, patient_id=new.id, issuer=new.issuer)
    sources = list(_sources(connection, person, local_issuer))
    followed = identities.follow(connection, _identity(person), sources, known=True)
    connection.execute(
        "INSERT INTO merges (at, kind, prior, survivor, source, control, body) VALUES (?,?,?,?,?,?,?)",
        (at, "change of ID", behind.id, person.id, source, control,
         json.dumps({"studies": followed.studies}, separators=(",", ":"))),
    )  # fmt: skip
    return Moved((), bool(followed))


def undo(connection: sqlite3.Connection, merge: int, at: int) -> Moved:
    """Undo a merge, by its row of ``merges``: the prior patient is one of its own again, with the orders and studies
    that went along and those that came for its ID since.

    Raises
    ------
    NotFound
        When there is none, or it was undone before, or it was a change of ID.
    """
    row = connection.execute(
        "SELECT prior, survivor, body FROM merges WHERE id=? AND kind='merge' AND undone=0", (merge,)
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no merge {merge} that could be undone", "pacstui hl7 list shows the messages")
    prior, body = persons.by_id(connection, row[0]), json.loads(row[2])
    survivor = persons.survivor(connection, persons.by_id(connection, row[1]))
    chain = [persons.by_id(connection, each) for each in body["chain"]]
    for person in (each for each in chain if each.merged_into == survivor.id):
        connection.execute("UPDATE persons SET merged_into=?, changed=? WHERE id=?", (prior.id, at, person.id))
    prior = replace(prior, merged_into=0)
    persons.save(connection, prior, at)
    left = {key: value for key, value in survivor.body.items() if key not in body["kept"]}
    left["names"] = [name for name in left.get("names", ()) if name not in body["names"]]
    survivor = replace(survivor, body=left)
    persons.save(connection, survivor, at)
    for order in body["orders"]:
        connection.execute("UPDATE orders SET person=?, changed=? WHERE id=? AND person=?",
                           (prior.id, at, order, survivor.id))  # fmt: skip
    ids = {prior.patient_id, *(each.patient_id for each in chain)}
    before = {each[0]: tuple(each[3:6]) for each in body["studies"] if each[1] in ids}
    under = connection.execute(
        "SELECT f.study, f.patient_id FROM former_identities f JOIN studies s ON s.study = f.study"
        " WHERE s.patient_id=? AND s.issuer=?", (survivor.patient_id, survivor.issuer),
    ).fetchall()  # fmt: skip
    ours = {study for study, id in under if id in ids} - {study for study, id in under if id == survivor.patient_id}
    identity = _identity(prior)
    for study in sorted(ours):
        identities.give_back(connection, identity, study, before.get(study))
    connection.execute("UPDATE merges SET undone=? WHERE id=?", (at, merge))
    return Moved(tuple(body["orders"]), bool(ours))
