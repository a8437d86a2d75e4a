"""Rejection notes on their way: ours into the archive and out of it, those of others when they come."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pacstui import events
from pacstui.archive import Archive
from pacstui.archive.refusal import Refused
from pacstui.archive.trash_rows import Which
from pacstui.bus import Bus
from pacstui.errors import NotFound, PacsError
from pacstui.index.redirects import current
from pacstui.qc.ledger import rows_of
from pacstui.qc.notes import KEY_OBJECTS, Note, read
from pacstui.qc.plans import Awaited, Request
from pacstui.text import safe
from pacstui.transform import TransformError

log = logging.getLogger("pacstui.qc")
SOURCE: Final = "PACSTUI"
_RECENT: Final = 20_000
_OPEN: Final = "SELECT id, state, note, note_uid, study FROM corrections WHERE note_uid != '' AND note IS NOT NULL"
_NOTE: Final = (
    "SELECT s.study, e.series, i.sop_instance, i.path, i.calling, s.hidden FROM instances i"
    " JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study WHERE i.sop_instance=?"
)
_UNREAD: Final = (
    "SELECT i.sop_instance FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study"
    " WHERE i.id > (SELECT coalesce(max(id), 0) - ? FROM instances) AND i.sop_class = ? AND s.hidden = 0"
    " AND i.sop_instance NOT IN (SELECT note_uid FROM corrections WHERE note_uid != '')"
)
Reject = Callable[[Request, str], Awaitable[int]]


class Notes:
    """Keeps notes where they belong. ``reject`` does what a note from outside asks for."""

    def __init__(self, archive: Archive, bus: Bus, reject: Reject) -> None:
        self._archive = archive
        self._reject = reject
        self._came: list[str] = []
        bus.subscribe(events.InstanceStored, self._stored)

    def _stored(self, event: events.InstanceStored) -> None:
        if event.modality == "KO" and event.new and event.calling != SOURCE:
            self._came.append(event.sop_instance)

    async def settle(self, only: int = 0) -> None:
        """Store notes whose correction was done, move those to the trash whose correction was undone; look for notes
        that came when nobody was there to read them."""
        condition = " AND id=?" if only else " ORDER BY id DESC LIMIT 500"
        values = (only,) if only else ()
        rows = await self._archive.db.read(lambda c: rows_of(c, _OPEN + condition, values))
        for row in rows:
            where = await self._place(row["note_uid"])
            if row["state"] == "on" and where is None:
                await self._store(row["id"], row["note"])
            elif row["state"] != "on" and where is not None:
                which = Which(where["study"], where["series"], where["sop_instance"])
                why = f"its correction {row['id']} was undone"
                try:
                    await self._archive.trash.delete(which, why=why, by="corrections", rule="")
                except PacsError as fault:
                    log.warning("the rejection note of correction %d stays: %s", row["id"], fault)
        if not only:
            found = await self._archive.db.read(lambda c: c.execute(_UNREAD, (_RECENT, KEY_OBJECTS)).fetchall())
            self._came += [row[0] for row in found]

    async def _place(self, uid: str) -> dict[str, Any] | None:
        rows = await self._archive.db.read(lambda c: rows_of(c, _NOTE, (current(c, uid),)))
        return rows[0] if rows else None

    async def _store(self, ident: int, data: bytes) -> None:
        incoming = self._archive.begin_import(SOURCE, onward=False)
        try:
            wait = incoming.write(data)
            if wait is not None:
                await wait
            await incoming.finish()
        except (Refused, PacsError) as fault:
            incoming.abandon()
            log.warning("the rejection note of correction %d is not stored yet: %s", ident, fault)

    async def tick(self) -> None:
        """Read notes that came."""
        came, self._came = self._came, []
        for uid in dict.fromkeys(came):
            try:
                await self._honour(uid)
            except PacsError as fault:
                log.info("the rejection note %s changes nothing: %s", safe(uid, 64), fault)
            except Exception:  # a fault of ours with this one: those that came with it are read all the same
                log.exception("the rejection note %s could not be acted on", safe(uid, 64))

    async def _honour(self, uid: str) -> None:
        where = await self._place(uid)
        if where is None or where["hidden"] or await self._archive.db.read(lambda c: _is_known(c, uid)):
            return
        try:
            note = await asyncio.to_thread(self._read, where["path"])
        except (OSError, TransformError) as fault:
            log.warning("the key object document %s cannot be read: %s", safe(uid, 64), fault)
            return
        if note is None:
            return
        found, awaited = await self._archive.db.read(lambda c: _named(c, note, where["study"]))
        if not found and not awaited:
            raise NotFound("the archive has nothing of what it names of its patient", "")
        its = [each for each in found.pop(where["study"], []) if each != where["sop_instance"]]
        for study, images in found.items():
            await self._reject(
                Request("reject", study, (), tuple(images), reason=note.reason, exact=True), where["calling"]
            )
        if its or awaited:  # last, as the note is known to be acted on by this one
            await self._reject(
                Request("reject", where["study"], (), tuple(its), reason=note.reason, note=where["sop_instance"],
                        awaited=tuple(awaited), exact=True), where["calling"],
            )  # fmt: skip

    def _read(self, path: str) -> Note | None:
        with open(self._archive.data_dir / path, "rb") as file:
            return read(file)


def _is_known(connection: sqlite3.Connection, note: str) -> bool:
    """Return whether a note was acted on already, whatever became of that."""
    return connection.execute("SELECT 1 FROM corrections WHERE note_uid=?", (note,)).fetchone() is not None


def _named(connection: sqlite3.Connection, note: Note, study: str) -> tuple[dict[str, list[str]], list[Awaited]]:
    """Return which visible objects of its own patient a note in a study names, by study; and what it names that is not
    here."""
    uids = [current(connection, each.sop_instance) for each in note.named]
    rows = connection.execute(
        "SELECT s.study, i.sop_instance FROM json_each(?) w JOIN instances i ON i.sop_instance = w.value"
        " JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study WHERE s.hidden = 0"
        " AND s.patient = (SELECT patient FROM studies WHERE study=?)",
        (json.dumps(uids), study),
    )
    found: dict[str, list[str]] = {}
    for of, uid in rows:
        found.setdefault(of, []).append(uid)
    here = {row[0] for row in connection.execute(
        "SELECT i.sop_instance FROM json_each(?) w JOIN instances i ON i.sop_instance = w.value", (json.dumps(uids),)
    )}  # fmt: skip
    awaited = [
        Awaited(uid, each.study, each.series) for uid, each in zip(uids, note.named, strict=True) if uid not in here
    ]
    return found, list(dict.fromkeys(awaited))
