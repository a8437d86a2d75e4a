"""Keys that are sequences: matched item by item, returned with what was asked for (PS3.4 C.2.2.2.6)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacstui.dicom import header
from pacstui.dicom.sequences import items_of
from tests.archive.objects import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Object,
    element,
    item,
)
from tests.running import NodeProcess, running_node
from tests.services.test_query import ask, asking, keep

REQUEST, PROCEDURE, REGION = 0x00400275, 0x00081032, 0x00082218


def code(value: str, meaning: str, syntax: str = EXPLICIT) -> bytes:
    return (
        element(0x00080100, "SH", value, syntax) + element(0x00080102, "SH", "99TEST", syntax)
        + element(0x00080104, "LO", meaning, syntax)
    )  # fmt: skip


def request(procedure: str, step: str, coded: str = "") -> bytes:
    codes = element(0x00321064, "SQ", item(code(coded, "M\u00fcller view"))) if coded else b""
    return codes + element(0x00400009, "SH", step) + element(0x00401001, "SH", procedure)


def with_requests(*requests: bytes, **names: str) -> Object:
    return Object(
        {
            REQUEST: ("SQ", b"".join(item(each) for each in requests)),
            PROCEDURE: ("SQ", item(code("C-HEAD", "Head"))),
            REGION: ("SQ", item(code("T-A0100", "Brain"))),
        },
        **names,
    )


TWO = with_requests(request("RP1", "S1", "V1"), request("RP2", "S2"), patient="P1")
ONE = with_requests(request("RP1", "S9"), patient="P2")
NONE = Object(patient="P3")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("sequences") / "node") as running:
        keep(running, TWO, ONE, NONE)
        yield running


def items(**keys: str) -> Sequence:
    inner = Dataset()
    for keyword, value in keys.items():
        setattr(inner, keyword, value)
    return Sequence([inner])


def series(thing: Object, requests: Sequence | None) -> Dataset:
    return ask(level="SERIES", StudyInstanceUID=thing.study, SeriesInstanceUID="", RequestAttributesSequence=requests)


def test_one_item_has_to_match_and_is_returned_alone(node: NodeProcess) -> None:
    with asking(node.port) as caller:
        found, statuses, _ = caller.find(series(TWO, items(RequestedProcedureID="RP2", ScheduledProcedureStepID="")))
        assert statuses == [0xFF00]
        (told,) = found[0].RequestAttributesSequence
        assert (told.RequestedProcedureID, told.ScheduledProcedureStepID) == ("RP2", "S2")
        assert len(told) == 2, "only what was asked for"
        crossed = items(RequestedProcedureID="RP1", ScheduledProcedureStepID="S2")
        assert caller.find(series(TWO, crossed))[0] == []
        assert caller.find(series(NONE, items(RequestedProcedureID="RP*")))[0] == []


@pytest.mark.parametrize("requests", [Sequence(), Sequence([Dataset()])], ids=["no item", "an empty item"])
def test_an_empty_sequence_asks_for_all_of_it(node: NodeProcess, requests: Sequence) -> None:
    with asking(node.port) as caller:
        (answer,), _, _ = caller.find(series(TWO, requests))
        first, second = answer.RequestAttributesSequence
        assert first.RequestedProcedureCodeSequence[0].CodeMeaning == "M\u00fcller view"
        assert answer.SpecificCharacterSet == "ISO_IR 192"
        assert (first.RequestedProcedureID, second.ScheduledProcedureStepID) == ("RP1", "S2")
        (answer,), _, _ = caller.find(series(NONE, requests))
        assert len(answer.RequestAttributesSequence) == 0


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN, "1.2.840.10008.1.2.1.99"])
def test_in_other_transfer_syntaxes_and_at_other_levels(node: NodeProcess, syntax: str) -> None:
    with asking(node.port, syntax=syntax) as caller:
        coded = items(CodeValue="C-*", CodingSchemeDesignator="99TEST", CodeMeaning="")
        found, statuses, _ = caller.find(ask(StudyInstanceUID="", ProcedureCodeSequence=coded))
        assert sorted(each.StudyInstanceUID for each in found) == sorted((TWO.study, ONE.study))
        assert {each.ProcedureCodeSequence[0].CodeMeaning for each in found} == {"Head"}
        assert set(statuses) == {0xFF00}
        images = ask(
            level="IMAGE", StudyInstanceUID=TWO.study, SeriesInstanceUID=TWO.series, SOPInstanceUID="",
            AnatomicRegionSequence=items(CodeValue="T-A0100"),
            RequestAttributesSequence=items(RequestedProcedureID="RP1"),
        )  # fmt: skip
        (image,), _, _ = caller.find(images)
        assert image.AnatomicRegionSequence[0].CodeValue == "T-A0100"


def test_a_sequence_in_a_sequence(node: NodeProcess) -> None:
    with asking(node.port) as caller:
        inner = items(RequestedProcedureID="")
        inner[0].RequestedProcedureCodeSequence = items(CodeValue="V1")
        (answer,), _, _ = caller.find(series(TWO, inner))
        (told,) = answer.RequestAttributesSequence
        assert (told.RequestedProcedureID, told.RequestedProcedureCodeSequence[0].CodeValue) == ("RP1", "V1")
        assert caller.find(series(ONE, inner))[0] == []


def test_what_is_not_supported_in_an_item_is_said(node: NodeProcess) -> None:
    with asking(node.port) as caller:
        found, statuses, _ = caller.find(series(TWO, items(RequestedProcedureID="RP1", PatientState="X")))
        assert (len(found), statuses) == (1, [0xFF01])
        found, statuses, _ = caller.find(
            ask(StudyInstanceUID="", ReferencedImageSequence=items(ReferencedSOPClassUID="1.2"))
        )
        assert (len(found), set(statuses)) == (3, {0xFF01})


def test_two_items_in_a_key_are_refused(node: NodeProcess) -> None:
    both = Sequence([items(RequestedProcedureID="RP1")[0], items(RequestedProcedureID="RP2")[0]])
    with asking(node.port) as caller:
        _, _, last = caller.find(series(TWO, both))
    assert (last.Status, last.OffendingElement) == (0xA900, REQUEST)


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({"InstanceAvailability": "ONLINE"}, 3), ({"InstanceAvailability": "NEARLINE"}, 0),
        ({"RetrieveAETitle": "PACS"}, 3), ({"RetrieveAETitle": "OTHER"}, 0),
        ({"NumberOfStudyRelatedInstances": "1"}, 3), ({"NumberOfStudyRelatedInstances": "2"}, 0),
        ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.7"}, 3),
        ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2"}, 0),
    ],
)  # fmt: skip
def test_what_is_counted_or_the_same_for_all_is_matched_too(
    node: NodeProcess, keys: dict[str, str], count: int
) -> None:
    with asking(node.port) as caller:
        found, statuses, _ = caller.find(ask(StudyInstanceUID="", **keys))
    assert (len(found), set(statuses)) == (count, {0xFF00} if count else set())


@pytest.mark.parametrize("keys", [{"TimezoneOffsetFromUTC": "+0100"}, {"QueryRetrieveView": "ENHANCED"}])
def test_what_was_not_negotiated_is_said_to_be_unsupported(node: NodeProcess, keys: dict[str, str]) -> None:
    with asking(node.port) as caller:
        _, statuses, _ = caller.find(ask(StudyInstanceUID="", **keys))
    assert statuses == [0xFF01] * 3


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_sequences_are_read_however_they_are_encoded(syntax: str, undefined: bool) -> None:
    inner = code("C1", "Head", syntax)
    one = item(inner, UNDEFINED) + ITEM_END if undefined else item(inner)
    value = one + SEQUENCE_END if undefined else one
    thing = Object({PROCEDURE: ("raw", element(PROCEDURE, "SQ", value, syntax, UNDEFINED if undefined else None))})
    found = header.read(thing.encode(syntax), syntax)
    assert found is not None
    assert found.complete
    assert items_of(found.get(PROCEDURE)) == ({"00080100": "C1", "00080102": "99TEST", "00080104": "Head"},)


@pytest.mark.parametrize("value", [b"", b"\xff" * 40, item(b"\0" * 7), item(code("C1", "x")) * 700, item(b"")])
def test_a_sequence_that_makes_no_sense_or_is_too_long_is_left_out(value: bytes) -> None:
    found = header.read(Object({PROCEDURE: ("SQ", value)}).encode(), EXPLICIT)
    assert found is not None
    assert PROCEDURE not in found.values
    assert found.study
