"""Corrections: what was wrong leaves as it was put right, the originals stay, and each can be undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.errors import BadRequest
from tests.archive.conftest import files
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
        await w.archive.trash.delete(_which(other[0].study, await _series_of(w, "2.25.4712")), why="", by="x")
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
