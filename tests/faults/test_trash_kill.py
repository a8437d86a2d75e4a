"""kill -9 while studies are deleted and brought back, and others arrive: each object is in one place, whole."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from tests.running import NodeProcess, Sender, until

ROUNDS = 8


def in_trash(node: NodeProcess) -> dict[str, str]:
    """Return the SHA-256 of each object in the trash, by SOP Instance UID. The node must be stopped."""
    found = {}
    with contextlib.closing(sqlite3.connect(node.data_dir / "index.db")) as index:
        for uid, folder, path, offset, digest in index.execute(
            "SELECT sop_instance, folder, path, data_offset, digest FROM trashed JOIN trash ON trash.id = trashed.trash"
        ):
            data = (node.data_dir / "trash" / folder / path.rpartition("/")[2]).read_bytes()[offset:]
            assert sha256(data).digest() == digest, f"{uid} in the trash differs from its digest"
            found[uid] = digest.hex()
    return found


def churn(node: NodeProcess, halt: threading.Event) -> None:
    """Delete studies and bring them back, one after the other, until the node is gone."""
    while not halt.is_set():
        try:
            for row in node.call("studies", "list", limit=5)["rows"]:
                node.call("space", "delete", study=row["study"])
            for entry in node.call("space", "trash")[::2]:
                node.call("space", "undo", entry=entry["id"])
        except Exception:  # the kill, or the object came and went meanwhile
            halt.wait(0.01)


@pytest.mark.slow
def test_kills_while_studies_go_to_the_trash_and_back_lose_nothing(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    rng = random.Random(2)
    acknowledged: dict[str, str] = {}
    for turn in range(ROUNDS):
        node.start()
        senders = [Sender(node.port, turn * 10 + n, 100_000, (4_000, 1_500_000)[n]) for n in range(2)]
        halt = threading.Event()
        deleting = threading.Thread(target=churn, args=(node, halt), daemon=True)
        for thread in (*senders, deleting):
            thread.start()
        wanted = rng.randint(30, 120)
        until(lambda s=senders, n=wanted: sum(len(one.acknowledged) for one in s) >= n)
        until(lambda: node.call("space", "trash"))
        for _ in range(rng.randint(0, 20)):
            node.call("node", "status")
        node.kill()
        halt.set()
        deleting.join(30)
        for sender in senders:
            sender.join(30)
            acknowledged.update(sender.acknowledged)
    node.start()
    status = node.call("node", "status")
    assert node.stop() == 0
    stored, trashed = node.stored(), in_trash(node)
    lost = [uid for uid, digest in acknowledged.items() if digest not in (stored.get(uid), trashed.get(uid))]
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged objects are lost or changed"
    assert trashed
    assert status["archive"]["instances"] == len(stored)
    assert not [problem for problem in status["alerts"] if problem["name"] == "objects-missing"]
    assert not stored.keys() & trashed.keys()
    assert len(list((node.data_dir / "objects").rglob("*.dcm"))) == len(stored)
    assert len(list((node.data_dir / "trash").rglob("*.dcm"))) == len(trashed)
