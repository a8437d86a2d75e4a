"""The lane: makes whatever waits durable and indexed, as one batch, in one hop to the database's thread and back.

Order of a batch: the write transaction begins (a locked database fails before anything is on disk); each object is
looked up; files are placed; rows are inserted; when files, or the journal that stands for them, are durable, the rows
are committed. Where anything is not in the journal the commit is synced too. Only then are the waiting told. While a
batch is on disk the next objects gather and are the next batch; small ones wait until what has arrived by then is there
too, as a batch costs as much as each of them.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from hashlib import sha256

from pacstui.archive import paths
from pacstui.archive.disk import Disk, Folders
from pacstui.archive.journal import Journal
from pacstui.archive.placing import Placing
from pacstui.archive.refusal import DUPLICATE, SET_ASIDE, Refused
from pacstui.archive.work import Job, Todo
from pacstui.clock import Clock, microseconds
from pacstui.db import Database, Writer
from pacstui.db.faults import is_environment, primary_code
from pacstui.index.entry import Beside, Place
from pacstui.index.ingest import IndexWriter

log = logging.getLogger("pacstui.archive")
_BATCH = 64
_BATCH_BYTES = 32 << 20
_ROUNDS = 3  # of the event loop: in so many what lies in a socket comes here
_SMALL = 192 << 10  # of larger ones so much is done without the interpreter's lock that two processors are faster


class IngestLane:
    """Queue and batches. Public methods run on the event loop; those beginning with ``_do`` on the lane's thread."""

    def __init__(
        self, database: Database, folders: Folders, disk: Disk, journal: Journal, clock: Clock, policy: str,
        finished: Callable[[list[Job]], None], beside: Beside | None = None,
    ) -> None:  # fmt: skip
        self._db = database
        self._journal = journal
        self._folders = folders
        self._clock = clock
        self._policy = policy
        self._finished = finished
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._round: asyncio.Handle | None = None  # the next look whether more has come
        self._serial = 0
        self.placing = Placing(folders, disk, journal)
        self._lost_rows = False
        self.index = IndexWriter(beside)
        self.commit_ms: deque[float] = deque(maxlen=64)

    @property
    def doubtful(self) -> bool:
        """Whether this session left something that only a reconciliation can judge."""
        return self._lost_rows or self.placing.doubtful

    def doubt(self) -> None:
        """Let the next start compare files and rows."""
        self._lost_rows = True

    @property
    def writing(self) -> int:
        """Objects that wait for the disk."""
        return len(self._waiting) + len(self._running)

    def put(self, job: Job) -> None:
        """Queue an object; its future is resolved when the batch that it is in has ended."""
        self._waiting.append(job)
        if self._running:
            return
        if not job.may_wait:
            self._start()
        elif self._round is None:
            self._gather(1)

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        while self._waiting or self._running:
            await asyncio.wait([job.future for job in (*self._running, *self._waiting)])

    def temp_name(self) -> str:
        """Return a new name for a file in the incoming folder."""
        self._serial += 1
        return f"{self._serial}.part"

    def _gather(self, rounds: int) -> None:
        """Start a batch when nothing has come for so many rounds of the event loop."""
        self._round = asyncio.get_running_loop().call_soon(self._look, rounds, rounds, len(self._waiting))

    def _look(self, rounds: int, left: int, before: int) -> None:
        waiting = len(self._waiting)
        left = left - 1 if waiting == before else rounds
        if left and waiting < _BATCH:
            self._round = asyncio.get_running_loop().call_soon(self._look, rounds, left, waiting)
        else:
            self._start()

    def _start(self) -> None:
        if self._round is not None:
            self._round.cancel()
            self._round = None
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
        if sum(job.size for job in batch) <= len(batch) * _SMALL:
            self._db.turns.take()
        else:
            self._db.turns.part()
        self._db.submit(lambda writer: self._do_batch(batch, writer), self._ended)

    def _ended(self, _result: object, error: BaseException | None) -> None:
        batch, self._running = self._running, []
        if error is not None:
            for job in batch:
                job.error = job.error or error
        if not all(job.may_wait for job in self._waiting):
            self._start()
        elif self._waiting:
            self._gather(_ROUNDS)
        self._finished(batch)
        written = [(job.fd, job.path) for job in batch if job.fd >= 0]
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
            self.placing.place(batch, now.timestamp())
            try:
                self._do_rows(batch, connection, received, day)  # while the journal is at the disk
                if not self.placing.settled():
                    writer.rollback()
                    self.index.forget()
                    writer.begin(synced=False)
                    self._do_rows(batch, connection, received, day)
                writer.commit()
            except sqlite3.Error as error:
                writer.rollback()
                self.index.forget()
                self.placing.settled()
                # The log may hold the commit although its sync failed; then the rows come back with the next start,
                # and the files must be there.
                doubtful = primary_code(error) == sqlite3.SQLITE_IOERR
                self._lost_rows |= doubtful
                if is_environment(error) or len(batch) == 1:
                    raise
                self._do_each(batch, writer, received, day)
        except BaseException:
            writer.rollback()
            self.index.forget()
            self.placing.settled()  # whatever it was: a write that fails is to be noticed before the next one begins
            for job in batch:
                if not (doubtful and job.placed):
                    self.placing.undo(job)
            raise
        self._do_sync_rows(batch)
        self.commit_ms.append(writer.commit_s * 1e3)
        for job in batch:
            if job.error is None:
                self.placing.tidy(job)
        self._folders.trim()

    def _do_rows(self, batch: list[Job], connection: sqlite3.Connection, received: int, day: str) -> None:
        """Insert the rows of what has not failed."""
        for job in batch:
            if job.error is None:
                self._do_record(connection, job, received)
        self.index.flush(connection, day, received)

    def _do_sync_rows(self, batch: list[Job]) -> None:
        """Make rows durable that do not follow from the journal."""
        waiting = [job for job in batch if job.error is None and job.wrote and not job.journaled]
        if not waiting:
            return
        try:
            self._db.sync()
        except OSError as error:
            # The rows are there, but may be gone after a power loss; their files are safe and get them again.
            self._lost_rows = True
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
                if primary_code(error) == sqlite3.SQLITE_IOERR:
                    self._lost_rows = True
                else:
                    self.placing.undo(job)

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
            if self.placing.is_whole(old):
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
