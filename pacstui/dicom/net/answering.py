"""Messages coming in on an association: put together, given to services, answered one after the other (PS3.7)."""

from __future__ import annotations

import asyncio
import collections
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from pacstui.dicom import dimse
from pacstui.dicom.dimse import Command, DimseError, Field, Status
from pacstui.dicom.net.connection import HELD
from pacstui.dicom.net.errors import AssociationEnded
from pacstui.dicom.net.outgoing import Asking, Exchange, Response
from pacstui.dicom.net.request import Counters, Request
from pacstui.dicom.net.service import Careful, Observer, ServiceFor, Sink, StatusSink
from pacstui.dicom.ul.effects import Fragment, Role
from pacstui.dicom.ul.faults import ProtocolFault, invalid
from pacstui.dicom.ul.negotiation import Context

if TYPE_CHECKING:
    from pacstui.dicom.net.association import Association

log = logging.getLogger("pacstui.dicom.net")

MAX_COMMAND: Final = 65536
MAX_REPLY: Final = 67108864
BACKLOG_BOUND: Final = 65536
_BACKLOG_OVERHEAD: Final = 64
_SHORT: Final = 512

_DOING: Final[dict[int, str]] = {
    Field.C_ECHO: "echoes",
    Field.C_STORE: "stores",
    Field.C_FIND: "queries",
    Field.C_MOVE: "moves",
    Field.C_GET: "gets",
}


_SEVERAL: Final = frozenset(field | 0x8000 for field in (Field.C_FIND, Field.C_GET, Field.C_MOVE))
"""Responses of which there may be several."""

_BY_SCU: Final = frozenset(
    (Field.C_ECHO, Field.C_STORE, Field.C_FIND, Field.C_MOVE, Field.C_GET, Field.N_ACTION, Field.N_CREATE, Field.N_SET)
)


