"""User identity on the wire (PS3.7 D.3.3.7), with real clients."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from pacstui.accounts.lockout import Lockout
from pacstui.clock import FakeClock
from pacstui.dicom.ul.items import UserIdentity, UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import Denied, NotFound
from pacstui.services.identity import IdentityCheck
from pacstui.settings import DicomSettings
from tests.interop import dcmtk
from tests.interop.samples import sample
from tests.running import NodeProcess, running_node, until

ECHO, FIND = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1"


class Caller:
    """A client that gives an identity."""

    def __init__(self, node: NodeProcess, title: str = "CT1", *syntaxes: str) -> None:
        self._node, self._title, self._syntaxes = node, title, syntaxes or (ECHO,)
        self._refusals: list[tuple[int, int, int]] = []

    def _received(self, event: Any) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):  # a quick one is lost to the association itself
            self._refusals.append((event.pdu.result, event.pdu.source, event.pdu.reason_diagnostic))

    def call(self, name: str = "", passcode: str = "", kind: int = 2, *, wanted: bool = False) -> Any:
        """Return the association: open, or refused."""
        entity = AE(self._title)
        for syntax in self._syntaxes:
            entity.add_requested_context(syntax)
        extended = []
        if name:
            item = UserIdentityNegotiation()
            item.user_identity_type, item.primary_field = kind, name.encode()
            item.positive_response_requested = wanted
            if kind == 2:
                item.secondary_field = passcode.encode()
            extended.append(item)
        return entity.associate(
            "127.0.0.1", self._node.port, ae_title="PACS", ext_neg=extended,
            evt_handlers=[(evt.EVT_PDU_RECV, self._received)],
        )  # fmt: skip

    def comes_in(self, *given: Any, **more: Any) -> bool:
        """Return whether it is let in; fail when it is refused with other codes than the standard's."""
        association = self.call(*given, **more)
        if association.is_established:
            association.release()
            return True
        assert until(lambda: self._refusals).pop() == (1, 2, 1)  # PS3.7 D.3.3.7
        return False


def service(node: NodeProcess, name: str = "scanner") -> str:
    """Make a service account and return its passcode."""
    return str(node.call("accounts", "create", name=name, kind="service")["secret"])


@pytest.mark.parametrize("mode", ["ignore", "check", "require"])
def test_who_a_caller_says_to_be_is_judged_as_the_setting_says(tmp_path: Path, mode: str) -> None:
    with running_node(tmp_path / "node", f'identity = "{mode}"\n') as node:
        code, caller = service(node), Caller(node)
        assert caller.comes_in("scanner", code)
        assert caller.comes_in("Scanner", code)  # as everywhere, capitals of a name do not matter
        assert caller.comes_in() == (mode != "require")
        wrong = (
            ("scanner", "wrong", 2), ("nobody", code, 2), ("root", "x", 2), ("scanner", "", 1), ("ticket", "", 3),
            ("<saml/>", "", 4), ("a.b.c", "", 5),
        )  # fmt: skip
        for name, passcode, kind in wrong:
            assert caller.comes_in(name, passcode, kind) == (mode == "ignore"), (name, kind)
        if mode != "ignore":
            told = {row["text"]: row["hint"] for row in node.call("feed", "list") if row["level"] == "warn"}
            text = " ".join(told)
            for part in (
                "wrong passcode for the service scanner",
                "there is no service account nobody",
                "a user name without passcode",
                "a Kerberos ticket",
                "a SAML assertion",
                "a JSON Web Token",
            ):
                assert part in text
            assert all(told.values()), "each has a remedy"
            node.call("accounts", "disable", name="scanner")
            assert not caller.comes_in("scanner", code)
        everything = node.log + str(node.call("feed", "list")) + str(node.call("audit", "list"))
        assert code not in everything
        assert "'wrong'" not in everything


def test_a_response_is_given_where_it_is_asked_for_and_can_be(tmp_path: Path) -> None:
    with running_node(tmp_path / "node") as node:
        for kind, wanted, given in ((1, True, True), (2, True, True), (2, False, False), (3, True, False)):
            association = Caller(node).call("anna", "x", kind, wanted=wanted)
            assert association.is_established
            answer = association.acceptor.user_identity
            assert (answer is not None) == given, (kind, wanted)
            if answer is not None:
                assert answer.server_response == b""
            association.release()


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, str]]:
    peer = '[[peers]]\nname = "ct"\nae_title = "CT1"\nhost = "127.0.0.1"\nallow = ["echo", "store"]\n'
    folder = tmp_path_factory.mktemp("judging") / "node"
    with running_node(folder, f'identity = "require"\nidentity_names = true\n{peer}') as node:
        yield node, service(node)


def user_of(node: NodeProcess, association: Any) -> str:
    association.send_c_echo()
    found = [row["id"] for row in node.call("associations", "list", ended=True)]
    association.release()
    return str(node.call("associations", "show", id=max(found))["user"])


