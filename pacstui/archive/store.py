"""The archive as the other rooms see it."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from pacstui import events
from pacstui.archive import paths
from pacstui.archive.disk import Disk, Folders
from pacstui.archive.imports import IncomingFile
from pacstui.archive.incoming import Incoming, close_quietly
from pacstui.archive.journal import Journal
from pacstui.archive.lane import IngestLane
from pacstui.archive.lock import DataLock
from pacstui.archive.reading import ObjectReader
from pacstui.archive.reconcile import Reconciliation, Report, clear_incoming
from pacstui.archive.refusal import PROCESSING_FAILURE, Refused, is_pressure, refusal_of
from pacstui.archive.session import UNKNOWN, Past, Session
from pacstui.archive.space import Space
from pacstui.archive.trash import Trash
from pacstui.archive.work import Job, Stored, Todo
from pacstui.bus import Bus
from pacstui.clock import SYSTEM, Clock
from pacstui.db import Database
from pacstui.errors import PacsError, Unavailable
from pacstui.index.entry import Beside
from pacstui.index.queries import Index
from pacstui.places import claim
from pacstui.settings import ArchiveSettings

T = TypeVar("T")
log = logging.getLogger("pacstui.archive")
_COMPARE_WAIT_S = 5.0
_TEND_S = 5.0
_PROBE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stats:
    """The archive's disk at this moment.

    ``sync_ms`` and ``commit_ms`` are medians over the last batches: making files durable, committing their rows.
    ``writing`` counts objects that wait for the disk. While ``accepting`` is false, ``detail`` says why and ``remedy``
    what to do. ``unsettled`` is the disk's complaint while objects are kept by the journal alone, else empty.
    """

    free_bytes: int
    total_bytes: int
    sync_ms: float
    commit_ms: float
    writing: int
    accepting: bool
    detail: str
    remedy: str
    unsettled: str


_SAID = (0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040, 0x00080050)
"""What an object says of its patient and order, as events tell it."""


class Archive:
    """Objects on disk and their index. Everything here runs on the event loop that opened it."""

    def __init__(
        self, data_dir: Path, settings: ArchiveSettings, bus: Bus, clock: Clock, db: Database, disk: Disk,
        lock: DataLock | None, beside: Beside | None = None,
    ) -> None:  # fmt: skip
        self.data_dir = data_dir
        self.settings = settings
        self.max_object_bytes = settings.max_object_bytes
        self.disk = disk
        self.db = db
        self.index = Index(db)
        self._bus = bus
        self._clock = clock
        self._lock = lock
        self._beside = beside
        self._folders = Folders(data_dir, disk)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="pacstui-spill")
        self._loop = asyncio.get_running_loop()
        self.reader = ObjectReader(data_dir)
        self._open = True
        self._comparing: asyncio.Future[None] | None = None
        self._begun = False
        self.space = Space(data_dir, disk, settings.reserve_bytes, clock, self._pressure)
        self.journal = Journal(data_dir, disk, settings.journal_bytes, self._sync_index)
        self.lane = IngestLane(
            db, self._folders, disk, self.journal, clock, settings.duplicates, self._finished, beside
        )
        self.trash = Trash(data_dir, db, disk, self._folders, self.journal, self.lane, self._bus, clock)
        self._session = Session(data_dir, db)
        self._tending: asyncio.TimerHandle | None = None
        self._probing: asyncio.Future[None] | None = None

    @classmethod
    async def open(
        cls, data_dir: Path, settings: ArchiveSettings | None = None, bus: Bus | None = None, clock: Clock = SYSTEM, *,
        busy_s: float = 10.0, disk: Disk | None = None, beside: Beside | None = None,
    ) -> Archive:  # fmt: skip
        """Open the archive in ``data_dir``, make it where there is none, and reconcile files with rows.

        Parameters
        ----------
        data_dir
            Folder of the archive; made if missing, readable by its owner only.
        settings
            The archive's section of the settings; defaults if None.
        bus
            Where events go; nowhere if None.
        clock
            Time.
        busy_s
            Seconds to wait for a database that another program has locked.
        disk
            System calls; tests give one that fails.
        beside
            Writes what follows from an object in the transaction that stores it.

        Raises
        ------
        AlreadyRunning
            When another process has this data directory open.
        Unavailable, StorageFull, Corrupt
            When folder or database cannot be used.
        """
        claim(data_dir)
        lock = DataLock.take(data_dir)
        db: Database | None = None
        try:
            db = await Database.open(data_dir / paths.DATABASE, busy_s)
            archive = cls(
                data_dir, settings or ArchiveSettings(), bus or Bus(), clock, db, disk or Disk(), lock, beside
            )
        except BaseException:
            if db is not None:
                await db.close()
            lock.release()
            raise
        try:
            await archive._begin_session()
        except BaseException:
            await archive.close()
            raise
        return archive

    async def _begin_session(self) -> None:
        """Clean up after the last session; compare files and rows if it did not end in order."""
        self.space.look()
        try:
            removed = await asyncio.to_thread(clear_incoming, self.data_dir)
        except OSError as error:
            raise Unavailable(f"The data directory cannot be cleaned: {error}", "Check its permissions") from error
        past = await self._session.past()
        # Before this point a start that fails has found out nothing, and the last session's mark stays as it is.
        self._begun = True
        try:
            await self.trash.settle()
        except (OSError, PacsError) as error:
            log.error("what was being deleted or brought back could not be finished: %s", error)
        if past.clean:
            await self._mark_open()
            self.journal.start()
        else:
            await self._replay(past)
            self._comparing = asyncio.ensure_future(self._compare(past, removed))
            # A crash leaves little to compare; a lost index leaves everything, and then objects are taken meanwhile.
            await asyncio.wait([self._comparing], timeout=_COMPARE_WAIT_S)
        self._tend()

    async def _replay(self, past: Past) -> None:
        """Complete files from the journal and give them their rows, before anything is served; then go on using it."""
        beside = self._beside if past.known else None

        def kept(connection: sqlite3.Connection, sop_instance: str, digest: bytes, path: str) -> bool:
            found = self.lane.index.find(connection, sop_instance)
            return found is None or (found.digest == digest and found.path == path)

        try:
            written, folders = await self.db.read(lambda c: self.journal.replay(partial(kept, c)))
            run = Reconciliation(self.data_dir, self.db, self.disk, self._clock, beside)
            report = await run.folders(sorted(folders))
        except (OSError, PacsError) as error:
            # Without a journal from here on, so that this one is still there at the next start.
            self.lane.doubt()
            self.space.failed(error)
            log.error("files could not be completed from the journal: %s", error)
            return
        if written or report.adopted:
            log.warning(
                "from the journal: %d files that the crash left incomplete were written again, %d rows were made again",
                written, report.adopted,
            )  # fmt: skip
        self.journal.start()

    def _tend(self) -> None:
        """Every few seconds: let the files of a journal that rests be synced; see whether a fault has passed."""
        self._tending = self._loop.call_later(_TEND_S, self._tend)
        self.db.submit(lambda _: self.journal.tend(), lambda _result, _error: None)
        if self.space.faulty and (self._probing is None or self._probing.done()):
            self._probing = asyncio.ensure_future(self._probe())

    async def _probe(self) -> None:
        """After a fault of disk or database, try both; objects come in their own time."""
        try:
            await asyncio.to_thread(self.disk.probe, self.data_dir / paths.INCOMING / "probe.part", _PROBE_BYTES)
            await self._session.touch()
        except (OSError, PacsError):
            return
        self.space.worked()

    def _sync_index(self) -> None:
        """Make committed rows durable; on the journal's thread."""
        try:
            self.db.sync()
        except OSError:
            # The next sync may succeed although the system has dropped what this one could not write.
            self.lane.doubt()
            raise

    async def _mark_open(self) -> None:
        try:
            await self._session.begin()
        except (OSError, PacsError) as error:
            self.space.failed(error)

    async def _compare(self, past: Past, removed: int) -> None:
        try:
            report = await self.reconcile(past, removed)
        except (PacsError, OSError) as error:
            log.error("files and index could not be compared: %s", error)
            return
        if report.scanned or report.missing or removed:
            log.info(
                "files and index compared: %d files looked at, %d adopted, %d rows without file, %d unreadable",
                report.scanned, report.adopted, report.missing, report.unreadable,
            )  # fmt: skip
        await self._mark_open()

    async def reconcile(
        self, past: Past = UNKNOWN, removed: int = 0, watch: Callable[[Report], None] = lambda report: None
    ) -> Report:
        """Compare files and rows, by default all of them, and mend what can be mended.

        ``watch`` is given the report at the beginning, while it fills.

        Returns
        -------
        Report
            What was found; also published as `ReconciliationDone`.
        """
        # What an index that is not the one of these files lacks, came long ago; what this one lacks, came just before
        # the crash, and nobody has seen to it yet.
        beside = self._beside if past.known else None
        run = Reconciliation(self.data_dir, self.db, self.disk, self._clock, beside)
        run.report.removed = removed
        watch(run.report)
        report = await run.run(past)
        self._bus.publish(
            events.ReconciliationDone(
                self._clock.now(), report.adopted, report.missing, report.removed, report.unreadable
            )
        )
        return report

    async def close(self) -> None:
        """Finish what waits, close database and descriptors, let go of the lock. May be called twice."""
        if not self._open:
            return
        self._open = False
        compared = True
        if self._comparing is not None:
            compared = self._comparing.done()
            self._comparing.cancel()
            await asyncio.wait([self._comparing])
        if self._tending is not None:
            self._tending.cancel()
        if self._probing is not None:
            await asyncio.wait([self._probing])
        await self.lane.drained()
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self.reader.close)
        if not await asyncio.to_thread(self.journal.close):
            self.lane.doubt()
        if self._begun and compared and not self.lane.doubtful:
            await self._session.end()
        await self.db.close()
        self._folders.close()
        if self._lock is not None:
            self._lock.release()

    def begin(
        self, *, calling: str, address: str, association: int, sop_class: str, sop_instance: str, transfer_syntax: str,
        called: str = "",
    ) -> Incoming:  # fmt: skip
        """Begin to take an object that a C-STORE announces.

        Raises
        ------
        Refused
            At once, when space is short.
        """
        incoming = Incoming(
            self, calling, address, association, sop_class.rstrip(" \0"), sop_instance.rstrip(" \0"), transfer_syntax,
            called,
        )  # fmt: skip
        if not self._open:
            raise self.refuse(incoming, Refused(PROCESSING_FAILURE, "The archive is being closed"))
        try:
            self.space.check()
        except Refused as refusal:
            raise self.refuse(incoming, refusal) from None
        return incoming

    def begin_import(self, source: str, onward: bool = True) -> IncomingFile:
        """Begin to take a whole DICOM file; ``source`` is what the index shows instead of a calling AE title. It is
        sent on by routes unless ``onward`` is false, as for what was here before."""
        return IncomingFile(self, source, onward)

    def begin_file(self, source: str, transfer_syntax: str, onward: bool = True) -> Incoming:
        """Begin to take the data set of a file; its own UIDs say what it is. Raises `Refused` as `begin` does."""
        incoming = self.begin(
            calling=source, address="", association=0, sop_class="", sop_instance="", transfer_syntax=transfer_syntax
        )
        incoming.onward = onward
        return incoming

    def stats(self) -> Stats:
        """Return what is known of the disk now; asks the system at most every half second."""
        self.space.look()
        lane = self.lane
        return Stats(
            free_bytes=self.space.free,
            total_bytes=self.space.total,
            sync_ms=round(median(lane.placing.sync_ms), 3) if lane.placing.sync_ms else 0.0,
            commit_ms=round(median(lane.commit_ms), 3) if lane.commit_ms else 0.0,
            writing=lane.writing,
            accepting=not self.space.detail,
            detail=self.space.detail,
            remedy=self.space.remedy,
            unsettled=self.journal.trouble,
        )

    def path_of(self, relative: str) -> Path:
        """Return the place of an object's file, given the path that the index has."""
        return self.data_dir / relative

    # What Incoming needs of the archive.

    def in_thread(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Run ``function`` on one of the two threads for large objects; raises `Refused` when they have ended."""
        if not self._open:
            raise Refused(PROCESSING_FAILURE, "The archive is being closed")
        return self._loop.run_in_executor(self._threads, function, *arguments)

    def temp_name(self) -> str:
        """Return a new name for a file in the incoming folder."""
        return self.lane.temp_name()

    def new_file(self, name: str) -> int:
        """Make a temporary file; return its descriptor."""
        return self._folders.new_file(name)

    def incoming_path(self, name: str) -> Path:
        """Return the place of a temporary file."""
        return self.data_dir / paths.INCOMING / name

    def discard(self, fd: int, name: str) -> None:
        """Close and remove a temporary file, away from the event loop."""

        def remove() -> None:
            if fd >= 0:
                close_quietly(fd)
            try:
                os.unlink(self.incoming_path(name))
            except FileNotFoundError:
                pass  # it was never made
            except OSError as error:
                log.warning("a temporary file could not be removed: %s", error)

        try:
            self._threads.submit(remove)
        except RuntimeError:  # the threads have ended, the archive is being closed
            remove()

    def refuse(self, incoming: Incoming, error: BaseException) -> BaseException:
        """Return what to raise for ``error``, and tell the bus of a refusal."""
        if isinstance(error, asyncio.CancelledError):
            return error
        refusal = refusal_of(error)
        if is_pressure(error):
            self.space.failed(error)
        elif refusal is not error:
            log.error("storing an object failed", exc_info=error)
        if not refusal.told:
            refusal.told = True
            self._bus.publish(
                events.InstanceRefused(
                    self._clock.now(), incoming.association, incoming.calling, incoming.sop_instance, refusal.status,
                    refusal.comment,
                )
            )  # fmt: skip
        return refusal

    def _pressure(self, full: bool, detail: str) -> None:
        self._bus.publish(events.StoragePressure(self._clock.now(), full, detail))

    def _finished(self, batch: list[Job]) -> None:
        """Release the waiting, then tell the bus."""
        now = self._clock.now()
        wrote = False
        for job in batch:
            error = job.error
            if error is not None:
                if not job.future.done():
                    job.future.set_exception(error)
                continue
            wrote = True
            if not job.future.done():
                job.future.set_result(
                    Stored(
                        job.new, job.status, job.comment, job.header, job.path, job.size, job.digest,
                        tuple(job.warnings), bool(job.reason) and not job.placed_in_objects,
                        job.todo is Todo.HEAL,
                    )
                )  # fmt: skip
        if wrote:
            self.space.worked()
            self._loop.call_soon(self._tell_all, batch, now)  # those who were released answer first

    def _tell_all(self, batch: list[Job], now: datetime) -> None:
        for job in batch:
            if job.error is None:
                self._tell(job, now)

    def _tell(self, job: Job, now: datetime) -> None:
        header = job.header
        if job.reason:
            self._bus.publish(
                events.InstanceQuarantined(
                    now, job.association, job.calling, header.sop_instance, self.settings.duplicates,
                    f"{job.aside_folder}/{job.aside_name}" if job.aside_folder else job.path,
                )
            )  # fmt: skip
            if not job.placed_in_objects:
                return
        self._bus.publish(
            events.InstanceStored(
                now, job.association, job.calling, header.sop_instance, header.series, header.study,
                header.patient_name, header.modality, header.get(0x00081030), job.size, job.new,
                tuple(map(header.get, _SAID)),
            )
        )  # fmt: skip
