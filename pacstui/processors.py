"""Threads that take turns, kept on one processor for short whiles where the system allows it (Linux).

Two threads that hand the interpreter's lock to each other many times for each object are faster on one processor than
on two: to hand it over wakes the other processor, and each fetches from there what the turn before has touched. The
system does not know that, and spreads them. Between two whiles it may, and they go where there is room.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from asyncio.subprocess import Process
from collections.abc import Callable, Set
from contextlib import suppress
from typing import Any, Final, cast

WHILE_S: Final = 0.25
BETWEEN_S: Final = 0.005  # so that both have been woken a few times: then the system sees where there is room
_LATER_S: Final = 5.0
_THREADS: Final = "/proc/self/task"


def _nowhere() -> int:
    return -1


def _load() -> Callable[[], int]:
    if not hasattr(os, "sched_setaffinity"):
        return _nowhere
    try:
        found = ctypes.PyDLL(None).sched_getcpu  # so quick that the interpreter's lock is kept
    except (OSError, AttributeError):
        return _nowhere
    found.argtypes = ()
    return cast("Callable[[], int]", found)


_processor: Final = _load()
_taken: Final[dict[int, Turns]] = {}


class Turns:
    """An event loop's thread and another one that works for it. Used on the event loop's thread; raises nothing.

    Whatever is started while they are kept together inherits the place: threads are let go with them, and programs are
    to be started by `start_program`. Who lets go looks where a third thread may run, which is never kept anywhere: so
    taskset (with ``-a``) and control groups hold that were changed meanwhile. What somebody has given another place
    than all others keeps it.

    Parameters
    ----------
    other
        The other thread's number in the system; none where it has no such.
    free
        The third one's.
    """

    def __init__(self, other: int | None, free: int | None) -> None:
        self._other = other
        self._free = free
        self._timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self._both: tuple[int, ...] = ()
        self._here = -1
        self._anywhere: Set[int] = frozenset()
        self._known: Set[str] = frozenset()  # threads of before; some while anybody may still have to be let go

    def take(self) -> None:
        """Keep both where the calling thread runs, for `WHILE_S` seconds from the first call on."""
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        me = threading.get_native_id()
        if now < self._not_before or me in _taken:
            return
        if not self._bind(me):
            self._not_before = now + _LATER_S
            return
        _taken[me] = self
        self._timer = loop.call_later(WHILE_S, self._pause)

    def part(self) -> None:
        """Let both run wherever they may, for `WHILE_S` seconds at least: they have much to do beside each other."""
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + WHILE_S)
        self.let_go()

    def let_go(self) -> None:
        """Let both run wherever they may, and what was started meanwhile."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for thread in self._both:
            _taken.pop(thread, None)
        if self._known:
            self._release()

    def _pause(self) -> None:
        """Let go, and leave the system `BETWEEN_S` seconds to choose."""
        self._not_before = asyncio.get_running_loop().time() + BETWEEN_S
        self.let_go()

    def close(self) -> None:
        """Let go for good: the other thread ends."""
        self._other = None
        self.let_go()

    def _bind(self, me: int) -> bool:
        """Return whether both are kept here now; not where it is forbidden, nor where there is nothing to choose."""
        here = _processor()
        if here < 0 or self._other is None or self._free is None:
            return False
        try:
            anywhere = os.sched_getaffinity(self._free)
            if len(anywhere) < 2 or here not in anywhere:
                return False
            if os.sched_getaffinity(0) not in (anywhere, self._anywhere):
                return False  # somebody has chosen for this thread alone
            self._known = self._known or frozenset(os.listdir(_THREADS))
            self._anywhere, self._here, self._both = anywhere, here, (self._other, me)
            for thread in self._both:
                os.sched_setaffinity(thread, {here})
        except OSError:  # forbidden, no descriptor is left, or that processor is being taken away
            if self._known:
                self._release()
            return False
        return True

    def _release(self) -> None:
        with suppress(OSError):
            self._anywhere = os.sched_getaffinity(self._free or 0)
        for thread in self._both:
            self._place(thread)
        known = set(self._known)
        try:
            while born := set(os.listdir(_THREADS)) - known:  # until none has begun from one that was not yet let go
                for name in born:
                    self._place(int(name))
                known |= born
        except OSError:
            return  # no descriptor is left; it is looked for them the next time
        self._known = frozenset()

    def _place(self, thread: int) -> None:
        """Let a thread run anywhere that is where it was put, or was driven from there."""
        with suppress(OSError):  # it has ended
            if self._here not in self._anywhere or os.sched_getaffinity(thread) == {self._here}:
                os.sched_setaffinity(thread, self._anywhere)


def let_go() -> None:
    """Let the calling thread run wherever it may, and whom it is kept together with."""
    turns = _taken.get(threading.get_native_id())
    if turns is not None:
        turns.let_go()


async def start_program(*words: str, **options: Any) -> Process:
    """Start a program as :func:`asyncio.create_subprocess_exec` does, on whichever processor there is room; raises
    OSError."""
    let_go()
    return await asyncio.create_subprocess_exec(*words, **options)
