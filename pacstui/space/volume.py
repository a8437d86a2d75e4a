"""How full the archive's volume is, what comes of that, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

from pacstui.archive import Archive
from pacstui.clock import Clock
from pacstui.settings import SpaceSettings
from pacstui.space.purge import used_percent
from pacstui.text import plural

Problem = tuple[str, str, str, str, str]


class Volume:
    """The volume. ``settings`` returns those of now, ``full_on`` the day on which it is full at the present growth."""

    def __init__(
        self, archive: Archive, settings: Callable[[], SpaceSettings], full_on: Callable[[], date | None], clock: Clock
    ) -> None:
        self._archive = archive
        self._settings = settings
        self._full_on = full_on
        self._clock = clock

    def used(self) -> float:
        """Return how much of it is in use, in percent."""
        stats = self._archive.stats()
        return used_percent(stats.free_bytes, stats.total_bytes)

    def too_full(self) -> bool:
        """Return whether room has to be made."""
        return self.used() > self._settings().purge_above_percent

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong, for the list of problems."""
        used, settings = self.used(), self._settings()
        if used >= settings.warn_percent:
            level = "fail" if used > settings.purge_above_percent else "warn"
            yield "space", level, f"the volume is {used:.0f}% full; {self.next_step()}", self._mend(), "storage"

    def _mend(self) -> str:
        if not self._settings().rules:
            return "add space, delete studies, or write [[space.rules]]: docs/operations.md, the disk fills up"
        return "add space, or change [[space.rules]]; what they let go: pacstui space plan"

    def next_step(self) -> str:
        """Return in words what happens next if nothing changes."""
        settings = self._settings()
        rules = any(rule.when == "full" for rule in settings.rules)
        purge = " and rules for a full volume purge" if rules else ""
        if self.too_full():
            return f"the trash is emptied early{purge}, until {settings.purge_until_percent:g}%"
        if not settings.rules:
            return "nothing is purged, as there are no rules"
        return f"from {settings.purge_above_percent:g}% the trash is emptied early{purge}"

    def forecast(self) -> str:
        """Return in words when it is full at the present growth."""
        full_on = self._full_on()
        if full_on is None:
            return "not full within ten years"
        days = (full_on - self._clock.now().astimezone().date()).days
        return f"full in {plural(days, 'day')} at the present growth"
