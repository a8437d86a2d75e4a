"""Whatever was corrected, undone in reverse everything is as it was first."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from pacstui.archive.trash_rows import Which
from pacstui.errors import BadRequest, NotFound, PacsError
from tests.qc.ward import Ward, study_of, ward

KINDS = ("assign", "order", "edit", "series", "image", "split", "split order", "merge", "move", "reject")
STEP = st.tuples(st.sampled_from(KINDS), *(st.integers(0, 7) for _ in range(4)))
VALUES = ("DOE^JANE", "ROE^RICHARD", "MÜLLER^ZOË", "")


async def _studies(w: Ward) -> list[str]:
    return [row[0] for row in await w.rows("SELECT study FROM studies WHERE hidden=0 ORDER BY id")]


async def _series(w: Ward, study: str) -> list[str]:
    return [row[0] for row in await w.rows(
        "SELECT e.series FROM series e JOIN studies s ON s.id=e.study WHERE s.study=? ORDER BY e.id", study
    )]  # fmt: skip


async def _images(w: Ward, study: str) -> list[str]:
    return [row[0] for row in await w.rows(
        "SELECT i.sop_instance FROM instances i JOIN series e ON e.id=i.series JOIN studies s ON s.id=e.study"
        " WHERE s.study=? ORDER BY i.id", study,
    )]  # fmt: skip


async def _correct(w: Ward, step: tuple[Any, ...]) -> Any:
    kind, a, b, c, d = step
    studies = await _studies(w)
    if not studies:
        return None
    study, other = studies[a % len(studies)], studies[b % len(studies)]
    series = await _series(w, study)
    images = await _images(w, study)
    some = tuple(series[: 1 + c % len(series)])
    room = w.room
    if kind == "assign":
        return await w.say("assign", study, patient_id=("P1", "P2", "P7")[b % 3])
    if kind == "order":
        return await w.say("assign", study, order=1 + b % 2)
    if kind == "edit":
        keyword = ("PatientName", "PatientID", "AccessionNumber", "StudyDescription", "PatientWeight")[c % 5]
        value = {"PatientName": VALUES[d % 4], "PatientWeight": str(d), "PatientID": f"P{d}"}.get(keyword, f"V{d}")
        return await w.do(await room.edit(study, {keyword: value}))
    if kind == "series":
        keyword = ("SeriesDescription", "Laterality", "BodyPartExamined", "Modality")[d % 4]
        return await w.do(await room.edit(study, {keyword: "L" if d % 2 else "R"}, series=some))
    if kind == "image":
        keyword = ("ImageLaterality", "InstanceNumber", "ImageComments")[d % 3]
        return await w.do(await room.edit(study, {keyword: "R" if d % 3 == 0 else "3"}, images=tuple(images[: 1 + c])))
    if kind == "split":
        return await w.say("split", study, some)
    if kind == "split order":
        return await w.say("split", study, some, order=1 + b % 2)
    if kind == "merge":
        return await w.say("merge", study, other)
    if kind == "move":
        return await w.say("move", study, some, other)
    reason = ("113001", "113037", "113038", "113039")[d % 4]
    if d % 3 == 0:
        return await w.say("reject", study, reason)
    if d % 3 == 1:
        return await w.say("reject", study, reason, series=some)
    return await w.say("reject", study, reason, images=tuple(images[: 1 + c]))


async def _filled(w: Ward) -> list[Any]:
    """Store three studies of two patients, let the RIS order two procedures; return the objects."""
    objects = [*study_of("P1", images=2), *study_of("P2", "ROE^RICHARD", images=1), *study_of("P1", series=3)]
    await w.store(*objects)
    for number in (1, 2):
        person = await w.person(f"P{number * 5}", f"RIS^{number}", "F", issuer="HOSP")
        await w.order(person, f"ACC{number}", study=f"2.25.77{number}", procedure_id=f"RP{number}")
    return objects


async def _run(steps: list[tuple[Any, ...]], policy: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with ward(Path(folder), new_uids=policy, study_uid=("keep", "order")[len(steps) % 2]) as w:
            await _filled(w)
            first = await w.state()
            whole = {row[0] for row in await w.rows("SELECT path FROM instances")}
            done = []
            for step in steps:
                try:
                    row = await _correct(w, step)
                except PacsError:
                    continue
                if row is not None:
                    done.append(row.id)
                assert {row[0] for row in await w.rows("SELECT path FROM instances")} >= whole
                await _sound(w)
                for study in await _studies(w):
                    row = (await w.archive.index.study(study)).row
                    for each in await w.handed(study):
                        assert str(each.StudyInstanceUID) == study
                        assert each.get("PatientID", "") == row.patient_id
                        assert str(each.get("PatientName", "")) == row.patient_name
                        assert each.get("AccessionNumber", "") == row.accession
            for ident in reversed(done):
                await w.room.undo(ident, "back")
                await _sound(w)
            last = await w.state()
            for table, rows in first.items():
                differ = [(a, b) for a, b in zip(rows, last[table], strict=False) if a != b]
                assert last[table] == rows, (table, len(rows), len(last[table]), differ)


async def _handed(w: Ward) -> dict[str, Any]:
    """Return all that leaves, by SOP Instance UID, but for notes of ours."""
    found = {}
    for study in await _studies(w):
        found |= {str(each.SOPInstanceUID): each for each in await w.handed(study)}
    return found


async def _run_with_deletions(steps: list[tuple[Any, ...]], policy: str, seed: int) -> None:
    """Correct, delete for good, some of it or all, send everything again; undo in reverse, and see what that gives."""
    order = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        async with ward(Path(folder), new_uids=policy, study_uid=("keep", "order")[len(steps) % 2]) as w:
            objects = await _filled(w)
            first = await _handed(w)
            done = []
            for step in steps:
                try:
                    row = await _correct(w, step)
                except PacsError:
                    continue
                if row is not None:
                    done.append(row.id)
                if order.random() < 0.5:
                    await w.store(*objects)
                before = await _handed(w)
                whole = len(await w.rows("SELECT id FROM instances WHERE calling != 'PACSTUI'")) == len(objects)
                await _delete_some(w, order)
                await _sound(w)
                if order.random() < 0.3:
                    continue  # the next correction is made while some of it is away
                again = objects[:]
                order.shuffle(again)
                await w.store(*again)
                after = await _handed(w)
                assert not whole or set(after) == set(before)
                for uid, each in before.items():
                    assert after[uid] == each, (uid, step)
                for study in await _studies(w):
                    row = (await w.archive.index.study(study)).row
                    for each in await w.handed(study):
                        assert (each.get("PatientID", ""), each.get("AccessionNumber", "")) == (
                            row.patient_id, row.accession,
                        )  # fmt: skip
                await _sound(w)
            for ident in reversed(done):
                if order.random() < 0.5:
                    await _delete_some(w, order)
                await w.room.undo(ident, "back")
                await _sound(w)
            await w.store(*objects)
            last = await _handed(w)
            assert set(last) == set(first)
            for uid, each in first.items():
                assert last[uid] == each
            for table in ("away", "redirects", "renamed_instances", "corrected_instances", "rejected_instances"):
                assert await w.rows(f"SELECT * FROM {table}") == [], table


async def _delete_some(w: Ward, order: random.Random) -> None:
    """Delete studies, series or images for good, rejected ones as well."""
    for study, series, image in await w.rows(
        "SELECT s.study, e.series, i.sop_instance FROM instances i JOIN series e ON e.id=i.series JOIN studies s"
        " ON s.id=e.study WHERE i.calling != 'PACSTUI' ORDER BY i.id"
    ):
        level = order.randrange(5)
        if level > 2:
            continue
        which = (Which(study), Which(study, series), Which(study, series, image))[level]
        try:
            entry = await w.archive.trash.delete(which, why="x", by="x", rule="")
        except NotFound:
            continue  # it went with another
        await w.archive.trash.empty(entry.id)


async def _sound(w: Ward) -> None:
    """Counters are those of what is there, and the totals those of the rows."""
    for table, inner, column in (("studies", "series", "study"), ("series", "instances", "series")):
        wrong = await w.rows(
            f"SELECT t.id FROM {table} t WHERE t.{inner} != (SELECT count(*) FROM {inner} x WHERE x.{column} = t.id)"
        )
        assert wrong == [], table
    counts = [(await w.rows(f"SELECT count(*) FROM {t}"))[0][0] for t in ("patients", "studies", "series")]
    assert (
        list(
            (
                await w.rows(
                    "SELECT coalesce(sum(patients), 0), coalesce(sum(studies), 0), coalesce(sum(series), 0) FROM daily"
                )
            )[0]
        )
        == counts
    )
    assert await w.rows("SELECT id FROM patients p WHERE NOT EXISTS (SELECT 1 FROM studies WHERE patient=p.id)") == []


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, min_size=1, max_size=6), st.sampled_from(("when moved", "always", "never")))
def test_random_corrections_undone_in_reverse_give_the_first_state_back(steps: list[Any], policy: str) -> None:
    asyncio.run(_run(steps, policy))


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)  # an example takes a second, and to shrink one minutes
@example(
    [
        ("assign", 0, 0, 0, 0),
        ("assign", 0, 0, 0, 0),
        ("order", 0, 1, 0, 0),
        ("order", 2, 1, 0, 0),
        ("assign", 0, 0, 0, 0),
    ],
    "when moved",
    216,
)
@given(
    st.lists(STEP, min_size=1, max_size=5), st.sampled_from(("when moved", "always", "never")), st.integers(0, 1 << 20)
)
def test_random_corrections_hold_for_what_was_deleted_for_good_and_comes_again(
    steps: list[Any], policy: str, seed: int
) -> None:
    asyncio.run(_run_with_deletions(steps, policy, seed))


async def test_a_corrected_study_in_the_trash_keeps_its_correction_for_late_objects_and_can_be_undone(
    tmp_path: Path,
) -> None:
    async with ward(tmp_path) as w:
        objects, other = study_of(name="WRONG^ONE", patient="W1"), study_of(patient="O1")
        await w.store(*objects)
        study = objects[0].study
        row = await w.say(
            "edit", study, {"PatientID": "R1", "PatientName": "RIGHT^ONE", "PatientBirthDate": "19700101"}
        )
        entry = await w.archive.trash.delete(Which(study), why="x", by="x", rule="")
        await w.store(*other)  # takes the numbers of the rows that went
        await w.store(objects[0].beside(number="9"))
        assert {(str(one.PatientID), str(one.PatientName)) for one in await w.handed(study)} == {("R1", "RIGHT^ONE")}
        with pytest.raises(BadRequest, match="in the trash"):
            await w.room.undo(row.id, "it was right")
        await w.archive.trash.undo(entry.id)
        told = await w.rows("SELECT patient_id, conflict, instances, series FROM studies WHERE study=?", study)
        assert told == [("R1", "", 5, 2)]
        handed = await w.handed(study)
        assert len(handed) == 5
        assert {(str(one.PatientID), str(one.PatientBirthDate)) for one in handed} == {("R1", "19700101")}
        await w.room.undo(row.id, "it was right")
        assert {(str(one.PatientID), str(one.PatientName)) for one in await w.handed(study)} == {("W1", "WRONG^ONE")}
        assert {str(one.PatientName) for one in await w.handed(other[0].study)} == {"DOE^JANE"}
        await _sound(w)


async def test_a_split_study_that_went_through_the_trash_can_be_undone(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        before = await w.state()
        row = await w.say("split", objects[0].study, (objects[0].text(0x0020000E),))
        new = next(uid for uid in await _studies(w) if uid != objects[0].study)
        for study in (new, objects[0].study):
            entry = await w.archive.trash.delete(Which(study), why="x", by="x", rule="")
            await w.store(*(other := study_of(patient="O1", series=1, images=1)))
            await w.archive.trash.undo(entry.id)
            entry = await w.archive.trash.delete(Which(other[0].study), why="x", by="x", rule="")
        await w.room.undo(row.id, "it was right")
        assert await _studies(w) == [objects[0].study]
        assert len(await w.handed(objects[0].study)) == 4
        assert (await w.state())["totals"] == before["totals"]
        await _sound(w)


async def test_undone_after_a_merge_a_rejected_study_is_the_survivors(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(patient="K", name="KAPPA^KAY")
        await w.person("K", "KAPPA^KAY")
        await w.store(*objects)
        row = await w.say("reject", objects[0].study, "worklist")
        w.house.clock.advance(1.0)
        now = int(w.house.clock.now().timestamp() * 1e6)
        survivor = await w.person("L", "KAPPA^LEE")
        await w.put("UPDATE persons SET changed=?", now)
        await w.put("UPDATE persons SET merged_into=? WHERE patient_id='K'", survivor)
        await w.put("UPDATE patients SET patient_id='L', name='KAPPA^LEE' WHERE patient_id='K'")
        await w.put("UPDATE studies SET patient_id='L', patient_name='KAPPA^LEE' WHERE patient_id='K'")
        await w.room.undo(row.id, "it was right")
        told = await w.rows(
            "SELECT s.patient_id, s.patient_name, p.patient_id, p.hidden FROM studies s"
            " JOIN patients p ON p.id = s.patient"
        )
        assert told == [("L", "KAPPA^LEE", "L", 0)]
        assert {str(one.PatientID) for one in await w.handed(objects[0].study)} == {"L"}
        await _sound(w)


async def test_a_patient_that_came_since_is_not_taken_for_the_one_that_an_undone_correction_had(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        await w.store(*study_of(patient="R1", name="RIGHT^ONE", series=1, images=1))
        objects = study_of(patient="W1", name="WRONG^ONE")
        await w.store(*objects)
        row = await w.say("edit", objects[0].study, {"PatientID": "R1", "PatientName": "RIGHT^ONE"})
        await w.store(*study_of(patient="O1", name="OTHER^ONE", series=1, images=1))  # takes the number of W1's row
        await w.room.undo(row.id, "it was right")
        told = await w.rows(
            "SELECT s.patient_id, p.patient_id FROM studies s JOIN patients p ON p.id = s.patient ORDER BY s.id"
        )
        assert told == [("R1", "R1"), ("W1", "W1"), ("O1", "O1")]
        await _sound(w)


async def test_a_corrected_study_that_was_deleted_for_good_comes_back_corrected(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(patient="W1", name="WRONG^ONE")
        await w.store(*objects)
        study = objects[0].study
        row = await w.say("edit", study, {"PatientID": "R1", "PatientName": "RIGHT^ONE"})
        entry = await w.archive.trash.delete(Which(study), why="x", by="x", rule="")
        await w.archive.trash.empty(entry.id)
        assert await _studies(w) == []
        await w.store(*objects)  # as from a backup
        assert {(str(one.PatientID), str(one.PatientName)) for one in await w.handed(study)} == {("R1", "RIGHT^ONE")}
        await w.room.undo(row.id, "it was right")
        assert {str(one.PatientID) for one in await w.handed(study)} == {"W1"}
        await _sound(w)
