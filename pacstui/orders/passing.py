"""Passes on what modalities say of performed procedure steps, to other MPPS SCPs such as a RIS (PS3.4 F.7).

What is to be passed on waits in the table ``mpps_outbox``, written in the transaction that keeps the message. Each peer
gets the messages in the order in which they came; one that cannot be reached is tried again, later each time.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pacstui.clock import Clock, microseconds
from pacstui.db import Database
from pacstui.dicom.dimse import Field, Status
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.outgoing import Response
from pacstui.dicom.syntaxes import LITTLE
from pacstui.equipment.line import TELLS, Lines
from pacstui.errors import PacsError
from pacstui.orders import reading
from pacstui.orders.reading import NO_LONGER_UPDATED
from pacstui.retrying import delay
from pacstui.settings import MppsSettings
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.orders")
MPPS: Final = "1.2.840.10008.3.1.2.3.3"
_LONGEST_S: Final = 3600
_ANSWER_S: Final = 60.0
_PATIENCE: Final = 4
_LATER: Final = frozenset((Status.RESOURCE_LIMITATION, Status.NOT_AUTHORISED, Status.NO_SUCH_SOP_CLASS))
_WARNINGS: Final = frozenset((0x0107, 0x0116, 0x0001))


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One message that a peer is to be told. ``attempts`` is how often it was tried."""

    id: int
    creates: bool
    sop_instance: str
    data: bytes
    transfer_syntax: str
    attempts: int


@dataclass(slots=True)
class _Peer:
    """How it goes with one peer: failures in a row, and when it is tried again (microseconds)."""

    failures: int = 0
    next_try: int = 0
    problem: str = ""
    hint: str = ""
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class _Counts:
    """What there is for a peer: how much waits, since when (microseconds), how much was refused and why."""

    waiting: int = 0
    since: int = 0
    failed: int = 0
    why: str = ""


@dataclass(slots=True)
class _State:
    peers: dict[str, _Peer] = field(default_factory=dict)
    counts: dict[str, _Counts] = field(default_factory=dict)


