"""Waiting for something that knows nothing of runs, and ending it when the run is to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pacstui.jobs.kinds import Run

T = TypeVar("T")
_LOOK_S = 0.5


async def until_done(run: Run, work: Coroutine[Any, Any, T], look: Callable[[], None] | None = None) -> T:
    """Return what ``work`` returns; cancel it as soon as ``run`` is to end, and raise `Cancelled` then.

    ``look`` is called now and then meanwhile, to tell how far it is.
    """
    task = asyncio.ensure_future(work)
    stop = asyncio.ensure_future(run.stopped())
    try:
        while not task.done() and not stop.done():
            await asyncio.wait((task, stop), timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            if look is not None:
                look()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
            run.check()
        return task.result()
    finally:
        stop.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
