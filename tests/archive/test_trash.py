"""The trash: what is deleted is out of the index at once, comes back as it was, and survives every end of the node."""

from __future__ import annotations

import asyncio
import errno
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive, trash
from pacstui.archive import trash_rows as rows
from pacstui.archive.disk import Disk
from pacstui.archive.trash_rows import Which
from pacstui.bus import Bus
from pacstui.db.lane import Writer
from pacstui.errors import NotFound, PacsError, Unavailable
from pacstui.settings import ArchiveSettings

from .conftest import OPTIONS, files, send
from .faults import BrokenDisk
from .objects import Object, uid

JOURNALED = ArchiveSettings(reserve_bytes=0, journal_bytes=1 << 20)


def content(root: Path) -> dict[str, Any]:
    """Return every row of the index, without the numbers that the database gives, and every stored byte."""
    with closing(sqlite3.connect(f"file:{root / 'index.db'}?mode=ro", uri=True)) as db:

        def table(query: str) -> list[dict[str, Any]]:
            cursor = db.execute(query)
            names = [each[0] for each in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

        found: dict[str, Any] = {
            "patients": table("SELECT * FROM patients ORDER BY patient_id"),
            "studies": table("SELECT * FROM studies ORDER BY id"),
            "series": table("SELECT e.*, s.study AS of FROM series e JOIN studies s ON s.id = e.study"
                            " ORDER BY s.study, e.series"),
            "instances": table("SELECT i.*, e.series AS of FROM instances i JOIN series e ON e.id = i.series"
                               " ORDER BY i.sop_instance"),
            "daily": table("SELECT * FROM daily ORDER BY day"),
        }  # fmt: skip
    for name, drop in (("patients", ("id",)), ("studies", ("patient",)), ("series", ("id", "study")),
                       ("instances", ("id", "series"))):  # fmt: skip
        for row in found[name]:
            for column in drop:
                row.pop(column)
    found["files"] = {
        str(path.relative_to(root)): path.read_bytes() for path in (root / "objects").rglob("*") if path.is_file()
    }
    return found


async def totals(archive: Archive) -> tuple[int, ...]:
    counts = await archive.index.counts()
    return counts.patients, counts.studies, counts.series, counts.instances, counts.bytes


async def fill(archive: Archive) -> list[Object]:
    """Store two studies of one patient, the first with two series, and one of another."""
    first = Object(patient="P1")
    things = [
        first, first.beside(), first.beside(series=uid(), modality="SR"),
        Object(patient="P1", description="KNEE"), Object(patient="P2", name="ROE^RICHARD"),
    ]  # fmt: skip
    things[2].tags[0x00200011] = ("IS", "2")
    for thing in things:
        await send(archive, thing)
    return things


@pytest.fixture(params=[OPTIONS, JOURNALED], ids=["synced", "journaled"])
async def either(request: pytest.FixtureRequest, tmp_path: Path, bus: Bus) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path / "data", request.param, bus, busy_s=0.3)
    await opened.journal.prepared()
    try:
        yield opened
    finally:
        await opened.close()


