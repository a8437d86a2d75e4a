"""A node is told to end, or to read its settings again, in the middle of a transfer."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks import sender
from tests.running import NodeProcess, Sender, until

SIZE = 3_000_000


class Slow:
    """An association that has sent the first part of an object."""

    def __init__(self, node: NodeProcess, seed: int = 1, part: float = 0.5) -> None:
        self.instance, data, self._message = sender.message(1, SIZE, seed, 16384)
        self.digest = sha256(data).hexdigest()
        self.socket = socket.create_connection(("127.0.0.1", node.port), timeout=20)
        self.socket.sendall(sender.request("PACS", f"SLOW{seed}"))
        assert sender.read_pdu(self.socket)[0] == 2
        self._at = int(len(self._message) * part)
        self.socket.sendall(self._message[: self._at])
        until(lambda: any(row["received_bytes"] > SIZE * part / 2 for row in node.call("associations", "list")))

    def more(self, count: int = 1 << 30) -> None:
        """Send the next bytes, by default all that are left."""
        piece = self._message[self._at : self._at + count]
        self._at += len(piece)
        self.socket.sendall(piece)

    def answer(self) -> int | None:
        """Return the status that comes, none when the association ends without."""
        try:
            kind, body = sender.read_pdu(self.socket)
        except ConnectionError:
            return None
        return sender.status_of(body) if kind == 4 else None


@contextmanager
def started(folder: Path) -> Iterator[NodeProcess]:
    node = NodeProcess(folder)
    node.start()
    try:
        yield node
    finally:
        if node.process is not None and node.process.poll() is None:
            node.kill()


def ended(node: NodeProcess, seconds: float = 10) -> int:
    assert node.process is not None
    return node.process.wait(seconds)


def test_what_is_under_way_is_finished_answered_and_kept(tmp_path: Path) -> None:
    with started(tmp_path / "node") as node:
        slow = Slow(node)
        node.signal(signal.SIGTERM)
        until(lambda: "stopping" in node.log)
        slow.more()
        assert slow.answer() == 0
        slow.socket.sendall(sender.RELEASE)
        assert sender.read_pdu(slow.socket)[0] == 6, "the release is answered as well"
        assert ended(node) == 0
        assert node.stored() == {slow.instance: slow.digest}


def test_what_stalls_is_neither_acknowledged_nor_kept(tmp_path: Path) -> None:
    with started(tmp_path / "node") as node:
        kept = Sender(node.port, 7, 3)
        kept.start()
        kept.join(20)
        slow = Slow(node)
        start = time.monotonic()
        node.signal(signal.SIGTERM)
        assert slow.answer() is None
        assert ended(node) == 0
        assert time.monotonic() - start < 10
        assert node.stored() == kept.acknowledged
        assert len(kept.acknowledged) == 3
        assert not list((node.data_dir / "incoming").iterdir())


def test_a_trickle_does_not_hold_the_node_up(tmp_path: Path) -> None:
    with started(tmp_path / "node") as node:
        slow = Slow(node, part=0.1)
        slow.socket.settimeout(0.05)
        node.signal(signal.SIGTERM)
        start = time.monotonic()
        assert node.process is not None
        while node.process.poll() is None:
            assert time.monotonic() - start < 10, "the node still runs"
            try:
                slow.more(100)
                slow.socket.recv(1)
            except TimeoutError:
                pass
            except OSError:
                break
        assert ended(node) == 0
        assert node.stored() == {}


def test_answers_that_were_given_are_kept_under_load(tmp_path: Path) -> None:
    with started(tmp_path / "node") as node:
        senders = [Sender(node.port, n, 100_000, size) for n, size in enumerate((4_000, 30_000, 1_500_000))]
        for each in senders:
            each.start()
        until(lambda: all(len(each.acknowledged) > 2 for each in senders))
        assert node.stop(10) == 0
        stored = node.stored()
        for each in senders:
            each.join(20)
            assert each.acknowledged.items() <= stored.items()


def test_new_callers_are_turned_away_while_it_ends(tmp_path: Path) -> None:
    with started(tmp_path / "node") as node:
        slow = Slow(node)
        node.signal(signal.SIGTERM)
        until(lambda: "stopping" in node.log)
        with pytest.raises(ConnectionRefusedError):
            until(lambda: socket.create_connection(("127.0.0.1", node.port), timeout=5).close())
        slow.more()
        assert slow.answer() == 0
        slow.socket.close()
        assert ended(node) == 0


def test_a_second_signal_changes_nothing(tmp_path: Path) -> None:
    with started(tmp_path / "node") as node:
        slow = Slow(node)
        node.signal(signal.SIGTERM)
        until(lambda: "stopping" in node.log)
        node.signal(signal.SIGTERM)
        node.signal(signal.SIGINT)
        slow.more()
        assert slow.answer() == 0
        slow.socket.close()
        assert ended(node) == 0
        assert node.stored() == {slow.instance: slow.digest}


def test_a_hangup_reloads_and_disturbs_no_transfer(tmp_path: Path) -> None:
    with started(tmp_path / "node") as node:
        slow = Slow(node)
        toml = node.folder / "pacstui.toml"
        toml.write_text(toml.read_text() + '[[peers]]\nname = "new"\nae_title = "NEW"\nhost = "127.0.0.1"\n')
        node.signal(signal.SIGHUP)
        until(lambda: [peer["name"] for peer in node.call("peers", "list")] == ["new"])
        slow.more()
        assert slow.answer() == 0
        slow.socket.close()
        assert node.stop() == 0
        assert node.stored() == {slow.instance: slow.digest}


def test_hangups_without_a_configuration_file_do_not_end_it(tmp_path: Path) -> None:
    with started(tmp_path / "node") as node:
        (node.folder / "pacstui.toml").unlink()
        for count in range(1, 4):
            node.signal(signal.SIGHUP)
            until(lambda count=count: node.log.count("not reloaded") == count)
        assert node.call("node", "status")["health"] == "ok"
        assert node.stop() == 0
