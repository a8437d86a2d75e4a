"""Two patients become one, or one gets another ID; studies and orders go along. On the writer lane, in a transaction.

What was done is kept in ``merges``, with the studies and orders that went along, so that it can be undone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

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


def identity_of(person: Person) -> Identity:
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
    return bool(identities.follow(connection, identity_of(person), sources, known=known))


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
    followed = identities.follow(connection, identity_of(survivor), sources, known=True)
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
    followed = identities.follow(connection, identity_of(person), sources, known=True)
    connection.execute(
        "INSERT INTO merges (at, kind, prior, survivor, source, control, body) VALUES (?,?,?,?,?,?,?)",
        (at, "change of ID", behind.id, person.id, source, control,
         json.dumps({"studies": followed.studies}, separators=(",", ":"))),
    )  # fmt: skip
    return Moved((), bool(followed))