class Passing:
    """The queue of what is passed on.

    Parameters
    ----------
    settings
        Returns the present ones.
    """

    def __init__(self, database: Database, settings: Callable[[], MppsSettings], lines: Lines, clock: Clock) -> None:
        self._db = database
        self._settings = settings
        self._lines = lines
        self._clock = clock
        self._state = _State()
        self._news = True
        self._closed = False

    def wake(self) -> None:
        """Something waits to be passed on."""
        self._news = True

    async def tick(self) -> None:
        """Begin to tell each peer for whom something waits and whose time has come; called every second."""
        if self._news or any(each.waiting for each in self._state.counts.values()):
            self._news = False
            self._state.counts = await self._db.read(_counts)
        now = microseconds(self._clock.now())
        for name in self._settings().forward_to:  # what waits for others stays, in case they come back
            counts = self._state.counts.get(name, _Counts())
            peer = self._state.peers.setdefault(name, _Peer())
            busy = peer.task is not None and not peer.task.done()
            if counts.waiting and not busy and peer.next_try <= now and not self._closed:
                peer.task = asyncio.create_task(self._tell(name, peer), name="mpps forwarding")

    async def close(self) -> None:
        """Stop; what waits is taken up at the next start."""
        self._closed = True
        tasks = [peer.task for peer in self._state.peers.values() if peer.task is not None and not peer.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def settled(self) -> None:
        """Wait until nobody is being told anything."""
        tasks = [peer.task for peer in self._state.peers.values() if peer.task is not None and not peer.task.done()]
        if tasks:
            await asyncio.wait(tasks)

    async def again(self, performed: int) -> int:
        """Let what was refused of a performed step wait anew, and be tried at once; return how many messages."""
        now = microseconds(self._clock.now())

        def body(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE mpps_outbox SET state = 'waiting', problem = '', hint = '', changed = ?"
                " WHERE performed = ? AND state IN ('failed', 'waiting')",
                (now, performed),
            ).rowcount

        count = await self._db.write(body)
        for peer in self._state.peers.values():
            peer.next_try = 0
        self.wake()
        return count

    async def _tell(self, name: str, peer: _Peer) -> None:
        """Tell a peer all that waits for it, on one association."""
        waiting: _Waiting | None = None
        try:
            waiting = await self._db.read(partial(_next, name))
            if waiting is None:
                return
            known = self._lines.peer(name)
            syntaxes = tuple(dict.fromkeys((waiting.transfer_syntax, *LITTLE)))
            async with self._lines.to(
                known, [(MPPS, syntaxes)], doing=TELLS, why="performed procedure steps"
            ) as association:
                while waiting is not None:
                    await self._one(waiting, association, name)
                    peer.failures, peer.problem, peer.hint = 0, "", ""
                    waiting = await self._db.read(partial(_next, name))
        except TimeoutError:
            await self._failed(waiting, peer, f"{safe(name, 64)} does not answer", "look whether it hangs")
        except PacsError as fault:
            await self._failed(waiting, peer, fault.message, fault.hint)
        except Exception:  # a fault of ours: tried again, and the log says why
            log.exception("what was performed could not be passed on to %s", safe(name, 64))
            await self._failed(waiting, peer, "the node failed at this", "its log says why")
        finally:
            self._news = True

    async def _one(self, waiting: _Waiting, association: Association, name: str) -> None:
        """Tell one message and write down what the peer said; raises PacsError where it is to be tried later."""
        context = association.context_for(MPPS)
        data = waiting.data
        if context.transfer_syntax != waiting.transfer_syntax:
            whole = await asyncio.to_thread(reading.decode, data, waiting.transfer_syntax)
            data = await asyncio.to_thread(reading.encode, whole, context.transfer_syntax)
        await self._write(waiting.id, "attempts = attempts + 1")  # before: it may be told, and the answer lost
        async with asyncio.timeout(_ANSWER_S):
            if waiting.creates:
                exchange = await association.request(
                    context, Field.N_CREATE, data, affected_sop_class=MPPS, affected_sop_instance=waiting.sop_instance
                )
            else:
                exchange = await association.request(
                    context, Field.N_SET, data, requested_sop_class=MPPS, requested_sop_instance=waiting.sop_instance
                )
            response = await exchange.final()
        problem = _refusal(response, waiting)
        passing = response.status in _LATER or (
            response.status == Status.PROCESSING_FAILURE and waiting.attempts < _PATIENCE
        )
        if problem and passing:
            raise PacsError(f"{safe(name, 64)} {problem}", "look at its log for the reason")
        await self._write(waiting.id, "state = ?, problem = ?", "failed" if problem else "sent", problem)

    async def _write(self, id: int, what: str, *values: str) -> None:
        now = microseconds(self._clock.now())

        def body(connection: sqlite3.Connection) -> None:
            connection.execute(f"UPDATE mpps_outbox SET {what}, changed = ? WHERE id = ?", (*values, now, id))  # noqa: S608

        await self._db.write(body)

    async def _failed(self, waiting: _Waiting | None, peer: _Peer, problem: str, hint: str) -> None:
        """Note that a peer could not be told, and when it is tried again."""
        peer.failures += 1
        wait = delay(peer.failures, self._settings().retry_s, _LONGEST_S)
        peer.problem, peer.hint = problem, hint
        peer.next_try = microseconds(self._clock.now()) + round(wait * 1_000_000)
        if waiting is not None:
            try:
                await self._write(waiting.id, "problem = ?", problem)
            except PacsError as fault:
                log.warning("%s", fault)

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what people have to know, for the list of problems."""
        settings = self._settings()
        limit = microseconds(self._clock.now()) - settings.stuck_min * 60_000_000
        for name in settings.forward_to:
            counts = self._state.counts.get(name, _Counts())
            peer = self._state.peers.get(name, _Peer())
            shown = safe(name, 64)
            if counts.waiting and counts.since < limit:
                told = f"{shown} was not told of {plural(counts.waiting, 'performed step message')}"
                why = peer.problem or "they wait"
                hint = peer.hint or "pacstui worklist performed shows them"
                yield f"mpps {name}", "warn", f"{told}: {why}", hint, "worklist"
            if counts.failed:
                told = f"{shown} refused {plural(counts.failed, 'performed step message')}: {safe(counts.why, 120)}"
                yield f"mpps refused {name}", "warn", told, "mend it there, then pass them on again", "worklist"
        for name in settings.forward_to:
            if self._lines.book.named(name) is None:
                told = f"[mpps] forward_to names {safe(name, 64)}, who is no peer"
                yield f"mpps unknown {name}", "warn", told, "add the peer, or correct the name", "peers"


def _refusal(response: Response, waiting: _Waiting) -> str:
    """Return what a peer said against a message, empty if it took it, or had done so before its answer was lost."""
    status = response.status
    if status == Status.SUCCESS or status in _WARNINGS:
        return ""
    if waiting.creates and waiting.attempts and status == Status.DUPLICATE_INSTANCE:
        return ""
    if waiting.attempts and not waiting.creates and response.command.number(0x0903) == NO_LONGER_UPDATED:
        return ""
    comment = safe(response.comment, 64)
    return f"answered {status:04X}H" + (f": {comment}" if comment else "")


def _next(peer: str, connection: sqlite3.Connection) -> _Waiting | None:
    """Return the first that waits for a peer."""
    row = connection.execute(
        "SELECT o.id, m.kind, p.sop_instance, m.data, m.transfer_syntax, o.attempts FROM mpps_outbox o"
        " JOIN performed_messages m ON m.id = o.message JOIN performed p ON p.id = o.performed"
        " WHERE o.peer = ? AND o.state = 'waiting' ORDER BY o.id LIMIT 1",
        (peer,),
    ).fetchone()
    if row is None:
        return None
    id, kind, instance, data, syntax, attempts = row
    return _Waiting(id, kind == "create", instance, reading.unpack(data), syntax, attempts)


def _counts(connection: sqlite3.Connection) -> dict[str, _Counts]:
    """Return what there is for each peer."""
    found: dict[str, _Counts] = {}
    waiting = connection.execute(
        "SELECT peer, COUNT(*), MIN(created) FROM mpps_outbox WHERE state = 'waiting' GROUP BY peer"
    )
    for peer, count, since in waiting.fetchall():
        found[peer] = _Counts(count, since)
    failed = connection.execute(
        "SELECT peer, COUNT(*), MAX(problem) FROM mpps_outbox WHERE state = 'failed' GROUP BY peer"
    )
    for peer, count, why in failed.fetchall():
        before = found.get(peer, _Counts())
        found[peer] = _Counts(before.waiting, before.since, count, why)
    return found
