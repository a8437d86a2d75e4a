"""The journal when several things go wrong at once, or at the worst moment: what was acknowledged is there all the
same after a power loss, and what was refused or deleted is not."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pacstui.archive import Archive, Refused, aio, part10
from pacstui.archive.disk import Disk
from pacstui.archive.trash_rows import Which
from pacstui.db.lane import Writer
from pacstui.settings import ArchiveSettings

from .conftest import files, send
from .objects import Object
from .test_journal import OPTIONS, Volatile, content, journaled, keep_index, ready, rest, settled, zero

__all__ = ["journaled"]
ROOMY = ArchiveSettings(reserve_bytes=0, journal_bytes=16 << 20)
SYNCING = "pacstui-journal-sync"


@pytest.fixture
def disk() -> Volatile:
    return Volatile()


def fail(*_: object, code: int = errno.EIO) -> None:
    raise OSError(code, os.strerror(code))


def full(*_: object) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


async def after_power_loss(
    archive: Archive, disk: Volatile, harm: Callable[[Path], object] = Path.unlink, rows_too: bool = True
) -> dict[str, bytes]:
    """Return what a node has that starts again after a power loss now."""
    copy = archive.data_dir.parent / "after"
    disk.lose_power(archive.data_dir, copy, harm, rows_too)
    again = await Archive.open(copy, OPTIONS)
    try:
        assert await again.index.missing() == []
        return await content(again)
    finally:
        await again.close()


def told(*things: Object) -> dict[str, bytes]:
    return {thing.sop: thing.encode() for thing in things}


async def test_a_digest_that_comes_while_the_file_is_written_is_in_its_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()

    class Watched(Disk):
        def write(self, fd: int, parts: Sequence[bytes | bytearray | memoryview]) -> int:
            try:
                return super().write(fd, parts)
            finally:
                written.set()

    archive = await ready(tmp_path / "data", Watched(), ROOMY)
    with_digest = part10.with_digest

    def late(meta: bytes, digest: bytes) -> bytes:
        assert written.wait(20)
        return with_digest(meta, digest)

    written.clear()
    monkeypatch.setattr(part10, "with_digest", late)
    stored = await send(archive, Object(pixels=bytes(200_000)))
    assert part10.parse(archive.path_of(stored.path).read_bytes(), True).digest == stored.digest
    await archive.close()


async def test_a_failed_write_that_nobody_waited_for_hides_nothing_that_comes_after(
    journaled: Archive, disk: Volatile, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(journaled, first := Object())
    with monkeypatch.context() as patch:
        patch.setattr(disk, "begin_through", lambda *_: fail)
        patch.setattr(journaled.lane, "_do_rows", lambda *_: [][0])
        with pytest.raises(Refused):
            await send(journaled, Object())
    await send(journaled, later := Object())
    assert await after_power_loss(journaled, disk) == told(first, later)


async def test_a_refusal_noted_while_another_thread_syncs_hides_nothing_that_comes_after(tmp_path: Path) -> None:
    """The sync may have taken what there was before the note came."""
    taken, noted = threading.Event(), threading.Event()

    class Racing(Volatile):
        def sync_data(self, fd: int) -> None:
            super().sync_data(fd)
            if threading.current_thread().name.startswith(SYNCING):
                taken.set()
                assert noted.wait(20)

        def write_at(self, fd: int, parts: Sequence[bytes | bytearray | memoryview], offset: int) -> None:
            beside = taken_back and not threading.current_thread().name.startswith(SYNCING)
            assert not beside or taken.wait(20)
            super().write_at(fd, parts, offset)
            if beside:
                noted.set()

    disk, taken_back = Racing(), False
    archive = await ready(tmp_path / "data", disk, ROOMY)
    keep_index(archive.data_dir)
    await send(archive, first := Object())
    await rest(archive)  # the next one begins a segment, so that it goes by the cache
    stored = archive.path_of((await send(archive, Object())).path)
    await rest(archive)
    large = Object(pixels=bytes(300_000))
    in_its_way = stored.with_name(f"{large.sop}.dcm")
    large.tags[0x0020000D] = ("UI", stored.parent.name)
    in_its_way.write_bytes(b"what the index does not know")
    taken_back = True
    assert (await send(archive, large)).new
    taken_back = False
    await send(archive, later := Object())
    found = await after_power_loss(archive, disk)
    await archive.close()
    assert found.items() >= told(first, large, later).items()


@pytest.mark.parametrize("before", range(22, 27))
async def test_a_refusal_in_a_full_segment_does_not_set_it_free(
    tmp_path: Path, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch goes on: files and rows that come after it have nothing but the journal."""
    refused = Object()

    class Full(Volatile):
        def open(self, path: str, flags: int, mode: int, folder: int | None) -> int:
            if refused.sop in path:
                fail(code=errno.ENOSPC)
            return super().open(path, flags, mode, folder)

    disk = Full()
    archive = await ready(tmp_path / "data", disk)
    keep_index(archive.data_dir)
    first = Object()
    things = [first, *(first.beside() for _ in range(before - 1))]
    for thing in things:
        await send(archive, thing)
    batch = [first.beside(), refused, *(first.beside() for _ in range(3))]
    results = await asyncio.gather(*(send(archive, thing) for thing in batch), return_exceptions=True)
    assert [isinstance(each, Refused) for each in results] == [False, True, False, False, False]
    await settled(archive)
    things += [each for each in batch if each is not refused]
    for _ in range(35):  # the other segment is filled, and this one begun anew if it was free
        things.append(first.beside())
        await send(archive, things[-1])
    assert (await after_power_loss(archive, disk)) == told(*things)
    await archive.close()


