"""The doctor's look at the syslog server: there, trusted, taking us, for how long; and what waits for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacstui.audit.probe import Found, look, until_words
from pacstui.settings import AuditSettings, TlsSettings
from tests.accounts.making import opened
from tests.audit import rsyslog
from tests.audit.rsyslog import Rsyslog
from tests.running import free_port, running_node, until


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rsyslog]:
    with rsyslog.running(tmp_path_factory.mktemp("rsyslog"), mode="x509/name") as made:
        yield made


def found(url: str, ca: str = "", **tls: str) -> list[Found]:
    return list(look(AuditSettings(server=url, server_ca=ca), TlsSettings(**tls)))  # type: ignore[arg-type]


def url(server: Rsyslog, kind: str, host: str = "127.0.0.1") -> str:
    return f"{kind}://{host}:{server.ports[kind]}"


@rsyslog.needed
def test_a_server_that_takes_us_is_well_and_says_until_when(strict: Rsyslog) -> None:
    pair, ca = strict.authority.sign("node", address="DNS:node"), str(strict.authority.pair.certificate)
    told = found(url(strict, "syslog+tls"), ca, certificate=str(pair.certificate), key=str(pair.key))
    assert [level for level, _, _ in told] == ["ok", "ok"]
    assert "takes connections, TLSv1.3" in told[0][1]
    assert "its certificate is good until" in told[1][1]


@rsyslog.needed
def test_what_is_wrong_is_said_with_what_to_do(strict: Rsyslog) -> None:
    ca = str(strict.authority.pair.certificate)
    told = found(url(strict, "syslog+tls"), ca)
    assert told[-1][0] == "fail"
    assert "ended the connection at once" in told[-1][1]
    assert "[tls] certificate" in told[-1][2]
    assert "signed by nobody that is trusted" in found(url(strict, "syslog+tls"))[0][1]
    assert "another host" in found(url(strict, "syslog+tls", "localhost"), ca)[0][1]
    assert found(url(strict, "syslog+tcp"))[0][:1] == ("ok",)
    assert "UDP does not tell" in found(url(strict, "syslog+udp"))[0][1]
    assert "begins no TLS" in found(f"syslog+tls://127.0.0.1:{strict.ports['syslog+tcp']}", ca)[0][1]


def test_nobody_there_and_no_server_at_all() -> None:
    (told,) = found(f"syslog+tcp://127.0.0.1:{free_port()}")
    assert (told[0], "nobody listens there" in told[1]) == ("fail", True)
    assert found("") == []


@pytest.mark.parametrize(("days", "level"), [(-1, "warn"), (29, "warn"), (31, "ok")])
def test_a_certificate_that_ends_soon_is_told_of(days: int, level: str) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ends = f"{now + timedelta(days=days):%b %d %H:%M:%S %Y} GMT"
    told = until_words(ends, now)
    assert (told[0], f"{max(0, days)} days" in told[1]) == (level, True)


async def test_since_when_entries_wait_is_known(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await doors.trail.record("action", "ok", "eva", action="peers.echo")
        doors.clock.advance(600)
        await doors.trail.record("action", "ok", "eva", action="peers.echo")
        assert (await doors.audit.state()).unsent_since is None
        doors.audit.server, doors.audit.sent = lambda: ("syslog+tcp://x:1", 1, ""), lambda: 2
        assert (await doors.audit.state()).unsent_since == doors.clock.now()


def test_the_doctor_says_how_many_wait(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with running_node(tmp_path / "node", f'[audit]\nserver = "syslog+tcp://{address}"\n') as node:
            until(lambda: node.call("audit", "state")["unsent"] > 0)
            done = subprocess.run(
                [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), "doctor"],
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
    assert f"fail  audit server: syslog+tcp://{address} takes no audit messages: nobody listens there" in done.stdout
    assert "for it, the oldest from" in done.stdout
