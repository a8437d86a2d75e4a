"""Where the archive of the practice hospital sends studies on: a good place, and three of the kinds that make trouble.

Each is a DICOM port that keeps nothing but the digests of what it took.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pacstui.dicom.dimse import Field
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import EchoService, OpenPolicy, Service, Sink
from pacstui.dicom.syntaxes import EXPLICIT, IMPLICIT
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import PacsError
from pacstui.practice.studies import PIXELS

log = logging.getLogger("pacstui.practice")

NO_TRANSFER_SYNTAX = 4
"""Result of a presentation context: transfer syntaxes not supported (PS3.8 9.3.3.2)."""

OUT_OF_RESOURCES = 0xA700
"""Refused: out of resources (PS3.4 B.2.3)."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a receiver behaves, times in seconds since the hospital opened.

    ``syntaxes`` are the transfer syntaxes that it takes; none: all. After ``drops_after`` objects on one association it
    hangs up; 0: never. Of each ``full_every`` seconds it answers for the last ``full_for`` that it has no room.
    Of each ``closed_every`` seconds it is not there for the first ``closed_for``.
    """

    syntaxes: tuple[str, ...] = ()
    drops_after: int = 0
    full_every: float = 0.0
    full_for: float = 0.0
    closed_every: float = 0.0
    closed_for: float = 0.0

    def full(self, at: float) -> bool:
        """Return whether it has no room at a time."""
        return bool(self.full_every) and at % self.full_every >= self.full_every - self.full_for

    def closed(self, at: float) -> bool:
        """Return whether it is away at a time."""
        return bool(self.closed_every) and at % self.closed_every < self.closed_for


WAYS = {
    "VNA": Ways(),
    "TELERAD": Ways(drops_after=90, full_every=45.0, full_for=12.0),
    "AI-CHEST": Ways(syntaxes=(EXPLICIT, IMPLICIT)),
    "OLDPACS": Ways(closed_every=90.0, closed_for=50.0),
}
"""How the receivers of the practice hospital behave, by AE title."""

GOOD = "VNA"
"""The one that takes everything at once."""


@dataclass(slots=True)
class Taken:
    """What a receiver took: SHA-256 of data sets and of their Pixel Data by UID, and when the last one came."""

    objects: dict[str, str] = field(default_factory=dict)
    pixels: dict[str, str] = field(default_factory=dict)
    last: float = field(default_factory=time.monotonic)


class Receiver(OpenPolicy):
    """One of them."""

    def __init__(self, title: str, port: int, ways: Ways, clock: Callable[[], float] = time.monotonic) -> None:
        self.title = title
        self.taken = Taken()
        self._port = port
        self._ways = ways
        self._clock = clock
        self._began = clock()
        self._listener: Listener | None = None
        self._watch: asyncio.Task[None] | None = None
        self._counts: dict[int, int] = {}
        self._echo = EchoService()

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return self._clock() - self._began

    async def open(self) -> None:
        """Begin; one that comes and goes does so by itself."""
        self._began = self._clock()
        await self._turn()
        if self._ways.closed_every:
            self._watch = asyncio.create_task(self._come_and_go(), name=f"{self.title} comes and goes")

    async def close(self) -> None:
        """End."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self._listener is not None:
            await self._listener.close()

    async def _come_and_go(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            await self._turn()

    async def _turn(self) -> None:
        away = self._ways.closed(self.age)
        if away and self._listener is not None:
            listener, self._listener = self._listener, None
            await listener.close()
        elif not away and self._listener is None:
            listener = Listener(self, self._service)
            try:
                await listener.start("127.0.0.1", self._port)
            except PacsError as error:
                log.warning("%s does not listen: %s", self.title, error)
                return
            self._listener = listener

    def _service(self, _: str, command_field: int) -> Service | None:
        return self._echo if command_field == Field.C_ECHO else self

    def accepts(self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest) -> tuple[int, str]:
        for syntax in transfer_syntaxes:
            if not self._ways.syntaxes or syntax in self._ways.syntaxes:
                return 0, syntax
        return NO_TRANSFER_SYNTAX, transfer_syntaxes[0]

    def begin(self, request: Request) -> Sink:
        """Take an object."""
        return _Taking(self, request)

    async def took(self, request: Request, digest: str, pixels: str = "") -> None:
        """Answer for an object that is there as a whole."""
        number = request.association.id
        count = self._counts[number] = self._counts.get(number, 0) + 1
        if self._ways.full(self.age):
            await request.respond(OUT_OF_RESOURCES, comment="disk full")
            return
        self.taken.objects[request.command.affected_sop_instance] = digest
        self.taken.pixels[request.command.affected_sop_instance] = pixels
        self.taken.last = time.monotonic()
        await request.respond(0)
        if self._ways.drops_after and count >= self._ways.drops_after:
            self._counts.pop(number, None)
            request.association.abort("the line to it is bad")


class _Taking:
    """One object on its way in."""

    def __init__(self, receiver: Receiver, request: Request) -> None:
        self._receiver, self._request = receiver, request
        self._digest = hashlib.sha256()
        self._pixels = hashlib.sha256()
        self._before: bytes | None = b""

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        self._digest.update(chunk)
        if self._before is None:
            self._pixels.update(chunk)
            return None
        seen = self._before + bytes(chunk)
        at = seen.find(PIXELS)
        if at >= 0:
            self._pixels.update(seen[at:])
        self._before = None if at >= 0 else seen[-len(PIXELS) + 1 :]
        return None

    async def finish(self) -> None:
        await self._receiver.took(self._request, self._digest.hexdigest(), self._pixels.hexdigest())

    def abandon(self, why: str) -> None:
        return None
