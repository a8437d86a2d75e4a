"""User identity on the wire (PS3.7 D.3.3.7), with real clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from pacstui.clock import FakeClock
from pacstui.dicom.ul.items import UserIdentity, UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import Denied
from pacstui.services.identity import IdentityCheck
from tests.running import NodeProcess, running_node

ECHO = "1.2.840.10008.1.1"


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
