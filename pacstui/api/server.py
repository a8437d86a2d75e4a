"""The node's side of the control socket.

Who calls is told by the kernel (SO_PEERCRED), not by the caller. Until accounts exist the node serves the user that it
runs as, and root.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from pacstui import errors
from pacstui.api import wire
from pacstui.api.plain import SOCKET_NAME, reachable
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract import Action
from pacstui.events import OperatorActed
from pacstui.text import safe

log = logging.getLogger("pacstui.api")
_BODY_LIMIT = 1024 * 1024
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is on the other end of the socket, by the kernel's word."""

    pid: int
    uid: int
    name: str


Importer = Callable[[str, Callable[[], Awaitable[bytes]]], Awaitable[dict[str, Any]]]
CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)


def _caller(request: web.Request) -> Caller:
    transport = request.transport
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        raise errors.Denied("the caller is gone")
    pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return Caller(pid, uid, name)


class ControlServer:
    """Serves the contract's nouns from ``data_dir/control.sock``.

    Parameters
    ----------
    rooms
        Implementation of each noun, by the noun's name.
    import_one
        Takes a source's name and a function that yields the next bytes (empty at the end); returns the result's JSON.
    """

    def __init__(self, data_dir: Path, rooms: dict[str, Any], import_one: Importer, bus: Bus, clock: Clock) -> None:
        self._path = data_dir / SOCKET_NAME
        self._rooms = rooms
        self._import = import_one
        self._bus = bus
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()

    async def start(self) -> None:
        """Listen. The socket is the owner's alone; a stale one is replaced (the data directory's lock is held)."""
        app = web.Application(middlewares=[self._guard], client_max_size=_BODY_LIMIT)
        app.router.add_post("/v1/import", self._serve_import)
        app.router.add_get("/v1/stream", self._serve_stream)
        app.router.add_post("/v1/{noun}/{method}", self._serve_call)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handle_signals=False)
        await self._runner.setup()
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
        await web.SockSite(self._runner, listening).start()

    async def close(self) -> None:
        """End streams and calls, and remove the socket."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
        self._path.unlink(missing_ok=True)

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            caller = _caller(request)
            if caller.uid not in (0, os.getuid()):
                raise errors.Denied(
                    f"{caller.name} has no account on this node", "run this as the node's user or as root"
                )
            request[CALLER] = caller
            return await handler(request)
        except errors.PacsError as fault:
            return web.json_response(wire.error_body(fault), status=wire.error_status(fault))
        except web.HTTPException as fault:
            told = errors.BadRequest(f"{request.method} {safe(request.path, 100)}: {fault.reason}")
            return web.json_response(wire.error_body(told), status=fault.status)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:  # the caller gets an answer, the log the traceback
            log.exception("%s failed", safe(request.path, 100))
            told_internal = errors.PacsError("the node failed at this", "its log says why")
            return web.json_response(wire.error_body(told_internal), status=500)

    async def _serve_call(self, request: web.Request) -> web.Response:
        noun, name = request.match_info["noun"], request.match_info["method"]
        method = wire.methods(noun).get(name)
        room = self._rooms.get(noun)
        if method is None or room is None:
            raise errors.NotFound(f"there is no action {safe(noun, 40)}.{safe(name, 40)}")
        try:
            given = await request.json() if request.can_read_body else {}
        except (ValueError, RecursionError):
            raise errors.BadRequest("the body is no JSON") from None
        arguments = method.arguments(given)
        result = await getattr(room, name)(**arguments)
        if method.action.audited:
            self._audit(request[CALLER], method.action, arguments)
        return web.Response(body=method.result.dump_json(result), content_type="application/json")

    def _audit(self, caller: Caller, action: Action, arguments: dict[str, Any]) -> None:
        target = ", ".join(str(value) for value in arguments.values())
        self._bus.publish(OperatorActed(self._clock.now(), caller.name, action.name, target))

    async def _serve_import(self, request: web.Request) -> web.Response:
        request[CALLER]  # set by the guard: only the node's user gets here
        source = request.query.get("source", "")
        return web.json_response(await self._import(source, request.content.readany))

    async def _serve_stream(self, request: web.Request) -> web.StreamResponse:
        try:
            interval = min(60.0, max(0.2, float(request.query.get("interval", "1"))))
        except ValueError:
            raise errors.BadRequest("interval is a number of seconds") from None
        method = wire.methods("overview")["show"]
        show = self._rooms["overview"].show
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        after = 0
        try:
            while not self._closing.is_set():
                view = await show(feed_after=after)
                if view.feed:
                    after = view.feed[-1].id
                await answer.write(method.result.dump_json(view) + b"\n")
                try:
                    await asyncio.wait_for(self._closing.wait(), interval)
                except TimeoutError:
                    continue
        except ConnectionError:
            log.debug("a console went away")
        return answer