@pytest.mark.parametrize("level", ["study", "series", "instance"])
async def test_what_is_deleted_is_gone_at_once_and_comes_back_as_it_was(either: Archive, level: str) -> None:
    archive = either
    things = await fill(archive)
    first = things[0]
    before, counted = content(archive.data_dir), await totals(archive)
    which = {
        "study": Which(first.study), "series": Which(first.study, first.series),
        "instance": Which(first.study, first.series, first.sop),
    }[level]  # fmt: skip
    gone = {"study": 3, "series": 2, "instance": 1}[level]
    entry = await archive.trash.delete(which, why="wrong patient", by="eve")
    assert (entry.level, entry.key, entry.instances) == (level, which.key, gone)
    assert (entry.why, entry.by, entry.patient_id, entry.description) == ("wrong patient", "eve", "P1", "CHEST")
    assert entry.state == entry.problem == ""
    assert await archive.index.instance(first.sop) is None
    assert (await totals(archive))[3] == counted[3] - gone
    assert len(files(archive)) == 5 - gone
    assert len(files(archive, "trash")) == gone
    if level == "study":
        assert (await totals(archive))[:3] == (2, 2, 2)
        with pytest.raises(NotFound):
            await archive.index.study(first.study)
    else:
        left = (await archive.index.study(first.study)).row.modalities
        assert left == (("SR",) if level == "series" else ("OT", "SR"))
    back = await archive.trash.undo(entry.id)
    assert (back.instances, back.there, back.refused) == (gone, 0, ())
    after = content(archive.data_dir)
    if level != "study":  # that study was changed twice
        for each in (before, after):
            for row in each["studies"]:
                row.pop("changed")
    assert after == before
    assert await totals(archive) == counted
    assert await archive.trash.entries() == []
    assert files(archive, "trash") == []
    report = await archive.reconcile()
    assert (report.adopted, report.missing, report.unreadable, report.duplicates) == (0, 0, 0, 0)


async def test_the_last_study_takes_its_patient_along_and_undo_brings_him_back(archive: Archive) -> None:
    things = await fill(archive)
    entry = await archive.trash.delete(Which(things[4].study))
    assert await totals(archive) == (1, 2, 3, 4, sum(len(each.encode()) for each in things[:4]))
    await archive.trash.undo(entry.id)
    assert (await totals(archive))[:4] == (2, 3, 4, 5)


async def test_an_object_that_comes_again_is_stored_anew_and_undo_leaves_it(either: Archive) -> None:
    archive = either
    things = await fill(archive)
    first = things[0]
    entry = await archive.trash.delete(Which(first.study))
    assert (await send(archive, first)).new
    other = things[1].copy(description="OTHER")
    assert (await send(archive, other)).new
    back = await archive.trash.undo(entry.id)
    assert (back.instances, back.there) == (1, 1)
    assert back.refused == ((other.sop, "other content came under its SOP Instance UID"),)
    left = await archive.trash.entry(entry.id)
    assert (left.instances, left.problem) == (1, "1 instance could not come back")
    assert len(files(archive)) == 5
    await archive.trash.empty(entry.id)
    assert files(archive, "trash") == []
    assert (await totals(archive))[:4] == (2, 3, 4, 5)


async def test_emptying_frees_the_files_and_undo_says_that_they_are_gone(archive: Archive) -> None:
    things = await fill(archive)
    entry = await archive.trash.delete(Which(things[0].study))
    assert (await archive.trash.totals())[:2] == (1, 3)
    await archive.trash.empty(entry.id)
    assert (await archive.trash.totals()) == (0, 0, 0, 0)
    assert list((archive.data_dir / "trash").iterdir()) == []
    with pytest.raises(NotFound):
        await archive.trash.undo(entry.id)


async def test_a_number_of_an_instance_is_never_used_twice(archive: Archive) -> None:
    things = await fill(archive)
    last = (await archive.db.read(lambda c: c.execute("SELECT max(id) FROM instances").fetchone()))[0]
    await archive.trash.delete(Which(things[4].study))
    await send(archive, Object())
    assert (await archive.db.read(lambda c: c.execute("SELECT max(id) FROM instances").fetchone()))[0] == last + 1


async def test_files_that_are_missing_do_not_keep_a_study(archive: Archive) -> None:
    things = await fill(archive)
    shutil.rmtree(archive.data_dir / "objects")
    await archive.reconcile()
    entry = await archive.trash.delete(Which(things[0].study))
    assert entry.instances == 3
    assert (await archive.trash.undo(entry.id)).instances == 3
    assert [row.missing for row in await archive.index.instances(things[0].study)] == [1, 1, 1]


async def test_what_is_not_there_cannot_be_deleted(archive: Archive) -> None:
    with pytest.raises(NotFound):
        await archive.trash.delete(Which("1.2.3"))


