"""The control socket itself: who of this machine's users reaches it, and how many connections each may hold."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from pacstui.api.plain import reachable

log = logging.getLogger("pacstui.api")
_CREDENTIALS = struct.Struct("3i")
_EACH = 64
_ALL = 512
_PAUSE_S = 0.2


def credentials(sock: socket.socket) -> tuple[int, int]:
    """Return process and user at the other end of a Unix socket, by the kernel's word."""
    pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid


class Door:
    """Accepts connections; an OS user who holds too many gets no further one, and takes none from others.

    Parameters
    ----------
    own
        The user that the node runs as; it and root are not counted.
    """

    def __init__(self, path: Path, own: int) -> None:
        self._path = path
        self._own = own
        self._listening: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._open: dict[int, list[asyncio.BaseTransport]] = {}
        self._said: set[int] = set()

    async def open(self, factory: Callable[[], asyncio.BaseProtocol], wide: bool) -> None:
        """Listen."""
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            with reachable(self._path) as path:
                listening.bind(path)
        finally:
            os.umask(before)
        listening.listen(64)
        listening.setblocking(False)
        self._listening = listening
        self.reach(wide)
        self._task = asyncio.create_task(self._accept(listening, factory), name="control socket")

    def reach(self, wide: bool) -> None:
        """Let every OS user reach the socket, or only our own. The folder can be entered then, but not listed, and
        what is in it stays its owner's."""
        os.chmod(self._path.parent, 0o711 if wide else 0o700)
        with contextlib.suppress(FileNotFoundError):
            os.chmod(self._path, 0o666 if wide else 0o600)

    async def _accept(self, listening: socket.socket, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listening)
            except OSError as error:  # out of descriptors: others end, and it goes on
                log.warning("the control socket takes nobody now: %s", error.strerror)
                await asyncio.sleep(_PAUSE_S)
                continue
            try:
                uid = credentials(sock)[1]
                if not self._has_room(uid):
                    sock.close()
                    continue
                sock.setblocking(False)
                transport, _ = await loop.connect_accepted_socket(factory, sock)
                self._open.setdefault(uid, []).append(transport)
            except OSError:  # it went away at once
                sock.close()
            except Exception:  # one caller's trouble keeps nobody else out
                log.exception("a connection of the control socket could not be opened")
                sock.close()

    def _has_room(self, uid: int) -> bool:
        for user, transports in list(self._open.items()):
            kept = [each for each in transports if not each.is_closing()]
            if kept:
                self._open[user] = kept
            else:
                del self._open[user]
        if uid in (0, self._own):
            return True
        others = sum(len(each) for user, each in self._open.items() if user not in (0, self._own))
        if len(self._open.get(uid, ())) < _EACH and others < _ALL:
            self._said.discard(uid)
            return True
        if uid not in self._said:
            self._said.add(uid)
            log.warning("uid %d holds too many connections of the control socket: further ones are closed", uid)
        return False

    async def close(self) -> None:
        """Listen no more, and remove the socket."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._listening is not None:
            self._listening.close()
        self._path.unlink(missing_ok=True)
