"""The node's side of the control socket.

Who calls is told by the kernel (SO_PEERCRED), not by the caller; which account that is, by the gate. What a call takes
and whether it leaves an entry is declared on the contract's actions, so that nothing here knows an action by name.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import pwd
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from aiohttp import web

from pacstui import errors
from pacstui.accounts.caller import CURRENT, Caller
from pacstui.accounts.gate import Gate
from pacstui.api import wire
from pacstui.api.door import Door, credentials
from pacstui.api.plain import SOCKET_NAME
from pacstui.audit.room import AuditRoom
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract import IMPORT, Action, Danger, privacy
from pacstui.events import OperatorActed
from pacstui.text import safe

log = logging.getLogger("pacstui.api")
_BODY_LIMIT = 1024 * 1024

Importer = Callable[[str, Callable[[], Awaitable[bytes]]], Awaitable[dict[str, Any]]]


@lru_cache(256)
def _os_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _started(pid: int) -> str:
    """Return when a process was started (in ticks), which tells it from a later one of the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


class ControlServer:
    """Serves the contract's nouns from ``data_dir/control.sock``.

    Parameters
    ----------
    rooms
        Implementation of each noun, by the noun's name.
    import_one
        Takes a source's name and a function that yields the next bytes (empty at the end); returns the result's JSON.
    """

    def __init__(
        self,
        data_dir: Path,
        rooms: dict[str, Any],
        import_one: Importer,
        gate: Gate,
        audit: AuditRoom,
        bus: Bus,
        clock: Clock,
    ) -> None:
        self._rooms = rooms
        self._import = import_one
        self._gate = gate
        self._audit = audit
        self._bus = bus
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self._door = Door(data_dir / SOCKET_NAME, os.getuid())

    async def start(self, wide: bool = False) -> None:
        """Listen. A stale socket is replaced (the data directory's lock is held)."""
        app = web.Application(middlewares=[self._guard], client_max_size=_BODY_LIMIT)
        app.router.add_post("/v1/import", self._serve_import)
        app.router.add_get("/v1/stream", self._serve_stream)
        app.router.add_post("/v1/{noun}/{method}", self._serve_call)
        # What is no HTTP is answered and closed; a traceback a time would let anybody fill the log.
        quiet = logging.getLogger("pacstui.api.http")
        quiet.setLevel(logging.CRITICAL)
        self._runner = web.AppRunner(app, access_log=None, logger=quiet, shutdown_timeout=1.0, handle_signals=False)
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        await self._door.open(server, wide)

    def reach(self, wide: bool) -> None:
        """Let every OS user of this machine reach the socket, or only our own."""
        self._door.reach(wide)

    async def close(self) -> None:
        """End streams and calls, and remove the socket."""
        self._closing.set()
        await self._door.close()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            CURRENT.set(await self._caller(request))
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

    async def _caller(self, request: web.Request, *, watching: bool = False) -> Caller:
        """Return who calls; ``watching`` when nobody has asked for anything anew."""
        sock = request.transport.get_extra_info("socket") if request.transport is not None else None
        if sock is None:
            raise errors.Denied("the caller is gone")
        pid, uid = credentials(sock)
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        secret = token if kind == "Bearer" else ""
        idle_s = math.inf if watching else wire.idle_s(request.headers)
        return await self._gate.identify(uid, pid, _os_user(uid), _started(pid), secret, idle_s)

    def _see_that_it_may(self, caller: Caller, action: Action, target: str) -> None:
        """Raise `Denied` unless the caller may do this now."""
        permission = action.permission
        if not caller.may(permission):
            if caller.session is None or caller.why:
                raise errors.Denied(caller.why, caller.hint)
            self._audit.denied(caller, action.name, target, permission)
            raise errors.Denied(
                f"{caller.name} may not do this ({action.label.lower()}): it takes the permission {permission}",
                "an administrator can give it: pacstui accounts edit",
            )
        if action.danger is Danger.TYPE_NAME and self._gate.unconfirmed(caller):
            raise errors.Unconfirmed(f"{action.noun} {action.verb} takes your password once more", "")
        if action.audited:
            self._audit.trail.require()
        if permission:
            self._gate.used(caller, permission)

    async def _serve_call(self, request: web.Request) -> web.Response:
        noun, name = request.match_info["noun"], request.match_info["method"]
        method = wire.methods(noun).get(name)
        room = self._rooms.get(noun)
        if method is None or room is None:
            raise errors.NotFound(f"there is no action {safe(noun, 40)}.{safe(name, 40)}")
        caller, action = CURRENT.get(), method.action
        try:
            given = await request.json() if request.can_read_body else {}
        except (ValueError, RecursionError):
            raise errors.BadRequest("the body is no JSON") from None
        arguments = method.arguments(given)
        target = method.target(arguments)
        self._see_that_it_may(caller, action, target)
        sees = caller.may(privacy.PERMISSION)
        patient = method.patient(arguments)
        if patient and not sees:
            self._audit.denied(caller, action.name, "", privacy.PERMISSION)
            raise errors.Denied(
                f"{caller.name} may not look for patients: it takes the permission {privacy.PERMISSION}",
                "an administrator can give it: pacstui accounts edit",
            )
        try:
            result = await getattr(room, name)(**arguments)
        except errors.PacsError as fault:
            if action.audited:
                await self._audit.acted(caller, action.name, target, patient, fault)
            raise
        except BaseException:  # a fault of ours, or the caller or the node went away in the middle of it
            if action.audited:
                unfinished = errors.PacsError("it did not come to its end")
                self._audit.noted(caller, action.name, target, patient, unfinished)
            raise
        if action.audited:
            await self._audit.acted(caller, action.name, target, patient)
            self._bus.publish(OperatorActed(self._clock.now(), caller.name, action.name, target))
        return web.Response(
            body=method.result.dump_json(self._fit_for(caller, sees, method, target, result, patient)),
            content_type="application/json",
        )

    def _fit_for(
        self, caller: Caller, sees: bool, method: wire.Method, target: str, result: Any, patient: str = "",
        *, live: bool = False,
    ) -> Any:  # fmt: skip
        """Return a result as this caller may see it; who sees patients leaves an entry, which names them unless it is
        what is happening now, that passes by."""
        if not method.patients:
            return result
        if not sees:
            return privacy.masked(result)
        if privacy.present(result):
            self._audit.seen(caller, method.action.name, target, patient, ids=() if live else privacy.ids(result))
        return result

    async def _serve_import(self, request: web.Request) -> web.Response:
        caller, source = CURRENT.get(), request.query.get("source", "")
        self._see_that_it_may(caller, IMPORT, source)
        self._audit.seen(caller, IMPORT.name, os.path.dirname(source), kind="import")
        return web.json_response(await self._import(source, request.content.readany))

    async def _serve_stream(self, request: web.Request) -> web.StreamResponse:
        try:
            interval = min(60.0, max(0.2, float(request.query.get("interval", "1"))))
        except ValueError:
            raise errors.BadRequest("interval is a number of seconds") from None
        method = wire.methods("overview")["show"]
        show = self._rooms["overview"].show
        caller = CURRENT.get()
        self._see_that_it_may(caller, method.action, "")
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        after = 0
        try:
            while not self._closing.is_set() and caller.may(method.action.permission):
                view = await show(feed_after=after)
                if view.feed:
                    after = view.feed[-1].id
                fit = self._fit_for(caller, caller.may(privacy.PERMISSION), method, "", view, live=True)
                await answer.write(method.result.dump_json(fit) + b"\n")
                try:
                    await asyncio.wait_for(self._closing.wait(), interval)
                except TimeoutError:
                    caller = await self._caller(request, watching=True)  # the account may have changed meanwhile
        except ConnectionError:
            log.debug("a console went away")
        return answer
