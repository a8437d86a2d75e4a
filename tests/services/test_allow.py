"""Who may do what on the wire: services by peer, and user identity, with real clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from pacstui.clock import FakeClock
from pacstui.dicom.ul.items import UserIdentity, UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import Denied
from pacstui.services.identity import IdentityCheck
from tests.archive.objects import Object
from tests.interop import dcmtk
from tests.running import NodeProcess, running_node
from tests.services.test_query import keep

ECHO, CAPTURE = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.7"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
COMMITMENT = "1.2.840.10008.1.20.1"
CONTEXTS = {"echo": ECHO, "store": CAPTURE, "find": FIND, "move": MOVE, "get": GET, "commitment": COMMITMENT}


def peer(title: str, *allow: str) -> str:
    return f'[[peers]]\nname = "{title.lower()}"\nae_title = "{title}"\nhost = "127.0.0.1"\nallow = {list(allow)}\n'


def results(node: NodeProcess, title: str) -> dict[str, int]:
    """Return what is answered to each service's context."""
    entity = AE(title)
    for uid in CONTEXTS.values():
        entity.add_requested_context(uid)
    association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
    assert association.is_established
    found = {context.abstract_syntax: 0 for context in association.accepted_contexts}
    found |= {context.abstract_syntax: context.result for context in association.rejected_contexts}
    association.release()
    return {name: found[uid] for name, uid in CONTEXTS.items()}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    config = (
        'unknown_allow = ["echo"]\n' + peer("CT1", "echo", "store", "commitment")
        + peer("WS1", "echo", "find", "get")
    )  # fmt: skip
    with running_node(tmp_path_factory.mktemp("allow"), config) as running:
        yield running


def test_each_peer_gets_the_contexts_that_it_is_allowed(node: NodeProcess) -> None:
    allowed = {title: {name for name, result in results(node, title).items() if not result}
               for title in ("CT1", "WS1", "STRANGER")}  # fmt: skip
    assert allowed == {"CT1": {"echo", "store", "commitment"}, "WS1": {"echo", "find", "get"}, "STRANGER": {"echo"}}
    assert set(results(node, "STRANGER").values()) == {0, 1}  # user rejection


def test_a_refused_service_is_told_with_rule_and_remedy_and_audited(node: NodeProcess) -> None:
    results(node, "CT1")
    rows = {row["text"]: row for row in node.call("feed", "list") if row["source"] in ("ct1", "CT1")}
    row = rows["CT1 may not query: allow of peer ct1 has no find"]
    assert row["level"] == "warn"
    assert "[[peers]] ct1 allow" in row["hint"]
    entries = node.call("audit", "list", kind="association refused", search="ct1 query")["rows"]
    assert [(each["who"], each["target"], each["outcome"]) for each in entries] == [("CT1", "find", "denied")]


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
    assert rows == {"ct1": ["echo", "store", "commitment"], "ws1": ["echo", "find", "get"]}


def identified(node: NodeProcess, name: str, passcode: str, kind: int = 2, wanted: bool = False) -> Any:
    entity = AE("CT1")
    entity.add_requested_context(ECHO)
    extended = []
    if name:
        item = UserIdentityNegotiation()
        item.user_identity_type, item.primary_field = kind, name.encode()
        item.positive_response_requested = wanted
        if kind == 2:
            item.secondary_field = passcode.encode()
        extended.append(item)
    association = entity.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=extended)
    if association.is_established:
        association.release()
        return association
    return None


@pytest.mark.parametrize("mode", ["ignore", "check", "require"])
def test_who_a_caller_says_to_be_is_judged_as_the_setting_says(tmp_path: Path, mode: str) -> None:
    with running_node(tmp_path / "node", f'identity = "{mode}"\n') as node:
        code = node.call("accounts", "create", name="scanner", kind="service")["secret"]
        right = identified(node, "scanner", code, wanted=True)
        assert right is not None
        assert right.acceptor.user_identity is not None  # a response, because it was asked for
        assert (identified(node, "", "") is not None) == (mode != "require")
        wrong = (("scanner", "wrong", 2), ("nobody", code, 2), ("root", "x", 2), ("scanner", "", 1))
        for name, passcode, kind in wrong:
            assert (identified(node, name, passcode, kind) is not None) == (mode == "ignore"), name
        if mode != "ignore":
            told = " ".join(row["text"] for row in node.call("feed", "list"))
            assert "wrong passcode for the service scanner" in told
            assert code not in node.log
            assert "there is no service account nobody" in told
            assert "a user name without passcode" in told
            node.call("accounts", "disable", name="scanner")
            assert identified(node, "scanner", code) is None


def test_guessing_passcodes_locks_that_address_only() -> None:
    clock = FakeClock()

    def service(name: str, passcode: str) -> object:
        if passcode != "right":
            raise Denied("wrong")
        return name

    check = IdentityCheck(service, clock, lambda: "check")

    def ask(passcode: str, address: str) -> str:
        identity = UserIdentity(2, False, b"scanner", passcode.encode())
        rq = AssociateRequest("PACS", "CT1", (), UserInformation(identity=identity))
        refusal = check(identity, rq, address)
        return refusal.text if refusal else ""

    for _ in range(5):
        assert "wrong" in ask("guess", "10.0.0.1")
    assert "locked" in ask("right", "10.0.0.1")
    assert ask("right", "10.0.0.2") == ""
    clock.advance(31)
    assert ask("right", "10.0.0.1") == ""
