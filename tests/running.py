"""A real node as a process of its own, and a raw sender, for tests that look from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks import sender
from pacstui.api import plain
from tests.forked import Forked


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until(what: Any, seconds: float = 20.0, step: float = 0.02) -> Any:
    """Return the first true value of ``what()``; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come true within {seconds} s")
        time.sleep(step)


@dataclass
class NodeProcess:
    """A node under test. Make it with `running_node`, or start and stop it by hand.

    It is forked from a process with everything imported, unless it is to be started ``plainly``, or by ``preamble``.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    config: str = ""
    preamble: tuple[str, ...] = ()
    plainly: bool = False
    process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text("utf-8", "replace")

    def start(self) -> None:
        """Start and wait until it serves."""
        self.folder.mkdir(exist_ok=True)
        toml = self.folder / "pacstui.toml"
        toml.write_text(
            ("" if "[hl7]" in self.config else "[hl7]\nport = 0\n")
            + f'[node]\ndata_dir = "{self.data_dir}"\ndrain_s = 2\n[dicom]\nae_title = "PACS"\nport = {self.port}\n'
            + self.config
        )
        arguments = ["--config", str(toml), "serve"]
        environment = {"PACSTUI_ARCHIVE__JOURNAL_BYTES": str(8 << 20), **os.environ}  # made at each first start
        if self.plainly or self.preamble:
            with open(self.folder / "node.log", "ab") as log:
                self.process = subprocess.Popen(
                    [*self.preamble, sys.executable, "-m", "pacstui", *arguments],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment,
                )  # fmt: skip
        else:
            self.process = Forked(arguments, self.folder / "node.log", environment)
        until(self._serves, 30)

    def _serves(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the node ended at start with {self.process.returncode}:\n{self.log}")
        try:
            return bool(self.call("node", "status"))
        except Exception:  # not there yet
            return False

    def call(self, noun: str, method: str, **arguments: Any) -> Any:
        """Call a contract action."""
        return plain.call(self.data_dir, noun, method, timeout=20, **arguments)

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)

    def stop(self, seconds: float = 10.0) -> int:
        """SIGTERM; return the exit code, fail if it takes longer than ``seconds``."""
        assert self.process is not None
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the node did not end within {seconds} s:\n{self.log}") from None

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of each stored object's data set as it is on disk now, by SOP Instance UID.

        Fails when the index names a file that is not there or differs from its digest. The node must be stopped.
        """
        found = {}
        with contextlib.closing(sqlite3.connect(self.data_dir / "index.db")) as index:
            assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            for uid, path, offset, digest in index.execute(
                "SELECT sop_instance, path, data_offset, digest FROM instances"
            ):
                data = (self.data_dir / path).read_bytes()[offset:]
                assert sha256(data).digest() == digest, f"{uid} differs from its digest"
                found[uid] = digest.hex()
        return found


@contextlib.contextmanager
def running_node(folder: Path, config: str = "", **more: Any) -> Iterator[NodeProcess]:
    """Run a node for the time of the block and stop it."""
    node = NodeProcess(folder, config=config, **more)
    node.start()
    try:
        yield node
    finally:
        if node.process is not None and node.process.poll() is None:
            node.stop()


class Sender(threading.Thread):
    """One association that stores until it is told to stop or the node is gone; remembers what was acknowledged.

    ``acknowledged`` maps SOP Instance UIDs to the SHA-256 of their data sets; ``statuses`` has every answer.
    """

    def __init__(self, port: int, seed: int, count: int, size: int = 10_240, *, called: str = "PACS") -> None:
        super().__init__(daemon=True)
        self._port, self._seed, self._count, self._size, self._called = port, seed, count, size, called
        self.acknowledged: dict[str, str] = {}
        self.statuses: list[int] = []
        self.halt = threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._send()
        except (OSError, struct.error) as fault:
            self.error = fault

    def _send(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(sender.request(self._called, f"SENDER{self._seed}"[:16]))
            kind, _ = sender.read_pdu(sock)
            if kind != 2:
                raise ConnectionError(f"not accepted: PDU type {kind}")
            for number in range(1, self._count + 1):
                if self.halt.is_set():
                    break
                instance, data, message = sender.message(number, self._size, self._seed, 16384)
                sock.sendall(message)
                status = sender.status_of(sender.read_pdu(sock)[1])
                self.statuses.append(status)
                if status == 0 or status & 0xF000 == 0xB000:
                    self.acknowledged[instance] = sha256(data).hexdigest()
            sock.sendall(sender.RELEASE)
            sender.read_pdu(sock)
