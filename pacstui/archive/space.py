"""Room on the archive's volume: refuses in time, and notices by itself when room is back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pacstui import text
from pacstui.archive.disk import Disk
from pacstui.archive.refusal import FREE_SPACE, OUT_OF_RESOURCES, Refused, refusal_of
from pacstui.clock import Clock
from pacstui.errors import PacsError

_EVERY_S = 0.5


class Space:
    """Knows whether objects are being accepted.

    Free space is asked for at most every half second. After a fault of disk or database objects are still tried: the
    first that succeeds ends the pressure, or a trial by the archive itself.
    """

    def __init__(
        self, path: Path, disk: Disk, reserve: int, clock: Clock, changed: Callable[[bool, str], None]
    ) -> None:
        self._path = path
        self._disk = disk
        self._reserve = reserve
        self._clock = clock
        self._changed = changed
        self._asked = float("-inf")
        self._low = ""
        self._fault = ""
        self._fault_remedy = ""
        self.free = 0
        self.total = 0

    @property
    def detail(self) -> str:
        """Why objects are refused, empty while they are accepted."""
        return self._low or self._fault

    @property
    def remedy(self) -> str:
        """What to do about `detail`."""
        return FREE_SPACE if self._low else self._fault_remedy

    @property
    def faulty(self) -> bool:
        """Whether disk or database failed and nothing became durable since."""
        return bool(self._fault)

    def look(self) -> None:
        """Ask the volume, unless it was asked just now."""
        now = self._clock.monotonic()
        if now - self._asked < _EVERY_S:
            return
        self._asked = now
        try:
            self.free, self.total = self._disk.statvfs(self._path)
        except OSError as error:
            self.failed(error)
            return
        low = self.free < self._reserve
        if low != bool(self._low):
            before = self.detail
            self._low = (
                f"only {text.size(self.free)} free, {text.size(self._reserve)} are kept in reserve" if low else ""
            )
            self._tell(before)

    def check(self) -> None:
        """Raise `Refused` with A700H while free space is below the reserve."""
        self.look()
        if self._low:
            raise Refused(OUT_OF_RESOURCES, f"Out of space: {self._low}", hint=FREE_SPACE)

    def failed(self, error: BaseException) -> None:
        """Note a fault of disk or database."""
        before = self.detail
        if isinstance(error, PacsError):
            self._fault, self._fault_remedy = error.message, error.hint
        else:
            refusal = refusal_of(error)
            self._fault, self._fault_remedy = refusal.message, refusal.hint
        self._tell(before)

    def worked(self) -> None:
        """Note that something became durable."""
        if self._fault:
            before = self.detail
            self._fault = self._fault_remedy = ""
            self._tell(before)

    def _tell(self, before: str) -> None:
        now = self.detail
        if bool(now) != bool(before):
            self._changed(bool(now), now)