async def test_a_file_is_written_again_from_what_was_accepted_last(
    journaled: Archive, disk: Volatile, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Object()
    accepted = refused.copy(description="OTHER CONTENT")
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "commit", full)
        with pytest.raises(Refused):
            await send(journaled, refused)
    stored = await send(journaled, accepted)
    disk.broken = 1
    await rest(journaled)
    assert journaled.path_of(stored.path).read_bytes().endswith(accepted.encode())
    assert await content(journaled) == told(accepted)


async def test_a_deleted_object_does_not_come_back_with_a_segment_begun_anew(
    journaled: Archive, disk: Volatile
) -> None:
    """Of such a segment the disk may still have what it held before."""
    await send(journaled, gone := Object())
    await rest(journaled)
    await send(journaled, kept := Object())
    await rest(journaled)
    await journaled.trash.delete(Which(gone.study))
    assert await after_power_loss(journaled, disk, rows_too=False) == told(kept)


@pytest.mark.parametrize("how", ["replaced", "healed"])
async def test_what_had_another_place_before_it_was_deleted_does_not_come_back(
    disk: Volatile, tmp_path: Path, how: str
) -> None:
    options = ArchiveSettings(reserve_bytes=0, journal_bytes=256 << 10, duplicates="overwrite")
    archive = await ready(tmp_path / "data", disk, options)
    keep_index(archive.data_dir)
    thing = Object()
    path = archive.path_of((await send(archive, thing)).path)
    if how == "replaced":
        await send(archive, thing.copy(description="NEWER"))
    else:
        path.write_bytes(b"damaged")
        assert (await send(archive, thing)).healed
    await send(archive, kept := Object())
    await archive.trash.delete(Which(thing.study))
    path.unlink(missing_ok=True)
    found = await after_power_loss(archive, disk, rows_too=False)
    await archive.close()
    assert found == told(kept)


async def test_a_write_that_the_kernel_cannot_take_now_is_done_otherwise(
    journaled: Archive, disk: Volatile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await send(journaled, first := Object())
    things = [Object(), Object(pixels=bytes(60_000))]
    with monkeypatch.context() as patch:
        patch.setattr(aio.Queue, "write", lambda *_: fail(code=errno.EAGAIN))
        for thing in things:
            await send(journaled, thing)
    await send(journaled, later := Object())
    assert sum(path.stat().st_ino in disk.synced for path in files(journaled)) == 0, "the journal stands for them"
    assert await after_power_loss(journaled, disk) == told(first, *things, later)
    assert "one by one" not in caplog.text


async def test_who_asks_twice_for_a_failed_write_is_told_twice(tmp_path: Path) -> None:
    queue = aio.queue()
    if queue is None:
        pytest.skip("no such writes here")
    fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        begun = queue.write(fd, memoryview(bytearray(4096)), 1 << 62)
        for _ in range(2):
            with pytest.raises(OSError, match="too large"):
                begun.wait()
        assert queue.write(fd, memoryview(bytearray(b"1" * 4096)), 0).wait() == 4096
    finally:
        os.close(fd)
        queue.close()


def opened(below: Path) -> list[str]:
    """Return the files and folders below ``below`` that this process has open."""
    found = []
    for each in os.scandir("/proc/self/fd"):
        try:
            target = os.readlink(each.path)
        except OSError:
            continue
        if target.startswith(f"{below}/"):
            found.append(target)
    return found


async def test_a_journal_leaves_no_descriptor_open(
    tmp_path: Path, disk: Volatile, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = await ready(tmp_path / "data", disk)
    monkeypatch.setattr(disk, "begin_through", lambda *_: fail(code=errno.EINVAL))
    await send(archive, Object())
    await archive.close()
    assert opened(tmp_path) == []


async def test_while_the_disk_is_slow_few_files_stay_open(tmp_path: Path, disk: Volatile) -> None:
    archive = await ready(tmp_path / "data", disk, ArchiveSettings(reserve_bytes=0, journal_bytes=64 << 20))
    first = Object(pixels=bytes(70_000))
    await send(archive, first)
    disk.go_on.clear()
    await rest_now(archive)
    for _ in range(300):
        await send(archive, first.beside())
    at_once = [name for name in opened(tmp_path) if name.endswith(".dcm")]
    assert len(at_once) < 100
    disk.go_on.set()
    await settled(archive)
    await settled(archive)
    assert [name for name in opened(tmp_path) if name.endswith(".dcm")] == []
    await archive.close()


async def rest_now(archive: Archive) -> None:
    """Let the lane hand its segment over, without waiting for the thread that syncs it."""
    archive.journal._used_at = float("-inf")
    done = asyncio.get_running_loop().create_future()
    archive.db.submit(lambda _: archive.journal.tend(), lambda result, error: done.set_result(error))
    assert await done is None


async def test_a_file_whose_close_fails_is_written_again(
    tmp_path: Path, disk: Volatile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a network the close may be the last to be told that the bytes did not arrive."""
    archive = await ready(tmp_path / "data", disk, ROOMY)
    close = disk.close

    def failing(fd: int) -> None:
        if threading.current_thread().name.startswith("pacstui-journal"):
            path = Path(os.readlink(f"/proc/self/fd/{fd}"))
            zero(path)
            close(fd)
            fail()
        close(fd)

    thing = Object(pixels=bytes(range(256)) * 400)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "close", failing)
        await send(archive, thing)
        await asyncio.sleep(0)
        await settled(archive)
    await rest(archive)
    assert await content(archive) == told(thing)
    await archive.close()
