"""How long a place may take to answer: a share that hangs holds a thread in the kernel, and nothing but the end of the
process frees it. Who asks such a place says so here; a thread looks whether an answer is overdue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pacstui.backups.watch import Watch
from pacstui.errors import PacsError, Unavailable
from pacstui.jobs.kinds import Cancelled

LIMIT_S: Final = 300.0
"""A disk that spins up, a share whose server is started anew: minutes are no hang yet."""
GRACE_S: Final = 5.0
LOOK_S: Final = 0.5
_BYTES_PER_S: Final = 1 << 20
_lock = threading.Lock()
_asked: dict[int, tuple[str, float]] = {}


@contextmanager
def asked(place: str, size: int = 0) -> Iterator[None]:
    """Say that an answer of a place is waited for meanwhile, after ``size`` bytes were given to it."""
    mine = threading.get_ident()
    with _lock:
        before = _asked.get(mine)
        _asked[mine] = place, time.monotonic() + LIMIT_S + size / _BYTES_PER_S
    try:
        yield
    finally:
        with _lock:
            if before is None:
                del _asked[mine]
            else:
                _asked[mine] = before


def overdue() -> str:
    """Return the place that has not answered for too long, empty if there is none."""
    now = time.monotonic()
    with _lock:
        return next((place for place, until in _asked.values() if now > until), "")


def tend(watch: Watch, give_up: Callable[[PacsError], None]) -> None:
    """Look, for ever, whether work can still end by itself; call ``give_up``, which ends the process, when it cannot:
    a place does not answer, or the work was told to end and does not."""
    while True:
        place = overdue()
        if place:
            told = f"{place} has not answered for {LIMIT_S / 60:.0f} minutes", "is it mounted, and its server up?"
            give_up(Unavailable(*told))
        if watch.stopping_s > GRACE_S:
            give_up(Cancelled(watch.why, "what was done stays; the next run goes on from there"))
        time.sleep(LOOK_S)
