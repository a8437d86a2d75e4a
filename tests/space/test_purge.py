"""Purging by rule: nothing unprotected goes, one bad study stops nothing, and a full volume gets room."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from pacstui.archive.trash_rows import Which
from pacstui.settings import RuleSettings, SpaceSettings
from pacstui.space.pins import Pin, Pins
from pacstui.space.purge import Purge
from tests.archive.conftest import files, send
from tests.archive.objects import Object
from tests.space.conftest import House, OneRun


def settings(*rules: dict[str, Any], **more: Any) -> SpaceSettings:
    return SpaceSettings(rules=tuple(RuleSettings(**{"name": "old", "days": 30, **rule}) for rule in rules), **more)


async def test_without_rules_nothing_is_purged_however_full_it_is(house: House) -> None:
    study = await house.study()
    house.pass_days(5000)
    house.fill(99)
    outcome = await house.purge(settings())
    assert await house.studies() == [study.study]
    assert outcome.warning
    assert "still 99% full" in outcome.text
    assert "[[space.rules]]" in outcome.hint


async def test_a_rule_moves_old_studies_to_the_trash_and_tells_the_audit_trail(house: House) -> None:
    old = await house.study(description="OLD")
    house.pass_days(31.5)
    new = await house.study()
    await house.backups.save(house.archive)
    outcome = await house.purge(settings({}))
    assert outcome.text.startswith("1 study purged")
    assert not outcome.warning
    assert await house.studies() == [new.study]
    (entry,) = await house.archive.trash.entries()
    assert (entry.study, entry.rule, entry.by, entry.instances) == (old.study, "old", "purge", 2)
    assert house.audit == [("space.delete", old.study, "P1", "rule old: received 31 days ago; backed up")]
    await house.archive.trash.undo(entry.id)
    assert sorted(await house.studies()) == sorted([old.study, new.study])


async def test_what_is_not_in_a_backup_stays(house: House) -> None:
    study = await house.study()
    await house.backups.save(house.archive)
    late = study.beside()
    await send(house.archive, late)
    house.pass_days(40)
    run = OneRun()
    outcome = await house.purge(settings({}), run)
    assert "1 kept because they are not backed up" in outcome.text
    assert run.notes == [f"{study.study} stays: 1 object of it are not in the newest snapshot"]
    outcome = await house.purge(settings({"copies": 2}))
    assert "1 kept" in outcome.text
    house.backups.away = True
    outcome = await house.purge(settings({}))
    assert outcome.warning
    assert "nas does not answer" in outcome.hint
    assert await house.studies() == [study.study]
    await house.purge(settings({"only_if_backed_up": False}))
    assert await house.studies() == []


async def test_an_object_that_comes_after_the_backups_were_asked_saves_its_study(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = await house.study()
    await house.backups.save(house.archive)
    house.pass_days(40)
    held = house.backups.held

    async def slow(*asked: Any) -> list[bool]:
        answer = await held(*asked)
        await send(house.archive, study.beside())
        return answer

    monkeypatch.setattr(house.backups, "held", slow)
    outcome = await house.purge(settings({}))
    assert "1 could not be moved" in outcome.text
    assert await house.studies() == [study.study]
    assert files(house.archive, "trash") == []


async def test_a_study_that_cannot_be_moved_is_told_of_and_does_not_block_the_rest(house: House) -> None:
    studies = [await house.study() for _ in range(3)]
    await house.backups.save(house.archive)
    house.pass_days(40)
    house.disk.break_at("see", 1, errno.EACCES)
    run = OneRun()
    outcome = await house.purge(settings({}), run)
    assert outcome.warning
    assert outcome.text.startswith("2 studies purged")
    assert studies[0].study in outcome.text
    assert any("Permission denied" in note for note in run.notes)
    assert await house.studies() == [studies[0].study]
    assert len(run.notes) == 1
    house.disk.mend()
    assert (await house.purge(settings({}))).text.startswith("1 study purged")


async def test_a_doubtful_study_stays_and_the_log_says_why(house: House) -> None:
    study = await house.study()
    await house.backups.save(house.archive)
    files(house.archive)[0].unlink()
    await house.archive.reconcile()
    house.pass_days(40)
    run = OneRun()
    assert "1 kept for other reasons" in (await house.purge(settings({}), run)).text
    assert run.notes == [f"{study.study} stays: 1 object of it have no good file: repair it first"]


async def test_the_trash_keeps_things_for_its_days(house: House) -> None:
    study = await house.study()
    entry = await house.archive.trash.delete(Which(study.study), by="eve")
    house.pass_days(13.9)
    await house.purge(settings())
    assert len(await house.archive.trash.entries()) == 1
    house.pass_days(0.2)
    outcome = await house.purge(settings())
    assert "1 entry of the trash removed" in outcome.text
    assert await house.archive.trash.entries() == []
    assert house.audit == [("space.empty", entry.study, "P1", "14 days in the trash")]


class Volume:
    """A volume that gets emptier as files go: each entry of the trash that is removed frees 4 percent."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch, percent: float) -> None:
        self.percent = percent
        trash = house.archive.trash
        empty = trash.empty

        async def emptied(*which: Any, **more: Any) -> Any:
            found = await empty(*which, **more)
            self.percent -= 4
            house.fill(self.percent)
            return found

        house.fill(percent)
        monkeypatch.setattr(trash, "empty", emptied)


