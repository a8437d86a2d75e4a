"""Who may do what on the wire: services by peer, with real clients."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

from pacstui.cli import peers as peers_command
from tests.archive.objects import Object
from tests.interop import dcmtk
from tests.running import NodeProcess, free_port, running_node
from tests.services.test_commitment import INSTANCE, request
from tests.services.test_query import keep
from tests.services.test_retrieve import ask, receiver

EXPLICIT = "1.2.840.10008.1.2.1"
ECHO, CAPTURE = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.7"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
COMMITMENT = "1.2.840.10008.1.20.1"
CONTEXTS = {"echo": ECHO, "store": CAPTURE, "find": FIND, "move": MOVE, "get": GET, "commitment": COMMITMENT}


def peer(title: str, *allow: str, port: int = 104) -> str:
    return (
        f'[[peers]]\nname = "{title.lower()}"\nae_title = "{title}"\nhost = "127.0.0.1"\nport = {port}\n'
        f"allow = {list(allow)}\n"
    )


def results(node: NodeProcess, title: str) -> dict[str, int]:
    """Return what is answered to each service's context."""
    entity = AE(title)
    for uid in CONTEXTS.values():
        entity.add_requested_context(uid)
    association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
    assert not association.is_rejected  # pynetdicom itself aborts one without any context
    found = {context.abstract_syntax: 0 for context in association.accepted_contexts}
    found |= {context.abstract_syntax: context.result for context in association.rejected_contexts}
    if association.is_established:
        association.release()
    return {name: found[uid] for name, uid in CONTEXTS.items()}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    config = (
        'unknown_allow = ["echo"]\n' + peer("CT1", "echo", "store", "commitment")
        + peer("WS1", "echo", "find", "get") + peer("ARC1")
    )  # fmt: skip
    with running_node(tmp_path_factory.mktemp("allow"), config) as running:
        yield running


def test_each_peer_gets_the_contexts_that_it_is_allowed(node: NodeProcess) -> None:
    allowed = {title: {name for name, result in results(node, title).items() if not result}
               for title in ("CT1", "WS1", "ARC1", "STRANGER")}  # fmt: skip
    assert allowed == {
        "CT1": {"echo", "store", "commitment"}, "WS1": {"echo", "find", "get"}, "ARC1": set(), "STRANGER": {"echo"},
    }  # fmt: skip
    assert set(results(node, "STRANGER").values()) == {0, 1}  # user rejection


def test_a_refused_service_is_told_with_rule_and_remedy_and_audited(node: NodeProcess) -> None:
    results(node, "CT1")
    rows = {row["text"]: row for row in node.call("feed", "list") if row["source"] in ("ct1", "CT1")}
    row = rows["CT1 may not query: [[peers]] ct1 allow has no find"]
    assert row["level"] == "warn"
    assert "[[peers]] ct1 allow" in row["hint"]
    shown = node.call("associations", "show", id=row["association"])
    assert row["hint"] in shown["remedies"]
    assert row["text"] in [moment["text"] for moment in shown["timeline"]]
    entries = node.call("audit", "list", kind="association refused", search="ct1 query")["rows"]
    assert [(each["who"], each["target"], each["outcome"]) for each in entries] == [("CT1", "find", "denied")]
    assert entries[0]["origin"] == "127.0.0.1"


def test_a_busy_caller_is_one_line_with_a_count_for_each_association(node: NodeProcess) -> None:
    def told() -> list[dict[str, Any]]:
        return [row for row in node.call("feed", "list") if "BUSY may not store" in row["text"]]

    for _ in range(3):
        entity = AE("BUSY")
        for number in range(1, 129):
            entity.add_requested_context(f"1.2.840.10008.5.1.4.1.1.{number}.1")
        association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
        assert {context.result for context in association.rejected_contexts} == {1}
        association.abort()
    (row,) = told()
    assert row["count"] == 3
    assert node.log.count("BUSY may not store") == 1
    assert len(node.call("audit", "list", kind="association refused", search="busy")["rows"]) == 1


