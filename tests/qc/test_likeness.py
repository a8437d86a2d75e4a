"""Names, identifiers and dates as hurried hands write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.qc import likeness
from pacstui.qc.likeness import Kind

TEXT = st.text(max_size=70)
WORDS = st.text(alphabet="abcdeöüßn ^=-,'", max_size=24)


def plain_distance(one: str, other: str) -> int:
    """The same distance by the book, without a band."""
    rows = [[i + j if i * j == 0 else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            same = one[i - 1] == other[j - 1]
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (not same))
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[len(one)][len(other)]


@given(st.text(alphabet="abc", max_size=9), st.text(alphabet="abc", max_size=9), st.integers(0, 4))
def test_the_distance_is_that_of_the_book_up_to_its_bound(one: str, other: str, most: int) -> None:
    assert likeness.distance(one, other, most) == min(plain_distance(one, other), most + 1)


@given(st.one_of(TEXT, WORDS), st.one_of(TEXT, WORDS))
def test_no_text_makes_a_comparison_fail_and_the_order_of_the_two_does_not_matter(one: str, other: str) -> None:
    for compare in (likeness.names, likeness.identifiers, likeness.dates):
        assert compare(one, other).kind is compare(other, one).kind


@given(st.one_of(TEXT, WORDS))
def test_a_text_agrees_with_itself_or_says_nothing(text: str) -> None:
    for compare in (likeness.names, likeness.identifiers, likeness.dates):
        assert compare(text, text).kind in (Kind.SAME, Kind.MISSING)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("TESTA^ANNA", "Testa^Anna", Kind.SAME),
        ("TESTA^ANNA^^^", "Testa^Anna^^Dr.", Kind.SAME),
        ("O'NEIL^SEAN", "ONEIL^SEÁN", Kind.SAME),
        ("Testa, Anna", "TESTA^ANNA", Kind.SAME),
        ("TESTA ANNA", "TESTA^ANNA", Kind.ALIKE),
        ("MUELLER^JOERG", "Müller^Jörg", Kind.ALIKE),
        ("STRASSER^ANNA", "Straßer^Anna", Kind.SAME),
        ("SOERENSEN^ASE", "Sørensen^Åse", Kind.ALIKE),
        ("TESTA^ANNA^M", "TESTA^ANNA^MARIA", Kind.ALIKE),
        ("TESTA^ANNA", "TESTA^ANNA^MARIA", Kind.ALIKE),
        ("山田^太郎", "YAMADA^TARO=山田^太郎=やまだ^たろう", Kind.SAME),
        ("ANNA^TESTA", "TESTA^ANNA", Kind.SLIP),
        ("ANA^TESTA", "TESTA^ANNA", Kind.SLIP),
        ("TSETA^ANNA", "TESTA^ANNA", Kind.SLIP),
        ("TESTTA^ANNA", "TESTA^ANNA", Kind.SLIP),
        ("TESTA^A", "TESTA^ANNA", Kind.SLIP),
        ("TESTA", "TESTA^ANNA", Kind.SLIP),
        ("TESTA-BERG^ANNA", "TESTA^ANNA", Kind.SLIP),
        ("JNAE^DOE", "DOE^JANE", Kind.SLIP),
        ("TESTA^ANNA^MARIA", "TESTA^ANNA^PETRA", Kind.SLIP),
        ("BERG^ANNA", "TESTA^ANNA", Kind.DIFFERENT),
        ("TESTA^PETER", "TESTA^ANNA", Kind.DIFFERENT),
        ("LEE^ANNA", "LEA^ANNA", Kind.DIFFERENT),
        ("UNKNOWN^TRAUMA", "TESTA^ANNA", Kind.DIFFERENT),
        ("", "TESTA^ANNA", Kind.MISSING),
        ("^^^^", "TESTA^ANNA", Kind.MISSING),
    ],
)
def test_names(one: str, other: str, kind: Kind) -> None:
    assert likeness.names(one, other).kind is kind


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("4711", "4711", Kind.SAME),
        ("0004711", "4711", Kind.ALIKE),
        ("a-4711", "A4711", Kind.ALIKE),
        (" 47 11 ", "4711", Kind.ALIKE),
        ("1234567", "1235467", Kind.SLIP),
        ("1234567", "123456", Kind.SLIP),
        ("4711", "4712", Kind.DIFFERENT),
        ("1234567", "7654321", Kind.DIFFERENT),
        ("---", "4711", Kind.DIFFERENT),
        ("", "4711", Kind.MISSING),
    ],
)
def test_identifiers(one: str, other: str, kind: Kind) -> None:
    assert likeness.identifiers(one, other).kind is kind


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("19800403", "19800403", Kind.SAME),
        ("19800403", "19800304", Kind.SLIP),
        ("19800403", "19080403", Kind.SLIP),
        ("19800403", "19810403", Kind.SLIP),
        ("19800403", "19910403", Kind.DIFFERENT),
        ("1980", "19800403", Kind.MISSING),
        ("", "19800403", Kind.MISSING),
    ],
)
def test_dates_of_birth(one: str, other: str, kind: Kind) -> None:
    assert likeness.dates(one, other).kind is kind


@given(st.dates())
def test_every_slip_of_a_date_that_is_looked_for_is_one(day: object) -> None:
    date = f"{day:%Y%m%d}" if len(f"{day:%Y%m%d}") == 8 else "19800403"
    for slip in likeness.slips_of(date):
        assert likeness.dates(date, slip).kind >= Kind.SLIP