class Answering(Asking):
    """The half of an association that takes messages.

    One request is served at a time. What comes meanwhile is kept within bounds, then reading stops; responses to our
    own requests and C-CANCEL are seen at once.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, observer: Observer | None, service_for: ServiceFor | None
    ) -> None:
        super().__init__()
        self.doing = "connects"
        self.counters = Counters()
        self._loop = loop
        self._observer = Careful(observer)
        self._service_for = service_for
        self._active_at = loop.time()
        self._command = bytearray()
        self._command_context = 0
        self._sink: Sink | None = None  # takes the data set that is being received
        self._request: Request | None = None  # the request that is being received or served
        self._serving = False
        self._broken = ""  # why the present message cannot be taken
        self._reply: tuple[Exchange, Command] | None = None
        self._reply_data = bytearray()
        self._backlog: collections.deque[tuple[int, int, bytes]] | None = None
        self._backlog_size = 0
        self._holding = False  # a sink asked for time
        self._blocked = False  # the backlog begins with a request, and another one is being served
        self._worker: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._job: Callable[[], Awaitable[None]] | None = None

    @property
    def busy(self) -> bool:
        """Whether a message is being received or served."""
        return self._serving or self._in_message or self._backlog is not None

    @property
    def _in_message(self) -> bool:
        return self._sink is not None or self._reply is not None or bool(self._command)

    def fail(self, fault: ProtocolFault) -> None:
        """Abort because the peer broke the rules."""
        raise NotImplementedError

    def caught_up(self) -> None:
        """Nothing is being served or kept any more."""
        raise NotImplementedError

    # fragments

    def fragment(self, fragment: Fragment) -> None:
        """Take one fragment of a message."""
        if self.over:
            return
        if self._backlog is not None:
            self._defer(*fragment)
        else:
            self._take(*fragment)

    def _take(self, context_id: int, header: int, data: memoryview) -> None:
        if header & 1:
            self._command_fragment(context_id, header, data)
        elif self._sink is not None:
            self._data_fragment(self._sink, context_id, header, data)
        elif self._reply is not None:
            self._reply_fragment(self._reply, context_id, header, data)
        else:
            self.fail(invalid("a data set without a command that announces it"))

    def _command_fragment(self, context_id: int, header: int, data: memoryview) -> None:
        if self._sink is not None or self._reply is not None:
            self.fail(invalid("a command in the middle of a data set"))
            return
        command = self._command
        if header & 2 and not command and len(data) <= MAX_COMMAND:
            raw = bytes(data)
        else:
            if command and context_id != self._command_context:
                self.fail(invalid("a command set that changes its presentation context"))
                return
            if len(command) + len(data) > MAX_COMMAND:
                self.fail(invalid(f"a command set of more than {MAX_COMMAND} bytes"))
                return
            self._command_context = context_id
            command += data
            if not header & 2:
                return
            raw = bytes(command)
            command.clear()
        try:
            decoded = dimse.decode(raw)
        except DimseError as error:
            self.fail(invalid(error.message))
            return
        if decoded.field & dimse.RESPONSE:
            self._response(context_id, decoded)
        elif decoded.field == Field.C_CANCEL:
            self._cancel(decoded)
        elif self._serving:
            self._block(context_id, raw)
        else:
            self._begin(self.accepted[context_id], decoded)

    def _begin(self, context: Context, command: Command) -> None:
        counts = self.counters.messages
        counts[command.field] = counts.get(command.field, 0) + 1
        request = Request(cast("Association", self), context, command, time.monotonic())
        self.doing = _DOING.get(command.field, "works")
        self._observer.message(request.association, command)
        sink = self._sink_for(request)
        self._broken = ""
        self._request = request
        if command.has_data_set:
            self._sink = sink
        else:
            self._serving = True
            self._submit(lambda: self._finish(sink, request))

    def _sink_for(self, request: Request) -> Sink:
        find, command, abstract_syntax = self._service_for, request.command, request.context.abstract_syntax
        if not request.context.scu and command.field in _BY_SCU and request.association.role is Role.ACCEPTOR:
            return StatusSink(request, Status.NOT_AUTHORISED, "the role of SCU was not agreed on")
        try:
            service = find(abstract_syntax, command.field) if find is not None else None
            if service is not None:
                return service.begin(request)
        except Exception:
            log.exception("a service failed to begin with %s", command)
            return StatusSink(request, Status.PROCESSING_FAILURE, "processing failure")
        if command.affected_sop_class not in ("", abstract_syntax):
            return StatusSink(request, Status.SOP_CLASS_NOT_SUPPORTED)
        return StatusSink(request, Status.UNRECOGNISED_OPERATION)

    def _data_fragment(self, sink: Sink, context_id: int, header: int, data: memoryview) -> None:
        request = self._request
        assert request is not None
        if context_id != request.context.id:
            self.fail(invalid("a data set that changes its presentation context"))
            return
        wait: Awaitable[None] | None = None
        if not self._broken:
            try:
                wait = sink.write(data)
                data.release()  # a sink that keeps the view would see other bytes in it later
            except Exception:  # answered when the data set is complete
                log.exception("a sink failed to take a fragment of %s", request.command)
                self._broken = "the data set cannot be taken"
        if header & 2:
            self._sink = None
            self._serving = True
            if wait is None:
                self._submit(lambda: self._finish(sink, request))
            else:
                self._hold()
                self._submit(lambda: self._wait_and_finish(wait, sink, request))
        elif wait is not None:
            self._hold()
            self._submit(lambda: self._wait(wait))

    # responses to our requests

    def _response(self, context_id: int, command: Command) -> None:
        exchange = self.exchanges.get(command.responded_to)
        if exchange is None or exchange.context.id != context_id or command.field != exchange.field | 0x8000:
            self.fail(invalid(f"{dimse.name(command.field)} to a message that was not sent"))
        elif command.has_data_set:
            self._reply = exchange, command
        else:
            self._replied(exchange, command, None)

    def _reply_fragment(self, reply: tuple[Exchange, Command], context_id: int, header: int, data: memoryview) -> None:
        exchange, command = reply
        self._reply_data += data
        if context_id != exchange.context.id:
            self.fail(invalid("a data set that changes its presentation context"))
        elif len(self._reply_data) > MAX_REPLY:
            self.fail(invalid(f"a response with a data set of more than {MAX_REPLY} bytes"))
        elif header & 2:
            whole = bytes(self._reply_data)
            self._reply_data.clear()
            self._reply = None
            self._replied(exchange, command, whole)

    def _replied(self, exchange: Exchange, command: Command, data: bytes | None) -> None:
        response = Response(command.status, command.comment, command, data, command.field in _SEVERAL)
        self._active_at = self._loop.time()
        if response.pending:
            exchange.since = self._active_at
        else:
            self.exchanges.pop(exchange.message_id, None)
        self._observer.replied(cast("Association", self), exchange.context, command)
        exchange.put(response)

    # what runs ahead

    def _cancel(self, command: Command) -> None:
        request = self._request
        if request is not None and command.responded_to == request.command.message_id:
            request.cancelled = True
            request.withdraw()

    def _defer(self, context_id: int, header: int, data: memoryview) -> None:
        """Keep a fragment for later: the peer runs ahead of what was agreed, or a sink asked for time."""
        assert self._backlog is not None
        if header == 3 and len(data) < _SHORT:
            try:
                command = dimse.decode(bytes(data))
            except DimseError:
                command = None
            if command is not None and command.field == Field.C_CANCEL:
                self._cancel(command)
                return
            if command is not None and command.field & dimse.RESPONSE and not command.has_data_set:
                self._response(context_id, command)
                return
        self._backlog.append((context_id, header, bytes(data)))
        self._backlog_size += len(data) + _BACKLOG_OVERHEAD
        if self._backlog_size > BACKLOG_BOUND:
            self.connection.pause(HELD)

    def _hold(self) -> None:
        self._holding = True
        if self._backlog is None:
            self._backlog, self._backlog_size = collections.deque(), 0
        self.connection.pause(HELD)

    def _block(self, context_id: int, raw: bytes) -> None:
        """Put a request first in line, as another one is being served."""
        self._blocked = True
        if self._backlog is None:
            self._backlog, self._backlog_size = collections.deque(), 0
        self._backlog.appendleft((context_id, 3, raw))
        self._backlog_size += len(raw) + _BACKLOG_OVERHEAD

    def _proceed(self) -> None:
        """Go on with what was kept, until something must wait again."""
        self._holding = self._blocked = False
        kept = self._backlog
        while kept and not self._stuck() and not self.over:
            context_id, header, data = kept.popleft()
            self._backlog_size -= len(data) + _BACKLOG_OVERHEAD
            self._take(context_id, header, memoryview(data))
        if not kept and not self._stuck():
            self._backlog = None
        if not self._holding and self._backlog_size <= BACKLOG_BOUND:
            self.connection.resume(HELD)
        if self._backlog is None and not self._serving:
            self.caught_up()

    def _stuck(self) -> bool:
        return self._holding or self._blocked

    # what takes time

    def _submit(self, job: Callable[[], Awaitable[None]]) -> None:
        self._job = job
        if self._worker is None:
            self._worker = self._loop.create_task(self._work(), name="association")
        else:
            self._wake_worker()

    def _wake_worker(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _work(self) -> None:
        """Run jobs one after the other, for as long as the association lives."""
        while True:
            while self._job is not None:
                job, self._job = self._job, None
                try:
                    await job()
                except Exception:  # a fault of ours: nobody else would notice that the association hangs
                    log.exception("an association failed")
                    self.abort("a fault in this node")
            if self.over:
                return
            self._wake = self._loop.create_future()
            await self._wake
            self._wake = None

    async def _wait(self, wait: Awaitable[None]) -> None:
        try:
            await wait
        except Exception:
            log.exception("a sink failed to take a fragment")
            self._broken = "the data set cannot be taken"
        self._proceed()

    async def _wait_and_finish(self, wait: Awaitable[None], sink: Sink, request: Request) -> None:
        try:
            await wait
        except Exception:
            log.exception("a sink failed to take a fragment")
            self._broken = "the data set cannot be taken"
        await self._finish(sink, request)

    async def _finish(self, sink: Sink, request: Request) -> None:
        try:
            if self._broken:
                sink.abandon(self._broken)
            elif self.over:
                sink.abandon("the association ended")
            else:
                await sink.finish()
        except AssociationEnded:
            pass
        except Exception:
            log.exception("a service failed on %s", request.command)
        if not request.complete:
            try:
                await request.respond(Status.PROCESSING_FAILURE, comment=self._broken or "processing failure")
            except AssociationEnded:
                pass
        self._serving = False
        self._request = None
        self._active_at = self._loop.time()
        if not self.over:
            self.doing = "idle"
            self._proceed()

    def respond(self, request: Request, status: int, command: bytes, data: bytes | None) -> None:
        """Send an encoded response."""
        message = self.machine.message(request.context.id, command, data)
        if request.command.field == Field.C_STORE:
            if status == Status.SUCCESS or status & 0xF000 == 0xB000:
                self.counters.stored += 1
            else:
                self.counters.failed += 1
        self.send_whole(message)
        self._observer.answered(request.association, request.command, status)

    def asked(self, request: Request, keys: Sequence[tuple[int, str]]) -> None:
        """Pass on what a query asks for to who watches."""
        self._observer.asked(request.association, request.command, keys)

    def drop_messages(self, why: str) -> None:
        """The association ended: nothing that is unfinished is kept."""
        sink, self._sink = self._sink, None
        self._backlog = None
        self._reply = None
        self._command.clear()
        if self._request is not None:
            self._request.withdraw()
        if sink is not None:
            try:
                sink.abandon(why)
            except Exception:
                log.exception("a sink failed when its association ended")
        self._wake_worker()
