"""The node: makes the rooms, starts them in order and stops them in the other. The only file that knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from pacstui import __version__, logs
from pacstui.accounts.caller import CURRENT, Caller
from pacstui.accounts.gate import Gate
from pacstui.accounts.passwords import Passwords
from pacstui.accounts.room import AccountsRoom, pwd_name
from pacstui.accounts.second import KEY
from pacstui.accounts.store import Store
from pacstui.api.server import ControlServer
from pacstui.archive import Archive
from pacstui.audit.lines import context_of, server_of
from pacstui.audit.message import Teller
from pacstui.audit.room import AuditRoom
from pacstui.audit.syslog import SyslogSender
from pacstui.audit.trail import Trail
from pacstui.backups.room import BackupsRoom
from pacstui.bus import Bus
from pacstui.clock import SYSTEM, Clock
from pacstui.configuration import Loaded, load
from pacstui.contract import permissions, privacy
from pacstui.db import Database
from pacstui.dicom.dictionary import tag_of, vr_of
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.service import Timeouts
from pacstui.dicom.net.tls import server_context
from pacstui.dicom.ul.effects import Limits
from pacstui.directory.directory import Directory
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.equipment.room import PeersRoom
from pacstui.errors import PacsError, SettingsError
from pacstui.events import NodeStarted, NodeStopping, PeersChanged, ServiceRefused, TrashChanged
from pacstui.hl7v2.exchange import Exchange
from pacstui.hl7v2.outgoing import OutgoingHl7
from pacstui.index import attributes, more
from pacstui.index.commitments import rename_peer
from pacstui.jobs.room import JobsRoom
from pacstui.jobs.schedule import window_of, zone_of
from pacstui.maintenance.room import MaintenanceRoom
from pacstui.monitor.archive import ArchiveRoom, StudiesRoom
from pacstui.monitor.arriving import Arriving
from pacstui.monitor.associations import Ledger
from pacstui.monitor.feed import EventFeed
from pacstui.monitor.logbook import Logbook
from pacstui.monitor.problems import Problems
from pacstui.monitor.rates import Throughput
from pacstui.monitor.rooms import Identity, NodeRoom, OverviewRoom
from pacstui.orders.applying import Applying
from pacstui.orders.desk import Desk
from pacstui.places import claim
from pacstui.qc.corrections import CorrectionsRoom
from pacstui.qc.exceptions import ExceptionsRoom
from pacstui.reports import room as reports
from pacstui.routing.onward import Onward
from pacstui.services.commitment import CommitmentService
from pacstui.services.commitment_scu import CommitmentAsker
from pacstui.services.corrected import Handing
from pacstui.services.identity import IdentityCheck
from pacstui.services.mpps import MppsService
from pacstui.services.policy import Admission
from pacstui.services.prefetch import prefetch_kind
from pacstui.services.query import QueryService
from pacstui.services.recall import Recall
from pacstui.services.remote import RemoteRoom
from pacstui.services.retrieve import RetrieveService
from pacstui.services.storage import StorageService
from pacstui.services.table import ServiceTable
from pacstui.services.worklist import WorklistService
from pacstui.settings import DicomSettings, Hl7Settings, OrdersSettings, QuerySettings, Settings, TlsSettings
from pacstui.space import room as space
from pacstui.text import plural
from pacstui.upkeep import kinds as upkeep

log = logging.getLogger("pacstui.node")
_LOOKUP_S = 300.0
_COMMITMENTS_S = 5.0
_SEEN_S = 5.0


_AT_ONCE = {
    ("node", "log_level"), ("query", "max_answers"), ("query", "fuzzy_names"), ("audit", "days"), ("audit", "seen_s"),
    ("audit", "server_ca"),
} | {
    ("orders", key) for key in OrdersSettings.model_fields
} | {
    ("tls", key) for key in ("certificate", "key", "ca", "client_certificates", "check_host", "oldest")
} | {
    ("dicom", key)
    for key in (
        "ae_title", "aliases", "check_called_ae", "unknown_callers", "check_peer_host", "max_associations",
        "max_associations_per_host", "unknown_sop_classes", "unknown_allow", "identity",
        "identity_names",
    )
}  # fmt: skip
"""Settings that a reload changes; peers are another. The console's own are read by each console."""