async def test_a_study_can_be_deleted_while_it_arrives(either: Archive) -> None:
    archive = either
    first = Object()
    await send(archive, first)
    things = [first.beside() for _ in range(60)]

    async def store() -> None:
        for thing in things:
            assert (await send(archive, thing)).new

    sending = asyncio.create_task(store())
    for _ in range(5):
        await asyncio.sleep(0)
        try:
            await archive.trash.delete(Which(first.study))
        except NotFound:
            pass
    await sending
    counted = await totals(archive)
    trashed = (await archive.trash.totals())[1]
    assert counted[3] + trashed == 61
    assert len(files(archive)) == counted[3]
    for entry in await archive.trash.entries():
        await archive.trash.undo(entry.id)
    assert (await totals(archive))[3] == len(files(archive)) == 61


# Faults.


@pytest.fixture
async def broken(tmp_path: Path, bus: Bus) -> AsyncIterator[tuple[Archive, BrokenDisk]]:
    disk = TrashDisk()
    opened = await Archive.open(tmp_path / "data", OPTIONS, bus, busy_s=0.3, disk=disk)
    try:
        yield opened, disk
    finally:
        disk.mend()
        await opened.close()


class TrashDisk(BrokenDisk):
    def link_path(self, path: Path, target: Path) -> None:
        self._call("link")
        super().link_path(path, target)

    def unlink_path(self, path: Path) -> None:
        self._call("unlink")
        super().unlink_path(path)

    def see_writable(self, folder: Path) -> None:
        self._call("see")
        super().see_writable(folder)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize(("step", "nth"), [("link", 1), ("link", 3), ("fsync", 2), ("fsync_folder", 2), ("see", 1)])
async def test_a_study_whose_files_cannot_be_moved_stays_whole(
    broken: tuple[Archive, BrokenDisk], step: str, nth: int, code: int
) -> None:
    archive, disk = broken
    things = await fill(archive)
    before = content(archive.data_dir)
    disk.break_at(step, nth, code)
    with pytest.raises(Unavailable) as caught:
        await archive.trash.delete(Which(things[0].study))
    assert things[0].study in str(caught.value)
    assert disk.hits == 1
    assert content(archive.data_dir) == before
    assert files(archive, "trash") == []
    disk.mend()
    assert (await archive.trash.delete(Which(things[0].study))).instances == 3


async def test_a_name_that_cannot_be_removed_is_removed_later(broken: tuple[Archive, BrokenDisk]) -> None:
    archive, disk = broken
    things = await fill(archive)
    disk.break_at("unlink", 2, errno.EIO)
    entry = await archive.trash.delete(Which(things[0].study))
    assert "cannot be removed" in entry.problem
    assert len(files(archive)) == 3
    assert (await archive.reconcile()).adopted == 0
    disk.mend()
    await archive.trash.tend()
    assert (await archive.trash.entry(entry.id)).problem == ""
    assert len(files(archive)) == 2


@pytest.mark.parametrize(("step", "nth"), [("link", 1), ("link", 3), ("fsync_folder", 1)])
async def test_a_return_that_fails_changes_nothing(broken: tuple[Archive, BrokenDisk], step: str, nth: int) -> None:
    archive, disk = broken
    things = await fill(archive)
    before = content(archive.data_dir)
    entry = await archive.trash.delete(Which(things[0].study))
    gone = content(archive.data_dir)
    disk.break_at(step, nth, errno.EIO)
    with pytest.raises(Unavailable):
        await archive.trash.undo(entry.id)
    assert content(archive.data_dir) == gone
    assert (await archive.trash.entry(entry.id)).state == ""
    disk.mend()
    await archive.trash.undo(entry.id)
    assert content(archive.data_dir) == before


# kill -9 at every step.


def copy(root: Path, target: Path) -> None:
    """Copy a data directory with its hard links."""
    subprocess.run(["cp", "-a", str(root), str(target)], check=True)


