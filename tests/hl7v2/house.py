"""An exchange in this process with an applier of the test's own, and clients that speak raw MLLP."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.db import Database
from pacstui.hl7v2.exchange import Exchange
from pacstui.hl7v2.framing import Block, Framer, framed
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outcome import Fault, Outcome, Refused
from pacstui.settings import Hl7Settings, TlsSettings


class Counting:
    """Writes down each message that it acts on, in the same transaction; ``how`` may refuse or fail."""

    def __init__(self) -> None:
        self.how: Callable[[Message], Outcome] = lambda message: Outcome(done=f"did {message.control}")
        self.commits = self.forgotten = 0

    def apply(self, connection: sqlite3.Connection, message: Message, at: int) -> Outcome:
        connection.execute("INSERT INTO acted VALUES (?, ?)", (message.control, message.value("PID", 5)))
        return self.how(message)

    def committed(self) -> None:
        self.commits += 1

    def kept(self) -> None:
        pass

    def forget(self) -> None:
        self.forgotten += 1


def refusing(condition: int = 204, field: int = 3, code: str = "AE", hint: str = "") -> Callable[[Message], Outcome]:
    def how(message: Message) -> Outcome:
        raise Refused(Fault("PID", field, condition, "no such patient", hint), code=code)

    return how


async def eventually(what: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until something is true."""
    for _ in range(int(seconds / 0.02)):
        if what():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"did not come true within {seconds} s")


class House:
    """What a test looks at."""

    def __init__(self, exchange: Exchange, database: Database, applier: Counting, bus: Bus, clock: FakeClock) -> None:
        self.exchange, self.db, self.applier, self.bus, self.clock = exchange, database, applier, bus, clock
        self.events: list[events.Event] = []
        bus.subscribe(events.Event, self.events.append)

    @property
    def room(self) -> Any:
        return self.exchange.room

    @property
    def port(self) -> int:
        return self.exchange.ports[0]

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.db.read(lambda c: c.execute(sql).fetchall())

    async def acted(self) -> list[str]:
        """Return the control IDs that were acted on, in order."""
        return [row[0] for row in await self.rows("SELECT control FROM acted")]

    async def connect(self, port: int = 0, **more: Any) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port, limit=1 << 26, **more)
        return Client(reader, writer)


class Client:
    """One connection to the exchange."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._framer = Framer(1 << 26)
        self._got: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, seconds: float = 10.0) -> list[list[str]]:
        """Return the next answer, as segments of fields."""
        async with asyncio.timeout(seconds):
            while not self._got:
                data = await self.reader.read(1 << 16)
                if not data:
                    raise ConnectionError("ended")
                self._got += [event.data for event in self._framer.feed(data) if isinstance(event, Block)]
        text = self._got.pop(0).decode("utf-8", "replace")
        assert text.endswith("\r")
        assert "\n" not in text
        return [line.split(text[3]) for line in text[:-1].split("\r")]

    async def ask(self, message: str | bytes, seconds: float = 10.0) -> list[list[str]]:
        """Send a message and return its answer."""
        self.send(framed(message if isinstance(message, bytes) else message.encode()))
        return await self.answer(seconds)

    async def code(self, message: str | bytes) -> str:
        """Send a message and return MSA-1 of its answer."""
        return (await self.ask(message))[1][1]

    async def ended(self, seconds: float = 10.0) -> bool:
        """Wait until the other side has closed; what comes before is dropped."""
        async with asyncio.timeout(seconds):
            try:
                while await self.reader.read(1 << 16):
                    pass
            except ConnectionError:
                pass
        return True

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def house(
    folder: Path, applier: Any = None, tls: TlsSettings | None = None, **settings: Any
) -> AsyncIterator[House]:
    """Run an exchange."""
    database = await Database.open(folder / "index.db", busy_s=0.2)
    await database.write(lambda c: c.execute("CREATE TABLE IF NOT EXISTS acted (control TEXT, name TEXT)"))
    clock, bus, acting = FakeClock(), Bus(), applier or Counting()
    given = Hl7Settings.model_validate({"port": 0, **settings})
    exchange = Exchange(database, given, tls or TlsSettings(), acting, bus, clock, lambda: "anna")
    made = House(exchange, database, acting, bus, clock)
    await exchange.begin()
    try:
        yield made
    finally:
        await exchange.close(2.0)
        await database.close()


def adt(control: str = "1", **fields: str) -> str:
    """Return an ADT^A08; ``fields`` are by MSH field number, as ``m15``, or the name of the patient."""
    head = ["MSH", "^~\\&", "RIS", "LAB", "PACS", "NODE", "20260101120000", "", "ADT^A08^ADT_A01", control, "P", "2.5"]
    head += [""] * 9
    for key, value in fields.items():
        if key.startswith("m"):
            head[int(key[1:]) - 1] = value
    return "|".join(head).rstrip("|") + f"\rEVN|A08\rPID|1||P100^^^LAB||{fields.get('name', 'DOE^JANE')}||19700101|F\r"
