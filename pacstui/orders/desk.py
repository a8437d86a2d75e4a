"""The parts of this room put together: the worklist, performed procedure steps, and passing these on."""

from __future__ import annotations

from collections.abc import Callable

from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.db import Database
from pacstui.orders.performed import Performed
from pacstui.orders.room import WorklistRoom
from pacstui.settings import Settings


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
        self, database: Database, settings: Callable[[], Settings], bus: Bus, clock: Clock, caller: Callable[[], str]
    ) -> None:
        self.room = WorklistRoom(database, settings, bus, clock, caller)
        self.performed = Performed(database, bus, clock)
        self.performed.forward_to = lambda: settings().mpps.forward_to
