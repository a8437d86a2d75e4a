"""How long a place may take to answer: a share that hangs holds a thread in the kernel, and nothing but the end of the
process frees it. Who asks such a place says so here; the worker looks whether an answer is overdue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LIMIT_S: Final = 300.0
"""A disk that spins up, a share whose server is started anew: minutes are no hang yet."""
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
