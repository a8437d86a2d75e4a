"""Conditions of routes: what they mean, and that nothing that is typed does harm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.errors import BadRequest
from pacstui.routing.conditions import condition_of

KNOWN = {
    0x00080060: "CT", 0x00180015: "CHEST", 0x00280008: "120", 0x00080008: "ORIGINAL\\PRIMARY\\AXIAL",
    0x00080080: "Example Hospital", 0x00080050: "", 0x00080020: "20260110",
}  # fmt: skip


def value(tag: int) -> str:
    return KNOWN.get(tag, "")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Modality = CT", True),
        ("Modality=ct", True),
        ("modality = CT", None),
        ("(0008,0060) = CT | MR", True),
        ("00080060 = MR", False),
        ("Modality != MR | US", True),
        ("Modality != CT", False),
        ("BodyPartExamined = CH*", True),
        ("BodyPartExamined = C?EST", True),
        ("BodyPartExamined = CHES", False),
        ("NumberOfFrames > 1", True),
        ("NumberOfFrames > 99", True),
        ("NumberOfFrames <= 99", False),
        ("ImageType = AXIAL", True),
        ("ImageType != AXIAL", False),
        ("ImageType = LOCALIZER", False),
        ("InstitutionName = example*", True),
        ("AccessionNumber absent", True),
        ("AccessionNumber present", False),
        ("StudyDate >= 20260101", True),
        ("StudyDate < 20260101", False),
        ("SeriesDescription > 5", False),
        ("InstitutionName = 100% [*", False),
    ],
)
def test_what_conditions_mean(text: str, holds: bool | None) -> None:
    if holds is None:
        with pytest.raises(BadRequest):
            condition_of(text)
    else:
        assert condition_of(text).holds(value) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no condition"),
        ("Modality", "no condition"),
        ("Modality =", "no value"),
        ("Modality = CT |", "an empty value"),
        ("Modality present yes", 'a value after "present"'),
        ("NumberOfFrames > 1 | 2", "one value only"),
        ("NoSuchThing = 1", "no keyword of the standard"),
        ("PixelData = 1", "is not indexed"),
        ("ModalitiesInStudy = CT", "not known while a study comes"),
        ("NumberOfStudyRelatedInstances > 5", "is not indexed"),
        ("Modality = " + "x" * 600, "no condition"),
    ],
)
def test_mistakes_are_named(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as caught:
        condition_of(text)
    assert caught.value.hint


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=30))
def test_whatever_is_typed_is_a_condition_or_a_mistake(text: str, has: str) -> None:
    for condition in (text, f"Modality = {text}", f"NumberOfFrames >= {text}"):
        try:
            found = condition_of(condition)
        except BadRequest:
            continue
        told: Callable[[int], str] = lambda tag: has  # noqa: E731
        assert found.holds(told) in (True, False)
        again = condition_of(found.text)
        assert again.holds(told) is found.holds(told)
