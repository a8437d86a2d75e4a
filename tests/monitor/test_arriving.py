"""Arriving studies: counted while they come, complete when they settle, then forgotten."""

from __future__ import annotations

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.monitor.arriving import KEPT_S, SETTLED_S, Arriving
from pacstui.monitor.problems import Problems, health


def _stored(clock: FakeClock, study: str = "1.2.3", association: int = 1) -> events.InstanceStored:
    return events.InstanceStored(
        clock.now(), association, "CT1", "1.2.3.4", "1.2.3.9", study, "TEST^A", "CT", "CT THORAX", 1000, True
    )


def test_a_study_is_receiving_then_complete_then_gone() -> None:
    clock, bus = FakeClock(), Bus()
    arriving = Arriving(bus, clock)
    for _ in range(4):
        bus.publish(_stored(clock))
    bus.publish(events.InstanceRefused(clock.now(), 1, "CT1", "1.2.3.4.5", 0xA900, "mismatch"))
    (row,) = arriving.rows()
    assert (row.instances, row.failed, row.bytes, row.state, row.calling) == (4, 1, 4000, "receiving", "CT1")
    assert arriving.modality_of(1) == "CT"
    clock.advance(SETTLED_S + 1)
    assert arriving.rows()[0].state == "complete"
    clock.advance(KEPT_S)
    assert arriving.rows() == ()


def test_many_studies_at_once_stay_bounded() -> None:
    clock, bus = FakeClock(), Bus()
    arriving = Arriving(bus, clock)
    for number in range(2000):
        bus.publish(_stored(clock, f"1.2.{number}", number))
        clock.advance(0.001)
    assert len(arriving.rows()) == 500
    assert arriving.rows()[-1].study == "1.2.1999"


def test_a_problem_keeps_its_beginning_until_it_is_gone() -> None:
    clock = FakeClock()
    present: list[tuple[str, str, str, str, str]] = [("disk", "fail", "no room", "free some", "storage")]
    problems = Problems(clock)
    problems.watch(lambda: present)
    first = problems.now()[0].since
    clock.advance(60)
    assert problems.now()[0].since == first
    assert health(problems.now()) == "degraded"
    present.clear()
    assert problems.now() == ()
    present.append(("disk", "note", "little room", "", ""))
    assert problems.now()[0].since > first
    assert health(problems.now()) == "ok"
