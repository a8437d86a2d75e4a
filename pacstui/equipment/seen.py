"""What is seen of peers and other callers, gathered from the network and kept in the database now and then."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.db import Database
from pacstui.dicom.net import certificates
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.service import Refused, Unobserved
from pacstui.equipment.book import PeerBook
from pacstui.equipment.callers import Callers
from pacstui.equipment.ends import Ends
from pacstui.equipment.history import History
from pacstui.equipment.line import COMMITS, ECHOES, FETCHES, QUERIES, SENDS, TELLS, Call
from pacstui.equipment.peer import Peer
from pacstui.equipment.store import Store
from pacstui.errors import PacsError
from pacstui.settings import PeerSettings, is_loopback
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.equipment")

SOON_DAYS: Final = 30
_PRUNE_S: Final = 3600.0
_WORDS: Final = {
    ECHOES: "C-ECHO",
    SENDS: "C-STORE",
    QUERIES: "C-FIND",
    FETCHES: "retrieval",
    COMMITS: "storage commitment",
    TELLS: "performed procedure steps",
}

Problem = tuple[str, str, str, str, str]
"""Name, level, text, hint, screen."""


class Seen(Unobserved):
    """Watches the associations of both roles; what it saw is written by `flush`."""

    def __init__(self, database: Database, book: PeerBook, bus: Bus, clock: Clock) -> None:
        self.store = Store(database)
        self.history = History(self.store)
        self.ends = Ends(self.store)
        self.callers = Callers(self.store, book.name_of)
        self._book, self._clock = book, clock
        self._pruned = clock.monotonic()
        bus.subscribe(events.ServiceRefused, self._service_refused)
        bus.subscribe(events.AssociationClosed, self._closed)

    async def open(self) -> None:
        """Read what is kept."""
        await self.history.open(self._clock.now())
        await self.ends.open()
        await self.callers.open()

    async def flush(self) -> None:
        """Write what is new; now and then drop what is too old. Raises PacsError, and loses nothing then."""
        echoes, days = self.history.unsaved()
        ends = self.ends.unsaved()
        knocks, gone = self.callers.unsaved()
        if echoes or days or ends or knocks or gone:
            try:
                await self.store.save(echoes, days, ends, knocks, gone)
            except PacsError:
                self.history.put_back(echoes, days)
                self.ends.put_back(ends)
                self.callers.put_back(knocks, gone)
                raise
        if self._clock.monotonic() - self._pruned >= _PRUNE_S:
            self._pruned = self._clock.monotonic()
            await self.store.prune(self._clock.now())

    def forget(self, peer: str) -> None:
        """Forget a peer."""
        self.history.forget(peer)
        self.ends.forget(peer)

    # what the network tells

    def opened(self, association: Association) -> None:
        now = self._clock.now()
        peers = self._book.titled(association.calling)
        if not peers:
            self.callers.let_in(association, now)
            return
        address = association.address[0]
        peer = self._at(peers, address)
        assert peer is not None
        self.ends.opened(peer.name, "in", association, now)
        self.history.called(peer.name, now, "in")
        if self._book.lives_at(peer, address):
            self.ends.at_home(peer.name)
        elif not is_loopback(address):
            self.ends.elsewhere(peer.name, address, now)

    def reached(self, peer: PeerSettings, association: Association) -> None:
        """Note an association that we asked a peer for."""
        now = self._clock.now()
        self.ends.opened(peer.name, "out", association, now)
        self.history.called(peer.name, now, "out")
        transport = association.connection.transport
        tls = transport.get_extra_info("ssl_object") if transport is not None else None
        if tls is not None:
            try:
                told = certificates.read(tls.getpeercert(True) or b"")
            except ValueError:
                self.ends.secured(peer.name, str(tls.version()), None, "")
            else:
                self.ends.secured(peer.name, str(tls.version()), told.ends, told.subject)

    def missed(self, call: Call, error: PacsError) -> None:
        """Note that there was no association, or that the work on one failed."""
        what = _WORDS.get(call.doing, call.doing)
        what += f" ({call.why})" if call.why else ""
        if self._book.named(call.peer.name) is not None:
            self.ends.failed(call.peer.name, self._clock.now(), f"{what}: {error.message}", error.hint)

    def refused(self, refused: Refused) -> None:
        now = self._clock.now()
        self.callers.refused(refused, now)
        address = refused.address[0]
        for peer in self._book.titled(refused.calling):
            if refused.calling and not self._book.lives_at(peer, address) and not is_loopback(address):
                self.ends.elsewhere(peer.name, address, now)

    def _at(self, peers: tuple[Peer, ...], address: str) -> Peer | None:
        """Return the one of these that lives at an address, else the first."""
        return next((peer for peer in peers if self._book.lives_at(peer, address)), peers[0] if peers else None)

    def _service_refused(self, event: events.ServiceRefused) -> None:
        self.callers.may_not(event.calling, event.address, event.service, event.text, event.hint, event.at)

    def _closed(self, event: events.AssociationClosed) -> None:
        peer = self._at(self._book.titled(event.calling), event.address)
        if peer is not None:
            self.ends.stored(peer.name, event.stored)

    # what is wrong

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with peers now, for ``monitor.problems``."""
        now = self._clock.now()
        for peer in self._book.all():
            for key, level, text, hint in self.flaws(peer, now):
                yield f"peer-{key} {peer.name}", level, text, hint, "peers"
        for name in self._book.shadowed():
            yield (
                f"peer-twice {name}",
                "note",
                f"{safe(name, 64)} is in the configuration and in the register",
                "that of the configuration counts: remove one of them",
                "peers",
            )

    def flaws(self, peer: Peer, now: datetime) -> Iterator[tuple[str, str, str, str]]:
        """Yield what is wrong with one peer: key, level, text, hint."""
        name = safe(peer.name, 64)
        yield from self._silence(peer, now)
        _, ends, _ = self.ends.certificate(peer.name)
        if peer.tls and ends is not None:
            days = (ends - now).days
            if ends <= now:
                yield "certificate", "warn", f"the certificate of {name} expired on {ends:%Y-%m-%d}", "renew it there"
            elif days < SOON_DAYS:
                text = f"the certificate of {name} is valid for {plural(days, 'day')} only, until {ends:%Y-%m-%d}"
                yield "certificate", "warn", text, "have it renewed there"
        address, at = self.ends.called_from(peer.name)
        if address and at is not None and not self._book.lives_at(peer, address):
            yield (
                "elsewhere",
                "note",
                f"{name} is at {safe(peer.host, 64)}, but {safe(peer.ae_title, 16)} called from {address}",
                "correct its host, or find out who else calls itself so",
            )
        twins = [each for each in self._book.titled(peer.ae_title) if each is not peer and each.host != peer.host]
        if twins:
            others = ", ".join(f"{safe(each.name, 64)} ({safe(each.host, 64)})" for each in twins[:3])
            yield (
                "title",
                "note",
                f"{name} has the AE title of {others}: {safe(peer.ae_title, 16)}",
                "give each its own: a C-MOVE to that title goes to the first of them",
            )

    def _silence(self, peer: Peer, now: datetime) -> Iterator[tuple[str, str, str, str]]:
        name, answering = safe(peer.name, 64), self.history.of(peer.name)
        if peer.probe and answering.alarming and answering.last is not None:
            detail = safe(answering.last.detail, 120)
            if not answering.samples and self.ends.last(peer.name, "out") is None:
                yield (
                    "never",
                    "note",
                    f"{name} has never answered: {detail}",
                    "t on the screen Peers says why; where it has no listener, E and asked by echo: no",
                )
                return
            since = datetime.fromtimestamp(answering.silent_since / 1e6).astimezone()
            when = f"{since:%H:%M}" if since.date() == now.astimezone().date() else f"{since:%d %b %H:%M}"
            yield (
                "silent",
                "warn",
                f"{name} has not answered since {when}: {detail}",
                f"pacstui peers test {name} says what to ask its administrator; t on the screen Peers",
            )
