"""One association: what was agreed, which messages move on it, how it ended."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pacstui.clock import SYSTEM, Clock
from pacstui.dicom import dimse
from pacstui.dicom.dimse import Command, DimseError, Field, Status
from pacstui.dicom.net.connection import HELD, Connection
from pacstui.dicom.net.errors import AssociationAborted, AssociationEnded, PeerSilent
from pacstui.dicom.net.outgoing import Asking, Exchange, Response
from pacstui.dicom.net.service import (
    DEFAULT_TIMEOUTS,
    Observer,
    Refused,
    ServiceFor,
    Sink,
    StatusSink,
    Timeouts,
    Unobserved,
)
from pacstui.dicom.ul.effects import (
    DEFAULT_LIMITS,
    AbortIndicated,
    AssociateAccepted,
    AssociateIndicated,
    AssociateRefused,
    AssociateRejected,
    Effect,
    FaultIndicated,
    Fragment,
    Limits,
    LossIndicated,
    ReleaseConfirmed,
    ReleaseIndicated,
    Role,
)
from pacstui.dicom.ul.faults import AbortReason, AbortSource, ProtocolFault, Refusal, describe_abort, invalid
from pacstui.dicom.ul.machine import Machine
from pacstui.dicom.ul.negotiation import Context, Negotiated, agreed
from pacstui.dicom.ul.pdu import AssociateReject, AssociateRequest
from pacstui.dicom.ul.table import State
from pacstui.text import safe

log = logging.getLogger("pacstui.dicom.net")

MAX_COMMAND: Final = 65536
MAX_REPLY: Final = 67108864
BACKLOG_BOUND: Final = 65536

_ids = itertools.count(1)
_DOING: Final = {
    Field.C_ECHO: "echoes",
    Field.C_STORE: "stores",
    Field.C_FIND: "queries",
    Field.C_MOVE: "moves",
    Field.C_GET: "gets",
}


@dataclass(slots=True)
class Counters:
    """What moved on an association."""

    messages: dict[int, int] = field(default_factory=dict)
    stored: int = 0
    failed: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0


class Request:
    """One request of the peer while it is served.

    ``cancelled`` turns true when a C-CANCEL-RQ for it comes. ``arrived`` is loop time.
    """

    __slots__ = ("arrived", "association", "cancelled", "command", "complete", "context")

    def __init__(self, association: Association, context: Context, command: Command, arrived: float) -> None:
        self.association = association
        self.context = context
        self.command = command
        self.cancelled = False
        self.arrived = arrived
        self.complete = False

    async def respond(
        self,
        status: int,
        *,
        data: bytes | None = None,
        comment: str = "",
        offending: tuple[int, ...] = (),
        **elements: int | str | None,
    ) -> None:
        """Send a response; any status but a pending one (FF00, FF01) is the final one.

        Raises
        ------
        AssociationEnded
            When there is nobody to respond to any more.
        """
        association = self.association
        error = association.ended_error()
        if error is not None:
            raise error
        if self.complete:
            raise RuntimeError(f"{self.command!r} was answered already")
        answer = dimse.encode_response(
            self.command, status, comment=comment, has_data=data is not None, offending=offending, **elements
        )
        if status not in (Status.PENDING, Status.PENDING_WARNING):
            self.complete = True
        association.respond(self, status, answer, data)
        if association.connection.write_paused:
            await association.connection.drained()


Decide = Callable[["Association", AssociateRequest], "Negotiated | Refusal"]


class Association(Asking):
    """An association of either role.

    Attributes
    ----------
    id
        Number of the association, unique in this process; refused callers have one too.
    contexts
        All proposed contexts with their results; ``accepted`` holds the accepted ones by id.
    state
        connects, open, refused, released, aborted by peer, aborted, lost, timed out.
    doing
        A word for what it does now: connects, idle, echoes, stores, ...
    implementation
        The peer's implementation version name and class UID.
    """

    def __init__(
        self,
        role: Role,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        scratch: bytearray | None = None,
        observer: Observer | None = None,
        service_for: ServiceFor | None = None,
        decide: Decide | None = None,
        on_lost: Callable[[Association], None] | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        super().__init__()
        self.id = next(_ids)
        self.role = role
        self.calling = ""
        self.called = ""
        self.address = ("", 0)
        self.rq: AssociateRequest | None = None
        self.contexts: tuple[Context, ...] = ()
        self.accepted: dict[int, Context] = {}
        self.implementation = ("", "")
        self.opened: datetime = clock.now()
        self.state = "connects"
        self.doing = "connects"
        self.detail = ""
        self.counters = Counters()
        self.machine = Machine(role, limits)
        self.connection = Connection(loop, self.machine, self, timeouts, scratch)
        self.established: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._timeouts = timeouts
        self._observer: Observer = observer or Unobserved()
        self._service_for = service_for
        self._decide = decide
        self._on_lost = on_lost
        self._clock = clock
        self._open = False
        self._error: AssociationEnded | None = None
        self._active_at = loop.time()
        self._command = bytearray()
        self._command_context = 0
        self._sink: Sink | None = None  # takes the data set that is being received
        self._request: Request | None = None  # the request being received or served
        self._serving = False
        self._broken = ""
        self._reply: tuple[Exchange, Command] | None = None
        self._reply_data = bytearray()
        self._backlog: list[tuple[int, int, bytes]] | None = None
        self._backlog_size = 0
        self._holding = False
        self._release_due = False
        self._release_at = 0.0
        self._worker: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._job: Callable[[], Awaitable[None]] | None = None

    # what can be asked and done from outside

    @property
    def max_pdu_send(self) -> int:
        """Longest P-DATA-TF that is sent to the peer, in bytes."""
        return self.machine.max_pdu_send

    @property
    def busy(self) -> bool:
        """Whether a message is being received or served."""
        return self._serving or self._sink is not None or bool(self._command)

    @property
    def is_open(self) -> bool:
        return self._open and self._error is None

    @property
    def quiet_since(self) -> float:
        """Loop time of the end of the last message."""
        return self._active_at

    def ended_error(self) -> AssociationEnded | None:
        return self._error

    def abort(self, reason_text: str, *, provider: bool = False) -> None:
        """Abort: A-ABORT 0/0 as the user of the association, 2/0 as its ``provider``."""
        self.connection.run(self.machine.abort(AbortSource.PROVIDER if provider else AbortSource.USER, 0))
        self._end("aborted", reason_text)

    async def abort_and_wait(self, reason_text: str, timeout: float = 1.0) -> None:
        """Abort, and wait until the connection is gone; it is dropped after ``timeout`` seconds."""
        self.abort(reason_text)
        await asyncio.wait([self.gone], timeout=timeout)
        self.connection.kill()

    async def release(self) -> None:
        """Ask the peer for release and wait for the end (PS3.8 7.2).

        Raises
        ------
        AssociationEnded
            When it ends in another way.
        """
        if self._error is None:
            self._release_at = self._loop.time()
            self.connection.run(self.machine.release())
            self.connection.hurry(self._timeouts.message)
            await asyncio.shield(self.gone)
        if self._error is not None and self._error.how != "released":
            raise self._error

    # what the connection tells

    def transport_made(self, address: tuple[str, int]) -> None:
        self.address = address

    def transport_lost(self, error: Exception | None) -> None:
        self._end("lost", "the connection was lost" + (f": {error}" if error else ""))
        if not self.gone.done():
            self.gone.set_result(None)
        if self._on_lost is not None:
            self._on_lost(self)

    def bytes_read(self, count: int) -> None:
        self.counters.received_bytes += count
        if self._open:
            self._observer.received(self, count)

    def waits(self) -> tuple[float, str] | None:
        state = self.machine.state
        if state is State.STA6:
            if self._serving or self._backlog is not None:
                return None
            limits = self._timeouts
            if self._sink is not None or self._command or self._reply is not None or self.machine.inside:
                return self.connection.last_read + limits.message, f"silent for {limits.message:g} s inside a message"
            waiting = [e.since for e in self.exchanges.values() if e.since is not None]
            if waiting:
                return min(waiting) + limits.response, f"no response for {limits.response:g} s"
            if self.role is Role.ACCEPTOR and not self.exchanges:
                return self._active_at + limits.idle, f"idle for {limits.idle:g} s"
        elif state in (State.STA7, State.STA10, State.STA11):
            limit = self._timeouts.message
            return self._release_at + limit, f"no answer to the release for {limit:g} s"
        return None

    def timed_out(self, text: str, hopeless: bool) -> None:
        if not text:  # ARTIM
            if self.state == "connects":
                got = self.counters.received_bytes
                said = "sent no whole A-ASSOCIATE-RQ" if got else "sent nothing"
                self._refuse(
                    Refusal(0, 0, 0, f"{said} within {self._timeouts.artim:g} s", "a port scanner, or a stuck caller")
                )
            return
        if not hopeless:
            self.connection.run(self.machine.abort(AbortSource.PROVIDER, AbortReason.NOT_SPECIFIED))
        self._end("timed out", text)

    def indicated(self, effect: Effect) -> None:
        match effect:
            case AssociateIndicated(request):
                self._asked(request)
            case AssociateRefused(request, refusal):
                self._name(request)
                self._refuse(refusal)
            case AssociateAccepted(accept):
                assert self.rq is not None
                self.implementation = (accept.user.implementation_version, accept.user.implementation_uid)
                self._established(agreed(self.rq, accept))
            case AssociateRejected(reject):
                self.state = self.doing = "refused"
                self._error = AssociationEnded("the association was rejected", how="refused")
                if not self.established.done():
                    self.established.set_exception(_Rejected(reject))
            case ReleaseIndicated(collision):
                if not collision:
                    self._release_due = True
                    self._release_if_due()
                elif self.role is Role.REQUESTOR:
                    self.connection.run(self.machine.release_response())
            case ReleaseConfirmed(closing):
                if not closing:
                    self.connection.run(self.machine.release_response())
                self._end("released", "")
            case AbortIndicated(source, reason):
                self._end("aborted by peer", describe_abort(source, reason))
            case FaultIndicated(fault):
                if self._open:
                    self._end("aborted", fault.message)
                else:
                    self._refuse(Refusal(0, 0, 0, fault.message, fault.hint))
            case LossIndicated():
                self._end("lost", "the connection was lost")
            case _:
                raise AssertionError(f"unknown effect {effect!r}")

    # the beginning and the end

    def begin(self, request: AssociateRequest) -> None:
        """Take the request to send, as requestor, before the transport connects."""
        self._name(request)
        self.connection.run(self.machine.request(request))

    def _name(self, request: AssociateRequest) -> None:
        self.rq = request
        self.called, self.calling = request.called, request.calling
        if self.role is Role.ACCEPTOR:
            self.implementation = (request.user.implementation_version, request.user.implementation_uid)

    def _asked(self, request: AssociateRequest) -> None:
        self._name(request)
        if self.machine.state is not State.STA3:  # what came with the request ended it already
            return
        assert self._decide is not None
        answer = self._decide(self, request)
        if isinstance(answer, Refusal):
            reject = AssociateReject(answer.result, answer.source, answer.reason)
            self.connection.run(self.machine.reject(reject))
            self._refuse(answer)
            return
        self.connection.run(self.machine.accept(answer.accept))
        self._established(answer.contexts)

    def _established(self, contexts: tuple[Context, ...]) -> None:
        self.contexts = contexts
        self.accepted = {context.id: context for context in contexts if context.result == 0}
        self.state, self.doing = "open", "idle"
        self.opened = self._clock.now()
        self._active_at = self._loop.time()
        self._open = True
        if not self.established.done():
            self.established.set_result(None)
        self._observer.opened(self)

    def _refuse(self, refusal: Refusal) -> None:
        if self._error is not None:
            return
        self.state = self.doing = "refused"
        self.detail = refusal.text
        self._error = AssociationEnded(refusal.text, refusal.hint, how="refused")
        log.info(
            "refused %s: %s (calling %s, called %s)",
            self.address[0],
            safe(refusal.text),
            safe(self.calling, 32),
            safe(self.called, 32),
        )
        if not self.established.done():
            self.established.set_exception(AssociationAborted(refusal.text, refusal.hint, how="aborted"))
            self.established.exception()
        if self.role is Role.ACCEPTOR:
            self._observer.refused(
                Refused(
                    self.id,
                    self.calling,
                    self.called,
                    self.address,
                    refusal.result,
                    refusal.source,
                    refusal.reason,
                    refusal.text,
                    refusal.hint,
                )
            )

    def _end(self, how: str, detail: str) -> None:
        if self._error is not None:
            return
        self.state, self.doing, self.detail = how, how, detail
        message = {"released": "the association was released"}.get(how, detail)
        kind = PeerSilent if how == "timed out" else AssociationAborted if "aborted" in how else AssociationEnded
        self._error = kind(message, how=how)
        sink, self._sink = self._sink, None
        self._backlog = None
        self._command.clear()
        if sink is not None:
            try:
                sink.abandon(detail or how)
            except Exception:
                log.exception("a sink failed when its association ended")
        for exchange in self.exchanges.values():
            exchange.fail(self._error)
        self.exchanges.clear()
        self._reply = None
        if not self.established.done():
            self.established.set_exception(self._error)
            self.established.exception()
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        if self._open:
            self._observer.closed(self, how, detail)

    def _fault(self, fault: ProtocolFault) -> None:
        self.connection.run(self.machine.abort(fault.source, fault.reason))
        self._end("aborted", fault.message)

    def _release_if_due(self) -> None:
        if self._release_due and self._error is None and not self._serving and self._backlog is None:
            self._release_due = False
            if self._sink is not None or self._command:
                self._end("released", "released in the middle of a message")
            self.connection.run(self.machine.release_response())
            self._end("released", "")

    # messages coming in

    def fragment(self, fragment: Fragment) -> None:
        """Take one fragment of a message."""
        if self._error is not None:
            return
        context_id, header, data = fragment
        if self._backlog is not None:
            self._defer(context_id, header, data)
            return
        if header & 1:
            self._command_fragment(context_id, header, data)
        else:
            self._data_fragment(context_id, header, data)

    def _command_fragment(self, context_id: int, header: int, data: memoryview) -> None:
        if self._sink is not None or self._reply is not None:
            self._fault(invalid("a command in the middle of a data set"))
            return
        command = self._command
        if header & 2 and not command and len(data) <= MAX_COMMAND:
            raw = bytes(data)
        else:
            if command and context_id != self._command_context:
                self._fault(invalid("a command set that changes its presentation context"))
                return
            self._command_context = context_id
            command += data
            if len(command) > MAX_COMMAND:
                self._fault(invalid(f"a command set of more than {MAX_COMMAND} bytes"))
                return
            if not header & 2:
                return
            raw = bytes(command)
            command.clear()
        try:
            decoded = dimse.decode(raw)
        except DimseError as error:
            self._fault(invalid(error.message))
            return
        self._received_command(context_id, raw, decoded)

    def _received_command(self, context_id: int, raw: bytes, command: Command) -> None:
        if command.field & dimse.RESPONSE:
            exchange = self.exchanges.get(command.responded_to)
            if exchange is None or exchange.context.id != context_id:
                self._fault(invalid(f"{dimse.name(command.field)} to a message that was never sent"))
            elif command.has_data_set:
                self._reply = exchange, command
            else:
                self._replied(exchange, command, None)
            return
        if command.field == Field.C_CANCEL:
            self._cancel(command)
            return
        if self._serving:
            self._backlog, self._backlog_size = [], 0
            self._defer(context_id, 3, memoryview(raw))
            return
        self._begin(self.accepted[context_id], command)

    def _begin(self, context: Context, command: Command) -> None:
        counts = self.counters.messages
        counts[command.field] = counts.get(command.field, 0) + 1
        request = Request(self, context, command, self.connection.last_read)
        self.doing = _DOING.get(command.field, "works")  # type: ignore[call-overload]
        self._observer.message(self, command)
        find = self._service_for
        service = find(context.abstract_syntax, command.field) if find is not None else None
        sink: Sink
        if service is None:
            other = command.affected_sop_class not in ("", context.abstract_syntax)
            sink = StatusSink(request, Status.SOP_CLASS_NOT_SUPPORTED if other else Status.UNRECOGNISED_OPERATION)
        else:
            try:
                sink = service.begin(request)
            except Exception:
                log.exception("a service failed to begin with %s", command)
                sink = StatusSink(request, Status.PROCESSING_FAILURE)
        self._broken = ""
        self._request = request
        if command.has_data_set:
            self._sink = sink
        else:
            self._serve(sink, request)

    def _data_fragment(self, context_id: int, header: int, data: memoryview) -> None:
        sink = self._sink
        request = self._request
        if sink is None:
            if self._reply is not None:
                self._reply_fragment(context_id, header, data)
            else:
                self._fault(invalid("a data set without a command that announces it"))
            return
        assert request is not None
        if context_id != request.context.id:
            self._fault(invalid("a data set that changes its presentation context"))
            return
        wait: Awaitable[None] | None = None
        if not self._broken:
            try:
                wait = sink.write(data)
                data.release()
            except Exception:  # answered when the data set is complete
                log.exception("a sink failed to take a fragment of %s", request.command)
                self._broken = "cannot take the data set"
        if header & 2:
            self._sink = None
            if wait is None:
                self._serve(sink, request)
            else:
                self._hold()
                self._submit(lambda: self._wait_and_serve(wait, sink, request))
        elif wait is not None:
            self._hold()
            self._submit(lambda: self._wait(wait))

    def _reply_fragment(self, context_id: int, header: int, data: memoryview) -> None:
        assert self._reply is not None
        exchange, command = self._reply
        self._reply_data += data
        if context_id != exchange.context.id or len(self._reply_data) > MAX_REPLY:
            self._fault(invalid("a response whose data set is on another context, or endless"))
        elif header & 2:
            whole = bytes(self._reply_data)
            self._reply_data.clear()
            self._reply = None
            self._replied(exchange, command, whole)

    def _replied(self, exchange: Exchange, command: Command, data: bytes | None) -> None:
        response = Response(command.status, command.comment, command, data)
        if response.pending:
            exchange.since = self._loop.time()
        else:
            del self.exchanges[exchange.message_id]
        self._active_at = self._loop.time()
        exchange.put(response)

    def _cancel(self, command: Command) -> None:
        request = self._request
        if request is not None and command.responded_to == request.command.message_id:
            request.cancelled = True

    def _defer(self, context_id: int, header: int, data: memoryview) -> None:
        """Keep a fragment for later; the peer runs ahead of what was agreed, or a sink asked for time."""
        assert self._backlog is not None
        if header == 3 and len(data) < 256:
            try:
                command = dimse.decode(bytes(data))
            except DimseError:
                command = None
            if command is not None and command.field == Field.C_CANCEL:
                self._cancel(command)
                return
        self._backlog.append((context_id, header, bytes(data)))
        self._backlog_size += len(data) + 64
        if self._backlog_size > BACKLOG_BOUND:
            self.connection.pause(HELD)

    def _hold(self) -> None:
        self._holding = True
        if self._backlog is None:
            self._backlog, self._backlog_size = [], 0
        self.connection.pause(HELD)

    def _proceed(self) -> None:
        """Go on with what was kept, until something must wait again."""
        self._holding = False
        self._replay()
        if not self._holding and (self._backlog is None or self._backlog_size <= BACKLOG_BOUND):
            self.connection.resume(HELD)
        self._release_if_due()

    def _replay(self) -> None:
        kept, self._backlog = self._backlog or [], None
        for index, (context_id, header, data) in enumerate(kept):
            self.fragment(Fragment(context_id, header, memoryview(data)))
            later = self._backlog_now()
            if later is not None:
                later += kept[index + 1 :]
                self._backlog_size = sum(len(one[2]) + 64 for one in later)
                return

    def _backlog_now(self) -> list[tuple[int, int, bytes]] | None:
        return self._backlog

    # serving

    def _submit(self, job: Callable[[], Awaitable[None]]) -> None:
        self._job = job
        if self._wake is not None:
            if not self._wake.done():
                self._wake.set_result(None)
        elif self._worker is None:
            self._worker = self._loop.create_task(self._work(), name=f"association {self.id}")

    async def _work(self) -> None:
        """Run what takes time, one job after the other, for as long as the association lives."""
        while True:
            while self._job is not None:
                job, self._job = self._job, None
                await job()
            if self._error is not None:
                return
            self._wake = self._loop.create_future()
            await self._wake
            self._wake = None

    def _serve(self, sink: Sink, request: Request) -> None:
        self._serving = True
        self._submit(lambda: self._finish(sink, request))

    async def _wait(self, wait: Awaitable[None]) -> None:
        try:
            await wait
        except Exception:
            log.exception("a sink failed to take a fragment")
            self._broken = "cannot take the data set"
        self._proceed()

    async def _wait_and_serve(self, wait: Awaitable[None], sink: Sink, request: Request) -> None:
        self._serving = True
        try:
            await wait
        except Exception:
            log.exception("a sink failed to take a fragment")
            self._broken = "cannot take the data set"
        await self._finish(sink, request)

    async def _finish(self, sink: Sink, request: Request) -> None:
        try:
            if self._broken:
                sink.abandon(self._broken)
            elif self.ended_error() is None:
                await sink.finish()
            else:
                sink.abandon(self.detail)
        except AssociationEnded:
            pass
        except Exception:
            log.exception("a service failed on %s", request.command)
        if not request.complete and self.ended_error() is None:
            try:
                await request.respond(Status.PROCESSING_FAILURE, comment=self._broken or "processing failure")
            except AssociationEnded:
                pass
        self._serving = False
        self._request = None
        self._active_at = self._loop.time()
        if self.ended_error() is None:
            self.doing = "idle"
            if self._backlog is not None or self._release_due:
                self._proceed()

    def respond(self, request: Request, status: int, command: bytes, data: bytes | None) -> None:
        """Send an encoded response."""
        message = self.machine.message(request.context.id, command, data)
        self.counters.sent_bytes += len(message)
        if request.command.field == Field.C_STORE:
            if status == Status.SUCCESS or status & 0xF000 == 0xB000:
                self.counters.stored += 1
            else:
                self.counters.failed += 1
        self.connection.write(message)
        self._observer.answered(self, request.command, status)


class _Rejected(Exception):
    """Carries an A-ASSOCIATE-RJ to who waits for the answer."""

    def __init__(self, reject: AssociateReject) -> None:
        super().__init__(str(reject))
        self.reject = reject
