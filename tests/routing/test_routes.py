"""Which destinations an object is for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pacstui.routing.route import Routes, Subject
from pacstui.settings import RouteSettings

NOON = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
TITLES = {"PACS1": "PACS1", "VIEWER": "VIEWER", "CT1": "CT1"}


def subject(calling: str = "CT1", called: str = "PACS", at: datetime = NOON, **values: str) -> Subject:
    known = {0x00080060: "CT", 0x00081030: "CT Thorax", **{int(tag[1:], 16): text for tag, text in values.items()}}
    return Subject(lambda tag: known.get(tag, ""), calling, called, at)


def route(*to: str, name: str = "r", **more: Any) -> RouteSettings:
    return RouteSettings(name=name, to=to, **more)


def where(*routes: RouteSettings, of: Subject | None = None) -> list[str]:
    return [way.destination for way in Routes(routes, TITLES).ways(of or subject())]


@pytest.mark.parametrize(
    ("conditions", "goes"),
    [
        ({}, True),
        ({"modality": ("MR", "ct")}, True),
        ({"modality": ("MR",)}, False),
        ({"calling": ("CT*",)}, True),
        ({"calling": ("MR*",)}, False),
        ({"called": ("PACS",)}, True),
        ({"called": ("OTHER",)}, False),
        ({"description": ("*thorax*",)}, True),
        ({"description": ("thorax",)}, False),
        ({"where": ("Modality = CT", "StudyDescription present")}, True),
        ({"where": ("Modality = CT", "StudyDescription absent")}, False),
        ({"enabled": False}, False),
    ],
)
def test_all_conditions_have_to_hold(conditions: dict[str, Any], goes: bool) -> None:
    assert where(route("PACS1", **conditions)) == (["PACS1"] if goes else [])


def test_hours_are_those_of_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacstui.routing.route.zone_of", lambda name: UTC)
    by_night = route("PACS1", hours="20:00-06:00")
    assert where(by_night) == []
    assert where(by_night, of=subject(at=NOON.replace(hour=23))) == ["PACS1"]
    assert where(by_night, of=subject(at=NOON.replace(hour=5, minute=59))) == ["PACS1"]


def test_each_destination_gets_one_copy_by_the_first_route_that_says_so() -> None:
    routes = Routes([route("VIEWER", name="a", priority="high"), route("VIEWER", "PACS1", name="b")], TITLES)
    assert [(way.route, way.destination, way.priority) for way in routes.ways(subject())] == [
        ("a", "VIEWER", 0),
        ("b", "PACS1", 1),
    ]


def test_nothing_goes_back_to_where_it_came_from() -> None:
    assert where(route("CT1", "VIEWER")) == ["VIEWER"]
    assert where(route("CT1", send_back=True)) == ["CT1"]


def test_the_last_route_ends_it() -> None:
    assert where(route("VIEWER", name="a", last=True), route("PACS1", name="b")) == ["VIEWER"]
    assert where(route("VIEWER", name="a", last=True, modality=("MR",)), route("PACS1", name="b")) == ["PACS1"]


def test_what_was_called_counts_only_where_it_is_known() -> None:
    assert where(route("VIEWER", called=("PACS2",)), of=subject(called="")) == ["VIEWER"]


def test_a_broken_route_does_not_stop_the_others() -> None:
    routes = Routes([route("VIEWER", name="a", where=("Nonsense = 1",)), route("PACS1", name="b")], TITLES)
    assert [way.destination for way in routes.ways(subject())] == ["PACS1"]
    assert "no keyword" in str(routes.problems["a"])
