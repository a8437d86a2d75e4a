"""Faults that come once and pass, or that strike while another one is being put right."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pacstui.archive import Archive, Refused, paths, records
from pacstui.archive.lock import DataLock
from pacstui.db import Database
from pacstui.errors import AlreadyRunning, PacsError
from pacstui.settings import ArchiveSettings

from .conftest import files, send
from .objects import Object
from .test_journal import OPTIONS, Volatile, content, ready, rest, tend, zero


def mark(data_dir: Path) -> str:
    """Return how the data directory says that its last session ended."""
    path = data_dir / "session"
    return path.read_text().split()[0] if path.exists() else "none"


async def crashed(tmp_path: Path, number: int = 5) -> tuple[Path, list[Object], list[str]]:
    """Return a data directory after a power loss, the objects that were acknowledged and their files' paths."""
    disk = Volatile()
    archive = await ready(tmp_path / "data", disk)
    sent = [Object() for _ in range(number)]
    stored = [(await send(archive, each)).path for each in sent]
    disk.lose_power(archive.data_dir, tmp_path / "crash", zero, rows_too=False)
    await archive.close()
    return tmp_path / "crash", sent, stored


async def test_a_start_that_fails_does_not_pass_for_a_clean_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir, sent, _ = await crashed(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("pacstui.archive.session.Session.past", _broken)
        with pytest.raises(PacsError):
            await Archive.open(data_dir, OPTIONS)
    assert mark(data_dir) == "open"
    archive = await ready(data_dir)
    assert await content(archive) == {each.sop: each.encode() for each in sent}
    await archive.close()


async def _broken(self: object) -> None:
    raise PacsError("The disk is broken", "Mend it")


async def test_a_repeat_of_a_damaged_object_is_stored(archive: Archive) -> None:
    thing = Object()
    path = archive.path_of((await send(archive, thing)).path)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 0xFF
    path.write_bytes(damaged)
    assert (await send(archive, thing)).status == 0
    assert await content(archive) == {thing.sop: thing.encode()}
    assert not (await send(archive, thing)).new


async def test_after_rows_could_not_be_synced_the_next_start_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = await ready(tmp_path / "data", Volatile())
    sync, calls = Database.sync, 0

    def once(self: Database) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(self)

    monkeypatch.setattr(Database, "sync", once)
    await send(archive, Object())
    await rest(archive)
    await tend(archive)
    await archive.close()
    assert calls > 1
    assert mark(tmp_path / "data") != "clean"


class FailingFolder(Volatile):
    """Cannot sync one folder, once."""

    target = "none"

    def __init__(self) -> None:
        super().__init__()
        self.folders: list[str] = []

    def fsync_folder(self, fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if path.endswith(self.target):
            self.target = "none"
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.folders.append(path)
        super().fsync_folder(fd)


async def test_a_folder_that_could_not_be_synced_is_synced_later(tmp_path: Path) -> None:
    disk = FailingFolder()
    archive = await Archive.open(tmp_path / "data", ArchiveSettings(reserve_bytes=0, journal_bytes=0), disk=disk)
    first = Object()
    disk.target = parent = paths.study_folder(first.text(0x0020000D)).rpartition("/")[0]
    with pytest.raises(Refused):
        await send(archive, first)
    disk.folders.clear()
    assert (await send(archive, first.beside())).status == 0
    await archive.close()
    assert any(path.endswith(parent) for path in disk.folders)


async def test_one_object_that_cannot_be_completed_does_not_keep_the_others(tmp_path: Path) -> None:
    data_dir, sent, stored = await crashed(tmp_path)
    bad = data_dir / stored[2]
    bad.unlink()
    bad.mkdir()  # stands for a file that the disk can neither read nor replace
    archive = await Archive.open(data_dir, OPTIONS, busy_s=0.3)
    whole = [each.name for each in files(archive) if each.is_file()]
    assert [any(each.sop in name for name in whole) for each in sent] == [True, True, False, True, True]
    assert not archive.stats().accepting
    assert archive.stats().detail
    await archive.close()
    assert mark(data_dir) != "clean"
    bad.rmdir()
    archive = await ready(data_dir)
    assert await content(archive) == {each.sop: each.encode() for each in sent}
    await archive.close()


async def test_a_journal_that_is_switched_off_is_replayed_once_and_removed(tmp_path: Path) -> None:
    data_dir, sent, _ = await crashed(tmp_path)
    kept = [data_dir / "journal" / name for name in ("a", "b")]
    assert sum(len(list(records.read(each.read_bytes()))) for each in kept) >= len(sent)
    archive = await Archive.open(data_dir, ArchiveSettings(reserve_bytes=0, journal_bytes=0))
    assert await content(archive) == {each.sop: each.encode() for each in sent}
    await archive.close()
    assert not any(each.exists() for each in kept)


def test_a_removed_lock_file_does_not_let_a_second_node_in(tmp_path: Path) -> None:
    first = DataLock.take(tmp_path)
    (tmp_path / "lock").unlink()
    with pytest.raises(AlreadyRunning):
        DataLock.take(tmp_path)
    first.release()
    DataLock.take(tmp_path).release()
