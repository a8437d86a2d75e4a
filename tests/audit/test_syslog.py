"""Audit messages as a syslog server gets them, over UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pacstui.audit import syslog, transport
from pacstui.audit.chain import Entry
from pacstui.audit.lines import DATAGRAM, Server, datagram, line, server_of
from pacstui.audit.message import Teller
from pacstui.audit.syslog import SyslogSender
from pacstui.cli import main
from pacstui.dicom.net.tls import client_context
from pacstui.settings import AuditSettings
from tests.accounts.making import Doors, opened
from tests.dicom.serving import until
from tests.running import free_port, running_node
from tests.running import until as until_so
from tests.services.certificates import Authority, needed

TELLER = Teller("PACS", "PACS", "pacs01")
HEAD = rb"<\d\d>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ pacstui \d+ DICOM\+RFC3881 - \xef\xbb\xbf<AuditMessage>"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PROVEN_S", 0.05)


class Collector:
    """A syslog server: takes messages with octet counting."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._changed = asyncio.Event()
        self.connections: list[asyncio.StreamWriter] = []

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
                self.messages.append(await reader.readexactly(size))
                self._changed.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    @property
    def targets(self) -> list[str]:
        return targets(self.messages)


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
    sender = SyslogSender(doors.database, server, TELLER, context, pause or (lambda seconds: asyncio.sleep(0)))
    doors.trail.written = sender.wake
    doors.audit.server, doors.audit.sent = lambda: sender.state, lambda: sender.sent
    await sender.open(doors.trail.last)
    try:
        yield sender
    finally:
        async with asyncio.timeout(2):
            await sender.close()


async def some(doors: Doors, first: int, count: int) -> None:
    for number in range(first, first + count):
        await doors.trail.record("action", "ok", "eva", action="peers.echo", target=f"peer {number}")


def peers(first: int, end: int) -> list[str]:
    return [f"peer {number}" for number in range(first, end)]


def targets(messages: list[bytes]) -> list[str]:
    return [found for each in messages for found in re.findall(r"Name>(peer \d+)<", each.decode())]


def tcp(port: int) -> Server:
    return Server("syslog+tcp", "127.0.0.1", port)


