"""One running node: the order in which rooms are opened, and what a reload of the configuration does."""

from __future__ import annotations

import asyncio
import gc
import logging

from pacstui import __version__
from pacstui.api.server import ControlServer
from pacstui.archive import Archive
from pacstui.clock import SYSTEM, Clock
from pacstui.configuration import Loaded, load
from pacstui.equipment.book import PeerBook
from pacstui.errors import SettingsError
from pacstui.events import NodeStarted, NodeStopping
from pacstui.monitor.archive import ArchiveRoom, StudiesRoom
from pacstui.monitor.arriving import Arriving
from pacstui.monitor.feed import EventFeed
from pacstui.monitor.logbook import Logbook
from pacstui.monitor.rates import Throughput
from pacstui.monitor.rooms import Identity, NodeRoom, OverviewRoom
from pacstui.node.configured import index_more, only_later
from pacstui.node.course import Moment
from pacstui.node.ground import Ground, caller
from pacstui.node.network import open_lines, open_network
from pacstui.node.orders import (
    begin_exchange,
    open_corrections,
    open_desk,
    open_exceptions,
    open_exchange,
    open_merges,
)
from pacstui.node.sending import begin_onward, open_maintenance, open_onward, open_peers
from pacstui.node.signing_in import open_signing_in
from pacstui.node.work import open_work
from pacstui.routing.onward import Onward

log = logging.getLogger("pacstui.node")


class Node:
    """One running node.

    Parameters
    ----------
    loaded
        The configuration and where it came from; read again on SIGHUP.
    clock
        Time for everything that people see.
    """

    def __init__(self, loaded: Loaded, clock: Clock = SYSTEM) -> None:
        self._ground = Ground(loaded, clock)
        self._book = PeerBook(loaded.settings.peers)
        self._why = ""
        self.address = ""

    def stop(self, why: str) -> None:
        """Begin to stop; `run` returns when that is done."""
        stopping = self._ground.course.stopping
        if not stopping.is_set():
            self._why = why
            stopping.set()

    async def run(self) -> None:
        """Start, serve until `stop`, and end in order: no association is cut that could finish in time.

        Raises
        ------
        PacsError
            When the node cannot start: data directory in use, port taken, database unusable.
        """
        ground = self._ground
        try:
            await self._start()
            gc.freeze()  # what a start makes stays: looking through it again and again cost a tenth of the event loop
            await ground.course.stopping.wait()
            log.info("stopping: %s", self._why)
            ground.bus.publish(NodeStopping(ground.clock.now(), self._why))
        finally:
            await ground.course.end()

    async def _start(self) -> None:
        ground, book = self._ground, self._book
        settings, clock, bus, course, problems = (
            ground.settings, ground.clock, ground.bus, ground.course, ground.problems,
        )  # fmt: skip
        data_dir = settings.node.data_dir
        Logbook(bus)
        feed = EventFeed(bus)
        throughput = Throughput(clock)
        arriving = Arriving(bus, clock)
        lines = open_lines(ground, book)
        index_more(settings.query)
        onward = Onward(ground.now, book, caller)
        archive = await Archive.open(
            data_dir, settings.archive, bus, clock, busy_s=settings.database.busy_s, beside=onward.queueing
        )
        course.at_end(Moment.ARCHIVE, archive.close)
        archive_room = ArchiveRoom(archive, problems, bus, clock)
        await archive_room.refresh()
        course.every(1.0, archive_room.refresh, "archive counts")
        signing = await open_signing_in(ground, archive.db)
        peers = await open_peers(ground, archive.db, book, lines, onward, signing)
        desk = open_desk(ground, archive.db, lines)
        network = await open_network(ground, archive, lines, peers.seen, signing, desk, arriving, throughput)
        self.address = network.address
        work = await open_work(ground, archive, archive_room, book, peers, signing, network.remote)
        open_onward(ground, archive, arriving, lines, onward, network, work)
        problems.watch(desk.problems)
        corrections = await open_corrections(ground, archive, arriving, network, onward, signing, book)
        maintenance = await open_maintenance(ground, archive, onward, network, peers)
        exchange = await open_exchange(ground, archive)
        exceptions = await open_exceptions(ground, archive)

        ledger, queue, jobs, backups = network.ledger, onward.queue, work.jobs, work.backups
        node = NodeRoom(self._identity, ledger, archive_room, queue, throughput, problems, clock, self.stop)
        node.jobs, node.backups, node.hl7 = jobs.part, backups.part, exchange.part
        node.exceptions, node.worklist = exceptions.part, desk.part
        studies = StudiesRoom(archive)
        studies.pinned = work.space.pinned.told
        rooms = {
            "node": node,
            "overview": OverviewRoom(node, ledger, queue, archive_room, feed, clock),
            "associations": ledger,
            "queue": queue,
            "storage": archive_room,
            "studies": studies,
            "peers": peers,
            "feed": feed,
            "commitments": network.commitment,
            "remote": network.remote,
            "accounts": signing.accounts,
            "audit": signing.audit,
            "jobs": jobs,
            "backups": backups,
            "space": work.space,
            "routes": onward.routes,
            "maintenance": maintenance,
            "reports": work.reports,
            "exceptions": exceptions,
            "hl7": exchange.room,
            "worklist": desk.room,
            "corrections": corrections,
            "merges": open_merges(ground, archive, signing, corrections),
        }
        server = ControlServer(data_dir, rooms, archive_room.import_one, signing.gate, signing.audit, bus, clock)
        accounts = signing.accounts
        accounts.changed = lambda: server.reach(accounts.wide())
        course.begin()
        await begin_onward(ground, onward, peers, book, work)
        await begin_exchange(ground, exchange)
        await server.start(accounts.wide())  # who is answered here finds all of it begun
        course.at_end(Moment.CONSOLES, server.close)
        network.take()  # nobody is served before all of it is there: what leaves, leaves corrected
        for note in ground.loaded.notes:
            log.warning("%s", note)
        log.info("pacstui %s, %s listens on %s, data in %s", __version__, ground.title(), self.address, data_dir)
        bus.publish(NodeStarted(clock.now(), ground.title(), self.address))

    def _identity(self) -> Identity:
        return Identity(self._ground.title(), self.address, str(self._ground.settings.node.data_dir))

    async def reload(self) -> None:
        """Read the configuration again: peers, who may call, limits and log level change at once, the rest at the next
        start. A configuration with mistakes changes nothing."""
        ground = self._ground
        try:
            loaded = await asyncio.to_thread(load, ground.loaded.source)
        except SettingsError as fault:
            log.error("the configuration was not reloaded: %s %s", fault, "; ".join(fault.problems))
            return
        old, new = ground.settings, loaded.settings
        ground.take(loaded)
        await ground.course.reload(new)
        logging.getLogger().setLevel(new.node.log_level.upper())
        later = only_later(old, new)
        log.info("configuration reloaded%s", f"; only at the next start: {', '.join(later)}" if later else "")
        await self._book.look_up()
