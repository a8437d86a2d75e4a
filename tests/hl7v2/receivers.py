"""HL7 receivers on loopback that answer as they are told to, and what sends to them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.contract.hl7 import OutgoingRow, ReceiverRow
from pacstui.db import Database
from pacstui.events import Event
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outcome import Outcome
from pacstui.hl7v2.outgoing import OutgoingHl7
from pacstui.settings import Hl7Settings, NodeSettings, Settings

Answering = Callable[["Receiver", str, asyncio.StreamWriter], Awaitable[None]]


def ack(control: str, code: str = "AA", text: str = "", *more: str) -> bytes:
    """Return an acknowledgement in its frame."""
    segments = [f"MSH|^~\\&|RIS||PACSTUI||20260101||ACK|A{control}|P|2.5", f"MSA|{code}|{control}|{text}", *more]
    return b"\x0b" + "\r".join(segments).encode() + b"\r\x1c\r"


def answers(code: str, text: str = "", *more: str) -> Answering:
    async def answer(receiver: Receiver, control: str, writer: asyncio.StreamWriter) -> None:
        writer.write(ack(control, code, text, *more))

    return answer


def says(octets: bytes) -> Answering:
    async def answer(receiver: Receiver, control: str, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)

    return answer


def hangs_up(octets: bytes = b"") -> Answering:
    async def answer(receiver: Receiver, control: str, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    return answer


async def silent(receiver: Receiver, control: str, writer: asyncio.StreamWriter) -> None:
    """Say nothing."""


accepts = answers("AA")


class Receiver:
    """A listener. ``answer`` is what it does next; ``got`` are the messages, ``lines`` how many connections came."""

    def __init__(self) -> None:
        self.answer: Answering = accepts
        self.for_control: dict[str, Answering] = {}
        self.got: list[str] = []
        self.raw: list[bytes] = []
        self.lines = 0
        self.port = 0
        self.context: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines += 1
        self._writers.add(writer)
        try:
            while True:
                block = (await reader.readuntil(b"\x1c\r"))[:-2]
                assert block[:1] == b"\x0b"
                text = block[1:].decode("utf-8", "replace")
                control = Message(text).control
                self.got.append(control)
                self.raw.append(block[1:])
                await self.for_control.get(control, self.answer)(self, control, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


def message(control: str, kind: str = "ADT^A08", patient: str = "P1", more: str = "") -> str:
    """Return a message of a RIS."""
    return (
        f"MSH|^~\\&|RIS|HOSPITAL|OLD|HERE|20260101120000||{kind}|{control}|P|2.5\r"
        f"PID|1||{patient}^^^HOSPITAL||DOE^JOHN||19700101|M\rPV1|1|I|WARD^1\r{more}"
    )


class Office:
    """What goes out, with a clock that stands still."""

    def __init__(self, database: Database, hl7: Hl7Settings, folder: Path) -> None:
        self.database = database
        self.settings = Settings(hl7=hl7, node=NodeSettings(data_dir=folder))
        self.bus = Bus()
        self.heard: list[Event] = []
        self.bus.subscribe(Event, self.heard.append)
        self.clock = FakeClock()
        self.closed_until: datetime | None = None
        self.out = OutgoingHl7(lambda: self.settings, self._opens, lambda: "op1")

    async def change(self, **hl7: Any) -> None:
        """Go on with some other settings."""
        values = self.settings.hl7.model_dump() | hl7
        self.settings = self.settings.model_copy(update={"hl7": Hl7Settings.model_validate(values)})
        await self.out.renew()

    def _opens(self, hours: str, now: datetime) -> datetime:
        return self.closed_until if hours and self.closed_until and self.closed_until > now else now

    async def take(self, *texts: str, outcome: Outcome = Outcome()) -> None:  # noqa: B008 - frozen
        """Let messages come in, all in one transaction."""

        def keep(connection: Any) -> None:
            for number, text in enumerate(texts, 1):
                at = int(self.clock.now().timestamp() * 1e6)
                self.out.beside(connection, number, Message(text), text.encode(), outcome, at)

        await self.database.write(keep)
        self.out.committed()

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        for sender in self.out._senders.values():
            sender.wake()
        await asyncio.sleep(0)

    async def rows(self, **wanted: Any) -> dict[str, OutgoingRow]:
        """Return what goes out by control ID."""
        return {row.control: row for row in reversed((await self.out.outgoing(**wanted)).rows)}

    async def states(self) -> dict[str, str]:
        return {control: row.state for control, row in (await self.rows()).items()}

    async def receiver(self, name: str = "RIS") -> ReceiverRow:
        return next(row for row in await self.out.receivers() if row.name == name)

    async def until(self, holds: Callable[[], Any], seconds: float = 10.0) -> Any:
        """Return what holds, a coroutine's result too, as soon as it is true."""
        async with asyncio.timeout(seconds):
            while True:
                value = holds()
                if asyncio.iscoroutine(value):
                    value = await value
                if value:
                    return value
                await asyncio.sleep(0.005)

    async def until_states(self, **states: str) -> None:
        """Wait until messages are in some states."""

        async def reached() -> bool:
            now = await self.states()
            return all(now.get(control) == state for control, state in states.items())

        await self.until(reached)


@asynccontextmanager
async def office(folder: Path, **hl7: Any) -> AsyncIterator[Office]:
    """Open what goes out over a database of its own."""
    database = await Database.open(folder / "pacs.db")
    made = Office(database, Hl7Settings.model_validate(hl7), folder)
    made.out.attach(database, made.bus, made.clock)
    await made.out.begin()
    try:
        yield made
    finally:
        await made.out.close()
        await database.close()


@asynccontextmanager
async def receiver(context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver."""
    made = Receiver()
    made.context = context
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def to(port: int, name: str = "RIS", **more: Any) -> dict[str, Any]:
    """Return the settings of a receiver."""
    return {"name": name, "host": "127.0.0.1", "port": port, "answer_s": 5.0, "retry_s": 10.0, **more}


EVERYTHING = {"name": "everything", "to": ["RIS"]}
