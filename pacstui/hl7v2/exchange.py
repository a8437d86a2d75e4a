"""HL7 put together: the listener, the intake and the room of the noun ``hl7``; opened by the node."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds
from pacstui.db import Database
from pacstui.dicom.net.tls import server_context
from pacstui.errors import PacsError, SettingsError
from pacstui.events import Hl7Refused, MessageFailed, MessageTaken
from pacstui.hl7v2 import store
from pacstui.hl7v2.answer import harmless
from pacstui.hl7v2.connection import Connection, Held, Limits
from pacstui.hl7v2.intake import Intake
from pacstui.hl7v2.keeping import Beside, Keeping, Todo, kind_of
from pacstui.hl7v2.listener import MllpListener
from pacstui.hl7v2.outcome import Applier
from pacstui.hl7v2.outgoing import OutgoingHl7
from pacstui.hl7v2.reading import RulesFor
from pacstui.hl7v2.room import Hl7Room, silent_since
from pacstui.hl7v2.senders import Senders
from pacstui.hl7v2.traffic import Traffic
from pacstui.settings import Hl7Settings, TlsSettings
from pacstui.text import duration, safe

log = logging.getLogger("pacstui.hl7")
_PRUNED: Final = 500
_LONGER: Final = 4
_PLACES: Final = ("enabled", "host", "port", "tls_port", "plain", "client_certificates")


class Exchange:
    """HL7 messages, in and out.

    Parameters
    ----------
    applier
        Acts on what comes in.
    outgoing
        Sends messages, forwarded ones among them; none where nothing goes out.
    """

    def __init__(
        self, database: Database, settings: Hl7Settings, tls: TlsSettings, applier: Applier, bus: Bus, clock: Clock,
        caller: Callable[[], str] = lambda: "", outgoing: OutgoingHl7 | None = None,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._tls = tls
        self._bus = bus
        self._clock = clock
        self._senders = Senders(settings)
        self._keeping = Keeping(applier, clock, lambda: self._settings.duplicate_days)
        self.intake = Intake(database, self._keeping, self._told)
        self._db = database
        self._began = clock.now()
        self.traffic = Traffic()
        self.room = Hl7Room(database, self.intake, self.traffic, self, clock, caller, self.rules_for)
        self.outgoing = outgoing
        if outgoing is not None:
            outgoing.attach(database, bus, clock)
            self._keeping.beside = outgoing.beside
            self.room.outgoing_half = outgoing
        self._context: ssl.SSLContext | None = None
        self._batch = 0
        self._held = Held()
        self._prune_at = self._began
        self.listener: MllpListener | None = None
        self.listening: tuple[str, ...] = ()
        self.ports = (0, 0)
        self.why = ""
        self.hint = ""

    def forward(self, beside: Beside) -> None:
        """Let ``beside`` look at each message that was acted on, in the transaction that keeps it."""
        self._keeping.beside = beside

    async def begin(self) -> None:
        """Begin to send, and listen. That a port is taken is a problem that is shown; it stops no node."""
        await self.room.begin()
        if self.outgoing is not None:
            await self.outgoing.begin()
        if not self._settings.enabled:
            self.why, self.hint = "switched off", "[hl7] enabled"
            return
        self._try()

    def _listen(self) -> None:
        settings = self._settings
        listener = MllpListener(
            self._make, self._senders_refusal, self._refused, settings.max_connections,
            settings.max_connections_per_host, settings.first_s,
        )  # fmt: skip
        places = []
        plain = secure = 0
        try:
            if settings.tls_port:
                self._context = self._secured()
                secure = listener.start(settings.host, settings.tls_port, lambda: self._context)  # type: ignore[arg-type, return-value]
                places.append(f"{settings.host}:{secure} (TLS)")
            if settings.plain or not settings.tls_port:
                plain = listener.start(settings.host, settings.port)
                places.insert(0, f"{settings.host}:{plain}")
        except PacsError:
            listener.stop()
            raise
        self.listener, self.listening, self.why, self.hint = listener, tuple(places), "", ""
        self.ports = (plain, secure)
        log.info("HL7 is taken on %s", ", ".join(places))

    def _secured(self) -> ssl.SSLContext:
        tls = self._tls
        if not tls.certificate:
            raise SettingsError("[tls] certificate is missing", "an HL7 port with TLS needs one, and its key")
        return server_context(
            tls.certificate, tls.key, tls.ca, mutual=self._settings.client_certificates, oldest=tls.oldest
        )

    def _make(self, address: str, lost: Callable[[Connection], None]) -> Connection:
        return Connection(
            self.intake, self._limits, address, self.rules_for(address), self._new_batch, self._refused, lost,
            self._held,
        )  # fmt: skip

    def rules_for(self, address: str) -> RulesFor:
        """Return how messages from an address are read."""
        return lambda application, facility: self._senders.rules(address, application, facility)

    def connected(self) -> Iterable[str]:
        """Return the address of each connection that is open."""
        return () if self.listener is None else (each.address for each in self.listener.connections)

    def _limits(self) -> Limits:
        settings = self._settings
        return Limits(settings.max_message_mb * 1_000_000, settings.message_s, settings.idle_s)

    def _senders_refusal(self, address: str) -> str:
        return self._senders.refusal(address)

    def _new_batch(self) -> int:
        self._batch = max(self._batch + 1, microseconds(self._clock.now()))
        return self._batch

    def _refused(self, address: str, text: str, hint: str) -> None:
        now = self._clock.now()
        self.traffic.refused(now)
        self._bus.publish(Hl7Refused(now, address, text, hint))

    def _told(self, todos: list[Todo]) -> None:
        if self.outgoing is not None:
            self.outgoing.committed()
        now = self._clock.now()
        for todo in todos:
            got = todo.got
            assert got is not None
            head, outcome = got.head, todo.outcome
            mark = head.marks.component
            who = (head.application.split(mark)[0][:227], head.facility.split(mark)[0][:227], todo.origin)
            self.room.failed_open += bool(todo.id) and todo.state == store.FAILED  # until it is counted anew
            if todo.id and not todo.by:
                self.traffic.message(who, now, todo.state)
            if todo.state in (store.DONE, store.REPEATED):
                self._bus.publish(
                    MessageTaken(now, todo.id, *who, kind_of(got), head.control, todo.state, outcome.done)
                )
            else:
                why = harmless(outcome.faults)
                self._bus.publish(
                    MessageFailed(now, todo.id, *who, kind_of(got), head.control, outcome.code, why, outcome.done)
                )

    def part(self) -> dict[str, int]:
        """Return what the status says of it; nothing where it is switched off."""
        if not self._settings.enabled:
            return {}
        plain, secure = self.ports
        return {
            "port": plain, "tls_port": secure, "connections": len(tuple(self.connected())),
            "today": self.traffic.today, "failed": self.room.failed_open,
            "per_second": round(self.traffic.per_second(self._clock.now())),
            **(self.outgoing.part() if self.outgoing is not None else {}),
        }  # fmt: skip

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what is wrong, for the list of problems."""
        if self._settings.enabled and self.why:
            yield ("hl7-listener", "fail", f"no HL7 is taken: {self.why}", self.hint, "hl7")
        yield from self.room.problems()
        if self.outgoing is not None:
            yield from self.outgoing.problems()
        yield from self._silent()
        if self.intake.trouble:
            yield (
                "hl7-keeping",
                "fail",
                f"HL7 messages cannot be kept: {self.intake.trouble}",
                self.intake.hint,
                "hl7",
            )

    def _silent(self) -> Iterable[tuple[str, str, str, str, str]]:
        now = self._clock.now()
        for each in self._settings.senders:
            if each.silent_min:
                heard = [
                    counts.last for (application, facility, address), counts in self.traffic.senders.items()
                    if self._senders.named(address, application, facility) is each
                ]  # fmt: skip
                last = max((at for at in heard if at is not None), default=None)
                since = silent_since(last, self._began, each.silent_min, now)
                if since is not None:
                    text = (
                        f"{safe(each.name, 64)} has sent no HL7 message for {duration((now - since).total_seconds())}"
                    )
                    yield f"hl7-silent-{each.name}", "warn", text, "look at the sender and the network", "hl7"

    async def tick(self) -> None:
        """Remove what was kept long enough, a piece at a time; try again to listen; count what is open."""
        now = self._clock.now()
        days = timedelta(days=self._settings.keep_days)
        before, failed_before = microseconds(now - days), microseconds(now - _LONGER * days)
        if now >= self._prune_at:
            gone = await self._db.write(lambda c: store.prune(c, before, failed_before, _PRUNED))
            self._prune_at = now + (timedelta(seconds=10) if gone == _PRUNED else timedelta(hours=1))
        await self.room.recount()
        if self._settings.enabled and self.why:
            was = self.why
            self._try(quiet=True)
            if not self.why:
                log.info("the HL7 port that was not there is back (%s)", was)

    async def send(self) -> None:
        """Tell what is to be told, and count what goes out; called every second."""
        if self.outgoing is not None:
            await self.outgoing.tick()

    async def replace(self, settings: Hl7Settings, tls: TlsSettings) -> None:
        """Take in that settings have changed: senders, limits, times, certificates at once; ports when they differ."""
        old, self._settings, self._tls = self._settings, settings, tls
        if self.outgoing is not None:
            await self.outgoing.renew()
        self._senders = Senders(settings)
        moved = any(getattr(old, name) != getattr(settings, name) for name in _PLACES)
        if self.listener is not None and not moved:
            self.listener.most = settings.max_connections
            self.listener.most_per_host = settings.max_connections_per_host
            self.listener.first_s = settings.first_s
            if settings.tls_port:
                try:
                    self._context = self._secured()
                except PacsError as fault:
                    log.error("certificates for HL7 were not read anew: %s", fault)
            return
        if self.listener is not None:
            before, self.listener, self.listening, self.ports = self.listener, None, (), (0, 0)
            before.stop()
            await before.close(1.0, self.intake.rest)
        if settings.enabled:
            self._try()
        else:
            self.why, self.hint = "switched off", "[hl7] enabled"

    def _try(self, quiet: bool = False) -> None:
        try:
            self._listen()
        except PacsError as fault:
            self.why, self.hint = fault.message, fault.hint
            if not quiet:
                log.error("no HL7 is taken: %s", fault)

    async def close(self, drain_s: float) -> None:
        """Take nothing more, answer what was read, end; what is on its way out has as long to be answered."""
        if self.listener is not None:
            with contextlib.suppress(PacsError):
                await self.listener.close(drain_s, self.intake.close)
        await self.intake.close()
        if self.outgoing is not None:
            await self.outgoing.close(drain_s)