async def test_a_full_volume_empties_the_trash_first_what_rules_purged_and_the_oldest(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [await house.study() for _ in range(4)]
    by_hand = [await house.archive.trash.delete(Which(each.study), by="eve") for each in studies[:2]]
    purged = [await house.archive.trash.delete(Which(each.study), rule="old") for each in studies[2:]]
    Volume(house, monkeypatch, 91)
    await house.purge(settings())
    left = [each.id for each in await house.archive.trash.entries()]
    assert left == [by_hand[1].id]
    assert purged[0].id not in left


async def test_rules_for_a_full_volume_purge_until_there_is_room_and_no_more(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = [await house.study() for _ in range(6)]
    await house.backups.save(house.archive)
    house.pass_days(40)
    house.fill(89)
    await house.purge(settings({"when": "full"}))
    assert len(await house.studies()) == 6
    Volume(house, monkeypatch, 91)
    outcome = await house.purge(settings({"when": "full"}))
    assert outcome.text.startswith("3 studies purged")
    assert sorted(await house.studies()) == sorted(each.study for each in studies[3:])
    assert await house.archive.trash.entries() == []


async def test_a_purge_while_studies_are_stored_loses_nothing_that_came(house: House) -> None:
    old = [await house.study() for _ in range(4)]
    await house.backups.save(house.archive)
    house.pass_days(40)
    arriving = Object()
    things = [arriving.beside() for _ in range(40)] + [old[0].beside() for _ in range(5)]

    async def store() -> None:
        for thing in things:
            assert (await send(house.archive, thing)).new

    outcome, _ = await asyncio.gather(house.purge(settings({})), store())
    assert " purged" in outcome.text
    for thing in things:
        found = await house.archive.index.instance(thing.sop)
        assert found is not None
        assert (house.archive.data_dir / found.path).exists()
    counts = await house.archive.index.counts()
    assert counts.instances == len(files(house.archive))
    assert (await house.archive.reconcile()).adopted == 0


async def test_a_cancelled_purge_ends_between_two_studies(house: House) -> None:
    for _ in range(3):
        await house.study()
    await house.backups.save(house.archive)
    house.pass_days(40)
    run = OneRun()
    delete = house.archive.trash.delete

    async def once(*which: Any, **more: Any) -> Any:
        run.stopping = True
        return await delete(*which, **more)

    house.archive.trash.delete = once  # type: ignore[method-assign]
    with pytest.raises(Exception, match="cancelled"):
        await house.purge(settings({}), run)
    assert len(await house.studies()) == 2


async def test_a_pinned_study_is_never_purged_not_even_one_that_is_pinned_meanwhile(house: House) -> None:
    first, second = await house.study(), await house.study()
    third = await house.study()
    house.pass_days(100)
    pins = Pins(house.archive.db, house.clock, lambda: "op1")
    await pins.put(first.study, "teaching file")
    rules = settings({"only_if_backed_up": False})

    class Pinning(OneRun):
        def tell(self, **what: object) -> None:
            super().tell(**what)
            if what.get("total"):  # what goes is chosen by now
                pins._pins[second.study] = Pin(house.clock.now(), "op2", "")

    run = Pinning()
    outcome = await Purge(
        house.archive,
        house.backups,
        rules,
        house.clock,
        lambda *told: None,
        run,
        pins.told,  # type: ignore[arg-type]
    ).work()
    assert await house.studies() == [second.study, first.study]
    assert third.study not in await house.studies()
    assert outcome.text.startswith("1 study purged")
    assert f"{first.study} stays: pinned by op1: teaching file" in run.notes
    assert f"{second.study} stays: pinned by op2" in run.notes
