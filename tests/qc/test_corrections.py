"""Corrections: what was wrong leaves as it was put right, the originals stay, and each can be undone."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pacstui.archive.reading import Content, Part
from pacstui.archive.reindex import Reindex
from pacstui.errors import BadRequest, NotFound
from pacstui.index.retrieve import copies
from pacstui.qc.notes import Note, Reference
from pacstui.qc.noting import _named
from pacstui.services.corrected import Handing, Uncorrected
from tests.archive.conftest import files
from tests.archive.objects import Object, element
from tests.qc.ward import study_of, ward


async def test_a_study_given_to_an_order_leaves_as_that_patient_and_its_originals_stay(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        before, bytes_before = await w.state(), {p: p.read_bytes() for p in files(w.archive)}
        person = await w.person("P2", "MÜLLER^ZOË", "F", "19700101", "HOSP")
        order = await w.order(person, "A77", referring="WHO^DR", description="KNEE LEFT", procedure_id="RP7")
        preview = await w.room.assign(objects[0].study, order=order)
        assert "2 series, 4 images" in preview.sentence
        assert {c.attribute: c.new for c in preview.changes}["PatientName"] == "MÜLLER^ZOË"
        row = await w.do(preview)
        assert row.kind == "assign" and row.state == "on" and row.instances == 4
        out = await w.handed(objects[0].study)
        assert len(out) == 4
        for each in out:
            assert str(each.PatientName) == "MÜLLER^ZOË"
            assert (each.PatientID, each.IssuerOfPatientID, each.PatientSex) == ("P2", "HOSP", "F")
            assert each.AccessionNumber == "A77"
            assert each.StudyDescription == "KNEE LEFT"
            assert each.RequestAttributesSequence[0].RequestedProcedureID == "RP7"
            told = each.OriginalAttributesSequence[0]
            assert told.ReasonForTheAttributeModification == "CORRECT"
            assert told.ModifiedAttributesSequence[0].PatientID == "P1"
            assert told.ModifiedAttributesSequence[0].AccessionNumber == "A1"
            assert each.PixelData == bytes(i % 251 for i in range(256))
        assert {p: p.read_bytes() for p in files(w.archive)} == bytes_before
        assert (await w.archive.index.study(objects[0].study)).row.patient_id == "P2"
        undone = await w.room.undo(row.id, "it was right after all")
        assert undone.state == "undone"
        assert await w.state() == before
        assert [each.PatientID for each in await w.handed(objects[0].study)] == ["P1"] * 4


async def test_a_preview_holds_only_while_nothing_that_counts_has_changed(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        first = await w.room.edit(objects[0].study, {"PatientName": "ROE^JANE"})
        second = await w.room.edit(objects[0].study, {"PatientName": "DOE^JOHN"})
        await w.do(first)
        with pytest.raises(BadRequest, match="changed since"):
            await w.do(second)
        with pytest.raises(BadRequest, match="does not hold"):
            await w.do(first)


async def test_a_side_and_a_sex_that_dicom_does_not_have_are_refused(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        with pytest.raises(BadRequest, match="Laterality is L or R, not Q"):
            await w.room.edit(objects[0].study, {"Laterality": "Q"}, series=(objects[0].series,))
        with pytest.raises(BadRequest, match="PatientSex is M, F or O, not W"):
            await w.room.edit(objects[0].study, {"PatientSex": "W"})
        await w.do(await w.room.edit(objects[0].study, {"Laterality": "R"}, series=(objects[0].series,)))


async def test_a_late_object_of_a_moved_series_lands_with_its_siblings_and_goes_back_with_them(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        one, other = study_of(), study_of("P2", "ROE^RICHARD")
        await w.store(*one, *other)
        await w.person("P1", "DOE^JANE")
        moved = await w.say("move", one[0].study, (one[0].series,), other[0].study)
        late, repeat = one[0].beside(number="9"), one[0]
        await w.store(late, repeat)
        rows = await w.rows(
            "SELECT s.study, count(*) FROM instances i JOIN series e ON e.id=i.series JOIN studies s ON s.id=e.study"
            " GROUP BY s.study"
        )
        assert dict(rows) == {one[0].study: 2, other[0].study: 7}
        assert await w.rows("SELECT conflict FROM studies WHERE conflict != ''") == []
        out = await w.handed(other[0].study)
        assert {each.StudyInstanceUID for each in out} == {other[0].study}
        assert {each.PatientID for each in out} == {"P2"}
        assert len({each.SOPInstanceUID for each in out}) == 7
        assert late.sop not in {each.SOPInstanceUID for each in out}
        await w.room.undo(moved.id, "no")
        rows = await w.rows("SELECT study, instances, series FROM studies ORDER BY id")
        assert rows == [(one[0].study, 5, 2), (other[0].study, 4, 2)]
        assert late.sop in {each.SOPInstanceUID for each in await w.handed(one[0].study)}


async def test_what_was_merged_leaves_under_the_other_study_and_late_series_follow(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        one, other = study_of(accession="A1"), study_of(accession="A2")
        await w.store(*one, *other)
        before = await w.state()
        merged = await w.say("merge", one[0].study, other[0].study)
        assert await w.rows("SELECT study, instances FROM studies") == [(other[0].study, 8)]
        late = one[0].copy(series="2.25.4711", sop="2.25.4712")
        await w.store(late)
        out = await w.handed(other[0].study)
        assert {(each.StudyInstanceUID, each.AccessionNumber) for each in out} == {(other[0].study, "A2")}
        assert len(out) == 9
        entry = await w.archive.trash.delete(_which(other[0].study, await _series_of(w, "2.25.4712")), why="", by="x")
        with pytest.raises(BadRequest, match="in the trash"):
            await w.room.undo(merged.id, "no")
        await w.archive.trash.empty(entry.id)
        await w.room.undo(merged.id, "no")
        after = await w.state()
        for table in ("series", "instances"):
            assert after[table] == before[table]


async def test_rejected_images_are_nowhere_to_be_found_until_undone(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        before = await w.state()
        row = await w.say("reject", objects[0].study, "113038", images=(objects[0].sop,))
        assert len(await w.handed(objects[0].study)) == 3
        assert (await w.archive.index.study(objects[0].study)).row.instances == 3
        await w.room.undo(row.id, "no")
        assert await w.state() == before
        whole = await w.say("reject", objects[0].study, "safety")
        assert await w.handed(objects[0].study) == []
        assert (await w.archive.index.studies()).rows == ()
        await w.store(objects[0].beside(number="7"))
        assert (await w.archive.index.studies()).rows == ()
        hidden = (await w.rows("SELECT study FROM studies WHERE hidden=1"))[0][0]
        with pytest.raises(BadRequest, match="rejected already"):
            await w.room.edit(hidden, {"PatientName": "X"})
        await w.room.undo(whole.id, "no")
        assert len(await w.handed(objects[0].study)) == 5


def _which(study: str, series: str):  # type: ignore[no-untyped-def]
    from pacstui.archive.trash_rows import Which

    return Which(study, series)


async def _series_of(w, old: str) -> str:  # type: ignore[no-untyped-def]
    return (
        await w.rows(
            "SELECT e.series FROM renamed_instances r JOIN instances i ON i.sop_instance=r.new"
            " JOIN series e ON e.id=i.series WHERE r.old=?",
            old,
        )
    )[0][0]


async def test_a_study_gets_the_orders_study_uid_where_that_is_set(tmp_path: Path) -> None:
    async with ward(tmp_path, study_uid="order") as w:
        objects = study_of()
        await w.store(*objects)
        before = await w.state()
        order = await w.order(await w.person("P1", "DOE^JANE"), "A9", study="2.25.424242")
        row = await w.say("assign", objects[0].study, order=order)
        await w.store(objects[0].beside(number="8"), objects[0].copy(series="2.25.88", sop="2.25.89"))
        out = await w.handed("2.25.424242")
        assert {(each.StudyInstanceUID, each.AccessionNumber) for each in out} == {("2.25.424242", "A9")}
        assert len(out) == 6
        await w.room.undo(row.id, "no")
        assert await w.rows("SELECT study, instances, series FROM studies") == [(objects[0].study, 6, 3)]
        assert (await w.state())["patients"] == before["patients"]


async def test_objects_of_two_patients_under_one_study_leave_as_the_one_it_was_given_to(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1)
        await w.store(*objects, objects[0].copy(patient="P2", name="ROE^RICHARD", sop="2.25.7", series="2.25.8"))
        assert await w.rows("SELECT study FROM studies WHERE conflict != ''")
        await w.person("P1", "DOE^JANE")
        row = await w.say("assign", objects[0].study, patient_id="P1")
        assert {each.PatientID for each in await w.handed(objects[0].study)} == {"P1"}
        await w.room.undo(row.id, "no")
        assert {each.PatientID for each in await w.handed(objects[0].study)} == {"P1", "P2"}


async def test_what_the_register_of_patients_changed_leaves_changed_too(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1)
        await w.store(*objects)
        await w.put("UPDATE studies SET patient_name='DOE-ROE^JANE', patient_id='P8' WHERE study=?", objects[0].study)
        for each in await w.handed(objects[0].study):
            assert (str(each.PatientName), each.PatientID) == ("DOE-ROE^JANE", "P8")
            assert each.SOPInstanceUID in {one.sop for one in objects}
            assert each.OriginalAttributesSequence[0].ReasonForTheAttributeModification == "COERCE"


async def test_an_object_whose_copy_cannot_be_made_does_not_leave(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        broken = study_of(series=1, images=1)[0]
        broken.tags[0x00081140] = ("raw", b"\x08\0\x40\x11SQ\0\0\x10\0\0\0" + b"\xfe\xff\0\xe0\xff\0\0\0" + bytes(8))
        await w.store(broken)
        await w.say("edit", broken.study, {"PatientName": "ROE^RICHARD"})
        with pytest.raises(Uncorrected, match="corrected copy cannot be made"):
            await w.handed(broken.study)


async def test_references_between_moved_objects_follow_their_new_uids(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=2, images=1)
        item = element(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.7") + element(0x00081155, "UI", objects[0].sop)
        inner = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
        objects[1].tags[0x00081140] = ("SQ", inner)
        await w.store(*objects)
        other = study_of("P2", "ROE^RICHARD")
        await w.store(*other)
        await w.person("P2", "ROE^RICHARD")
        await w.say("assign", objects[0].study, patient_id="P2")
        await w.say("merge", objects[0].study, other[0].study)
        out = await w.handed(other[0].study)
        (one,) = [each for each in out if "ReferencedImageSequence" in each]
        assert one.ReferencedImageSequence[0].ReferencedSOPInstanceUID in {each.SOPInstanceUID for each in out}


async def test_undo_says_what_has_to_be_undone_first(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        first = await w.say("edit", objects[0].study, {"StudyDescription": "KNEE"})
        second = await w.say("edit", objects[0].study, {"AccessionNumber": "A5"})
        with pytest.raises(BadRequest, match=f"undone first.*{second.id}"):
            await w.room.undo(first.id, "no")
        assert "undone first" in (await w.room.list_all()).rows[1].irreversible
        await w.room.undo(second.id, "no")
        await w.room.undo(first.id, "no")
        with pytest.raises(BadRequest, match="undone already"):
            await w.room.undo(first.id, "no")


async def test_values_and_levels_are_checked(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        for changes, named, match in (
            ({"PatientBirthDate": "1970-01-01"}, {}, "no date"),
            ({"PatientNam": "X"}, {}, "no keyword"),
            ({"PixelData": "X"}, {}, "not one that is corrected"),
            ({"PatientName": "X"}, {"series": (objects[0].series,)}, "belongs to the patient"),
            ({"Laterality": "L"}, {}, "choose series"),
            ({"SeriesDescription": "X"}, {"images": (objects[0].sop,)}, "belongs to the series"),
        ):
            with pytest.raises(BadRequest, match=match):
                await w.room.edit(objects[0].study, changes, **named)


async def test_reading_attributes_anew_keeps_what_was_corrected(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        await w.say("edit", objects[0].study, {"Laterality": "L"}, series=(objects[0].series,))
        before = await w.state()
        async for _ in Reindex(w.archive.data_dir, w.archive.db).steps():
            pass
        assert await w.state() == before


async def test_undone_after_adt_renamed_the_former_patient_it_is_that_patients_of_today(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1)
        await w.store(*objects)
        await w.person("P2", "ROE^RICHARD")
        row = await w.say("assign", objects[0].study, patient_id="P2")
        await w.put("INSERT INTO persons (patient_id, name, changed) VALUES ('P1', 'DOE-SMITH^JANE', 9000000000000000)")
        await w.room.undo(row.id, "no")
        assert await w.rows("SELECT patient_id, patient_name FROM studies") == [("P1", "DOE-SMITH^JANE")]
        assert await w.rows("SELECT patient_id, name FROM patients") == [("P1", "DOE-SMITH^JANE")]
        assert {str(each.PatientName) for each in await w.handed(objects[0].study)} == {"DOE-SMITH^JANE"}


async def test_a_late_object_does_not_bring_back_the_name_that_was_corrected(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1)
        await w.store(*objects)
        await w.say("edit", objects[0].study, {"PatientName": "DOE^JOAN", "StudyDescription": ""})
        await w.store(objects[0].beside(number="7"), objects[0].copy(series="2.25.61", sop="2.25.62"))
        assert await w.rows("SELECT patient_name, description FROM studies") == [("DOE^JOAN", "")]
        assert await w.rows("SELECT name FROM patients") == [("DOE^JOAN",)]
        assert {str(each.PatientName) for each in await w.handed(objects[0].study)} == {"DOE^JOAN"}


async def test_a_note_that_was_not_stored_before_a_sudden_end_is_stored_by_the_next_start(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        settle, w.room.notes.settle = w.room.notes.settle, _nothing  # type: ignore[method-assign]
        row = await w.say("reject", objects[0].study, "worklist", series=(objects[0].series,))
        count = "SELECT count(*) FROM instances WHERE sop_class='1.2.840.10008.5.1.4.1.1.88.59'"
        assert await w.rows(count) == [(0,)]
        w.room.notes.settle = settle  # type: ignore[method-assign]
        await w.room.open()
        assert await w.rows(count) == [(1,)]
        assert len(await w.handed(objects[0].study)) == 2
        w.room.notes.settle = _nothing  # type: ignore[method-assign]
        await w.room.undo(row.id, "no")
        w.room.notes.settle = settle  # type: ignore[method-assign]
        await w.room.open()
        assert await w.rows(count) == [(0,)]
        assert len(await w.handed(objects[0].study)) == 4
        assert await w.rows("SELECT hidden FROM studies") == [(0,)]


async def _nothing(only: int = 0) -> None:
    pass


async def test_what_waits_to_be_sent_goes_out_under_its_new_name(tmp_path: Path) -> None:
    async with ward(tmp_path, new_uids="always") as w:
        objects = study_of()
        await w.store(*objects)
        await w.put("INSERT INTO sendings (destination, study, waiting) VALUES ('WS1', ?, 1)", objects[0].study)
        await w.put("INSERT INTO outbox (sending, sop_instance, state) VALUES (1, ?, 'waiting')", objects[0].sop)
        row = await w.say("edit", objects[0].study, {"StudyDescription": "KNEE"})
        (name,) = await w.rows("SELECT o.sop_instance FROM outbox o JOIN instances i ON i.sop_instance=o.sop_instance")
        assert name[0] != objects[0].sop
        (item,) = await w.house.queue._outbox.take("WS1", 1 << 60, 5, ())
        assert item.copy is not None and item.copy.corrected
        await w.room.undo(row.id, "no")
        assert await w.rows("SELECT sop_instance FROM outbox") == [(objects[0].sop,)]


async def test_storage_commitment_knows_objects_by_the_name_that_they_were_sent_with(tmp_path: Path) -> None:
    async with ward(tmp_path, new_uids="always") as w:
        objects = study_of(series=1)
        await w.store(*objects)
        await w.say("edit", objects[0].study, {"StudyDescription": "KNEE"})
        found = await w.archive.index.named([objects[0].sop, "2.25.404"])
        assert found[0] is not None and found[0].sop_instance != objects[0].sop
        assert found[1] is None


async def test_a_large_object_leaves_corrected_piece_by_piece_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        large = Object(patient="P1", name="DOE^JANE")
        large.tags[0x7FE00010] = ("OW", bytes(range(256)) * (36 << 10))
        await w.store(large)
        await w.say("edit", large.study, {"PatientName": "ROE^RICHARD"})
        (out,) = await w.handed(large.study)
        assert str(out.PatientName) == "ROE^RICHARD"
        assert out.PixelData == large.tags[0x7FE00010][1]
        assert list((w.archive.data_dir / "incoming").iterdir()) == []


async def test_what_is_rejected_for_quality_stays_beside_its_note_where_that_is_set(tmp_path: Path) -> None:
    async with ward(tmp_path, show_rejected=True) as w:
        objects = study_of()
        await w.store(*objects)
        before = await w.state()
        row = await w.say("reject", objects[0].study, "quality", series=(objects[0].series,))
        out = await w.handed(objects[0].study)
        assert sorted(each.Modality for each in out) == ["KO", "OT", "OT", "OT", "OT"]
        (note,) = [each for each in out if each.Modality == "KO"]
        assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
        await w.room.undo(row.id, "no")
        assert (await w.state())["instances"] == before["instances"]
        await w.say("reject", objects[0].study, "safety", series=(objects[0].series,))
        assert len(await w.handed(objects[0].study)) == 2


async def test_the_repeat_of_a_study_that_was_rejected_for_quality_is_a_study_again(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1)
        await w.store(*objects)
        row = await w.say("reject", objects[0].study, "quality")
        assert (await w.archive.index.studies()).rows == ()
        repeat = objects[0].copy(series="2.25.71", sop="2.25.72")
        await w.store(repeat, objects[0].beside(number="8"))
        (out,) = await w.handed(objects[0].study)
        assert out.SOPInstanceUID == repeat.sop
        await w.room.undo(row.id, "no")
        assert len(await w.handed(objects[0].study)) == 4
        assert await w.rows("SELECT instances, series, hidden FROM studies") == [(4, 2, 0)]


async def test_only_destinations_that_were_sent_something_are_told(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of()
        await w.store(*objects)
        row = await w.say("edit", objects[0].study, {"PatientName": "ROE^RICHARD"})
        with pytest.raises(BadRequest, match="nobody was sent it"):
            await w.room.tell(row.id)
        with pytest.raises(BadRequest, match="was sent nothing of it"):
            await w.room.tell(row.id, ("WS9",))


async def test_what_leaves_as_it_came_has_the_uid_that_it_carries(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        objects = study_of(series=1)
        await w.store(*objects)
        into = study_of(series=1, images=1)
        await w.store(*into)
        await w.say("merge", objects[0].study, into[0].study)
        w.handing = Handing(w.archive, lambda: False, lambda: "PACS")
        found = await copies(w.archive.db, {"STUDY": [into[0].study]})
        content = Content(Path(), Part("", 0, 0, b""), b"")
        left = {(await w.handing(copy, content))[0].sop_instance for copy in found}
        assert left == {each.sop for each in (*objects, *into)}
        assert left != {copy.sop_instance for copy in found}


async def test_a_note_from_outside_rejects_nothing_of_another_patient(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        mine, theirs = study_of(), study_of(patient="P2", name="ROE^RICHARD")
        await w.store(*mine, *theirs)
        named = Note("", "quality", tuple(Reference("", "", "", each.sop) for each in (*mine, *theirs)))
        found = await w.archive.db.read(lambda c: _named(c, named, mine[0].study))
        assert found == ({mine[0].study: [each.sop for each in mine]}, [])


async def test_what_was_found_before_it_was_corrected_leaves_corrected_or_not_at_all(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        edited, rejected = study_of(series=1, images=1), study_of(series=1, images=1)
        await w.store(*edited, *rejected)
        first, second = await copies(w.archive.db, {"STUDY": [edited[0].study, rejected[0].study]})
        before = w.handing.corrections
        await w.say("edit", edited[0].study, {"PatientName": "ROE^RICHARD"})
        await w.say("reject", rejected[0].study, "worklist")
        assert w.handing.corrections == before + 2
        assert not first.corrected and (await w.handing.anew(first)).corrected
        with pytest.raises(NotFound):
            await w.handing.anew(second)
