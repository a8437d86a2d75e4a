"""The database of a node: one writer lane, a few readers, the schema brought up to date at opening."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pacstui.db import schema
from pacstui.db.faults import translate
from pacstui.db.lane import Done, Lane, Writer, connect_reader, connect_writer
from pacstui.processors import Turns

T = TypeVar("T")
_READERS = 2


class Database:
    """SQLite through aiosqlite. All writes go through one lane, in order; reads never wait for them (WAL).

    ``turns`` are those of the event loop and the lane; the readers' threads go where they like.
    """

    def __init__(self, path: Path, lane: Lane, writer: Writer, readers: list[Lane]) -> None:
        self.path = path
        self._lane = lane
        self._writer = writer
        self._readers = readers
        self._idle: deque[Lane] = deque(readers)
        self._waiting: deque[asyncio.Future[Lane]] = deque()
        self._closed = False
        self.turns = Turns(lane.thread, readers[0].thread)

    @classmethod
    async def open(cls, path: Path, busy_s: float = 10.0) -> Database:
        """Open the database at ``path``, make or migrate it first.

        Parameters
        ----------
        path
            The database file; its folder exists.
        busy_s
            Seconds that a write waits for a lock held by another program.

        Raises
        ------
        Unavailable, StorageFull, Corrupt
            When it cannot be opened, has no room, or is no database.
        """
        opened: list[Lane] = []
        try:
            await schema.ensure(path)
            os.chmod(path, 0o600)
            lane = Lane(lambda: connect_writer(path))
            await lane
            opened.append(lane)
            writer = await lane.call(lambda connection: Writer(connection, busy_s)).future
            readers = []
            for _ in range(_READERS):
                reader = Lane(lambda: connect_reader(path))
                await reader
                opened.append(reader)
                await reader.call(reader.watch).future
                readers.append(reader)
        except sqlite3.Error as error:
            for each in opened:
                await each.end()
            raise translate(error) from error
        return cls(path, lane, writer, readers)

    def submit(self, work: Callable[[Writer], Any], done: Done) -> None:
        """Run ``work`` on the writer lane's thread, then ``done(result, error)`` on the event loop, one hop each way.

        ``work`` owns its transactions and gets the driver's errors as they are.
        """
        writer = self._writer
        self._lane.post(lambda _: work(writer), done)

    def sync(self) -> None:
        """Make every commit durable that has returned; on any thread. Raises OSError.

        SQLite syncs its log by itself before it copies it into the database, and the database before it starts the
        log over.
        """
        try:
            fd = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # it was folded in
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    async def write(self, body: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``body`` on the writer lane inside one transaction; return its result when it is durable.

        Raises
        ------
        StorageFull, Unavailable, Corrupt
            Nothing was written then.
        """
        writer = self._writer
        try:
            return await self._lane.call(lambda _: writer.transaction(body)).future
        except sqlite3.Error as error:
            raise translate(error) from error

    async def read(self, body: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``body`` on a reader connection. A cancelled caller's query is interrupted."""
        reader = await self._take()
        try:
            call = reader.call(body)
        except BaseException:
            self._give(reader)
            raise
        call.future.add_done_callback(lambda _: self._give(reader))
        try:
            return await asyncio.shield(call.future)
        except asyncio.CancelledError:
            call.future.add_done_callback(_retrieve)
            reader.cancel(call)
            raise
        except sqlite3.Error as error:
            raise translate(error) from error

    async def _take(self) -> Lane:
        if self._idle:
            return self._idle.popleft()
        turn: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give(turn.result())
            raise

    def _give(self, reader: Lane) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(reader)
                return
        self._idle.append(reader)

    async def close(self) -> None:
        """Finish what waits on the lane, fold the log into the database, close. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self.turns.close()
        self._writer.closing = True
        for reader in self._readers:
            await reader.end(early=True)
        await self._lane.end()


def _retrieve(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
