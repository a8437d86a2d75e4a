"""The noun ``space``: what it shows, and when it begins a purge by itself."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pacstui.archive.trash_rows import Which
from pacstui.contract.jobs import JobRow, RunRow
from pacstui.errors import BadRequest, NotFound, PacsError
from pacstui.settings import RuleSettings, SpaceSettings
from pacstui.space.room import SpaceRoom
from tests.archive.conftest import send
from tests.space.conftest import House

RULES = (RuleSettings(name="old", days=30),)


class Jobs:
    """Remembers what was begun."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, dict[str, str]]] = []
        self.enabled = True
        self.running = 0

    def row(self, name: str) -> JobRow | None:
        class Row:
            enabled, running, next_run, last = self.enabled, self.running, None, None

        return Row()  # type: ignore[return-value]

    async def begin(self, job: str, parameters: dict[str, str]) -> RunRow:
        self.begun.append((job, parameters))
        return None  # type: ignore[return-value]


class Opened:
    def __init__(self, house: House, **settings: Any) -> None:
        self.jobs = Jobs()
        self.upto = 0
        self.full_on: date | None = None
        self.automatic = True
        self.room = SpaceRoom(
            house.archive, self.jobs, SpaceSettings(**settings), house.backups, None, lambda copies: self.upto,
            lambda: self.full_on, lambda: "eve", lambda *told: None, house.clock, lambda: self.automatic,
        )  # type: ignore[arg-type]  # fmt: skip


async def test_deleting_listing_undoing_and_emptying(house: House) -> None:
    room = Opened(house).room
    study = await house.study(number=3)
    late = study.beside()
    await send(house.archive, late)
    one = await room.delete(study.study, instance=late.sop, why=" twice ")
    assert (one.level, one.uid, one.instances, one.by, one.why) == ("instance", late.sop, 1, "eve", "twice")
    with pytest.raises(NotFound):
        await room.delete(study.study, instance="1.2.3")
    whole = await room.delete(study.study)
    assert [row.id for row in await room.trash()] == [whole.id, one.id]
    assert (whole.until - whole.at).days == 14
    view = await room.show()
    assert (view.trash_entries, view.trash_instances) == (2, 4)
    back = await room.undo(whole.id)
    assert (back.study, back.instances, back.refused) == (study.study, 3, ())
    with pytest.raises(BadRequest):
        await room.empty("everything")
    with pytest.raises(NotFound):
        await room.empty("99")
    assert (await room.empty("all")).entries == 1
    assert await room.trash() == ()


async def test_what_cannot_come_back_at_all_is_an_error_with_its_reason(house: House) -> None:
    room = Opened(house).room
    study = await house.study(number=1)
    entry = await room.delete(study.study)
    await send(house.archive, study.copy(description="OTHER"))
    with pytest.raises(PacsError, match="other content"):
        await room.undo(entry.id)
    assert len(await room.trash()) == 1


async def test_the_plan_says_what_goes_and_what_stays_and_touches_nothing(house: House) -> None:
    opened = Opened(house, rules=RULES)
    old = await house.study(number=2)
    opened.upto = 2
    unsaved = await house.study(number=2)
    house.pass_days(31.5)
    await house.study()
    plan = await opened.room.plan()
    assert [(row.study, row.kept) for row in plan.rows] == [(old.study, ""), (unsaved.study, "not in 1 backup yet")]
    assert (plan.studies, plan.instances, plan.kept, plan.full) == (1, 2, 1, False)
    assert len(await house.studies()) == 3


async def test_a_purge_is_begun_when_it_is_too_full_and_not_over_and_over(house: House) -> None:
    opened = Opened(house, rules=RULES)
    house.fill(90)
    await opened.room.tick()
    assert opened.jobs.begun == []
    house.fill(91)
    house.clock.advance(1)
    opened.automatic = False
    await opened.room.tick()
    assert opened.jobs.begun == []
    opened.automatic = True
    await opened.room.tick()
    await opened.room.tick()
    assert opened.jobs.begun == [("purge", {})]
    house.clock.advance(901)
    await opened.room.tick()
    assert len(opened.jobs.begun) == 2


async def test_without_rules_and_trash_a_full_volume_begins_nothing_but_is_a_problem(house: House) -> None:
    opened = Opened(house)
    house.fill(95)
    await opened.room.tick()
    assert opened.jobs.begun == []
    ((name, level, text, hint, screen),) = opened.room.problems()
    assert (name, level, screen) == ("space", "fail", "storage")
    assert "95% full" in text
    assert "[[space.rules]]" in hint
    study = await house.study()
    await house.archive.trash.delete(Which(study.study))
    await opened.room.tick()
    assert len(opened.jobs.begun) == 1


async def test_the_view_tells_in_words_what_comes(house: House) -> None:
    opened = Opened(house, rules=RULES)
    house.fill(70)
    opened.full_on = date(2026, 1, 11)
    view = await opened.room.show()
    assert view.used_percent == 70
    assert view.forecast == "full in 10 days at the present growth"
    assert view.next_step == "from 90% the trash is emptied early"
    assert view.rules[0].told == "received more than 30 days ago, in 1 backup"
    assert list(opened.room.problems()) == []


async def test_a_rule_that_is_not_there_cannot_purge(house: House) -> None:
    opened = Opened(house, rules=RULES)
    with pytest.raises(NotFound, match="nothing"):
        await opened.room.purge("nothing")
    await opened.room.purge("old")
    assert opened.jobs.begun == [("purge", {"rule": "old"})]


async def test_pins_hold_over_restarts_and_over_the_study_s_absence(house: House) -> None:
    opened, study = Opened(house), await house.study()
    room = opened.room
    row = await room.pin(study.study, " teaching\nfile ")
    assert (row.by, row.patient_name, row.instances) == ("eve", "DOE^JANE", 2)
    assert (await room.show()).pinned == 1
    with pytest.raises(BadRequest, match="pinned by eve: teaching"):
        await room.delete(study.study)
    again = Opened(house).room
    await again.open()
    assert [each.study for each in await again.pins()] == [study.study]
    assert again.pinned.told(study.study).startswith("pinned by eve")
    await again.unpin(study.study)
    with pytest.raises(NotFound, match="is not pinned"):
        await again.unpin(study.study)
    await again.delete(study.study)
    with pytest.raises(NotFound, match="there is no study"):
        await again.pin(study.study)


async def test_the_plan_names_the_pin(house: House) -> None:
    opened, study = Opened(house, rules=RULES), await house.study()
    house.pass_days(60)
    await opened.room.pin(study.study, "teaching file")
    plan = await opened.room.plan()
    assert [(row.study, row.kept) for row in plan.rows] == [(study.study, "pinned by eve: teaching file")]
