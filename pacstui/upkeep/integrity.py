"""Reads stored objects back and compares them with their digests, a part of the archive each time.

Objects are read in the order in which they came, and the next run goes on where this one ended: what was read longest
ago is always next, and all that has to be remembered is one number. With 2 % a night everything is read in fifty
nights.
"""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pacstui import events
from pacstui.archive import Archive
from pacstui.archive.reading import Part
from pacstui.archive.sound import Mark, do_mark, faults, state_of
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.errors import NotFound, Unavailable
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run
from pacstui.jobs.values import number
from pacstui.text import plural, size

_AT_ONCE = 50
_BATCH_BYTES = 32 << 20
_IN_A_ROW = 100
_TOLD = 20
_KEEP_S = 10.0
_NEXT = (
    "SELECT id, sop_instance, path, data_offset, size, digest, missing FROM instances WHERE id > ? ORDER BY id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class _Object:
    id: int
    sop_instance: str
    path: str
    offset: int
    size: int
    digest: bytes
    missing: int


@dataclass(slots=True)
class _Place:
    """Where the next run goes on: the row after which, and since when this round over everything is under way."""

    after: int
    since: str


def integrity_kind(archive: Archive, bus: Bus, clock: Clock) -> Kind:
    """Return the kind of job that reads objects back."""

    async def work(run: Run) -> Outcome:
        return await _Reading(archive, bus, clock, run).work()

    percent = Parameter(
        "percent", "How much of the archive is read each time, 100 for all of it", "2", check=number(0.01, 100)
    )
    rate = Parameter("rate", "At most so many MB/s, 0 for as fast as it goes", "50", check=number(0, 100_000))
    text = "Reads stored objects back and compares them with their digests; the next run goes on where this one ended."
    return Kind("integrity", "read objects back", text, work, (percent, rate), resumes=True, lane="archive")


class _Reading:
    def __init__(self, archive: Archive, bus: Bus, clock: Clock, run: Run) -> None:
        self._archive = archive
        self._bus = bus
        self._clock = clock
        self._run = run
        self._rate = float(run.parameters["rate"]) * 1e6
        self._percent = float(run.parameters["percent"])
        self._place = _place_of(run.kept)
        self._read = self._bytes = self._damaged = self._missing = self._again = self._in_a_row = 0

    async def work(self) -> Outcome:
        run, place = self._run, self._place
        total = (await self._archive.db.read(lambda c: c.execute("SELECT count(*) FROM instances").fetchone()))[0]
        wanted = min(total, math.ceil(total * self._percent / 100))
        run.tell(done=0, total=wanted, unit="objects", errors=0)
        if not total:
            return Outcome("nothing is stored yet")
        place.since = place.since or self._now()
        kept = began = time.monotonic()
        whole = False
        try:
            while self._read < wanted:
                run.check()
                batch = await self._next(min(_AT_ONCE, wanted - self._read))
                if not batch:
                    whole = True
                    run.note(f"everything that is stored has been read once since {_day(place.since)}")
                    place.after, place.since = 0, self._now()
                    continue
                await self._compare(batch)
                place.after = batch[-1].id
                run.tell(done=self._read, done_bytes=self._bytes, errors=self._damaged + self._missing)
                if time.monotonic() - kept >= _KEEP_S:
                    kept = time.monotonic()
                    await self._keep()
                await self._slow_down(began)
        finally:
            await self._keep()
        return self._outcome(whole or wanted == total)

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="seconds")

    async def _keep(self) -> None:
        await self._run.keep(json.dumps({"after": self._place.after, "since": self._place.since}))

    async def _next(self, most: int) -> list[_Object]:
        rows = await self._archive.db.read(partial(_rows, self._place.after, most))
        found: list[_Object] = []
        amount = 0
        for row in rows:
            each = _Object(*row)
            amount += each.size
            if found and amount > _BATCH_BYTES:
                break
            found.append(each)
        return found

    async def _compare(self, batch: Sequence[_Object]) -> None:
        run = self._run
        run.tell(now=batch[0].path)
        parts = [Part(each.path, each.offset, each.size, each.digest) for each in batch]
        found = await asyncio.to_thread(faults, self._archive.data_dir, parts, from_disk=True)
        marks: list[Mark] = []
        for each, fault in zip(batch, found, strict=True):
            self._read += 1
            if fault is None:
                self._in_a_row = 0
                self._bytes += each.size
                if each.missing:
                    self._again += 1
                    marks.append((0, each.id, each.digest, each.path))
                continue
            self._in_a_row += 1
            if self._in_a_row >= _IN_A_ROW:
                raise Unavailable(
                    f"{_IN_A_ROW} objects one after the other cannot be read: {fault.message}",
                    "is the archive's volume there, and its disk sound?",
                )
            gone = isinstance(fault, NotFound)
            if gone:
                self._missing += 1
            else:
                self._damaged += 1
            run.note(f"{each.sop_instance}: {fault.message}", "fail")
            marks.append((state_of(fault), each.id, each.digest, each.path))
            if not each.missing and self._missing + self._damaged <= _TOLD:
                self._bus.publish(
                    events.InstanceUnreadable(
                        self._clock.now(), each.sop_instance, each.path, fault.message, fault.hint
                    )
                )
        if marks:
            await self._archive.db.write(partial(do_mark, marks))

    async def _slow_down(self, began: float) -> None:
        """Wait until no more was read than the rate allows."""
        if not self._rate:
            return
        wait = self._bytes / self._rate - (time.monotonic() - began)
        if wait > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._run.stopped(), wait)

    def _outcome(self, whole: bool) -> Outcome:
        told = f"{plural(self._read, 'object')} read back, {size(self._bytes)}"
        if self._missing or self._damaged:
            counts = ((self._damaged, "damaged"), (self._missing, "missing"))
            bad = [f"{number:,} {what}" for number, what in counts if number]
            return Outcome(
                f"{told}: {', '.join(bad)}", True,
                "the repair that follows gets them from backups and peers; which: the log, pacstui storage missing",
            )  # fmt: skip
        told += ": all as they were stored"
        if self._again:
            told += f", {self._again:,} of them marked as missing or damaged before"
        runs = plural(math.ceil(100 / self._percent), "run")
        return Outcome(told if whole else f"{told}; the whole archive in {runs}")


def _place_of(kept: str) -> _Place:
    try:
        told = json.loads(kept or "{}")
        return _Place(int(told.get("after", 0)), str(told.get("since", "")))
    except (ValueError, AttributeError, TypeError):
        return _Place(0, "")


def _day(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d}"
    except ValueError:
        return "the beginning"


def _rows(after: int, most: int, connection: sqlite3.Connection) -> list[tuple[int, str, str, int, int, bytes, int]]:
    return connection.execute(_NEXT, (after, most)).fetchall()
