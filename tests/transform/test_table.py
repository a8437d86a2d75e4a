"""The table of the profile is whole, and what it leaves open is resolved by the class of the object."""

from __future__ import annotations

from collections import Counter

import pytest

from pacstui.dicom.dictionary import is_known, keyword_of, tag_of, vr_of
from pacstui.transform.profile import OPTIONS, Profile
from pacstui.transform.table import ROWS, table

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
PET = "1.2.840.10008.5.1.4.1.1.128"
RT_PLAN = "1.2.840.10008.5.1.4.1.1.481.5"


def test_each_row_of_the_standard_is_there() -> None:
    assert len(table()) + len(("50xx,xxxx", "60xx,3000", "60xx,4000", "private")) == ROWS == 647
    assert Counter(basic for basic, _ in table().values()) == {
        "X": 405, "D": 92, "U": 55, "Z": 42, "X/D": 22, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2,
    }  # fmt: skip
    letters = Counter(letter + action for _, options in table().values() for letter, action in options.items())
    assert letters == {
        "fK": 169, "mC": 169, "dC": 134, "uK": 60, "vK": 46, "vC": 11, "pK": 14, "pC": 5, "iK": 10, "sC": 3, "gC": 1,
    }  # fmt: skip


@pytest.mark.parametrize("vr", ["DA", "DT", "TM"])
def test_dates_of_the_dictionary_never_pass_the_basic_profile(vr: str) -> None:
    basic = Profile(frozenset())
    tags = [tag_of(keyword) for keyword in _keywords() if vr_of(tag_of(keyword)) == vr]
    assert len(tags) > 40
    assert [keyword_of(tag) for tag in tags if basic.action(tag, vr, CT, True) not in ("X", "Z", "D")] == []


def test_names_of_the_dictionary_never_pass_the_basic_profile() -> None:
    basic = Profile(frozenset(OPTIONS))
    tags = [tag_of(keyword) for keyword in _keywords() if vr_of(tag_of(keyword)) == "PN"]
    assert [keyword_of(tag) for tag in tags if basic.action(tag, "PN", CT, True) not in ("X", "Z", "D")] == []


def _keywords() -> list[str]:
    from pacstui.dicom.dictionary import known_keywords

    return known_keywords()


@pytest.mark.parametrize(
    ("keyword", "sop_class", "action"),
    [
        ("SeriesDate", CT, "X"), ("SeriesDate", PET, "D"), ("SeriesDate", "1.2.3", "D"), ("AcquisitionDate", PET, "Z"),
        ("ContentDate", CT, "Z"), ("ContentDate", ENHANCED_CT, "D"), ("OperatorsName", CT, "X"),
        ("OperatorsName", RT_PLAN, "Z"), ("DeviceSerialNumber", CT, "X"), ("DeviceSerialNumber", ENHANCED_CT, "D"),
        ("RTPlanDate", RT_PLAN, "D"), ("SourceImageSequence", CT, "X"), ("SourceImageSequence", ENHANCED_CT, "U"),
        ("StudyDate", CT, "Z"), ("StudyInstanceUID", CT, "U"), ("SOPClassUID", CT, "K"), ("Manufacturer", CT, "K"),
    ],
)  # fmt: skip
def test_types_are_resolved_by_class(keyword: str, sop_class: str, action: str) -> None:
    tag = tag_of(keyword)
    assert Profile(frozenset()).action(tag, vr_of(tag), sop_class, True) == action


def test_options_override_the_profile_and_cleaning_wins_over_keeping() -> None:
    calibrated = tag_of("DateOfLastCalibration")
    both = Profile(frozenset(("retain-device-identity", "retain-modified-dates")))
    assert both.action(calibrated, "DA", CT, True) == "C"
    assert Profile(frozenset(("retain-device-identity",))).action(calibrated, "DA", CT, True) == "K"
    assert both.action(tag_of("PatientBirthDate"), "DA", CT, True) == "Z"


def test_what_nobody_knows_is_removed() -> None:
    assert not is_known(0x00081FFF)
    assert Profile(frozenset(OPTIONS)).action(0x00081FFF, "LO", CT, True) == "X"
