"""The node's side of the worker: starts the process, passes on what it tells, ends it."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from pacstui import errors
from pacstui.backups.request import Request
from pacstui.errors import PacsError, Unavailable
from pacstui.jobs.kinds import Cancelled, Run
from pacstui.processors import start_program

log = logging.getLogger("pacstui.backups")
_LINE: Final = 256 << 20
_GRACE_S: Final = 8.0
_KEYS: Final = ("done", "total", "unit", "done_bytes", "total_bytes", "errors", "now")
Told = Callable[[dict[str, Any]], None]


class Calls:
    """Workers of this node; no more than a few at once for questions to a target, so that one that hangs holds up no
    other, and one a run for the rest."""

    def __init__(self, at_once: int = 3, answer_s: float = 50.0) -> None:
        self._at_once = at_once
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._answer_s = answer_s
        self._asked: dict[str, asyncio.Task[dict[str, Any]]] = {}

    async def ask(self, request: Request) -> dict[str, Any]:
        """Return the answer to a question that should be answered soon.

        One that takes longer goes on; who asks the same again gets its answer.

        Raises
        ------
        Unavailable
            When there is no answer yet.
        PacsError
            What the worker says.
        """
        key = request.encode()
        task = self._asked.get(key)
        if task is None:
            task = asyncio.create_task(self._turn(request), name=f"backups {request.op}")
            self._asked[key] = task
            task.add_done_callback(lambda _: self._asked.pop(key, None))
            task.add_done_callback(_retrieve)
        try:
            return await asyncio.wait_for(asyncio.shield(task), self._answer_s)
        except TimeoutError:
            raise Unavailable(
                f"the target {request.spec.name} has not answered yet", "it goes on being asked; try again in a while"
            ) from None

    async def _turn(self, request: Request) -> dict[str, Any]:
        async with self._turns.setdefault(request.spec.name, asyncio.Semaphore(self._at_once)):
            return await _converse(request, lambda _: None, None)

    async def work(self, request: Request, run: Run) -> dict[str, Any]:
        """Do long work as a job's run: its progress and notes are the run's, and it ends when the run is to end.

        Raises
        ------
        Cancelled
            When it ended so.
        PacsError
            What the worker says.
        """

        def told(what: dict[str, Any]) -> None:
            note = what.get("note")
            if note is not None:
                run.note(str(note), str(what.get("level", "info")))
            changes = {key: what[key] for key in _KEYS if key in what}
            if changes:
                run.tell(**changes)

        return await _converse(request, told, run)

    async def close(self) -> None:
        """End all questions."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _converse(request: Request, told: Told, run: Run | None) -> dict[str, Any]:
    process = await start_program(
        sys.executable, "-P", "-m", "pacstui.backups.worker", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, limit=_LINE, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    stopping = asyncio.create_task(_stop_when_told(process, run)) if run is not None else None
    try:
        process.stdin.write(request.encode().encode() + b"\n")
        await process.stdin.drain()
        while line := await process.stdout.readline():
            answer = json.loads(line)
            if "told" in answer:
                told(answer["told"])
            elif "error" in answer:
                raise _error(answer["error"])
            else:
                return dict(answer["result"])
        code = await process.wait()
        raise PacsError(
            f"the process that works on the target {request.spec.name} ended suddenly ({_ending(code)})",
            "what was done stays; start it again",
        )
    except (BrokenPipeError, ConnectionResetError):
        raise PacsError("the process that works on targets could not be started", "the node's log says why") from None
    finally:
        if stopping is not None:
            stopping.cancel()
        await _end(process)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _error(told: dict[str, Any]) -> PacsError:
    code, message, hint = (str(told.get(key, "")) for key in ("code", "message", "hint"))
    return Cancelled(message, hint) if code == Cancelled.code else errors.told(code, message, hint)


async def _stop_when_told(process: asyncio.subprocess.Process, run: Run) -> None:
    await run.stopped()
    assert process.stdin is not None
    with suppress(OSError, RuntimeError):
        process.stdin.write(b"stop\n")
        await process.stdin.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let the process end, at its next safe point or else hard."""
    if process.returncode is not None:
        return
    assert process.stdin is not None
    with suppress(OSError, RuntimeError):
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _GRACE_S)
    except TimeoutError:
        log.warning("a process that worked on a target did not end by itself and was killed")
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            with suppress(TimeoutError):  # one that hangs in the kernel ends when that lets go of it
                await asyncio.wait_for(asyncio.shield(process.wait()), _GRACE_S)


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
