"""One connection of a sender: bytes in, answers out, in the order of the messages."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from pacstui.hl7v2.framing import Block, Foreign, Framer, Oversize, Skipped, Torn, framed
from pacstui.hl7v2.intake import Intake
from pacstui.hl7v2.keeping import Todo
from pacstui.hl7v2.reading import RulesFor
from pacstui.hl7v2.segments import Batch, messages
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.hl7")
_BLOCKS: Final = 512
_BYTES: Final = 4 << 20
_END_S: Final = 0.2
_ALL: Final = 4


@dataclass(slots=True)
class _Waiting:
    """A block of which messages are still to be taken."""

    size: int
    batch: Batch
    parts: Iterator[bytes]
    number: int
    next: bytes | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a connection: bytes of a message, seconds as the settings have them (0 for none)."""

    message: int
    message_s: float
    idle_s: float


@dataclass(slots=True)
class Held:
    """Bytes that all connections together hold of messages that are not taken yet."""

    used: int = 0


class Connection(asyncio.Protocol):
    """A connection that was accepted.

    Parameters
    ----------
    rules_for
        Given the address of the other side, returns how its messages are read.
    refused
        Told why this node closes the connection: text and hint.
    """

    def __init__(
        self, intake: Intake, limits: Callable[[], Limits], address: str, rules_for: RulesFor,
        batch_id: Callable[[], int], refused: Callable[[str, str, str], None], lost: Callable[[Connection], None],
        held: Held,
    ) -> None:  # fmt: skip
        self.address = address
        self.messages = 0
        self.transport: asyncio.Transport | None = None
        self._intake = intake
        self._limits = limits
        self._rules_for = rules_for
        self._batch_id = batch_id
        self._refused = refused
        self._lost = lost
        self._framer = Framer(limits().message)
        self._loop = asyncio.get_running_loop()
        self._blocks: deque[_Waiting | Todo] = deque()
        self._bytes = 0
        self._out = 0  # messages that were taken and are not answered
        self._reading = True
        self._stuck_since = 0.0
        self._begun = self._last = self.opened = self._loop.time()
        self._ended = False
        self._closing = False
        self._told_junk = False
        self._flush: asyncio.TimerHandle | None = None
        self._held = held
        self._counted = 0

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=1 << 18)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._last = self._loop.time()
        if not self._framer.midway:
            self._begun = self._last
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        self._take_events(self._framer.feed(data))
        self._count()
        if self._framer.may_end:
            self._flush = self._loop.call_later(_END_S, self._end_of_block)

    def eof_received(self) -> bool:
        self._end_of_block()
        if self._framer.midway:
            log.warning(
                "%s ended a connection in the middle of a message (%s)", safe(self.address, 64),
                plural(self._framer.held, "byte"),
            )  # fmt: skip
        self._ended = True
        self._finish()
        return not self._closing and self.transport is not None and not self.transport.get_extra_info("sslcontext")

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = self._closing = True
        if self._flush is not None:
            self._flush.cancel()
        self.transport = None
        self._stuck_since = 0.0
        self._recount()
        self._lost(self)
        if self._blocks:
            self._intake.wake(self)  # what was read is kept, whoever is there to hear of it

    def pause_writing(self) -> None:
        self._stuck_since = self._loop.time()
        self._turn()

    def resume_writing(self) -> None:
        self._stuck_since = 0.0
        self._turn()
        self._intake.wake(self)

    # The intake's side.

    def take(self) -> Todo | None:
        if self._stuck_since:
            return None
        while self._blocks:
            waiting = self._blocks[0]
            if isinstance(waiting, Todo):
                self._blocks.popleft()
                self._out += 1
                return waiting
            raw = waiting.next
            if raw is None:
                self._blocks.popleft()
                self._bytes -= waiting.size
                self._turn()
                continue
            waiting.next = next(waiting.parts, None)
            note = ""
            if waiting.next is None:
                note = "; ".join(waiting.batch.wrong)[:200]
                self._blocks.popleft()
                self._bytes -= waiting.size
                self._turn()
            self._out += 1
            return Todo(raw, self.address, self._rules_for, waiting.number, note)
        return None

    def settled(self, todos: list[Todo]) -> None:
        self._out -= len(todos)
        self.messages += len(todos)
        if self.transport is not None and not self.transport.is_closing():
            answer = b"".join(framed(reply) for todo in todos for _, reply in todo.replies)
            if answer:
                self.transport.write(answer)
        self._finish()

    # The listener's side.

    @property
    def quiet(self) -> bool:
        """Whether nothing of it waits to be answered."""
        return not self._blocks and not self._out

    def look(self, now: float) -> None:
        """Close the connection if it has kept to no limit of time."""
        limits = self._limits()
        if self._closing:
            return
        if self._stuck_since and now - self._stuck_since > limits.message_s:
            self.refuse(f"takes no answers for {limits.message_s:.0f} s", "it sends, but does not read")
        elif self._framer.midway and self._reading and now - self._last > limits.message_s:
            self.refuse(f"was silent for {limits.message_s:.0f} s in the middle of a message",
                        "the message has no end (1CH 0DH), or the network is lost")  # fmt: skip
        elif self._framer.midway and self._reading and now - self._begun > 10 * limits.message_s:
            self.refuse(f"took longer than {10 * limits.message_s:.0f} s for one message", "it is sent too slowly")
        elif limits.idle_s and self.quiet and now - self._last > limits.idle_s:
            log.info("closed the HL7 connection of %s: silent for %.0f s", safe(self.address, 64), limits.idle_s)
            self.close()

    def refuse(self, text: str, hint: str) -> None:
        """Close the connection and tell why."""
        self._refused(self.address, text, hint)
        self.kill()

    def wind_down(self) -> None:
        """Read nothing more; end when what was read is answered."""
        self._ended = True
        self._turn()
        self._finish()

    def close(self) -> None:
        """End; what is written already goes out."""
        self._closing = True
        if self.transport is not None:
            self.transport.close()

    def kill(self) -> None:
        """End at once."""
        self._closing = True
        if self.transport is not None:
            self.transport.abort()

    # Between them.

    def _recount(self) -> None:
        held = self._framer.held + self._bytes if self.transport is not None else 0
        self._held.used += held - self._counted
        self._counted = held

    def _count(self) -> None:
        """Keep what all connections together hold of messages that are not taken yet within bounds."""
        self._recount()
        if self._held.used > _ALL * self._framer.limit and self._counted > _BYTES and not self._closing:
            self.refuse("sends while too much of unfinished messages waits", "it may send again later")

    def _end_of_block(self) -> None:
        self._flush = None
        self._take_events(self._framer.flush())

    def _take_events(self, events: list[Block | Skipped | Foreign | Oversize | Torn]) -> None:
        for event in events:
            match event:
                case Block(data):
                    self._add(data)
                case Oversize(head):
                    self._blocks.append(Todo(head, self.address, self._rules_for, oversize=self._framer.limit))
                case Skipped(count, sample):
                    if not self._told_junk:
                        self._told_junk = True
                        log.warning(
                            "%s sends bytes that are in no MLLP block; they are skipped (%s): %s",
                            safe(self.address, 64), plural(count, "byte"), safe(sample.decode("latin-1"), 80),
                        )  # fmt: skip
                case Torn(count):
                    log.warning("%s began a message before the one before it had ended; %s were given up",
                                safe(self.address, 64), plural(count, "byte"))  # fmt: skip
                case Foreign(text, hint):
                    self.refuse(text, hint)
                    return
        if events:
            self._turn()
            if self._blocks:
                self._intake.wake(self)

    def _add(self, data: bytes) -> None:
        if not data.strip(b"\r\n \t\0"):
            return  # a sign of life, as some send it
        batch = Batch()
        parts = messages(data, batch)
        first = next(parts, None)
        if first is None:
            first = data  # headers of a batch without a message in it are answered too
        number = 0 if len(first) == len(data) else self._batch_id()
        self._blocks.append(_Waiting(len(data), batch, parts, number, first))
        self._bytes += len(data)

    def _turn(self) -> None:
        """Read on, or read nothing for now."""
        self._recount()
        if self.transport is None or self.transport.is_closing():
            return
        full = len(self._blocks) >= _BLOCKS or self._bytes >= _BYTES or bool(self._stuck_since) or self._ended
        low = len(self._blocks) < _BLOCKS // 2 and self._bytes < max(1, _BYTES // 2)
        if full and self._reading:
            self._reading = False
            self.transport.pause_reading()
        elif not self._reading and low and not full:
            self._reading = True
            self._last = self._begun = self._loop.time()
            self.transport.resume_reading()

    def _finish(self) -> None:
        if self._ended and self.quiet and not self._closing:
            self.close()