def test_the_account_stands_at_the_association_and_in_the_audit_trail(judging: tuple[NodeProcess, str]) -> None:
    node, code = judging
    for _ in range(2):
        assert user_of(node, Caller(node).call("SCANNER", code)) == "scanner, a service account"
    assert user_of(node, Caller(node).call("scanner", kind=1)) == "scanner, a service account, by its name alone"
    entries = node.call("audit", "list", kind="sign-in", search="scanner")["rows"]
    assert [(row["who"], row["how"], row["origin"], row["detail"]) for row in entries] == [
        ("scanner", "DICOM", "127.0.0.1", "as CT1")
    ]
    assert not Caller(node).comes_in("nobody", kind=1)
    refused = node.call("associations", "list", ended=True)
    last = node.call("associations", "show", id=max(row["id"] for row in refused))
    assert (last["row"]["state"], last["user"]) == ("refused", "nobody")
    assert "1/2/1" in last["answer"]


def test_an_identity_that_is_not_judged_is_shown_as_such(tmp_path: Path) -> None:
    with running_node(tmp_path / "node") as node:
        assert user_of(node, Caller(node).call("an\x1b[2Jna", "x")) == "an\u241b[2Jna, not checked"
        assert user_of(node, Caller(node).call("abc", kind=3)) == "a Kerberos ticket, not checked"
        assert user_of(node, Caller(node).call()) == ""
        assert node.call("audit", "list", kind="sign-in", search="DICOM")["rows"] == []


def test_an_identity_opens_no_service_that_the_peer_is_not_allowed(judging: tuple[NodeProcess, str]) -> None:
    node, code = judging
    association = Caller(node, "CT1", ECHO, FIND).call("scanner", code)
    assert [context.abstract_syntax for context in association.accepted_contexts] == [ECHO]
    association.release()


def test_who_guesses_is_locked_until_somebody_unlocks_the_account(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", 'identity = "check"\n') as node:
        code, caller = service(node), Caller(node)
        for number in range(5):
            assert not caller.comes_in("scanner", f"guess {number}")
        assert not caller.comes_in("scanner", code)
        assert "locked for" in str(node.call("feed", "list"))
        (row,) = [each for each in node.call("accounts", "list") if each["name"] == "scanner"]
        assert row["locked_until"]
        node.call("accounts", "unlock", name="scanner")
        assert caller.comes_in("scanner", code)


@dcmtk.needed
def test_dcmtk_gives_name_and_passcode(judging: tuple[NodeProcess, str]) -> None:
    node, code = judging
    file = sample("CT_small.dcm")
    given = ("-aet", "CT1", "-usr", "scanner", "-rsp")
    assert dcmtk.run("storescu", node.port, *given, "-pwd", code, "--", str(file)).code == 0
    refused = dcmtk.run("storescu", node.port, *given, "-pwd", "wrong", "--", str(file))
    assert refused.code != 0
    assert "Rejected Permanent" in refused.out
    assert "Source: Service Provider (ACSE Related)" in refused.out


def test_the_doctor_does_not_take_a_closed_door_for_a_fault(judging: tuple[NodeProcess, str]) -> None:
    node, _ = judging
    ran = subprocess.run(
        [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), "doctor"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "ok    association: not tried: callers have to give a user identity" in ran.stdout


class _Accounts:
    def service(self, name: str, passcode: str) -> Any:
        if passcode != "right":
            raise Denied("wrong")
        return self.named_service(name)

    def named_service(self, name: str) -> Any:
        if name != "scanner":
            raise NotFound("there is none")
        return SimpleNamespace(name=name)


def test_guessing_passcodes_locks_that_name_for_that_address_only() -> None:
    clock = FakeClock()
    settings = DicomSettings(identity="check")
    check = IdentityCheck(_Accounts(), Lockout(clock, 5, 30), lambda: settings)

    def ask(passcode: str, address: str, name: str = "scanner") -> str:
        identity = UserIdentity(2, False, name.encode(), passcode.encode())
        rq = AssociateRequest("PACS", "CT1", (), UserInformation(identity=identity))
        refusal = check(identity, rq, address)
        return refusal.text if refusal else ""

    for name in ("scanner", "SCANNER", " scanner", "Scanner", "scanner"):
        assert "wrong" in ask("guess", "10.0.0.1", name)
    assert "locked" in ask("right", "10.0.0.1")
    assert "there is none" in ask("right", "10.0.0.1", "other")
    assert ask("right", "10.0.0.2") == ""
    clock.advance(31)
    assert ask("right", "10.0.0.1") == ""


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"\0", b"x" * 60000], ids=["empty", "not UTF-8", "NUL", "long"])
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 9, 255])
def test_odd_identities_are_refused_in_words_without_control_characters(raw: bytes, kind: int) -> None:
    settings = DicomSettings(identity="check", identity_names=True)
    check = IdentityCheck(_Accounts(), Lockout(FakeClock(), 5, 30), lambda: settings)
    identity = UserIdentity(kind, True, raw, raw)
    refusal = check(identity, AssociateRequest("PACS", "CT1", (), UserInformation(identity=identity)), "10.0.0.1")
    assert refusal is not None
    assert (refusal.result, refusal.source, refusal.reason) == (1, 2, 1)
    assert len(refusal.text) < 300
    assert check.account(identity) == ""
