"""Command sets (PS3.7 6.3, E.1)."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.dicom import dimse
from pacstui.dicom.dimse import DimseError, Field
from tests.dicom import wire


def test_a_store_request_is_read() -> None:
    command = dimse.decode(wire.store_rq("1.2.345", 77))
    assert (command.field, command.message_id, command.has_data_set) == (Field.C_STORE, 77, True)
    assert (command.affected_sop_class, command.affected_sop_instance) == (wire.SC, "1.2.345")
    assert command.get(0x00001000) == command.get(0x1000) == b"1.2.345\0"
    assert command.get(0x0600) is None
    assert (command.move_originator, command.move_originator_message_id) == ("", None)
    assert repr(command) == "<C-STORE-RQ id 77>"


def test_requests_are_read_as_they_were_written() -> None:
    raw = dimse.encode_request(
        Field.C_MOVE,
        5,
        has_data=True,
        priority=2,
        affected_sop_class="1.2",
        move_destination="DEST",
        affected_sop_instance=None,
    )
    command = dimse.decode(raw)
    assert (command.field, command.message_id, command.priority) == (Field.C_MOVE, 5, 2)
    assert (command.move_destination, command.has_data_set) == ("DEST", True)
    assert int.from_bytes(raw[8:12], "little") == len(raw) - 12
    cancel = dimse.decode(dimse.encode_cancel(5))
    assert (cancel.field, cancel.responded_to, cancel.has_data_set) == (Field.C_CANCEL, 5, False)


def test_a_response_mirrors_its_request() -> None:
    request = dimse.decode(wire.store_rq("1.2.345", 77))
    found = wire.elements(
        dimse.encode_response(request, 0xA700, comment="no \\ space: é" + "x" * 90, offending=(0x00080018,), failed=3)
    )
    assert found[0x0100] == b"\x01\x80"
    assert found[0x0120] == b"\x4d\0"
    assert found[0x0800] == b"\x01\x01"
    assert found[0x0900] == b"\x00\xa7"
    assert found[0x0901] == b"\x08\0\x18\0"
    assert found[0x0902].startswith(b"no ? space: ?xxx")
    assert len(found[0x0902]) == 64
    assert found[0x1021 + 1] == b"\x03\0"
    assert (found[0x0002], found[0x1000]) == (wire.SC.encode() + b"\0", b"1.2.345\0")
    assert list(found) == sorted(found)


def test_a_response_to_a_normalized_request_names_what_was_asked_for() -> None:
    request = dimse.decode(
        wire.command({0x0003: "1.2.9", 0x0100: 0x0130, 0x0110: 1, 0x0800: 0, 0x1001: "1.2.10", 0x1008: 1})
    )
    assert (request.requested_sop_class, request.requested_sop_instance) == ("1.2.9", "1.2.10")
    answer = dimse.decode(dimse.encode_response(request, 0, has_data=True))
    assert (answer.affected_sop_class, answer.affected_sop_instance, answer.has_data_set) == ("1.2.9", "1.2.10", True)
    assert answer.number(dimse.E_ACTION_TYPE) == 1


def test_uids_that_are_too_long_are_not_mirrored() -> None:
    request = dimse.decode(wire.store_rq("1." + "2" * 70))
    assert 0x1000 not in wire.elements(dimse.encode_response(request, 0xA900))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\0\0",
        b"\0\0\0\x01\xff\xff\xff\x7f",
        wire.command({0x0110: 1}),
        wire.command({0x0100: 1, 0x0800: 0}),
        wire.command({0x0100: 0x8001, 0x0900: 0}),
        b"\x08\0\x18\0\x02\0\0\0ab",
        wire.echo_rq()[:-1],
    ],
)
def test_nonsense_is_a_fault_in_words(raw: bytes) -> None:
    with pytest.raises(DimseError) as caught:
        dimse.decode(raw)
    assert caught.value.message


@given(st.binary(max_size=120))
@settings(max_examples=300)
def test_any_bytes_decode_or_are_a_fault(raw: bytes) -> None:
    for data in (raw, wire.echo_rq() + raw, raw + wire.echo_rq()):
        try:
            command = dimse.decode(data)
        except DimseError:
            continue
        dimse.encode_response(command, 0)
        assert command.comment is not None
        assert command.offending is not None


def test_agrees_with_an_independent_library() -> None:
    from pynetdicom.dsutils import decode

    request = dimse.decode(wire.store_rq())
    theirs = decode(BytesIO(dimse.encode_response(request, 0xB000, comment="odd", remaining=4)), True, True)
    assert (theirs.CommandField, theirs.Status, theirs.ErrorComment) == (0x8001, 0xB000, "odd")
    assert theirs.NumberOfRemainingSuboperations == 4
    assert theirs.AffectedSOPInstanceUID == "1.2.3"


def test_fields_have_names() -> None:
    assert dimse.name(0x8020) == "C-FIND-RSP"
    assert dimse.name(0x0FFF) == "C-CANCEL-RQ"
    assert dimse.name(0x0777) == "command 0777H"
