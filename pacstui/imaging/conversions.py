"""Conversions for receivers, kept apart from the node: what is compressed is decoded by a process of its own.

A decoder that crashes, hangs or wants all memory costs one object: it is told why, and the next one gets a new process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pacstui.dicom.uids import name_of
from pacstui.imaging.convert import APART, NotConvertible, convert, may_convert
from pacstui.processors import start_program
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.imaging")
_PIECE: Final = 1 << 20
_AT_LEAST_S: Final = 60.0
_PER_BYTE_S: Final = 1e-6
_IDLE_S: Final = 300.0
_GRACE_S: Final = 2.0
_WORDS: Final = 4096
_AS_IT_IS: Final = "send it where its transfer syntax is taken, or have the modality send it again uncompressed"


class Conversions:
    """Brings objects into other transfer syntaxes, a few at once.

    Parameters
    ----------
    at_once
        How many at once; so many processes there are at most.
    limit_s
        How long the decoding of an object may take; large ones get more, a second for each megabyte sent.
    idle_s
        How long a process is kept without work.
    """

    def __init__(self, at_once: int = 2, limit_s: float = _AT_LEAST_S, idle_s: float = _IDLE_S) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._limit_s = limit_s
        self._idle_s = idle_s
        self._idle: list[_Worker] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def convert(self, read: Callable[[], bytes], source: str, target: str, instance: str) -> bytes:
        """Return a data set in another transfer syntax.

        Parameters
        ----------
        read
            Returns the data set; called on a thread, when it is its turn.
        instance
            The SOP Instance UID, for the reason of a failure.

        Raises
        ------
        NotConvertible
            When that would lose something, or when it cannot be decoded.
        OSError
            When it cannot be read.
        """
        async with self._turns:
            try:
                if source not in APART or not may_convert(source, target):
                    return await asyncio.to_thread(lambda: convert(read(), source, target))
                return await self._decoded(await asyncio.to_thread(read), source, target)
            except NotConvertible as fault:
                text = f"{fault.message}; instance {safe(instance, 64)}"  # the reason first: comments are short
                raise NotConvertible(text, fault.hint or _AS_IT_IS) from None

    async def _decoded(self, data: bytes, source: str, target: str) -> bytes:
        while (worker := self._known()) is not None:
            with suppress(_Died):  # perhaps of what it decoded before; a new one tells
                return await self._by(worker, data, source, target)
        undecoded = f"{name_of(source)} cannot be decoded: "
        try:
            return await self._by(await _Worker.start(), data, source, target)
        except _Died as died:
            raise NotConvertible(f"{undecoded}its decoder ended suddenly ({died})") from None
        except OSError as error:
            raise NotConvertible(
                f"{undecoded}no process could be started ({error.strerror})",
                "see whether this machine has memory left, and try again",
            ) from error

    async def _by(self, worker: _Worker, data: bytes, source: str, target: str) -> bytes:
        limit = self._limit_s + len(data) * _PER_BYTE_S
        well = False
        try:
            async with asyncio.timeout(limit):
                found = await worker.convert(data, source, target)
            well = isinstance(found, bytes)  # what a broken object left behind in a process meets no other object
        except TimeoutError:
            raise NotConvertible(
                f"{name_of(source)} cannot be decoded: its decoder was not done after "
                f"{plural(round(limit), 'second')} and was ended"
            ) from None
        except (OSError, ValueError, EOFError):
            await worker.end(at_once=True)
            raise _Died(worker.ending) from None
        finally:
            if well and not self._closed:
                self._keep(worker)
            else:
                self._let_go(worker, at_once=True)
        if isinstance(found, str):
            raise NotConvertible(found)
        return found

    def _known(self) -> _Worker | None:
        """Return a process that waits for work."""
        while self._idle:
            worker = self._idle.pop()
            worker.stay()
            if worker.alive:
                return worker
            self._let_go(worker, at_once=True)
        return None

    def _keep(self, worker: _Worker) -> None:
        self._idle.append(worker)
        worker.leave_after(self._idle_s, lambda: self._retire(worker))

    def _retire(self, worker: _Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
            self._let_go(worker)

    def _let_go(self, worker: _Worker, at_once: bool = False) -> None:
        task = asyncio.create_task(worker.end(at_once=at_once), name="end of a decoder")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End the processes; one that still works ends with its object."""
        self._closed = True
        while self._idle:
            worker = self._idle.pop()
            worker.stay()
            self._let_go(worker)
        await asyncio.gather(*self._ending)


class _Died(Exception):
    """A process ended while it worked; the message says how."""


class _Worker:
    """A process that decodes."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._to, self._from = process.stdin, process.stdout
        self._leaves: asyncio.TimerHandle | None = None
        self._said = b""
        self._listening = asyncio.create_task(self._listen(process.stderr))

    @classmethod
    async def start(cls) -> _Worker:
        """Start one. Raises OSError."""
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}
        return cls(await start_program(
            sys.executable, "-P", "-m", "pacstui.imaging.worker", stdin=PIPE, stdout=PIPE, stderr=PIPE,
            limit=_PIECE, start_new_session=True, env=environment,
        ))  # fmt: skip

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._from.at_eof()

    @property
    def ending(self) -> str:
        """How it ended."""
        code = self._process.returncode
        if code is None:
            return "it hangs"
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    async def convert(self, data: bytes, source: str, target: str) -> bytes | str:
        """Return a converted data set, or why it cannot be had.

        Raises
        ------
        OSError, EOFError, ValueError
            When the process ended meanwhile.
        """
        self._said = b""
        self._to.write(json.dumps({"source": source, "target": target, "size": len(data)}).encode() + b"\n")
        view = memoryview(data)
        for at in range(0, len(data), _PIECE):
            self._to.write(view[at : at + _PIECE])
            await self._to.drain()
        line = await self._from.readline()
        if not line:
            raise EOFError
        told = json.loads(line)
        if "error" in told:
            return str(told["error"])
        left, pieces = int(told["size"]), []
        while left:
            piece = await self._from.read(min(left, _PIECE))
            if not piece:
                raise EOFError
            pieces.append(piece)
            left -= len(piece)
        return await asyncio.to_thread(b"".join, pieces)

    def leave_after(self, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then`` when it had nothing to do for so long."""
        self._leaves = asyncio.get_running_loop().call_later(seconds, then)

    def stay(self) -> None:
        """There is something to do, or it ends now."""
        if self._leaves is not None:
            self._leaves.cancel()
            self._leaves = None

    async def end(self, at_once: bool = False) -> None:
        """End the process: by itself, or by force."""
        if self._listening.done() and self._process.returncode is not None:
            return
        with suppress(OSError, RuntimeError):
            self._to.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._process.wait()), 0.2 if at_once else _GRACE_S)
        by_itself = self._process.returncode is not None
        if not by_itself:
            with suppress(ProcessLookupError):
                self._process.kill()
            with suppress(TimeoutError):  # one that hangs in the kernel ends when that lets go of it
                await asyncio.wait_for(asyncio.shield(self._process.wait()), _GRACE_S)
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        if by_itself and self._process.returncode and self._said:
            log.warning("a decoder ended by %s: %s", self.ending, safe(self._said.decode("utf-8", "replace"), 500))

    async def _listen(self, errors: asyncio.StreamReader) -> None:
        """Keep the end of what it says on standard error, so that it never waits to be heard."""
        while said := await errors.read(_WORDS):
            self._said = (self._said + said)[-_WORDS:]
