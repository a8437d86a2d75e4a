"""The acceptor's answer, apart from the network."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pacstui.dicom.net.service import OpenPolicy
from pacstui.dicom.ul.faults import (
    AcseReason,
    PresentationReason,
    Refusal,
    RejectSource,
    Result,
    UserReason,
    describe_abort,
    describe_rejection,
)
from pacstui.dicom.ul.items import (
    ContextAnswer,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from pacstui.dicom.ul.negotiation import Negotiated, agreed, answer, first_supported
from pacstui.dicom.ul.pdu import AssociateAccept, AssociateRequest
from tests.dicom.wire import EXPLICIT, IMPLICIT, SC, VERIFICATION


def ask(user: UserInformation | None = None, *contexts: ProposedContext, application: str = "") -> AssociateRequest:
    proposed = contexts or (ProposedContext(1, SC, (EXPLICIT, IMPLICIT)), ProposedContext(3, VERIFICATION, (IMPLICIT,)))
    request = AssociateRequest("CALLED", "CALLING", proposed, user or UserInformation(16384, "1.2"))
    return AssociateRequest("CALLED", "CALLING", proposed, request.user, application) if application else request


def accepted(rq: AssociateRequest, policy: OpenPolicy | None = None) -> Negotiated:
    got = answer(rq, policy or OpenPolicy(), 262144)
    assert isinstance(got, Negotiated)
    return got


@pytest.mark.parametrize("result", [1, 2, 3, 4])
def test_each_result_is_passed_on(result: int) -> None:
    class Policy(OpenPolicy):
        def accepts(
            self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest
        ) -> tuple[int, str]:
            return (result, "") if abstract_syntax == SC else (0, transfer_syntaxes[0])

    got = accepted(ask(), Policy())
    assert [c.result for c in got.accept.contexts] == [result, 0]
    assert [c.id for c in got.accept.contexts] == [1, 3]
    assert got.accept.contexts[0].transfer_syntax == EXPLICIT  # not significant, but there
    assert got.contexts[0].transfer_syntax == ""


def test_a_transfer_syntax_that_was_not_proposed_cannot_be_chosen() -> None:
    class Policy(OpenPolicy):
        def accepts(
            self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest
        ) -> tuple[int, str]:
            return 0, "1.2.840.10008.1.2.4.50"

    assert [c.result for c in accepted(ask(), Policy()).contexts] == [4, 4]


def test_the_first_proposed_syntax_that_is_supported_wins() -> None:
    assert first_supported({EXPLICIT: "", IMPLICIT: ""}, ("1.2", IMPLICIT, EXPLICIT)) == (0, IMPLICIT)
    assert first_supported((EXPLICIT,), (IMPLICIT,)) == (4, "")


def test_wrong_application_context_is_refused_as_such() -> None:
    got = answer(ask(application="1.2.3"), OpenPolicy(), 16384)
    assert isinstance(got, Refusal)
    assert (got.result, got.source, got.reason) == (1, 1, 2)


def test_window_is_answered_with_one_and_one_and_only_when_asked() -> None:
    assert accepted(ask(UserInformation(0, async_operations=(0, 0)))).accept.user.async_operations == (1, 1)
    assert accepted(ask()).accept.user.async_operations is None


def test_extended_negotiation_is_left_unanswered() -> None:
    user = UserInformation(0, extended=(ExtendedNegotiation(SC, b"\1"),))
    assert accepted(ask(user)).accept.user.extended == ()


def test_roles_default_to_the_requestor_as_scu() -> None:
    user = UserInformation(
        0, roles=(RoleSelection(SC, True, True), RoleSelection("1.9", True, True), RoleSelection(SC, False, True))
    )
    got = accepted(ask(user))
    assert got.accept.user.roles == (RoleSelection(SC, True, False),)
    assert [(c.scu, c.scp) for c in got.contexts] == [(True, False), (True, False)]


def test_roles_cannot_be_more_than_proposed() -> None:
    class Policy(OpenPolicy):
        def roles(self, sop_class: str, scu: bool, scp: bool, rq: AssociateRequest) -> tuple[bool, bool]:
            return True, True

    got = accepted(ask(UserInformation(0, roles=(RoleSelection(SC, False, True),))), Policy())
    assert got.accept.user.roles == (RoleSelection(SC, False, True),)
    assert (got.contexts[0].scu, got.contexts[0].scp) == (False, True)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_identity_goes_to_the_policy_and_is_confirmed_when_asked(kind: int) -> None:
    seen: list[UserIdentity] = []

    class Policy(OpenPolicy):
        def extended(self, sop_class: str, information: bytes, rq: AssociateRequest) -> bytes | None:
            return None

        def identity(self, identity: UserIdentity, rq: AssociateRequest) -> Refusal | None:
            seen.append(identity)
            return None if identity.secondary != b"wrong" else Refusal(1, 1, 1, "wrong passcode")

    quiet, asking = UserIdentity(kind, False, b"someone"), UserIdentity(kind, True, b"someone")
    assert accepted(ask(UserInformation(0, identity=quiet)), Policy()).accept.user.identity_response is None
    response = accepted(ask(UserInformation(0, identity=asking)), Policy()).accept.user.identity_response
    assert response == (b"" if kind in (1, 2) else None)  # others would need a ticket or an assertion in it
    assert seen == [quiet, asking]
    wrong = ask(UserInformation(0, identity=UserIdentity(kind, True, b"someone", b"wrong")))
    assert isinstance(answer(wrong, Policy(), 0), Refusal)


def test_what_the_requestor_makes_of_an_answer() -> None:
    rq = ask(UserInformation(0, roles=(RoleSelection(SC, True, True),)))
    contexts = (ContextAnswer(1, 0, EXPLICIT), ContextAnswer(3, 0, "1.2.3"), ContextAnswer(99, 0, IMPLICIT))
    user = UserInformation(0, roles=(RoleSelection(SC, True, True), RoleSelection(VERIFICATION, True, True)))
    first, second = agreed(rq, AssociateAccept("A", "B", contexts, user))
    assert (first.result, first.transfer_syntax, first.scu, first.scp) == (0, EXPLICIT, True, True)
    assert (second.result, second.transfer_syntax, second.scp) == (2, "", False)
    assert [c.result for c in agreed(rq, AssociateAccept("A", "B", (), user))] == [2, 2]


def test_every_rejection_and_abort_has_plain_words() -> None:
    reasons: dict[int, type[UserReason] | type[AcseReason] | type[PresentationReason]] = {
        RejectSource.USER: UserReason,
        RejectSource.ACSE: AcseReason,
        RejectSource.PRESENTATION: PresentationReason,
    }
    texts = set()
    for result in Result:
        for source, kinds in reasons.items():
            for reason in kinds:
                text, hint = describe_rejection(result, source, reason, "CALLED", "CALLING")
                assert hint
                assert f"{result}/{source}/{reason}" in text
                texts.add(text)
    assert len(texts) == 16
    assert "capitals matter" in describe_rejection(1, 1, 7, "CALLED")[1]
    assert "CALLED" in describe_rejection(1, 1, 7, "CALLED")[0]
    assert "9/9/9" in describe_rejection(9, 9, 9)[0]
    assert len({describe_abort(2, reason) for reason in (0, 1, 2, 3, 4, 5, 6)} | {describe_abort(0, 0)}) == 8
