"""A node as a process of its own, and senders that speak raw MLLP to it: what AA promises, however the node ends."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.running import NodeProcess, free_port, running_node, until

MESSAGE = (
    "MSH|^~\\&|RIS|LAB|PACS|NODE|20260101120000||ADT^A08^ADT_A01|{n}|P|2.5\rEVN|A08\r"
    "PID|1||P{n}^^^LAB||DOE^NUMBER{n}||19700101|F\r"
)
_GOOD = re.compile(rb"\rMSA\|AA\|([^\r|]+)")


class Sender(threading.Thread):
    """Sends messages one behind the other without waiting, and remembers which were answered AA."""

    def __init__(self, port: int, first: int, count: int) -> None:
        super().__init__(daemon=True)
        self.port, self.numbers = port, range(first, first + count)
        self.good: list[str] = []

    def run(self) -> None:
        with contextlib.suppress(OSError), until(self._connected) as sock:
            threading.Thread(target=self._send, args=(sock,), daemon=True).start()
            rest = b""
            while len(self.good) < len(self.numbers):
                data = sock.recv(1 << 16)
                if not data:
                    break
                whole, _, rest = (rest + data).rpartition(b"\x1c\r")
                self.good += [each.decode() for each in _GOOD.findall(whole)]

    def _connected(self) -> socket.socket | None:
        try:
            return socket.create_connection(("127.0.0.1", self.port), timeout=20)
        except ConnectionRefusedError:  # the node has just begun
            return None

    def _send(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for n in self.numbers:
                sock.sendall(b"\x0b" + MESSAGE.format(n=n).encode() + b"\x1c\r")


@pytest.fixture
def port() -> int:
    return free_port()


def kept(node: NodeProcess) -> list[tuple[str, str, str]]:
    with contextlib.closing(sqlite3.connect(node.data_dir / "index.db")) as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return index.execute("SELECT control, state, answer FROM hl7_messages ORDER BY id").fetchall()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_every_message_that_was_answered_aa_is_there_once_and_repeated_ones_are_known(
    tmp_path: Path, port: int, how: str
) -> None:
    node = NodeProcess(tmp_path / "node", config=f"[hl7]\nport = {port}\n", plainly=True)
    try:
        node.start()
        senders = [Sender(port, 10_000 * n, 5000) for n in range(2)]
        for sender in senders:
            sender.start()
        until(lambda: all(len(sender.good) > 100 for sender in senders))
        if how == "kill":
            node.kill()
        else:
            assert node.stop(10) == 0
        for sender in senders:
            sender.join(20)
        there = kept(node)
        for sender in senders:
            first = sender.numbers[0]
            mine = [control for control, _, _ in there if first <= int(control) < first + 10_000]
            assert mine == [str(first + n) for n in range(len(mine))], "in their order, each once"
            assert sender.good == mine[: len(sender.good)]
            if how == "stop":
                assert sender.good == mine, "what was taken before the end was answered"
        node.start()
        again = Sender(port, 0, 50)
        again.start()
        again.join(20)
        assert len(again.good) == 50
        node.stop()
        assert [state for _, state, _ in kept(node)[len(there) :]] == ["repeated"] * 50
    finally:
        if node.process is not None and node.process.poll() is None:
            node.kill()


def test_the_command_line_sends_lists_shows_edits_and_ignores(tmp_path: Path, port: int) -> None:
    file = tmp_path / "messages.hl7"
    file.write_text((MESSAGE.format(n=1) + MESSAGE.format(n=2).replace("ADT", "ZZZ")).replace("\r", "\n"))

    with running_node(tmp_path / "node", f"[hl7]\nport = {port}\n") as node:

        def run(*words: str, code: int = 0) -> str:
            command = [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), *words]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert ran.returncode == code, ran.stdout + ran.stderr
            return ran.stdout + ran.stderr

        told = run("hl7", "send", str(file), "--to", f"127.0.0.1:{port}", code=1)
        assert "1: AA" in told
        assert "2: AR" in told
        assert "1 message to be looked at" in run("hl7", "show")
        assert "P1" in run("hl7", "list", "--search", "p1")
        assert "x MSH-9" in run("hl7", "view", "2")
        assert f"port {port}; " in run("status", code=1)
        assert "could not be acted on" in run("status", code=1)
        assert "ZZZ^A08 answered AR: unsupported message type (MSH-9)" in run("events")
        text = node.call("hl7", "message", id=2)["raw"].replace("ZZZ", "ADT")
        (tmp_path / "edited").write_text(text)
        assert "= done" in run("hl7", "edit", "2", "--file", str(tmp_path / "edited"))
        assert "= resolved" in run("hl7", "list", "--state", "resolved")
        assert "nobody is there to answer" in run("hl7", "replay", "1", code=1)
        assert "= done" in run("hl7", "replay", "1", "--yes")
        assert {"hl7.resubmit", "hl7.replay"} <= {row["action"] for row in node.call("audit", "list")["rows"]}
        assert "NUMBER2" not in node.log
        assert "P2" not in node.log
        assert run("status").startswith("PACS on")


def test_a_reload_lets_another_sender_in(tmp_path: Path, port: int) -> None:
    before = f'[hl7]\nport = {port}\nunknown_senders = "none"\n'
    with running_node(tmp_path / "node", before, plainly=True) as node:
        toml = node.folder / "pacstui.toml"

        def taken() -> bool:
            sender = Sender(port, 1, 1)
            sender.start()
            sender.join(10)
            return sender.good == ["1"]

        assert not taken()
        toml.write_text(toml.read_text() + '[[hl7.senders]]\nname = "RIS"\nhosts = ["127.0.0.1"]\n')
        node.signal(signal.SIGHUP)
        until(taken)
