"""Requests that this side sends on an association, and their responses (PS3.7 9, 10)."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass

from pacstui.dicom import dimse
from pacstui.dicom.dimse import Command, Field, Status
from pacstui.dicom.net.connection import Connection
from pacstui.dicom.net.errors import AssociationEnded, ContextNotAccepted
from pacstui.dicom.uids import VERIFICATION, name_of
from pacstui.dicom.ul import pdu
from pacstui.dicom.ul.faults import CONTEXT_RESULTS
from pacstui.dicom.ul.machine import Machine
from pacstui.dicom.ul.negotiation import Context

DataSet = bytes | bytearray | memoryview | Iterable[bytes] | AsyncIterable[bytes]

_SMALL = 32768
_AT_ONCE = 2097152
_PENDING = (Status.PENDING, Status.PENDING_WARNING)


@dataclass(frozen=True, slots=True)
class Response:
    """One response: status, Error Comment as sent, the whole command set, the data set if there was one."""

    status: int
    comment: str
    command: Command
    data: bytes | None = None
    of_several: bool = False
    """Whether more may come after it: to C-FIND, C-GET and C-MOVE alone (PS3.7 9.1.2 to 9.1.4)."""

    @property
    def ok(self) -> bool:
        """Success, or success with a warning (PS3.7 C: 0000, B000 to BFFF, 0001, 0107, 0116)."""
        return self.status in (0x0000, 0x0001, 0x0107, 0x0116) or self.status & 0xF000 == 0xB000

    @property
    def pending(self) -> bool:
        return self.of_several and self.status in _PENDING


@dataclass(frozen=True, slots=True)
class Prepared:
    """A whole message, encoded, that waits for its turn; see :meth:`Asking.prepare_store`."""

    message_id: int
    context: Context
    field: int
    parts: list[bytes | memoryview]


class Exchange:
    """A request under way: an asynchronous iterator of its responses, which ends after the final one."""

    def __init__(self, asking: Asking, message_id: int, context: Context, field: int) -> None:
        self.message_id = message_id
        self.field = field
        self.context = context
        self.since: float | None = None
        self.abandoned = False
        self._asking = asking
        self._responses: collections.deque[Response] = collections.deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: AssociationEnded | None = None
        self._complete = False

    @property
    def answered(self) -> bool:
        """Whether the final response has come."""
        return self._complete

    def put(self, response: Response) -> None:
        """Take a response from the network."""
        self._responses.append(response)
        self._complete = not response.pending
        self._wake()

    def fail(self, error: AssociationEnded) -> None:
        """The association ended."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> AsyncIterator[Response]:
        return self

    async def __anext__(self) -> Response:
        while not self._responses:
            if self._complete:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:  # nobody waits any more; a late answer does no harm
                self.since, self.abandoned = None, True
                raise
            finally:
                self._waiter = None
        return self._responses.popleft()

    async def final(self) -> Response:
        """Return the final response; pending ones before it are dropped."""
        async for response in self:
            if not response.pending:
                return response
        raise AssertionError("an exchange ends with a final response")

    async def cancel(self) -> None:
        """Send a C-CANCEL-RQ; the peer still sends a final response (PS3.7 9.3.2.3)."""
        if not self._complete and self._error is None:
            await self._asking.send_command(self.context, dimse.encode_cancel(self.message_id))


