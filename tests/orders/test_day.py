"""A day of messages in simulated disorder ends in the state that a model says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.hl7v2.charset import decode
from tests.orders import wire
from tests.orders.day import Event, Hospital, Model, differences, settled
from tests.orders.ward import Ward


def live(events: list[Event]) -> list[str]:
    """Let a day arrive; return what is not as it should be."""
    ward, model = Ward(), Model()
    for number, event in enumerate(events):
        accepted = model.hear(event)
        if event.kind == "study":
            ward.store(event.id, event.name, event.birth, event.sex, study=event.study, series=event.series)
            continue
        text = decode(event.message(), event.charset[0]).text
        outcome = ward.hear(text)
        if (outcome.code == "AA") is not accepted:
            return [f"{number}: {event} was answered {outcome}"]
    ward.sound()
    return differences(model, ward)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(5, 120))
def test_a_short_day(seed: int, count: int) -> None:
    assert live(settled(Hospital(seed, count).disordered())) == []


@pytest.mark.slow
def test_a_long_day() -> None:
    assert live(settled(Hospital(20260101, 3000).disordered())) == []


async def test_a_day_over_the_wire(tmp_path: Path) -> None:
    events = settled(Hospital(7, 300).disordered())
    assert await wire.live(events, tmp_path / "data") == []