def test_who_may_only_fetch_gets_instances_and_stores_none(node: NodeProcess) -> None:
    thing = Object()
    keep(node, thing)
    got = []

    def take(event: Any) -> int:
        got.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    entity = AE("WS1")
    entity.add_requested_context(GET)
    entity.add_requested_context(CAPTURE)
    role = build_role(CAPTURE, scu_role=True, scp_role=True)
    association = entity.associate(
        "127.0.0.1", node.port, ae_title="PACS", ext_neg=[role], evt_handlers=[(evt.EVT_C_STORE, take)]
    )
    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", thing.study
    answers = [status.Status for status, _ in association.send_c_get(wanted, GET)]
    assert answers[-1] == 0
    assert got == [thing.sop]
    (context,) = [each for each in association.accepted_contexts if each.abstract_syntax == CAPTURE]
    assert (context.as_scu, context.as_scp) == (False, True)
    association.release()


@dcmtk.needed
def test_dcmtk_is_told(node: NodeProcess) -> None:
    assert dcmtk.run("echoscu", node.port, "-aet", "CT1").code == 0
    refused = dcmtk.run("findscu", node.port, "-aet", "CT1", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID")
    assert refused.code != 0
    assert "No Acceptable Presentation Contexts" in refused.out


def test_the_peer_list_says_what_is_limited(node: NodeProcess) -> None:
    rows = {row["name"]: row["allow"] for row in node.call("peers", "list")}
    assert rows == {"ct1": ["echo", "store", "commitment"], "ws1": ["echo", "find", "get"], "arc1": []}
    listed = "\n".join(peers_command._list(node.call("peers", "list")))
    assert "echo, find, get" in listed
    assert "nothing" in listed


def test_who_may_ask_for_nothing_is_sent_to_all_the_same(tmp_path: Path) -> None:
    port, thing = free_port(), Object()
    with running_node(tmp_path / "node", peer("WS1", port=port) + peer("CT1", "store", "move")) as node:
        keep(node, thing)
        entity = AE("CT1")
        entity.add_requested_context(MOVE)
        with receiver(port) as workstation:
            association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
            *_, (final, _) = association.send_c_move(ask(StudyInstanceUID=thing.study), "WS1", MOVE)
            association.release()
        assert final.Status == 0
        assert [each[0] for each in workstation.got] == [thing.sop]


def test_a_commitment_that_we_asked_for_is_told_by_who_may_not_ask_for_one(node: NodeProcess) -> None:
    thing, transaction = Object(), "1.2.3.77"
    with closing(sqlite3.connect(node.data_dir / "index.db")) as index:
        index.execute(
            "INSERT INTO asked_commitments (transaction_uid, peer, study, asked, state, sent) VALUES (?,?,?,?,?,1)",
            (transaction, "arc1", thing.study, json.dumps([[CAPTURE, thing.sop]]), "asked"),
        )
        index.commit()
    entity = AE("ARC1")
    entity.add_requested_context(COMMITMENT)
    role = build_role(COMMITMENT, scu_role=True, scp_role=True)
    association = entity.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=[role])
    told = request(transaction, (CAPTURE, thing.sop))
    answer, _ = association.send_n_event_report(told, 1, COMMITMENT, INSTANCE)
    assert answer.Status == 0
    (context,) = association.accepted_contexts
    assert (context.as_scu, context.as_scp) == (False, True)
    association.release()
    assert [row["state"] for row in node.call("commitments", "asked")] == ["committed"]
    assert node.call("commitments", "list") == []


def test_who_takes_the_other_role_all_the_same_is_refused_each_message(node: NodeProcess) -> None:
    def opened(title: str, syntax: str) -> Any:
        entity = AE(title)
        entity.add_requested_context(GET)
        entity.add_requested_context(syntax, EXPLICIT)
        role = build_role(syntax, scu_role=True, scp_role=True)
        association = entity.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=[role])
        (context,) = [each for each in association.accepted_contexts if each.abstract_syntax == syntax]
        assert not context.as_scu
        context._as_scu = True  # a client that does not keep to what was agreed on
        return association

    before = node.call("studies", "list")["total"]
    association = opened("WS1", CAPTURE)
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.PatientID = CAPTURE, "2.25.4711", "EVIL"
    ds.file_meta = Dataset()  # type: ignore[assignment]
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    assert association.send_c_store(ds).Status == 0x0124
    association.release()
    assert node.call("studies", "list")["total"] == before
    association = opened("ARC1", COMMITMENT)
    answer, _ = association.send_n_action(request("1.2.3.88", (CAPTURE, "2.25.4711")), 1, COMMITMENT, INSTANCE)
    assert answer.Status == 0x0124
    association.release()
    assert node.call("commitments", "list") == []
