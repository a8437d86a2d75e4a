"""kill -9 under load: every acknowledged object is there afterwards, byte for byte (promise 1)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.running import NodeProcess, Sender, until

ROUNDS = 20


@pytest.mark.slow
def test_twenty_kills_under_load_from_four_associations_lose_nothing(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    rng = random.Random(1)
    acknowledged: dict[str, str] = {}
    for turn in range(ROUNDS):
        node.start()
        senders = [Sender(node.port, turn * 10 + n, 100_000, (4_000, 10_240, 40_000, 1_500_000)[n]) for n in range(4)]
        for sender in senders:
            sender.start()
        wanted = rng.randint(5, 120)
        until(lambda s=senders, n=wanted: sum(len(one.acknowledged) for one in s) >= n)
        node.kill()
        for sender in senders:
            sender.join(30)
            assert not sender.is_alive()
            acknowledged.update(sender.acknowledged)
    node.start()
    status = node.call("node", "status")
    assert node.stop() == 0
    stored = node.stored()
    missing = [uid for uid, digest in acknowledged.items() if stored.get(uid) != digest]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged objects are lost or changed"
    assert len(acknowledged) > ROUNDS * 5
    assert status["archive"]["instances"] == len(stored)
    assert not [problem for problem in status["alerts"] if problem["name"] == "objects-missing"]
    assert not list((node.data_dir / "incoming").iterdir())
