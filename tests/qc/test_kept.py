"""What a person said is right, and what was rejected, outlives the deletion of the objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pacstui.archive.trash_rows import Which
from pacstui.errors import BadRequest
from tests.archive.objects import Object
from tests.qc.ward import Ward, study_of, ward


async def _gone(w: Ward, study: str, series: str = "", image: str = "", empty: bool = True) -> int:
    """Delete something, for good if so wanted; return the entry of the trash."""
    entry = await w.archive.trash.delete(Which(study, series, image), why="x", by="x", rule="")
    if empty:
        await w.archive.trash.empty(entry.id)
    return entry.id


async def _others(w: Ward) -> list[Object]:
    """Store a study whose rows would take numbers that were given before."""
    other = study_of(patient="O1", name="OTHER^ONE", series=4, images=3)
    await w.store(*other)
    return other


def _by_uid(found: list[pydicom.Dataset]) -> dict[str, pydicom.Dataset]:
    return {str(each.SOPInstanceUID): each for each in found}


async def _series_row(w: Ward, series: str) -> tuple[Any, ...]:
    (row,) = await w.rows("SELECT body_part, description, more FROM series WHERE series=?", series)
    return row


async def _sound(w: Ward) -> None:
    for table, inner, column in (("studies", "series", "study"), ("series", "instances", "series")):
        wrong = await w.rows(
            f"SELECT t.id FROM {table} t WHERE t.{inner} != (SELECT count(*) FROM {inner} x WHERE x.{column} = t.id)"
        )
        assert wrong == [], table
    counts = [(await w.rows(f"SELECT count(*) FROM {t}"))[0][0] for t in ("patients", "studies", "series", "instances")]
    totals = await w.rows(
        "SELECT coalesce(sum(patients), 0), coalesce(sum(studies), 0), coalesce(sum(series), 0),"
        " coalesce(sum(instances), 0) FROM daily"
    )
    assert list(totals[0]) == counts
    assert await w.rows("SELECT id FROM patients p WHERE NOT EXISTS (SELECT 1 FROM studies WHERE patient=p.id)") == []


@pytest.mark.parametrize("policy", ["when moved", "always", "never"])
@pytest.mark.parametrize("level", ["study", "series", "image"])
@pytest.mark.parametrize("emptied", [True, False])
async def test_every_level_of_a_correction_applies_again_when_the_objects_come_again(
    tmp_path: Path, policy: str, level: str, emptied: bool
) -> None:
    async with ward(tmp_path, new_uids=policy) as w:
        objects = study_of(patient="W1", name="WRONG^ONE")
        await w.store(*objects)
        study, series, image = objects[0].study, objects[0].text(0x0020000E), objects[1]
        changes = {"PatientID": "R1", "PatientName": "RIGHT^ONE", "StudyDescription": "HAND"}
        done = [
            await w.say("edit", study, changes),
            await w.say("edit", study, {"SeriesDescription": "LEFT", "Laterality": "L"}, series=(series,)),
        ]
        uid = (await w.rows("SELECT new FROM renamed_instances WHERE old=?", image.sop) or [(image.sop,)])[0][0]
        while more := await w.rows("SELECT new FROM renamed_instances WHERE old=?", uid):
            uid = more[0][0]
        said = {"ImageLaterality": "R", "InstanceNumber": "77"}
        done.append(await w.say("edit", study, said, images=(uid,)))
        before = _by_uid(await w.handed(study))
        found = await w.rows("SELECT sop_instance, number, more FROM instances ORDER BY sop_instance")
        of_series = await _series_row(w, series)
        (now,) = [one for one, each in before.items() if each.get("ImageLaterality") == "R"]
        await _gone(w, study, series if level != "study" else "", now if level == "image" else "", emptied)
        await _others(w)
        await w.store(*objects)
        assert _by_uid(await w.handed(study)) == before
        assert await w.rows(
            "SELECT i.sop_instance, i.number, i.more FROM instances i JOIN series e ON e.id=i.series JOIN studies s"
            " ON s.id=e.study WHERE s.study=? ORDER BY i.sop_instance", study,
        ) == found  # fmt: skip
        assert await _series_row(w, series) == of_series
        await _sound(w)
        if not emptied:
            return
        for row in reversed(done):
            await w.room.undo(row.id, "it was right")
        back = _by_uid(await w.handed(study))
        assert set(back) == {each.sop for each in objects}
        assert not any("ImageLaterality" in each or "Laterality" in each for each in back.values())
        assert {str(each.PatientID) for each in back.values()} == {"W1"}
        assert str(back[image.sop].InstanceNumber) == image.text(0x00200013)
        assert await w.rows("SELECT * FROM away") == []
        assert await w.rows("SELECT patient_id, name FROM patients ORDER BY 1") == [
            ("O1", "OTHER^ONE"), ("W1", "WRONG^ONE"),
        ]  # fmt: skip
        await _sound(w)


async def test_what_was_moved_and_deleted_for_good_lands_where_it_was_and_says_what_that_says(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        wrong, right = study_of(patient="W1", name="WRONG^ONE"), study_of(patient="R1", name="RIGHT^ONE")
        await w.store(*wrong, *right)
        series = wrong[0].text(0x0020000E)
        row = await w.say("move", wrong[0].study, (series,), right[0].study)
        before = _by_uid(await w.handed(right[0].study))
        await _gone(w, right[0].study)
        await _others(w)
        await w.store(*wrong, *right, wrong[0].beside(number="9"))
        handed = _by_uid(await w.handed(right[0].study))
        assert {uid: handed[uid] for uid in before} == before
        assert {str(each.PatientName) for each in handed.values()} == {"RIGHT^ONE"}
        assert len(handed) == 7
        await w.room.undo(row.id, "it was right")
        assert {str(each.PatientName) for each in await w.handed(right[0].study)} == {"RIGHT^ONE"}
        back = await w.handed(wrong[0].study)
        assert {str(each.PatientName) for each in back} == {"WRONG^ONE"}
        assert len(back) == 5
        await _sound(w)


async def test_a_correction_of_what_was_deleted_for_good_can_be_undone_and_nothing_is_kept_then(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(patient="W1", name="WRONG^ONE")
        await w.store(*objects)
        study, series = objects[0].study, objects[0].text(0x0020000E)
        first = await w.say("edit", study, {"PatientName": "RIGHT^ONE"})
        second = await w.say("edit", study, {"Laterality": "L"}, series=(series,))
        await _gone(w, study)
        assert await w.rows("SELECT count(*) FROM away") == [(3,)]
        await w.room.undo(second.id, "both sides")
        assert await w.rows("SELECT study FROM studies") == []
        await w.store(*objects)
        back = await w.handed(study)
        assert {str(each.PatientName) for each in back} == {"RIGHT^ONE"}
        assert not any("Laterality" in each for each in back)
        await _gone(w, study)
        await w.room.undo(first.id, "it was right")
        for table in ("away", "studies", "series", "patients", "corrected_instances", "renamed_instances", "redirects"):
            assert await w.rows(f"SELECT * FROM {table}") == [], table
        await w.store(*objects)
        assert {str(each.PatientName) for each in await w.handed(study)} == {"WRONG^ONE"}
        await _sound(w)


@pytest.mark.parametrize("emptied", [True, False])
async def test_rejected_images_stay_rejected_when_they_come_again_and_are_back_when_that_is_undone(
    tmp_path: Path, emptied: bool
) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1, images=3)
        await w.store(*objects)
        study, bad = objects[0].study, objects[1]
        row = await w.say("reject", study, "quality", images=(bad.sop,))
        hidden = (await w.rows("SELECT study FROM studies WHERE hidden=1"))[0][0]
        entries = [await _gone(w, uid, empty=emptied) for uid in (study, hidden)]
        await _others(w)
        if emptied:
            await w.store(*objects)
        else:
            for entry in entries:
                await w.archive.trash.undo(entry)
        assert set(_by_uid(await w.handed(study))) == {objects[0].sop, objects[2].sop}
        await _sound(w)
        await w.room.undo(row.id, "it is good enough")
        assert set(_by_uid(await w.handed(study))) == {each.sop for each in objects}
        assert await w.rows("SELECT * FROM rejected_instances") == []
        await w.store(*objects)
        await _sound(w)


async def test_the_undoing_of_a_rejection_touches_no_other_object_that_has_its_number(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1, images=2)
        await w.store(*objects)
        row = await w.say("reject", objects[0].study, "quality", images=(objects[1].sop,))
        hidden = (await w.rows("SELECT study FROM studies WHERE hidden=1"))[0][0]
        await _gone(w, hidden)
        other = await _others(w)
        await w.room.undo(row.id, "it is good enough")
        assert set(_by_uid(await w.handed(other[0].study))) == {each.sop for each in other}
        assert set(_by_uid(await w.handed(objects[0].study))) == {objects[0].sop}
        await _sound(w)


async def test_a_rejected_series_whose_hidden_study_was_deleted_for_good_stays_rejected(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        series = objects[0].text(0x0020000E)
        row = await w.say("reject", objects[0].study, "worklist", series=(series,))
        for (uid,) in await w.rows("SELECT study FROM studies"):
            await _gone(w, uid)
        await w.store(*objects)
        assert {each.SeriesInstanceUID for each in await w.handed(objects[0].study)} == {objects[2].text(0x0020000E)}
        await w.room.undo(row.id, "no")
        assert len(await w.handed(objects[0].study)) == 4
        await _sound(w)


async def test_an_edited_image_that_went_through_the_trash_is_undone_by_its_uid(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1, images=2)
        await w.store(*objects)
        row = await w.say("edit", objects[0].study, {"InstanceNumber": "9"}, images=(objects[1].sop,))
        entry = await _gone(w, objects[0].study, empty=False)
        with pytest.raises(BadRequest, match="in the trash"):
            await w.room.undo(row.id, "it was 2")
        await w.archive.trash.undo(entry)
        await w.room.undo(row.id, "it was 2")
        assert await w.rows("SELECT number FROM instances WHERE sop_instance=?", objects[1].sop) == [("2",)]


async def test_what_is_told_downstream_of_single_images_is_known_by_uid(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1, images=2)
        await w.store(*objects)
        row = await w.say("edit", objects[0].study, {"ImageLaterality": "L"}, images=(objects[1].sop,))
        body = json.loads((await w.rows("SELECT body FROM corrections WHERE id=?", row.id))[0][0])
        assert body["of_images"] == [objects[1].sop]


@pytest.mark.parametrize("policy", ["when moved", "always", "never"])
@pytest.mark.parametrize("emptied", [True, False])
@pytest.mark.parametrize("kind", ["merge", "order"])
async def test_a_series_that_was_away_when_its_study_was_moved_follows_when_it_comes_again(
    tmp_path: Path, policy: str, emptied: bool, kind: str
) -> None:
    async with ward(tmp_path, new_uids=policy, study_uid="order") as w:
        objects, into = study_of(accession="A1"), study_of(accession="A2", description="KNEE")
        await w.store(*objects, *into)
        study, series, to = objects[0].study, objects[0].series, into[0].study
        side = await w.say("edit", study, {"Laterality": "L"}, series=(series,))
        w.house.clock.advance(1.0)
        entry = await _gone(w, study, series, empty=emptied)
        if kind == "merge":
            moved = await w.say("merge", study, to)
        else:
            person, to = await w.person("P5", "RIS^ONE", "F"), "2.25.4711"
            moved = await w.say("assign", study, order=await w.order(person, "A9", study=to))
        await _others(w)
        if emptied:
            await w.store(*objects)
        else:
            await w.archive.trash.undo(entry)
        assert await w.rows("SELECT study FROM studies WHERE study=?", study) == []
        handed = await w.handed(to)
        assert len(handed) == (8 if kind == "merge" else 4)
        assert {each.AccessionNumber for each in handed} == {"A2" if kind == "merge" else "A9"}
        assert len({each.SeriesInstanceUID for each in handed}) == (4 if kind == "merge" else 2)
        assert [each.get("Laterality", "") for each in handed].count("L") == 2
        await w.store(*objects)
        assert len(await w.handed(to)) == len(handed)
        await _sound(w)
        await w.room.undo(moved.id, "no")
        back = await w.handed(study)
        assert len(back) == 4
        assert {each.AccessionNumber for each in back} == {"A1"}
        assert {each.SeriesInstanceUID for each in back if each.get("Laterality", "") == "L"} == {series}
        await w.room.undo(side.id, "no")
        back = await w.handed(study)
        assert {each.SOPInstanceUID for each in back} == {each.sop for each in objects}
        assert not any("Laterality" in each for each in back)
        await _sound(w)


async def test_what_came_again_and_got_another_uid_is_not_brought_back_beside_itself(tmp_path: Path) -> None:
    async with ward(tmp_path, new_uids="always") as w:
        objects = study_of(series=1, images=2)
        await w.store(*objects)
        entry = await _gone(w, objects[0].study, empty=False)
        await w.store(objects[0])
        w.house.clock.advance(1.0)
        await w.say("edit", objects[0].study, {"StudyDescription": "KNEE"})
        back = await w.archive.trash.undo(entry)
        assert (back.instances, back.there, back.refused) == (1, 1, ())
        handed = await w.handed(objects[0].study)
        assert len(handed) == 2
        assert {each.StudyDescription for each in handed} == {"KNEE"}
        assert not {each.SOPInstanceUID for each in handed} & {each.sop for each in objects}
        await _sound(w)


async def test_a_rejection_note_that_was_deleted_for_good_is_made_again_and_stays_hidden(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1, images=2)
        await w.store(*objects)
        study = objects[0].study
        await w.put("INSERT INTO sendings (destination, study, sent) VALUES ('WS1', ?, 1)", study)
        await w.put("INSERT INTO outbox (sending, sop_instance, state) VALUES (1, ?, 'sent')", objects[0].sop)
        row = await w.say("edit", study, {"PatientID": "R1", "PatientName": "RIGHT^ONE"})
        ((hidden,),) = await w.rows("SELECT study FROM studies WHERE hidden=1")
        await _gone(w, hidden)
        await w.room.notes.settle()
        assert await w.rows("SELECT study, instances FROM studies WHERE hidden=1") == [(hidden, 1)]
        assert {str(each.Modality) for each in await w.handed(study)} == {"OT"}
        await _sound(w)
        await w.room.undo(row.id, "it was right")
        assert await w.rows("SELECT study FROM studies") == [(study,)]
        assert await w.rows("SELECT * FROM redirects") == []
