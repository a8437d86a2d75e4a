"""A terminal that stops reading: the node goes on as if nothing was, the console is itself again when it is read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import NodeProcess, Sender, running_node, until
from tests.terminal.on_a_node import Console

pytestmark = pytest.mark.slow
COUNT = 400


def console_of(node: NodeProcess, folder: Path, *more: str) -> Console:
    return Console([sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), *more], folder)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with running_node(tmp_path / "node") as running:
        yield running


def stall(console: Console) -> None:
    """Read nothing, and let other screens be drawn until the terminal takes no more."""
    keys = iter("21" * 500)

    def full() -> bool:
        console.type(next(keys))
        return console.stalled

    until(full, step=0.05)


def shows(count: int, text: str) -> bool:
    """Return whether the queue's panel has the study with that many images."""
    return any("BENCH, PATIENT" in row and f" {count:,} " in row for row in text.splitlines())


def test_the_node_takes_everything_while_nobody_reads_the_terminal(node: NodeProcess, tmp_path: Path) -> None:
    console = console_of(node, tmp_path)
    try:
        console.until(lambda text: "Storage" in text and "Nobody is connected" in text)
        stall(console)
        sender = Sender(node.port, 1, COUNT, 2_000)
        sender.start()
        sender.join(60)
        assert (sender.statuses, sender.error) == ([0] * COUNT, None)
        assert node.call("node", "status")["archive"]["instances"] == COUNT
        assert console.stalled, "the terminal was read meanwhile: nothing is proved"

        console.type("1")
        console.until(lambda text: "Storage" in text and shows(COUNT, text))
        console.type("2")
        console.until(lambda text: "0 open" in text and "SENDER1" in text and f" {COUNT} " in text)
        console.type("q")
        assert console.end() == 0
        console.sane()
    finally:
        console.close()
    assert node.stop() == 0
    assert node.stored() == sender.acknowledged


@pytest.mark.parametrize("how", ["hangup", "kill"])
def test_a_terminal_that_stalls_and_then_vanishes_leaves_the_node_alone(
    node: NodeProcess, tmp_path: Path, how: str
) -> None:
    console = console_of(node, tmp_path)
    try:
        console.until(lambda text: "Storage" in text and "Nobody is connected" in text)
        stall(console)
        sender = Sender(node.port, 1, 100, 2_000)
        sender.start()
        until(lambda: len(sender.acknowledged) > 20)
        if how == "kill":
            console.process.kill()
        else:
            console.hang_up()
        console.process.wait(10)
        sender.join(30)
        assert sender.statuses == [0] * 100
        assert node.call("node", "status")["health"] == "ok"
    finally:
        console.close()


def test_a_node_that_the_console_started_outlives_its_stalled_terminal(tmp_path: Path) -> None:
    """No node runs: the console starts one, its terminal stalls and is closed; the node is still there."""
    node = NodeProcess(tmp_path / "node")
    node.start()
    assert node.stop() == 0
    console = console_of(node, tmp_path)
    try:
        console.until(lambda text: "Storage" in text and "Nobody is connected" in text)
        pid = node.call("node", "status")["node"]["pid"]
        assert pid != console.process.pid
        stall(console)
        sender = Sender(node.port, 1, 60, 2_000)
        sender.start()
        until(lambda: len(sender.acknowledged) > 10)
        console.hang_up()
        console.process.wait(10)
        sender.join(30)
        assert sender.statuses == [0] * 60
        status = node.call("node", "status")
        assert (status["node"]["pid"], status["archive"]["instances"]) == (pid, 60)
    finally:
        console.close()
        node.call("node", "stop")
        until(lambda: not (node.data_dir / "control.sock").exists())
    assert node.stored() == sender.acknowledged
