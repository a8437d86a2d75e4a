"""HL7 messages that go out: forwarded ones, those of our own, the senders, and what people do about them."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds, moment, moment_or_none
from pacstui.contract.hl7 import MessageRow, MessageView, NotificationText, OutgoingPage, OutgoingRow, ReceiverRow
from pacstui.db import Database
from pacstui.dicom.net.tls import client_context
from pacstui.errors import BadRequest, NotFound
from pacstui.hl7v2 import browsing, outgoing_rules, outgoing_store
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outcome import Outcome
from pacstui.hl7v2.outgoing_answer import text_of
from pacstui.hl7v2.outgoing_notify import Notifier
from pacstui.hl7v2.outgoing_sender import Sender
from pacstui.hl7v2.outgoing_store import CANCELLED, FAILED, HELD, STATES, WAITING, Item, Outgoing, Store, Sums
from pacstui.hl7v2.outgoing_ways import Ways
from pacstui.hl7v2.reading import read
from pacstui.settings import Hl7ReceiverSettings, Hl7Settings, Settings
from pacstui.text import plural, safe

_IDS: Final = 5000
_ACKNOWLEDGEMENTS: Final = frozenset({"ACK", "MCF"})
_PRUNE_S: Final = 3600.0
_STALE_S: Final = 5.0


class OutgoingHl7:
    """What sends HL7 messages.

    Parameters
    ----------
    settings
        The present ones of the node.
    opens
        Returns when hours (as settings say them) allow something, from a time on. Raises `PacsError`.
    caller
        Who asks for what is done now.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        opens: Callable[[str, datetime], datetime],
        caller: Callable[[], str],
    ) -> None:
        self._node_settings = settings
        self._opens = opens
        self._caller = caller
        self._rules: list[outgoing_rules.Rule] = []
        self._mistaken: list[tuple[str, outgoing_rules.Mistaken]] = []
        self._touched: deque[str] = deque()
        self._before: set[str] = set()
        self._senders: dict[str, Sender] = {}
        self._sums: dict[str, Sums] = {}
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}
        self._stale = True
        self._counted_at = 0.0
        self._pruned_at = 0.0
        self._begun = False
        self._read_rules()

    @property
    def _settings(self) -> Hl7Settings:
        return self._node_settings().hl7

    def _read_rules(self) -> None:
        self._rules, self._mistaken = outgoing_rules.rules(self._settings.forward)

    # What the intake calls.

    def beside(
        self, connection: sqlite3.Connection, ident: int, message: Message, raw: bytes, outcome: Outcome, at: int
    ) -> None:
        """Queue a message that is being kept, for whom it is to be forwarded to; in the same transaction.

        Parameters
        ----------
        ident
            Row of the message that came in.
        raw
            Its bytes as they were sent.
        at
            When it came, in microseconds since 1970.
        """
        if message.kind in _ACKNOWLEDGEMENTS:
            return
        queued: dict[str, Outgoing] = {}
        for rule in self._rules:
            if not rule.wants(message, outcome):
                continue
            sent, changes = outgoing_rules.as_sent(raw, message.text)
            control = message.control.strip()
            own = control or f"F{ident}"
            sent = outgoing_rules.readdressed(sent, (*rule.header, *changes), "" if control else own)
            kind = "^".join(filter(None, (message.kind, message.trigger)))
            for receiver in rule.to:
                queued.setdefault(
                    receiver,
                    Outgoing(receiver, rule.name, kind, own, sent, ident, outcome.patient, outcome.accession),
                )
        if queued:
            outgoing_store.queue(connection, list(queued.values()), at)
            self._touched.extend(queued)

    def committed(self) -> None:
        """What was queued is durable: send it. Called on the event loop.

        The next transaction may have begun already: what it touched is looked at now, and once more at its own end.
        """
        touched = set()
        while self._touched:
            touched.add(self._touched.popleft())
        before, self._before = self._before, touched
        self._queued(touched | before)

    def _queued(self, receivers: Iterable[str]) -> None:
        for name in receivers:
            self._stale = True
            sender = self._senders.get(name)
            if sender is not None:
                sender.wake()

    # The node.

    def attach(self, database: Database, bus: Bus, clock: Clock) -> None:
        """Take where messages are kept, and whom to tell; before anything else."""
        self._store = Store(database)
        self._clock = clock
        self._bus = bus
        self._ways = Ways(self._store, clock, self._context, self._opens, self._trouble, self._failed, self._changed)
        self._notifier = Notifier(database, lambda: self._settings, bus, clock, self._queued)

    async def begin(self) -> None:
        """Begin to send."""
        self._sums = await self._store.sums()
        self._begun = True
        await self.renew()
        await self._notifier.begin()

    async def renew(self) -> None:
        """Take in that settings have changed."""
        if not self._begun:
            return
        self._read_rules()
        self._contexts.clear()
        self._notifier.use()
        wanted = {each.name: each for each in self._settings.receivers}
        gone = [self._senders.pop(name) for name in list(self._senders) if name not in wanted]
        await asyncio.gather(*(each.close() for each in gone))
        for name, settings in wanted.items():
            known = self._senders.get(name)
            if known is not None:
                known.replace(settings)
                continue
            sender = self._senders[name] = Sender(settings, self._ways)
            sender.held_by = self._sums.get(name, Sums()).held_by
            sender.start()
        self._stale = True

    async def close(self, patience_s: float = 0.0) -> None:
        """End: a message that is on its way gets some seconds to be answered."""
        await asyncio.gather(*(each.close(patience_s) for each in self._senders.values()))

    async def tick(self) -> None:
        """Tell what is to be told, and count anew; called every second."""
        if not self._begun:
            return
        await self._notifier.tick()
        now = self._clock.monotonic()
        if self._stale or now - self._counted_at >= _STALE_S:
            self._stale, self._counted_at = False, now
            self._sums = await self._store.sums()
        if now - self._pruned_at >= _PRUNE_S:
            self._pruned_at = now
            before = microseconds(self._clock.now() - timedelta(days=self._settings.outgoing_days))
            while await self._store.prune(before):
                pass

    def _context(self, receiver: Hl7ReceiverSettings) -> ssl.SSLContext | None:
        if not receiver.tls:
            return None
        key = (receiver.ca, receiver.check_host)
        if key not in self._contexts:
            tls = self._node_settings().tls
            self._contexts[key] = client_context(
                tls.certificate, tls.key, receiver.ca or tls.ca, check_host=receiver.check_host, oldest=tls.oldest
            )
        return self._contexts[key]

    def _trouble(self, receiver: str, why: str, hint: str) -> None:
        if why:
            self._bus.publish(events.ReceiverDown(self._clock.now(), receiver, why, hint))
        else:
            self._bus.publish(events.ReceiverUp(self._clock.now(), receiver))

    def _failed(self, item: Item, why: str, hint: str) -> None:
        self._bus.publish(events.MessageNotSent(self._clock.now(), item.id, item.receiver, item.kind, why, hint))

    def _changed(self) -> None:
        self._stale = True

    def part(self) -> dict[str, int]:
        """Return what waits to go out, and what could not be sent."""
        rows = self._sums.values()
        return {"out_waiting": sum(row.waiting for row in rows), "out_failed": sum(row.failed for row in rows)}

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what is wrong, for the list of problems."""
        for name, fault in self._mistaken:
            told = f"the HL7 forward rule {safe(name, 64)} is not in use: {fault.text}"
            yield f"hl7 rule {name}", "fail", told, fault.hint, "hl7"
        if not self._begun:
            return
        for name, fault in self._notifier.mistaken:
            told = f"the HL7 notification {safe(name, 64)} is not in use: {fault.text}"
            yield f"hl7 notification {name}", "fail", told, fault.hint, "hl7"
        for row in self._rows():
            screen = f"hl7-out:{row.name}"
            if row.status == "unknown" and row.waiting:
                told = f"{plural(row.waiting, 'HL7 message')} for {row.name} go nowhere: {row.why}"
                yield f"hl7 {row.name} unknown", "fail", told, row.hint, screen
            elif row.status in ("down", "stuck"):
                word = "cannot be reached" if row.status == "down" else "answers nothing"
                sender = self._senders.get(row.name)
                why = sender.why if sender is not None else row.why
                told = f"{row.name} {word}, {plural(row.waiting, 'HL7 message')} wait: {why}"
                yield f"hl7 {row.name} down", "fail", told, row.hint, screen
            elif row.status == "held" and row.waiting:
                told = f"{plural(row.waiting, 'HL7 message')} for {row.name} wait: {row.why}"
                yield f"hl7 {row.name} held", "warn", told, "u on the screen of what goes out releases it", screen
            if row.failed:
                told = f"{plural(row.failed, 'HL7 message')} could not be sent to {row.name}"
                yield f"hl7 {row.name} failed", "warn", told, "the list says why; t sends again, x cancels", screen

    # The outgoing half of the noun ``hl7``.

    async def receivers(self) -> tuple[ReceiverRow, ...]:
        self._sums = await self._store.sums()
        return self._rows()

    def _rows(self) -> tuple[ReceiverRow, ...]:
        names = set(self._senders) | {
            name for name, each in self._sums.items() if each.waiting or each.failed or each.held
        }
        rows = [self._row(name) for name in sorted(names)]
        gravity = {"down": 0, "stuck": 0, "unknown": 0, "waiting": 1, "held": 1, "sending": 2}
        return tuple(sorted(rows, key=lambda row: (gravity.get(row.status, 3), not row.failed, row.name)))

    def _row(self, name: str) -> ReceiverRow:
        sums = self._sums.get(name, Sums())
        oldest = moment_or_none(sums.oldest)
        sender = self._senders.get(name)
        if sender is None:
            return ReceiverRow(
                safe(name, 64), "", sums.waiting, sums.failed, sums.sent, oldest, "unknown",
                "there is no such receiver in the settings (any more)",
                "add it to [[hl7.receivers]] again, or cancel what waits", moment_or_none(sums.last_sent), sums.held,
            )  # fmt: skip
        settings = sender.settings
        address = f"{settings.host}:{settings.port}" + (" (TLS)" if settings.tls else "")
        left = sender.next_at - self._clock.monotonic() if sender.next_at else 0.0
        due = self._clock.now() + timedelta(seconds=left) if left > 0 else None
        words = sender.words()
        if words == "idle" and sums.failed:
            words = f"{plural(sums.failed, 'message')} failed; nothing else waits"
        return ReceiverRow(
            safe(name, 64), address, sums.waiting, sums.failed, sums.sent, oldest, sender.status, words, sender.hint,
            moment_or_none(sums.last_sent), sums.held, due,
        )  # fmt: skip

    async def outgoing(
        self, destination: str = "", state: str = "", search: str = "", before: int = 0, limit: int = 100
    ) -> OutgoingPage:
        if state and state not in STATES:
            raise BadRequest(f"{safe(state, 32)} is no state", f"there are: {', '.join(STATES)}")
        limit = max(1, min(limit, 500))
        rows = await self._store.page(destination, state, search.strip()[:100], before, limit)
        return OutgoingPage(tuple(_row(row) for row in rows[:limit]), rows[limit - 1][0] if len(rows) > limit else 0)

    async def outgoing_message(self, id: int) -> MessageView:
        found = await self._store.one(id)
        if found is None:
            raise NotFound(f"there is no outgoing HL7 message {id}", "pacstui hl7 outgoing list shows what there is")
        out = _row(found.row)
        row = MessageRow(
            out.id, out.at, "", "", out.destination, out.kind, out.control, out.state, out.answer, out.text, out.hint,
            out.patient_id, out.accession, len(found.raw),
        )  # fmt: skip
        got = read(found.raw)
        return MessageView(
            row, browsing.safe_lines(browsing.shortened(got.text)), got.charset,
            tuple(browsing.segments(got.text, ())), browsing.safe_lines(text_of(found.reply)), out.source,
        )  # fmt: skip

    async def preview(self, notification: str, study: str = "", order: int = 0) -> tuple[NotificationText, ...]:
        return await self._notifier.preview(notification, study, order)

    async def send_again(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        _some(ids, destination)
        number, names = await self._store.again(ids, destination, microseconds(self._clock.now()))
        for name in {*names, destination} & set(self._senders):
            self._senders[name].retry_now()
        self._stale = True
        return number

    async def drop(self, ids: tuple[int, ...]) -> int:
        _some(ids, "")
        return await self._put(ids, (WAITING, HELD, FAILED), CANCELLED)

    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        _some(ids, destination)
        if ids:
            return await self._put(ids, (WAITING,), HELD)
        return await self._hold(destination, self._caller() or "somebody")

    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        _some(ids, destination)
        if ids:
            return await self._put(ids, (HELD,), WAITING)
        return await self._hold(destination, "")

    async def _put(self, ids: tuple[int, ...], old: tuple[str, ...], new: str) -> int:
        number, names = await self._store.put(ids, old, new, self._caller(), microseconds(self._clock.now()))
        for name in names & set(self._senders):
            self._senders[name].recall()
        self._stale = True
        return number

    async def _hold(self, receiver: str, by: str) -> int:
        sender = self._senders.get(receiver)
        if sender is None:
            known = ", ".join(sorted(self._senders)) or "none"
            raise NotFound(f"there is no receiver {safe(receiver, 64)}", f"there are: {known}")
        await self._store.hold(receiver, by)
        sender.held_by = by
        if by:
            sender.recall()
        else:
            sender.retry_now()
        self._sums = await self._store.sums()
        return self._sums.get(receiver, Sums()).waiting


def _some(ids: tuple[int, ...], destination: str) -> None:
    if not ids and not destination:
        raise BadRequest("which messages?", "give their ids, or a receiver for all of it")
    if len(ids) > _IDS:
        raise BadRequest(f"at most {_IDS:,} at once", "give a receiver for all of it")


def _row(row: tuple[Any, ...]) -> OutgoingRow:
    ident, at, receiver, kind, control, what, state, attempts, next_try = row[:9]
    answer, error, hint, patient, accession, source = row[9:]
    due = moment_or_none(next_try) if state == WAITING else None
    return OutgoingRow(
        ident, moment(at), safe(receiver, 64), safe(kind, 32), safe(control, 199),
        safe(what, 100), state, attempts, due, answer, safe(error, 500), hint, safe(patient, 200), safe(accession, 200),
        source,
    )  # fmt: skip


__all__ = ["OutgoingHl7"]
