"""Performed procedure steps: kept word for word, put together, and joined to what was scheduled (PS3.4 F.7)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds
from pacstui.db import Database
from pacstui.dicom.dataset import DataSet
from pacstui.dicom.dimse import Status
from pacstui.dicom.syntaxes import EXPLICIT
from pacstui.orders import reading, standing
from pacstui.orders.linking import link, steps_of
from pacstui.orders.reading import NO_LONGER_UPDATED, Told, WrongStep
from pacstui.text import safe

_SMALL: Final = 16384
_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One N-CREATE or N-SET as it came."""

    sop_instance: str
    data: bytes
    transfer_syntax: str
    calling: str


@dataclass(frozen=True, slots=True)
class _Before:
    """A step as it was read: ``last`` is its newest message."""

    id: int
    state: str
    data: bytes
    last: int


async def _aside(size: int, work: Callable[[], Any]) -> Any:
    """Do work on ``size`` bytes, in a thread where it would hold up the event loop."""
    return work() if size <= _SMALL else await asyncio.to_thread(work)


class Performed:
    """The performed procedure steps.

    ``forward_to`` names the peers that are told everything; ``queued`` is called when something waits for them.
    """

    def __init__(self, database: Database, bus: Bus, clock: Clock) -> None:
        self._db = database
        self._bus = bus
        self._clock = clock
        self.forward_to: Callable[[], Sequence[str]] = tuple
        self.queued: Callable[[], None] = lambda: None

    async def create(self, message: Message) -> None:
        """Keep a new step; return when it is durable.

        Raises
        ------
        WrongStep
            When it is there already (0111H), or lacks something.
        PacsError
            When it cannot be kept.
        DataSetError
            When it cannot be read.
        """
        told, whole, packed = await _aside(len(message.data), partial(_new, message))
        await self._keep(message, "create", None, told, whole, packed)

    async def change(self, message: Message) -> tuple[int, ...]:
        """Take in what an N-SET says; return the attributes that it would have changed but may not.

        Raises
        ------
        WrongStep
            When there is no such step (0112H), it is at its end (0110H), or what is said cannot be.
        PacsError, DataSetError
            As for :meth:`create`.
        """
        change = await _aside(len(message.data), lambda: reading.decode(message.data, message.transfer_syntax))
        reading.check_change(change)
        for _ in range(_TRIES):
            before = await self._db.read(partial(_before, message.sop_instance))
            if before is None:
                raise WrongStep(Status.NO_SUCH_INSTANCE, "there is no such performed procedure step")
            if before.state != reading.IN_PROGRESS:
                raise WrongStep(
                    Status.PROCESSING_FAILURE, "Performed Procedure Step Object may no longer be updated",
                    error_id=NO_LONGER_UPDATED,
                )  # fmt: skip
            size = len(before.data) + len(message.data)
            told, whole, refused = await _aside(size, partial(_changed, before, change))
            packed = await _aside(len(message.data), partial(reading.pack, message.data))
            if await self._keep(message, "set", before, told, whole, packed):
                return tuple(refused)
        raise WrongStep(Status.PROCESSING_FAILURE, "others change the same step all the time")

    async def _keep(
        self, message: Message, kind: str, before: _Before | None, told: Told, whole: bytes, packed: bytes
    ) -> bool:
        """Write it, and tell; return whether the step was still as it was ``before``."""
        at, peers = self._clock.now(), tuple(self.forward_to())
        now = microseconds(at)

        def body(connection: sqlite3.Connection) -> tuple[int, tuple[int, ...], tuple[int, ...]] | None:
            id = _row(connection, message, before, told, whole, now)
            if id is None:
                return None
            kept = connection.execute(
                "INSERT INTO performed_messages (performed, kind, calling, transfer_syntax, data, at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (id, kind, message.calling, message.transfer_syntax, packed, now),
            ).lastrowid
            connection.executemany(
                "INSERT INTO mpps_outbox (message, performed, peer, state, next_try, created, changed)"
                " VALUES (?, ?, ?, 'waiting', ?, ?, ?)",
                [(kept, id, peer, now, now, now) for peer in peers],
            )
            linked = link(connection, id, told) if before is None else steps_of(connection, id)
            return id, linked, standing.follow(connection, linked, at, safe(told.station_ae or message.calling, 16))

        done = await self._db.write(body)
        if done is None:
            return False
        id, linked, moved = done
        if peers:
            self.queued()
        self._bus.publish(
            events.PerformedChanged(at, id, told.state, message.calling, linked, told.studies, told.images)
        )
        if moved:
            self._bus.publish(events.StepChanged(at, moved))
        return True

    async def get(self, sop_instance: str) -> DataSet | None:
        """Return a step as it is now, its numbers in little endian; none if there is none."""
        before = await self._db.read(partial(_before, sop_instance))
        if before is None:
            return None
        found: DataSet = await _aside(len(before.data), lambda: reading.decode(reading.unpack(before.data), EXPLICIT))
        return found


