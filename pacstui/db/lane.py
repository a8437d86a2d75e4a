"""An aiosqlite connection that runs a whole piece of work in one hop to its thread and back.

aiosqlite sends every statement to the connection's thread by itself: a batch of ten statements costs ten times two
thread switches, about 0.1 ms each way here, more than the batch's fsync. Its thread and queue are used as they are;
only the unit of work is larger.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import aiosqlite

from pacstui.db.faults import BUSY, primary_code

T = TypeVar("T")
Done = Callable[[Any, BaseException | None], None]

_ATTEMPT_MS = 100
_STEPS = 20_000  # of SQLite's virtual machine: some tenths of a millisecond
_WAL_BYTES = 4 << 20


class Call(Generic[T]):
    """One piece of work on a lane's thread."""

    __slots__ = ("cancelled", "future")

    def __init__(self, future: asyncio.Future[T]) -> None:
        self.future = future
        self.cancelled = False


class Lane(aiosqlite.Connection):
    """One connection and its thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        # A daemon: a process that dies of an error before close() must not hang on this thread. SQLite's own
        # journal makes a sudden end safe.
        self._thread.daemon = True
        self._at_call: Call[Any] | None = None
        self._early = False

    @property
    def thread(self) -> int | None:
        """The thread's number in the system."""
        return self._thread.native_id

    def post(self, function: Callable[[sqlite3.Connection], Any], done: Done) -> None:
        """Run ``function`` on the thread, then call ``done(result, error)`` on the calling event loop."""
        loop = asyncio.get_running_loop()
        connection = self._conn

        def job() -> None:
            result: Any = None
            failure: BaseException | None = None
            try:
                result = function(connection)
            except BaseException as error:  # noqa: BLE001 - it is handed to the waiting side, whatever it is
                failure = error
            loop.call_soon_threadsafe(done, result, failure)

        self._tx.put_nowait((None, job))

    def call(self, function: Callable[[sqlite3.Connection], T]) -> Call[T]:
        """Run ``function`` on the thread; the future of the call holds its result."""
        call = Call(asyncio.get_running_loop().create_future())

        def work(connection: sqlite3.Connection) -> T:
            if call.cancelled or self._early:
                raise sqlite3.OperationalError("interrupted")
            self._at_call = call
            try:
                return function(connection)
            finally:
                self._at_call = None

        def done(result: T, error: BaseException | None) -> None:
            if call.future.done():
                return
            if error is not None:
                call.future.set_exception(error)
            else:
                call.future.set_result(result)

        self.post(work, done)
        return call

    def cancel(self, call: Call[Any]) -> None:
        """Let a call end soon, with an error: one that has not begun, and one that is at a long statement."""
        call.cancelled = True

    def watch(self, connection: sqlite3.Connection) -> None:
        """Let long statements on ``connection`` look now and then whether they are to end.

        An interrupt from outside would be lost between two statements, and before the first.
        """
        connection.set_progress_handler(self._unwanted, _STEPS)

    def _unwanted(self) -> bool:
        call = self._at_call
        return self._early or (call is not None and call.cancelled)

    async def end(self, early: bool = False) -> None:
        """Close after what is queued, or ``early``: then calls end with an error. The thread has ended on return."""
        self._early = early
        await self.close()
        self._thread.join(1.0)  # it has nothing more to do


class Writer:
    """What work on the writer lane gets: the connection and its transactions. Used on the lane's thread only."""

    __slots__ = ("_busy_s", "_synced", "closing", "commit_s", "connection")

    def __init__(self, connection: sqlite3.Connection, busy_s: float) -> None:
        self.connection = connection
        self._busy_s = busy_s
        self._synced = True  # as `connect_writer` leaves it
        self.closing = False
        self.commit_s = 0.0

    def begin(self, synced: bool = True) -> None:
        """Begin a write transaction; wait at most ``busy_s`` for a lock that another program holds.

        Its commit is durable when it returns, or with ``synced`` false when somebody has called `Database.sync`.

        The waiting is done in short attempts so that a node that is told to stop does not sit it out.
        """
        if synced is not self._synced:
            self.connection.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
            self._synced = synced
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if primary_code(error) not in BUSY or self.closing or time.monotonic() >= deadline:
                    raise
            else:
                return

    def commit(self) -> None:
        """Commit; on failure the transaction is rolled back and the driver's error raised."""
        start = time.perf_counter()
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error:
            self.rollback()
            raise
        self.commit_s = time.perf_counter() - start

    def rollback(self) -> None:
        """Undo the transaction, if SQLite has not done so already."""
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except sqlite3.Error:
                if self.connection.in_transaction:
                    raise

    def transaction(self, body: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``body`` between BEGIN IMMEDIATE and COMMIT; roll back when it raises."""
        self.begin()
        try:
            result = body(self.connection)
        except BaseException:
            self.rollback()
            raise
        self.commit()
        return result


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the connection of the writer lane: WAL, every commit synced."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute(f"PRAGMA busy_timeout={_ATTEMPT_MS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16384")
    _lengthen_wal(connection, path)
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that can only read."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-8192")
    return connection


def _lengthen_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the write-ahead log to the size that it keeps, once.

    A commit that makes the log longer also has to sync the file's new size: 0.26 ms against 0.10 ms where it
    overwrites an older part (ext4, measured). SQLite starts over at the front after each checkpoint.
    """
    wal = path.with_name(path.name + "-wal")
    try:
        if wal.exists() and wal.stat().st_size >= _WAL_BYTES:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("CREATE TABLE room (filler BLOB)")
            connection.execute("INSERT INTO room VALUES (zeroblob(?))", (_WAL_BYTES,))
            connection.execute("DROP TABLE room")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    except (sqlite3.Error, OSError):
        return  # a full disk or a lock: only speed is lost, and the first write will say what is wrong
