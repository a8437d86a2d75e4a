"""How long a destination that does not answer is left alone, and how fast one that answers is sent to."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pacstui.retrying import delay

_FIRST_S: Final = 5.0
_MOST_S: Final = 300.0


@dataclass(slots=True)
class Breaker:
    """Whether a destination is worth trying.

    After a failure nothing is sent until a probe was answered. ``since`` is when it began to fail (monotonic seconds),
    ``why`` and ``hint`` say what is wrong, ``probe_at`` when it is asked next.
    """

    open: bool = False
    since: float = 0.0
    why: str = ""
    hint: str = ""
    failures: int = 0
    probe_at: float = 0.0

    def trip(self, now: float, why: str, hint: str, chance: Callable[[], float] = random.random) -> bool:
        """Note a failure; return whether that is news."""
        news = not self.open
        if news and not self.failures:
            self.since = now
        self.open = True
        self.failures += 1
        self.why, self.hint = why, hint
        self.probe_at = now + delay(self.failures, _FIRST_S, _MOST_S, chance)
        return news

    def answered(self) -> None:
        """Try it again; the next failure counts on from those before."""
        self.open = False

    def worked(self) -> bool:
        """Note that something was sent; return whether it had failed before."""
        had = self.failures > 0
        self.open, self.failures, self.why, self.hint, self.since = False, 0, "", "", 0.0
        return had


class Pace:
    """Keeps to so many bytes a second over time; without a limit it never waits."""

    def __init__(self, per_s: float) -> None:
        self.per_s = per_s
        self._free_at = 0.0

    def wait_s(self, octets: int, now: float) -> float:
        """Return the seconds to wait after so many bytes."""
        if self.per_s <= 0:
            return 0.0
        self._free_at = max(self._free_at, now) + octets / self.per_s
        return self._free_at - now
