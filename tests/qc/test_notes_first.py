"""Rejection notes that come before what they reject (IHE RAD TF-3 4.66): it is rejected when it comes."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pacstui.qc.notes import Reference, make
from tests.archive.objects import Object
from tests.qc.test_kept import _by_uid, _gone, _others, _sound
from tests.qc.test_leaving import HERE, call, do, fetched, send
from tests.qc.ward import Ward, study_of, ward
from tests.running import NodeProcess, free_port, until

PEER = '[[peers]]\nname = "other archive"\nae_title = "OTHER"\nhost = "127.0.0.1"\nport = 104\n'


def note_of(named: Sequence[Object], reason: str = "quality", of: Object | None = None) -> bytes:
    """Return a rejection note for objects, in the study of the first, or of another one."""
    head = of or named[0]
    study = {
        "date": "20260102", "time": "", "accession": "", "referring": "", "study_id": "", "issuer": "",
        "birth_date": "", "sex": "", "patient_name": head.text(0x00100010), "patient_id": head.text(0x00100020),
        "study": head.study,
    }  # fmt: skip
    references = [Reference(each.study, each.series, each.text(0x00080016), each.sop) for each in named]
    return make(study, references, reason, "blurred", datetime.now(UTC), "OTHER").data


async def _told(w: Ward, data: bytes, calling: str = "OTHER") -> None:
    """Take a note in, and look at it."""
    incoming = w.archive.begin_import(calling, onward=False)
    wait = incoming.write(data)
    if wait is not None:
        await wait
    await incoming.finish()
    await w.room.notes.settle()
    await w.room.tick()


async def test_what_a_note_named_before_it_came_is_rejected_and_the_rest_is_not(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=2, images=3)
        named = [objects[1], objects[4]]
        await _told(w, note_of(named))
        assert (await w.archive.index.studies()).rows == ()
        await w.store(*objects)
        assert set(_by_uid(await w.handed(objects[0].study))) == {each.sop for each in objects if each not in named}
        (row,) = (await w.room.list_all(objects[0].study)).rows
        assert (row.kind, row.by, row.instances) == ("reject", "note of OTHER", 2)
        assert row.sentence.startswith(
            "Rejects 2 images of DOE, JANE (P1), when they come: rejected for quality reasons"
        )
        await _sound(w)
        await w.store(*objects)
        assert len(await w.handed(objects[0].study)) == 4
        await w.room.undo(row.id, "it is good enough")
        assert set(_by_uid(await w.handed(objects[0].study))) == {each.sop for each in objects}
        await _sound(w)
        await w.room.notes.settle()
        await w.room.tick()
        assert len(await w.handed(objects[0].study)) == 6


async def test_a_note_names_some_that_are_here_and_some_that_are_not(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1, images=4)
        await w.store(*objects[:2])
        await _told(w, note_of(objects[:3], "safety"))
        (row,) = (await w.room.list_all(objects[0].study)).rows
        assert row.instances == 2
        assert "; 1 more of the note had not come, and are rejected" in row.sentence
        await w.store(*objects[2:])
        assert set(_by_uid(await w.handed(objects[0].study))) == {objects[3].sop}
        assert (await w.room.list_all(objects[0].study)).rows[0].instances == 3
        await _sound(w)
        await w.room.undo(row.id, "no")
        assert len(await w.handed(objects[0].study)) == 4
        await _sound(w)


async def test_a_note_may_name_a_study_that_has_not_come_at_all(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        here, other = study_of(series=1, images=2), study_of(series=2, images=2, description="KNEE")
        await w.store(*here)
        await _told(w, note_of([here[0], *other[:3]], "worklist"))
        await w.store(*other)
        assert set(_by_uid(await w.handed(other[0].study))) == {other[3].sop}
        (row,) = (await w.room.list_all(other[0].study)).rows
        assert row.instances == 4
        await _gone(w, other[0].study)
        for (uid,) in await w.rows("SELECT study FROM studies WHERE hidden=1"):
            await _gone(w, uid)
        await _others(w)
        await w.store(*other, *here)
        assert set(_by_uid(await w.handed(other[0].study))) == {other[3].sop}
        assert set(_by_uid(await w.handed(here[0].study))) == {here[1].sop}
        await _sound(w)
        await w.room.undo(row.id, "no")
        assert len(await w.handed(other[0].study)) == 4
        assert len(await w.handed(here[0].study)) == 2
        assert await w.rows("SELECT description FROM studies WHERE study=?", other[0].study) == [("KNEE",)]
        await _sound(w)


async def test_all_of_a_study_that_came_after_its_note_is_a_study_again_when_that_is_undone(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        here, other = study_of(series=1, images=1), study_of(series=2, images=2, description="KNEE")
        await _told(w, note_of(other, "worklist", of=here[0]))
        await w.store(*other)
        assert (await w.archive.index.studies()).rows == ()
        assert await w.rows("SELECT hidden FROM patients") == [(1,)]
        (row,) = (await w.room.list_all(other[0].study)).rows
        await w.room.undo(row.id, "no")
        assert len(await w.handed(other[0].study)) == 4
        (shown,) = [each for each in (await w.archive.index.studies()).rows if each.study == other[0].study]
        assert (shown.patient_id, shown.description, shown.instances) == ("P1", "KNEE", 4)
        await _sound(w)


@pytest.mark.parametrize("policy", ["when moved", "always"])
async def test_what_a_note_named_and_was_in_the_trash_is_rejected_when_it_comes_back(
    tmp_path: Path, policy: str
) -> None:
    async with ward(tmp_path, new_uids=policy) as w:
        objects = study_of(series=1, images=3)
        await w.store(*objects)
        entry = await _gone(w, objects[0].study, empty=False)
        await _told(w, note_of(objects[:1]))
        await w.archive.trash.undo(entry)
        assert set(_by_uid(await w.handed(objects[0].study))) == {each.sop for each in objects[1:]}
        (row,) = (await w.room.list_all(objects[0].study)).rows
        assert row.instances == 1
        await _sound(w)
        await w.room.undo(row.id, "no")
        assert len(await w.handed(objects[0].study)) == 3
        await _sound(w)


async def test_a_note_rejects_no_object_of_another_patient_that_comes_later(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        mine, theirs = study_of(), study_of(patient="P2", name="ROE^RICHARD")
        unnamed = study_of(patient="", name="DOE^JANE")
        await _told(w, note_of(theirs, of=mine[0]))
        await _told(w, note_of(unnamed, of=unnamed[0].copy(study="2.25.9")))
        await w.store(*theirs, *unnamed)
        assert len(await w.handed(theirs[0].study)) == 4
        assert len(await w.handed(unnamed[0].study)) == 4
        await _sound(w)


async def test_a_note_that_came_before_a_merge_of_patients_rejects_what_comes_after(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects, kin = study_of(), study_of(series=1, images=1)
        await w.store(*kin)
        await _told(w, note_of(objects, of=kin[0]))
        survivor = await w.person("P7", "DOE^JANE")
        await w.put("INSERT INTO persons (patient_id, merged_into) VALUES ('P1', ?)", survivor)
        await w.put("UPDATE patients SET patient_id='P7' WHERE patient_id='P1'")
        await w.put("UPDATE studies SET patient_id='P7' WHERE patient_id='P1'")
        await w.archive.db.write(lambda c: w.archive.lane.index.forget())
        await w.store(*objects)
        assert await w.handed(objects[0].study) == []


async def test_a_note_among_the_objects_rejects_no_more_than_it_names(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1, images=4)
        await w.store(objects[0])
        await _told(w, note_of(objects[:1], "worklist"))
        await w.store(*objects)
        assert set(_by_uid(await w.handed(objects[0].study))) == {each.sop for each in objects[1:]}


async def test_a_note_that_names_nothing_but_itself_rejects_nothing(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1, images=2)
        await w.store(*objects)
        data = note_of(objects)
        note = pydicom.dcmread(BytesIO(data))
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence:
            del series.ReferencedSOPSequence[1:]
            series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = note.SOPInstanceUID
        out = BytesIO()
        note.save_as(out)
        await _told(w, out.getvalue())
        assert {each.sop for each in objects} < set(_by_uid(await w.handed(objects[0].study)))


async def test_with_rejected_shown_nothing_that_comes_later_is_hidden(tmp_path: Path) -> None:
    async with ward(tmp_path, show_rejected=True) as w:
        objects = study_of()
        await _told(w, note_of(objects))
        await w.store(*objects)
        assert len(await w.handed(objects[0].study)) == 5  # and the note
        assert len((await w.room.list_all(objects[0].study)).rows) == 1


def _send_note(node: NodeProcess, folder: Path, data: bytes, title: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"{title}.dcm"
    path.write_bytes(data)
    subprocess.run(["storescu", "-aet", title, "-aec", "PACS", "-xe", HERE, str(node.port), str(path)], check=True)


@pytest.mark.skipif(not shutil.which("getscu"), reason="DCMTK is not installed")
@pytest.mark.parametrize("when", ["never", "after the note", "after half of the objects"])
def test_from_outside_a_note_by_a_peer_holds_for_what_comes_later_also_after_a_kill(tmp_path: Path, when: str) -> None:
    port = free_port()
    config = (
        f'{PEER}[[peers]]\nname = "WS1"\nae_title = "WS1"\nhost = "{HERE}"\nport = {port}\n'
        '[[routes]]\nname = "all"\nto = ["WS1"]\n'
    )
    node = NodeProcess(tmp_path / "node", config=config)
    node.start()
    try:
        objects, strangers = study_of(series=2, images=2), study_of(series=1, images=2)
        _send_note(node, tmp_path / "notes", note_of(objects[:3]), "OTHER")
        _send_note(node, tmp_path / "notes", note_of(strangers), "STRANGER")
        if when == "after the note":
            node.kill()
            node.start()
        until(lambda: "STRANGER rejects nothing: it is no peer" in node.log)
        (row,) = until(lambda: call(node, "list_all", study=objects[0].study)["rows"])
        send(node, tmp_path / "half", objects[:2])
        if when == "after half of the objects":
            node.kill()
            node.start()
        send(node, tmp_path / "all", [*objects, *strangers])
        left = {each.SOPInstanceUID for each in fetched(node, tmp_path / "got", objects[0].study)}
        assert left == {objects[3].sop}
        assert {objects[3].sop, *(each.sop for each in strangers)} <= _waiting(node) | left | {
            each.SOPInstanceUID for each in fetched(node, tmp_path / "got", strangers[0].study)
        }
        assert not _waiting(node) & {each.sop for each in objects[:3]}
        (row,) = call(node, "list_all", study=objects[0].study)["rows"]
        assert (row["by"], row["instances"], row["state"]) == ("note of OTHER", 3, "on")
        call(node, "undo", id=row["id"], why="good enough")
        left = {each.SOPInstanceUID for each in fetched(node, tmp_path / "got", objects[0].study)}
        assert left == {each.sop for each in objects}
        assert "Traceback" not in node.log
    finally:
        node.kill()


def _waiting(node: NodeProcess) -> set[str]:
    """Return the objects that routes took."""
    with sqlite3.connect(node.data_dir / "index.db") as connection:
        return {row[0] for row in connection.execute("SELECT sop_instance FROM outbox")}


@pytest.mark.skipif(not shutil.which("getscu"), reason="DCMTK is not installed")
def test_from_outside_what_was_corrected_and_deleted_for_good_comes_again_corrected(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", config=PEER)
    node.start()
    try:
        objects = study_of(series=2, images=2)
        study, series, image, bad = objects[0].study, objects[0].series, objects[1].sop, objects[3].sop
        send(node, tmp_path / "in", objects)
        do(node, "edit", study=study, changes={"PatientName": "ROE^JANE"})
        do(node, "edit", study=study, changes={"SeriesDescription": "LEFT HAND"}, series=[series])
        do(node, "edit", study=study, changes={"ImageLaterality": "L", "InstanceNumber": "9"}, images=[image])
        do(node, "reject", study=study, reason="quality", images=[bad])
        before = _told_of(fetched(node, tmp_path / "got", study))
        (rejection,) = [row["id"] for row in call(node, "list_all")["rows"] if row["kind"] == "reject"]
        (hidden,) = set(_studies(node, rejection)) - {study}
        for uid in (study, hidden):
            entry = node.call("space", "delete", study=uid)
            node.call("space", "empty", entry=str(entry["id"]))
        assert fetched(node, tmp_path / "got", study) == []
        node.kill()
        node.start()
        send(node, tmp_path / "in", objects)
        assert _told_of(fetched(node, tmp_path / "got", study)) == before
        for row in call(node, "list_all")["rows"]:
            call(node, "undo", id=row["id"], why="it was right")
        back = _told_of(fetched(node, tmp_path / "got", study))
        assert {each[1:4] for each in back} == {("DOE^JANE", "", "")}
        assert len(back) == 4
        assert "Traceback" not in node.log
    finally:
        node.kill()


def _told_of(found: list[Any]) -> set[tuple[str, ...]]:
    keys = ("PatientName", "SeriesDescription", "ImageLaterality", "InstanceNumber")
    return {(str(each.SOPInstanceUID), *(str(each.get(key, "") or "") for key in keys)) for each in found}


def _studies(node: NodeProcess, correction: int) -> list[str]:
    with sqlite3.connect(node.data_dir / "index.db") as connection:
        rows = connection.execute("SELECT study FROM corrected_studies WHERE correction=?", (correction,))
        return [row[0] for row in rows]
