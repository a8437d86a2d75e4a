"""A preview that does not hold any more is brought up to date, and says what has changed; and what is so already."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.errors import BadRequest, Stale
from tests.qc.test_corrections import study_of
from tests.qc.ward import ward


async def test_it_says_who_changed_what_and_then_does_what_it_shows(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        study = objects[0].study
        shown = await w.room.edit(study, {"PatientName": "ROE^RICHARD", "StudyDescription": "KNEE"})
        assert shown.since == ()
        w.who = "schmidt"
        other = await w.say("edit", study, {"StudyDescription": "KNEE", "PatientName": "DOE^JOAN"})
        w.who = "mueller"
        with pytest.raises(Stale):
            await w.do(shown)
        now = await w.room.renew(shown.token)
        assert any(each.startswith(f"schmidt did correction {other.id} at ") for each in now.since)
        assert "patient name is DOE^JOAN now, and was DOE^JANE" in now.since
        assert "study description is not changed any more: it is KNEE already" in now.since
        assert [each.attribute for each in now.changes] == ["PatientName"]
        row = await w.do(now)
        assert row.why == "wrong patient chosen"
        assert await w.rows("SELECT patient_name FROM studies") == [("ROE^RICHARD",)]


async def test_more_images_and_copies_that_went_out_are_told(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        shown = await w.room.edit(objects[0].study, {"StudyDescription": "KNEE"})
        await w.store(objects[0].beside(number="7"))
        await w.put("INSERT INTO sendings (destination, study) VALUES ('WS1', ?)", objects[0].study)
        await w.put(
            "INSERT INTO outbox (sending, sop_instance, state, changed) VALUES (1, ?, 'sent', 5)", objects[0].sop
        )
        now = await w.room.renew(shown.token)
        assert "it is about 2 series, 5 images now, and was about 2 series, 4 images" in now.since
        assert "WS1 got 1 image of it meanwhile" in now.since


async def test_one_that_was_only_too_old_says_so_and_a_strange_one_is_nobodys(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        shown = await w.room.edit(objects[0].study, {"StudyDescription": "KNEE"})
        w.house.clock.advance(3600.0)
        with pytest.raises(Stale, match="does not hold any more"):
            await w.room.apply(shown.token, "typo")
        w.who = "schmidt"
        with pytest.raises(BadRequest, match="not known"):
            await w.room.renew(shown.token)
        w.who = "mueller"
        now = await w.room.renew(shown.token)
        assert now.since == ("nothing: it was only too old",)
        assert (await w.room.apply(now.token, "typo")).state == "on"


async def test_what_a_patient_gives_and_the_study_has_is_told_too(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        order = await w.order(await w.person("P1", "DOE^JANE"), "A9")
        shown = await w.room.assign(objects[0].study, order=order)
        assert "PatientName" not in {each.attribute for each in shown.changes}
        assert ("PatientName", "DOE^JANE") in {(each.attribute, each.new) for each in shown.already}
        assert not {each.attribute for each in shown.already} & {each.attribute for each in shown.changes}
