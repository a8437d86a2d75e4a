"""Who may associate and which contexts are taken: the right code, a reason and a remedy for each refusal."""

from __future__ import annotations

import pytest

from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.items import UserIdentity, UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.book import PeerBook
from pacstui.services.policy import Admission, NotAllowed
from pacstui.settings import DicomSettings, PeerSettings

IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
HERE, THERE = ("127.0.0.1", 5000), ("192.0.2.17", 5000)


def _request(called: str = "RADNODE1", calling: str = "CT1") -> AssociateRequest:
    return AssociateRequest(called, calling, (), UserInformation())


def _admission(**settings: object) -> Admission:
    peers = [PeerSettings(name="CT one", ae_title="CT1", host="192.0.2.17"),
             PeerSettings(name="MR two", ae_title=" MR2 ", host="192.0.2.18")]  # fmt: skip
    return Admission(DicomSettings.model_validate({"ae_title": "RADNODE1", **settings}), PeerBook(peers))


def _codes(refusal: Refusal | None) -> tuple[int, int, int] | None:
    return None if refusal is None else (refusal.result, refusal.source, refusal.reason)


def test_a_wrong_called_title_is_refused_with_both_titles_in_the_reason() -> None:
    refusal = _admission().authorise(_request(called="PACS"), HERE)
    assert refusal is not None
    assert _codes(refusal) == (1, 1, 7)
    assert 'calls "PACS", we are "RADNODE1"' in refusal.text
    assert "aliases" in refusal.hint
    other_case = _admission().authorise(_request(called="radnode1"), HERE)
    assert other_case is not None
    assert "capitals matter" in other_case.hint


def test_an_alias_and_a_switched_off_check_let_the_same_caller_in() -> None:
    assert _admission(aliases=["PACS"]).authorise(_request(called="PACS"), HERE) is None
    assert _admission(check_called_ae=False).authorise(_request(called="PACS"), HERE) is None


@pytest.mark.parametrize(
    ("unknown", "address", "codes"),
    [
        ("loopback", HERE, None),
        ("loopback", ("::1", 9), None),
        ("loopback", ("::ffff:127.0.0.1", 9), None),
        ("loopback", THERE, (1, 1, 3)),
        ("none", HERE, (1, 1, 3)),
        ("all", THERE, None),
    ],
)
def test_unknown_callers_come_in_only_where_the_setting_says(
    unknown: str, address: tuple[str, int], codes: tuple[int, int, int] | None
) -> None:
    assert _codes(_admission(unknown_callers=unknown).authorise(_request(calling="STRANGER"), address)) == codes


def test_a_peer_is_known_by_title_without_blanks_and_by_its_address() -> None:
    admission = _admission(unknown_callers="none")
    assert admission.authorise(_request(calling="CT1"), THERE) is None
    assert admission.authorise(_request(calling="MR2"), ("192.0.2.18", 1)) is None
    assert _codes(admission.authorise(_request(calling="mr2"), ("192.0.2.18", 1))) == (1, 1, 3)
    elsewhere = admission.authorise(_request(calling="CT1"), ("192.0.2.99", 1))
    assert elsewhere is not None
    assert "192.0.2.99" in elsewhere.text
    assert _admission(check_peer_host=False).authorise(_request(calling="CT1"), ("192.0.2.99", 1)) is None


def test_limits_are_answered_as_transient_local_limit() -> None:
    admission = _admission(max_associations=2, max_associations_per_host=1)
    assert admission.admit("192.0.2.1") is None
    admission.entered("192.0.2.1")
    assert _codes(admission.admit("192.0.2.1")) == (2, 3, 2)
    assert admission.admit("192.0.2.2") is None
    admission.entered("192.0.2.2")
    assert _codes(admission.admit("192.0.2.3")) == (2, 3, 2)
    admission.left("192.0.2.1")
    assert admission.admit("192.0.2.3") is None


