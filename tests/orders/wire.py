"""A day of messages over a real connection: ``python -m tests.orders.wire --events 23500 --seed 1``.

The messages go pipelined over one MLLP connection into a listener with archive and database, in packets that are cut
anywhere; the objects of a day are stored between them. What it ends in is compared with the model.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import sqlite3
import tempfile
import time
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any

from pacstui.archive.store import Archive
from pacstui.bus import Bus
from pacstui.clock import SYSTEM
from pacstui.hl7v2.exchange import Exchange
from pacstui.index.entry import Place
from pacstui.orders.applying import Applying
from pacstui.settings import ArchiveSettings, Hl7Settings, OrdersSettings, TlsSettings
from tests.orders.day import Event, Hospital, Model, differences, settled
from tests.orders.ward import Rows, entry_of


class House:
    """An archive, and what takes messages for it."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.bus = Bus()
        orders = OrdersSettings()
        self.applying = Applying(lambda: orders, self.bus, SYSTEM, archive.lane.index.forget_known)
        self.exchange = Exchange(
            archive.db, Hl7Settings(port=0), TlsSettings(), self.applying, self.bus, SYSTEM
        )  # fmt: skip
        self.count = 0

    @classmethod
    async def open(cls, folder: Path) -> House:
        """Open it in a folder, on any port."""
        house = cls(await Archive.open(folder, ArchiveSettings(reserve_bytes=0, journal_bytes=0)))
        await house.applying.begin(house.archive.db)
        await house.exchange.begin()
        return house

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.exchange.listening[0].rpartition(":")[2])

    async def store(self, event: Event) -> None:
        """Write an object's row as the lane does."""
        self.count += 1
        sop = f"{event.series}.{self.count}"
        told = (event.name, event.birth, event.sex)
        entry = entry_of(sop, event.study, event.series, event.id, "", told)
        digest = hashlib.sha256(sop.encode()).digest()

        def body(connection: sqlite3.Connection) -> None:
            index = self.archive.lane.index
            index.add(connection, entry, Place(digest, digest, 0, 1, f"objects/{sop}"), self.count)
            index.flush(connection, "2026-01-01", self.count)

        await self.archive.db.write(body)

    async def close(self) -> None:
        """End it."""
        await self.exchange.close(1.0)
        await self.archive.close()


class Sender:
    """Sends messages one after the other without waiting, in packets cut anywhere, and reads the answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seed: int) -> None:
        self._reader, self._writer = reader, writer
        self._random = random.Random(seed)
        self._expected: deque[tuple[str, bool, Event]] = deque()
        self._waiting = bytearray()
        self.wrong: list[str] = []

    async def send(self, event: Event, accepted: bool) -> None:
        """Send a message that is to be accepted or refused."""
        self._waiting += b"\x0b" + event.message() + b"\x1c\r"
        self._expected.append((event.control_id, accepted, event))
        while len(self._waiting) > 700:
            cut = self._random.randint(1, len(self._waiting))
            self._writer.write(bytes(self._waiting[:cut]))
            del self._waiting[:cut]
            await asyncio.sleep(0)
        if len(self._expected) > 500:
            await self.read(250)

    async def read(self, left: int = 0) -> None:
        """Read answers until so many are left."""
        self._writer.write(bytes(self._waiting))
        self._waiting.clear()
        await self._writer.drain()
        while len(self._expected) > left:
            answer = (await self._reader.readuntil(b"\x1c\r")).decode("utf-8", "replace")
            segment = next(line for line in answer.split("\r") if line.startswith("MSA|")).split("|")
            control, accepted, event = self._expected.popleft()
            if segment[2] != control or (segment[1] == "AA") is not accepted:
                self.wrong.append(f"{event} was answered {answer!r}")


class Repeats:
    """What a receiver does that knows messages again by their control ID: what was done is not done again."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._done: set[str] = set()

    def hear(self, event: Event) -> bool:
        """Let the model take an event; return whether it is to be accepted."""
        if event.control_id in self._done and event.kind != "study":
            return True
        accepted = self._model.hear(event)
        if accepted:
            self._done.add(event.control_id)
        return accepted


async def live(events: list[Event], folder: Path, seed: int = 0) -> list[str]:
    """Let a day arrive over the wire; return what is not as it should be."""
    house, model = await House.open(folder), Model()
    repeats = Repeats(model)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        sender = Sender(reader, writer, seed)
        for event in events:
            accepted = repeats.hear(event)
            if event.kind == "study":
                await sender.read()
                await house.store(event)
            else:
                await sender.send(event, accepted)
        await sender.read()
        writer.close()
        await writer.wait_closed()
    finally:
        await house.close()
    with closing(sqlite3.connect(folder / "index.db")) as connection:
        rows = Rows(connection)
        rows.sound()
        return sender.wrong + differences(model, rows)


def main() -> None:
    """Run a day, say how it went."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=23_500, help="of which some are objects, and some come again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-studies", action="store_true", help="messages only")
    options = parser.parse_args()
    events = settled(Hospital(options.seed, options.events, not options.no_studies).disordered())
    sent = sum(event.kind != "study" for event in events)
    with tempfile.TemporaryDirectory() as folder:
        start: Any = time.perf_counter()
        wrong = asyncio.run(live(events, Path(folder) / "data", options.seed))
        took = time.perf_counter() - start
    print(f"{sent} messages and {len(events) - sent} objects in {took:.1f} s: {len(wrong)} differences")
    for each in wrong[:10]:
        print(each)
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
