"""A node whose event loop and lane share a processor while small objects come: seen from outside."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from tests.running import NodeProcess, Sender, running_node, until

if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
    pytest.skip("a machine with one processor, or a system that chooses alone", allow_module_level=True)


def places(node: NodeProcess) -> list[set[int]]:
    """Return where each of its threads may run."""
    assert node.process is not None
    found = []
    for name in os.listdir(f"/proc/{node.process.pid}/task"):
        with suppress(ProcessLookupError):  # it has ended
            found.append(os.sched_getaffinity(int(name)))
    return found


def test_two_threads_share_a_processor_while_small_objects_come_and_nobody_does_afterwards(tmp_path: Path) -> None:
    everywhere = os.sched_getaffinity(0)
    with running_node(tmp_path / "node") as node:
        senders = [Sender(node.port, seed, 100_000) for seed in (1, 2)]
        for sender in senders:
            sender.start()
        until(lambda: len([each for each in places(node) if len(each) == 1]) == 2)
        until(lambda: all(sender.acknowledged for sender in senders))
        for sender in senders:
            sender.halt.set()
            sender.join(20)
            assert len(sender.acknowledged) == len(sender.statuses)
        until(lambda: all(each == everywhere for each in places(node)))


@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not installed")
def test_a_node_that_was_given_one_processor_stays_there(tmp_path: Path) -> None:
    given = max(os.sched_getaffinity(0))
    with running_node(tmp_path / "node", preamble=("taskset", "-c", str(given))) as node:
        sender = Sender(node.port, 1, 50)
        sender.start()
        sender.join(20)
        assert len(sender.acknowledged) == 50
        assert all(each == {given} for each in places(node))
