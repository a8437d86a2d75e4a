"""Leftovers of a sudden end: what the next start makes of them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pacstui.archive import Archive, part10, paths
from pacstui.archive.reconcile import Report
from pacstui.archive.session import Past
from pacstui.bus import Bus
from pacstui.events import Event, ReconciliationDone

from .conftest import OPTIONS, files, send
from .objects import EXPLICIT, Object


def file_of(thing: Object, digest: bytes | None = None) -> bytes:
    """Return an object as the archive writes it."""
    data = thing.encode()
    good = hashlib.sha256(data).digest()
    meta = part10.encode(thing.text(0x00080016), thing.sop, EXPLICIT, "SENDER", digest or good)
    return meta + data


def put(data_dir: Path, thing: Object, content: bytes, name: str = "") -> Path:
    path = data_dir / paths.study_folder(thing.study) / (name or paths.object_name(thing.sop))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def mark(data_dir: Path, word: str) -> None:
    """Let the last session have ended otherwise, with the index that is there."""
    file = data_dir / "session"
    file.write_text(f"{word} 0 {file.read_text().split()[2]}\n")


def ended_clean(data_dir: Path) -> bool:
    return (data_dir / "session").read_text().startswith("clean ")


class Crash:
    """Opens an archive, stores two objects, and ends without closing; later opens it again."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.first = Object()
        self.second = self.first.beside()
        self.events: list[Event] = []

    async def prepare(self, spoil: Callable[[], object]) -> Archive:
        archive = await Archive.open(self.data_dir, OPTIONS)
        await send(archive, self.first)
        await send(archive, self.second)
        await archive.close()
        mark(self.data_dir, "open")
        spoil()
        bus = Bus()
        bus.subscribe(Event, self.events.append)
        return await Archive.open(self.data_dir, OPTIONS, bus)

    @property
    def done(self) -> ReconciliationDone:
        (event,) = (event for event in self.events if isinstance(event, ReconciliationDone))
        return event

    def path(self, thing: Object) -> Path:
        return self.data_dir / paths.study_folder(thing.study) / paths.object_name(thing.sop)


@pytest.fixture
def crash(tmp_path: Path) -> Crash:
    return Crash(tmp_path / "data")


async def test_a_clean_start_compares_nothing(crash: Crash) -> None:
    archive = await crash.prepare(lambda: mark(crash.data_dir, "clean"))
    assert crash.events == []
    await archive.close()
    assert ended_clean(crash.data_dir)


async def test_a_sudden_end_without_leftovers(crash: Crash) -> None:
    archive = await crash.prepare(lambda: None)
    assert (crash.done.adopted, crash.done.missing, crash.done.removed, crash.done.unreadable) == (0, 0, 0, 0)
    assert not ended_clean(crash.data_dir)
    await archive.close()


async def test_temporary_files_are_removed(crash: Crash) -> None:
    archive = await crash.prepare(lambda: (crash.data_dir / "incoming" / "7.part").write_bytes(bytes(1000)))
    assert crash.done.removed == 1
    assert files(archive, "incoming") == []
    await archive.close()


async def test_a_whole_file_without_row_is_adopted(crash: Crash) -> None:
    extra, other = crash.first.beside(), Object(patient="P7", name="ROE^RICHARD")
    archive = await crash.prepare(lambda: [put(crash.data_dir, thing, file_of(thing)) for thing in (extra, other)])
    assert crash.done.adopted == 2
    counts = await archive.index.counts()
    assert (counts.patients, counts.studies, counts.instances) == (2, 2, 4)
    for thing in (extra, other):
        known = await archive.index.instance(thing.sop)
        assert known is not None
        assert known.calling == "SENDER"
        raw = archive.path_of(known.path).read_bytes()
        assert raw[known.data_offset :] == thing.encode()
        again = await send(archive, thing)
        assert (again.new, again.status) == (False, 0)
    await archive.close()


