"""The way of messages from their connections to the writer lane and back.

While one transaction is on its way to the disk the messages that come in gather and are the next one. Connections take
turns; within a connection messages keep their order.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from pacstui.db import Database
from pacstui.db.faults import translate
from pacstui.errors import PacsError, Unavailable
from pacstui.hl7v2.keeping import Keeping, Todo

log = logging.getLogger("pacstui.hl7")
_BATCH: Final = 256
_BATCH_BYTES: Final = 32 << 20
_SMALL: Final = 512 << 10


class Source(Protocol):
    """Where messages come from. Both are called on the event loop."""

    def take(self) -> Todo | None:
        """Return the next message, None if there is none now."""

    def settled(self, todos: list[Todo]) -> None:
        """Send the answers of messages that were taken, in their order."""


class Intake:
    """The queue before the writer lane."""

    def __init__(self, database: Database, keeping: Keeping, told: Callable[[list[Todo]], None]) -> None:
        self._db = database
        self._keeping = keeping
        self._told = told
        self._ready: deque[Source] = deque()
        self._listed: set[int] = set()
        self._running = False
        self._stopped = False
        self._stopping = asyncio.Event()
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="hl7")
        self._idle = asyncio.Event()
        self._idle.set()
        self.trouble = ""
        self.hint = ""

    def wake(self, source: Source) -> None:
        """Take messages from a source from now on, until it has none."""
        if id(source) not in self._listed:
            self._listed.add(id(source))
            self._ready.append(source)
        self._next()

    async def settle(self, todos: list[Todo]) -> None:
        """Keep and act on messages of our own; return when that is done.

        Raises
        ------
        Unavailable
            When the node is being stopped.
        """
        source = _Ours(todos)
        self.wake(source)
        if self._stopped:
            raise Unavailable("this node is being stopped", "do it again when it runs")
        waiting = [asyncio.ensure_future(each.wait()) for each in (source.done, self._stopping)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        if not source.done.is_set():
            raise Unavailable("this node was stopped meanwhile", "see which were done when it runs")

    async def trial(self, todo: Todo) -> None:
        """Say what a message would do: all of it is undone again."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ended(_: None, error: BaseException | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(translate(error) if isinstance(error, sqlite3.Error) else error)
            else:
                done.set_result(None)

        self._db.submit(lambda writer: self._keeping.trial(todo, writer), ended)
        await done

    async def rest(self) -> None:
        """Return when nothing is on its way."""
        await self._idle.wait()

    async def close(self) -> None:
        """Take nothing more and end; what was not taken was not answered."""
        self._stopped = True
        self._next()
        await self._idle.wait()
        self._stopping.set()
        self._reading.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        if self._stopped:
            self._ready.clear()
        while self._ready and not self._running:  # what a transaction did is told before the next one begins
            batch, sources, size = self._gather()
            if not batch:
                break
            self._running = True
            if size <= _SMALL:
                self._store(batch, sources)
            else:  # reading takes long enough to hold up what else is written
                loop = asyncio.get_running_loop()
                future = loop.run_in_executor(self._reading, self._keeping.prepare, batch)
                future.add_done_callback(lambda _, b=batch, s=sources: self._store(b, s))  # type: ignore[misc]
        if self._running or self._ready:
            self._idle.clear()
        else:
            self._idle.set()

    def _gather(self) -> tuple[list[Todo], list[Source], int]:
        batch: list[Todo] = []
        sources: list[Source] = []
        size = 0
        while self._ready and len(batch) < _BATCH and size < _BATCH_BYTES:
            source = self._ready.popleft()
            try:
                todo = source.take()
            except Exception:  # a fault of ours at one connection holds up no other
                log.exception("a message could not be taken")
                todo = None
            if todo is None:
                self._listed.discard(id(source))
                continue
            self._ready.append(source)
            batch.append(todo)
            sources.append(source)
            size += len(todo.raw)
        return batch, sources, size

    def _store(self, batch: list[Todo], sources: list[Source]) -> None:
        self._db.submit(
            lambda writer: self._keeping.keep(batch, writer),
            lambda _, error: self._ended(batch, sources, error),
        )

    def _ended(self, batch: list[Todo], sources: list[Source], error: BaseException | None) -> None:
        self._running = False
        if error is not None:
            self._failed(batch, error)
        elif self.trouble:
            log.warning("HL7 messages are kept again")
            self.trouble = self.hint = ""
        by: dict[int, tuple[Source, list[Todo]]] = {}
        for source, todo in zip(sources, batch, strict=True):
            by.setdefault(id(source), (source, []))[1].append(todo)
        for source, todos in by.values():
            self._careful(source.settled, todos)
        if error is None:
            self._careful(self._keeping.applier.committed)
        self._careful(self._told, batch)
        self._next()

    def _careful(self, tell: Callable[..., None], *what: object) -> None:
        """Tell somebody of messages; what is kept is kept whoever fails at that, and the next ones are taken."""
        try:
            tell(*what)
        except Exception:
            log.exception("not all was told of messages that are kept")

    def _failed(self, batch: list[Todo], error: BaseException) -> None:
        self._keeping.prepare(batch)  # of which it may have come before the reading
        self._keeping.fail(batch, error)
        text = batch[0].outcome.done
        if text != self.trouble:
            known = isinstance(error, PacsError | OSError) or type(error).__module__ == "sqlite3"
            log.error("HL7 messages cannot be kept: %s", text, exc_info=None if known else error)
        self.trouble = text
        self.hint = "senders are answered AR and try again; free space or end what locks the database"


class _Ours:
    def __init__(self, todos: list[Todo]) -> None:
        self._todos = deque(todos)
        self._left = len(todos)
        self.done = asyncio.Event()
        if not todos:
            self.done.set()

    def take(self) -> Todo | None:
        return self._todos.popleft() if self._todos else None

    def settled(self, todos: list[Todo]) -> None:
        self._left -= len(todos)
        if not self._left:
            self.done.set()
