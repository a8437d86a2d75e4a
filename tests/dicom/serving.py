"""A tiny echo and store service on a real listener, for the tests of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pacstui.dicom.dimse import Command, Field
from pacstui.dicom.net.association import Association, Request
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.service import EchoService, OpenPolicy, Policy, Refused, Service, Sink, Timeouts, Unobserved
from pacstui.dicom.ul.effects import DEFAULT_LIMITS, Limits

QUICK = Timeouts(artim=3, idle=20, message=5, connect=3, associate=3, response=5)


class Watch(Unobserved):
    """An observer that remembers, and wakes those that wait for something to have been seen."""

    def __init__(self) -> None:
        self.open: list[Association] = []
        self.refusals: list[Refused] = []
        self.ends: list[tuple[Association, str, str]] = []
        self.commands: list[Command] = []
        self.answers: list[tuple[Command, int]] = []
        self.bytes = 0
        self._changed = asyncio.Event()

    def opened(self, association: Association) -> None:
        self.open.append(association)
        self._changed.set()

    def refused(self, refused: Refused) -> None:
        self.refusals.append(refused)
        self._changed.set()

    def closed(self, association: Association, how: str, detail: str) -> None:
        self.ends.append((association, how, detail))
        self._changed.set()

    def message(self, association: Association, command: Command) -> None:
        self.commands.append(command)
        self._changed.set()

    def answered(self, association: Association, command: Command, status: int) -> None:
        self.answers.append((command, status))
        self._changed.set()

    def received(self, association: Association, count: int) -> None:
        self.bytes += count

    async def until(self, holds: Callable[[Watch], object], seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while not holds(self):
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Store:
    """A store service that keeps objects in memory. ``gate`` holds answers back, ``slow`` makes writes wait."""

    objects: dict[str, bytes] = field(default_factory=dict)
    abandoned: list[str] = field(default_factory=list)
    status: int = 0
    gate: asyncio.Event | None = None
    slow: Callable[[], Awaitable[None]] | None = None
    fail: str = ""

    def begin(self, request: Request) -> Sink:
        if self.fail == "begin":
            raise RuntimeError("begin fails on purpose")
        return StoreSink(self, request)


class StoreSink:
    def __init__(self, store: Store, request: Request) -> None:
        self.store = store
        self.request = request
        self.data = bytearray()
        self.kept: list[memoryview] = []

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        if self.store.fail == "write":
            raise RuntimeError("write fails on purpose")
        if self.store.fail == "keep":
            self.kept.append(chunk)
        self.data += chunk
        return self.store.slow() if self.store.slow is not None else None

    async def finish(self) -> None:
        if self.store.gate is not None:
            await self.store.gate.wait()
        if self.store.fail == "finish":
            raise RuntimeError("finish fails on purpose")
        if self.store.fail == "keep":  # what is kept is dead, so that nobody stores another message's bytes
            self.data[:] = self.kept[0]
        if self.store.fail == "mute":
            return
        self.store.objects[self.request.command.affected_sop_instance] = bytes(self.data)
        await self.request.respond(self.store.status)

    def abandon(self, why: str) -> None:
        self.store.abandoned.append(why)


async def until(holds: Callable[[], object], seconds: float = 5) -> None:
    """Let the loop turn until something holds of which nobody tells."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


@dataclass
class Served:
    """A running listener."""

    listener: Listener
    port: int
    watch: Watch
    store: Store


@asynccontextmanager
async def serving(
    *,
    policy: Policy | None = None,
    timeouts: Timeouts = QUICK,
    limits: Limits = DEFAULT_LIMITS,
    max_associations: int = 0,
    services: dict[int, Service] | None = None,
) -> AsyncIterator[Served]:
    watch, store, echo = Watch(), Store(), EchoService()
    known: dict[int, Service] = {Field.C_ECHO: echo, Field.C_STORE: store, **(services or {})}
    listener = Listener(
        policy or OpenPolicy(),
        lambda abstract_syntax, command_field: known.get(command_field),
        observer=watch,
        timeouts=timeouts,
        limits=limits,
        max_associations=max_associations,
    )
    port = await listener.start("127.0.0.1", 0)
    try:
        yield Served(listener, port, watch, store)
    finally:
        await listener.close()
