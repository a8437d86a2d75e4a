"""Corrected and rejected studies where else objects go and come: purge rules, snapshots, drills, changed copies."""

from __future__ import annotations

import json
import shutil
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from pacstui.qc.corrections import CorrectionsRoom
from pacstui.services.corrected import Handing
from pacstui.settings import QcSettings, TransformSettings
from tests.archive.objects import Object
from tests.backups.test_node import command, settled
from tests.qc.test_leaving import call, do, fetched, send
from tests.qc.test_notes_first import _studies, _told_of
from tests.qc.ward import study_of
from tests.routing.house import house, peer, receivers, to
from tests.running import NodeProcess, until

CLEAN = {0x00280301: ("CS", "NO")}


@pytest.mark.skipif(not shutil.which("getscu"), reason="DCMTK is not installed")
def test_what_a_rule_purged_comes_back_from_a_snapshot_as_it_was_corrected(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    config = (
        f'[[backups.targets]]\nname = "disk"\nurl = "{tmp_path / "disk"}"\n[space]\nkeep_hours = 0\n'
        '[[space.rules]]\nname = "old"\ndays = 1\nby = "study date"\n'
    )
    node = NodeProcess(tmp_path / "node", config=config)
    node.start()
    try:
        objects = study_of(series=2, images=2)
        study, bad = objects[0].study, objects[3].sop
        send(node, tmp_path / "in", objects)
        command(node, "backup", "run", "--target", "disk")  # of before they were corrected
        settled(node)
        do(node, "edit", study=study, changes={"PatientName": "ROE^JANE"})
        do(node, "edit", study=study, changes={"SeriesDescription": "LEFT HAND"}, series=[objects[0].series])
        rejection = do(node, "reject", study=study, reason="quality", images=[bad])
        until(lambda: node.call("node", "status")["archive"]["instances"] == 5)  # and the note
        before = _told_of(fetched(node, tmp_path / "got", study))
        command(node, "backup", "run", "--target", "disk")
        settled(node)
        assert json.loads(command(node, "backup", "drill", "--target", "disk", "--json"))["state"] == "done"
        node.call("space", "purge", rule="old")
        settled(node)
        (hidden,) = set(_studies(node, rejection["id"])) - {study}
        assert {row["study"] for row in node.call("space", "trash")} == {study, hidden}
        for row in node.call("space", "trash"):
            node.call("space", "empty", entry=str(row["id"]))
        assert fetched(node, tmp_path / "got", study) == []
        first = node.call("backups", "snapshots", target="disk")[-1]["id"]
        for snapshot in (first, "latest"):
            more = ("--snapshot", snapshot, "--study", study, "--yes", "--json")
            assert json.loads(command(node, "backup", "restore", "--target", "disk", *more))["state"] == "done"
            assert _told_of(fetched(node, tmp_path / "got", study)) == before
        call(node, "undo", id=rejection["id"], why="good enough")
        assert {str(each.SOPInstanceUID) for each in fetched(node, tmp_path / "got", study)} == {
            each.sop for each in objects
        }
        assert "Traceback" not in node.log
    finally:
        node.kill()
    _restored(tmp_path, node, study, before)


def _restored(tmp_path: Path, node: NodeProcess, study: str, before: set[tuple[str, ...]]) -> None:
    """The whole archive, restored elsewhere, hands out what it did; what is deleted there is kept there."""
    to_folder = tmp_path / "again" / "data"
    command(node, "backup", "restore", "--url", str(tmp_path / "disk"), "--to", str(to_folder), "--any-signer", "--yes")
    again = NodeProcess(tmp_path / "again", config="")
    again.start()
    try:
        assert _told_of(fetched(again, tmp_path / "got", study)) == before
        entry = again.call("space", "delete", study=study)
        again.call("space", "empty", entry=str(entry["id"]))
        send(again, tmp_path / "in", [])  # the files that are there
        assert _told_of(fetched(again, tmp_path / "got", study)) == before
    finally:
        again.kill()


async def test_a_de_identified_copy_is_of_what_was_corrected_and_none_of_what_was_rejected(tmp_path: Path) -> None:
    research = TransformSettings(name="research", profile="basic")
    wrong = study_of(patient="W1", name="WRONG^ONE", series=1, images=3, tags=CLEAN)
    right = Object(patient="R1", name="RIGHT^ONE", tags=CLEAN)
    async with receivers(1) as (one,):
        async with house(tmp_path, to("ONE", transform="research"), peers=[peer("ONE", one.port)], begin=False) as here:
            here.settings = here.settings.model_copy(update={"transforms": (research,)})
            handing = Handing(here.archive, lambda: True, lambda: "PACS")
            here.queue.handing = handing
            room = CorrectionsRoom(here.archive, here.bus, here.clock, QcSettings, lambda: "x")
            room.changed = handing.forget
            await here.store(*wrong, right)
            study = wrong[0].study
            preview = await room.edit(study, {"PatientID": "R1", "PatientName": "RIGHT^ONE"})
            await room.apply(preview.token, "slip")
            preview = await room.reject(study, "quality", images=(wrong[1].sop,))
            await room.apply(preview.token, "slip")
            await here.begin()
            await here.settled()
            sent = [dcmread(BytesIO(data), force=True) for data in one.store.objects.values()]
    assert len(sent) == 3
    assert len({(each.PatientID, str(each.PatientName)) for each in sent}) == 1
    assert sent[0].PatientID not in ("R1", "W1")
    for data in one.store.objects.values():
        assert b"WRONG" not in data and b"W1" not in data and b"RIGHT" not in data
