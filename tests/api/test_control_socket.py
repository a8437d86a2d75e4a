"""Calls over the control socket: results as the contract types them, refusals with a reason, nothing from misuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pacstui import errors, events
from pacstui.api import plain
from pacstui.api.client import ApiClient
from pacstui.api.server import ControlServer
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.contract.feed import FeedRow
from pacstui.contract.peers import EchoResult, PeerRow
from tests.accounts.making import opened


class Peers:
    async def list(self) -> tuple[PeerRow, ...]:
        return (PeerRow("CT one", "CT1", "127.0.0.1", 104, "", None, 0, "never", None, 0.0, ""),)

    async def echo(self, name: str) -> EchoResult:
        if name == "boom":
            raise RuntimeError("a fault inside")
        if name != "CT one":
            raise errors.NotFound(f"there is no peer {name}", "pacstui peers list shows them")
        return EchoResult(name, True, 1.5, (), "")


class Feed:
    def __init__(self) -> None:
        self.rows = [FeedRow(1, FakeClock().now(), "info", "node", "started", "", 0, 1)]

    async def list(self, after: int = 0, limit: int = 200) -> tuple[FeedRow, ...]:
        return tuple(row for row in self.rows if row.id > after)[:limit]


async def _import(source: str, read: Callable[[], Awaitable[bytes]]) -> dict[str, Any]:
    octets = 0
    while chunk := await read():
        octets += len(chunk)
    return {"result": "stored", "reason": "", "sop_instance": source, "bytes": octets}


@pytest.fixture
async def bus() -> Bus:
    return Bus()


@pytest.fixture
async def folder(tmp_path: Path, bus: Bus) -> AsyncIterator[Path]:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    async with opened(tmp_path) as doors:
        rooms = {"peers": Peers(), "feed": Feed()}
        server = ControlServer(deep, rooms, _import, doors.gate, doors.audit, bus, FakeClock())
        await server.start()
        yield deep
        await server.close()
    assert not (deep / plain.SOCKET_NAME).exists()


async def test_a_call_gives_back_the_contracts_own_values_even_in_a_deep_folder(folder: Path) -> None:
    client = ApiClient(folder)
    try:
        assert (await client.peers.list())[0].ae_title == "CT1"
        assert (await client.peers.echo("CT one")).ok
        rows = await client.feed.list(after=0)
        assert rows == (await Feed().list())
        assert rows[0] == replace(rows[0])
    finally:
        await client.close()


async def test_the_command_lines_plain_call_sees_the_same(folder: Path) -> None:
    listed = await asyncio.to_thread(plain.call, folder, "peers", "list")
    assert listed[0]["name"] == "CT one"
    answer = await asyncio.to_thread(
        plain.exchange, folder, "/v1/import?source=x.dcm", iter([b"a" * 70000, b"b"]), content="application/dicom"
    )
    assert answer["bytes"] == 70001


async def test_a_refusal_keeps_its_kind_message_and_hint(folder: Path) -> None:
    client = ApiClient(folder)
    try:
        with pytest.raises(errors.NotFound) as caught:
            await client.peers.echo("nobody")
        assert caught.value.hint == "pacstui peers list shows them"
        with pytest.raises(errors.PacsError, match="the node failed at this"):
            await client.peers.echo("boom")
        assert (await client.peers.echo("CT one")).ok
    finally:
        await client.close()


async def test_an_audited_action_is_told_with_who_did_it(folder: Path, bus: Bus) -> None:
    told: list[events.OperatorActed] = []
    bus.subscribe(events.OperatorActed, told.append)
    await asyncio.to_thread(plain.call, folder, "peers", "echo", name="CT one")
    await asyncio.to_thread(plain.call, folder, "peers", "list")
    assert [(event.action, event.target) for event in told] == [("peers.echo", "CT one")]
    assert told[0].who


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/v1/peers/echo", b"{}", "needs name"),
        ("/v1/peers/echo", b'{"name": "CT one", "force": 1}', "does not take force"),
        ("/v1/peers/echo", b'{"name": 5}', "name"),
        ("/v1/peers/echo", b"[1]", "JSON object"),
        ("/v1/peers/echo", b"{nonsense", "no JSON"),
        ("/v1/peers/echo", b"[" * 100000, "no JSON"),
        ("/v1/peers/__init__", b"{}", "no action"),
        ("/v1/node/status", b"{}", "no action"),
        ("/v1/../etc/passwd", b"{}", ""),
        ("/", b"", ""),
        ("/v1/peers/echo", b'{"name": "' + b"x" * 2_000_000 + b'"}', ""),
    ],
    ids=["missing", "unknown", "type", "list", "broken", "deep", "dunder", "room", "dots", "root", "large"],
)
async def test_misuse_is_answered_with_a_reason_and_does_no_harm(
    folder: Path, path: str, body: bytes, says: str
) -> None:
    with pytest.raises(errors.PacsError, match=says or "."):
        await asyncio.to_thread(plain.exchange, folder, path, body)
    assert await asyncio.to_thread(plain.call, folder, "peers", "list")


async def test_a_folder_without_node_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(errors.NotRunning) as caught:
        plain.call(tmp_path, "node", "status")
    assert "pacstui serve" in caught.value.hint
    client = ApiClient(tmp_path / "absent" / plain.SOCKET_NAME)
    with pytest.raises(errors.NotRunning):
        await client.node.status()
    await client.close()


async def test_the_socket_is_the_owners_alone(folder: Path) -> None:
    assert (folder / plain.SOCKET_NAME).stat().st_mode & 0o077 == 0
    reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{_descriptor(folder)}/{plain.SOCKET_NAME}")
    writer.write(b"\x16\x03\x01 not http at all\r\n\r\n")
    answer = await reader.read(100)
    assert b"400" in answer
    writer.close()


def _descriptor(folder: Path) -> int:
    import os

    return os.open(folder, os.O_RDONLY)
