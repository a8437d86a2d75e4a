"""The journal: what was acknowledged is whole after a power loss, though no file of it was synced by itself."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.archive import Archive, Refused, aio, journal, part10, records
from pacstui.archive.disk import Disk
from pacstui.archive.journal import FOLDER, Journal
from pacstui.archive.journaled import JournaledFiles
from pacstui.archive.records import Record
from pacstui.db import Database
from pacstui.db.lane import Writer
from pacstui.settings import ArchiveSettings

from .conftest import files, send
from .objects import EXPLICIT, SECONDARY_CAPTURE, Object

SMALL = 256 << 10  # two segments of 128 KiB: 30 objects of up to 4 KiB each
OPTIONS = ArchiveSettings(reserve_bytes=0, journal_bytes=SMALL)
LARGE = bytes(range(256)) * ((journal.LARGEST >> 8) + 1)


class Volatile(Disk):
    """Knows which files' content survives a power loss; holds back or breaks what the journal's thread syncs.

    Of the journal's segments it knows what a power loss leaves: what was written and synced, or written through.
    """

    def __init__(self) -> None:
        self.synced: set[int] = set()
        self.durable: dict[int, bytearray] = {}
        self.cached: dict[int, list[tuple[int, bytes]]] = {}
        self.broken = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.by_name: list[str] = []
        self.full = False

    def fsync(self, fd: int) -> None:
        if threading.current_thread().name.startswith("pacstui-journal"):
            assert self.go_on.wait(20)
            if self.broken:
                self.broken -= 1
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().fsync(fd)
        self.synced.add(os.fstat(fd).st_ino)

    def open_through(self, path: Path) -> int:
        number = path.stat().st_ino
        self.durable[number] = bytearray(path.read_bytes())
        return super().open_through(path)

    def write_at(self, fd: int, parts: Sequence[bytes | bytearray | memoryview], offset: int) -> None:
        super().write_at(fd, parts, offset)
        self.cached.setdefault(os.fstat(fd).st_ino, []).append((offset, b"".join(parts)))

    def sync_data(self, fd: int) -> None:
        super().sync_data(fd)
        number = os.fstat(fd).st_ino
        for offset, data in self.cached.pop(number, []):
            if number in self.durable:
                self.durable[number][offset : offset + len(data)] = data

    def write_through(self, fd: int, data: memoryview, offset: int) -> None:
        super().write_through(fd, data, offset)
        self.durable[os.fstat(fd).st_ino][offset : offset + len(data)] = data

    def begin_through(self, queue: aio.Queue, fd: int, data: memoryview, offset: int) -> Callable[[], None]:
        end = super().begin_through(queue, fd, data, offset)

        def ended() -> None:
            end()
            self.durable[os.fstat(fd).st_ino][offset : offset + len(data)] = data

        return ended

    def statvfs(self, path: Path) -> tuple[int, int]:
        free, total = super().statvfs(path)
        return (1 << 20 if self.full else free), total

    def lose_power(self, data_dir: Path, copy: Path, harm: Callable[[Path], object], rows_too: bool = True) -> int:
        """Copy the data directory as a power loss leaves it; return how many files were harmed.

        The index is as it was when it was synced last, or with ``rows_too`` false as it is now.
        """
        shutil.copytree(data_dir, copy, ignore=shutil.ignore_patterns("lock", "control.sock", "index.db-shm"))
        if rows_too:
            shutil.copytree(data_dir.parent / "synced", copy, dirs_exist_ok=True)
        for segment in (data_dir / FOLDER).iterdir():
            if segment.stat().st_ino in self.durable:
                (copy / FOLDER / segment.name).write_bytes(self.durable[segment.stat().st_ino])
        harmed = 0
        for path in sorted((data_dir / "objects").rglob("*.dcm")):
            if path.stat().st_ino not in self.synced:
                harm(copy / path.relative_to(data_dir))
                harmed += 1
        return harmed


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


HARMS: dict[str, Callable[[Path], object]] = {
    "never named": Path.unlink,
    "folder too": lambda path: [path.unlink(), any(path.parent.iterdir()) or path.parent.rmdir()],
    "empty": lambda path: os.truncate(path, 0),
    "zeroed": zero,
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "nothing": lambda path: None,
}


@pytest.fixture
def disk() -> Volatile:
    return Volatile()


def keep_index(data_dir: Path) -> None:
    """Note what of the index is durable now."""
    durable = data_dir.parent / "synced"
    durable.mkdir(exist_ok=True)
    for name in ("index.db", "index.db-wal"):
        shutil.copy(data_dir / name, durable / name)


@pytest.fixture
async def journaled(tmp_path: Path, disk: Volatile, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Archive]:
    opened = await ready(tmp_path / "data", disk)
    sync = Database.sync

    def synced(self: Database) -> None:
        sync(self)
        keep_index(self.path.parent)

    monkeypatch.setattr(Database, "sync", synced)
    keep_index(opened.data_dir)
    try:
        yield opened
    finally:
        disk.go_on.set()
        await opened.close()


async def ready(data_dir: Path, disk: Disk | None = None, options: ArchiveSettings = OPTIONS) -> Archive:
    """Open an archive whose journal has been made."""
    archive = await Archive.open(data_dir, options, busy_s=0.3, disk=disk)
    await settled(archive)
    return archive


async def settled(archive: Archive) -> None:
    """Wait for what the journal's thread has to do."""
    await asyncio.to_thread(archive.journal._thread.submit(lambda: None).result)


