"""The noun ``merges``: patients that ADT messages made one, and what taking them apart would put back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock, moment, moment_or_none
from pacstui.contract.corrections import ChangeText, Preview
from pacstui.contract.merges import MergePage, MergeRow
from pacstui.db import Database
from pacstui.errors import BadRequest, NotFound
from pacstui.orders import unmerging
from pacstui.orders.merging import Moved
from pacstui.orders.persons import Person
from pacstui.orders.unmerging import Back
from pacstui.text import person, plural, safe

_ROW: Final = (
    "SELECT m.id, m.at, m.kind, p.patient_id, p.issuer, p.name, s.patient_id, s.issuer, s.name, m.source, m.control,"
    " m.body, m.undone FROM merges m JOIN persons p ON p.id = m.prior JOIN persons s ON s.id = m.survivor"
)
_MESSAGE: Final = (
    "SELECT id FROM hl7_messages WHERE control=? AND sender=? AND facility=? AND at <= ? ORDER BY at DESC LIMIT 1"
)
_OF_STUDY: Final = (
    "m.prior IN ({0}) OR m.survivor IN ({0})".format(
        "SELECT o.id FROM studies t JOIN persons n ON n.patient_id = t.patient_id AND n.issuer = t.issuer"
        " JOIN persons o ON o.id = n.id OR (o.merged_into = n.id AND n.id != 0) WHERE t.study=?"
    )
)  # fmt: skip
_STUDY: Final = (
    "SELECT trim(modalities || ' ' || CASE length(date) WHEN 8"
    " THEN substr(date, 1, 4) || '-' || substr(date, 5, 2) || '-' || substr(date, 7) ELSE date END),"
    " patient_name, instances, series FROM studies WHERE study=?"
)
_WHY: Final = 500


class MergesRoom:
    """Merges for people. ``forget_index`` drops what the writer of the index remembers; called on the writer lane."""

    def __init__(
        self, database: Database, bus: Bus, clock: Clock, caller: Callable[[], str], forget_index: Callable[[], None]
    ) -> None:
        self._db = database
        self._bus = bus
        self._clock = clock
        self._caller = caller
        self._forget_index = forget_index
        self.changed: Callable[[], None] = lambda: None
        """Called after each: copies that leave are of somebody else."""
        self.noted: Callable[[str, str, str], None] = lambda action, patient, detail: None
        """Told what was done, and of which patient: for the audit trail."""

    async def list_all(self, study: str = "", message: int = 0, before: int = 0, limit: int = 100) -> MergePage:
        most = max(1, min(limit, 500))
        return await self._db.read(lambda c: _page(c, study, message, before, most))

    async def show(self, id: int) -> Preview:
        return await self._db.read(lambda c: _preview(c, unmerging.back(c, id)))

    async def undo(self, id: int, why: str, token: str = "") -> MergeRow:
        if not why.strip():
            raise BadRequest("why?", "others will ask: say it in a few words, without names of patients")
        by, now, said = self._caller(), self._clock.now(), safe(why.strip(), _WHY)

        def work(connection: sqlite3.Connection) -> tuple[Moved, Back]:
            found = unmerging.back(connection, id)
            moved = unmerging.undo(connection, id, now, by, said, token)
            self._forget_index()
            return moved, found

        moved, found = await self._db.write(work)
        self.changed()
        self._bus.publish(events.PatientChanged(now, tuple(sorted({found.prior.id, found.survivor.id}))))
        if moved.orders:
            self._bus.publish(events.OrderChanged(now, moved.orders))
        self.noted("merges.undo", found.prior.patient_id, f"merge {id}: {_count(found)} back")
        return await self._db.read(lambda c: _one(c, id))


def _one(connection: sqlite3.Connection, ident: int) -> MergeRow:
    row = connection.execute(f"{_ROW} WHERE m.id=?", (ident,)).fetchone()
    if row is None:
        raise NotFound(f"there is no merge {ident}", "pacstui merges list has them")
    return _shown(connection, row)


def _page(connection: sqlite3.Connection, study: str, message: int, before: int, most: int) -> MergePage:
    terms, values = ["1"], list[Any]()
    if study:
        terms.append(f"({_OF_STUDY})")
        values += [study, study]
    if message:
        sent = connection.execute(
            "SELECT control, sender, facility FROM hl7_messages WHERE id=?", (message,)
        ).fetchone()
        if sent is None:
            raise NotFound(f"there is no message {message}", "pacstui hl7 list has them")
        terms.append("m.control=? AND m.source=?")
        values += [sent[0], f"{sent[1]}|{sent[2]}"]
    if before:
        terms.append("m.id < ?")
        values.append(before)
    query = f"{_ROW} WHERE {' AND '.join(terms)} ORDER BY m.id DESC LIMIT ?"
    rows = [_shown(connection, row) for row in connection.execute(query, (*values, most + 1)).fetchall()]
    kept = [row for row in rows[:most] if not message or row.message == message]
    return MergePage(tuple(kept), rows[most - 1].id if len(rows) > most else 0)


def _shown(connection: sqlite3.Connection, row: Sequence[Any]) -> MergeRow:
    ident, at, kind, prior, issuer, name, other, other_issuer, other_name, source, control, text, undone = row
    body = json.loads(text)
    sender, _, facility = source.partition("|")
    message = connection.execute(_MESSAGE, (control, sender, facility, at)).fetchone()
    return MergeRow(
        ident, moment(at), safe(kind, 32), safe(prior, 64), safe(issuer, 64), safe(name, 200), safe(other, 64),
        safe(other_issuer, 64), safe(other_name, 200), safe(source.replace("|", "@").strip("@"), 64),
        int(message[0]) if message else 0, len(body.get("orders", ())), len(body.get("studies", ())),
        moment_or_none(undone), safe(str(body.get("undone_by", "")), 64), safe(str(body.get("why", "")), _WHY),
        unmerging.hindrance(kind, undone),
    )  # fmt: skip


def _count(found: Back) -> str:
    return f"{plural(len(found.studies), 'study', 'studies')} and {plural(len(found.orders), 'order')}"


def _who(name: str, one: Person) -> str:
    return f"{person(name)} ({safe(', '.join(filter(None, (one.patient_id, one.issuer))), 100)})"


def _whose(one: Person) -> str:
    return _who(one.name, one)


def _preview(connection: sqlite3.Connection, found: Back) -> Preview:
    """Return what would be put back, as a correction is shown: each study and order with whose it is and will be."""
    prior, survivor = found.prior, found.survivor
    changes, images, series = [], 0, 0
    for study in found.studies:
        label, name, instances, parts = connection.execute(_STUDY, (study,)).fetchone()
        images, series = images + instances, series + parts
        then = prior.name or found.before.get(study, (name, "", ""))[0]
        changes.append(ChangeText("patient", f"study {safe(label, 26)}", _who(name, survivor), _who(then, prior)))
    for order in found.orders:
        label = connection.execute(
            "SELECT coalesce(nullif(accession, ''), nullif(placer, ''), id) FROM orders WHERE id=?", (order,)
        ).fetchone()[0]
        changes.append(ChangeText("patient", f"order {safe(str(label), 26)}", _whose(survivor), _whose(prior)))
    sentence = f"Makes {_whose(prior)} a patient of its own again, apart from {_whose(survivor)}: "
    sentence += f"{_count(found)} go back, with {plural(images, 'image')}"
    return Preview(
        found.token, sentence, tuple(changes), found.studies, series, images, False, (),
        tuple(_doubts(connection, found)), safe(prior.patient_id, 64),
    )  # fmt: skip


def _doubts(connection: sqlite3.Connection, found: Back) -> list[str]:
    told = []
    if not found.prior.name:
        told.append(f"the RIS never told the name of {found.prior.shown}: studies get what their objects say")
    for one in found.chain:
        told.append(f"{_whose(one)}, merged into {found.prior.shown} before, goes back with it")
    if found.decided:
        what = plural(len(found.decided), "study", "studies")
        told.append(f"{what} with that ID stay: somebody gave them to {found.survivor.shown} by a correction")
    since = connection.execute(
        "SELECT count(*) FROM orders o, merges m WHERE m.id=? AND o.person=? AND o.created > m.at",
        (found.merge, found.survivor.id),
    ).fetchone()[0]
    if since:
        told.append(
            f"{plural(since, 'order')} that came since stay with {found.survivor.shown}, whichever ID they named"
        )
    begun = connection.execute(
        'SELECT count(DISTINCT "order") FROM steps WHERE state = \'in progress\' AND "order" IN'
        " (SELECT value FROM json_each(?))",
        (json.dumps(found.orders),),
    ).fetchone()[0]
    if begun:
        told.append(f"{plural(begun, 'order')} of these {'is' if begun == 1 else 'are'} being done right now")
    told.append("the RIS is not told: if it has them as one patient, its next message on them says so again")
    return told
