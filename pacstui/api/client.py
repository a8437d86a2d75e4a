"""The console's way to the node: the contract's nouns, called over the control socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import aiohttp

from pacstui import contract, errors
from pacstui.api import wire
from pacstui.api.plain import SOCKET_NAME, error_from, not_running, reachable
from pacstui.contract.overview import View

_VIEW_LIMIT = 16 * 1024 * 1024


class _Noun:
    """A noun whose methods are calls; typed as the contract's Protocol by `ApiClient`."""

    def __init__(self, client: ApiClient, name: str) -> None:
        for method_name in wire.methods(name):
            setattr(self, method_name, self._caller(client, name, method_name))

    @staticmethod
    def _caller(client: ApiClient, noun: str, method_name: str) -> Callable[..., Any]:
        method = wire.methods(noun)[method_name]
        names = tuple(method.parameters)

        async def call(*args: Any, **kwargs: Any) -> Any:
            arguments = dict(zip(names, args, strict=False)) | kwargs
            return method.result.validate_json(await client.post(f"/v1/{noun}/{method_name}", arguments))

        return call


class ApiClient:
    """One console's connection to a node.

    Parameters
    ----------
    socket_path
        The control socket, or the data directory that holds it.
    token
        Of a sign-in with a password; empty where the OS user is who is known. May be changed at any time.

    ``idle_s`` tells for how many seconds nobody has touched the console: a session that is not used ends.

    Every call raises `NotRunning` when no node answers and the node's own `PacsError` when it declines.
    """

    def __init__(self, socket_path: Path, token: str = "") -> None:
        self.path = socket_path / SOCKET_NAME if socket_path.is_dir() else socket_path
        self._stack = ExitStack()
        self._session: aiohttp.ClientSession | None = None
        self.token = token
        self.idle_s: Callable[[], float] = lambda: 0.0
        self.node = cast(contract.Node, _Noun(self, "node"))
        self.overview = cast(contract.Overview, _Noun(self, "overview"))
        self.associations = cast(contract.Associations, _Noun(self, "associations"))
        self.queue = cast(contract.Queue, _Noun(self, "queue"))
        self.storage = cast(contract.Storage, _Noun(self, "storage"))
        self.peers = cast(contract.Peers, _Noun(self, "peers"))
        self.studies = cast(contract.Studies, _Noun(self, "studies"))
        self.feed = cast(contract.Feed, _Noun(self, "feed"))
        self.remote = cast(contract.Remote, _Noun(self, "remote"))
        self.commitments = cast(contract.Commitments, _Noun(self, "commitments"))
        self.accounts = cast(contract.Accounts, _Noun(self, "accounts"))
        self.audit = cast(contract.Audit, _Noun(self, "audit"))
        self.jobs = cast(contract.Jobs, _Noun(self, "jobs"))
        self.backups = cast(contract.Backups, _Noun(self, "backups"))
        self.space = cast(contract.Space, _Noun(self, "space"))
        self.maintenance = cast(contract.Maintenance, _Noun(self, "maintenance"))
        self.corrections = cast(contract.Corrections, _Noun(self, "corrections"))
        self.merges = cast(contract.Merges, _Noun(self, "merges"))
        self.routes = cast(contract.Routes, _Noun(self, "routes"))
        self.reports = cast(contract.Reports, _Noun(self, "reports"))
        self.hl7 = cast(contract.Hl7, _Noun(self, "hl7"))
        self.exceptions = cast(contract.Exceptions, _Noun(self, "exceptions"))
        self.worklist = cast(contract.Worklist, _Noun(self, "worklist"))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            try:
                path = self._stack.enter_context(reachable(self.path))
            except OSError:
                raise not_running(self.path.parent) from None
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=path, limit=8), base_url="http://node"
            )
        return self._session

    async def close(self) -> None:
        """End all calls and close the connection."""
        if self._session is not None:
            await self._session.close()
        self._stack.close()

    async def post(self, path: str, arguments: dict[str, Any], timeout: float = 60.0) -> bytes:
        """Send one call and return the answer's JSON; a call over ``timeout`` seconds is `Unavailable`."""
        try:
            async with self._open().post(
                path, json=arguments, timeout=aiohttp.ClientTimeout(total=timeout), headers=self._headers()
            ) as answer:
                body = await answer.read()
                if answer.status == 200:
                    return body
                raise error_from(await answer.json(content_type=None))
        except TimeoutError:
            raise errors.Unavailable("the node did not answer in time", "it may be busy; try again") from None
        except ValueError:
            raise error_from(None) from None
        except (aiohttp.ClientError, OSError) as fault:
            raise self._unreachable(fault) from None

    def _headers(self) -> dict[str, str]:
        told = {wire.IDLE: str(round(self.idle_s()))}
        return told | {"Authorization": f"Bearer {self.token}"} if self.token else told

    def _unreachable(self, fault: BaseException) -> errors.PacsError:
        if isinstance(fault, PermissionError) or isinstance(fault.__cause__, PermissionError):
            return errors.Denied(
                "the node lets only its own user in", "run the console as that user, or let others in: [accounts] reach"
            )
        return not_running(self.path.parent)

    async def stream(self, interval: float = 1.0) -> AsyncIterator[View]:
        """Yield the dashboard's state every ``interval`` seconds, for as long as the node runs.

        The node makes the next value only after the previous one was read, so a slow reader costs it nothing.
        """
        adapter = wire.methods("overview")["show"].result
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=max(10.0, interval * 5))
        try:
            async with self._open().get(
                "/v1/stream",
                params={"interval": str(interval)},
                timeout=timeout,
                read_bufsize=_VIEW_LIMIT,
                headers=self._headers(),
            ) as answer:
                if answer.status != 200:
                    raise error_from(await answer.json(content_type=None))
                async for line in answer.content:
                    yield adapter.validate_json(line)
        except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError) as fault:
            raise self._unreachable(fault) from None
        raise not_running(self.path.parent)
