"""What long work is given to speak with: how far it is, what it notes, whether it is to end; and how fast it may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from pacstui.jobs.kinds import Cancelled

Say = Callable[[dict[str, Any]], None]
_EVERY_S = 0.25


class Watch:
    """Progress of one run. Safe on any thread.

    Parameters
    ----------
    say
        Gets what changed: ``{"done": ...}`` at most four times a second, ``{"note": ..., "level": ...}`` at once.
    bytes_per_s
        The most that may pass through `pace`, 0 for no limit.
    """

    def __init__(self, say: Say | None = None, bytes_per_s: float = 0) -> None:
        self._say = say
        self._stop = threading.Event()
        self._stopped = 0.0
        self._lock = threading.Lock()
        self._told: dict[str, Any] = {}
        self._last = 0.0
        self._rate = bytes_per_s
        self._free_at = 0.0
        self.why = ""
        self.state: dict[str, Any] = {"done": 0, "total": 0, "done_bytes": 0, "total_bytes": 0, "errors": 0}

    def stop(self, why: str = "it was cancelled") -> None:
        """Ask the work to end at its next safe point."""
        self.why = self.why or why
        self._stopped = self._stopped or time.monotonic()
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it is to end."""
        return self._stop.is_set()

    @property
    def stopping_s(self) -> float:
        """For how long it is to end by now, 0 if it is not."""
        return time.monotonic() - self._stopped if self._stopped else 0.0

    def check(self) -> None:
        """Raise `Cancelled` if it is to end."""
        if self._stop.is_set():
            raise Cancelled(self.why, "what was done stays; the next run goes on from there")

    def tell(self, **changes: Any) -> None:
        """Say how far it is: done, total, unit, done_bytes, total_bytes, errors, now."""
        with self._lock:
            self.state.update(changes)
            self._send()

    def add(self, done: int = 0, done_bytes: int = 0, errors: int = 0) -> None:
        """Say what was done more."""
        with self._lock:
            self.state["done"] += done
            self.state["done_bytes"] += done_bytes
            self.state["errors"] += errors
            self._send()

    def _send(self, always: bool = False) -> None:
        now = time.monotonic()
        if self._say is None or (not always and now - self._last < _EVERY_S):
            return
        self._last = now
        changed = {key: value for key, value in self.state.items() if self._told.get(key) != value}
        if changed:
            self._told.update(changed)
            self._say(changed)

    def flush(self) -> None:
        """Say what was held back."""
        with self._lock:
            self._send(always=True)

    def note(self, text: str, level: str = "info") -> None:
        """Write a line into the run's log."""
        with self._lock:
            self._send(always=True)
            if self._say is not None:
                self._say({"note": text, "level": level})

    def pace(self, size: int) -> None:
        """Wait until ``size`` bytes more may pass."""
        if self._rate <= 0:
            return
        with self._lock:
            now = time.monotonic()
            wait = self._free_at - now
            self._free_at = max(now, self._free_at) + size / self._rate
        if wait > 0:
            self._stop.wait(wait)
            self.check()
