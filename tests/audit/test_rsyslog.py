"""Audit messages as a real rsyslog gets them: by each transport, whole, in order, and again after it was away."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pacstui.audit import transport
from pacstui.audit.lines import Server
from pacstui.dicom.net.tls import client_context
from tests.accounts.making import opened
from tests.audit import rsyslog
from tests.audit.rsyslog import Rsyslog
from tests.audit.test_syslog import sending

pytestmark = rsyslog.needed
ODD = "Müller 山田 ␛ \u2028 < & ]]> \t 100%"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PROVEN_S", 0.1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rsyslog]:
    with rsyslog.running(tmp_path_factory.mktemp("rsyslog")) as made:
        yield made


async def until(done: Callable[[], bool]) -> None:
    """Wait for what another program does."""
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def context(server: Rsyslog, kind: str, certificate: str = "", key: str = "") -> ssl.SSLContext | None:
    ca = str(server.authority.pair.certificate)
    return client_context(certificate, key, ca, check_host=True) if kind == "syslog+tls" else None


def named(server: Rsyslog, what: str) -> list[str]:
    return [each["text"] for each in server.messages() if what in each["text"]]


@pytest.mark.parametrize("kind", ["syslog+udp", "syslog+tcp", "syslog+tls"])
async def test_every_entry_arrives_whole_and_in_order(tmp_path: Path, server: Rsyslog, kind: str) -> None:
    mark = kind.replace("+", "-")
    async with opened(tmp_path) as doors:
        await doors.trail.record("action", "denied", "eva", action="peers.echo", target=f"{mark} {ODD}")
        await doors.trail.record("patients seen", "ok", "eva", action="studies.list", target=f"{mark} long",
                                 patient="ID " + "9" * 2000)  # fmt: skip
        for number in range(150):
            await doors.trail.record("action", "ok", "eva", action="peers.echo", target=f"{mark} {number:03d}")
        where = Server(kind, "127.0.0.1", server.ports[kind])
        async with sending(doors, where, context(server, kind)) as sender:
            await until(lambda: sender.sent == doors.trail.last)
            await until(lambda: len(named(server, mark)) >= 151)
            assert not sender.problem
    texts = named(server, mark)
    numbers = [int(found[1]) for found in (re.search(rf"Name>{mark} (\d+)<", text) for text in texts) if found]
    assert numbers == list(range(150))
    for text in texts:
        ET.fromstring(text.removeprefix("\ufeff"))
    odd = ET.fromstring(texts[0].removeprefix("\ufeff"))
    assert "Müller 山田" in next(each.text or "" for each in odd.iter("ParticipantObjectName"))
    first = next(each for each in server.messages() if mark in each["text"])
    assert (first["program"], first["id"], first["host"], first["facility"], first["severity"], first["protocol"]) == (
        "pacstui", "DICOM+RFC3881", "pacs01", "10", "4", "1",
    )  # fmt: skip


async def test_what_was_written_while_it_was_away_comes_when_it_is_back(tmp_path: Path) -> None:
    with rsyslog.running(tmp_path / "server") as server:
        where = Server("syslog+tcp", "127.0.0.1", server.ports["syslog+tcp"])
        async with opened(tmp_path) as doors:
            await doors.trail.record("action", "ok", "eva", action="peers.echo", target="number 0")
            async with sending(doors, where) as sender:
                await until(lambda: len(named(server, "number ")) == 1)
                server.stop()
                for number in range(1, 6):
                    await doors.trail.record("action", "ok", "eva", action="peers.echo", target=f"number {number}")
                await until(lambda: bool(sender.problem))
                assert "nobody listens there" in sender.problem
                server.start()
                await until(lambda: not sender.problem and sender.sent == doors.trail.last)
                await until(lambda: len(set(re.findall(r"Name>number (\d)<", "".join(named(server, "number "))))) == 6)


async def test_a_server_that_wants_our_certificate_says_so_and_takes_it(tmp_path: Path) -> None:
    with rsyslog.running(tmp_path / "server", mode="x509/name") as server:
        where = Server("syslog+tls", "127.0.0.1", server.ports["syslog+tls"])
        async with opened(tmp_path) as doors:
            await doors.trail.record("action", "ok", "eva", action="peers.echo", target="secret")
            async with sending(doors, where, context(server, "syslog+tls")) as sender:
                await until(lambda: bool(sender.problem))
                assert sender.sent == 0
                assert not server.messages()
                pair = server.authority.sign("node", address="DNS:node")
                sender.use(context(server, "syslog+tls", str(pair.certificate), str(pair.key)))
                await until(lambda: sender.sent == doors.trail.last)
                await until(lambda: len(named(server, "secret")) >= 1)
