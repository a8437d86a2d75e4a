"""Disk and database that fail: success is said only when everything is durable, failures leave nothing, and the
archive recovers by itself."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pacstui.archive import Archive, Refused
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.db import Database
from pacstui.db.lane import Writer
from pacstui.events import Event, StoragePressure
from pacstui.settings import ArchiveSettings

from .conftest import OPTIONS, files, send
from .faults import BrokenDisk
from .objects import EXPLICIT, Object

LARGE = bytes(range(256)) * (3 << 12)


@pytest.fixture
def disk() -> BrokenDisk:
    return BrokenDisk()


@pytest.fixture
async def broken(tmp_path: Path, bus: Bus, disk: BrokenDisk) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path / "data", OPTIONS, bus, busy_s=0.3, disk=disk)
    try:
        yield opened
    finally:
        disk.mend()
        await opened.close()


async def instances(archive: Archive) -> int:
    return (await archive.index.counts()).instances


async def test_success_comes_after_every_sync(
    broken: Archive, disk: BrokenDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Writer.commit

    def watched(self: Writer) -> None:
        disk.calls.append("commit")
        commit(self)
        disk.calls.append("committed")

    def synced(self: Database) -> None:
        sync(self)
        disk.calls.append("rows synced")

    sync = Database.sync
    monkeypatch.setattr(Writer, "commit", watched)
    monkeypatch.setattr(Database, "sync", synced)
    first = Object()
    disk.calls.clear()
    await send(broken, first)
    disk.calls.append("success")
    order = [call for call in disk.calls if call not in ("statvfs", "mkdir", "close")]
    assert order[:3] == ["open", "write", "fsync"]
    assert order[3] == "rename"
    # data directory, objects, the folder of 256, the study: each new entry is synced in its parent
    assert order[4:-4] == ["fsync_folder"] * 4
    assert order[-4:] == ["commit", "committed", "rows synced", "success"]
    disk.calls.clear()
    await send(broken, first.beside())
    assert [call for call in disk.calls if call not in ("statvfs", "close")] == [
        "open", "write", "fsync", "rename", "fsync_folder", "commit", "committed", "rows synced",
    ]  # fmt: skip


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("step", ["open", "write", "fsync", "rename", "fsync_folder", "mkdir", "close"])
@pytest.mark.parametrize("large", [False, True])
async def test_a_fault_at_any_step_is_a700_and_leaves_nothing(
    broken: Archive, disk: BrokenDisk, heard: list[Event], step: str, code: int, large: bool
) -> None:
    thing = Object(pixels=LARGE) if large else Object()
    disk.break_at(step, code=code)
    with pytest.raises(Refused) as caught:
        await send(broken, thing)
    assert caught.value.status == 0xA700
    assert disk.hits == 1
    assert not broken.stats().accepting
    assert broken.stats().detail
    both = threading.Barrier(2)  # each of the two threads has come to its end with removals
    await asyncio.gather(*(asyncio.to_thread(broken._threads.submit(both.wait, 20).result) for _ in range(2)))
    assert files(broken) == files(broken, "incoming") == []
    assert await instances(broken) == 0
    disk.mend()
    assert (await send(broken, thing)).new
    assert broken.stats().accepting
    assert [event.full for event in heard if isinstance(event, StoragePressure)] == [True, False]
    assert await instances(broken) == len(files(broken)) == 1


@pytest.mark.parametrize("step", ["open", "write", "fsync", "rename"])
async def test_one_of_a_batch_fails_alone(broken: Archive, disk: BrokenDisk, step: str) -> None:
    first = Object()
    await send(broken, first)
    disk.break_at(step, nth=2)
    things = [first.beside() for _ in range(5)]
    results = await asyncio.gather(*(send(broken, thing) for thing in things), return_exceptions=True)
    failed = [result for result in results if isinstance(result, Refused)]
    assert len(failed) == 1
    assert failed[0].status == 0xA700
    assert await instances(broken) == len(files(broken)) == 5
    for thing, result in zip(things, results, strict=True):
        assert (await broken.index.instance(thing.sop) is None) is isinstance(result, Refused)


async def test_an_object_whose_rows_are_refused_fails_alone(broken: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, first = Object(), Object()
    add = broken.lane.index.add

    def refusing(connection: sqlite3.Connection, entry: object, *rest: object) -> str:
        if entry.sop_instance == bad.sop:  # type: ignore[attr-defined]
            raise sqlite3.IntegrityError("no")
        return add(connection, entry, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(broken.lane.index, "add", refusing)
    things = [first, bad, first.beside(), Object(patient="P9")]
    results = await asyncio.gather(*(send(broken, thing) for thing in things), return_exceptions=True)
    assert [isinstance(result, Refused) for result in results] == [False, True, False, False]
    counts = await broken.index.counts()
    assert (counts.instances, counts.studies, counts.patients) == (3, 2, 2)
    assert len(files(broken)) == 3


async def test_a_fault_while_large_objects_arrive_is_said_at_their_end(broken: Archive, disk: BrokenDisk) -> None:
    disk.break_at("write", nth=2, times=99)
    with pytest.raises(Refused) as caught:
        await send(broken, Object(pixels=LARGE))
    assert caught.value.status == 0xA700
    await broken.close()
    assert files(broken, "incoming") == []


async def test_case_067_a_short_volume_refuses_at_once_and_recovers(tmp_path: Path, bus: Bus, disk: BrokenDisk) -> None:
    clock = FakeClock()
    heard: list[StoragePressure] = []
    bus.subscribe(StoragePressure, heard.append)
    archive = await Archive.open(tmp_path / "data", ArchiveSettings(reserve_bytes=1000), bus, clock, disk=disk)
    try:
        thing = Object()
        await send(archive, thing)
        disk.free = (999, 10_000)
        await send(archive, thing.beside())  # the volume is asked at most every half second
        clock.advance(0.6)
        with pytest.raises(Refused) as caught:
            archive.begin(
                calling="S", address="", association=1, sop_class="1.2", sop_instance="1.3", transfer_syntax=EXPLICIT
            )
        assert caught.value.status == 0xA700
        assert not archive.stats().accepting
        disk.free = (5000, 10_000)
        clock.advance(0.6)
        await send(archive, thing.beside())
        assert archive.stats().accepting
        assert [event.full for event in heard] == [True, False]
    finally:
        await archive.close()


async def test_case_120_a_locked_database_is_waited_for(broken: Archive) -> None:
    other = sqlite3.connect(broken.db.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    things = [Object() for _ in range(4)]
    sending = [asyncio.ensure_future(send(broken, thing)) for thing in things]
    done, _ = await asyncio.wait(sending, timeout=0.1)
    assert not done
    other.execute("ROLLBACK")
    other.close()
    for stored in await asyncio.gather(*sending):
        assert stored.new
    assert await instances(broken) == 4


async def test_case_120_a_database_locked_for_too_long_is_a700(broken: Archive, heard: list[Event]) -> None:
    other = sqlite3.connect(broken.db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    thing = Object()
    with pytest.raises(Refused) as caught:
        await send(broken, thing)
    assert caught.value.status == 0xA700
    assert "locked" in caught.value.comment
    assert files(broken) == files(broken, "incoming") == []
    other.execute("ROLLBACK")
    other.close()
    assert (await send(broken, thing)).new
    assert [event.full for event in heard if isinstance(event, StoragePressure)] == [True, False]


async def test_a_lock_is_named_with_its_remedy_and_its_end_is_noticed(
    broken: Archive, heard: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacstui.archive.store._TEND_S", 0.05)
    broken._tend()
    ended = asyncio.Event()
    broken._bus.subscribe(StoragePressure, lambda event: event.full or ended.set())
    other = sqlite3.connect(broken.data_dir / "index.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Refused, match="locked"):
        await send(broken, Object())
    assert "locked" in broken.stats().detail
    assert "End the program that holds it" in broken.stats().remedy
    other.execute("ROLLBACK")
    other.close()
    await asyncio.wait_for(ended.wait(), 20)
    assert (broken.stats().accepting, broken.stats().remedy) == (True, "")


async def test_a_full_disk_is_named_with_its_remedy_and_its_end_is_noticed(broken: Archive, disk: BrokenDisk) -> None:
    disk.break_at("write", times=99)
    with pytest.raises(Refused):
        await send(broken, Object())
    assert "Free space" in broken.stats().remedy
    await broken._probe()
    assert not broken.stats().accepting
    disk.mend()
    await broken._probe()
    assert broken.stats().accepting
    assert files(broken, "incoming") == []


async def test_case_124_a_full_database_is_a700_and_recovers(broken: Archive) -> None:
    await send(broken, Object())
    free = await broken.db._lane.call(lambda c: c.execute("PRAGMA freelist_count").fetchone()[0]).future

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE filler (x BLOB)")
        connection.execute("INSERT INTO filler VALUES (zeroblob(?))", ((free + 5) * 4096,))

    await broken.db.write(fill)
    # SQLite raises the limit to what is in use already.
    await broken.db._lane.call(lambda c: c.execute("PRAGMA max_page_count=1").fetchone()).future
    stored, caught = 0, None
    for _ in range(200):
        try:
            await send(broken, Object(description="D" * 60))
            stored += 1
        except Refused as refusal:
            caught = refusal
            break
    assert caught is not None
    assert caught.status == 0xA700
    assert await instances(broken) == len(files(broken)) == stored + 1
    await broken.db._lane.call(lambda c: c.execute("PRAGMA max_page_count=1000000").fetchone()).future
    assert (await send(broken, Object())).new
    assert broken.stats().accepting


async def test_a_commit_that_fails_leaves_nothing(broken: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = Object()
    await send(broken, thing)
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "commit", _full)
        with pytest.raises(Refused):
            await send(broken, thing.beside())
    assert len(files(broken)) == await instances(broken) == 1
    assert (await send(broken, thing.beside())).new  # the cache does not point at rows that were rolled back
    counts = await broken.index.counts()
    assert (counts.studies, counts.instances) == (1, 2)


def _full(writer: Writer) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


async def test_abandoning_at_any_moment_leaves_nothing(archive: Archive) -> None:
    for size in (0, 100, 1 << 20, 5 << 20):
        incoming = archive.begin(
            calling="S", address="", association=1, sop_class="1.2", sop_instance="1.3", transfer_syntax=EXPLICIT
        )
        for _ in range(0, size, 1 << 18):
            wait = incoming.write(bytes(1 << 18))
            if wait is not None:
                await wait
        incoming.abandon()
        incoming.abandon()
    await archive.close()
    assert files(archive) == files(archive, "incoming") == []


async def test_a_folder_removed_behind_our_back_is_made_again(archive: Archive) -> None:
    first = Object()
    stored = await send(archive, first)
    folder = archive.path_of(stored.path).parent
    archive.path_of(stored.path).unlink()
    folder.rmdir()
    folder.parent.rmdir()
    again = await send(archive, first.beside())
    assert archive.path_of(again.path).exists()


async def test_an_identical_repeat_heals_a_lost_or_damaged_file(archive: Archive) -> None:
    thing = Object()
    stored = await send(archive, thing)
    for damage in ("lost", "cut"):
        path = archive.path_of((await archive.index.instance(thing.sop)).path)  # type: ignore[union-attr]
        if damage == "lost":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-10])
        again = await send(archive, thing)
        assert (again.new, again.status) == (False, 0)
        known = await archive.index.instance(thing.sop)
        assert known is not None
        assert archive.path_of(known.path).read_bytes()[known.data_offset :] == thing.encode()
    assert (await archive.index.counts()).instances == 1
    assert stored.digest == again.digest


async def test_an_object_above_the_limit_is_refused(tmp_path: Path) -> None:
    archive = await Archive.open(tmp_path / "data", ArchiveSettings(reserve_bytes=0, max_object_bytes=2 << 20))
    try:
        await send(archive, Object(pixels=bytes(1 << 20)))
        with pytest.raises(Refused) as caught:
            await send(archive, Object(pixels=bytes(3 << 20)))
        assert caught.value.status == 0xA700
    finally:
        await archive.close()
    assert files(archive, "incoming") == []
