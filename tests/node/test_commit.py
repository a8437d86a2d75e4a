"""A destination is asked whether it keeps what it took, and what it does not keep is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pynetdicom import AE, StoragePresentationContexts, build_context, evt

from tests.running import NodeProcess, Sender, running_node, until


def _config(port: int) -> str:
    return (
        f'[[peers]]\nname = "VNA"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {port}\n'
        '[[destinations]]\nname = "VNA"\ncommit = true\nlinger_s = 0\n[[routes]]\nname = "all"\nto = ["VNA"]\n'
    )


def _send(node: NodeProcess, seed: int, count: int) -> None:
    sender = Sender(node.port, seed, count)
    sender.start()
    sender.join(10)


def _told(node: NodeProcess, state: str) -> list[dict[str, Any]]:
    rows = node.call("queue", "sendings")["rows"]
    found = [node.call("queue", "sending", id=row["id"]) for row in rows]
    return found if found and all(each["commitment_state"] == state for each in found) else []


def test_what_a_destination_took_is_asked_for_and_told_by_the_sending(tmp_path: Path) -> None:
    with (
        running_node(tmp_path / "vna") as vna,
        running_node(tmp_path / "node", _config(vna.port)) as node,
    ):
        _send(node, 1, 4)
        found = until(lambda: _told(node, "committed"))
        assert sum(int(each["commitment"].split()[-2]) for each in found) == 4


def test_a_crash_forgets_no_question_and_what_is_gone_there_is_a_problem(tmp_path: Path) -> None:
    with (
        running_node(tmp_path / "vna") as vna,
        running_node(tmp_path / "node", _config(vna.port)) as node,
    ):
        _send(node, 1, 2)
        until(lambda: sum(row["sent"] for row in node.call("queue", "sendings")["rows"]) == 2)
        node.kill()
        node.start()
        found = until(lambda: _told(node, "committed"))
        for study in {each["row"]["study"] for each in found}:
            vna.call("space", "delete", study=study, why="a test")
            node.call("commitments", "ask", peer="VNA", study=study)
        until(lambda: _told(node, "not committed"))
        told = until(lambda: [p for p in node.call("node", "status")["alerts"] if "does not keep" in p["text"]])
        assert told[0]["text"] == "VNA does not keep 2 objects that it took"
        assert "send those studies again" in told[0]["hint"]


def test_what_does_no_commitment_is_a_problem_that_says_so(tmp_path: Path) -> None:
    entity = AE("PACS")
    entity.supported_contexts = [*StoragePresentationContexts[:120], build_context("1.2.840.10008.1.1")]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda event: 0)])
    try:
        with running_node(tmp_path / "node", _config(server.server_address[1])) as node:
            _send(node, 1, 1)
            (found,) = until(lambda: _told(node, "failed"))
            assert "could not be asked: " in found["commitment"]
            told = until(lambda: [p for p in node.call("node", "status")["alerts"] if "does not say" in p["text"]])
            assert told[0]["text"].startswith(
                "VNA does not say whether it keeps 1 study that it took: the peer accepted"
            )
            assert "pacstui commitments again 1 asks again" in told[0]["hint"]
    finally:
        server.shutdown()
