"""The course of a node: what is done again and again while it runs, what a reload changes, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

from pacstui.errors import PacsError
from pacstui.settings import Settings

log = logging.getLogger("pacstui.node")

Deed = Callable[[], Awaitable[None]]
Take = Callable[[Settings], Awaitable[None] | None]


class Moment(IntEnum):
    """When something ends, in the order in which a node does."""

    JOBS = 1
    """Jobs, and the backups that work for them."""
    CALLS = 2
    """Calls to others that begin here: commitments, retrievals, notices of steps."""
    SENDING = 3
    """What waits to go out; it ends beside all that comes next, and is waited for at `SENT`."""
    PEERS = 4
    ROUNDS = 5
    """The rounds of this module; all after this does without them."""
    ACCOUNTS = 6
    USAGE = 7
    LISTENER = 8
    """Associations that still run: they have their time."""
    CONSOLES = 9
    """The control socket: consoles saw the last association end."""
    TRAIL = 10
    SENT = 11
    ARCHIVE = 12
    """The archive outlives all that may need it."""


@dataclass(frozen=True, slots=True)
class _Round:
    name: str
    seconds: Callable[[], float]
    work: Deed
    at_once: bool


class Course:
    """Takes from each room that is opened what it needs while the node runs, and does it."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self._rounds: list[_Round] = []
        self._takes: list[Take] = []
        self._ends: dict[Moment, list[Deed]] = {moment: [] for moment in Moment}
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: list[asyncio.Task[None]] = []

    def every(self, seconds: float, work: Deed, name: str) -> None:
        """Do something at once when the node has started, and then every so many seconds."""
        self._rounds.append(_Round(name, lambda: seconds, work, at_once=True))

    def after_each(self, seconds: Callable[[], float], work: Deed, name: str) -> None:
        """Do something each time when so many seconds are over; how many is asked anew for each round."""
        self._rounds.append(_Round(name, seconds, work, at_once=False))

    def at_reload(self, take: Take) -> None:
        """Let other settings be taken while the node runs; in the order in which this is called."""
        self._takes.append(take)

    def at_end(self, moment: Moment, close: Deed) -> None:
        """End something at a moment; within one, in the order in which this is called."""
        self._ends[moment].append(close)

    def begin(self) -> None:
        """Begin the rounds."""
        self._tasks = [asyncio.create_task(self._go(each), name=each.name) for each in self._rounds]

    async def _go(self, each: _Round) -> None:
        if not each.at_once and await self._stops_within(each.seconds()):
            return
        while not self.stopping.is_set():
            try:
                await each.work()
            except PacsError as fault:
                log.warning("%s", fault)
            except Exception:  # a fault of ours in one round; the next one is tried all the same
                log.exception("a periodic task failed: %s", each.name)
            await self._stops_within(each.seconds())

    async def _stops_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return self.stopping.is_set()

    async def reload(self, settings: Settings) -> None:
        """Let each room take other settings."""
        for take in self._takes:
            taken = take(settings)
            if taken is not None:
                await taken

    async def end(self) -> None:
        """End all that was opened, moment by moment; each gets its chance, whatever the one before it did."""
        self.stopping.set()
        for moment in Moment:
            if moment is Moment.ROUNDS:
                await self._end_rounds()
            if moment is Moment.SENT and self._sending:
                await asyncio.wait(self._sending)
            closes, self._ends[moment] = self._ends[moment], []
            for close in closes:
                if moment is Moment.SENDING:
                    self._sending.append(asyncio.create_task(_closed(close), name="sending"))
                else:
                    await _closed(close)

    async def _end_rounds(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _closed(close: Deed) -> None:
    try:
        await close()
    except PacsError as fault:
        log.warning("a room did not end cleanly: %s", fault)
    except Exception:
        log.exception("a room did not end cleanly")
