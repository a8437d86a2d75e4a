"""A jobs room on a clock that tests move, with kinds whose work does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.contract.jobs import RunRow
from pacstui.db import Database
from pacstui.errors import PacsError
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run, Wanted
from pacstui.jobs.room import JobsRoom
from pacstui.monitor.feed import EventFeed

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@dataclass
class Works:
    """What work there is. Runs of ``long`` wait until `go` is set or they are to end; ``deaf`` ones never look."""

    ran: list[Run] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    fault: BaseException | None = None
    outcome: Outcome = field(default_factory=lambda: Outcome("all is well"))

    def kinds(self) -> tuple[Kind, ...]:
        async def short(run: Run) -> Outcome:
            self.ran.append(run)
            if self.fault is not None:
                raise self.fault
            return self.outcome

        async def long(run: Run) -> Outcome:
            self.ran.append(run)
            run.note(f"begins at {run.kept or 'the beginning'}")
            stop, go = asyncio.ensure_future(run.stopped()), asyncio.ensure_future(self.go.wait())
            try:
                await asyncio.wait((stop, go), return_when=asyncio.FIRST_COMPLETED)
                run.check()
            finally:
                stop.cancel()
                go.cancel()
            return self.outcome

        async def deaf(run: Run) -> Outcome:
            self.ran.append(run)
            await self.go.wait()
            return self.outcome

        how = Parameter("how", "how it is done", "well", ("well", "badly"))
        disk = Parameter("disk", "which disk", "a")
        return (
            Kind("short", "short work", "Works.", short, (how,)),
            Kind("quiet", "quiet work", "Works.", short, quiet=True),
            Kind("long", "long work", "Works long.", long, (disk,), resumes=True, lane="disk {disk}"),
            Kind("once", "long work", "Works long.", long, (disk,), lane="disk {disk}"),
            Kind("deaf", "deaf work", "Hears nothing.", deaf),
        )


@dataclass
class Room:
    """A room and its surroundings."""

    room: JobsRoom
    clock: FakeClock
    bus: Bus
    works: Works
    feed: EventFeed
    told: list[events.Event]

    async def settle(self) -> None:
        """Let everything that was begun go as far as it gets."""
        for _ in range(6):
            await asyncio.sleep(0.002)
        await self.until(lambda: not any(self._short(task) for task in asyncio.all_tasks()))

    def _short(self, task: asyncio.Task[Any]) -> bool:
        """Return whether a task is a run that ends by itself, or keeps its end."""
        name = task.get_name().removeprefix("job ")
        entry = self.room._runner.entries.get(name)
        if entry is None:
            return False
        kind = entry.job.kind
        stopping = kind != "deaf" and any(each.stopping for each in self.room._runner.under_way(name))
        return kind in ("short", "quiet") or self.works.go.is_set() or stopping

    async def tick(self, seconds: float = 1.0) -> None:
        """Let time pass, and the room look at the clock."""
        self.clock.advance(seconds)
        await self.room.tick()
        await self.settle()

    async def at(self, text: str) -> None:
        """Go to a time (UTC), in one step."""
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
        await self.tick((moment - self.clock.now()).total_seconds())

    async def until(self, true: Callable[[], Any]) -> None:
        for _ in range(500):
            if true():
                return
            await asyncio.sleep(0.002)
        raise AssertionError("did not happen")

    async def runs(self, job: str = "") -> list[RunRow]:
        """Return runs, oldest first."""
        return list(await self.room.history(job))[::-1]

    async def states(self, job: str = "") -> list[str]:
        return [run.state for run in await self.runs(job)]

    async def job(self, name: str) -> Any:
        return next(row for row in (await self.room.list()).jobs if row.name == name)

    @property
    def sentences(self) -> list[str]:
        return [f"{row.level} {row.source}: {row.text}" for row in self.feed.after(0, 100)]


@asynccontextmanager
async def room(
    folder: Path, works: Works | None = None, clock: FakeClock | None = None, wanted: tuple[Wanted, ...] = (),
    close: bool = True,
) -> AsyncIterator[Room]:  # fmt: skip
    """Open a room in a folder; without ``close`` it ends as by kill -9."""
    works, clock, bus = works or Works(), clock or FakeClock(START), Bus()
    database = await Database.open(folder / "index.db")
    feed = EventFeed(bus)
    told: list[events.Event] = []
    bus.subscribe(events.Event, told.append)
    jobs = JobsRoom(database, bus, clock)
    for kind in works.kinds():
        jobs.register(kind)
    try:
        await jobs.open()
        await jobs.want(wanted)
        yield Room(jobs, clock, bus, works, feed, told)
        if close:
            await jobs.close()
    finally:
        for each in list(jobs._runner.working.values()):
            if each.task is not None:  # as if it had never been: nothing of it is written down
                each.task.cancel()
                jobs._runner.store.save = _nothing  # type: ignore[method-assign]
                await asyncio.wait((each.task,))
        await database.close()


async def _nothing(*_: Any, **__: Any) -> None:
    raise PacsError("killed")