class Asking:
    """The requesting half of an association."""

    machine: Machine
    connection: Connection
    contexts: tuple[Context, ...]
    accepted: dict[int, Context]

    def __init__(self) -> None:
        self.exchanges: dict[int, Exchange] = {}
        self._next_message = 0
        self._turn = asyncio.Lock()  # held while a message is on its way in several writes
        self._held: list[bytes] = []  # whole messages that wait for its end

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        raise NotImplementedError

    def abort(self, reason_text: str, *, provider: bool = False) -> None:
        """Abort the association."""
        raise NotImplementedError

    def ended_error(self) -> AssociationEnded | None:
        """Return why nothing can be sent any more, none if something can."""
        raise NotImplementedError

    def context_for(self, abstract_syntax: str, transfer_syntax: str = "") -> Context:
        """Return an accepted context for a SOP class, and for a transfer syntax if one is given.

        Raises
        ------
        ContextNotAccepted
            With what was proposed and what the peer answered.
        """
        proposed: list[Context] = []
        for context in self.contexts:
            if context.abstract_syntax == abstract_syntax:
                if context.result == 0 and transfer_syntax in ("", context.transfer_syntax):
                    return context
                proposed.append(context)
        what = name_of(abstract_syntax) + (f" with {name_of(transfer_syntax)}" if transfer_syntax else "")
        if not proposed:
            raise ContextNotAccepted(f"{what} was not proposed to the peer", "propose it when associating")
        answers = ", ".join(
            f"{name_of(c.transfer_syntax)} accepted" if c.result == 0 else CONTEXT_RESULTS.get(c.result, str(c.result))
            for c in proposed
        )
        raise ContextNotAccepted(
            f"the peer accepted no presentation context for {what}: {answers}",
            "enable this SOP class and transfer syntax at the peer, or send it in another transfer syntax",
        )

    def _check(self) -> None:
        error = self.ended_error()
        if error is not None:
            raise error

    def send_whole(self, message: bytes) -> None:
        """Send a whole message, after the one that is on its way: fragments of two are never mixed (PS3.7 6.3.1)."""
        if self._turn.locked():
            self._held.append(message)
        else:
            self.connection.write(message)

    async def send_command(self, context: Context, command: bytes) -> None:
        """Send a command set alone."""
        self._check()
        self.send_whole(self.machine.message(context.id, command))
        if self.connection.write_paused:
            await self.connection.drained()

    async def request(
        self,
        context: Context | str,
        field: int,
        data: DataSet | None = None,
        *,
        priority: int | None = None,
        **elements: int | str | None,
    ) -> Exchange:
        """Send a request; iterate over the result for its responses.

        Parameters
        ----------
        context
            An accepted context, or the abstract syntax of one.
        data
            The data set, encoded as the context says: bytes, or an iterable of parts of any size.
        elements
            Elements of the command set by name, see :func:`pacstui.dicom.dimse.encode_response`.
        """
        if isinstance(context, str):
            context = self.context_for(context)
        self._check()
        message_id = self._message_id()
        command = dimse.encode_request(field, message_id, has_data=data is not None, priority=priority, **elements)
        exchange = Exchange(self, message_id, context, field)
        self.exchanges[message_id] = exchange
        unfinished = False
        try:
            await self._turn.acquire()
            try:
                self._check()
                unfinished = True
                await self._send(context, command, data)
                unfinished = False
            finally:
                self._turn.release()
                self._send_held(unless=unfinished)
            if self.connection.write_paused:
                await self.connection.drained()
            self._check()
        except BaseException:
            self.exchanges.pop(message_id, None)
            if unfinished and not self.over:
                self.abort("a message could not be sent to its end")
            raise
        exchange.since = self.connection.loop.time()
        self.connection.hurry(self.connection.timeouts.response)
        return exchange

    def _send_held(self, unless: bool) -> None:
        held, self._held = self._held, []
        if not unless and not self.over:
            for message in held:
                self.connection.write(message)

    async def _send(self, context: Context, command: bytes, data: DataSet | None) -> None:
        if data is None or (isinstance(data, (bytes, bytearray, memoryview)) and len(data) <= _SMALL):
            whole = None if data is None else memoryview(data)
            self.connection.write(self.machine.message(context.id, command, whole))
        elif isinstance(data, bytes) and len(data) <= _AT_ONCE:
            self.connection.write_parts(self.machine.message_parts(context.id, command, data))
        else:
            self.connection.write(self.machine.message(context.id, command))
            await self._send_data(context.id, data)

    def _message_id(self) -> int:
        while True:
            self._next_message = self._next_message % 0xFFFF + 1
            if self._next_message not in self.exchanges:
                return self._next_message

    async def _send_data(self, context_id: int, data: DataSet) -> None:
        """Send a data set in fragments as the peer takes them; the last one is known only at the end."""
        size = pdu.fragment_size(self.machine.max_pdu_send)
        rest = bytearray()
        async for chunk in _chunks(data):
            view = memoryview(chunk)
            while len(rest) + len(view) > size:
                taken = size - len(rest)
                if rest:
                    rest += view[:taken]
                    await self._send_fragment(context_id, 0, bytes(rest))
                    rest.clear()
                else:
                    await self._send_fragment(context_id, 0, view[:taken])
                view = view[taken:]
            rest += view
        await self._send_fragment(context_id, 2, bytes(rest))

    async def _send_fragment(self, context_id: int, header: int, data: bytes | memoryview) -> None:
        self._check()
        self.connection.write(self.machine.fragment(context_id, header, data))
        if self.connection.write_paused:
            await self.connection.drained()

    def prepare_store(
        self, context: Context, sop_instance: str, data: bytes, *, sop_class: str = "", priority: int = 0,
        move_originator: str | None = None, move_originator_message_id: int | None = None,
    ) -> Prepared | None:  # fmt: skip
        """Encode a C-STORE-RQ ahead of its turn, for `send_prepared`; None for one that takes several writes.

        ``data`` is in the context's transfer syntax.

        Raises
        ------
        AssociationEnded
            When the association is over.
        """
        if len(data) > _AT_ONCE:
            return None
        self._check()
        message_id = self._message_id()
        command = dimse.encode_request(
            Field.C_STORE, message_id, has_data=True, priority=priority,
            affected_sop_class=sop_class or context.abstract_syntax, affected_sop_instance=sop_instance,
            move_originator=move_originator, move_originator_message_id=move_originator_message_id,
        )  # fmt: skip
        if len(data) <= _SMALL:
            parts: list[bytes | memoryview] = [self.machine.message(context.id, command, memoryview(data))]
        else:
            parts = self.machine.message_parts(context.id, command, data)
        return Prepared(message_id, context, Field.C_STORE, parts)

    async def send_prepared(self, prepared: Prepared) -> Exchange:
        """Send what was prepared; `answer_to` waits for the answer."""
        while self._turn.locked():
            async with self._turn:
                pass
        self._check()
        exchange = Exchange(self, prepared.message_id, prepared.context, prepared.field)
        self.exchanges[prepared.message_id] = exchange
        self.connection.write_parts(prepared.parts)
        return exchange

    async def answer_to(self, exchange: Exchange) -> Response:
        """Wait until the peer has taken what was sent, then for its final response."""
        try:
            if self.connection.write_paused:
                await self.connection.drained()
            if not exchange.answered:
                self._check()
        except BaseException:
            self.exchanges.pop(exchange.message_id, None)
            raise
        exchange.since = self.connection.loop.time()
        self.connection.hurry(self.connection.timeouts.response)
        return await exchange.final()

    async def echo(self) -> int:
        """Send a C-ECHO and return its status (PS3.7 9.1.5)."""
        exchange = await self.request(VERIFICATION, Field.C_ECHO, affected_sop_class=VERIFICATION)
        return (await exchange.final()).status

    async def store(
        self,
        context: Context | str,
        sop_instance: str,
        transfer_syntax: str,
        data: DataSet,
        *,
        sop_class: str = "",
        priority: int = 0,
        move_originator: str | None = None,
        move_originator_message_id: int | None = None,
    ) -> Response:
        """Send an instance by C-STORE (PS3.7 9.1.1).

        Parameters
        ----------
        context
            An accepted context, or the SOP class.
        transfer_syntax
            In which ``data`` is encoded; a context that was accepted with another one is not used.
        """
        if isinstance(context, str):
            context = self.context_for(context, transfer_syntax)
        elif context.transfer_syntax != transfer_syntax:
            raise ContextNotAccepted(
                f"the context is for {name_of(context.transfer_syntax)}, the data set in {name_of(transfer_syntax)}"
            )
        exchange = await self.request(
            context,
            Field.C_STORE,
            data,
            priority=priority,
            affected_sop_class=sop_class or context.abstract_syntax,
            affected_sop_instance=sop_instance,
            move_originator=move_originator,
            move_originator_message_id=move_originator_message_id,
        )
        return await exchange.final()


async def _chunks(data: DataSet) -> AsyncIterator[bytes | bytearray | memoryview]:
    if isinstance(data, (bytes, bytearray, memoryview)):
        view = memoryview(data)
        for start in range(0, len(view), 1048576):
            yield view[start : start + 1048576]
    elif isinstance(data, AsyncIterable):
        async for chunk in data:
            yield chunk
    else:
        for chunk in data:
            yield chunk
