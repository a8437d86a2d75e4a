"""Messages of our own: that a study is here, and how an order stands.

A study is told when nothing more of it came for a while, an order when its state has changed. What was said last of
each is kept with the message, in one transaction: nothing is said twice. How far that has come is kept too, so that
what happened just before the node ended is told when it is there again.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds
from pacstui.contract.hl7 import NotificationText
from pacstui.db import Database
from pacstui.errors import BadRequest, NotFound
from pacstui.hl7v2 import outgoing_store as store
from pacstui.hl7v2 import outgoing_values as values
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outgoing_rules import Mistaken, patterns
from pacstui.hl7v2.outgoing_store import Outgoing
from pacstui.hl7v2.outgoing_template import Template, Value, encoded
from pacstui.settings import Hl7NotificationSettings, Hl7ReceiverSettings, Hl7Settings
from pacstui.text import safe

STUDY, ORDER = "study received", "order status"
_MARK: Final = "hl7 told"
_IMPORT: Final = "IMPORT"
"""What the archive notes as the sender of what is imported, if nothing else was said."""
_BATCH: Final = 50
_PENDING: Final = 100_000
_MARK_S: Final = 30.0


def template_of(settings: Hl7NotificationSettings) -> Template:
    """Return the template of a notification.

    Raises
    ------
    Mistaken
        When it cannot be read or understood, or does not tell what it is for.
    """
    text = settings.template
    if settings.template_file:
        if text:
            raise Mistaken("template and template_file are both there", "one of them is enough")
        try:
            text = Path(settings.template_file).read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as fault:
            reason = (fault.strerror or str(fault)) if isinstance(fault, OSError) else "it is not UTF-8"
            raise Mistaken(
                f"{safe(settings.template_file, 200)} cannot be read: {reason}", "name a text file"
            ) from None
    if not text.strip():
        built_in = values.BUILT_IN.get((settings.on, settings.message))
        if built_in is None:
            kinds = " or ".join(kind for on, kind in values.BUILT_IN if on == settings.on)
            raise Mistaken(f"{settings.message} does not tell an {settings.on}", f"set message to {kinds}")
        text = built_in
    return Template.of(text, values.VALUES)


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification, made ready."""

    settings: Hl7NotificationSettings
    template: Template
    modality: Callable[[str], bool]
    calling: Callable[[str], bool]

    def wants(self, told: Mapping[str, Value]) -> bool:
        """Return whether a study or an order is one that it tells."""
        if self.settings.modality and not any(self.modality(each) for each in str(told.get("modality", "")).split("/")):
            return False
        if self.settings.on == ORDER:
            return told.get("status", "") in self.settings.status
        if not self.calling(str(told.get("calling", ""))):
            return False
        return not self.settings.ordered_only or bool(told.get("order"))


def notices(all_settings: Sequence[Hl7NotificationSettings]) -> tuple[list[Notice], list[tuple[str, Mistaken]]]:
    """Return the notifications that are in use, and those that cannot be, by name."""
    found, mistaken = [], []
    for settings in all_settings:
        if settings.enabled:
            try:
                found.append(
                    Notice(settings, template_of(settings), patterns(settings.modality), patterns(settings.calling))
                )
            except Mistaken as fault:
                mistaken.append((settings.name, fault))
    return found, mistaken


@dataclass(slots=True)
class _Study:
    first: int
    last: float
    imported: bool = False
    told: set[str] = field(default_factory=set)


