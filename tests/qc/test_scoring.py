"""Scores and verdicts: what a study says beside what an order says, with the slips that hurried hands make."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.qc import scoring, verdict
from pacstui.qc.likeness import Kind
from pacstui.qc.scoring import Arrived, Expected, score
from pacstui.qc.verdict import Doubts, Thresholds, judge, rank

AT = datetime(2025, 1, 11, 12, 0)
ORDER = Expected(
    7, 9, "1.2.3", "A20931", "4711007", "LAB", (("99001", "LAB"),), "TESTA^ANNA", ("MUSTER^ANNA",), "19800403", "F",
    "CT", ("CT1",), AT, True, "CT THORAX", "scheduled",
)  # fmt: skip
STUDY = Arrived(
    "1.2.3", "A20931", "4711007", "LAB", "TESTA^ANNA", "19800403", "F", ("CT",), ("CT1",), AT + timedelta(minutes=9),
    "CT THORAX",
)  # fmt: skip
BY_HAND = replace(STUDY, study="1.9.9", accession="", issuer="")
"""What a modality sends whose user typed it all in: no accession number, a study UID of its own."""
OTHER = replace(ORDER, order=8, step=10, study="1.2.4", accession="A20999", patient_id="5000123", former=(),
                name="BEISPIEL^PETER", former_names=(), born="19511224", sex="M")  # fmt: skip


def state_of(arrived: Arrived, *orders: Expected, doubts: Doubts | None = None) -> verdict.Verdict:
    ranked = rank([score(arrived, each) for each in orders or (ORDER, OTHER)])
    return judge(arrived, ranked, doubts or Doubts(patient=True), Thresholds())


SLIPS: list[tuple[str, dict[str, Any], str, str]] = [
    ("as the worklist gave it", {}, "matched", ""),
    ("accented letters as the modality spells them", {"name": "TÉSTA^ANNA"}, "matched", ""),
    ("leading zeros of accession and ID", {"accession": "00A20931", "patient_id": "0004711007"}, "matched", ""),
    ("no issuer, as most modalities", {"issuer": ""}, "matched", ""),
    ("a middle name more", {"name": "TESTA^ANNA^MARIA"}, "matched", ""),
    ("the ID that was merged into this one", {"patient_id": "99001"}, "matched", ""),
    ("the name before the marriage", {"name": "MUSTER^ANNA"}, "matched", ""),
    ("a letter too much in the name", {"name": "TESTTA^ANNA"}, "probable", "name: 1 letter differs"),
    ("names swapped", {"name": "ANNA^TESTA"}, "probable", "parts swapped"),
    ("birth date with day and month swapped", {"born": "19800304"}, "probable", "day and month swapped"),
    ("a digit wrong in the ID", {"patient_id": "4711008"}, "probable", "patient ID: one character differs"),
    ("the other sex", {"sex": "M"}, "probable", "sex"),
    ("the patient next on the list: all of somebody else", {"patient_id": "5000123", "name": "BEISPIEL^PETER",
     "born": "19511224", "sex": "M"}, "conflicting", "somebody else"),
    ("only the name of somebody else", {"name": "BEISPIEL^PETER", "born": ""}, "conflicting", "name"),
    ("the ID of somebody else", {"patient_id": "5000123"}, "probable", "patient ID"),
    ("a trauma patient under the right accession", {"name": "UNKNOWN^TRAUMA", "patient_id": "TMP1", "born": "",
     "sex": ""}, "conflicting", "somebody else"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change", "state", "why"), SLIPS, ids=[each[0] for each in SLIPS])
def test_slips_at_a_modality_with_a_worklist(what: str, change: dict[str, Any], state: str, why: str) -> None:
    found = state_of(replace(STUDY, **change))
    assert found.state == state
    assert found.order == (8 if "next on the list" in what else 7)
    assert why in found.why


TYPED: list[tuple[str, dict[str, Any], str, int, str]] = [
    ("all right but for the accession number", {}, "matched", 7, ""),
    ("the name misspelled", {"name": "TESTTA^ANNA"}, "probable", 7, "name"),
    ("the name misspelled, birth date turned", {"name": "TESTTA^ANA", "born": "19800304"}, "probable", 7, "born"),
    ("no ID at all", {"patient_id": ""}, "probable", 7, "patient ID missing"),
    ("ID mistyped beyond a slip", {"patient_id": "1"}, "probable", 7, "patient ID"),
    ("the accession number of somebody else", {"accession": "A20999"}, "conflicting", 7, "accession number"),
    ("ID of one patient, name and birth date of another", {"name": "BEISPIEL^PETER", "born": "19511224", "sex": "M"},
     "probable", 8, "patient ID"),
    ("somebody who has no order", {"patient_id": "777777", "name": "FREMD^OTTO", "born": "19330101", "sex": "M"},
     "unmatched", 0, "no order"),
    ("the right patient with another modality", {"modalities": ("MR",)}, "unmatched", 0, "no order"),
    ("the right patient a month later", {"moment": AT + timedelta(days=30)}, "unmatched", 0, "no order"),
    ("ultrasound where X-ray was meant", {"modalities": ("DX",)}, "unmatched", 0, "no order"),
    ("nothing told at all", {"patient_id": "", "name": "", "born": "", "sex": "", "moment": None, "description": "",
     "stations": ()}, "unmatched", 0, "no patient ID"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change", "state", "order", "why"), TYPED, ids=[each[0] for each in TYPED])
def test_slips_of_what_was_typed_by_hand(what: str, change: dict[str, Any], state: str, order: int, why: str) -> None:
    found = state_of(replace(BY_HAND, **change))
    assert (found.state, found.order) == (state, order)
    assert why in found.why


def test_two_orders_of_one_patient_at_one_time_are_left_to_people() -> None:
    twin = replace(ORDER, order=8, study="1.2.4", accession="A20932", description="CT ABDOMEN")
    found = state_of(replace(BY_HAND, description=""), ORDER, twin)
    assert found.state == "probable"
    assert "another order" in found.why
    assert state_of(STUDY, ORDER, twin) == verdict.Verdict("matched", 7, 9, 100, "")


def test_a_cancelled_order_is_no_match() -> None:
    found = state_of(STUDY, replace(ORDER, state="cancelled"))
    assert found.state == "probable"
    assert "cancelled" in found.why
    assert state_of(STUDY, replace(ORDER, state="discontinued")).state == "matched"  # it was begun, and has images


def test_an_id_that_two_issuers_know_is_no_match() -> None:
    found = state_of(BY_HAND, doubts=Doubts(issuers=("EAST", "LAB"), patient=True))
    assert found.state == "conflicting"
    assert "EAST, LAB" in found.why


def test_an_id_that_is_somebody_elses_is_no_match() -> None:
    study = replace(BY_HAND, name="BEISPIEL^PETER", born="19511224", sex="M")
    found = state_of(study, doubts=Doubts(patient=True, owner="name: another name"))
    assert (found.state, found.order) == ("conflicting", 8)
    assert "somebody else's: name" in found.why


def test_objects_of_two_patients_in_one_study_are_no_match() -> None:
    assert state_of(STUDY, doubts=Doubts(conflict="objects of P2 came under a study of P1")).state == "conflicting"


TEXT = st.one_of(st.text(max_size=20), st.sampled_from(["", "4711007", "TESTA^ANNA", "19800403", "A20931", "CT", "F"]))
WHEN = st.one_of(st.none(), st.datetimes(), st.just(AT))
ARRIVED = st.builds(
    Arrived, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, st.tuples(TEXT), st.tuples(TEXT), WHEN, TEXT
)  # fmt: skip
EXPECTED = st.builds(
    Expected, st.integers(0, 9), st.integers(0, 9), TEXT, TEXT, TEXT, TEXT, st.just(()), TEXT, st.just(()), TEXT, TEXT,
    TEXT, st.tuples(TEXT), WHEN, st.booleans(), TEXT, st.sampled_from(["scheduled", "cancelled"]), st.integers(0, 2),
)  # fmt: skip


@given(ARRIVED, EXPECTED)
def test_no_text_makes_scoring_fail_and_scores_are_in_their_range(arrived: Arrived, expected: Expected) -> None:
    scored = score(arrived, expected)
    assert 0 <= scored.score <= 100
    found = judge(arrived, rank([scored]), Doubts(), Thresholds())
    assert found.state in ("matched", "probable", "unmatched", "conflicting")
    assert found.why or found.state == "matched"


@given(ARRIVED, EXPECTED, st.sampled_from([f.name for f in fields(Arrived)]))
def test_more_agreement_never_scores_less(arrived: Arrived, expected: Expected, which: str) -> None:
    theirs: dict[str, Any] = {
        "modalities": (expected.modality,), "stations": expected.stations, "moment": expected.moment,
    }  # fmt: skip
    value = theirs[which] if which in theirs else getattr(expected, which)
    if not value or value in ((), ("",)):
        return
    better = score(replace(arrived, **{which: value}), expected)
    assert better.score >= score(arrived, expected).score


def test_points_rise_with_agreement() -> None:
    for attribute, points in scoring.POINTS.items():
        different, slip, alike, same = points
        assert different <= slip <= alike <= same, attribute
        assert different <= 0 <= same, attribute


def test_two_studies_that_say_the_same_score_the_same_whichever_is_the_order() -> None:
    one = score(Arrived(name="TESTTA^ANNA", born="19800304"), Expected(name="TESTA^ANNA", born="19800403"))
    other = score(Arrived(name="TESTA^ANNA", born="19800403"), Expected(name="TESTTA^ANNA", born="19800304"))
    assert one.score == other.score
    assert one.kind(scoring.NAME) is Kind.SLIP
