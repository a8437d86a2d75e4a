"""What leaves a node after corrections, asked by others' programs, and what a sudden end leaves."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from pacstui.api import plain
from tests.archive.objects import EXPLICIT, IMPLICIT, Object
from tests.qc.ward import study_of, with_meta
from tests.running import NodeProcess, free_port, until

pytestmark = pytest.mark.skipif(not shutil.which("getscu"), reason="DCMTK is not installed")
HERE = "127.0.0.1"


@contextmanager
def receiver(folder: Path, port: int) -> Iterator[Path]:
    folder.mkdir()
    command = ["storescp", "-q", "-aet", "WS1", "-od", str(folder), "+xa", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield folder
    finally:
        process.kill()
        process.wait()


def send(node: NodeProcess, folder: Path, objects: list[Object], syntax: str = EXPLICIT) -> None:
    folder.mkdir(exist_ok=True)
    for number, each in enumerate(objects):
        (folder / f"{number}.dcm").write_bytes(with_meta(each.encode(syntax), syntax, each))
    files = [str(each) for each in sorted(folder.iterdir())]
    subprocess.run(["storescu", "-aec", "PACS", "-xi" if syntax == IMPLICIT else "-xe", HERE, str(node.port), *files],
                   check=True)  # fmt: skip


def call(node: NodeProcess, method: str, **arguments: object) -> dict:  # type: ignore[type-arg]
    return plain.call(node.data_dir, "corrections", method, **arguments)  # type: ignore[no-any-return]


def do(node: NodeProcess, method: str, **arguments: object) -> dict:  # type: ignore[type-arg]
    return call(node, "apply", token=call(node, method, **arguments)["token"], why="slip")


def fetched(node: NodeProcess, folder: Path, study: str) -> list[pydicom.Dataset]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    subprocess.run(["getscu", "-q", "-aec", "PACS", "-S", "-k", "0008,0052=STUDY", "-k", f"0020,000D={study}", "-od",
                    str(folder), HERE, str(node.port)], check=True)  # fmt: skip
    return [pydicom.dcmread(each) for each in sorted(folder.iterdir())]


def differing(one: pydicom.Dataset, other: pydicom.Dataset) -> set[str]:
    """Return keywords of the attributes that differ."""
    tags = set(one.keys()) | set(other.keys())
    return {pydicom.datadict.keyword_for_tag(tag) for tag in tags if one.get(tag) != other.get(tag)}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_getscu_and_movescu_get_what_was_corrected_and_nothing_else_differs(tmp_path: Path, syntax: str) -> None:
    port = free_port()
    config = f'[[peers]]\nname = "WS1"\nae_title = "WS1"\nhost = "{HERE}"\nport = {port}\n'
    node = NodeProcess(tmp_path / "node", config=config)
    node.start()
    try:
        objects = study_of(charset="ISO_IR 100")
        send(node, tmp_path / "in", objects, syntax)
        sent = {each.sop: pydicom.dcmread(tmp_path / "in" / f"{n}.dcm") for n, each in enumerate(objects)}
        do(node, "edit", study=objects[0].study, changes={"PatientName": "山田^太郎", "PatientSex": "M"})
        out = fetched(node, tmp_path / "got", objects[0].study)
        assert len(out) == 4
        for each in out:
            changed = {"PatientName", "PatientSex", "SpecificCharacterSet", "OriginalAttributesSequence"}
            assert differing(each, sent[each.SOPInstanceUID]) == changed
            assert str(each.PatientName) == "山田^太郎"
            told = each.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
            assert str(told.PatientName) == "DOE^JANE"
        with receiver(tmp_path / "ws", port) as folder:
            time.sleep(0.3)
            subprocess.run(["movescu", "-q", "-aec", "PACS", "-aem", "WS1", "-S", "-k", "0008,0052=STUDY", "-k",
                            f"0020,000D={objects[0].study}", HERE, str(node.port)], check=True)  # fmt: skip
            moved = [pydicom.dcmread(each) for each in until(lambda: _all(folder, 4))]
        assert {str(each.PatientName) for each in moved} == {"山田^太郎"}
    finally:
        node.kill()


def _all(folder: Path, number: int) -> list[Path]:
    found = sorted(folder.iterdir())
    return found if len(found) == number else []


def test_who_got_the_wrong_patient_is_sent_the_note_and_the_right_copy(tmp_path: Path) -> None:
    port = free_port()
    config = (
        f'[[peers]]\nname = "WS1"\nae_title = "WS1"\nhost = "{HERE}"\nport = {port}\n'
        '[[routes]]\nname = "all"\nto = ["WS1"]\n'
    )
    node = NodeProcess(tmp_path / "node", config=config)
    with receiver(tmp_path / "ws", port) as folder:
        node.start()
        try:
            objects = study_of()
            send(node, tmp_path / "in", objects)
            until(lambda: _all(folder, 4))
            until(lambda: _sent(node, 4))
            row = do(node, "edit", study=objects[0].study, changes={"PatientID": "P9", "PatientName": "ROE^RICHARD"})
            assert [(each["destination"], each["instances"]) for each in row["downstream"]] == [("WS1", 4)]
            told = call(node, "tell", id=row["id"])
            assert told["downstream"][0]["told"].startswith("rejection note and 4 right copies queued")
            until(lambda: _all(folder, 9))
            until(lambda: _sent(node, 9))
            found = [pydicom.dcmread(each) for each in folder.iterdir()]
        finally:
            node.kill()
    (note,) = [each for each in found if each.Modality == "KO"]
    assert note.ConceptNameCodeSequence[0].CodeValue == "113038"
    named = note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {one.ReferencedSOPInstanceUID for series in named for one in series.ReferencedSOPSequence} == {
        each.sop for each in objects
    }
    right = [each for each in found if each.PatientID == "P9"]
    assert len(right) == 4
    assert not {each.SOPInstanceUID for each in right} & {each.sop for each in objects}


def _sent(node: NodeProcess, number: int) -> bool:
    with sqlite3.connect(node.data_dir / "index.db") as connection:
        return bool(connection.execute("SELECT count(*) FROM outbox WHERE state='sent'").fetchone()[0] == number)


def test_a_node_killed_while_it_corrects_has_done_all_of_it_or_nothing(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    node.start()
    try:
        one, other = study_of(series=3, images=20), study_of(series=2, images=2)
        send(node, tmp_path / "in", [*one, *other])
        for wait in (0.0, 0.004, 0.01, 0.02):
            study = one[0].study
            with sqlite3.connect(node.data_dir / "index.db") as connection:
                there = connection.execute("SELECT 1 FROM studies WHERE study=?", (study,)).fetchone()
            if there is None:
                break
            token = call(node, "merge", study=study, into=other[0].study)["token"]
            killer = threading.Timer(wait, node.kill)
            killer.start()
            try:
                call(node, "apply", token=token, why="slip")
            except Exception:
                pass
            killer.join()
            node.start()
            with sqlite3.connect(node.data_dir / "index.db") as connection:
                done = connection.execute("SELECT count(*) FROM corrections").fetchone()[0]
                studies = dict(connection.execute("SELECT study, instances FROM studies"))
                names = connection.execute("SELECT count(*) FROM renamed_instances").fetchone()[0]
                moved = connection.execute("SELECT count(*) FROM redirects").fetchone()[0]
            if done:
                assert studies == {other[0].study: 64} and names == 60 and moved == 4
            else:
                assert studies == {one[0].study: 60, other[0].study: 4} and names == moved == 0
    finally:
        node.kill()


def test_a_rejection_note_from_another_archive_is_honoured(tmp_path: Path) -> None:
    peer = '[[peers]]\nname = "other archive"\nae_title = "OTHER"\nhost = "127.0.0.1"\nport = 104\n'
    source, node = NodeProcess(tmp_path / "one"), NodeProcess(tmp_path / "two", config=peer)
    source.start()
    node.start()
    try:
        objects = study_of()
        send(source, tmp_path / "in", objects)
        send(node, tmp_path / "in", objects)

        def note_of(series: str) -> Path:
            before = set((source.data_dir / "objects").rglob("*.dcm"))
            do(source, "reject", study=objects[0].study, reason="113037", series=[series])
            (made,) = until(
                lambda: [each for each in {*(source.data_dir / "objects").rglob("*.dcm")} - before
                         if pydicom.dcmread(each).Modality == "KO"]
            )  # fmt: skip
            return made

        for title, series in (("STRANGER", objects[-1].series), ("OTHER", objects[0].series)):
            note = note_of(series)
            told = ["storescu", "-aet", title, "-aec", "PACS", HERE, str(node.port), str(note)]
            subprocess.run(told, check=True)
            if title == "STRANGER":
                until(lambda: "STRANGER rejects nothing: it is no peer" in node.log)
                assert call(node, "list_all")["rows"] == []
        rows = until(lambda: call(node, "list_all")["rows"])
        assert rows[0]["kind"] == "reject" and rows[0]["instances"] == 2
        left = fetched(node, tmp_path / "got", objects[0].study)
        images = {each.SOPInstanceUID for each in left if each.Modality != "KO"}  # the stranger's note is kept as it is
        assert images == {each.sop for each in objects[2:]}
        assert until(lambda: ": reject" in node.log)  # who did it is told, though nobody is signed in
        assert "Traceback" not in node.log
    finally:
        source.kill()
        node.kill()
