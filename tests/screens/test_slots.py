"""Rows keep their places; what moves is never hidden by what rests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from screens.panels.slots import Slots


def test_a_newcomer_takes_the_place_of_a_row_at_rest_and_the_others_stay():
    slots: Slots[str] = Slots()
    assert slots.arrange(["a", "b", "c"], {"a", "b", "c"}, 3) == ["a", "b", "c"]
    assert slots.arrange(["a", "b", "c", "d"], {"a", "c", "d"}, 3) == ["a", "d", "c"]
    assert slots.arrange(["a", "b", "c", "d"], {"a", "b", "c", "d"}, 3) == ["a", "d", "c"]


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), unique=True), st.sets(st.integers(0, 9)), st.integers(1, 5))))
def test_places(steps):
    slots: Slots[int] = Slots()
    for rows, moving, room in steps:
        moving &= set(rows)
        shown = slots.arrange(rows, moving, room)
        assert len(shown) == len(set(shown)) == min(room, len(rows))
        assert set(shown) <= set(rows)
        assert len(moving & set(shown)) == min(room, len(moving))
