"""Calls that may never come back: a name server or a mount that hangs takes a thread of its own, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

T = TypeVar("T")

MOST: Final = 64
"""Calls that are waited for at once."""


class TooManyHang(Exception):
    """So many calls have not come back that no more are made."""


class Apart:
    """Makes calls on threads of their own, at most one for a key: who asks meanwhile waits for the same answer.

    A thread that hangs ends with the process and does not hold up its end, unlike those of an executor.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[Any]] = {}

    async def call(self, key: Hashable, work: Callable[[], T]) -> T:
        """Return what a call returns; when the waiting is cancelled, the call goes on by itself.

        Raises
        ------
        TooManyHang
            When too many others have not come back.
        """
        with self._lock:
            future: Future[T] | None = self._running.get(key)
            if future is None:
                if len(self._running) >= MOST:
                    raise TooManyHang
                future = self._running[key] = Future()
                threading.Thread(target=self._run, args=(key, work, future), name=self._name, daemon=True).start()
        return await asyncio.shield(asyncio.wrap_future(future))

    def _run(self, key: Hashable, work: Callable[[], T], future: Future[T]) -> None:
        future.set_running_or_notify_cancel()  # nobody can cancel what runs
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            self._done(key)
            future.set_exception(error)
        else:
            self._done(key)
            future.set_result(found)

    def _done(self, key: Hashable) -> None:
        with self._lock:
            del self._running[key]
