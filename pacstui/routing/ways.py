"""What destinations need of the node, and how an object can fail by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pacstui.archive import Archive
from pacstui.archive.reading import Content
from pacstui.clock import Clock
from pacstui.errors import PacsError
from pacstui.index.retrieve import Copy
from pacstui.routing.courier import Courier
from pacstui.routing.outbox import Ended, Item, Outbox
from pacstui.services.corrected import Handing
from pacstui.settings import DestinationSettings


class Withheld(PacsError):
    """An object may not leave as it is; the message says why."""

    code = "withheld"


class Unfit(PacsError):
    """An object cannot be changed as it is to be; trying again does not help."""

    code = "unfit"


@dataclass(slots=True)
class Ways:
    """What destinations need of the node.

    ``changed`` makes a changed copy by the name of a transformation, for a destination, on a thread; raises `Withheld`
    or `Unfit`. ``discard`` is given each content when it was sent or not. ``held_up`` says why nothing is
    sent to a destination for now, empty if things are. ``down`` and ``up`` are told the name of one that takes nothing
    any more, or takes things again. ``handing`` makes the copies that corrected objects leave as.
    """

    archive: Archive
    outbox: Outbox
    clock: Clock
    courier: Callable[[DestinationSettings], Courier]
    changed: Callable[[str, str, Item, Copy, Content], tuple[Copy, Content]]
    discard: Callable[[Content], None]
    down: Callable[[str, PacsError], None]
    up: Callable[[str], None]
    ended: Callable[[Ended], None]
    held_up: Callable[[str], str]
    handing: Callable[[], Handing | None] = lambda: None