class Pictures(Disk):
    """Copies the data directory before every call that changes it, as the kill at that moment would leave it."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self.root: Path | None = None
        self.taken: list[Path] = []

    def take(self) -> None:
        if self.root is not None:
            target = self._to / f"{len(self.taken)}"
            copy(self.root, target)
            self.taken.append(target)


def _pictured(name: str) -> Callable[..., Any]:
    def call(self: Pictures, *arguments: Any, **named: Any) -> Any:
        self.take()
        return getattr(Disk, name)(self, *arguments, **named)

    return call


for _name in ("link_path", "unlink_path", "fsync", "fsync_folder", "write_at", "sync_data"):
    setattr(Pictures, _name, _pictured(_name))


async def _opened(path: Path, options: ArchiveSettings) -> Archive:
    return await Archive.open(path, options, Bus(), busy_s=0.3)


async def _judge(root: Path, options: ArchiveSettings, things: list[Object], study: str) -> str:
    """Open what a kill left; see that each object is wholly in one place, and undo leads back to all."""
    archive = await _opened(root, options)
    try:
        report = await archive.reconcile()
        assert (report.missing, report.unreadable, report.duplicates) == (0, 0, 0)
        entries = await archive.trash.entries()
        trashed = await archive.db.read(lambda c: [o for e in entries for o in rows.objects(c, e.id)])
        here = [each for each in things if await archive.index.instance(each.sop) is not None]
        assert {each.sop for each in here}.isdisjoint({each.sop_instance for each in trashed})
        assert len(here) + len(trashed) == len(things)
        assert len(files(archive)) == len(here)
        assert len(files(archive, "trash")) == len(trashed)
        mine = [each for each in here if each.study == study]
        assert len(mine) in (0, 3)
        for entry in entries:
            assert (await archive.trash.undo(entry.id)).instances == 3
        counts = await archive.index.counts()
        assert (counts.patients, counts.studies, counts.series, counts.instances) == (2, 3, 4, 5)
        for each in things:
            path = (await archive.index.instance(each.sop)).path  # type: ignore[union-attr]
            assert (archive.data_dir / path).read_bytes().endswith(each.encode())
        return "trash" if entries else "archive"
    finally:
        await archive.close()


@pytest.mark.parametrize("options", [OPTIONS, JOURNALED], ids=["synced", "journaled"])
@pytest.mark.parametrize("way", ["delete", "undo"])
async def test_a_kill_at_any_step_leaves_each_object_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: ArchiveSettings, way: str
) -> None:
    disk = Pictures(tmp_path)
    archive = await Archive.open(tmp_path / "data", options, Bus(), busy_s=0.3, disk=disk)
    commit = Writer.commit

    def watched(self: Writer) -> None:
        disk.take()
        commit(self)
        disk.take()

    try:
        await archive.journal.prepared()
        things = await fill(archive)
        if way == "undo":
            entry = await archive.trash.delete(Which(things[0].study))
        monkeypatch.setattr(Writer, "commit", watched)
        disk.root = archive.data_dir
        if way == "delete":
            await archive.trash.delete(Which(things[0].study))
        else:
            await archive.trash.undo(entry.id)
        disk.take()
        disk.root = None
    finally:
        monkeypatch.undo()
        await archive.close()
    assert len(disk.taken) > 8
    ends = [await _judge(picture, options, things, things[0].study) for picture in disk.taken]
    once, then = ("archive", "trash") if way == "delete" else ("trash", "archive")
    assert ends[0] == once
    assert ends[-1] == then
    assert ends == sorted(ends, key=[once, then].index)


async def test_a_kill_after_emptying_brings_nothing_back(tmp_path: Path) -> None:
    archive = await _opened(tmp_path / "data", JOURNALED)
    try:
        await archive.journal.prepared()
        things = await fill(archive)
        entry = await archive.trash.delete(Which(things[0].study))
        await archive.trash.empty(entry.id)
        again = things[0].copy(description="AGAIN")
        await send(archive, again)
        copy(archive.data_dir, tmp_path / "killed")
    finally:
        await archive.close()
    archive = await _opened(tmp_path / "killed", JOURNALED)
    try:
        assert (await archive.reconcile()).adopted == 0
        assert await archive.index.instance(things[1].sop) is None
        kept = await archive.index.instance(again.sop)
        assert kept is not None
        assert (archive.data_dir / kept.path).read_bytes().endswith(again.encode())
        assert len(files(archive)) == 3
    finally:
        await archive.close()


async def test_emptying_that_was_cut_off_is_finished_by_the_next_start(tmp_path: Path, bus: Bus) -> None:
    archive = await _opened(tmp_path / "data", OPTIONS)
    things = await fill(archive)
    entry = await archive.trash.delete(Which(things[0].study))
    await archive.db.write(lambda c: rows.mark(c, entry.id, rows.EMPTYING))
    files(archive, "trash")[0].unlink()
    await archive.close()
    archive = await _opened(tmp_path / "data", OPTIONS)
    try:
        assert await archive.trash.entries() == []
        assert files(archive, "trash") == []
    finally:
        await archive.close()


async def test_what_the_index_does_not_know_in_the_trash_is_not_removed(tmp_path: Path) -> None:
    archive = await _opened(tmp_path / "data", OPTIONS)
    things = await fill(archive)
    await archive.trash.delete(Which(things[0].study))
    await archive.db.write(lambda c: (c.execute("DELETE FROM trashed"), c.execute("DELETE FROM trash")))
    await archive.close()
    archive = await _opened(tmp_path / "data", OPTIONS)
    try:
        assert len(files(archive, "trash")) == 3
        await send(archive, things[0])  # what the archive has again surely needs no second place
        await archive.close()
        archive = await _opened(tmp_path / "data", OPTIONS)
        assert len(files(archive, "trash")) == 2
        assert await archive.index.instance(things[0].sop) is not None
    finally:
        await archive.close()


async def test_without_hard_links_copies_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr("pacstui.archive.disk.os.link", no_links)
    archive = await _opened(tmp_path / "data", OPTIONS)
    try:
        things = await fill(archive)
        before = content(archive.data_dir)
        entry = await archive.trash.delete(Which(things[0].study))
        assert len(files(archive)) == 2
        assert len(files(archive, "trash")) == 3
        await archive.trash.undo(entry.id)
        assert content(archive.data_dir) == before
        assert files(archive, "trash") == []
    finally:
        await archive.close()


def test_the_trash_keeps_every_column_of_an_instance(tmp_path: Path) -> None:
    from pacstui.db import schema

    schema.create(tmp_path / "x.db")
    with closing(sqlite3.connect(tmp_path / "x.db")) as db:
        columns = {row[1] for row in db.execute("PRAGMA table_info(instances)")}
        kept = {row[1] for row in db.execute("PRAGMA table_info(trashed)")}
    assert set(rows.INSTANCE) == columns - {"id", "series"} == kept - {"id", "trash", "series_uid"}


async def test_a_failing_commit_leaves_all_as_it_was(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    things = await fill(archive)
    before = content(archive.data_dir)

    def fails(*_: Any, **__: Any) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(rows, "take_out", fails)
    with pytest.raises(PacsError):
        await archive.trash.delete(Which(things[0].study))
    monkeypatch.undo()
    assert content(archive.data_dir) == before
    assert (await send(archive, things[0].beside())).new


async def test_what_the_journal_cannot_let_go_of_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = await _opened(tmp_path / "data", JOURNALED)
    try:
        await archive.journal.prepared()
        things = await fill(archive)
        before = content(archive.data_dir)
        monkeypatch.setattr(trash, "_ROUNDS", 2)
        monkeypatch.setattr(trash, "_ROUND_S", 0.0)
        archive.journal._give_up(OSError(errno.EIO, "broken"))
        with pytest.raises(Unavailable, match="journal"):
            await archive.trash.delete(Which(things[0].study))
        assert content(archive.data_dir) == before
        assert files(archive, "trash") == []
    finally:
        await archive.close()
