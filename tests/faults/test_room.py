"""A full disk and a locked database: A700, nothing partial, recovery by itself (cases 67, 120, 124)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import NodeProcess, Sender, running_node, until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB of its own."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("reserve", [0, 4_000_000], ids=["no reserve", "reserve"])
def test_a_full_disk_is_answered_with_a700_and_is_forgotten_when_there_is_room(small_disk: Path, reserve: int) -> None:
    with running_node(small_disk / "node", f"[archive]\nreserve_bytes = {reserve}\n") as node:
        sender = Sender(node.port, 1, 30, 2_000_000)
        sender.start()
        sender.join(60)
        assert sender.statuses[0] == 0
        assert sender.statuses[-1] == 0xA700
        assert set(sender.statuses) == {0, 0xA700}
        assert len(sender.statuses) == 30, "the association went on"
        status = node.call("node", "status")
        assert status["health"] == "degraded"
        assert any("A700" in problem["text"] for problem in status["alerts"])
        assert status["archive"]["instances"] == len(sender.acknowledged)
        victims = sorted((node.data_dir / "objects").rglob("*.dcm"))[-3:]
        for path in victims:
            path.unlink()
        again = Sender(node.port, 2, 2, 1_000_000)

        def taken() -> bool:
            nonlocal again
            again = Sender(node.port, 2, 2, 1_000_000)
            again.start()
            again.join(20)
            return set(again.statuses) == {0}

        until(taken, 20, 0.2)
        until(lambda: "A700" not in str(node.call("node", "status")["alerts"]))
        assert node.stop() == 0
        left = [path.name for path in (node.data_dir / "incoming").iterdir()]
        assert not left


def test_a_locked_database_delays_and_loses_nothing(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", config="[database]\nbusy_s = 30\n")
    node.start()
    senders = [Sender(node.port, n, 60) for n in range(4)]
    with contextlib.closing(sqlite3.connect(node.data_dir / "index.db", isolation_level=None)) as other:
        for sender in senders:
            sender.start()
        until(lambda: all(sender.acknowledged for sender in senders))
        for _ in range(3):
            other.execute("PRAGMA busy_timeout = 5000")
            other.execute("BEGIN IMMEDIATE")
            threading.Event().wait(1.0)
            other.execute("ROLLBACK")
    for sender in senders:
        sender.join(60)
        assert set(sender.statuses) == {0}
        assert len(sender.acknowledged) == 60
    assert node.stop() == 0
    stored = node.stored()
    assert all(sender.acknowledged.items() <= stored.items() for sender in senders)


def test_a_database_that_stays_locked_is_answered_with_a700_until_it_is_free(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", "[database]\nbusy_s = 0.5\n") as node:
        with contextlib.closing(sqlite3.connect(node.data_dir / "index.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = Sender(node.port, 1, 2)
            first.start()
            first.join(30)
            assert first.statuses == [0xA700, 0xA700]
            other.execute("ROLLBACK")
        second = Sender(node.port, 1, 2)
        second.start()
        second.join(30)
        assert second.statuses == [0, 0]
        assert node.stop() == 0
        assert second.acknowledged == node.stored()
