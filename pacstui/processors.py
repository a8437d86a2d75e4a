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
    """An event loop's thread and another one that works for it. Used on the event loop's thread.

    Whatever is started while they are kept together inherits the place: threads are let go with them, and programs are
    to be started by `start_program`.

    Parameters
    ----------
    other
        The other thread's number in the system; none where it has no such.
    """

    def __init__(self, other: int | None) -> None:
        self._other = other
        self._timer: asyncio.TimerHandle | None = None
        self._apart_until = 0.0
        self._anywhere: Set[int] = frozenset()
        self._before: Set[str] = frozenset()

    def take(self) -> None:
        """Keep both where the calling thread runs, for `WHILE_S` seconds from the first call on."""
        if self._timer is not None or self._other is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._apart_until or threading.get_ident() in _taken:
            return
        here = _processor()
        try:
            self._anywhere = os.sched_getaffinity(0) if here >= 0 else frozenset()
            if len(self._anywhere) < 2:
                self._other = None
                return
            self._before = frozenset(os.listdir(_THREADS))
            os.sched_setaffinity(self._other, {here})
            os.sched_setaffinity(0, {here})
        except OSError:  # forbidden, or that processor is being taken away
            self._let_go()
            self._other = None
            return
        _taken[threading.get_ident()] = self
        self._timer = loop.call_later(WHILE_S, self.let_go)

    def part(self) -> None:
        """Let both run wherever they may, for `WHILE_S` seconds at least: they have much to do beside each other."""
        if self._other is not None:
            self._apart_until = asyncio.get_running_loop().time() + WHILE_S
            self.let_go()

    def let_go(self) -> None:
        """Let both run wherever they may, and what was started meanwhile."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        _taken.pop(threading.get_ident(), None)
        self._let_go()

    def _let_go(self) -> None:
        born = [int(name) for name in os.listdir(_THREADS) if name not in self._before] if self._before else []
        for thread in (0, self._other or 0, *born):
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(thread, self._anywhere)


def let_go() -> None:
    """Let the calling thread run wherever it may, and whom it is kept together with."""
    turns = _taken.get(threading.get_ident())
    if turns is not None:
        turns.let_go()


async def start_program(*words: str, **options: Any) -> Process:
    """Start a program as :func:`asyncio.create_subprocess_exec` does, on whichever processor there is room; raises
    OSError."""
    let_go()
    return await asyncio.create_subprocess_exec(*words, **options)