async def content(archive: Archive) -> dict[str, bytes]:
    """Return every object's data set by SOP Instance UID, as index and disk have it."""
    rows = await archive.db.read(
        lambda c: c.execute("SELECT sop_instance, path, data_offset, digest FROM instances").fetchall()
    )
    found = {}
    for sop, path, offset, digest in rows:
        data = archive.path_of(path).read_bytes()[offset:]
        assert sha256(data).digest() == digest
        found[sop] = data
    return found


async def tend(archive: Archive) -> None:
    """Let the lane do what it does every few seconds."""
    done = asyncio.get_running_loop().create_future()
    archive.db.submit(lambda _: archive.journal.tend(), lambda result, error: done.set_result(error))
    assert await done is None
    await settled(archive)


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("index", ["all rows are there", "the last rows are lost", "the index is lost"])
async def test_a_power_loss_loses_nothing(
    journaled: Archive, disk: Volatile, tmp_path: Path, harm: str, index: str
) -> None:
    first = Object()
    sent = [first, *(first.beside() for _ in range(40)), *(Object() for _ in range(9)), first.beside(pixels=LARGE)]
    for at in range(0, 51, 3):
        await asyncio.gather(*(send(journaled, thing) for thing in sent[at : at + 3]))
    await settled(journaled)  # the first segment's files
    copy = tmp_path / "after"
    harmed = disk.lose_power(journaled.data_dir, copy, HARMS[harm], index == "the last rows are lost")
    before = await journaled.index.instance(sent[40].sop)
    assert 10 < harmed < 30, "some by the journal, some by their own sync"
    if index == "the index is lost":
        for path in copy.glob("index.db*"):
            path.unlink()
    again = await Archive.open(copy, OPTIONS)
    try:
        assert await content(again) == {thing.sop: thing.encode() for thing in sent}
        assert len(files(again)) == len(sent)
        after = await again.index.instance(sent[40].sop)
        assert before is not None
        assert after is not None
        assert (after.calling, after.digest, after.path) == (before.calling, before.digest, before.path)
        if harm != "nothing":
            assert abs(after.received - before.received).total_seconds() < 0.001
        assert await again.index.missing() == []
        assert await again.index.quarantine() == ()
    finally:
        await again.close()


