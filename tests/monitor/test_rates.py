"""Rates are means over finished seconds; history is by minute."""

from __future__ import annotations

from pacstui.clock import FakeClock
from pacstui.monitor.rates import SECONDS, Recent, SecondRing, Throughput


def test_the_running_second_is_not_part_of_the_mean() -> None:
    clock = FakeClock()
    ring = SecondRing(clock)
    ring.add(50)
    assert ring.mean() == 0
    clock.advance(1)
    assert ring.mean() == 10
    assert ring.series()[-1] == 50


def test_a_ring_forgets_what_is_older_than_itself() -> None:
    clock = FakeClock()
    ring = SecondRing(clock)
    ring.add(7)
    clock.advance(SECONDS * 3)
    assert sum(ring.series()) == 0
    assert len(ring.series()) == SECONDS - 1


def test_a_young_thing_is_not_averaged_over_seconds_before_its_birth() -> None:
    recent = Recent()
    for _ in range(30):
        recent.add(100.5)
    assert recent.mean(100.9, age=0.4) == 30
    assert recent.mean(102.0, age=1.5) == 20
    assert recent.mean(105.2, age=10.0) == 6
    assert recent.mean(120.0, age=20.0) == 0


def test_history_has_one_point_a_minute_with_the_most_associations_at_once() -> None:
    clock = FakeClock()
    throughput = Throughput(clock)
    throughput.associations(3)
    throughput.stored(1000)
    clock.advance(30)
    throughput.associations(1)
    throughput.stored(500)
    clock.advance(60)
    throughput.refused()
    points = throughput.history(10).points
    assert [(p.instances, p.bytes, p.associations, p.refused) for p in points] == [(2, 1500, 3, 0), (0, 0, 0, 1)]
    assert throughput.history(1).points == points[-1:]
    assert throughput.history(0).points == ()
