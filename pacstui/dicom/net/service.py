"""What the network layer asks of its owner: who may call, who serves, who watches."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from pacstui.dicom.dimse import Command
from pacstui.dicom.net.request import Request as Request
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.items import UserIdentity
from pacstui.dicom.ul.negotiation import Context, Judge
from pacstui.dicom.ul.pdu import AssociateRequest

if TYPE_CHECKING:
    from pacstui.dicom.net.association import Association

log = logging.getLogger("pacstui.dicom.net")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds.

    ``artim`` from connect to A-ASSOCIATE-RQ, and after a reject or an abort until the peer closes. ``idle`` between
    messages. ``message`` without a byte in the middle of a message, in either direction. As requestor: ``connect`` for
    name and TCP, ``associate`` for the answer to A-ASSOCIATE-RQ, ``response`` for the answer to a message.
    """

    artim: float = 30.0
    idle: float = 600.0
    message: float = 60.0
    connect: float = 10.0
    associate: float = 15.0
    response: float = 120.0


DEFAULT_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused caller, for the observer.

    AE titles are empty and ``request`` is None where no A-ASSOCIATE-RQ was read; the codes are 0 where no
    A-ASSOCIATE-RJ was sent. Text fields hold what the network sent.
    """

    association: int
    calling: str
    called: str
    address: tuple[str, int]
    result: int
    source: int
    reason: int
    text: str
    hint: str
    request: AssociateRequest | None = None


class Policy(Protocol):
    """Who may associate, and for what. All of it is called in the event loop and must be quick."""

    def admit(self, peer_address: str) -> Refusal | None:
        """Say whether there is room for one more association.

        Asked when the A-ASSOCIATE-RQ has come: connections that say nothing take no place, and of many callers at once
        no more get in than there is room for.
        """
        ...

    def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
        """Check the AE titles and where the call comes from."""
        ...

    def judge(self, rq: AssociateRequest, address: tuple[str, int], association: int) -> Judge:
        """Return who decides on the contexts of a request that was authorised; ``association`` is its number."""
        ...


class OpenPolicy:
    """A policy that takes everybody and every context; base for stricter ones and for tests."""

    def admit(self, peer_address: str) -> Refusal | None:
        return None

    def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
        return None

    def judge(self, rq: AssociateRequest, address: tuple[str, int], association: int) -> Judge:
        return self

    def accepts(self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest) -> tuple[int, str]:
        return 0, transfer_syntaxes[0]

    def roles(self, sop_class: str, scu: bool, scp: bool, rq: AssociateRequest) -> tuple[bool, bool]:
        """The requestor is SCU, as it is without negotiation."""
        return scu, False

    def identity(self, identity: UserIdentity, rq: AssociateRequest) -> Refusal | None:
        return None

    def extended(self, sop_class: str, information: bytes, rq: AssociateRequest) -> bytes | None:
        return None


class Observer(Protocol):
    """Who watches. All of it is called in the event loop and must be quick."""

    def opened(self, association: Association) -> None:
        """An association was accepted or, as requestor, established."""
        ...

    def refused(self, refused: Refused) -> None:
        """A caller was rejected, was no DICOM, or said nothing."""
        ...

    def closed(self, association: Association, how: str, detail: str) -> None:
        """An association ended: released, aborted by peer, aborted, lost or timed out."""
        ...

    def message(self, association: Association, command: Command) -> None:
        """A command came; its data set, if any, follows."""
        ...

    def asked(self, association: Association, command: Command, keys: Sequence[tuple[int, str]]) -> None:
        """What a query asks for was understood: elements and the texts of their keys, empty for those that are only to
        be told."""
        ...

    def answered(self, association: Association, command: Command, status: int) -> None:
        """A response to ``command`` was sent."""
        ...

    def replied(self, association: Association, context: Context, response: Command) -> None:
        """A response to a request of ours came, on the context that the request was sent on."""
        ...

    def received(self, association: Association, count: int) -> None:
        """``count`` bytes were read."""
        ...


class Unobserved:
    """An observer that does nothing; base for those that want only some of it."""

    def opened(self, association: Association) -> None:
        return None

    def refused(self, refused: Refused) -> None:
        return None

    def closed(self, association: Association, how: str, detail: str) -> None:
        return None

    def message(self, association: Association, command: Command) -> None:
        return None

    def asked(self, association: Association, command: Command, keys: Sequence[tuple[int, str]]) -> None:
        return None

    def answered(self, association: Association, command: Command, status: int) -> None:
        return None

    def replied(self, association: Association, context: Context, response: Command) -> None:
        return None

    def received(self, association: Association, count: int) -> None:
        return None


class Careful:
    """Passes on to an observer; a fault of it is logged and reaches no association."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer: Observer = observer if observer is not None else Unobserved()

    def opened(self, association: Association) -> None:
        try:
            self._observer.opened(association)
        except Exception:
            log.exception("an observer failed on an opened association")

    def refused(self, refused: Refused) -> None:
        try:
            self._observer.refused(refused)
        except Exception:
            log.exception("an observer failed on a refusal")

    def closed(self, association: Association, how: str, detail: str) -> None:
        try:
            self._observer.closed(association, how, detail)
        except Exception:
            log.exception("an observer failed on a closed association")

    def message(self, association: Association, command: Command) -> None:
        try:
            self._observer.message(association, command)
        except Exception:
            log.exception("an observer failed on a message")

    def asked(self, association: Association, command: Command, keys: Sequence[tuple[int, str]]) -> None:
        try:
            self._observer.asked(association, command, keys)
        except Exception:
            log.exception("an observer failed on a query")

    def answered(self, association: Association, command: Command, status: int) -> None:
        try:
            self._observer.answered(association, command, status)
        except Exception:
            log.exception("an observer failed on an answer")

    def replied(self, association: Association, context: Context, response: Command) -> None:
        try:
            self._observer.replied(association, context, response)
        except Exception:
            log.exception("an observer failed on a reply")

    def received(self, association: Association, count: int) -> None:
        try:
            self._observer.received(association, count)
        except Exception:
            log.exception("an observer failed on received bytes")