@pytest.mark.parametrize("kind", ["cut", "zeroed", "empty", "noise", "other digest"])
async def test_a_damaged_file_without_row_is_set_aside(crash: Crash, kind: str) -> None:
    extra = crash.first.beside()
    whole = file_of(extra)
    content = {
        "cut": whole[:-20],
        "zeroed": whole[:-100] + bytes(100),
        "empty": b"",
        "noise": os.urandom(3000),
        "other digest": file_of(extra, bytes(32)),
    }[kind]
    archive = await crash.prepare(lambda: put(crash.data_dir, extra, content))
    assert (crash.done.unreadable, crash.done.adopted) == (1, 0)
    assert await archive.index.instance(extra.sop) is None
    assert not crash.path(extra).exists()
    (aside,) = await archive.index.quarantine()
    assert archive.path_of(aside.path).read_bytes() == content
    assert aside.reason
    stored = await send(archive, extra)  # the sender, which has had no success, sends again
    assert (stored.new, stored.status) == (True, 0)
    await archive.close()


async def test_a_row_without_file_is_reported_and_kept(crash: Crash) -> None:
    archive = await crash.prepare(lambda: crash.path(crash.first).unlink())
    assert crash.done.missing == 1
    known = await archive.index.instance(crash.first.sop)
    assert known is not None
    assert known.missing
    assert [each.sop_instance for each in await archive.index.missing()] == [crash.first.sop]
    again = await send(archive, crash.first)
    assert (again.new, again.status) == (False, 0)
    assert crash.path(crash.first).read_bytes().endswith(crash.first.encode())
    assert await archive.index.missing() == []
    await archive.close()


async def test_a_shortened_file_is_reported(crash: Crash) -> None:
    path = crash.path(crash.first)
    archive = await crash.prepare(lambda: os.truncate(path, 100))
    assert crash.done.missing == 1
    await archive.close()


async def test_a_whole_study_that_is_gone_is_reported(crash: Crash) -> None:
    archive = await crash.prepare(lambda: shutil.rmtree(crash.path(crash.first).parent))
    assert crash.done.missing == 2
    report = await archive.reconcile()
    assert report.missing == 2
    await archive.close()


async def test_a_file_that_comes_back_is_found_again(crash: Crash) -> None:
    archive = await crash.prepare(lambda: crash.path(crash.first).rename(crash.data_dir / "away"))
    os.rename(crash.data_dir / "away", crash.path(crash.first))
    report = await archive.reconcile()
    assert (report.found_again, report.missing) == (1, 0)
    assert await archive.index.missing() == []
    await archive.close()


async def test_other_content_of_a_known_object_is_set_aside(crash: Crash) -> None:
    other = crash.first.copy(description="OTHER")
    archive = await crash.prepare(lambda: put(crash.data_dir, other, file_of(other), f"{other.sop}.0011.dcm"))
    (aside,) = await archive.index.quarantine()
    assert archive.path_of(aside.path).read_bytes() == file_of(other)
    assert files(archive) == sorted(crash.path(thing) for thing in (crash.first, crash.second))
    await archive.close()


async def test_a_second_file_of_a_known_object_is_removed(crash: Crash) -> None:
    archive = await crash.prepare(
        lambda: put(crash.data_dir, crash.first, file_of(crash.first), f"{crash.first.sop}.0011.dcm")
    )
    assert files(archive) == sorted(crash.path(thing) for thing in (crash.first, crash.second))
    assert await archive.index.quarantine() == ()
    await archive.close()


async def test_a_lost_index_is_made_again_from_the_files(crash: Crash) -> None:
    def lose() -> None:
        for path in crash.data_dir.glob("index.db*"):
            path.unlink()

    archive = await crash.prepare(lose)
    assert crash.done.adopted == 2
    (row,) = (await archive.index.studies()).rows
    assert (row.instances, row.patient_name, row.modalities) == (2, "DOE^JANE", ("OT",))
    await archive.close()


