"""A restore that was rehearsed, with a node and C-GET."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.archive import Archive
from pacstui.backups import checks
from pacstui.backups.drill import Drill, Drilled
from pacstui.backups.spec import Spec
from tests.backups.conftest import Place, fill, mark
from tests.qc.ward import study_of, ward


def drill(place: Place, instances: int = 50) -> Drilled:
    target = place.target()
    try:
        target.open()
        return Drill(target, target.find("latest"), instances, "tester", place.watch()).run()
    finally:
        target.close()


async def test_what_was_saved_comes_back_over_the_network(archive: Archive, place: Place, tmp_path: Path) -> None:
    await fill(archive, 5)
    await fill(archive, 3)
    place.take()
    done = drill(place)
    assert done.check.ok, done.text
    assert "8 instances restored and fetched" in done.text
    assert done.check.rate_bytes_per_s > 0
    target = place.target()
    target.open()
    assert [each.kind for each in checks.read(target)] == ["drill"]
    assert not list(target.folder.glob("drill*"))


async def test_a_damaged_object_fails_the_drill_and_is_named(archive: Archive, place: Place) -> None:
    await fill(archive, 4)
    place.take()
    pack = place.files(".tar")[0]
    data = bytearray(pack.read_bytes())
    at = data.index(b"DICM")
    data[at + 260] ^= 1
    pack.write_bytes(data)
    done = drill(place)
    assert not done.check.ok
    assert ".dcm" in done.text
    assert "verify" in done.hint


async def test_a_lost_index_fails_the_drill(archive: Archive, place: Place) -> None:
    await fill(archive, 2)
    place.take()
    index = place.files("index.db.gz")[0]
    index.write_bytes(index.read_bytes()[:-4] + b"abcd")
    done = drill(place)
    assert not done.check.ok
    assert "index.db.gz" in done.text


@pytest.mark.parametrize("wanted", [1])
async def test_a_sample_is_enough(archive: Archive, place: Place, wanted: int) -> None:
    await fill(archive, 4)
    place.take()
    assert drill(place, wanted).check.ok


async def test_what_was_corrected_or_rejected_does_not_fail_the_drill(tmp_path: Path) -> None:
    async with ward(tmp_path) as w:
        moved, edited, rejected = study_of(), study_of(), study_of()
        await w.store(*moved, *edited, *rejected)
        await w.say("split", moved[0].study, (moved[0].text(0x0020000E),))
        await w.say("edit", edited[0].study, {"PatientName": "ROE^RICHARD"})
        await w.say("reject", rejected[0].study, "worklist")
        await mark(w.archive)
        place = Place(Spec("nas", str(tmp_path / "nas")), tmp_path / "data")
        place.take()
        done = drill(place)
    assert done.check.ok, done.text
    assert "13 instances restored and fetched" in done.text  # the rejection note is one of them
