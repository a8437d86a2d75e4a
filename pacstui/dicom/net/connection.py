"""One TCP connection: moves bytes between the transport and the machine, owns its timer, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Final, Protocol, cast

from pacstui.dicom.net.service import Timeouts
from pacstui.dicom.ul.effects import (
    CloseTransport,
    Effect,
    FaultIndicated,
    Fragment,
    Send,
    StartTimer,
    StopTimer,
)
from pacstui.dicom.ul.machine import Machine

log = logging.getLogger("pacstui.dicom.net")

SCRATCH_SIZE: Final = 262144
HELD: Final = 1
WRITING: Final = 2
_STRANGER_LINGER_S: Final = 2.0


class User(Protocol):
    """Who is told what happens on the connection."""

    def transport_made(self, address: tuple[str, int]) -> None: ...

    def transport_lost(self, error: Exception | None) -> None: ...

    def fragment(self, fragment: Fragment) -> None: ...

    def indicated(self, effect: Effect) -> None: ...

    def bytes_read(self, count: int) -> None: ...

    def waits(self) -> tuple[float, str] | None:
        """Return until when (loop time) the peer may be silent and what to say then; none if it may be for ever."""
        ...

    def artim_expired(self) -> None:
        """ARTIM ran out; the machine closes the connection."""
        ...

    def timed_out(self, text: str, hopeless: bool) -> None:
        """Time is up; ``hopeless`` when the peer does not even take what is sent."""
        ...


class Connection(asyncio.BufferedProtocol):
    """The asyncio side of one association.

    Parameters
    ----------
    scratch
        Where the event loop puts what it reads. It may be shared by all connections of one loop, as everything in it is
        used or copied before the loop reads again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        machine: Machine,
        user: User,
        timeouts: Timeouts,
        scratch: bytearray | None = None,
    ) -> None:
        self.loop = loop
        self.machine = machine
        self.user = user
        self.timeouts = timeouts
        self.transport: asyncio.Transport | None = None
        self.last_read = 0.0
        self.sent_bytes = 0
        self.write_paused = False
        self._scratch = memoryview(scratch if scratch is not None else bytearray(SCRATCH_SIZE))
        self._paused = 0
        self._drained: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._grain = min(timeouts.message, timeouts.idle, timeouts.response)
        self._artim_at: float | None = None
        self._artim_s = timeouts.artim
        self._unsent = 0  # size of the write buffer when it was last seen to shrink
        self._unsent_at: float | None = None

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        self.transport = transport
        self.last_read = self.loop.time()
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        transport.set_write_buffer_limits(high=SCRATCH_SIZE)
        peer = transport.get_extra_info("peername")
        address = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) and len(peer) >= 2 else ("", 0)
        self._arm(min(self.timeouts.artim, self._grain))
        self.user.transport_made(address)
        self.run(self.machine.connected())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        self.last_read = self.loop.time()
        self.user.bytes_read(nbytes)
        self.run(self.machine.feed(self._scratch[:nbytes]))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.run(self.machine.closed())
        self._wake_writers()
        self.user.transport_lost(exc)

    def pause_writing(self) -> None:
        self.write_paused = True
        self.pause(WRITING)

    def resume_writing(self) -> None:
        self.write_paused = False
        self._wake_writers()
        self.resume(WRITING)

    # what the association calls

    def run(self, effects: list[Effect]) -> None:
        """Carry out what the machine wants."""
        for effect in effects:
            if type(effect) is Fragment:
                self.user.fragment(effect)
            elif type(effect) is Send:
                self.write(effect.data)
            elif type(effect) is StartTimer:
                self._artim_at = self.loop.time()
                self._arm(self._artim_s)
            elif type(effect) is StopTimer:
                self._artim_at = None
            elif type(effect) is CloseTransport:
                if self.transport is not None:
                    self.transport.close()
            else:
                if type(effect) is FaultIndicated and effect.no_dicom:
                    self._part_with_stranger()
                self.user.indicated(effect)

    def write(self, data: bytes) -> None:
        """Send; what cannot be sent at once is buffered, see :meth:`drained`."""
        if self.transport is not None and not self.transport.is_closing():
            self.sent_bytes += len(data)
            self.transport.write(data)

    def write_parts(self, parts: list[bytes | memoryview]) -> None:
        """Send several parts in a row; they must not change meanwhile."""
        if self.transport is not None and not self.transport.is_closing():
            self.sent_bytes += sum(map(len, parts))
            self.transport.writelines(parts)

    async def drained(self) -> None:
        """Wait until the write buffer is low again, or the connection is gone."""
        while self.write_paused and self.transport is not None:
            waiter = self.loop.create_future()
            self._drained.append(waiter)
            await waiter

    def pause(self, reason: int) -> None:
        """Stop reading for ``reason``."""
        if not self._paused and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        self._paused |= reason

    def resume(self, reason: int) -> None:
        """Read again, unless there is another reason not to."""
        if not self._paused:
            return
        self._paused &= ~reason
        if not self._paused:
            self.last_read = self.loop.time()
            if self.transport is not None and not self.transport.is_closing():
                self.transport.resume_reading()

    def kill(self) -> None:
        """Drop the connection at once, with what was not sent."""
        if self.transport is not None:
            self.transport.abort()

    def hurry(self, seconds: float) -> None:
        """Make sure that deadlines are looked at within ``seconds``."""
        self._arm(seconds)

    # inside

    def _wake_writers(self) -> None:
        waiters, self._drained = self._drained, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _part_with_stranger(self) -> None:
        """Say the end at once, so that whoever calls closes; do not wait long for it."""
        self._artim_s = min(self.timeouts.artim, _STRANGER_LINGER_S)
        if self.transport is not None and self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def _arm(self, seconds: float) -> None:
        at = self.loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(at, self._tick)

    def _tick(self) -> None:
        """Look at the deadlines. Between two looks no more than the shortest limit passes, so none is missed, although
        nothing but the clock's value is noted when bytes move."""
        self._timer = None
        if self.transport is None:
            return
        now = self.loop.time()
        wake = now + self._grain
        if self._artim_at is not None:
            due = self._artim_at + self._artim_s
            if now >= due:
                self._artim_at = None
                self.user.artim_expired()
                self.run(self.machine.artim_expired())
                if self._size_unsent():
                    self.kill()
                return
            wake = min(wake, due)
        unsent = self._size_unsent()
        if not unsent:
            self._unsent_at = None
        elif self._unsent_at is None or unsent < self._unsent:
            self._unsent, self._unsent_at = unsent, now
        elif now >= self._unsent_at + self.timeouts.message:
            self._stalled()
            return
        if self._unsent_at is not None:
            wake = min(wake, self._unsent_at + self.timeouts.message)
        limit = self.user.waits() if not self._paused else None
        if limit is not None:
            due, text = limit
            if now >= due:
                self.user.timed_out(text, hopeless=False)
                self._arm(self._artim_s)
                return
            wake = min(wake, due)
        self._timer = self.loop.call_at(wake, self._tick)

    def _stalled(self) -> None:
        text = f"the peer took nothing of what was sent for {self.timeouts.message:g} s"
        self.user.timed_out(text, hopeless=True)
        self.kill()

    def _size_unsent(self) -> int:
        try:
            return self.transport.get_write_buffer_size() if self.transport is not None else 0
        except RuntimeError:  # uvloop, while the handle is being closed
            return 0
