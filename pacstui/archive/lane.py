"""The lane: makes whatever waits durable and indexed, as one batch, in one hop to the database's thread and back.

Order of a batch: the write transaction begins (a locked database fails before anything is on disk); each object is
looked up; what is small and new goes to the journal, which is synced, and then to its file; of the rest each file is
written under a temporary name, synced and renamed, and its folder synced; rows are inserted and committed. Where
anything is not in the journal the commit is synced too. Only then are the waiting told. While a batch is on disk the
next objects gather and are the next batch.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from hashlib import sha256

from pacstui.archive import part10, paths
from pacstui.archive.disk import NEW_FILE, Disk, Folders, write_all
from pacstui.archive.journal import LARGEST, Journal
from pacstui.archive.records import Record
from pacstui.archive.refusal import DUPLICATE, SET_ASIDE, Refused
from pacstui.archive.work import Job, Todo
from pacstui.clock import Clock, microseconds
from pacstui.db import Database, Writer
from pacstui.db.faults import is_environment, primary_code
from pacstui.index.entry import Beside, Found, Place
from pacstui.index.ingest import IndexWriter

log = logging.getLogger("pacstui.archive")
_BATCH = 64
_BATCH_BYTES = 32 << 20
_LOOKED_AT = 256 << 20
_WRITTEN_OUT = 1 << 16


class IngestLane:
    """Queue and batches. Public methods run on the event loop; those beginning with ``_do`` on the lane's thread."""

    def __init__(
        self, database: Database, folders: Folders, disk: Disk, journal: Journal, clock: Clock, policy: str,
        finished: Callable[[list[Job]], None], beside: Beside | None = None,
    ) -> None:  # fmt: skip
        self._db = database
        self._journal = journal
        self._folders = folders
        self._disk = disk
        self._clock = clock
        self._policy = policy
        self._finished = finished
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._serial = 0
        self._lane_serial = 0
        # Whether this session left something on disk that only a reconciliation can judge.
        self.doubtful = False
        self.index = IndexWriter(beside)
        self.sync_ms: deque[float] = deque(maxlen=64)
        self.commit_ms: deque[float] = deque(maxlen=64)

    @property
    def writing(self) -> int:
        """Objects that wait for the disk."""
        return len(self._waiting) + len(self._running)

    def put(self, job: Job) -> None:
        """Queue an object; its future is resolved when the batch that it is in has ended."""
        self._waiting.append(job)
        if not self._running:
            self._start()

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        while self._waiting or self._running:
            await asyncio.wait([job.future for job in (*self._running, *self._waiting)])

    def temp_name(self) -> str:
        """Return a new name for a file in the incoming folder."""
        self._serial += 1
        return f"{self._serial}.part"

    def _start(self) -> None:
        batch: list[Job] = []
        later: list[Job] = []
        uids: set[str] = set()
        size = 0
        while self._waiting and len(batch) < _BATCH and size < _BATCH_BYTES:
            job = self._waiting.popleft()
            if job.entry.sop_instance in uids:
                later.append(job)  # the second of one UID is judged when the first is stored
                continue
            uids.add(job.entry.sop_instance)
            batch.append(job)
            size += len(job.body) if job.body is not None else 0
        self._waiting.extendleft(reversed(later))
        self._running = batch
        self._db.submit(lambda writer: self._do_batch(batch, writer), self._ended)

    def _ended(self, _result: object, error: BaseException | None) -> None:
        batch, self._running = self._running, []
        if error is not None:
            for job in batch:
                job.error = job.error or error
        if self._waiting:
            self._start()
        self._finished(batch)
        written = [job.fd for job in batch if job.fd >= 0]
        if written:
            asyncio.get_running_loop().call_soon(self._journal.write_out, written)  # those who wait are answered first

    # On the lane's thread from here.

    def _do_batch(self, batch: list[Job], writer: Writer) -> None:
        now = self._clock.now()
        received = microseconds(now)
        day = now.astimezone().strftime("%Y-%m-%d")
        connection = writer.connection
        doubtful = False
        try:
            writer.begin(synced=False)
            for job in batch:
                self._do_decide(connection, job, day)
            self._do_place(batch, now.timestamp())
            try:
                for job in batch:
                    if job.error is None:
                        self._do_record(connection, job, received)
                self.index.flush(connection, day, received)
                writer.commit()
            except sqlite3.Error as error:
                writer.rollback()
                self.index.forget()
                # The log may hold the commit although its sync failed; then the rows come back with the next start,
                # and the files must be there.
                doubtful = primary_code(error) == sqlite3.SQLITE_IOERR
                self.doubtful |= doubtful
                if is_environment(error) or len(batch) == 1:
                    raise
                self._do_each(batch, writer, received, day)
        except BaseException:
            writer.rollback()
            self.index.forget()
            for job in batch:
                if not (doubtful and job.placed):
                    self._do_undo(job)
            raise
        self._do_sync_rows(batch)
        self.commit_ms.append(writer.commit_s * 1e3)
        for job in batch:
            if job.error is None:
                self._do_tidy(job)
        self._folders.trim()

    def _do_sync_rows(self, batch: list[Job]) -> None:
        """Make rows durable that do not follow from the journal."""
        waiting = [job for job in batch if job.error is None and job.wrote and not job.journaled]
        if not waiting:
            return
        try:
            self._db.sync()
        except OSError as error:
            # The rows are there, but may be gone after a power loss; their files are safe and get them again.
            self.doubtful = True
            for job in waiting:
                job.error = error

    def _do_each(self, batch: list[Job], writer: Writer, received: int, day: str) -> None:
        """Commit one by one, so that the object whose rows are refused fails alone."""
        for job in batch:
            if job.error is not None:
                continue
            try:
                writer.begin()
                try:
                    self._do_record(writer.connection, job, received)
                    self.index.flush(writer.connection, day, received)
                    writer.commit()
                except BaseException:
                    writer.rollback()
                    self.index.forget()
                    raise
            except sqlite3.Error as error:
                job.error = error
                self._do_undo(job)

    def _do_decide(self, connection: sqlite3.Connection, job: Job, day: str) -> None:
        entry = job.entry
        job.old = old = self.index.find(connection, entry.sop_instance)
        if old is not None or job.quarantine_reason:
            job.know_digest()
        if job.quarantine_reason:
            self._do_decide_aside(connection, job, day, job.quarantine_reason)
        elif old is None:
            job.todo = Todo.STORE
            job.folder = paths.study_folder(entry.study)
            job.name = paths.object_name(entry.sop_instance)
        elif old.digest == job.digest and old.transfer_syntax == job.transfer_syntax:
            job.new = False
            if self._do_whole(old):
                job.todo = Todo.REPEAT
                job.folder, _, job.name = old.path.rpartition("/")
            else:
                job.todo = Todo.HEAL
                job.folder = paths.study_folder(entry.study)
                job.name = paths.object_name(entry.sop_instance)
        elif self._policy == "overwrite":
            job.todo = Todo.OVERWRITE
            job.folder = paths.study_folder(entry.study)
            job.name = paths.object_name(entry.sop_instance, job.digest)
            job.aside_folder = paths.quarantine_folder(day)
            job.aside_name = paths.object_name(entry.sop_instance, old.digest)
            job.reason = "replaced by other content under the same SOP Instance UID"
        elif self._policy == "reject":
            job.todo = Todo.NOTHING
            job.error = Refused(DUPLICATE, "Other content is stored under this SOP Instance UID")
        else:
            self._do_decide_aside(connection, job, day, "other content is stored under this SOP Instance UID")
            job.status, job.comment = SET_ASIDE, "Other content is stored under this UID; set aside"

    def _do_decide_aside(self, connection: sqlite3.Connection, job: Job, day: str, reason: str) -> None:
        job.reason = reason
        job.new = False
        known = self.index.is_set_aside(connection, job.entry.sop_instance, job.digest)
        if known:
            job.todo = Todo.NOTHING
            job.folder, _, job.name = known.rpartition("/")
            return
        job.todo = Todo.SET_ASIDE
        job.folder = paths.quarantine_folder(day)
        job.name = paths.object_name(job.entry.sop_instance, job.digest)

    def _do_whole(self, old: Found) -> bool:
        """Return whether a stored object's file is as it was stored: a repeat is dropped only then. Of a very large one
        the length has to do."""
        if old.missing:
            return False
        try:
            path = self._folders.root / old.path
            if self._disk.size_of(path) != old.data_offset + old.size:
                return False
            if old.size > _LOOKED_AT:
                return True
            with open(path, "rb") as file:
                file.seek(old.data_offset)
                return hashlib.file_digest(file, "sha256").digest() == old.digest
        except OSError:
            return False

    def _do_place(self, batch: list[Job], received: float) -> None:
        start = time.perf_counter()
        placing = [job for job in batch if job.error is None and job.wrote]
        if not placing:
            return
        self._do_journal(placing, received)
        slow = [job for job in placing if not job.placed and job.error is None]
        for job in slow:
            job.know_digest()
            if job.body is not None:
                self._do_attempt(job, self._do_write)
        for job in slow if len(slow) > 1 else ():
            if job.fd >= 0:
                self._disk.start_writing(job.fd)  # so that the first sync carries the others' data along
        for job in slow:
            if job.fd >= 0:
                self._do_attempt(job, self._do_sync)
        for job in slow:
            if job.error is None:
                self._do_attempt(job, self._do_rename)
        failed: dict[str, OSError] = {}
        self._folders.sync(failed)
        for path, error in failed.items():
            for job in placing:
                if job.error is None and any(
                    folder == path or not path or folder.startswith(path + "/")
                    for folder in (job.folder, job.aside_folder)
                ):
                    job.error = error
                    self._do_undo(job)
        self.sync_ms.append((time.perf_counter() - start) * 1e3)

    def _do_attempt(self, job: Job, step: Callable[[Job], None]) -> None:
        try:
            step(job)
        except OSError as error:
            job.error = error
            self._do_undo(job)

    def _do_write(self, job: Job) -> None:
        assert job.body is not None
        self._lane_serial += 1
        name = f"lane-{self._lane_serial}.part"
        job.fd = self._folders.new_file(name)
        job.temp = name
        write_all(self._disk, job.fd, (job.meta, job.body))

    def _do_journal(self, placing: list[Job], received: float) -> None:
        """Make what is small and new durable at one go, and write its files; if there is no room, nothing is done."""
        small = [job for job in placing if job.todo is Todo.STORE and job.body is not None and job.size <= LARGEST]
        if not small:
            return
        durable = self._journal.append(
            [Record(job.path, job.meta, job.body, received) for job in small], {job.folder for job in small}
        )
        if durable is None:
            return
        for job in small:
            job.journaled = True
            self._do_attempt(job, self._do_write_named)
        if not durable():
            for job in small:
                if job.journaled:
                    self._do_attempt(job, self._do_sync_late)

    def _do_sync_late(self, job: Job) -> None:
        """Sync the file of an object that the journal could not make durable after all."""
        job.journaled = False
        folder = self._folders.get(job.folder)
        self._do_sync_named(job.name, folder)
        self._folders.touched(job.folder)

    def _do_write_named(self, job: Job) -> None:
        """Write a journaled object's file under its name."""
        assert job.body is not None
        for attempt in (1, 2):
            try:
                job.fd = self._disk.open(job.name, NEW_FILE, 0o600, self._folders.get(job.folder))
            except FileExistsError:
                self._do_write_beside(job)
                return
            except FileNotFoundError:
                if attempt == 2:
                    raise
                self._do_forget(job.folder)
            else:
                break
        job.placed = True
        known = bool(job.digest)
        write_all(self._disk, job.fd, (job.meta, job.body))
        job.know_digest()
        if not known:
            self._disk.overwrite(job.fd, job.digest, len(job.meta) - part10.DIGEST_BYTES)
        if job.size >= _WRITTEN_OUT:
            return  # closed when it is on its way to the disk
        fd, job.fd = job.fd, -1
        self._disk.close(fd)

    def _do_write_beside(self, job: Job) -> None:
        """Store an object whose name is taken by a file that the index does not know, as if there were no journal."""
        job.know_digest()
        self._journal.take_back(job.path, job.digest)
        job.journaled = False
        self._do_write(job)
        self._do_sync(job)
        self._do_rename(job)

    def _do_forget(self, folder: str) -> None:
        """Look for a folder anew: somebody removed the one that is held open."""
        while folder:
            self._folders.forget(folder)
            folder = folder.rpartition("/")[0]

    def _do_sync(self, job: Job) -> None:
        fd = job.fd
        self._disk.fsync(fd)
        job.fd = -1
        self._disk.close(fd)

    def _do_rename(self, job: Job) -> None:
        folders, disk = self._folders, self._disk
        if job.todo is Todo.OVERWRITE and job.old is not None:
            old_folder, _, old_name = job.old.path.rpartition("/")
            aside = folders.get(job.aside_folder)
            if not disk.exists(job.aside_name, aside):
                disk.link(old_name, job.aside_name, folders.get(old_folder), aside)
                job.linked = True
                self._do_sync_named(job.aside_name, aside)  # the journal may still stand for it, by its old name
            folders.touched(job.aside_folder)
        for attempt in (1, 2):
            try:
                target = folders.get(job.folder)
                if job.todo in (Todo.STORE, Todo.HEAL) and disk.exists(job.name, target):
                    # A file that the index does not know: never written over, the next reconciliation looks at it.
                    self.doubtful = True
                    job.name = paths.object_name(job.entry.sop_instance, job.digest)
                disk.rename(job.temp, job.name, folders.incoming, target)
            except FileNotFoundError:
                if attempt == 2:
                    raise
                self._do_forget(job.folder)
            else:
                break
        job.placed, job.temp = True, ""
        folders.touched(job.folder)

    def _do_sync_named(self, name: str, folder: int) -> None:
        """Sync a file that is closed already."""
        fd = self._disk.open(name, os.O_RDONLY | os.O_CLOEXEC, 0, folder)
        try:
            self._disk.fsync(fd)
        finally:
            self._disk.close(fd)

    def _do_record(self, connection: sqlite3.Connection, job: Job, received: int) -> None:
        todo = job.todo
        if todo in (Todo.REPEAT, Todo.NOTHING):
            return
        place = Place(job.digest, sha256(job.meta).digest(), len(job.meta), job.size, job.path)
        doubt = ""
        if todo is Todo.STORE:
            doubt = self.index.add(connection, job.entry, place, received)
        elif todo is Todo.HEAL and job.old is not None:
            self.index.moved(connection, job.old, place)
        elif todo is Todo.OVERWRITE and job.old is not None:
            doubt = self.index.replace(connection, job.old, job.entry, place, received)
            if not self.index.is_set_aside(connection, job.entry.sop_instance, job.old.digest):
                self.index.set_aside(
                    connection, received, job.entry.sop_instance, job.calling, job.reason,
                    f"{job.aside_folder}/{job.aside_name}", job.old.size, job.old.digest,
                )  # fmt: skip
        elif todo is Todo.SET_ASIDE:
            self.index.set_aside(
                connection, received, job.entry.sop_instance, job.calling, job.reason, job.path, job.size, job.digest
            )
        job.warnings = [doubt] if doubt else []

    def _do_undo(self, job: Job) -> None:
        """Leave nothing of an object that failed. What cannot be removed is found by the next reconciliation."""
        disk, folders = self._disk, self._folders
        try:
            if job.fd >= 0:
                fd, job.fd = job.fd, -1
                disk.close(fd)
            if job.journaled:
                job.journaled = False
                job.know_digest()
                self._journal.take_back(job.path, job.digest)
            if job.placed:
                job.placed = False
                disk.unlink(job.name, folders.get(job.folder))
            elif job.temp:
                name, job.temp = job.temp, ""
                disk.unlink(name, folders.incoming)
            if job.linked:
                job.linked = False
                disk.unlink(job.aside_name, folders.get(job.aside_folder))
        except OSError as error:
            self.doubtful = True
            log.warning("what is left of a failed object could not be removed: %s", error)

    def _do_tidy(self, job: Job) -> None:
        """Remove what a committed batch no longer needs: a repeat's file, an overwritten object's old name."""
        try:
            if job.todo in (Todo.REPEAT, Todo.NOTHING) and job.temp:
                self._disk.unlink(job.temp, self._folders.incoming)
            elif job.todo is Todo.OVERWRITE and job.old is not None:
                folder, _, name = job.old.path.rpartition("/")
                self._disk.unlink(name, self._folders.get(folder))
        except OSError as error:
            self.doubtful = True
            log.warning("a file that is no longer needed could not be removed: %s", error)
