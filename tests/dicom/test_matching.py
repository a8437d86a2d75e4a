"""What a key of a query matches (PS3.4 C.2.2.2)."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.dicom.matching import Match, between, comparison, match_of, normal_time, sequence_of


def hit(vr: str, key: str, value: str) -> bool:
    return comparison(match_of(vr, key))(value)


@pytest.mark.parametrize("vr", ["LO", "PN", "UI", "DA", "TM", "CS", "IS"])
@pytest.mark.parametrize("key", ["", "*", "**"])
def test_universal(vr: str, key: str) -> None:
    assert match_of(vr, key).is_universal
    assert hit(vr, key, "")


@pytest.mark.parametrize(
    ("vr", "key", "value", "want"),
    [
        ("LO", "CT THORAX", "CT THORAX", True),
        ("LO", "ct thorax", "CT THORAX", False),
        ("LO", "CT*", "CT THORAX", True),
        ("LO", "*THORAX", "CT THORAX", True),
        ("LO", "CT", "CT THORAX", False),
        ("LO", "A?1", "A_1", True),
        ("LO", "A?1", "A1", False),
        ("LO", "A_1", "AX1", False),
        ("LO", "A%", "ABC", False),
        ("LO", "A[1]*", "A[1]", True),
        ("LO", "A[1]*", "A1", False),
        ("LO", "A.*", "ABC", False),
        ("LO", "A\n*", "A\nB", True),
        ("SH", "A'1", "A'1", True),
        ("CS", "CT", "MR\\CT", True),
        ("CS", "CT\\US", "MR\\CT", True),
        ("CS", "CT\\US", "MR", False),
        ("UI", "1.2.3", "1.2.3", True),
        ("UI", "1.2.3\\1.2.4", "1.2.4", True),
        ("UI", "1.2.?", "1.2.3", False),
        ("IS", "3", "3", True),
        ("IS", "03", "3", True),
        ("IS", "3", "33", False),
        ("IS", "3", "", False),
        ("IS", "x", "x", True),
        ("DA", "20250111", "20250111", True),
        ("DA", "2025.01.11", "20250111", True),
        ("DA", "20250110-20250112", "20250111", True),
        ("DA", "20250110-20250112", "2025.01.11", True),
        ("DA", "20250110-20250112", "20250113", False),
        ("DA", "-20250112", "20250112", True),
        ("DA", "-20250112", "", False),
        ("DA", "20250112-", "20250111", False),
        ("DA", "20250112-", "20990111", True),
        ("DA", "-", "20250111", False),
        ("DA", "2025", "20250111", False),
        ("TM", "1030", "103000", True),
        ("TM", "103000", "103000.000", True),
        ("TM", "103000", "103000.5", False),
        ("TM", "10:30:00", "1030", True),
        ("TM", "220000-235959", "230000", True),
        ("TM", "220000-235959", "235959.9", True),
        ("TM", "10-11", "115959", True),
        ("TM", "10-11", "12", False),
        ("TM", "20250111220000-20250111235959", "223000", False),
        ("TM", "-0900", "083000", True),
        ("PN", "DOE^JANE", "Doe^Jane", True),
        ("PN", "DOE^JANE", "DOE^JANE^^^", True),
        ("PN", "DOE^JANE", "DOE^JANE^MARY", False),
        ("PN", "doe*", "DOE^JANE", True),
        ("PN", "DOE^J?HN*", "DOE^JAHN^X", True),
        ("PN", "*Y", "DOE^SALLY", True),
        ("PN", "YAMADA^TAROU", "YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce", True),
        ("PN", "\u5c71\u7530*", "YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce", True),
        ("PN", "YAMADA*=\u5c71\u7530*", "YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce", True),
        ("PN", "SUZUKI*=\u5c71\u7530*", "YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce", False),
        ("PN", "=\u5c71\u7530*", "YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce", True),
        ("PN", "M\u00dcLLER", "m\u00fcller", True),
        ("PN", "DOE_*", "DOE^JANE", False),
        ("PN", "DOE^*", "DOE", True),
        ("PN", "DOE^*", "DOER", False),
        ("PN", "=\u5c71*", "\u5c71\u7530^\u592a\u90ce", False),
        ("PN", "==\u3084*", "YAMADA^TAROU=\u5c71\u7530=\u3084\u307e\u3060", True),
        ("DT", "20260111120000+0000", "20260111130000+0100", True),
        ("DT", "20260111120000-0500", "20260111170000+0000", True),
        ("DT", "20260111120000+0000", "20260111120000.5+0000", False),
        ("DT", "202601110000+0000-202601120000+0000", "20260111130000+0100", True),
        ("DT", "20260111-20260112", "20260112235959.9", True),
        ("DT", "20260111-20260112", "20260113", False),
        ("DT", "2025-2026", "20260630", True),
        ("DT", "-2025", "20260101", False),
        ("DT", "202602-", "20260201", True),
        ("DT", "202602-", "", False),
        ("DT", "20261301", "20261301", False),
        ("DT", "next week", "20260101", False),
    ],
)
def test_what_matches(vr: str, key: str, value: str, want: bool) -> None:
    assert hit(vr, key, value) is want


def test_date_and_time_taken_together() -> None:
    dates, times = match_of("DA", "20250110-20250112"), match_of("TM", "220000-100000")
    moments = [("20250110", "210000"), ("20250110", "230000"), ("20250111", "120000"), ("20250112", "095959"),
               ("20250112", "110000"), ("", "230000")]  # fmt: skip
    assert [between(day, time, dates, times) for day, time in moments] == [False, True, True, True, False, False]


def test_names_in_another_form() -> None:
    test = comparison(match_of("PN", "muller*"), lambda name: name.casefold().replace("\u00fc", "u"))
    assert test("M\u00fcller^Erika")


@given(st.text(alphabet="aAbB*?[]!%_.^\\", max_size=12), st.text(alphabet="aAbB[]!%_.^", max_size=12))
def test_wildcards_agree_with_another_implementation(key: str, value: str) -> None:
    wanted = fnmatch.fnmatchcase(value.strip(" "), key.replace("[", "[[]"))
    if "\\" not in key and key.strip("*"):
        assert hit("LT", key, value) is wanted


VRS = st.sampled_from(["PN", "LO", "CS", "DA", "TM", "DT", "UI", "IS", "DS", "AE"])


@pytest.mark.parametrize("key", ["*?" * 5000, "*a" * 1000 + "b", "*aa?" * 250, "?*" * 200 + "x"])
@pytest.mark.parametrize("vr", ["LO", "PN"])
def test_no_wildcards_take_long(key: str, vr: str) -> None:
    test = comparison(match_of(vr, key))
    began = time.process_time()
    for _ in range(20):
        test("a" * 1024)
    assert time.process_time() - began < 1


ITEMS = (
    '[{"00401001":"RP1","00400009":"S1","00321064":[{"00080100":"C1","00080104":"Head"}]},'
    '{"00401001":"RP2","00400009":"S2"}]'
)


def sequence(**keys: str) -> Match:
    tags = {"procedure": 0x00401001, "step": 0x00400009}
    return sequence_of([(tags[name], match_of("SH", text)) for name, text in keys.items()])


def test_a_sequence_matches_where_one_item_has_all_of_it() -> None:
    assert comparison(sequence(procedure="RP2", step="S2"))(ITEMS)
    assert comparison(sequence(procedure="RP*", step="S1"))(ITEMS)
    assert not comparison(sequence(procedure="RP1", step="S2"))(ITEMS), "each in an item of its own is not enough"
    assert not comparison(sequence(procedure="RP1"))("")
    assert not comparison(sequence(procedure="RP1"))("no items")
    assert sequence_of([]).is_universal
    assert sequence(procedure="").is_universal


def test_sequences_in_sequences() -> None:
    def coded(code: str) -> Match:
        return sequence_of([(0x00321064, sequence_of([(0x00080100, match_of("SH", code))]))])

    assert comparison(coded("C?"))(ITEMS)
    assert not comparison(coded("D?"))(ITEMS)


@given(st.text(max_size=40), VRS, st.text(max_size=40))
def test_any_key_and_any_value_are_compared_without_a_fault(key: str, vr: str, value: str) -> None:
    match = match_of(vr, key)
    assert isinstance(match, Match)
    assert comparison(match)(value) in (True, False)


@given(st.times(), st.integers(0, 6))
def test_times_are_normal(moment: object, digits: int) -> None:
    text = f"{moment:%H%M%S.%f}"[: 7 + digits] if digits else f"{moment:%H%M%S}"
    assert len(normal_time(text)) == 12
    assert normal_time(text) <= normal_time(text, last=True)