class Sink(Protocol):
    """Takes one message."""

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        """Take one fragment of the data set; ``chunk`` is valid only during the call.

        Reading stops until a returned awaitable is done.
        """
        ...

    async def finish(self) -> None:
        """The whole message is there, also one without a data set; respond through the request."""
        ...

    def abandon(self, why: str) -> None:
        """The association ended before the message did. Called at most once, and never after :meth:`finish` began."""
        ...


class Service(Protocol):
    """Serves requests."""

    def begin(self, request: Request) -> Sink:
        """A command came: return what takes its data set and answers it."""
        ...


ServiceFor = Callable[[str, int], Service | None]
"""Finds the service for an abstract syntax and a command field; none if nothing serves it."""


class BufferSink:
    """Keeps a small data set in memory: for identifiers and the like. Override :meth:`finish`.

    Parameters
    ----------
    limit
        Longest data set that is kept, in bytes. What is beyond is dropped and ``too_long`` set.
    """

    def __init__(self, request: Request, limit: int = 1048576) -> None:
        self.request = request
        self.limit = limit
        self.data = bytearray()
        self.too_long = False

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        if len(self.data) + len(chunk) > self.limit:
            self.too_long = True
        else:
            self.data += chunk
        return None

    async def finish(self) -> None:
        await self.request.respond(0x0110)

    def abandon(self, why: str) -> None:
        return None


class StatusSink:
    """Drops the data set and answers with one status."""

    def __init__(self, request: Request, status: int, comment: str = "") -> None:
        self.request = request
        self.status = status
        self.comment = comment

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        return None

    async def finish(self) -> None:
        await self.request.respond(self.status, comment=self.comment)

    def abandon(self, why: str) -> None:
        return None


class EchoService:
    """Verification as SCP (PS3.4 A): answers every C-ECHO with success."""

    def begin(self, request: Request) -> Sink:
        return StatusSink(request, 0x0000)
