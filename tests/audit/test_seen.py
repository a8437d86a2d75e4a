"""Whom somebody looked at: each patient stands in the trail by ID, once in a while for the same view."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from pacstui import contract, events
from pacstui.audit.room import named_patients
from pacstui.contract import privacy
from pacstui.contract.privacy import PatientId, PatientText
from tests.accounts.making import Doors, opened


@dataclass(frozen=True)
class Row:
    name: PatientText
    patient_id: PatientId


@dataclass(frozen=True)
class Page:
    rows: tuple[Row, ...]
    by_peer: dict[str, Row]


def page(*ids: str) -> Page:
    return Page(tuple(Row(f"Doe {each}", each) for each in ids), {"x": Row("Roe", "P9"), "y": Row("Roe", "")})


async def seen(doors: Doors) -> list[tuple[str, str, str]]:
    return [(e.action, e.target, e.patient) for e in await doors.entries() if e.kind == "patients seen"]


def test_ids_are_found_wherever_they_are_once_each_and_names_are_not() -> None:
    assert privacy.ids(page("P2", "P1", "P2", " ")) == ("P2", "P1", "P9")
    assert privacy.ids(("text", 7, None, (page("P1"),))) == ("P1", "P9")


def test_each_model_with_a_patient_id_declares_it() -> None:
    """So that a new screen's views are written down without more code."""
    found = 0
    for module in pkgutil.iter_modules(contract.__path__):
        for kind in vars(importlib.import_module(f"pacstui.contract.{module.name}")).values():
            if isinstance(kind, type) and "patient_id" in getattr(kind, "__dataclass_fields__", {}):
                assert privacy._ids_of(kind) == ("patient_id",), kind
                found += 1
    assert found > 5


async def test_who_was_seen_stands_there_and_somebody_new_is_added(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        me = await doors.caller()
        look = lambda *ids: doors.audit.seen(me, "studies.list", "limit=9", ids=ids)  # noqa: E731
        look("P1", "P2")
        look("P1", "P2")
        look("P1", "P2", "P3")
        doors.audit.seen(me, "studies.show", "1.2.3", ids=("P1",))
        doors.clock.advance(901)
        look("P1")
        assert await seen(doors) == [
            ("studies.list", "limit=9", "ID P1, P2"), ("studies.list", "limit=9", "ID P3"),
            ("studies.show", "1.2.3", "ID P1"), ("studies.list", "limit=9", "ID P1"),
        ]  # fmt: skip


async def test_what_was_searched_for_stands_before_and_the_trail_finds_who_looked_at_a_patient(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        me = await doors.caller()
        doors.audit.seen(me, "studies.list", "limit=9", "doe", ids=("P1",))
        doors.audit.seen(me, "studies.list", "limit=9", "roe")
        doors.audit.seen(me, "studies.list", "limit=9", "roe")
        assert [patient for _, _, patient in await seen(doors)] == ["doe; ID P1", "roe"]
        assert len((await doors.audit.list(search="p1")).rows) == 1
        assert "doe; ID P1" in await doors.audit.export_csv()
        doors.audit.sees_patients = lambda: False
        exported = await doors.audit.export_csv()
        assert "studies.list" in exported
        assert "P1" not in exported
        assert "doe" not in exported
        assert not (await doors.audit.list(search="p1")).rows


@pytest.mark.parametrize("count", [0, 1, 31, 1000])
def test_many_patients_are_all_named_in_entries_that_are_not_too_long(count: int) -> None:
    ids = [f"{number:060d}\x1b[31m" for number in range(count)]
    told = list(named_patients(ids))
    assert len(told) >= 1
    assert max(map(len, told)) <= 2300
    assert sum(text.count("0" * 50) for text in told) == count
    assert "\x1b" not in "".join(told)


async def test_what_a_device_fetched_is_an_export(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:

        def sent(completed: int, *subjects: tuple[str, str]) -> None:
            doors.bus.publish(
                events.Retrieved(
                    doors.clock.now(), 1, "WS3", "C-MOVE", "WS4", completed, 0, 1, 0, "", "", "10.0.0.7", subjects
                )
            )

        sent(0, ("1.2.9", "P9"))
        sent(3, ("1.2.3", "P1"), ("1.2.4", "P2"))
        sent(1, ("1.2.3", "P1"))
        exports = [
            (e.who, e.how, e.origin, e.action, e.target, e.patient, e.detail)
            for e in await doors.entries()
            if e.kind == "export"
        ]
        rest = "3 instances of 2 studies sent, 1 failed"
        assert exports == [
            ("WS3", "DICOM", "10.0.0.7", "dicom.C-MOVE", "study=1.2.3, to=WS4", "ID P1", rest),
            ("WS3", "DICOM", "10.0.0.7", "dicom.C-MOVE", "study=1.2.4, to=WS4", "ID P2", rest),
        ]
