"""Codecs of the PDUs: round trips, tolerance, strictness."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.dicom.ul import pdu
from pacstui.dicom.ul.faults import ProtocolFault, foreign
from pacstui.dicom.ul.items import (
    CommonExtendedNegotiation,
    ContextAnswer,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from tests.dicom import wire

uids = st.from_regex(r"[1-9][0-9]{0,4}(\.[0-9]{1,6}){1,5}", fullmatch=True)
titles = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16)
few = st.binary(max_size=9)
users = st.builds(
    UserInformation,
    max_length=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    implementation_uid=uids,
    implementation_version=titles,
    async_operations=st.one_of(st.none(), st.tuples(st.integers(0, 65535), st.integers(0, 65535))),
    roles=st.lists(st.builds(RoleSelection, uids, st.booleans(), st.booleans()), max_size=3).map(tuple),
    extended=st.lists(st.builds(ExtendedNegotiation, uids, st.binary(max_size=8)), max_size=2).map(tuple),
    common_extended=st.lists(
        st.builds(CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    identity=st.one_of(
        st.none(),
        st.builds(UserIdentity, st.integers(1, 5), st.booleans(), st.binary(max_size=9), st.binary(max_size=9)),
    ),
    identity_response=st.one_of(st.none(), st.binary(max_size=9)),
)
proposals = st.lists(
    st.tuples(st.integers(0, 127).map(lambda n: 2 * n + 1), uids, st.lists(uids, max_size=4).map(tuple)),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one[0],
)


@given(titles, titles, proposals, users)
@settings(max_examples=60, deadline=None)
def test_request_round_trip(
    called: str, calling: str, contexts: list[tuple[int, str, tuple[str, ...]]], user: UserInformation
) -> None:
    request = pdu.AssociateRequest(called, calling, tuple(ProposedContext(*one) for one in contexts), user)
    encoded = pdu.encode(request)
    assert struct.unpack(">BBI", encoded[:6]) == (1, 0, len(encoded) - 6)
    assert pdu.decode(1, encoded[6:]) == request


@given(titles, titles, proposals, users)
@settings(max_examples=40, deadline=None)
def test_accept_round_trip(
    called: str, calling: str, contexts: list[tuple[int, str, tuple[str, ...]]], user: UserInformation
) -> None:
    answers = tuple(ContextAnswer(number, number % 5, syntax) for number, syntax, _ in contexts)
    accept = pdu.AssociateAccept(called, calling, answers, user)
    assert pdu.decode(2, pdu.encode(accept)[6:]) == accept


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_small_pdus_round_trip(one: int, two: int, three: int) -> None:
    for small in (pdu.AssociateReject(one, two, three), pdu.Abort(one, two), pdu.Release(True), pdu.Release(False)):
        encoded = pdu.encode(small)
        assert pdu.decode(encoded[0], encoded[6:]) == small


@given(st.sampled_from((1, 2, 3, 5, 6, 7)), st.binary(max_size=300))
@settings(max_examples=300)
def test_any_body_decodes_or_is_a_fault(kind: int, body: bytes) -> None:
    try:
        pdu.decode(kind, body)
    except ProtocolFault as fault:
        assert (fault.source, fault.reason) in ((2, 5), (2, 6))


def test_request_is_read_as_an_independent_library_wrote_it() -> None:
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        AsynchronousOperationsWindowNegotiation,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
        SCP_SCU_RoleSelectionNegotiation,
        SOPClassCommonExtendedNegotiation,
        SOPClassExtendedNegotiation,
        UserIdentityNegotiation,
    )
    from pynetdicom.presentation import build_context

    ask = A_ASSOCIATE()
    ask.application_context_name = "1.2.840.10008.3.1.1.1"
    ask.calling_ae_title, ask.called_ae_title = "CALLER", "CALLED"
    context = build_context(wire.SC, [wire.EXPLICIT, wire.IMPLICIT])
    context.context_id = 7
    ask.presentation_context_definition_list = [context]
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 12345
    implementation.implementation_class_uid = "1.2.3.4"
    role, window = SCP_SCU_RoleSelectionNegotiation(), AsynchronousOperationsWindowNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = wire.SC, True, True
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 6
    extended, common = SOPClassExtendedNegotiation(), SOPClassCommonExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = wire.SC, b"\x01\x02"
    common.sop_class_uid, common.service_class_uid = wire.SC, "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = ["1.2.3", "1.2.4"]
    who = UserIdentityNegotiation()
    who.user_identity_type, who.primary_field, who.secondary_field = 2, b"someone", b"secret"
    who.positive_response_requested = True
    ask.user_information = [longest, implementation, role, window, extended, common, who]
    theirs = A_ASSOCIATE_RQ()
    theirs.from_primitive(ask)
    ours = pdu.decode(1, theirs.encode()[6:])
    assert ours == pdu.AssociateRequest(
        "CALLED",
        "CALLER",
        (ProposedContext(7, wire.SC, (wire.EXPLICIT, wire.IMPLICIT)),),
        UserInformation(
            12345,
            "1.2.3.4",
            "",
            (5, 6),
            (RoleSelection(wire.SC, True, True),),
            (ExtendedNegotiation(wire.SC, b"\x01\x02"),),
            (CommonExtendedNegotiation(wire.SC, "1.2.840.10008.4.2", ("1.2.3", "1.2.4")),),
            UserIdentity(2, True, b"someone", b"secret"),
        ),
    )
    back = A_ASSOCIATE_RQ()
    back.decode(pdu.encode(ours))
    assert back.encode() == pdu.encode(ours)
    assert "secret" not in repr(ours)


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"LAB" + b"\0" * 13, "LAB"),
        (b"LAB\0" + b" " * 12, "LAB"),
        (b"  LAB           ", "LAB"),
        (b"LAB\0JUNK\0\0\0\0\0\0\0\0", "LAB"),
        (b"LAB  \0JUNK      ", "LAB"),
        (b"A B             ", "A B"),
        (b"\0" * 16, ""),
        (b" " * 16, ""),
        (b"\xc4RZTE           ", "\xc4RZTE"),
    ],
)
def test_ae_titles_are_trimmed(raw: bytes, title: str) -> None:
    assert pdu.trim_ae(raw) == title
    assert pdu.decode(1, wire.rq(called=raw)[6:]).called == title  # type: ignore[union-attr]


def _sub(kind: int, body: bytes) -> bytes:
    return wire.user_information(more=wire.item(kind, body))


BROKEN = {
    "even id": wire.rq([(2, wire.SC, [wire.IMPLICIT])]),
    "id 0": wire.rq([(0, wire.SC, [wire.IMPLICIT])]),
    "same id twice": wire.rq([(1, wire.SC, [wire.IMPLICIT]), (1, wire.VERIFICATION, [wire.IMPLICIT])]),
    "no context": wire.rq([]),
    "context cut": wire.rq(raw_contexts=wire.context(1, wire.SC, [wire.IMPLICIT])[:-1]),
    "context of 3 bytes": wire.rq(raw_contexts=wire.item(0x20, b"\x01\0\0")),
    "context without abstract syntax": wire.rq(raw_contexts=wire.item(0x20, b"\x01\0\0\0" + wire.item(0x40, b"1.2"))),
    "user item FFFF": wire.rq(user=wire.item(0x50, wire.item(0x52, b"1.2"), 0xFFFF)),
    "user item cut": wire.rq(user=wire.item(0x50, b"\x51\0\0")),
    "maximum of 3 bytes": wire.rq(user=wire.item(0x50, wire.item(0x51, b"abc"))),
    "window of 3 bytes": wire.rq(user=_sub(0x53, b"abc")),
    "uid length in 54H": wire.rq(user=_sub(0x54, struct.pack(">H", 99) + b"1.2\0\0")),
    "rest of 54H": wire.rq(user=_sub(0x54, struct.pack(">H", 3) + b"1.2\0")),
    "uid length in 56H": wire.rq(user=_sub(0x56, struct.pack(">H", 999) + b"1.2")),
    "uid length in 57H": wire.rq(user=_sub(0x57, struct.pack(">H", 3) + b"1.2" + struct.pack(">H", 99) + b"1.2")),
    "related in 57H": wire.rq(user=_sub(0x57, struct.pack(">H3sH3sHH", 3, b"1.2", 3, b"1.2", 2, 9))),
    "identity cut": wire.rq(user=_sub(0x58, b"\x01\0\0")),
    "identity length": wire.rq(user=_sub(0x58, b"\x01\0" + struct.pack(">H", 9) + b"ab\0\0")),
    "identity rest": wire.rq(user=_sub(0x58, b"\x01\0" + struct.pack(">H", 2) + b"ab\0\0xx")),
    "fixed part cut": wire.pdu(1, b"\0\x01" + bytes(60)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_fit_is_an_invalid_parameter(name: str) -> None:
    with pytest.raises(ProtocolFault) as caught:
        pdu.decode(1, BROKEN[name][6:])
    assert (caught.value.source, caught.value.reason) == (2, 6)
    assert caught.value.message


def test_unknown_items_are_skipped() -> None:
    unknown = wire.item(0x99, b"whatever")
    request = wire.rq(
        raw_contexts=wire.context(1, wire.SC, ["1.2"]) + unknown, user=wire.user_information(more=unknown)
    )
    decoded = pdu.decode(1, request[6:])
    assert isinstance(decoded, pdu.AssociateRequest)
    assert decoded.user.max_length == 16384


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (bytes.fromhex("160301002f01"), "TLS"),
        (b"GET / ", "HTTP"),
        (b"PRI * ", "HTTP"),
        (b"SSH-2.", "SSH"),
        (b"\x0bMSH|^", "HL7"),
        (b"MSH|^~", "HL7"),
        (bytes.fromhex("802e01030100"), "SSL"),
        (b"\x00\x01\x02\x03\x04\x05", "no DICOM"),
        (b"\x1b[2J\x07\x00", "1B 5B 32 4A"),
    ],
)
def test_strangers_are_named(head: bytes, word: str) -> None:
    named = foreign(head)
    assert named is not None
    assert word in named[0]
    assert named[0].isprintable()


def test_first_bytes_of_pdus_are_no_strangers() -> None:
    assert [foreign(bytes((kind, 0, 0, 0, 0, 4))) for kind in range(1, 8)] == [None] * 7
