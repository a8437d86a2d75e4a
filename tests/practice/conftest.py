"""A DICOM listener that counts what it gets."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from pacstui.dicom.dimse import Command, Field
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink, EchoService, OpenPolicy, Service, Sink, Unobserved
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.pdu import AssociateRequest


class _Policy(OpenPolicy):
    def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
        return None if rq.called == "ARCHIVE" else Refusal(1, 1, 7, "unknown", "")


@dataclass
class Receiver(Unobserved):
    """What came in: digests by SOP Instance UID, in order of arrival; ``status`` decides the answers."""

    port: int = 0
    got: list[tuple[str, str]] = field(default_factory=list)
    syntaxes: set[str] = field(default_factory=set)
    callers: list[str] = field(default_factory=list)
    ends: list[tuple[str, str]] = field(default_factory=list)
    abandoned: int = 0
    status: Callable[[int], int] = lambda number: 0x0000
    watchers: list[Callable[[], None]] = field(default_factory=list)

    def opened(self, association: Association) -> None:
        self.callers.append(association.calling)

    def closed(self, association: Association, how: str, detail: str) -> None:
        self.ends.append((association.calling, how))
        self.changed()

    def message(self, association: Association, command: Command) -> None:
        return None

    def changed(self) -> None:
        for watcher in self.watchers:
            watcher()

    def begin(self, request: Request) -> Sink:
        return _Store(request, self)


class _Store(BufferSink):
    def __init__(self, request: Request, receiver: Receiver) -> None:
        super().__init__(request, 64 << 20)
        self._receiver = receiver

    async def finish(self) -> None:
        receiver = self._receiver
        uid = self.request.command.affected_sop_instance
        receiver.got.append((uid, hashlib.sha256(self.data).hexdigest()))
        receiver.syntaxes.add(self.request.context.transfer_syntax)
        await self.request.respond(receiver.status(len(receiver.got)), comment="as told")
        receiver.changed()

    def abandon(self, why: str) -> None:
        self._receiver.abandoned += 1
        self._receiver.changed()


class _Choosy(_Policy):
    def __init__(self, syntaxes: Sequence[str]) -> None:
        self._syntaxes = syntaxes

    def accepts(self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest) -> tuple[int, str]:
        for syntax in transfer_syntaxes:
            if not self._syntaxes or syntax in self._syntaxes:
                return 0, syntax
        return 4, transfer_syntaxes[0]


@pytest.fixture
async def receiver(request: pytest.FixtureRequest) -> AsyncIterator[Receiver]:
    """A listener that answers to ARCHIVE; parametrize indirectly with the transfer syntaxes that it takes."""
    receiver, echo = Receiver(), EchoService()

    def service_for(_: str, command_field: int) -> Service | None:
        return echo if command_field == Field.C_ECHO else receiver

    listener = Listener(_Choosy(getattr(request, "param", ())), service_for, observer=receiver)
    receiver.port = await listener.start("127.0.0.1", 0)
    yield receiver
    await listener.close()