def _new(message: Message) -> tuple[Told, bytes, bytes]:
    data = reading.decode(message.data, message.transfer_syntax)
    reading.check_new(data)
    return reading.read(data), reading.pack(reading.encode(data, EXPLICIT)), reading.pack(message.data)


def _changed(before: _Before, change: DataSet) -> tuple[Told, bytes, tuple[int, ...]]:
    whole, refused = reading.merged(reading.decode(reading.unpack(before.data), EXPLICIT), change)
    reading.check_final(whole)
    return reading.read(whole), reading.pack(reading.encode(whole, EXPLICIT)), refused


def _before(sop_instance: str, connection: sqlite3.Connection) -> _Before | None:
    row = connection.execute("SELECT id, state, data FROM performed WHERE sop_instance = ?", (sop_instance,)).fetchone()
    return _Before(row[0], row[1], row[2], _last(connection, row[0])) if row else None


def _last(connection: sqlite3.Connection, id: int) -> int:
    row = connection.execute("SELECT MAX(id) FROM performed_messages WHERE performed = ?", (id,)).fetchone()
    return int(row[0] or 0)


def _row(
    connection: sqlite3.Connection, message: Message, before: _Before | None, told: Told, whole: bytes, now: int
) -> int | None:
    """Write the row of a step; return its number, none if it is not any more as it was."""
    first = told.scheduled[0] if told.scheduled else None
    body = json.dumps({"series": told.series, "performed_id": told.performed_id, "studies": told.studies})
    values = {
        "state": told.state, "station_ae": told.station_ae, "modality": told.modality, "patient_id": told.patient_id,
        "issuer": told.issuer, "patient_name": told.patient_name, "study": first.study if first else "",
        "accession": first.accession if first else "", "step_id": first.step_id if first else "",
        "started": told.started, "ended": told.ended, "images": told.images, "reason": told.reason, "data": whole,
        "body": body, "changed": now,
    }  # fmt: skip
    if before is None:
        there = connection.execute("SELECT 1 FROM performed WHERE sop_instance = ?", (message.sop_instance,)).fetchone()
        if there:
            raise WrongStep(Status.DUPLICATE_INSTANCE, "there is such a performed procedure step already")
        values |= {"sop_instance": message.sop_instance, "calling": message.calling, "created": now}
        marks = ", ".join("?" * len(values))
        made = connection.execute(
            f"INSERT INTO performed ({', '.join(values)}) VALUES ({marks})",  # noqa: S608
            tuple(values.values()),
        )
        return made.lastrowid
    if _last(connection, before.id) != before.last:
        return None
    sets = ", ".join(f"{name} = ?" for name in values)
    connection.execute(f"UPDATE performed SET {sets} WHERE id = ?", (*values.values(), before.id))  # noqa: S608
    return before.id
