"""kill -9 while corrected and rejected objects are deleted for good and come again: they stay what a person said."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest

from tests.qc.test_leaving import HERE, do, fetched, send
from tests.qc.test_notes_first import PEER, _send_note, _studies, note_of
from tests.qc.ward import study_of
from tests.running import NodeProcess, until

ROUNDS = 8


def churn(node: NodeProcess, studies: list[str], halt: threading.Event, done: list[str]) -> None:
    """Delete studies, for good now and then, or bring them back, until the node is gone."""
    rng = random.Random(3)
    while not halt.is_set():
        with contextlib.suppress(Exception):  # the kill, or it is not there just now
            entry = node.call("space", "delete", study=rng.choice(studies))
            if rng.random() < 0.3:
                node.call("space", "undo", entry=entry["id"])
                done.append("undo")
            else:
                node.call("space", "empty", entry=str(entry["id"]))
                done.append("empty")


def sending(node: NodeProcess, files: list[str], halt: threading.Event) -> None:
    """Send objects again and again."""
    while not halt.is_set():
        subprocess.run(["storescu", "-aec", "PACS", "-xe", HERE, str(node.port), *files], capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("getscu"), reason="DCMTK is not installed")
def test_kills_while_corrected_objects_go_and_come_change_nothing_of_what_was_said(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", config=PEER)
    objects, later = study_of(series=2, images=3), study_of(series=1, images=3)
    study = objects[0].study
    node.start()
    try:
        send(node, tmp_path / "in", objects)
        do(node, "edit", study=study, changes={"PatientName": "ROE^JANE"})
        do(node, "edit", study=study, changes={"SeriesDescription": "LEFT HAND"}, series=[objects[0].series])
        do(node, "edit", study=study, changes={"ImageLaterality": "L"}, images=[objects[1].sop])
        rejection = do(node, "reject", study=study, reason="quality", images=[objects[5].sop])
        (hidden,) = set(_studies(node, rejection["id"])) - {study}
        _send_note(node, tmp_path / "notes", note_of(later[:2]), "OTHER")
        until(lambda: node.call("corrections", "list_all", study=later[0].study)["rows"])
        files = [str(each) for each in sorted((tmp_path / "in").iterdir())]
        rng = random.Random(5)
        done: list[str] = []
        for _ in range(ROUNDS):
            halt = threading.Event()
            busy = [
                threading.Thread(target=churn, args=(node, [study, hidden], halt, done), daemon=True),
                threading.Thread(target=sending, args=(node, files, halt), daemon=True),
            ]
            for thread in busy:
                thread.start()
            halt.wait(rng.uniform(0.3, 1.2))
            node.kill()
            halt.set()
            for thread in busy:
                thread.join(30)
            node.start()
        for entry in node.call("space", "trash"):
            with contextlib.suppress(Exception):  # the same object may be in the trash twice
                node.call("space", "undo", entry=entry["id"])
        assert set(done) == {"undo", "empty"}
        send(node, tmp_path / "in", objects)
        send(node, tmp_path / "later", later)
        found = fetched(node, tmp_path / "got", study)
        assert {each.SOPInstanceUID for each in found} == {each.sop for each in objects[:5]}
        assert {str(each.PatientName) for each in found} == {"ROE^JANE"}
        of_series = {each.SeriesInstanceUID: str(each.get("SeriesDescription", "")) for each in found}
        assert of_series == {objects[0].series: "LEFT HAND", objects[3].series: ""}
        assert [each.SOPInstanceUID for each in found if each.get("ImageLaterality") == "L"] == [objects[1].sop]
        assert {each.SOPInstanceUID for each in fetched(node, tmp_path / "got", later[0].study)} == {later[2].sop}
        status = node.call("node", "status")
        assert not [each for each in status["alerts"] if each["name"] == "objects-missing"]
        for row in node.call("corrections", "list_all")["rows"]:
            node.call("corrections", "undo", id=row["id"], why="it was right")
        back = fetched(node, tmp_path / "got", study)
        assert {(each.SOPInstanceUID, str(each.PatientName)) for each in back} == {
            (each.sop, "DOE^JANE") for each in objects
        }
        assert len(fetched(node, tmp_path / "got", later[0].study)) == 3
        assert "Traceback" not in node.log
        assert node.stop() == 0
        assert {each.sop for each in (*objects, *later)} <= set(node.stored())
        with sqlite3.connect(node.data_dir / "index.db") as connection:
            for table in ("away", "rejected_instances", "corrected_instances"):
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
            for inner, table, column in (("series", "studies", "study"), ("instances", "series", "series")):
                wrong = connection.execute(
                    f"SELECT id FROM {table} t WHERE t.{inner} !="
                    f" (SELECT count(*) FROM {inner} x WHERE x.{column} = t.id)"
                ).fetchall()
                assert wrong == [], table
    finally:
        if node.process is not None and node.process.poll() is None:
            node.kill()