def _changed(old: Settings, new: Settings) -> list[tuple[str, str]]:
    """Return section and key of the node's settings that differ."""
    return [
        (section, key)
        for section in ("node", "dicom", "tls", "query", "archive", "database", "audit")
        for key in type(getattr(old, section)).model_fields
        if getattr(getattr(old, section), key) != getattr(getattr(new, section), key)
    ]


def _opens(hours: str, now: datetime) -> datetime:
    """Return when hours of the settings begin, ``now`` if it is within them."""
    return window_of(hours).begin(now, zone_of(""))


def _owner_of(file: Path | None) -> str:
    """Return who owns the configuration file, as the one who may have changed it."""
    if file is None:
        return "environment"
    try:
        return f"file of {file.owner()}"
    except (OSError, KeyError):
        return "file"


def _hl7_of(settings: Settings) -> Hl7Settings:
    """Return what holds of HL7: a rehearsal takes no messages."""
    return settings.hl7.model_copy(update={"enabled": False}) if settings.node.rehearsal else settings.hl7


def _index_more(query: QuerySettings) -> None:
    """Let further attributes be indexed.

    Raises
    ------
    SettingsError
        For a keyword that is none, or stands for what cannot be indexed.
    """
    for name, level in (
        ("study_attributes", more.STUDY_MORE), ("series_attributes", more.SERIES_MORE),
        ("image_attributes", more.IMAGE_MORE),
    ):  # fmt: skip
        for keyword in getattr(query, name):
            tag = tag_of(keyword)
            try:
                if not tag:
                    raise ValueError("is no keyword of the standard")
                more.also(level, [(tag, vr_of(tag))])
            except ValueError as fault:
                raise SettingsError(
                    f"[query] {name}: {keyword} {fault}", "use keywords of PS3.6 that stand for text, numbers or dates"
                ) from None
    attributes.renew()


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
        self._loaded = loaded
        self._settings = loaded.settings
        self._clock = clock
        self._bus = Bus()
        self._stopping = asyncio.Event()
        self._why = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._commitment: CommitmentService | None = None
        self._asker: CommitmentAsker | None = None
        self._remote: RemoteRoom | None = None
        self._desk: Desk | None = None
        self._archive_room: ArchiveRoom | None = None
        self._gate: Gate | None = None
        self._syslog: SyslogSender | None = None
        self._jobs: JobsRoom | None = None
        self._backups: BackupsRoom | None = None
        self._space: space.SpaceRoom | None = None
        self._reports: reports.ReportsRoom | None = None
        self._peers: PeersRoom | None = None
        self._server_context: ssl.SSLContext | None = None
        self._exchange: Exchange | None = None
        self._sends = False
        self._ending: asyncio.Task[None] | None = None
        self._exchange_ending: asyncio.Task[None] | None = None
        self._undo: list[Callable[[], Awaitable[None]]] = []
        self.address = ""

    def stop(self, why: str) -> None:
        """Begin to stop; `run` returns when that is done."""
        if not self._stopping.is_set():
            self._why = why
            self._stopping.set()

    async def run(self) -> None:
        """Start, serve until `stop`, and end in order: no association is cut that could finish in time.

        Raises
        ------
        PacsError
            When the node cannot start: data directory in use, port taken, database unusable.
        """
        try:
            await self._start()
            gc.freeze()  # what a start makes stays: looking through it again and again cost a tenth of the event loop
            await self._stopping.wait()
            log.info("stopping: %s", self._why)
            self._bus.publish(NodeStopping(self._clock.now(), self._why))
        finally:
            await self._end()

    async def _start(self) -> None:
        settings, clock, bus = self._settings, self._clock, self._bus
        data_dir = settings.node.data_dir
        Logbook(bus)
        feed = EventFeed(bus)
        throughput = Throughput(clock)
        arriving = Arriving(bus, clock)
        problems = Problems(clock)
        self._book = book = PeerBook(settings.peers)
        dicom = settings.dicom
        timeouts = Timeouts(artim=dicom.artim_s, idle=dicom.idle_s, message=dicom.message_s)
        limits = Limits(max_pdu=dicom.max_pdu)
        self._lines = lines = Lines(book, dicom.ae_title, timeouts, limits)

        _index_more(settings.query)
        self._onward = onward = Onward(lambda: self._settings, book, lambda: CURRENT.get().name)
        archive = await Archive.open(
            data_dir, settings.archive, bus, clock, busy_s=settings.database.busy_s, beside=onward.queueing
        )
        self._undo.append(archive.close)
        peers = await self._open_peers(archive.db)
        onward.queueing.renew()
        problems.watch(peers.seen.problems)
        self._archive_room = archive_room = ArchiveRoom(archive, problems, bus, clock)
        await archive_room.refresh()
        gate = await self._open_accounts(archive.db)
        problems.watch(self._audit.problems)
        problems.watch(self._directory.problems)
        problems.watch(gate.tokens.problems)

        self._admission = admission = Admission(settings.dicom, book, settings.query)
        admission.not_allowed = lambda told: bus.publish(ServiceRefused(clock.now(), *told))
        admission.check_identity = identity = IdentityCheck(gate, gate.programs, lambda: self._settings.dicom)
        self._ledger = ledger = Ledger(
            bus, clock, book, throughput, arriving, settings.dicom.max_associations, admission.entered, admission.left
        )
        ledger.account_of, ledger.watch, admission.open_of = identity.account, peers.seen, ledger.open_of
        self._query = query = QueryService(archive.db, settings.dicom.ae_title)
        query.replace(settings.dicom.ae_title, settings.query.max_answers, settings.query.fuzzy_names)
        lines.watcher = ledger.calls
        self._retrieve = retrieve = RetrieveService(archive, lines, bus, clock, settings.retrieve.parallel)
        self._commitment = commitment = CommitmentService(archive, lines, bus, clock)
        self._asker = commitment.asker = CommitmentAsker(archive, lines, bus, clock, settings.commitment.answer_h)
        self._remote = RemoteRoom(archive, lines, bus, clock)
        self._desk = desk = Desk(archive.db, lambda: self._settings, lines, bus, clock, lambda: CURRENT.get().name)
        services = ServiceTable(
            StorageService(archive, bus, clock), query, retrieve, commitment, self._asker,
            WorklistService(archive.db, lambda: self._settings.worklist, clock), MppsService(desk.performed),
        )  # fmt: skip
        dicom = settings.dicom
        self._listener = listener = Listener(
            admission,
            services.service_for,
            observer=ledger,
            timeouts=timeouts,
            limits=limits,
            max_connections=dicom.max_associations,
            clock=clock,
        )
        self._secure(settings.tls)
        port = await self._listen(listener, dicom, settings.tls)
        self._undo.append(lambda: listener.close(settings.node.drain_s))
        self.address = f"{settings.dicom.host}:{port}"

        associations = ledger
        jobs, backups = await self._open_jobs(archive, peers, problems)
        onward.open(archive, arriving, lines, bus, clock)
        queue = onward.queue
        onward.committing.ask = self._asker.ask_about
        if self._space is not None:
            self._space.sent = queue.not_sent
        problems.watch(onward.problems)
        problems.watch(desk.problems)
        corrections = await self._open_corrections(archive, arriving, retrieve)
        self._maintenance = maintenance = await self._open_maintenance(archive.db, problems)
        problems.watch(self._told_of_rehearsal)
        applying = Applying(lambda: self._settings.orders, bus, clock, archive.lane.index.forget_known)
        await applying.begin(archive.db)
        self._exchange = exchange = Exchange(
            archive.db, _hl7_of(settings), settings.tls, applying, bus, clock, lambda: CURRENT.get().name,
            OutgoingHl7(lambda: self._settings, _opens, lambda: CURRENT.get().name),
        )  # fmt: skip
        problems.watch(exchange.problems)
        node = NodeRoom(self._identity, associations, archive_room, queue, throughput, problems, clock, self.stop)
        node.jobs, node.backups, node.hl7 = jobs.part, backups.part, exchange.part
        exceptions = ExceptionsRoom(archive, bus, clock, lambda: CURRENT.get().name, lambda: self._settings)
        await exceptions.open()
        problems.watch(exceptions.problems)
        node.exceptions, node.worklist = exceptions.part, desk.part
        studies = StudiesRoom(archive)
        if self._space is not None:
            studies.pinned = self._space.pinned.told
        rooms: dict[str, Any] = {
            "node": node,
            "overview": OverviewRoom(node, associations, queue, archive_room, feed, clock),
            "associations": associations,
            "queue": queue,
            "storage": archive_room,
            "studies": studies,
            "peers": peers,
            "feed": feed,
            "commitments": commitment,
            "remote": self._remote,
            "accounts": self._accounts,
            "audit": self._audit,
            "jobs": jobs,
            "backups": backups,
            "space": self._space,
            "routes": onward.routes,
            "maintenance": maintenance,
            "reports": self._reports,
            "exceptions": exceptions,
            "hl7": exchange.room,
            "worklist": desk.room,
            "corrections": corrections,
        }
        server = ControlServer(data_dir, rooms, archive_room.import_one, gate, self._audit, bus, clock)
        self._accounts.changed = lambda: server.reach(self._accounts.wide())
        await server.start(self._accounts.wide())
        self._undo.append(server.close)
        self._tasks = [
            asyncio.create_task(self._every(1.0, archive_room.refresh), name="archive counts"),
            asyncio.create_task(self._every(1.0, ledger.tick), name="association counts"),
            asyncio.create_task(self._every(1.0, queue.refresh), name="queue counts"),
            asyncio.create_task(self._every(1.0, maintenance.tick), name="maintenance"),
            asyncio.create_task(self._every(1.0, corrections.tick), name="rejection notes"),
            asyncio.create_task(self._every(5.0, exchange.tick), name="hl7"),
            asyncio.create_task(self._every(_LOOKUP_S, self._book.look_up), name="peer addresses"),
            asyncio.create_task(self._every(_SEEN_S, peers.seen.flush), name="peers"),
            asyncio.create_task(self._every(1.0, self._audit.tick), name="audit seal"),
            asyncio.create_task(self._every(1.0, jobs.tick), name="jobs"),
            asyncio.create_task(self._every(2.0, backups.tick), name="backups"),
            asyncio.create_task(self._every(1.0, exceptions.tick), name="matching"),
            asyncio.create_task(self._every(5.0, self._tend_space), name="space"),
            asyncio.create_task(self._every(10.0, self._count_usage), name="usage"),
            asyncio.create_task(self._every(30.0, gate.tick), name="sessions"),
            asyncio.create_task(self._look_at_directory(), name="directory"),
        ]
        if not settings.node.rehearsal:
            self._tasks += [
                asyncio.create_task(self._every(_COMMITMENTS_S, commitment.tick), name="storage commitments"),
                asyncio.create_task(self._every(2.0, onward.committing.tick), name="commitment of what was sent"),
                asyncio.create_task(self._every(1.0, exchange.send), name="hl7 out"),
                asyncio.create_task(self._every(1.0, desk.tick), name="worklist"),
            ]
        self._sends = True
        await onward.begin()
        if not settings.node.rehearsal:
            await exchange.begin()
        for note in self._loaded.notes:
            log.warning("%s", note)
        title = settings.dicom.ae_title
        log.info("pacstui %s, %s listens on %s, data in %s", __version__, title, self.address, data_dir)
        bus.publish(NodeStarted(clock.now(), settings.dicom.ae_title, self.address))

    async def _open_peers(self, database: Database) -> PeersRoom:
        """Open the equipment register; its peers come after those of the settings."""
        self._peers = peers = PeersRoom(database, self._lines, self._bus, self._clock, lambda: CURRENT.get().name)
        register = peers.register
        register.tls, register.changed, register.noted = (
            lambda: self._settings.tls,
            self._peers_changed,
            self._peer_noted,
        )
        peers.uses.append(self._uses_of)
        peers.binds.append(self._binds)
        peers.follows += [self._onward.follow, rename_peer]
        await peers.open()
        return peers

    def _peer_noted(self, action: str, name: str, detail: str) -> None:
        self._audit.trail.note("configuration", "ok", CURRENT.get().name, action=action, target=name, detail=detail)

    async def _peers_changed(self) -> None:
        await self._want_jobs()
        if self._sends:
            await self._onward.renew()
        self._bus.publish(PeersChanged(self._clock.now(), self._book.names()))

    async def _uses_of(self, name: str) -> list[str]:
        """Return in words what names a peer: routes, destinations, jobs, and what waits to go there."""
        found = [f"the route {row.name} sends to it" for row in await self._onward.routes.list() if name in row.to]
        found += [
            f"the destination {each.name} asks it to send"
            for each in self._settings.destinations if each.move_from == name
        ]  # fmt: skip
        found += [
            f"{plural(row.waiting, 'object')} {'waits' if row.waiting == 1 else 'wait'} to go there"
            for row in self._onward.queue.outgoing() if row.destination == name and row.waiting
        ]  # fmt: skip
        return [*found, *(self._jobs.naming(name) if self._jobs is not None else ())]

    async def _binds(self, name: str) -> list[str]:
        """Return in words what keeps a peer from being renamed."""
        return [*await self._onward.bound(name), *(self._jobs.naming(name) if self._jobs is not None else ())]

    async def _open_jobs(self, archive: Archive, peers: PeersRoom, problems: Problems) -> tuple[JobsRoom, BackupsRoom]:
        """Open the jobs room, with the kinds of jobs that this node knows, and what they are about."""
        self._jobs = jobs = JobsRoom(archive.db, self._bus, self._clock)
        schedule = Caller(os.getuid(), 0, "schedule", "schedule", None, frozenset(permissions()), True)

        def dress() -> None:
            CURRENT.set(schedule)

        jobs.caller, jobs.dress = lambda: CURRENT.get().name, dress
        jobs.may = lambda permission: CURRENT.get().may(permission)
        self._backups = backups = BackupsRoom(
            archive, jobs, self._settings.backups.targets, lambda: self._settings.dicom.ae_title,
            lambda: self._loaded.source, self._secrets, self._clock,
        )  # fmt: skip
        backups.may = lambda permission: CURRENT.get().may(permission)
        await backups.open()
        await self._open_space(archive, jobs, backups, problems)
        self._open_reports(archive, jobs, backups)
        assert self._remote is not None
        prefetch = prefetch_kind(self._remote, archive.db, self._clock)
        for kind in (*upkeep.kinds(archive, peers, self._audit, self._bus, self._clock), *backups.kinds(), prefetch):
            jobs.register(kind)
        if not self._runs_jobs():
            jobs.by_hand_only()
        await jobs.open()
        await self._want_jobs()
        problems.watch(jobs.problems)
        problems.watch(backups.problems)
        assert self._archive_room is not None
        self._archive_room.start_reindex = lambda: jobs.start("reindex")
        return jobs, backups

    async def _open_space(self, archive: Archive, jobs: JobsRoom, backups: BackupsRoom, problems: Problems) -> None:
        """Open the room that watches over space, and let it have its kinds of jobs."""
        assert self._archive_room is not None
        assert self._remote is not None
        recall = Recall(archive, self._book, self._remote, self._bus, self._clock)
        self._space = room = space.SpaceRoom(
            archive, jobs, self._settings.space, backups.protection, recall, backups.safe_upto,
            self._archive_room.full_on,
            lambda: CURRENT.get().name, self._audit_purge, self._clock,
            lambda: self._runs_jobs() and not jobs.part()["paused"],
        )  # fmt: skip
        await room.open()
        self._archive_room.trash_days = lambda: self._settings.space.trash_days
        for kind in room.kinds():
            jobs.register(kind)
        problems.watch(room.problems)
        self._bus.subscribe(TrashChanged, lambda _: backups.recount())

    def _runs_jobs(self) -> bool:
        return self._settings.node.jobs and not self._settings.node.rehearsal

    def _held_up(self, destination: str) -> str:
        """Return why nothing is sent to a destination, empty if things are."""
        return (
            "held up: this is a rehearsal" if self._settings.node.rehearsal else self._maintenance.held_up(destination)
        )

    def _told_of_rehearsal(self) -> Iterable[tuple[str, str, str, str, str]]:
        if self._settings.node.rehearsal:
            told = "rehearsal: this copy of an archive sends nothing and runs no jobs"
            yield "rehearsal", "note", told, "take rehearsal out of [node] if it is to be the archive", ""

    def _open_reports(self, archive: Archive, jobs: JobsRoom, backups: BackupsRoom) -> None:
        """Open the room that counts usage, and let it have its kind of job."""
        about = self._archive_room
        assert about is not None
        self._reports = reports.ReportsRoom(
            archive.db, self._bus, self._clock, self._settings.reports, self._settings.node.data_dir,
            reports.Surroundings(lambda: self._settings.dicom.ae_title, about.part, about.show, backups.show),
        )  # fmt: skip
        for kind in self._reports.kinds():
            jobs.register(kind)

    async def _count_usage(self) -> None:
        if self._reports is not None:
            await self._reports.tick()

    def _audit_purge(self, action: str, study: str, patient: str, why: str) -> None:
        self._audit.trail.note("action", "ok", "purge", action=action, target=study, patient=patient, detail=why)

    async def _tend_space(self) -> None:
        if self._space is not None:
            CURRENT.set(Caller(os.getuid(), 0, "full volume", "schedule", None, frozenset(permissions()), True))
            await self._space.tick()

    def _secrets(self) -> tuple[str, ...]:
        """Return the files of keys that lie outside of the data directory."""
        settings = self._settings
        named = (settings.audit.key, settings.accounts.key, settings.tls.key or settings.tls.certificate)
        return tuple(str(Path(each).absolute()) for each in named if each)

    async def _want_jobs(self) -> None:
        """Let the jobs be there that the settings ask for."""
        if self._jobs and self._backups and self._space and self._reports:
            rooms = (self._backups, self._space, self._reports)
            wanted = (*upkeep.wanted(bool(self._book.names())), *(each for room in rooms for each in room.wanted()))
            kinds = {*upkeep.KINDS, *(kind.name for room in rooms for kind in room.kinds())}
            await self._jobs.want(wanted, of=kinds)

    async def _open_corrections(
        self, archive: Archive, arriving: Arriving, retrieve: RetrieveService
    ) -> CorrectionsRoom:
        """Let objects leave as they were corrected, and open the room that corrects them."""
        handing = Handing(archive, lambda: self._settings.retrieve.corrected, lambda: self._settings.dicom.ae_title)
        retrieve.handing = self._onward.queue.handing = handing
        room = CorrectionsRoom(archive, self._bus, self._clock, lambda: self._settings.qc, lambda: CURRENT.get().name)
        room.arriving = lambda: (row.study for row in arriving.rows() if row.state == "receiving")
        room.changed, room.noted = handing.forget, self._note_correction
        room.title, room.send = lambda: self._settings.dicom.ae_title, self._onward.queue.send_objects
        await room.open()
        return room

    def _note_correction(self, action: str, study: str, patient: str, detail: str) -> None:
        caller = CURRENT.get(None)  # nobody where a rejection note from outside did it
        who = caller.name if caller is not None else "node"
        self._audit.trail.note("action", "ok", who, action=action, target=study, patient=patient, detail=detail)

    async def _open_maintenance(self, database: Database, problems: Problems) -> MaintenanceRoom:
        """Open the room that keeps callers out while somebody works on the node, and tells what was changed."""
        onward, ledger = self._onward, self._ledger
        room = MaintenanceRoom(database, self._bus, self._clock, lambda: CURRENT.get().name)
        room.peers, room.sending = onward.titles, lambda: onward.queue.part().sending
        room.associations = lambda: ledger.part().active
        room.changed = onward.queue.wake
        self._admission.closed, self._admission.echo_only = room.refusal, room.echo_only
        onward.queue.held_up = self._held_up
        onward.routes.noted = room.noted
        if self._peers is not None:
            self._peers.register.kept = room.noted
            self._peers.follows.append(room.follow)
        problems.watch(room.problems)
        await room.open()
        await room.compare(self._settings, _owner_of(self._loaded.source), "at start")
        return room

    async def _open_accounts(self, database: Database) -> Gate:
        """Open the audit trail, then the accounts, whose changes it keeps."""
        settings, clock = self._settings, self._clock
        key = Path(settings.audit.key) if settings.audit.key else None
        trail = Trail(database, settings.node.data_dir, key, clock)
        await trail.open()
        self._undo.append(trail.close)
        if settings.audit.server and not settings.node.rehearsal:
            self._undo.append((await self._open_syslog(database, trail)).close)
        self._audit = AuditRoom(trail, database, self._bus, clock, settings.audit.days, settings.audit.seen_s)
        second = Path(settings.accounts.key or settings.node.data_dir / KEY)
        self._gate = gate = Gate(Store(database), Passwords(), settings.accounts, clock, trail, os.getuid(), second)
        self._directory = Directory(settings.directory)
        self._following = gate.use_directory(self._directory)
        if self._syslog is not None:
            sender = self._syslog
            self._audit.server, self._audit.sent = lambda: sender.state, lambda: sender.sent
        gate.sessions.alive = psutil.pid_exists
        self._audit.sees_patients = lambda: CURRENT.get().may(privacy.PERMISSION)
        self._accounts = AccountsRoom(gate)
        await self._accounts.open(pwd_name(os.getuid()))
        return gate

    async def _open_syslog(self, database: Database, trail: Trail) -> SyslogSender:
        settings = self._settings
        title = settings.dicom.ae_title
        teller = Teller(settings.audit.source_id or title, title, socket.gethostname() or "-")
        self._syslog = sender = SyslogSender(
            database, server_of(settings.audit.server), teller, context_of(settings.audit, settings.tls)
        )
        trail.written = sender.wake
        await sender.open(trail.last)
        return sender

    def _secure(self, tls: TlsSettings) -> None:
        """Read the certificates: for calls from now on, and for connections that are taken from now on."""
        self._book.secure(tls)
        if tls.port:
            if not tls.certificate:
                raise SettingsError("[tls] certificate is missing", "a TLS port needs one, and its key")
            self._server_context = server_context(
                tls.certificate, tls.key, tls.ca, mutual=tls.client_certificates, oldest=tls.oldest
            )

    async def _listen(self, listener: Listener, dicom: DicomSettings, tls: TlsSettings) -> int:
        """Listen, and return the port that is shown: the plain one, else the one with TLS."""
        port = await listener.start(dicom.host, dicom.port) if tls.plain or not tls.port else 0
        if tls.port:
            secure = await listener.start(dicom.host, tls.port, self._context)
            log.info("TLS is spoken on %s:%d", dicom.host, secure)
            port = port or secure
        return port

    def _context(self) -> ssl.SSLContext:
        assert self._server_context is not None
        return self._server_context

    def _identity(self) -> Identity:
        return Identity(self._settings.dicom.ae_title, self.address, str(self._settings.node.data_dir))

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            try:
                await work()
            except PacsError as fault:
                log.warning("%s", fault)
            except Exception:  # a fault of ours in one round; the next one is tried all the same
                log.exception("a periodic task failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _look_at_directory(self) -> None:
        """Look up now and then who is signed in by the directory."""
        assert self._gate is not None
        gate = self._gate
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._settings.directory.recheck_s)
                return
            try:
                await self._following.look_again(frozenset(each.account for each in gate.sessions.all()))
            except PacsError as fault:
                log.warning("%s", fault)
            except Exception:  # a fault of ours in one round; the next one is tried all the same
                log.exception("who is signed in could not be looked up")

    async def reload(self) -> None:
        """Read the configuration again: peers, who may call, limits and log level change at once, the rest at the next
        start. A configuration with mistakes changes nothing."""
        try:
            loaded = await asyncio.to_thread(load, self._loaded.source)
        except SettingsError as fault:
            log.error("the configuration was not reloaded: %s %s", fault, "; ".join(fault.problems))
            return
        old, new = self._settings, loaded.settings
        self._loaded, self._settings = loaded, new.model_copy(update={"node": old.node, "archive": old.archive})
        self._book.replace(new.peers)
        try:
            self._secure(new.tls)
            if self._syslog is not None:
                self._syslog.use(context_of(new.audit, new.tls))
        except SettingsError as fault:
            log.error("certificates were not read anew: %s", fault)
        self._bus.publish(PeersChanged(self._clock.now(), self._book.names()))
        self._admission.replace(new.dicom, new.query)
        self._lines.ae_title = new.dicom.ae_title
        self._retrieve.parallel = new.retrieve.parallel
        if self._asker is not None:
            self._asker.answer_h = new.commitment.answer_h
        self._query.replace(new.dicom.ae_title, new.query.max_answers, new.query.fuzzy_names)
        if self._gate is not None:
            self._gate.replace(new.accounts, new.directory)
        self._audit.days, self._audit.seen_s = new.audit.days, new.audit.seen_s
        self._accounts.changed()
        self._audit.trail.note("configuration", "ok", "node", action="node.reload", target=str(loaded.source or ""))
        self._ledger.limit = new.dicom.max_associations
        self._listener.bound(new.dicom.max_associations)
        logging.getLogger().setLevel(new.node.log_level.upper())
        if self._backups is not None:
            self._backups.replace(new.backups.targets)
        if self._space is not None:
            self._space.settings = new.space
        if self._reports is not None:
            self._reports.settings = new.reports
        if self._exchange is not None:
            await self._exchange.replace(_hl7_of(self._settings), new.tls)
        await self._want_jobs()
        await self._onward.renew()
        await self._maintenance.compare(new, _owner_of(loaded.source), "reloaded")
        later = [f"[{section}] {key}" for section, key in _changed(old, new) if (section, key) not in _AT_ONCE]
        log.info("configuration reloaded%s", f"; only at the next start: {', '.join(later)}" if later else "")
        await self._book.look_up()

    async def _end(self) -> None:
        self._stopping.set()
        if self._jobs is not None:
            await self._jobs.close()
        if self._backups is not None:
            await self._backups.close()
        if self._commitment is not None:
            await self._commitment.close()
        if self._asker is not None:
            await self._asker.close()
        if self._remote is not None:
            await self._remote.close()
        if self._desk is not None:
            await self._desk.close()
        drain_s = self._settings.node.drain_s
        if self._exchange is not None:
            self._exchange_ending = asyncio.create_task(self._exchange.close(drain_s), name="hl7")
        if self._sends:  # beside what still comes in, so that both have had their time when it is over
            self._ending = asyncio.create_task(self._onward.queue.close(drain_s), name="queue")
        if self._peers is not None:
            with contextlib.suppress(PacsError):
                await self._peers.close()
        for task in self._tasks:
            task.cancel()
        if self._gate is not None:
            with contextlib.suppress(PacsError):
                await self._gate.flush()
            self._gate.passwords.close()
            self._directory.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(PacsError):
            await self._count_usage()
        for undo in self._order_of_end():
            try:
                await undo()
            except Exception:  # each room gets its chance to end, whatever the one before it did
                log.exception("a room did not end cleanly")

    async def _sent(self) -> None:
        """Wait until nothing is on its way out any more, and no HL7 message on its way in."""
        waiting = [task for task in (self._ending, self._exchange_ending) if task is not None]
        if waiting:
            await asyncio.wait(waiting)

    def _order_of_end(self) -> Iterable[Callable[[], Awaitable[None]]]:
        """Listener, control socket, what is sent, archive: consoles see the last associations end, the archive outlives
        all of them."""
        undo, self._undo = self._undo, []
        order = undo[::-1]
        if self.address and len(undo) >= 4:
            archive, *audit, listener, server = undo
            order = [listener, server, *audit, archive]
        return (*order[:-1], self._sent, *order[-1:])


async def _main(loaded: Loaded) -> None:
    loop = asyncio.get_running_loop()
    node = Node(loaded)
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(node.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.stop, f"signal {signal.Signals(number).name}")
    loop.add_signal_handler(signal.SIGHUP, reload)
    await node.run()


def _run_loop(main: Awaitable[None]) -> None:
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if os.environ.get("PACSTUI_LOOP", "uvloop") == "uvloop":
        with contextlib.suppress(ImportError):
            import uvloop

            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)  # type: ignore[arg-type]


def _hold_standard_streams() -> None:
    """Open /dev/null for each standard stream that is closed, so that no socket or database gets its number."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def run(loaded: Loaded, *, log_json: bool = False) -> int:
    """Run the node until SIGTERM or SIGINT; return the exit code: 0, or 1 when it could not start."""
    _hold_standard_streams()
    logs.configure(loaded.settings.node.log_level, as_json=log_json)
    try:
        claim(loaded.settings.node.data_dir)
        _run_loop(_main(loaded))
    except PacsError as fault:
        log.error("%s", fault)
        return 1
    return 0