@pytest.mark.parametrize("ended", ["clean", "open"])
@pytest.mark.parametrize("index", ["removed", "older"])
async def test_an_index_other_than_the_last_one_is_compared_with_all_files(
    tmp_path: Path, ended: str, index: str
) -> None:
    data_dir, older = tmp_path / "data", tmp_path / "older.db"
    first = Object()
    for thing in (first, first.beside(), Object()):
        archive = await Archive.open(data_dir, OPTIONS)
        await send(archive, thing)
        await archive.close()
        if not older.exists():
            shutil.copy(data_dir / "index.db", older)
    for path in (data_dir / "objects").rglob("*"):
        os.utime(path, (1, 1))
    if ended == "open":
        mark(data_dir, "open")
    if index == "older":
        shutil.copy(older, data_dir / "index.db")
    else:
        (data_dir / "index.db").unlink()
    heard: list[ReconciliationDone] = []
    bus = Bus()
    bus.subscribe(ReconciliationDone, heard.append)
    archive = await Archive.open(data_dir, OPTIONS, bus)
    assert [event.adopted for event in heard] == [3 if index == "removed" else 2]
    assert (await archive.index.counts()).instances == 3
    await archive.close()
    archive = await Archive.open(data_dir, OPTIONS, bus)
    assert len(heard) == 1, "it is the known one now"
    await archive.close()


async def test_a_copy_taken_while_open_does_not_pass_for_the_one_that_was_closed(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    archive = await Archive.open(data_dir, OPTIONS)
    await send(archive, Object())
    with closing(sqlite3.connect(tmp_path / "copy.db", check_same_thread=False)) as copy:
        await archive.db.read(lambda c: c.backup(copy))
    await send(archive, Object())
    await archive.close()
    shutil.copy(tmp_path / "copy.db", data_dir / "index.db")
    archive = await Archive.open(data_dir, OPTIONS)
    assert (await archive.index.counts()).instances == 2
    await archive.close()


async def test_only_what_changed_is_looked_at(crash: Crash) -> None:
    archive = await Archive.open(crash.data_dir, OPTIONS)
    old = Object()
    await send(archive, old)
    await archive.close()
    os.utime(crash.path(old).parent, (1, 1))
    past = Past(clean=False, since=1000.0, row=1)
    archive = await Archive.open(crash.data_dir, OPTIONS)
    await send(archive, crash.first)
    report: Report = await archive.reconcile(past)
    assert report.scanned == 1
    assert (await archive.reconcile()).scanned == 2
    await archive.close()


async def test_reconciling_while_objects_arrive_confuses_nothing(archive: Archive) -> None:
    first = Object()
    things = [first.beside() for _ in range(60)]

    async def sender(mine: list[Object]) -> None:
        for thing in mine:
            assert (await send(archive, thing)).new

    async def comparing() -> list[Report]:
        return [await archive.reconcile() for _ in range(6)]

    *_, reports = await asyncio.gather(*(sender(things[at::3]) for at in range(3)), comparing())
    assert all((r.missing, r.unreadable, r.duplicates, r.adopted) == (0, 0, 0, 0) for r in reports)
    counts = await archive.index.counts()
    assert counts.instances == len(files(archive)) == 60


_VICTIM = """
import asyncio, sys
from pathlib import Path
from pacstui.archive import Archive
from tests.archive.conftest import OPTIONS, send
from tests.archive.objects import Object

async def main():
    archive = await Archive.open(Path(sys.argv[1]), OPTIONS)
    async def sender(first, pixels):
        while True:
            thing = first.beside(pixels=pixels)
            await send(archive, thing)
            print(thing.sop, flush=True)
    await asyncio.gather(*(sender(Object(), bytes(size)) for size in (100, 20000, 100000, 600000, 3000000)))

asyncio.run(main())
"""


async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    root = Path(__file__).parents[2]
    for _ in range(3):
        victim = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _VICTIM, str(data_dir), cwd=root, stdout=asyncio.subprocess.PIPE
        )
        assert victim.stdout is not None
        told = [(await victim.stdout.readline()).decode().strip() for _ in range(40)]
        victim.send_signal(signal.SIGKILL)
        rest = (await victim.stdout.read()).decode().split("\n")[:-1]
        await victim.wait()
        archive = await Archive.open(data_dir, OPTIONS)
        for sop in (*told, *rest):
            known = await archive.index.instance(sop)
            assert known is not None
            raw = archive.path_of(known.path).read_bytes()
            assert hashlib.sha256(raw[known.data_offset :]).digest() == known.digest
        counts = await archive.index.counts()
        assert counts.instances == len(files(archive))
        assert await archive.index.missing() == []
        assert files(archive, "incoming") == []
        assert await archive.index.quarantine() == ()
        await archive.close()
        shutil.rmtree(data_dir)
