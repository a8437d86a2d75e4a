"""The parts of this room put together: the worklist, performed procedure steps, and passing these on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from functools import partial

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.db import Database
from pacstui.equipment.line import Lines
from pacstui.orders import views
from pacstui.orders.linking import late, link_late
from pacstui.orders.passing import Passing
from pacstui.orders.performed import Performed
from pacstui.orders.room import WorklistRoom
from pacstui.settings import Settings

_LOOK_S = 30
_COUNT_S = 5


class Desk:
    """Opened once by the node.

    Parameters
    ----------
    settings
        Returns the present ones.
    caller
        Returns who asks for what is done now.
    """

    def __init__(
        self, database: Database, settings: Callable[[], Settings], lines: Lines, bus: Bus, clock: Clock,
        caller: Callable[[], str],
    ) -> None:  # fmt: skip
        self._db = database
        self._bus = bus
        self._clock = clock
        self.passing = Passing(database, lambda: settings().mpps, lines, clock)
        self.performed = Performed(database, bus, clock)
        self.performed.forward_to = lambda: settings().mpps.forward_to
        self.performed.queued = self.passing.wake
        self.room = WorklistRoom(database, settings, bus, clock, caller)
        self.room.pass_on_again = self.passing.again
        self._orders: set[int] = set()
        self._rounds = 0
        self._part = {"today": 0, "to_come": 0, "in_progress": 0, "late": 0}
        bus.subscribe(events.OrderChanged, lambda event: self._orders.update(event.orders))

    async def tick(self) -> None:
        """Pass on, join what was performed before its order came, look for what is missing; called every second."""
        await self.passing.tick()
        if self._orders:
            await self._join()
        if self._rounds % _LOOK_S == 0:
            await self.room.look()
        if self._rounds % _COUNT_S == 0:
            self._part = await self._db.read(partial(views.today, self._clock.now()))
        self._rounds += 1

    def part(self) -> dict[str, int]:
        """Return how today's steps stand, for the status."""
        return self._part

    async def _join(self) -> None:
        changed, self._orders = tuple(self._orders), set()
        orders = await self._db.read(lambda connection: late(connection, changed))
        if not orders:
            return
        now = self._clock.now()

        def body(connection: sqlite3.Connection) -> tuple[int, ...]:
            return link_late(connection, orders, now)

        moved = await self._db.write(body)
        if moved:
            self._bus.publish(events.StepChanged(now, moved))

    async def close(self) -> None:
        """Stop passing on."""
        await self.passing.close()

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what is wrong, for the list of problems."""
        yield from self.passing.problems()
        yield from self.room.problems()