class Notifier:
    """Tells what happened. Everything but the making of messages runs on the event loop.

    Parameters
    ----------
    settings
        The present ones.
    queued
        Is told to whom something was queued.
    """

    def __init__(
        self, database: Database, settings: Callable[[], Hl7Settings], bus: Bus, clock: Clock,
        queued: Callable[[Iterable[str]], None],
    ) -> None:  # fmt: skip
        self._db = database
        self._settings = settings
        self._clock = clock
        self._queued = queued
        self._notices: list[Notice] = []
        self._studies: dict[str, _Study] = {}
        self._orders: dict[int, None] = {}
        self._steps: dict[int, None] = {}
        self._numbers = itertools.count()
        self._marked_at = 0.0
        self._mark = 0
        self._told_since = False
        self.mistaken: list[tuple[str, Mistaken]] = []
        bus.subscribe(events.InstanceStored, self._stored)
        bus.subscribe(events.OrderChanged, lambda event: self.orders(event.orders))
        bus.subscribe(events.StepChanged, lambda event: self._moved(event.steps))

    def use(self) -> None:
        """Take the notifications of the settings."""
        self._notices, self.mistaken = notices(self._settings().notifications)
        names = {each.settings.name for each in self._notices if each.settings.on == STUDY}
        for study in self._studies.values():
            study.told &= names

    async def begin(self) -> None:
        """Take up what happened and was not told when the node ended."""
        self.use()
        now = self._now()
        if not self._notices:
            await self._db.write(lambda c: c.execute("DELETE FROM state WHERE name=?", (_MARK,)).rowcount)
            return
        row = await self._db.read(lambda c: c.execute("SELECT value FROM state WHERE name=?", (_MARK,)).fetchone())
        if row is None:
            await self._db.write(partial(_set_mark, now))
            self._mark = now
            return
        self._mark = since = int(row[0])
        studies = await self._db.read(
            lambda c: c.execute("SELECT study, received, calling FROM studies WHERE received>=?", (since,)).fetchall()
        )
        orders = await self._db.read(lambda c: c.execute("SELECT id FROM orders WHERE changed>=?", (since,)).fetchall())
        for study, received, calling in studies[:_PENDING]:
            self._studies[study] = _Study(received, self._clock.monotonic(), calling == _IMPORT)
        self.orders(row[0] for row in orders)

    def _stored(self, event: events.InstanceStored) -> None:
        if not event.new or not any(each.settings.on == STUDY for each in self._notices):
            return
        known = self._studies.get(event.study)
        if known is not None:
            known.last = self._clock.monotonic()
            known.imported = known.imported and not event.association
            known.told.clear()
        elif len(self._studies) < _PENDING:
            self._studies[event.study] = _Study(self._now(), self._clock.monotonic(), not event.association)

    def orders(self, idents: Iterable[int]) -> None:
        """Look at orders: something about them has changed."""
        if any(each.settings.on == ORDER for each in self._notices):
            self._orders.update(dict.fromkeys(idents))

    def _moved(self, steps: Iterable[int]) -> None:
        """Look at the orders of steps: a modality has said something of them."""
        if any(each.settings.on == ORDER for each in self._notices):
            self._steps.update(dict.fromkeys(steps))

    async def tick(self) -> None:
        """Tell what is to be told by now; called every second."""
        if not self._notices:
            return
        now = self._clock.monotonic()
        due: list[tuple[Notice, str]] = []
        for uid, study in list(self._studies.items()):
            waits = False
            for notice in self._notices:
                if notice.settings.on != STUDY or notice.settings.name in study.told:
                    continue
                if study.imported and not notice.settings.imported:
                    continue
                if now - study.last >= notice.settings.settled_s:
                    due.append((notice, uid))
                    study.told.add(notice.settings.name)
                else:
                    waits = True
            if not waits:
                del self._studies[uid]
        for begin in range(0, len(due), _BATCH):
            await self._tell(partial(self._about_studies, due[begin : begin + _BATCH]))
        if self._steps:
            steps, self._steps = json.dumps(list(self._steps)), {}
            found = 'SELECT DISTINCT "order" FROM steps WHERE id IN (SELECT value FROM json_each(?))'
            self.orders(row[0] for row in await self._db.read(lambda c: c.execute(found, (steps,)).fetchall()))
        orders, self._orders = list(self._orders), {}
        for begin in range(0, len(orders), _BATCH):
            await self._tell(partial(self._about_orders, orders[begin : begin + _BATCH]))
        if now - self._marked_at >= _MARK_S:
            self._marked_at = now
            await self._note_mark()

    async def _note_mark(self) -> None:
        """Keep how far it has come: what arrived before that was told."""
        mark = min((study.first for study in self._studies.values()), default=self._now())
        if mark != self._mark and (self._studies or mark - self._mark > 3600 * 1_000_000 or self._told_since):
            self._mark, self._told_since = mark, False
            await self._db.write(partial(_set_mark, mark))

    async def _tell(self, body: Callable[[sqlite3.Connection], set[str]]) -> None:
        receivers = await self._db.write(body)
        if receivers:
            self._told_since = True
            self._queued(receivers)

    def _about_studies(self, due: Sequence[tuple[Notice, str]], connection: sqlite3.Connection) -> set[str]:
        found: set[str] = set()
        for notice, uid in due:
            told = values.study(connection, uid)
            if told is not None and notice.wants(told):
                said = _said(connection, notice, uid)
                if said is None or (notice.settings.again and said != str(told["instances"])):
                    found |= self._queue(connection, notice, told, uid, str(told["instances"]))
        return found

    def _about_orders(self, orders: Sequence[int], connection: sqlite3.Connection) -> set[str]:
        found: set[str] = set()
        for ident in orders:
            told = values.order(connection, ident)
            if told is None:
                continue
            for notice in self._notices:
                if notice.settings.on == ORDER and notice.wants(told):
                    status = str(told["status"])
                    if _said(connection, notice, f"order:{ident}") != status:
                        found |= self._queue(connection, notice, told, f"order:{ident}", status)
        return found

    def _queue(
        self, connection: sqlite3.Connection, notice: Notice, told: Mapping[str, Value], subject: str, said: str
    ) -> set[str]:
        at = self._now()
        messages = [
            Outgoing(
                receiver, f"{notice.settings.on}, {said}" if notice.settings.on == ORDER else notice.settings.on, kind,
                control, raw, 0, str(told.get("patient_id", "")), str(told.get("accession", "")),
            )
            for receiver, kind, control, raw, _ in self._made(notice, told)
        ]  # fmt: skip
        store.queue(connection, messages, at)
        connection.execute(
            "INSERT INTO hl7_told (notification, subject, said, at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (notification, subject) DO UPDATE SET said=excluded.said, at=excluded.at",
            (notice.settings.name, subject, said, at),
        )
        return {each.receiver for each in messages}

    def _made(self, notice: Notice, told: Mapping[str, Value]) -> Iterator[tuple[str, str, str, bytes, str]]:
        """Yield for each receiver: its name, message type, control ID, bytes and text."""
        settings = self._settings()
        by_name = {each.name: each for each in settings.receivers}
        for name in notice.settings.to:
            receiver = by_name.get(name)
            charset = receiver.charset if receiver is not None else "UNICODE UTF-8"
            control = self._control()
            filled: dict[str, Value] = {
                **_addresses(settings, receiver), **told, "control": control,
                "now": self._clock.now().astimezone(), "charset": "" if charset == "ASCII" else charset,
            }  # fmt: skip
            text = notice.template.fill(filled)
            message = Message(text)
            yield name, f"{message.kind}^{message.trigger}", control, encoded(text, charset), text

    def _control(self) -> str:
        """Return a control ID that no other message of this node has: time and a number, at most 20 characters."""
        number = next(self._numbers) % 36**3
        return f"P{_base36(self._now())}{_base36(number).rjust(3, '0')}"

    def _now(self) -> int:
        return microseconds(self._clock.now())

    async def preview(self, name: str, study: str, order: int) -> tuple[NotificationText, ...]:
        """Return what a notification would say of a study or an order, or of the newest one."""
        wanted = [each for each in self._settings().notifications if each.name == name]
        if not wanted:
            names = ", ".join(each.name for each in self._settings().notifications) or "none"
            raise NotFound(f"there is no notification {safe(name, 64)}", f"there are: {names}")
        try:
            notice = Notice(wanted[0], template_of(wanted[0]), patterns(()), patterns(()))
        except Mistaken as fault:
            raise BadRequest(f"{safe(name, 64)}: {fault.text}", fault.hint) from None
        on = wanted[0].on
        if study and on == ORDER:
            order = order or await self._db.read(lambda c: values.order_of(c, study, ""))

        def read(connection: sqlite3.Connection) -> dict[str, Value] | None:
            if on == ORDER:
                ident = order or _newest(connection, "SELECT max(id) FROM orders")
                told = values.order(connection, int(ident or 0))
                if told is not None and not told["status"]:
                    told["status"] = "IP"
                return told
            uid = study or _newest(connection, "SELECT study FROM studies ORDER BY id DESC LIMIT 1")
            return values.study(connection, str(uid or ""))

        told = await self._db.read(read)
        if told is None:
            what = "order" if on == ORDER else "study"
            raise NotFound(f"there is no such {what}", f"name another one, or none for the newest {what}")
        return tuple(
            NotificationText(name, safe(receiver, 64), kind, text.strip("\r").replace("\r", "\n"))
            for receiver, kind, _, _, text in self._made(notice, told)
        )


def _addresses(settings: Hl7Settings, receiver: Hl7ReceiverSettings | None) -> dict[str, Value]:
    return values.addressed(
        {}, own_application=settings.application, own_facility=settings.facility,
        application=receiver.application if receiver is not None else "",
        facility=receiver.facility if receiver is not None else "",
    )  # fmt: skip


def _said(connection: sqlite3.Connection, notice: Notice, subject: str) -> str | None:
    row = connection.execute(
        "SELECT said FROM hl7_told WHERE notification=? AND subject=?", (notice.settings.name, subject)
    ).fetchone()
    return str(row[0]) if row is not None else None


def _newest(connection: sqlite3.Connection, query: str) -> str | int | None:
    row = connection.execute(query).fetchone()
    return row[0] if row is not None else None


def _set_mark(mark: int, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO state (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value=excluded.value",
        (_MARK, str(mark)),
    )


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest] + digits
    return digits or "0"
