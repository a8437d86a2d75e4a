"""What every group of rooms stands on: the settings as they are now, time, the bus, and the course of the node."""

from __future__ import annotations

from pacstui.accounts.caller import CURRENT
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.configuration import Loaded
from pacstui.monitor.problems import Problems
from pacstui.node.course import Course
from pacstui.settings import Settings


class Ground:
    """What every group of rooms stands on."""

    def __init__(self, loaded: Loaded, clock: Clock) -> None:
        self.loaded = loaded
        self.settings = loaded.settings
        self.clock = clock
        self.bus = Bus()
        self.course = Course()
        self.problems = Problems(clock)

    def take(self, loaded: Loaded) -> None:
        """Take a configuration that was read anew; what it says of node and archive waits for the next start."""
        old = self.settings
        self.loaded = loaded
        self.settings = loaded.settings.model_copy(update={"node": old.node, "archive": old.archive})

    def now(self) -> Settings:
        """Return the settings as they are now."""
        return self.settings

    def title(self) -> str:
        """Return the AE title of this node."""
        return self.settings.dicom.ae_title

    @property
    def rehearsal(self) -> bool:
        """Whether this is a copy of an archive that sends nothing and runs no jobs."""
        return self.settings.node.rehearsal


def caller() -> str:
    """Return the account of whoever asks for what is being done; the node itself where nobody does."""
    asking = CURRENT.get(None)
    return asking.name if asking is not None else "node"