@pytest.mark.parametrize(
    ("abstract", "syntaxes", "answer"),
    [
        ("1.2.840.10008.1.1", (JPEG, EXPLICIT), (0, EXPLICIT)),
        ("1.2.840.10008.1.1", (JPEG,), (4, "")),
        ("1.2.840.10008.5.1.4.1.1.2", (JPEG, IMPLICIT), (0, JPEG)),
        ("1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2.4.999", EXPLICIT), (0, EXPLICIT)),
        ("1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2.4.999",), (4, "")),
        ("1.2.840.10008.5.1.4.1.1.999.1", (EXPLICIT,), (0, EXPLICIT)),
        ("1.3.12.2.1107.5.9.1", (EXPLICIT,), (0, EXPLICIT)),
        ("1.2.840.113619.4.26", (EXPLICIT,), (0, EXPLICIT)),
        ("2.25.1234567", (EXPLICIT,), (0, EXPLICIT)),
        ("1.2.3.4.5", (IMPLICIT,), (3, "")),
        ("1.2.840.10008.5.1.4.31", (IMPLICIT,), (0, IMPLICIT)),
        ("1.2.840.10008.3.1.2.3.3", ("1.2.840.10008.1.2.4.50", IMPLICIT), (0, IMPLICIT)),
        ("1.2.840.10008.3.1.2.3.5", (IMPLICIT,), (3, "")),
        ("../../etc", (IMPLICIT,), (3, "")),
    ],
)
def test_contexts(abstract: str, syntaxes: tuple[str, ...], answer: tuple[int, str]) -> None:
    assert _admission().judge(_request(), HERE, 1).accepts(abstract, syntaxes, _request()) == answer


def test_unknown_classes_are_refused_where_the_setting_says_so() -> None:
    strict = _admission(unknown_sop_classes=False).judge(_request(), HERE, 1)
    assert strict.accepts("1.3.12.2.1107.5.9.1", (EXPLICIT,), _request()) == (3, "")
    assert strict.accepts("1.2.840.10008.5.1.4.1.1.2", (EXPLICIT,), _request()) == (0, EXPLICIT)


def test_a_user_identity_goes_through_the_one_check() -> None:
    admission = _admission()
    who = AssociateRequest("RADNODE1", "CT1", (), UserInformation(identity=UserIdentity(2, True, b"op1", b"secret")))
    assert admission.authorise(who, HERE) is None
    seen = []
    admission.check_identity = lambda identity, rq, address: seen.append((identity, address))  # type: ignore[func-returns-value]
    assert admission.authorise(who, HERE) is None
    assert admission.authorise(_request(), HERE) is None
    assert seen == [(who.user.identity, "127.0.0.1"), (None, "127.0.0.1")]
    admission.check_identity = lambda identity, rq, address: Refusal(1, 1, 1, "no account op1", "")
    refusal = admission.authorise(who, HERE)
    assert refusal is not None
    assert refusal.text == "no account op1"


def test_of_two_peers_with_one_title_each_may_what_its_own_entry_says() -> None:
    peers = [PeerSettings(name="old", ae_title="CT1", host="192.0.2.17", allow=("echo",)),
             PeerSettings(name="new", ae_title="CT1", host="192.0.2.18", allow=("echo", "find"))]  # fmt: skip
    admission = Admission(DicomSettings(ae_title="RADNODE1"), PeerBook(peers))
    told: list[NotAllowed] = []
    admission.not_allowed = told.append
    find, rq = "1.2.840.10008.5.1.4.1.2.2.1", _request()
    answers = [admission.judge(rq, (host, 1), 5).accepts(find, (EXPLICIT,), rq)[0]
               for host in ("192.0.2.17", "192.0.2.18", "127.0.0.1")]  # fmt: skip
    assert answers == [1, 0, 0]
    (refused,) = told
    assert refused[:4] == (5, "CT1", "192.0.2.17", "find")
    assert refused.text == "CT1 may not query: [[peers]] old allow has no find"


def test_a_service_that_is_not_there_is_no_matter_of_permission() -> None:
    admission = _admission(unknown_allow=[])
    told: list[NotAllowed] = []
    admission.not_allowed = told.append
    rq = _request(calling="STRANGER")
    judge = admission.judge(rq, HERE, 1)
    assert judge.accepts("1.2.3.4.5", (IMPLICIT,), rq) == (3, "")
    assert judge.accepts("1.2.840.10008.1.1", (JPEG,), rq) == (4, "")
    assert told == []
    for abstract in ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.1"):
        assert judge.accepts(abstract, (IMPLICIT,), rq) == (1, "")
    assert [each.service for each in told] == ["store", "echo"]