async def test_over_tcp_in_order_and_again_after_the_server_was_away(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    async with opened(tmp_path) as doors:
        await some(doors, 0, 3)
        async with sending(doors, tcp(port)) as sender:
            await until(lambda: bool(sender.problem))
            assert sender.problem == f"syslog+tcp://127.0.0.1:{port} takes no audit messages: nobody listens there"
            assert sender.state[1] == doors.trail.last
            ((name, level, text, hint, _),) = doors.audit.problems()
            assert (name, level, text) == ("audit server", "warn", sender.problem)
            assert hint.startswith("4 entries wait")
            async with listening(collector, port):
                await collector.until(4)
                assert collector.targets == peers(0, 3)
                await some(doors, 3, 1)
                await collector.until(5)
                await until(lambda: sender.state == (f"syslog+tcp://127.0.0.1:{port}", 0, ""))
                assert list(doors.audit.problems()) == []
            collector.connections.clear()
            await some(doors, 4, 1)
            async with listening(collector, port):
                await until(lambda: collector.targets[-1:] == peers(4, 5))
                assert list(dict.fromkeys(collector.targets)) == peers(0, 5)
                await until(lambda: sender.state[1:] == (0, ""))
    for each in collector.messages:
        assert re.match(HEAD, each)


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    async with listening(collector, port):
        for run in range(3):
            async with opened(tmp_path) as doors:
                async with sending(doors, tcp(port)) as sender:
                    await some(doors, run * 10, 2)
                    await until(lambda: sender.state[1] == 0 and sender.sent == doors.trail.last)
    assert collector.targets == [*peers(0, 2), *peers(10, 12), *peers(20, 22)]


async def test_a_restart_while_the_server_was_away_loses_nothing(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    for run in range(2):
        async with opened(tmp_path) as doors, sending(doors, tcp(port)) as sender:
            await some(doors, run * 2, 2)
            await until(lambda: bool(sender.problem))
    async with listening(collector, port), opened(tmp_path) as doors, sending(doors, tcp(port)):
        await until(lambda: len(collector.targets) == 4)
    assert collector.targets == peers(0, 4)


async def test_closing_sends_what_waits(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    async with listening(collector, port), opened(tmp_path) as doors:
        async with sending(doors, tcp(port)) as sender:
            await collector.until(1)
            await some(doors, 0, 1)
        assert sender.state[1] == 0
        await until(lambda: collector.targets == peers(0, 1))


async def test_of_a_connection_that_ends_at_once_the_last_entries_come_twice(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    async with listening(collector, port), opened(tmp_path) as doors:
        async with sending(doors, tcp(port)) as sender:
            for number in range(4):
                await some(doors, number, 1)
                await until(lambda: sender.state[1] == 0 and sender.sent == doors.trail.last)
                await until(lambda number=number: f"peer {number}" in collector.targets)  # type: ignore[misc]
                collector.connections.pop().close()
                await until(lambda number=number: collector.targets.count(f"peer {number}") == 2)  # type: ignore[misc]
                await until(lambda: sender.state[1] == 0)
                collector.connections.pop().close()
                await until(lambda: sender._transport._out is None)
    assert collector.targets == [each for number in range(4) for each in peers(number, number + 1) * 2]


@pytest.mark.parametrize("reset", [False, True])
async def test_a_server_that_hangs_up_on_us_swallows_nothing(tmp_path: Path, reset: bool) -> None:
    hangups = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hangups
        hangups += 1
        await reader.read(10)
        if reset:
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port, collector = server.sockets[0].getsockname()[1], Collector()
    async with opened(tmp_path) as doors, sending(doors, tcp(port)) as sender:
        await some(doors, 0, 3)
        await until(lambda: hangups > 5)
        assert sender.problem
        assert sender.sent == 0
        server.close()
        async with listening(collector, port):
            await collector.until(4)
    assert collector.targets == peers(0, 3)


async def test_of_a_connection_that_ends_later_nothing_comes_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog, "_UNSURE_S", 0.0)
    port, collector = free_port(), Collector()
    async with listening(collector, port), opened(tmp_path) as doors:
        async with sending(doors, tcp(port)) as sender:
            for number in range(4):
                await some(doors, number, 1)
                await until(lambda: sender.state[1] == 0)
                await until(lambda number=number: collector.targets == peers(0, number + 1))  # type: ignore[misc]
                collector.connections.pop().close()
                await until(lambda: sender._transport.ended is not None or sender._transport._out is None)
    assert collector.targets == peers(0, 4)


async def test_what_the_machine_of_the_server_does_not_take_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog, "_SEND_S", 0.2)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        async with opened(tmp_path) as doors:
            await some(doors, 0, 100)
            async with sending(doors, tcp(sock.getsockname()[1])) as sender:
                await until(lambda: bool(sender.problem))
                assert sender.problem.endswith("it does not answer")
                assert sender.sent < 10  # as many as its machine has room for
                await some(doors, 100, 1)  # the trail does not wait
                assert sender.state[1] > doors.trail.last - 10


@pytest.mark.parametrize("said", [b"", b"who are you?\n" * 1000])
async def test_a_server_that_talks_or_ends_the_connection_is_no_harm(tmp_path: Path, said: bytes) -> None:
    port, collector = free_port(), Collector()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await collector.serve(reader, writer)

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    async with opened(tmp_path) as doors, sending(doors, tcp(port)):
        await some(doors, 0, 2)
        await until(lambda: collector.targets == peers(0, 2))
    server.close()


@needed
async def test_over_tls_to_a_server_that_is_who_it_says(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair, elsewhere = authority.sign("log"), authority.sign("elsewhere", address="DNS:log.example")
    ca, other = str(authority.pair.certificate), str(Authority(tmp_path / "other").pair.certificate)
    (tmp_path / "node").mkdir()
    for presented, trusted, why in (
        (pair, other, "signed by nobody that is trusted"), (elsewhere, ca, "for another host"), (pair, ca, ""),
    ):  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(presented.certificate, presented.key)
        port, collector = free_port(), Collector()
        server = Server("syslog+tls", "127.0.0.1", port)
        async with opened(tmp_path / "node") as doors, listening(collector, port, context):
            async with sending(doors, server, client_context("", "", trusted, check_host=True)) as sender:
                await until(lambda sender=sender: sender.problem or sender.state[1] == 0)  # type: ignore[misc]
                assert why in sender.problem
                assert bool(sender.problem) == bool(why)
                if not why:
                    await collector.until(doors.trail.last)
                assert bool(collector.messages) != bool(why)


@needed
async def test_a_server_that_asks_for_a_certificate_gets_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PROVEN_S", 5.0)  # ends at once here; by TLS 1.3 a client is told late
    authority = Authority(tmp_path / "ca")
    pair, ours, ca = authority.sign("log"), authority.sign("pacs"), str(authority.pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    port, collector = free_port(), Collector()
    (tmp_path / "node").mkdir()
    async with opened(tmp_path / "node") as doors, listening(collector, port, context):
        server = Server("syslog+tls", "127.0.0.1", port)
        async with sending(doors, server, client_context("", "", ca, check_host=True)) as sender:
            await until(lambda: bool(sender.problem))
            assert collector.messages == []
            assert sender.sent == 0
            monkeypatch.setattr(transport, "PROVEN_S", 0.05)
            sender.use(client_context(str(ours.certificate), str(ours.key), ca, check_host=True))
            await collector.until(doors.trail.last)


@asynccontextmanager
async def datagrams(port: int) -> AsyncIterator[asyncio.Queue[bytes]]:
    queue: asyncio.Queue[bytes] = asyncio.Queue()

    class Taking(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            queue.put_nowait(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Taking, local_addr=("127.0.0.1", port))
    try:
        yield queue
    finally:
        transport.close()


async def test_over_udp_also_after_nobody_listened(tmp_path: Path) -> None:
    port = free_port()
    async with opened(tmp_path) as doors:
        await some(doors, 0, 30)
        async with sending(doors, Server("syslog+udp", "127.0.0.1", port)) as sender:
            await until(lambda: bool(sender.problem))
            assert sender.problem == f"syslog+udp://127.0.0.1:{port} takes no audit messages: nobody listens there"
            assert sender.sent == 0
            async with datagrams(port) as queue:
                found = [await asyncio.wait_for(queue.get(), 10) for _ in range(31)]
            assert targets(found) == peers(0, 30)
            for each in found:
                assert re.match(HEAD, each)


@pytest.mark.parametrize("text", ["\U0001f9d1" * 512, '"<&' * 170, "x"])
def test_a_datagram_is_cut_within_its_texts(text: str) -> None:
    entry = Entry(1, 0, "action", "ok", "eva", "OS user", text[:128], "peers.echo", text, text[:256], text)
    sent = datagram(entry, TELLER, 1)
    assert len(sent) <= DATAGRAM
    named = ET.fromstring(sent.partition(b"\xef\xbb\xbf")[2]).findtext(".//ParticipantObjectName", "")
    assert text.startswith(named.rstrip("…"))
    assert len(line(entry, TELLER, 1)) < 32768  # what PS3.15 A.6 makes every server take


def test_the_head_is_ascii_and_tells_how_grave_it_is() -> None:
    entry = Entry(1, 1_767_225_600_123_456, "sign-in", "failed", *[""] * 7)
    head = line(entry, Teller("PACS", "PACS", "pacs höst"), 77).partition(b"<AuditMessage>")[0]
    assert head == b"<84>1 2026-01-01T00:00:00.123456Z pacs_h_st pacstui 77 DICOM+RFC3881 - \xef\xbb\xbf"


async def test_a_server_that_is_away_keeps_nobody_waiting_and_entries_stay_a_month_longer(tmp_path: Path) -> None:
    waits: list[float] = []
    enough = asyncio.Event()

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            enough.set()
            await asyncio.Event().wait()

    async with opened(tmp_path, days=1) as doors:
        async with sending(doors, tcp(free_port()), pause=pause):
            await some(doors, 0, 5)
            await asyncio.wait_for(enough.wait(), 10)
            assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
            doors.clock.advance(timedelta(days=30).total_seconds())
            await doors.audit.tick()
            assert len(await doors.entries()) == 6  # nothing is removed that the server does not have
            doors.clock.advance(timedelta(days=2).total_seconds())
            await some(doors, 5, 1)
            await doors.audit.tick()
            entries = await doors.entries()
            assert [each.target for each in entries] == ["peer 5", ""]
            assert entries[-1].detail == (
                "6 entries older than 1 days were removed; the syslog server never got 6 of them"
            )
            assert (await doors.audit.verify()).flaws == ()


async def test_after_a_removal_only_what_is_there_waits(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    async with opened(tmp_path, days=1) as doors:
        await some(doors, 0, 5)
        doors.clock.advance(timedelta(days=40).total_seconds())
        await some(doors, 5, 1)
        await doors.audit.tick()
        await doors.entries()
        async with sending(doors, tcp(port)) as sender:
            await until(lambda: bool(sender.problem))
            assert sender.state[1] == 2
            async with listening(collector, port):
                await collector.until(2)
    assert collector.targets == peers(5, 6)


async def test_an_entry_that_makes_no_message_keeps_back_no_other(tmp_path: Path) -> None:
    port, collector = free_port(), Collector()
    async with opened(tmp_path) as doors:
        await some(doors, 0, 3)
        with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
            connection.execute("DROP TRIGGER audit_stays")
            connection.execute("UPDATE audit SET target = x'ff' WHERE target = 'peer 1'")
            connection.commit()
        async with listening(collector, port), sending(doors, tcp(port)) as sender:
            await until(lambda: sender.state[1] == 0)
            await collector.until(3)
    assert collector.targets == ["peer 0", "peer 2"]


@pytest.mark.parametrize(
    "url", ["http://x", "syslog://x", "syslog+tcp://", "syslog+tls://x/path", "x", "syslog+tcp://x:0", "syslog+tcp://x:y",
            "syslog+udp://x:70000", "syslog+tcp://eva:secret@x", "syslog+tcp://x?y", "syslog+tcp://[::1"]
)  # fmt: skip
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ValueError, match="syslog server is"):
        AuditSettings(server=url)


@pytest.mark.parametrize(
    ("url", "name"),
    [("syslog+tls://log.example", "syslog+tls://log.example:6514"), ("syslog+tcp://h/", "syslog+tcp://h:601"),
     ("SYSLOG+TLS://LOG.example:7", "syslog+tls://log.example:7"),
     ("syslog+udp://[2001:db8::1]", "syslog+udp://[2001:db8::1]:514"), ("syslog+tcp://h:7", "syslog+tcp://h:7")],
)  # fmt: skip
def test_an_address_without_port_has_the_usual_one(url: str, name: str) -> None:
    assert server_of(AuditSettings(server=url).server).name == name


class Thread(threading.Thread):
    """A syslog server over TLS beside a test that does not use asyncio."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.port = int(self._listener.getsockname()[1])
        self.messages: list[bytes] = []

    def run(self) -> None:
        with self._context.wrap_socket(self._listener, server_side=True) as listener:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                size = b""
                while byte := stream.read(1):
                    size += byte
                    if byte == b" ":
                        self.messages.append(stream.read(int(size)))
                        size = b""


@needed
def test_a_node_tells_the_server_that_it_starts_and_that_it_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.sign("log")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = Thread(context)
    server.start()
    config = (
        f'[audit]\nserver = "syslog+tls://127.0.0.1:{server.port}"\nserver_ca = "{authority.pair.certificate}"\n'
        'source_id = "Archive 1"\n'
    )
    with running_node(tmp_path, config) as node:
        with pytest.raises(SystemExit):
            main(["--config", str(tmp_path / "pacstui.toml"), "audit", "state", "--json"])
        state = json.loads(capsys.readouterr().out)
        assert (state["server"], state["problem"]) == (f"syslog+tls://127.0.0.1:{server.port}", "")
        assert node.call("node", "status")["health"] == "ok"
        until_so(lambda: node.call("audit", "state")["unsent"] == 0)
    server.join(10)
    roots = [ET.fromstring(each.partition(b"\xef\xbb\xbf")[2]) for each in server.messages]
    assert {root.find("AuditSourceIdentification").get("AuditSourceID") for root in roots} == {"Archive 1"}  # type: ignore[union-attr]
    types = [each.get("csd-code") for root in roots for each in root.iter("EventTypeCode")]
    assert types.index("110120") < types.index("110121")
    assert types[-1] == "110121"


def test_a_ca_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config = f'[audit]\nserver = "syslog+tls://127.0.0.1:1"\nserver_ca = "{tmp_path}/none.pem"\n'
    with pytest.raises(AssertionError, match=r"\[audit\] server_ca: .*none.pem cannot be used"):
        with running_node(tmp_path, config):
            pass


@pytest.mark.parametrize("noted", ["999999", "-1", "", "none"])
async def test_a_place_that_the_trail_does_not_reach_is_not_believed(tmp_path: Path, noted: str) -> None:
    port, collector = free_port(), Collector()
    async with listening(collector, port), opened(tmp_path) as doors:
        await some(doors, 0, 3)
        await doors.database.write(lambda c: c.execute("INSERT INTO state VALUES ('audit_sent', ?)", (noted,)))
        async with sending(doors, tcp(port)):
            await collector.until(doors.trail.last)
    assert collector.targets == peers(0, 3)
