"""Audit messages as a syslog server gets them, over UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.audit.chain import Entry
from pacstui.audit.message import message
from pacstui.audit.syslog import Server, SyslogSender, line
from pacstui.dicom.net.tls import client_context
from pacstui.settings import AuditSettings
from tests.accounts.making import Doors, opened
from tests.dicom.serving import until
from tests.running import free_port
from tests.services.certificates import Authority, needed


class Collector:
    """A syslog server: takes messages with octet counting, or one a datagram."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._changed = asyncio.Event()
        self.connections: list[asyncio.StreamWriter] = []

    def take(self, text: bytes) -> None:
        self.messages.append(text)
        self._changed.set()

    async def until(self, count: int) -> list[bytes]:
        async with asyncio.timeout(10):
            while len(self.messages) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.messages

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while True:
                size = int(await reader.readuntil(b" "))
                self.take(await reader.readexactly(size))
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def listening(collector: Collector, port: int, context: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    server = await asyncio.start_server(collector.serve, "127.0.0.1", port, ssl=context)
    try:
        yield
    finally:
        server.close()
        for writer in collector.connections:
            writer.transport.abort()


@asynccontextmanager
async def sending(doors: Doors, server: Server, context: ssl.SSLContext | None = None,
                  pause: Callable[[float], object] | None = None) -> AsyncIterator[SyslogSender]:  # fmt: skip
    sender = SyslogSender(doors.database, server, "PACS", context, pause or (lambda seconds: asyncio.sleep(0.01)))
    doors.trail.written = sender.wake
    await sender.open(doors.trail.last)
    try:
        yield sender
    finally:
        await sender.close()


async def some(doors: Doors, first: int, count: int) -> None:
    for number in range(first, first + count):
        await doors.trail.record("action", "ok", "eva", action="peers.echo", target=f"peer {number}")


def targets(messages: list[bytes]) -> list[str]:
    return [found for each in messages for found in re.findall(r'ParticipantObjectID="(peer \d+)"', each.decode())]


async def test_over_tcp_in_order_and_again_after_the_server_was_away(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    async with opened(tmp_path) as doors:
        await some(doors, 0, 3)
        async with sending(doors, Server("syslog+tcp", "127.0.0.1", port)) as sender:
            await until(lambda: bool(sender.problem))
            assert f"syslog+tcp://127.0.0.1:{port} takes no audit messages" in sender.problem
            assert sender.state[1] == doors.trail.last
            async with listening(collector, port):
                await collector.until(4)
                assert targets(collector.messages) == ["peer 0", "peer 1", "peer 2"]
                await some(doors, 3, 1)
                await collector.until(5)
            collector.connections.clear()
            await some(doors, 4, 1)
            async with listening(collector, port):
                await collector.until(6)
                assert list(dict.fromkeys(targets(collector.messages))) == [f"peer {n}" for n in range(5)]
            assert sender.state[1:] == (0, "")


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    async with listening(collector, port):
        for run in range(3):
            async with opened(tmp_path) as doors:
                async with sending(doors, Server("syslog+tcp", "127.0.0.1", port)) as sender:
                    await some(doors, run * 10, 2)
                    await until(lambda: sender.state[1] == 0 and sender.sent == doors.trail.last)
    assert targets(collector.messages) == ["peer 0", "peer 1", "peer 10", "peer 11", "peer 20", "peer 21"]


@needed
async def test_over_tls_to_a_server_that_is_who_it_says(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.sign("log")
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(pair.certificate, pair.key)
    port, collector = free_port(), Collector()
    (tmp_path / "node").mkdir()
    async with opened(tmp_path / "node") as doors, listening(collector, port, server_side):
        server = Server("syslog+tls", "127.0.0.1", port)
        other = Authority(tmp_path / "other").pair.certificate
        async with sending(doors, server, client_context("", "", str(other), check_host=True)) as sender:
            await until(lambda: bool(sender.problem))
            assert "certificate verify failed" in sender.problem.lower()
        assert collector.messages == []
        async with sending(doors, server, client_context("", "", str(authority.pair.certificate), check_host=True)):
            await collector.until(1)


async def test_over_udp(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        async with opened(tmp_path) as doors:
            async with sending(doors, Server("syslog+udp", "127.0.0.1", sock.getsockname()[1])):
                text = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 70000), 5)
    head = rb"<85>1 2026-01-01T00:00:00\.\d{6}Z \S+ pacstui \d+ DICOM\+RFC3881 - \xef\xbb\xbf<AuditMessage>"
    assert re.match(head, text)


async def test_a_server_that_takes_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    waits: list[float] = []
    enough = asyncio.Event()

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            enough.set()
            await asyncio.Event().wait()

    async with opened(tmp_path, days=1) as doors:
        async with sending(doors, Server("syslog+tcp", "127.0.0.1", free_port()), pause=pause) as sender:
            doors.audit.sent = lambda: sender.sent
            await some(doors, 0, 5)
            await asyncio.wait_for(enough.wait(), 10)
            doors.clock.advance(timedelta(days=9).total_seconds())
            await doors.audit.tick()
            assert len(await doors.entries()) == 6  # nothing is removed that the server does not have
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def entry(**given: str) -> Entry:
    names = ("kind", "outcome", "who", "how", "origin", "action", "target", "patient", "detail")
    usual = {"kind": "action", "outcome": "ok", "who": "eva", "how": "OS user", "origin": "eva, process 7"}
    values = dict.fromkeys(names, "") | usual | given
    return Entry(7, 1_767_225_600_000_000, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "event", "kind", "outcome"),
    [
        ({"kind": "sign-in"}, "110114", "110122", "0"),
        ({"kind": "sign-in", "outcome": "failed"}, "110114", "110122", "4"),
        ({"kind": "sign-out"}, "110114", "110123", "0"),
        ({"kind": "node", "action": "node.start", "who": "node"}, "110100", "110120", "0"),
        ({"kind": "node", "action": "node.stop", "who": "node"}, "110100", "110121", "0"),
        ({"kind": "patients seen", "action": "studies.list"}, "110112", None, "0"),
        ({"kind": "patients seen", "action": "studies.show"}, "110103", None, "0"),
        ({"kind": "patients seen", "action": "audit.list"}, "110101", None, "0"),
        ({"kind": "export", "action": "accounts.export_csv"}, "110106", None, "0"),
        ({"kind": "import", "action": "storage.import"}, "110107", None, "0"),
        ({"kind": "action", "action": "accounts.create"}, "110113", "110137", "0"),
        ({"kind": "action", "action": "accounts.save_role"}, "110113", "110136", "0"),
        ({"kind": "association refused", "outcome": "denied"}, "110113", "110126", "4"),
        ({"kind": "denied", "outcome": "denied"}, "110113", "110132", "4"),
        ({"kind": "recovery"}, "110113", "110127", "0"),
    ],
)
def test_each_kind_of_entry_is_the_event_of_the_standard(
    given: dict[str, str], event: str, kind: str | None, outcome: str
) -> None:
    root = ET.fromstring(message(entry(**given), "PACS", "host", 1))
    about = root[0]
    assert about.get("EventOutcomeIndicator") == outcome
    assert about.find("EventID").get("csd-code") == event  # type: ignore[union-attr]
    told = about.find("EventTypeCode")
    assert (told.get("csd-code") if told is not None else None) == kind
    order = ["EventIdentification", "ActiveParticipant", "AuditSourceIdentification", "ParticipantObjectIdentification"]
    tags = [child.tag for child in root]
    assert tags == sorted(tags, key=order.index)
    assert root.find("AuditSourceIdentification").get("AuditSourceID") == "PACS"  # type: ignore[union-attr]
    assert root.findall("ActiveParticipant")[-1].find("RoleIDCode").get("csd-code") == "110150"  # type: ignore[union-attr]


@given(st.dictionaries(st.sampled_from(("who", "origin", "target", "patient", "detail", "how")), st.text(max_size=40)))
def test_any_text_is_carried_by_well_formed_xml(given: dict[str, str]) -> None:
    sent = line(entry(**given), "PACS", "host", 1)
    root = ET.fromstring(sent.partition(b"\xef\xbb\xbf")[2])
    who = given.get("who", "eva")
    if who and who.isprintable():
        assert root.find("ActiveParticipant").get("UserID") == who  # type: ignore[union-attr]


@pytest.mark.parametrize("url", ["http://x", "syslog://x", "syslog+tcp://", "syslog+tls://x/path", "x"])
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ValueError, match="syslog server is"):
        AuditSettings(server=url)
