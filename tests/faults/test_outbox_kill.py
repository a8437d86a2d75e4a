"""kill -9 while objects are received and sent on: every acknowledged object arrives at the destination."""

from __future__ import annotations

import random
import threading
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt

from benchmarks.sender import CT
from tests.running import NodeProcess, Sender, free_port, until

ROUNDS = 8


class Destination:
    """A peer that counts what it gets, by pynetdicom."""

    def __init__(self, port: int) -> None:
        self.got: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()
        entity = AE("DEST")
        entity.maximum_associations = 20
        entity.add_supported_context(CT.decode())
        entity.add_supported_context("1.2.840.10008.1.1")
        self.server = entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )

    def _store(self, event: Any) -> int:
        key = (event.request.AffectedSOPInstanceUID, sha256(event.request.DataSet.getvalue()).hexdigest())
        with self.lock:
            self.got[key] += 1
        return 0


@pytest.mark.slow
def test_kills_under_load_lose_nothing_on_its_way(tmp_path: Path) -> None:
    port = free_port()
    config = (
        f'[[peers]]\nname = "dest"\nae_title = "DEST"\nhost = "127.0.0.1"\nport = {port}\n'
        '[[routes]]\nname = "all"\nto = ["dest"]\n'
    )
    destination = Destination(port)
    node = NodeProcess(tmp_path / "node", config=config)
    rng = random.Random(2)
    acknowledged: dict[str, str] = {}
    try:
        for turn in range(ROUNDS):
            node.start()
            senders = [Sender(node.port, turn * 10 + n, 100_000, (4_000, 60_000)[n]) for n in range(2)]
            for sender in senders:
                sender.start()
            wanted = rng.randint(10, 80)
            until(lambda s=senders, n=wanted: sum(len(one.acknowledged) for one in s) >= n)
            node.kill()
            for sender in senders:
                sender.join(30)
                acknowledged.update(sender.acknowledged)
        node.start()
        until(lambda: node.call("node", "status")["queue"]["pending"] == 0, 60)
        assert node.call("node", "status")["queue"]["failed"] == 0
        assert node.stop() == 0
    finally:
        destination.server.shutdown()
    missing = [uid for uid, digest in acknowledged.items() if (uid, digest) not in destination.got]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged objects never arrived"
    again = sum(number - 1 for number in destination.got.values())
    assert again <= ROUNDS, f"{again} objects came again after {ROUNDS} kills: more than those that were on their way"
    assert len(acknowledged) > ROUNDS * 10
