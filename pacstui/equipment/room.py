"""The noun ``peers``: what is known, whether it answers, what it takes, who else called, and changing all that."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.peers import (
    CallersView,
    EchoResult,
    EchoStep,
    FaultRow,
    PeerDetail,
    PeerHistory,
    PeerPlan,
    PeerRow,
    Removal,
    TestView,
)
from pacstui.db import Database
from pacstui.dicom.net.service import Timeouts
from pacstui.dicom.syntaxes import LITTLE
from pacstui.dicom.uids import VERIFICATION
from pacstui.equipment import sheet
from pacstui.equipment.line import ECHOES, Lines
from pacstui.equipment.peer import Peer, texts_of
from pacstui.equipment.probe import Probe
from pacstui.equipment.register import Follow, Register
from pacstui.equipment.seen import Seen
from pacstui.errors import BadRequest, PacsError, Unavailable
from pacstui.events import PeerEchoed
from pacstui.settings import SERVICES
from pacstui.text import safe

_ECHO_TIMEOUTS = Timeouts(connect=5.0, associate=10.0, response=10.0)
_TESTS_AT_ONCE = 4
_FAULTS = 20

Uses = Callable[[str], Awaitable[Iterable[str]]]
"""Returns in words what names a peer."""


class PeersRoom:
    """Peers: the register, their echoes and tests, and who else called.

    Parameters
    ----------
    who
        Gives who asks for a change.

    Attributes
    ----------
    uses
        What would break when a peer goes: each returns in words what names it.
    """

    def __init__(
        self, database: Database, lines: Lines, bus: Bus, clock: Clock, who: Callable[[], str] = lambda: ""
    ) -> None:
        self._lines, self._book, self._bus, self._clock = lines, lines.book, bus, clock
        self.seen = Seen(database, self._book, bus, clock)
        self.register = Register(self.seen.store, self._book, clock, who)
        lines.reached, lines.missed = self.seen.reached, self.seen.missed
        self.uses: list[Uses] = []
        self.binds: list[Uses] = []
        self.follows: list[Follow] = []
        self._tests: dict[str, Probe] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Read what is kept."""
        await self.register.open()
        await self.seen.open()

    async def close(self) -> None:
        """End tests, and keep what was seen."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.seen.flush()

    # looking

    async def list(self) -> tuple[PeerRow, ...]:
        return tuple(self._row(peer) for peer in self._book.all())

    def _row(self, peer: Peer) -> PeerRow:
        history, ends = self.seen.history, self.seen.ends
        answering = history.of(peer.name)
        last = answering.last
        at = None if last is None else self._clock.now().fromtimestamp(last.at / 1e6, self._clock.now().tzinfo)
        since = answering.silent_since
        called = ends.last(peer.name, "out")
        fault = next(iter(ends.faults(peer.name)), None)
        if fault is not None and any(
            good is not None and good > fault.at for good in (called, at if last and last.ok else None)
        ):
            fault = None
        return PeerRow(
            name=peer.name,
            ae_title=peer.ae_title,
            host=peer.host,
            port=peer.port,
            notes=peer.notes,
            seen=ends.last(peer.name, "in"),
            stored=ends.stored_by(peer.name),
            echo="never" if last is None else "ok" if last.ok else "failed",
            echo_at=at,
            echo_ms=last.us / 1000 if last is not None else 0.0,
            echo_detail=last.detail if last is not None else "",
            allow=None if set(peer.allow) == set(SERVICES) else peer.allow,
            configured=peer.configured,
            tls=peer.tls_word,
            roles=peer.roles,
            probe=peer.probe,
            called=called,
            silent_since=self._clock.now().fromtimestamp(since / 1e6, self._clock.now().tzinfo) if since else None,
            uptime=history.uptime(peer.name),
            rtt_ms=answering.rtt_ms,
            tls_until=ends.certificate(peer.name)[1] if peer.tls else None,
            flaws=tuple(flaw[2] for flaw in self.seen.flaws(peer, self._clock.now())),
            failed=fault.at if fault is not None else None,
            failed_detail=fault.text if fault is not None else "",
        )

    async def show(self, name: str) -> PeerDetail:
        peer = self.register.known(name)
        version, until, subject = self.seen.ends.certificate(name)
        tls = ""
        if peer.tls and version:
            tls = f"{version}; {subject or 'certificate'}" + (f", valid until {until:%Y-%m-%d}" if until else "")
        changed, by = self.register.who_changed(name)
        return PeerDetail(
            self._row(peer),
            texts_of(peer),
            await self._breaks(name),
            self.seen.ends.rows(name),
            self._faults(peer),
            tls,
            changed,
            by,
        )

    def _faults(self, peer: Peer) -> tuple[FaultRow, ...]:
        """Return what went wrong last, the latest first: echoes without answer, and calls that were refused."""
        found = [
            FaultRow(row.last, "in", row.text, row.hint, row.count)
            for row in self.seen.callers.of_title(peer.ae_title)
            if row.what != "let in"
        ]
        found += self.seen.ends.faults(peer.name)
        found.sort(key=lambda fault: fault.at, reverse=True)
        return tuple(found[:_FAULTS])

    async def history(self, name: str, days: int = 31) -> PeerHistory:
        self.register.known(name)
        await self.seen.flush()
        return await self.seen.history.show(name, self._clock.now(), max(1, min(days, 800)))

    async def _breaks(self, name: str) -> tuple[str, ...]:
        return tuple([text for uses in self.uses for text in await uses(name)])

    async def removal(self, name: str) -> Removal:
        self.register.known(name)
        return Removal(name, await self._breaks(name))

    # trying

    async def echo(self, name: str, *, quiet: bool = False) -> EchoResult:
        """Try a peer; ``quiet`` where somebody else tells the outcome."""
        peer = self.register.known(name)
        began = self._clock.monotonic()
        steps: list[EchoStep] = []
        round_trip = 0.0

        def step(what: str, ok: bool, milliseconds: float, detail: str) -> None:
            steps.append(EchoStep(what, ok, round(milliseconds, 1), safe(detail)))

        hint = ""
        try:
            async with self._lines.to(
                peer,
                [(VERIFICATION, LITTLE)],
                doing=ECHOES,
                timeouts=_ECHO_TIMEOUTS,
                on_step=step,
            ) as association:
                asked = self._clock.monotonic()
                status = await association.echo()
                round_trip = (self._clock.monotonic() - asked) * 1000
                if status:
                    step("echo", False, round_trip, f"answered with status {status:04X}H")
                    hint = "look at the peer's log"
                else:
                    step("echo", True, round_trip, "")
        except PacsError as fault:
            if not steps or steps[-1].ok:
                step("echo" if steps else "connect", False, (self._clock.monotonic() - began) * 1000, fault.message)
            hint = safe(fault.hint)
        total = (self._clock.monotonic() - began) * 1000
        ok = all(one.ok for one in steps) and bool(steps)
        failed = next((f"{one.name}: {one.detail}" for one in steps if not one.ok), "")
        now = self._clock.now()
        if self._book.named(name) is peer:
            self.seen.history.echoed(peer.name, now, ok, round_trip if ok else total, failed)
        self._bus.publish(PeerEchoed(now, peer.name, ok, total, failed, quiet))
        return EchoResult(peer.name, ok, round(total, 1), tuple(steps), hint)

    async def test(self, name: str) -> TestView:
        return self._begin(self.register.known(name), store=False)

    async def test_object(self, name: str) -> TestView:
        return self._begin(self.register.known(name), store=True)

    def _begin(self, peer: Peer, *, store: bool) -> TestView:
        there = self._tests.get(peer.name)
        if there is not None and there.running:
            raise Unavailable(f"{safe(peer.name, 64)} is being tested", "pacstui peers tested shows how far it is")
        if len(self._running) >= _TESTS_AT_ONCE:
            raise Unavailable(f"{_TESTS_AT_ONCE} tests run already", "wait until one of them is done")
        secured = partial(self.seen.ends.secured, peer.name)
        probe = Probe(peer, self._lines, self._clock, store=store, secured=secured)
        self._tests = {name: each for name, each in self._tests.items() if self._book.named(name) is not None}
        self._tests[peer.name] = probe
        task = asyncio.create_task(probe.run(), name=f"test of {peer.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return probe.view

    async def tested(self, name: str) -> TestView:
        self.register.known(name)
        probe = self._tests.get(name)
        return probe.view if probe is not None else TestView(name, False, None, (), "", "", "", ())

    # changing

    async def add(self, name: str, ae_title: str, host: str, **more: Any) -> PeerRow:
        peer = await self.register.add(_texts({"name": name, "ae_title": ae_title, "host": host, **more}))
        self.seen.callers.admitted(peer.ae_title)
        return self._row(peer)

    async def edit(self, name: str, **more: Any) -> PeerRow:
        peer = await self.register.edit(name, _texts(more))
        return self._row(peer)

    async def rename(self, name: str, to: str) -> PeerRow:
        bound = [text for binds in self.binds for text in await binds(name)]
        if bound and not self.register.known(name).configured:
            told = safe("; ".join(bound), 400)
            raise BadRequest(f"{safe(name, 64)} cannot be renamed: {told}", "change that first, then rename it")
        await self.seen.flush()

        def follow(connection: sqlite3.Connection, old: str, new: str) -> None:
            for each in self.follows:
                each(connection, old, new)

        peer = await self.register.rename(name, to, follow)
        if peer.name != name:
            self.seen.rename(name, peer.name)
            self._tests.pop(name, None)
        return self._row(peer)

    async def remove(self, name: str) -> None:
        await self.register.remove(name)
        self.seen.forget(name)
        self._tests.pop(name, None)

    async def preview_import(self, csv: str) -> PeerPlan:
        return self.register.preview(csv)

    async def import_csv(self, csv: str) -> PeerPlan:
        return await self.register.apply(csv)

    async def export_csv(self) -> str:
        return sheet.written(self._book.all())

    # who else called

    async def callers(self, ignored: bool = False) -> CallersView:
        return self.seen.callers.view(ignored)

    async def ignore(self, id: int) -> None:
        self.seen.callers.ignore(id, True)
        await self.seen.flush()

    async def notice(self, id: int) -> None:
        self.seen.callers.ignore(id, False)
        await self.seen.flush()


def _texts(given: dict[str, Any]) -> dict[str, str]:
    """Return a call's arguments as text; those that were not given are left out."""
    return {name: str(value) for name, value in given.items() if value is not None}