async def test_a_second_crash_during_the_replay_loses_nothing(
    journaled: Archive, disk: Volatile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Object()
    sent = [first, *(first.beside() for _ in range(9))]
    for thing in sent:
        await send(journaled, thing)
    copy = tmp_path / "after"
    assert disk.lose_power(journaled.data_dir, copy, zero) == 10
    write, wrote = JournaledFiles.write, 0

    def failing(self: JournaledFiles, record: Record) -> None:
        nonlocal wrote
        wrote += 1
        if wrote == 4:
            raise OSError(errno.EIO, "the disk has gone")
        write(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(JournaledFiles, "write", failing)
        half = await Archive.open(copy, OPTIONS)
        assert not half.stats().accepting
        await half.close()
    again = await Archive.open(copy, OPTIONS)
    assert await content(again) == {thing.sop: thing.encode() for thing in sent}
    assert await again.index.missing() == []
    await again.close()


async def test_nothing_is_written_where_no_object_lies(tmp_path: Path) -> None:
    """A data set may hold what looks like a record, and a torn write may bare it."""
    whole = record(1, 100)
    outside = [whole._replace(path=path) for path in ("../escape.dcm", "index.db", "objects/01/../../1.2.1.dcm")]
    root = tmp_path / "node"
    (root / "journal").mkdir(parents=True)
    (root / "incoming").mkdir()
    (root / "journal" / "a").write_bytes(segment_of([*outside, whole], 3))
    journal = Journal(root, Disk(), SMALL, lambda: None)
    try:
        assert journal.replay(lambda *_: True) == (1, {"objects/01/1.2"})
    finally:
        journal.close()
    assert (root / whole.path).read_bytes() == whole.meta + bytes(whole.body or b"")
    assert [each.name for each in tmp_path.rglob("*.dcm")] == ["1.2.1.dcm"]
    assert not (root / "index.db").exists()


async def test_what_was_refused_does_not_come_back(
    journaled: Archive, disk: Volatile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, refused = Object(), Object()
    await send(journaled, kept)

    def full(writer: Writer) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "commit", full)
        with pytest.raises(Refused):
            await send(journaled, refused)
    later = Object()
    await send(journaled, later)  # what is noted of a refusal is synced with what comes next
    copy = tmp_path / "after"
    assert disk.lose_power(journaled.data_dir, copy, Path.unlink) == 2
    again = await Archive.open(copy, OPTIONS)
    assert await content(again) == {each.sop: each.encode() for each in (kept, later)}
    assert len(files(again)) == 2
    await again.close()


async def test_what_was_replaced_does_not_come_back(disk: Volatile, tmp_path: Path) -> None:
    options = ArchiveSettings(reserve_bytes=0, journal_bytes=SMALL, duplicates="overwrite")
    archive = await ready(tmp_path / "data", disk, options)
    keep_index(archive.data_dir)
    old = Object()
    new = old.copy(description="NEWER")
    await send(archive, old)
    await send(archive, new)
    copy = tmp_path / "after"
    disk.lose_power(archive.data_dir, copy, Path.unlink, False)
    await archive.close()
    again = await Archive.open(copy, options)
    assert await content(again) == {old.sop: new.encode()}
    (aside,) = await again.index.quarantine()
    assert again.path_of(aside.path).read_bytes().endswith(old.encode()), "both are kept"
    await again.close()


async def test_with_no_room_in_the_journal_files_are_synced_one_by_one(journaled: Archive, disk: Volatile) -> None:
    disk.go_on.clear()
    first = Object()
    await send(journaled, first)
    sent = [first.beside() for _ in range(80)]
    for thing in sent:
        await send(journaled, thing)
    synced = [path.stat().st_ino in disk.synced for path in files(journaled)]
    assert synced.count(False) == 60, "what two segments hold"
    disk.go_on.set()
    await settled(journaled)
    await send(journaled, first.beside())
    await settled(journaled)
    synced = [path.stat().st_ino in disk.synced for path in files(journaled)]
    assert synced.count(False) == 1, "the last one"


async def test_a_file_that_cannot_be_synced_is_written_again(journaled: Archive, disk: Volatile) -> None:
    thing = Object()
    stored = await send(journaled, thing)
    before = journaled.path_of(stored.path).stat().st_ino
    disk.broken = 1
    await rest(journaled)
    path = journaled.path_of(stored.path)
    assert path.stat().st_ino != before
    assert path.stat().st_ino in disk.synced
    assert path.read_bytes().endswith(thing.encode())
    assert journaled.stats().unsettled == ""


async def test_while_files_cannot_be_synced_the_journal_keeps_them_and_says_so(
    journaled: Archive, disk: Volatile, tmp_path: Path
) -> None:
    sent = [Object() for _ in range(3)]
    for thing in sent:
        await send(journaled, thing)
    disk.broken = 1000
    await rest(journaled)
    assert journaled.stats().unsettled == os.strerror(errno.EIO)
    await send(journaled, more := Object())
    assert disk.lose_power(journaled.data_dir, tmp_path / "after", zero) == 4
    again = await Archive.open(tmp_path / "after", OPTIONS)
    assert await content(again) == {thing.sop: thing.encode() for thing in (*sent, more)}
    await again.close()
    disk.broken = 0
    await tend(journaled)
    assert journaled.stats().unsettled == ""
    assert sum(path.stat().st_ino in disk.synced for path in files(journaled)) == 3


async def rest(archive: Archive) -> None:
    """Let nothing have been journaled for a while."""
    archive.journal._used_at = float("-inf")
    await tend(archive)


async def test_what_rests_is_synced(journaled: Archive, disk: Volatile) -> None:
    await send(journaled, Object())
    await tend(journaled)
    (path,) = files(journaled)
    assert path.stat().st_ino not in disk.synced, "it may go on"
    await rest(journaled)
    assert path.stat().st_ino in disk.synced


async def test_after_an_end_in_order_everything_is_synced_and_nothing_replayed(tmp_path: Path, disk: Volatile) -> None:
    archive = await ready(tmp_path / "data", disk)
    for thing in [Object() for _ in range(40)]:
        await send(archive, thing)
    await archive.close()
    assert all(path.stat().st_ino in disk.synced for path in files(archive))
    assert (archive.data_dir / "session").read_text().startswith("clean ")
    for segment in (archive.data_dir / FOLDER).iterdir():
        assert list(records.read(segment.read_bytes())) == []


@pytest.mark.parametrize("step", ["write_at", "sync_data", "write_through", "begin_through", "the end"])
@pytest.mark.parametrize("size", [1000, 200_000], ids=["small", "large"])
async def test_a_journal_that_fails_is_done_without(
    tmp_path: Path, disk: Volatile, monkeypatch: pytest.MonkeyPatch, step: str, size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    if step in ("write_at", "sync_data"):  # a file system on which nothing can be written through
        monkeypatch.setattr(disk, "open_through", lambda path: -1)
    elif step == "write_through":  # a system that knows no writes that go on beside
        monkeypatch.setattr(aio, "queue", lambda: None)
    journaled = await ready(tmp_path / "data", disk, ArchiveSettings(reserve_bytes=0, journal_bytes=8 * SMALL))

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    await send(journaled, Object())
    if step == "the end":
        monkeypatch.setattr(disk, "begin_through", lambda *_: fail)
    else:
        monkeypatch.setattr(disk, step, fail)
    thing = Object(pixels=bytes(size))
    stored = await send(journaled, thing)
    assert (stored.new, stored.status) == (True, 0)
    assert journaled.path_of(stored.path).stat().st_ino in disk.synced
    assert "synced one by one from now on" in caplog.text
    await send(journaled, Object())
    assert caplog.text.count("one by one") == 1
    await journaled.close()


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_device_that_wants_larger_blocks_is_written_by_the_cache(
    tmp_path: Path, disk: Volatile, monkeypatch: pytest.MonkeyPatch, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    journaled = await ready(tmp_path / "data", disk)

    def fail(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(disk, "begin_through", fail if at_once else lambda *_: fail)
    sent = [Object() for _ in range(4)]
    for thing in sent:
        assert (await send(journaled, thing)).new
    assert disk.lose_power(journaled.data_dir, tmp_path / "crash", zero, rows_too=False) == len(sent)
    await journaled.close()
    again = await ready(tmp_path / "crash")
    assert await content(again) == {thing.sop: thing.encode() for thing in sent}
    await again.close()
    assert "one by one" not in caplog.text


async def test_a_write_that_the_disk_did_in_part_is_completed(
    tmp_path: Path, disk: Volatile, monkeypatch: pytest.MonkeyPatch
) -> None:
    journaled = await ready(tmp_path / "data", disk)
    whole = aio.Queue.write
    monkeypatch.setattr(aio.Queue, "write", lambda self, fd, data, at: whole(self, fd, data[:4096], at))
    thing = Object(pixels=bytes(range(256)) * 64)
    await send(journaled, thing)
    disk.lose_power(journaled.data_dir, tmp_path / "crash", zero, rows_too=False)
    await journaled.close()
    again = await ready(tmp_path / "crash")
    assert await content(again) == {thing.sop: thing.encode()}
    await again.close()


async def test_the_digest_of_a_large_object_is_known_before_anybody_reads_it(tmp_path: Path) -> None:
    archive = await ready(tmp_path / "data", options=ArchiveSettings(reserve_bytes=0, journal_bytes=16 * SMALL))
    things = [Object(pixels=bytes((number,)) * 300_000) for number in range(8)]
    first = await asyncio.gather(*(send(archive, thing) for thing in things))
    assert await content(archive) == {thing.sop: thing.encode() for thing in things}
    for stored in first:
        head = part10.parse(archive.path_of(stored.path).read_bytes(), True)
        assert head.digest == stored.digest
    again = await asyncio.gather(*(send(archive, thing) for thing in things))
    assert [(each.new, each.status, each.digest) for each in again] == [(False, 0, each.digest) for each in first]
    other = things[0].beside(pixels=b"x" * 300_000)
    other.tags[0x00080018] = things[0].tags[0x00080018]
    assert (await send(archive, other)).set_aside
    await archive.close()


async def test_a_file_that_was_never_completed_says_so(tmp_path: Path) -> None:
    archive = await ready(tmp_path / "data", options=ArchiveSettings(reserve_bytes=0, journal_bytes=0))
    stored = await send(archive, Object(), calling="SENDER")
    whole = bytearray(archive.path_of(stored.path).read_bytes())
    head = part10.parse(whole, True)
    whole[head.offset - part10.DIGEST_BYTES : head.offset] = part10.NO_DIGEST
    archive.path_of(stored.path).with_name("1.2.3.dcm").write_bytes(whole)
    report = await archive.reconcile()
    assert (report.unreadable, report.adopted) == (1, 0)
    reason = await archive.db.read(lambda c: c.execute("SELECT reason FROM quarantine").fetchone())
    assert "its sender was not told that it is kept" in reason[0]
    await archive.close()


@pytest.mark.parametrize("why", ["no room", "switched off", "a file in its way"])
async def test_without_a_journal_every_file_is_synced(tmp_path: Path, disk: Volatile, why: str) -> None:
    disk.full = why == "no room"
    if why == "a file in its way":
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / FOLDER).write_bytes(b"")
    options = ArchiveSettings(reserve_bytes=0, journal_bytes=0) if why == "switched off" else OPTIONS
    archive = await ready(tmp_path / "data", disk, options)
    stored = await send(archive, Object())
    assert archive.path_of(stored.path).stat().st_ino in disk.synced
    await archive.close()


async def test_a_journal_of_another_size_is_made_anew(tmp_path: Path) -> None:
    archive = await ready(tmp_path / "data")
    await archive.close()
    archive = await ready(tmp_path / "data", options=ArchiveSettings(reserve_bytes=0, journal_bytes=2 * SMALL))
    assert {path.stat().st_size for path in (tmp_path / "data" / FOLDER).iterdir()} == {SMALL}
    await archive.close()


# The format.


def record(number: int, size: int) -> Record:
    body = bytes((number + at) % 251 for at in range(size))
    meta = part10.encode(SECONDARY_CAPTURE, f"1.2.{number}", EXPLICIT, "SENDER", sha256(body).digest())
    return Record(f"objects/{number:02x}/1.2/1.2.{number}.dcm", meta, body, 1e9 + number)


def segment_of(kept: list[Record], generation: int = 7, size: int = SMALL // 2) -> bytearray:
    """Return a segment as it is written."""
    out = bytearray(records.head(generation))
    out += bytes(4096 - len(out))
    for each in kept:
        parts, length = records.encode(each, generation)
        whole = b"".join(parts)
        assert len(whole) == length
        assert length % 4096 == 0
        out += whole
    return out + bytes(size - len(out))


def read(data: bytes | bytearray) -> list[Record]:
    return [each._replace(body=None if each.body is None else bytes(each.body)) for each in records.read(bytes(data))]


RECORDS = [record(number, size) for number, size in enumerate((0, 1, 3000, 3724, 4096, 9000))]
RECORDS.insert(4, Record(RECORDS[3].path, RECORDS[3].digest, None))


def test_records_are_read_as_they_were_written() -> None:
    assert read(segment_of(RECORDS)) == RECORDS
    assert read(segment_of([])) == []


def test_a_digest_that_was_not_known_yet_is_worked_out_by_who_reads() -> None:
    early = [each._replace(meta=part10.with_digest(each.meta, part10.NO_DIGEST)) for each in RECORDS if each.body]
    assert read(segment_of(early)) == [each for each in RECORDS if each.body]


def test_records_of_the_version_before_are_read() -> None:
    kept = RECORDS[2]
    assert kept.body is not None
    path = kept.path.encode()
    form = struct.Struct("<8sQIIIId")
    sizes = (len(path), len(kept.meta), len(kept.body))
    check = zlib.crc32(path + kept.meta, zlib.crc32(form.pack(b"\xd1object\n", 7, 0, *sizes, kept.received)))
    old = form.pack(b"\xd1object\n", 7, check, *sizes, kept.received) + path + kept.meta + kept.body
    segment = bytearray(records.head(7))
    segment += bytes(4096 - len(segment)) + old + bytes(-len(old) % 4096)
    segment += segment_of([RECORDS[5]])[4096:]
    assert read(segment) == [kept, RECORDS[5]]
    segment[4096 + len(old) - 1] ^= 1
    assert read(segment) == [RECORDS[5]]


def test_records_of_an_earlier_generation_are_over() -> None:
    old = segment_of(RECORDS, 7)
    new = segment_of(RECORDS[:1], 9)
    length = records.encode(RECORDS[0], 9)[1]
    assert read(new[: 4096 + length] + old[4096 + length :]) == RECORDS[:1]


@settings(deadline=None)  # other tests want the processor too
@given(st.data())
def test_whatever_is_damaged_no_record_is_false(data: st.DataObject) -> None:
    damaged = segment_of(RECORDS, size=64 << 10)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        span = data.draw(st.sampled_from([1, 8, 512, 4096]))
        damaged[at : at + span] = data.draw(st.binary(min_size=1, max_size=1)) * len(damaged[at : at + span])
    cut = data.draw(st.integers(0, len(damaged)))
    found = read(damaged[:cut])
    assert [each for each in found if each not in RECORDS] == []


@settings(deadline=None)
@given(st.binary(max_size=9000))
def test_any_bytes_are_read_without_a_fault(noise: bytes) -> None:
    assert read(noise) == []
    head = bytes(segment_of([], size=4096))
    assert read(head + noise) == []
