"""Who may call a node that listens on a real interface, and how callers who speak something else are named."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import time
from pathlib import Path

import psutil
import pytest

from benchmarks import sender
from tests.running import NodeProcess, running_node, until


def own_address() -> str:
    """Return an IPv4 address of this machine that is not loopback; skip where there is none."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return each.address
    pytest.skip("this machine has only loopback")


def answer(host: str, port: int, calling: str = "MOD1") -> tuple[int, ...]:
    """Ask for an association; return 0,0,0 when it is accepted, else result, source and reason."""
    with socket.create_connection((host, port), timeout=10) as sock:
        sock.sendall(sender.request("PACS", calling))
        kind, body = sender.read_pdu(sock)
        if kind == 2:
            sock.sendall(sender.RELEASE)
            sender.read_pdu(sock)
            return (0, 0, 0)
        assert kind == 3
        return tuple(body[1:4])


def test_off_loopback_only_known_peers_may_call(tmp_path: Path) -> None:
    here = own_address()
    peers = f'[[peers]]\nname = "CT one"\nae_title = "CT1"\nhost = "{here}"\nport = 104\n'
    peers += '[[peers]]\nname = "MR one"\nae_title = "MR1"\nhost = "203.0.113.7"\nport = 104\n'
    with running_node(tmp_path / "node", 'host = "0.0.0.0"\n' + peers) as node:
        assert answer("127.0.0.1", node.port, "ANYBODY") == (0, 0, 0)
        assert answer(here, node.port, "CT1") == (0, 0, 0)
        assert answer(here, node.port, "STRANGER") == (1, 1, 3)
        assert answer(here, node.port, "MR1") == (1, 1, 3)
        told = {each["calling"]: each for each in node.call("associations", "refusals")}
        assert set(told) == {"STRANGER", "MR1"}
        assert f'"STRANGER" from {here} is not known here' in told["STRANGER"]["text"]
        assert f'ae_title = "STRANGER", host = "{here}"' in told["STRANGER"]["hint"], "what to add to the configuration"
        assert "is known at 203.0.113.7" in told["MR1"]["text"]
        callers = node.call("peers", "callers")["rows"]
        assert {each["calling"] for each in callers if each["what"] == "refused"} == {"STRANGER", "MR1"}
        assert answer(here, node.port, "SECOND") == (1, 1, 3)
        node.call("peers", "add", name="Second", ae_title="SECOND", host=here)
        assert answer(here, node.port, "SECOND") == (0, 0, 0), "a peer that is added counts at once"
        node.call("peers", "edit", name="Second", allow="nothing", notes="receives only")
        assert node.call("peers", "show", name="Second")["row"]["allow"] == []
        node.call("peers", "remove", name="Second")
        assert answer(here, node.port, "SECOND") == (1, 1, 3)
        told = [each for each in node.call("audit", "list")["rows"] if each["kind"] == "configuration"]
        assert [each["action"] for each in told[:3]] == ["peers.remove", "peers.edit", "peers.add"]
        assert "allow: all -> nothing; notes: - -> receives only" in told[1]["detail"]
        toml = node.folder / "pacstui.toml"
        toml.write_text(toml.read_text() + f'[[peers]]\nname = "S"\nae_title = "STRANGER"\nhost = "{here}"\n')
        node.signal(signal.SIGHUP)
        until(lambda: answer(here, node.port, "STRANGER") == (0, 0, 0))


@pytest.mark.parametrize(
    ("policy", "loopback", "outside"),
    [("all", (0, 0, 0), (0, 0, 0)), ("none", (1, 1, 3), (1, 1, 3)), ("loopback", (0, 0, 0), (1, 1, 3))],
)
def test_unknown_callers_by_setting(
    tmp_path: Path, policy: str, loopback: tuple[int, ...], outside: tuple[int, ...]
) -> None:
    here = own_address()
    with running_node(tmp_path / "node", f'host = "0.0.0.0"\nunknown_callers = "{policy}"\n') as node:
        assert answer("127.0.0.1", node.port) == loopback
        assert answer(here, node.port) == outside


def test_with_the_usual_settings_nobody_outside_reaches_the_port(tmp_path: Path) -> None:
    here = own_address()
    with running_node(tmp_path / "node") as node:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((here, node.port), timeout=5)


def gone(sock: socket.socket, seconds: float = 10) -> None:
    """Wait until the node has closed a connection."""
    sock.settimeout(seconds)
    with contextlib.suppress(ConnectionError):
        while sock.recv(4096):
            pass


def speak_tls(port: int) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(sock)


def speak_http(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/dicom-web/studies")
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        connection.getresponse()
    connection.close()


def speak_hl7(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"\x0bMSH|^~\\&|RIS|HOSP|||20260101||ORM^O01|1|P|2.3\r\x1c\r")
        gone(sock)


def speak_nonsense(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"\x1b]0;owned\x07\x1b[2J" + os.urandom(100))
        gone(sock)


@pytest.mark.parametrize(
    ("speak", "words", "hint"),
    [
        (speak_tls, "looks like TLS", "switch TLS off for this node at the caller"),
        (speak_http, "looks like HTTP", "give it the right port"),
        (speak_hl7, "looks like HL7", "give the sender the HL7 port"),
        (speak_nonsense, "no DICOM: the connection begins with 1B 5D", "port scanner"),
    ],
    ids=["TLS", "HTTP", "HL7", "nonsense"],
)
def test_who_speaks_something_else_is_named_as_such(node: NodeProcess, speak: object, words: str, hint: str) -> None:
    assert callable(speak)
    speak(node.port)
    (line,) = until(lambda: [line for line in node.log.splitlines() if words in line])
    assert "127.0.0.1" in line, "who it was"
    assert hint in line, "and what to do"
    assert "\x1b" not in node.log
    told = node.call("associations", "refusals")
    assert any(words in each["text"] and hint in each["hint"] for each in told), told
    assert answer("127.0.0.1", node.port) == (0, 0, 0)


def test_a_silent_caller_is_let_go_after_the_artim_time(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", "artim_s = 0.5\n") as node:
        with socket.create_connection(("127.0.0.1", node.port), timeout=10) as sock:
            start = time.monotonic()
            gone(sock)
            assert time.monotonic() - start < 5
        until(lambda: node.call("node", "status")["associations"]["active"] == 0)
