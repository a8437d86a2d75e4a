"""Packs that are needed by little: what is needed of them travels anew, and they go with the snapshots from before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive
from pacstui.backups import packs, wanted
from tests.backups.conftest import Place, contents, fill
from tests.backups.test_prune import run


async def forget(archive: Archive, *uids: str) -> None:
    """Let the archive lose instances, as when they are deleted for good."""

    def delete(db: Any) -> None:
        for uid in uids:
            (path,) = db.execute("SELECT path FROM instances WHERE sop_instance=?", (uid,)).fetchone()
            (archive.data_dir / path).unlink()
            db.execute("DELETE FROM instances WHERE sop_instance=?", (uid,))

    await archive.db.write(delete)


async def thinned(archive: Archive, place: Place) -> list[Any]:
    """Take a snapshot of ten objects, and one after seven of them are gone."""
    things = await fill(archive, 10)
    place.take()
    await forget(archive, *(each.sop for each in things[:7]))
    return things


async def test_a_pack_that_is_needed_by_little_is_left_and_goes(archive: Archive, place: Place, tmp_path: Path) -> None:
    await thinned(archive, place)
    second = place.take().manifest
    assert second.new_instances == 3
    assert len(second.packs) == 1
    assert len(place.packs()) == 2
    first = next(path.parent.name for path in place.manifests() if path.parent.name != second.id)
    place.restore(tmp_path / "first", first)
    assert len(contents(tmp_path / "first")) == 10
    assert place.verify(fresh=True).ok
    assert run(place, last=1).packs == 1
    assert [path.name[:64] for path in place.packs()] == [second.packs[0].name]
    assert place.verify(fresh=True).ok
    place.restore(tmp_path / "back")
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_it_travels_once(archive: Archive, place: Place) -> None:
    await thinned(archive, place)
    place.take()
    again = place.take().manifest
    assert (again.new_instances, len(again.packs)) == (0, 1)
    for path in place.data_dir.glob("backups/*/known.db*"):
        path.unlink()
    fresh = place.take().manifest
    assert (fresh.new_instances, fresh.packs) == (0, again.packs)


async def test_what_the_archive_cannot_read_keeps_its_copy(archive: Archive, place: Place, tmp_path: Path) -> None:
    things = await thinned(archive, place)
    path = next(p for p in (archive.data_dir / "objects").rglob("*") if p.is_file() and things[8].sop in p.name)
    good = path.read_bytes()
    path.write_bytes(os.urandom(len(good)))
    taken = place.take()
    assert (taken.warning, taken.manifest.new_instances, len(taken.manifest.packs)) == (False, 2, 2)
    assert any("stays in use" in note for note in place.notes)
    path.write_bytes(good)
    place.restore(tmp_path / "back")
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_one_run_moves_only_so_much(archive: Archive, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 4000)
    monkeypatch.setattr(wanted, "_AT_LEAST", 3000)
    groups = [await fill(archive, 3, pixels=600) for _ in range(4)]
    place.take()
    await forget(archive, *(each.sop for group in groups for each in group[:2]))
    moved = [place.take().manifest.new_instances for _ in range(4)]
    assert sum(moved) == 4
    assert 0 < moved[0] < 4
    assert place.verify(fresh=True).ok


async def test_a_run_that_is_cut_off_while_it_moves_harms_nothing(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await thinned(archive, place)

    def broken(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("pacstui.backups.take.Taking._manifest", broken)
    with pytest.raises(KeyboardInterrupt):
        place.take()
    monkeypatch.undo()
    assert place.verify(fresh=True).ok
    assert run(place, last=1).packs == 0
    assert place.take().manifest.new_instances == 0
    place.restore(tmp_path / "back")
    assert contents(tmp_path / "back") == contents(archive.data_dir)
