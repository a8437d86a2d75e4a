"""Single attributes: what each action does, where, and why it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pacstui.errors import SettingsError
from pacstui.transform import TransformError
from tests.transform.making import changed, image, part10, plan, read

PLAIN = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def change(attribute: str, action: str, value: str = "", **more: Any) -> dict[str, Any]:
    return {"attribute": attribute, "action": action, "value": value, **more}


@pytest.mark.parametrize("syntax", PLAIN)
def test_the_transfer_syntax_stays_and_so_do_numbers_and_pixels(syntax: str) -> None:
    found = changed(
        image(WindowCenter="40"),
        change("PatientID", "set", "{PatientID}-{calling_ae}"),
        change("(0028,0106)", "set", "4660"),
        change("TableHeight", "set", "12.5"),
        syntax=syntax,
    )
    assert found.file_meta.TransferSyntaxUID == syntax
    assert (found.PatientID, found.SmallestImagePixelValue, found.TableHeight) == ("4711-0815-CT1", 4660, 12.5)
    assert (found.Rows, found.WindowCenter, found.PixelData) == (2, 40, b"\1\2\3\4\5\6\7\x08")


def test_set_fill_and_replace_differ_by_what_is_there() -> None:
    found = changed(
        image(StudyID="7", AccessionNumber=""),
        change("StudyID", "fill", "8"),
        change("AccessionNumber", "fill", "A1"),
        change("InstitutionName", "fill", "Somewhere"),
        change("StationName", "replace", "X"),
        change("Modality", "replace", "MR"),
    )
    assert (found.StudyID, found.AccessionNumber, found.InstitutionName, found.Modality) == (
        "7",
        "A1",
        "Somewhere",
        "MR",
    )
    assert "StationName" not in found


def test_remove_empty_prefix_suffix() -> None:
    found = changed(
        image(StudyID="7", AccessionNumber="A", OtherPatientNames=["a^b", "c"], StationName="S"),
        change("StationName", "remove"),
        change("StudyID", "empty"),
        change("AccessionNumber", "prefix", "{called_ae}."),
        change("OtherPatientNames", "suffix", "^x"),
        change("InstitutionName", "prefix", "absent "),
    )
    assert "StationName" not in found
    assert "InstitutionName" not in found
    assert (found.StudyID, found.AccessionNumber) == ("", "PACSTUI.A")
    assert [str(name) for name in found.OtherPatientNames] == ["a^b^x", "c^x"]


def test_template_words_and_lengths() -> None:
    text = "{peer}|{peer_ae}|{route}|{today}{now}|{PatientName:4}|{(0010,0020)}|{StationName}|{{x}}"
    found = changed(image(), change("ImageComments", "set", text))
    assert found.ImageComments == "workstation|WS1|all|20260131143000|Test|4711-0815||{x}"


@pytest.mark.parametrize(
    ("otherwise", "expected"), [("keep", "HAND"), ("empty", ""), ("remove", None)],
)  # fmt: skip
def test_map(otherwise: str, expected: str | None) -> None:
    table = {"THORAX": "CHEST"}
    how = change("BodyPartExamined", "map", table=table, otherwise=otherwise)
    assert changed(image(BodyPartExamined="THORAX"), how).BodyPartExamined == "CHEST"
    assert changed(image(BodyPartExamined="HAND"), how).get("BodyPartExamined") == expected


def test_map_can_refuse_what_is_not_in_the_table() -> None:
    how = change("BodyPartExamined", "map", table={"THORAX": "CHEST"}, otherwise="refuse")
    with pytest.raises(TransformError, match=r"BodyPartExamined \(0018,0015\): a value is not in the table"):
        changed(image(BodyPartExamined="HAND"), how)


def test_regex_with_groups_in_each_value() -> None:
    found = changed(
        image(ImageType=["ORIGINAL", "PRIMARY"], PatientID="AB-0012-X"),
        change("PatientID", "regex", r"\2", pattern=r"^([A-Z]+)-0*(\d+)-.$"),
        change("ImageType", "regex", "P", pattern="PRIMARY"),
    )
    assert (found.PatientID, list(found.ImageType)) == ("12", ["ORIGINAL", "P"])


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "(a|aa)*b", r"(\w+\s?)*$", r"(.)\1", "(a*)*", "((ab?)+c)+", ".*.*.*.*.*x", "a?" * 30 + "a" * 30,
        "(?:ab?|a)" * 22 + "c",
    ],
)  # fmt: skip
def test_patterns_that_could_run_away_are_refused(pattern: str) -> None:
    with pytest.raises(SettingsError, match="pattern"):
        plan(change("PatientID", "regex", pattern=pattern))


def test_a_value_that_a_pattern_would_take_too_long_for_is_a_fault() -> None:
    how = change("ImageComments", "regex", "", pattern="a*a*a*b")
    assert changed(image(ImageComments="a" * 40 + "b"), how).ImageComments == ""
    with pytest.raises(TransformError, match=r"ImageComments .*too long for the regular expression"):
        changed(image(ImageComments="a" * 9000), how)


def test_uids_are_replaced_the_same_everywhere_and_others_by_project() -> None:
    data = image(ReferencedFrameOfReferenceUID="1.2.3.4.2")
    data.ReferencedSeriesSequence = Sequence([Dataset()])
    data.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3.4.3"
    how = (change("**.SeriesInstanceUID", "uid"), change("ReferencedFrameOfReferenceUID", "uid"),
           change("StudyInstanceUID", "uid"), change("SOPInstanceUID", "uid"))  # fmt: skip
    one, two = changed(data, *how, project="a"), changed(data, *how, project="b")
    assert one.SeriesInstanceUID == one.ReferencedSeriesSequence[0].SeriesInstanceUID
    assert one.StudyInstanceUID == one.ReferencedFrameOfReferenceUID
    assert one.StudyInstanceUID.startswith("2.25.")
    assert len(one.StudyInstanceUID) <= 64
    assert one.StudyInstanceUID != two.StudyInstanceUID
    assert one == changed(data, *how, project="a")


def test_paths_into_sequences() -> None:
    data = image()
    data.RequestAttributesSequence = Sequence([Dataset(), Dataset()])
    for number, item in enumerate(data.RequestAttributesSequence):
        item.ScheduledProcedureStepID = f"s{number}"
    found = changed(
        data,
        change("RequestAttributesSequence[1].ScheduledProcedureStepID", "set", "second"),
        change(
            "RequestAttributesSequence.RequestedProcedureID",
            "set",
            "{RequestAttributesSequence[0].ScheduledProcedureStepID}",
        ),
        change("RequestAttributesSequence[2].AccessionNumber", "set", "new"),
        change("ProcedureCodeSequence[0].CodeValue", "set", "made"),
        change("ReferencedStudySequence.StudyID", "set", "nowhere to be"),
        change("**.ScheduledProcedureStepDescription", "set", "nowhere either"),
    )
    items = found.RequestAttributesSequence
    assert [item.get("ScheduledProcedureStepID") for item in items] == ["s0", "second", None]
    assert [item.get("RequestedProcedureID") for item in items] == ["s0", "s0", None]
    assert "ReferencedStudySequence" not in found
    assert not any("ScheduledProcedureStepDescription" in each for each in (found, *items))
    assert (items[2].AccessionNumber, found.ProcedureCodeSequence[0].CodeValue) == ("new", "made")


def test_an_item_that_cannot_be_made_is_a_fault() -> None:
    with pytest.raises(TransformError, match="RequestAttributesSequence has 0 items"):
        changed(image(), change("RequestAttributesSequence[3].StudyID", "set", "x"))


@pytest.mark.parametrize("syntax", PLAIN)
def test_private_attributes_are_found_by_their_creator(syntax: str) -> None:
    data = image()
    for creator, value in (("FIRST", "one"), ("SECOND", "two")):
        block = data.private_block(0x0029, creator, create=True)
        block.add_new(0x10, "LO", value)
    block.add_new(0x11, "LO", "three")
    found = changed(
        data,
        change("(0029,xx10,SECOND)", "set", "changed", vr="LO"),
        change("(0029,xx12,SECOND)", "set", "added", vr="SH"),
        change("(0031,xx01,OURS)", "set", "7", vr="IS"),
        change("(0029,xxxx,FIRST)", "remove"),
        syntax=syntax,
    )
    assert (0x0029, 0x1010) not in found
    assert (0x0029, 0x0010) not in found
    assert found.private_block(0x0029, "SECOND").block_start == 0x1100
    texts = [found.private_block(0x0029, "SECOND")[each].value for each in (0x10, 0x11, 0x12)]
    assert [text.decode().strip() if isinstance(text, bytes) else text for text in texts] == [
        "changed",
        "three",
        "added",
    ]
    assert (0x0031, 0x1001) in found
    assert not [each for each in changed(data, change("private", "remove"), syntax=syntax) if each.tag.is_private]


def test_repeating_groups_by_mask() -> None:
    data = image()
    for group in (0x6000, 0x6002):
        data.add_new((group, 0x0010), "US", 2)
        data.add_new((group, 0x3000), "OW", b"\0\0")
    found = changed(data, change("(60xx,3000)", "remove"))
    assert [each for each in (0x60003000, 0x60023000, 0x60000010) if each in found] == [0x60000010]


@pytest.mark.parametrize(
    ("how", "key", "says"),
    [
        (change("PatientIdd", "set", "x"), "attribute", 'did you mean "PatientID"'),
        (change("PatientID", "set", "x" * 65), "value", "65 characters, LO holds 64"),
        (change("PatientID", "set", "{calling}"), "value", "known besides attributes: calling_ae"),
        (change("PatientID", "set", "{PatientID"), "value", "braces"),
        (change("PatientID", "set", "{PatientID:x}"), "value", "only a length"),
        (change("StudyDate", "set", "20260230"), "value", "no date"),
        (change("Rows", "set", "70000"), "value", "no number that US holds"),
        (change("SOPInstanceUID", "remove"), "attribute", "no object can be sent without"),
        (change("SOPClassUID", "set", "1.2"), "attribute", "class of an object"),
        (change("SpecificCharacterSet", "set", "ISO_IR 100"), "attribute", "follows the values"),
        (change("PixelData", "remove"), "attribute", "never changed"),
        (change("(0002,0016)", "set", "X"), "attribute", "written anew"),
        (change("(0029,1010)", "remove"), "attribute", "found by its creator"),
        (change("(0029,xx10,A)", "set", "x"), "vr", "is missing"),
        (change("(0029,xx10,A)", "set", "x", vr="OB"), "vr", "OB is no VR"),
        (change("(0029,xxxx,A)", "set", "x", vr="LO"), "attribute", "several attributes"),
        (change("PatientID.StudyID", "set", "x"), "attribute", "PatientID is no sequence"),
        (change("RequestAttributesSequence[0]", "remove"), "attribute", "ends with an item"),
        (change("RequestAttributesSequence", "set", "x"), "attribute", "has VR SQ"),
        (change("PatientID", "uid"), "attribute", "has VR LO, not UI"),
        (change("PatientID", "remove", "x"), "value", "says nothing with the action remove"),
        (change("PatientID", "map"), "table", "is missing"),
        (change("StudyDate", "map", table={"a": "b"}), "table", "no date"),
        (change("PatientID", "regex", r"\3", pattern="(a)"), "pattern", "does not fit"),
        (change("PatientID", "regex", pattern="("), "pattern", "no regular expression"),
        (change("PatientID", "prefix"), "value", "is missing"),
        (change("PatientID StudyID", "remove"), "attribute", "cannot be understood"),
    ],
)
def test_mistakes_are_told_when_the_plan_is_made(how: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(how)
    assert f"change[0].{key}: " in str(caught.value)
    assert says in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        plan(change("Nothing", "set"), change("PatientID", "set", "{"), options=["retain-uids"])
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (
            change("AccessionNumber", "set", "{StudyInstanceUID}{StudyInstanceUID}"),
            "AccessionNumber (0008,0050): it has 18",
        ),
        (change("StudyDate", "set", "{PatientID}"), "StudyDate (0008,0020): the value is no date"),
        (change("Modality", "set", "{peer}"), "Modality (0008,0060): the value is no code string"),
    ],
)
def test_a_value_that_does_not_fit_names_the_attribute(how: dict[str, Any], says: str) -> None:
    with pytest.raises(TransformError) as caught:
        changed(image(), how)
    assert says in caught.value.message


def test_the_original_is_only_read() -> None:
    data = part10(image())
    before = bytes(data)
    read(plan(change("PatientID", "set", "x")).apply(data))
    assert data == before
