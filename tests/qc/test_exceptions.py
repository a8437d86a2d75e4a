"""Studies that come are matched with orders and patients, and again when these change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pacstui import events
from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.errors import BadRequest, NotFound
from pacstui.qc.exceptions import ExceptionsRoom
from pacstui.settings import Settings
from pacstui.settings.qc import QcSettings
from tests.archive.conftest import OPTIONS, send
from tests.archive.objects import Object
from tests.orders.rows import insert, scheduled

BORN, SEX = 0x00100030, 0x00100040
NOON = datetime.fromisoformat("2025-01-11T12:00:00").astimezone(UTC)


class Desk:
    """An archive, a room of exceptions, and orders put beside them."""

    def __init__(self, archive: Archive, bus: Bus, clock: FakeClock, settings: Settings) -> None:
        self.archive, self.bus, self.clock, self.settings = archive, bus, clock, settings
        self.room = ExceptionsRoom(archive, bus, clock, lambda: "op1", lambda: self.settings)
        self.heard: list[events.StudyMatched] = []
        bus.subscribe(events.StudyMatched, self.heard.append)

    async def order(self, number: int, **more: Any) -> int:
        """Have an order at noon, for a patient of its own; return the step."""
        more = {"o_created": 1, "o_accession_key": f"a{number}", **more}
        step: int = await self.archive.db.write(lambda c: scheduled(c, number, **more))
        self.bus.publish(events.OrderChanged(self.clock.now(), (step,)))
        return step

    async def study(self, calling: str = "CT1", born: str = "19700102", sex: str = "F", **values: Any) -> str:
        """Have a study come; return its UID."""
        thing = Object(modality=values.pop("modality", "CT"), **values)
        thing.tags[BORN], thing.tags[SEX] = ("DA", born), ("CS", sex)
        await send(self.archive, thing, calling=calling)
        return thing.study

    async def settled(self) -> None:
        """Let time pass until everything was looked at."""
        for _ in range(3):
            self.clock.advance(31)
            await self.room.tick()

    async def state(self, study: str) -> tuple[str, int]:
        """Return how a study stands, and which order it is matched to."""
        row = (await self.room.show(study)).row
        return row.state, row.order

    async def step(self, step: int) -> str:
        """Return where a step stands."""
        rows: list[tuple[str]] = await self.archive.db.read(
            lambda c: c.execute("SELECT state FROM steps WHERE id=?", (step,)).fetchall()
        )
        return rows[0][0]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    bus, clock = Bus(), FakeClock(NOON)
    archive = await Archive.open(tmp_path / "data", OPTIONS, bus, clock, busy_s=0.3)
    made = Desk(archive, bus, clock, Settings())
    await made.room.open()
    try:
        yield made
    finally:
        await archive.close()


async def test_a_study_from_the_worklist_is_matched_and_its_step_has_arrived(desk: Desk) -> None:
    step = await desk.order(1)
    study = await desk.study(accession="A1", patient="P1", name="TEST^NUMBER 1", description="THORAX")
    await desk.room.tick()
    assert desk.heard == []  # more of it may come
    await desk.settled()
    assert await desk.state(study) == ("matched", 1)
    assert await desk.step(step) == "arrived"
    assert [(each.study, each.state, each.order, each.calling) for each in desk.heard] == [(study, "matched", 1, "CT1")]
    assert (await desk.room.list_all()).rows == ()


async def test_a_misspelled_name_is_shown_beside_the_right_one_though_the_index_knows_better(desk: Desk) -> None:
    await desk.order(1)
    study = await desk.study(accession="A1", patient="P1", name="TSET^NUMBER 1")
    await desk.settled()
    page = await desk.room.list_all()
    assert [(row.state, row.patient_name, row.why) for row in page.rows] == [
        ("probable", "TSET^NUMBER 1", "name: 1 letter differs")
    ]
    first = (await desk.room.show(study)).candidates[0]
    names = next(each for each in first.differences if each.attribute == "name")
    assert (names.arrived, names.expected, names.mark) == ("TSET^NUMBER 1", "TEST^NUMBER 1", "near")
    assert "-" not in "".join(reason[0] for reason in first.reasons)
    assert (await desk.room.list_all(search="tset")).rows == page.rows
    assert (await desk.room.list_all(search="nobody")).rows == ()


async def test_images_of_an_order_that_is_on_hold_say_so_and_are_found_by_that(desk: Desk) -> None:
    body = '{"held":true,"hold":{"by":"RIS","at":"2025-01-11 11:00","why":"creatinine"}}'
    await desk.order(1, o_body=body)
    await desk.order(2)
    study = await desk.study(accession="A1", patient="P1", name="TSET^NUMBER 1")
    other = await desk.study(accession="A2", patient="P2", name="TSET^NUMBER 2")
    await desk.settled()
    rows = {row.study: (row.state, row.held, row.held_why) for row in (await desk.room.list_all()).rows}
    assert rows == {study: ("probable", "RIS, since 2025-01-11 11:00", "creatinine"), other: ("probable", "", "")}
    assert [row.study for row in (await desk.room.list_all(state="on hold")).rows] == [study]
    first = (await desk.room.show(study)).candidates[0]
    assert (first.state, first.held_why) == ("on hold", "creatinine")


async def test_a_node_that_never_had_an_order_has_no_exceptions(desk: Desk) -> None:
    for number in range(3):
        await desk.study(accession=f"X{number}", patient=f"Q{number}")
    await desk.settled()
    assert (await desk.room.list_all()).rows == ()
    assert list(desk.room.problems()) == []


async def test_studies_from_before_the_first_order_are_no_exceptions(desk: Desk) -> None:
    before = await desk.study(accession="X1", patient="Q1")
    desk.clock.advance(3600)
    await desk.order(1, o_created=round(desk.clock.now().timestamp() * 1e6))
    after = await desk.study(accession="X2", patient="Q2")
    await desk.settled()
    assert [row.study for row in (await desk.room.list_all()).rows] == [after]
    assert (await desk.state(before))[0] == "not expected"


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"orders_expected_from": ("MR1",)}, {}),
        ({"ignore_calling": ("ct*",)}, {}),
        ({"ignore_modalities": ("CT",)}, {}),
        ({"ignore_descriptions": ("*phantom*",)}, {"description": "Daily Phantom"}),
        ({}, {"date": "20201224"}),
    ],
)
async def test_what_needs_no_order_is_no_exception(
    desk: Desk, settings: dict[str, Any], values: dict[str, Any]
) -> None:
    desk.settings = Settings(qc=QcSettings(**settings))
    await desk.order(1)
    study = await desk.study(accession="X1", patient="Q1", **values)
    await desk.settled()
    assert (await desk.state(study))[0] == "not expected"
    assert (await desk.room.list_all()).counts["unmatched"] == 0


async def test_the_order_that_comes_after_its_images_finds_them(desk: Desk) -> None:
    await desk.order(9)
    study = await desk.study(accession="A1", patient="P1", name="TEST^NUMBER 1")
    await desk.settled()
    assert (await desk.state(study))[0] == "unmatched"
    step = await desk.order(1)
    await desk.settled()
    assert (await desk.state(study))[0] == "matched"
    assert await desk.step(step) == "arrived"


async def test_an_order_without_any_of_its_numbers_finds_the_exception_too(desk: Desk) -> None:
    await desk.order(9, p_name="QUITE^ANOTHER", p_birth_date="19331212")
    study = await desk.study(accession="", patient="", name="TSET^NUMBER 1")
    await desk.settled()
    assert (await desk.state(study))[0] == "unmatched"
    await desk.order(1)
    await desk.settled()
    assert (await desk.state(study))[0] == "probable"


async def test_a_patient_who_gets_another_name_leaves_matched_studies_matched(desk: Desk) -> None:
    await desk.order(1)
    study = await desk.study(accession="A1", patient="P1", name="TEST^NUMBER 1")
    await desk.settled()
    await desk.archive.db.write(
        lambda c: c.execute("UPDATE persons SET name='TESD^NUMBER 1', birth_date='19700201' WHERE patient_id='P1'")
    )
    desk.bus.publish(events.PatientChanged(desk.clock.now(), (1,)))
    await desk.settled()
    assert (await desk.state(study))[0] == "matched"
    assert (await desk.room.match(study)).state == "probable"  # somebody asked for a fresh look


async def test_an_id_that_two_issuers_know_is_an_exception(desk: Desk) -> None:
    await desk.order(1)
    await desk.order(2, p_patient_id="P1", p_issuer="EAST", p_name="OTHER^PERSON", p_birth_date="19330303")
    study = await desk.study(accession="", patient="P1", name="TEST^NUMBER 1")
    await desk.settled()
    row = (await desk.room.list_all()).rows[0]
    assert (row.study, row.state) == (study, "conflicting")
    assert "EAST, TESTLAB" in row.why
    desk.settings = desk.settings.model_copy(
        update={"orders": desk.settings.orders.model_copy(update={"local_issuer": "TESTLAB"})}
    )
    assert (await desk.room.match(study)).state == "matched"


async def test_objects_of_two_patients_are_an_exception_even_without_orders(desk: Desk) -> None:
    first = Object(patient="P1", name="TEST^ONE")
    await send(desk.archive, first)
    await send(desk.archive, first.beside(patient="P2"))
    await desk.settled()
    rows = (await desk.room.list_all()).rows
    assert [(row.study, row.state) for row in rows] == [(first.study, "conflicting")]


async def test_an_order_of_somebody_else_is_not_said_to_have_arrived(desk: Desk) -> None:
    step = await desk.order(1)
    study = await desk.study(accession="A1", patient="P7", name="OTHER^PERSON", born="19330303", sex="M")
    await desk.settled()
    row = (await desk.room.list_all()).rows[0]
    assert (row.study, row.state) == (study, "conflicting")
    assert "NUMBER 1" in row.why
    assert await desk.step(step) == "scheduled"


async def test_a_step_is_scheduled_again_when_its_images_are_another_ones(desk: Desk) -> None:
    step = await desk.order(1)
    study = await desk.study(accession="A1", patient="P1", name="TEST^NUMBER 1")
    await desk.settled()
    assert await desk.step(step) == "arrived"
    await desk.archive.db.write(lambda c: c.execute("UPDATE orders SET accession='A77', accession_key='a77', person=0"))
    await desk.archive.db.write(lambda c: insert(c, "persons", {"patient_id": "P8", "issuer": "L"}))
    await desk.archive.db.write(lambda c: c.execute("UPDATE orders SET person=(SELECT max(id) FROM persons)"))
    assert (await desk.room.match(study)).state == "unmatched"
    assert await desk.step(step) == "scheduled"


async def test_taken_as_it_is_a_study_leaves_the_list_until_it_stands_otherwise(desk: Desk) -> None:
    await desk.order(9)
    study = await desk.study(accession="A1", patient="P1", name="TEST^NUMBER 1")
    await desk.settled()
    with pytest.raises(BadRequest, match="why"):
        await desk.room.settle(study, "  ")
    row = await desk.room.settle(study, "from the emergency room, no order will come")
    assert row.settled.startswith("op1: from the emergency room")
    assert (await desk.room.list_all()).rows == ()
    assert [each.study for each in (await desk.room.list_all(settled=True)).rows] == [study]
    assert list(desk.room.problems()) == []
    await desk.room.match(study)
    assert (await desk.room.list_all()).rows == ()
    assert [each.study for each in (await desk.room.list_all()).rows] == []
    assert (await desk.room.reopen(study)).settled == ""
    with pytest.raises(BadRequest, match="nobody"):
        await desk.room.reopen(study)
    assert [each.study for each in (await desk.room.list_all()).rows] == [study]
    await desk.room.settle(study, "really")
    await desk.order(1, p_name="TEST^NUMBRE 1")
    await desk.settled()
    assert [each.state for each in (await desk.room.list_all()).rows] == ["probable"]


async def test_what_is_matched_cannot_be_taken_as_it_is_and_what_is_gone_is_not_found(desk: Desk) -> None:
    await desk.order(1)
    study = await desk.study(accession="A1", patient="P1", name="TEST^NUMBER 1")
    await desk.settled()
    with pytest.raises(BadRequest, match="matched"):
        await desk.room.settle(study, "why not")
    with pytest.raises(NotFound):
        await desk.room.show("1.2.3")
    with pytest.raises(BadRequest, match="no state"):
        await desk.room.list_all(state="lost")


async def test_a_problem_is_a_note_at_first_and_a_warning_when_nobody_looks(desk: Desk) -> None:
    await desk.order(9)
    await desk.study(accession="A1", patient="P1")
    await desk.settled()
    ((name, level, text, hint, screen),) = desk.room.problems()
    assert (name, level, screen) == ("exceptions", "note", "exceptions")
    assert "1 study that does not fit" in text
    assert "1 unmatched" in text
    assert hint.startswith("X")
    assert desk.room.part() == {"conflicting": 0, "unmatched": 1, "probable": 0}
    desk.clock.advance(timedelta(days=2).total_seconds())
    assert [each[1] for each in desk.room.problems()] == ["warn"]


async def test_studies_that_came_while_nobody_looked_are_looked_at_after_the_start(desk: Desk) -> None:
    await desk.order(1)
    studies = [await desk.study(accession=f"X{n}", patient=f"Q{n}", name=f"OTHER^{n}") for n in range(70)]
    fresh = Desk(desk.archive, Bus(), desk.clock, desk.settings)
    await fresh.room.open()
    await fresh.room.tick()
    await fresh.room.tick()
    assert (await fresh.room.list_all()).counts["unmatched"] == len(studies)
    looked = len(fresh.heard)
    again = Desk(desk.archive, Bus(), desk.clock, desk.settings)
    await again.room.open()
    await again.room.tick()
    assert (looked, again.heard) == (len(studies), [])


async def test_pages_go_back_to_the_first_exception(desk: Desk) -> None:
    await desk.order(1)
    studies = [await desk.study(accession=f"X{n}", patient=f"Q{n}", name=f"OTHER^{n}") for n in range(5)]
    await desk.settled()
    found: list[str] = []
    before = 0
    while True:
        page = await desk.room.list_all(before=before, limit=2)
        found += [row.study for row in page.rows]
        if not (before := page.next):
            break
    assert found == studies[::-1]


async def test_another_order_or_patient_is_found_by_text(desk: Desk) -> None:
    await desk.order(1)
    await desk.order(2, p_name="MÜLLER^JÖRG")
    await desk.archive.db.write(
        lambda c: insert(
            c, "persons", {"patient_id": "P3", "issuer": "L", "name": "MUSTER^EVA", "name_key": "muster eva"}
        )
    )
    await desk.archive.db.write(lambda c: c.execute("UPDATE persons SET name_key='muller jorg' WHERE patient_id='P2'"))
    study = await desk.study(accession="", patient="Q1")
    await desk.settled()

    async def names(text: str) -> list[tuple[int, str]]:
        return [(each.order, each.patient_name) for each in (await desk.room.show(study, text)).candidates]

    assert await names("mu") == [(2, "MÜLLER^JÖRG"), (0, "MUSTER^EVA")]
    assert await names("A2") == await names("PL2") == [(2, "MÜLLER^JÖRG")]
    assert await names("p3") == [(0, "MUSTER^EVA")]
    assert await names("nobody") == []


async def test_a_trauma_patient_is_offered_what_was_scheduled_about_that_time(desk: Desk) -> None:
    await desk.order(1, time="121000")
    await desk.order(2, time="123000")
    await desk.order(3, modality="MR")
    study = await desk.study(accession="", patient="T1", name="UNKNOWN^TRAUMA", born="", sex="", time="122500",
                             description="")  # fmt: skip
    await desk.settled()
    view = await desk.room.show(study)
    assert view.row.state == "unmatched"
    assert [each.order for each in view.candidates] == [2, 1]


async def test_the_list_of_studies_and_a_studys_page_say_how_it_fits(desk: Desk) -> None:
    await desk.order(1)
    fit = await desk.study(accession="A1", patient="P1", name="TEST^NUMBER 1")
    misfit = await desk.study(accession="X1", patient="Q1", name="OTHER^PERSON")
    await desk.settled()
    index = desk.archive.index
    assert {row.study: row.match for row in (await index.studies()).rows} == {fit: "matched", misfit: "unmatched"}
    assert [row.study for row in (await index.studies(only="exceptions")).rows] == [misfit]
    assert "no patient with its ID is known" in (await index.study(misfit)).row.misfit
    await desk.room.settle(misfit, "research")
    assert (await index.studies(only="exceptions")).rows == ()
    assert (await index.study(misfit)).row.match == ""
