"""What went wrong once does not stay wrong: lost packs, damaged caches, leftovers, replaced objects."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from pacstui.archive import Archive
from pacstui.backups.processes import started_at
from pacstui.backups.request import Request
from pacstui.backups.room import BackupsRoom
from pacstui.backups.sending import Sending
from pacstui.backups.spec import Spec, work_folder
from pacstui.backups.standing import Standings
from pacstui.clock import SYSTEM
from pacstui.errors import PacsError, Unavailable
from pacstui.settings import ArchiveSettings, TargetSettings
from tests.archive.conftest import send
from tests.backups.conftest import Place, fill, mark
from tests.backups.test_hostile import ask
from tests.running import until


@pytest.mark.usefixtures("cheap_passphrases")
@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_pack_that_is_gone_is_no_fault_once_its_objects_travelled_again(
    archive: Archive, place: Place, tmp_path: Path, encrypted: bool
) -> None:
    if encrypted:
        secret = tmp_path / "phrase"
        secret.write_text("correct horse battery")
        place.spec = replace(place.spec, passphrase_file=str(secret))
    await fill(archive, 3)
    place.take()
    next(each for each in place.packs()).unlink()
    assert not place.verify("quick").ok
    await fill(archive, 1)
    assert not place.take().warning
    for depth in ("quick", "sample", "full"):
        verdict = place.verify(depth)
        assert verdict.ok, verdict.text


async def test_damage_in_what_is_remembered_does_not_stay(archive: Archive, place: Place) -> None:
    await fill(archive, 40)
    place.take()
    (path,) = place.data_dir.glob("backups/*/known.db")
    for start in (0, 4096, 8192):
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        with path.open("r+b") as file:
            file.seek(start)
            file.write(os.urandom(path.stat().st_size - start))
        await fill(archive, 1)
        for _ in range(2):
            with suppress(PacsError):
                ask(place, "backup")
        assert ask(place, "backup")["missing"] == 0
    assert place.verify(fresh=True).ok


async def test_what_the_archive_lacks_is_found(archive: Archive, place: Place, tmp_path: Path) -> None:
    await fill(archive, 3)
    place.take()
    gone = next((archive.data_dir / "objects").rglob("*.dcm"))
    await archive.db.write(lambda db: db.execute("UPDATE instances SET missing = 1 WHERE id = 1"))
    plan = ask(place, "plan", snapshot="latest", what="all", key="", to="")
    assert (plan["problems"], plan["instances"]) == ([], 1)
    assert ask(place, "extract", snapshot="latest", what="all", key="", to=str(tmp_path / "x"))["wanted"] == 1
    assert gone.exists()


async def test_two_backups_at_once_do_not_take_each_others_index(archive: Archive, place: Place) -> None:
    """The second one waits for the lock, and must not touch what the first one works with."""
    await fill(archive, 30)
    first = replace(place.spec, max_mb_per_s=0.02)
    for number in range(3):
        await fill(archive, 20)
        processes = [worker(place, first), worker(place, place.spec)]
        await asyncio.sleep(0.2 * number)
        await fill(archive, 5)
        for each in processes:
            out, _ = await asyncio.to_thread(each.communicate, None, 100)
            assert b'"result"' in out or b"in use" in out, out
    assert place.verify(fresh=True).ok


def worker(place: Place, spec: object) -> subprocess.Popen[bytes]:
    request = Request("backup", spec, str(place.data_dir), "PACS", "tester")  # type: ignore[arg-type]
    code = (
        "import sys; from pacstui.backups import ops, packs; from pacstui.backups.watch import Watch\n"
        "packs.PACK_BYTES = 5000\n"
        "try: print('{\"result\": 1}', ops.perform(ops.Request.decode(sys.argv[1]), Watch(None, 50e3)))\n"
        "except ops.PacsError as e: print(e)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, request.encode()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.usefixtures("cheap_passphrases")
async def test_a_first_run_that_was_cut_off_does_not_block_the_target(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    secret = tmp_path / "phrase"
    secret.write_text("correct horse battery")
    place.spec = replace(place.spec, passphrase_file=str(secret))
    await fill(archive, 2)
    (place.folder / "keys").mkdir(parents=True)
    identity = place.folder / "keys" / "identity.age"
    identity.write_bytes(b"half of a key")
    with pytest.raises(Unavailable, match="does not open") as told:
        place.take()
    assert "remove keys/identity.age" in told.value.hint
    identity.unlink()
    place.take()
    whole = identity.read_bytes()
    for path in place.files():
        if path != identity:
            path.unlink()
    for path in place.data_dir.glob("backups/*/known.db*"):
        path.unlink()
    assert not place.take().warning
    assert identity.read_bytes() == whole
    assert place.verify(fresh=True).ok


def cut_off(place: Place) -> list[int]:
    """Begin a drill, kill it when its node is there; return the nodes that are left."""
    request = Request("drill", place.spec, str(place.data_dir), "PACS", "tester", arguments={
        "snapshot": "latest", "instances": 5,
    })  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "pacstui.backups.worker"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stdin is not None
    process.stdin.write(request.encode().encode() + b"\n")
    process.stdin.flush()

    def nodes() -> list[int]:
        lines = ((each.pid, each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"]))
        return [pid for pid, line in lines if str(place.data_dir) in " ".join(line) and "serve" in line]

    until(nodes, 30)
    process.kill()
    process.wait()
    process.stdin.close()
    with suppress(AssertionError):
        until(lambda: not nodes(), 5)
    return nodes()


async def test_a_drill_leaves_no_node_when_it_is_killed(archive: Archive, place: Place) -> None:
    await fill(archive, 5)
    place.take()
    assert await asyncio.to_thread(cut_off, place) == []
    assert ask(place, "drill", snapshot="latest", instances=5)["ok"]
    assert not list(place.data_dir.glob("backups/*/drill*"))


async def test_nothing_is_restored_into_what_is_in_use(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    for to in (archive.data_dir / "objects" / "new", place.folder / "new", "relative", f"/{'x' * 5000}", "/tmp/\0"):
        assert ask(place, "plan", snapshot="latest", what="all", key="", to=str(to))["problems"]
        with pytest.raises(PacsError):
            ask(place, "restore", snapshot="latest", to=str(to))
    assert not (archive.data_dir / "objects" / "new").exists()


async def test_what_runs_left_that_were_cut_off_goes_when_the_node_starts(archive: Archive, place: Place) -> None:
    work = work_folder(archive.data_dir, "disk")
    mine = work / f"drill-{os.getpid()}-{started_at(os.getpid())}-0"
    for old in (work / "drill-4000000-1-abcd", work / "restore-7", work / "work-1-1-abcd", mine):
        old.mkdir(parents=True)
        (old / "0.dcm").write_bytes(b"somebody's image")
    room = BackupsRoom(archive, None, (), lambda: "PACS", lambda: None, tuple, SYSTEM)  # type: ignore[arg-type]
    await room.open()
    await room.close()
    assert list(work.iterdir()) == [mine]


@pytest.mark.parametrize("what", ["packs", "pacstui-backup.json"])
async def test_a_target_that_is_emptied_meanwhile_gets_no_snapshot(
    archive: Archive, place: Place, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(archive, 4)
    place.take()
    await fill(archive, 4)
    send = Sending.send

    def emptied(self: Sending, wanted: Any) -> None:
        send(self, wanted)
        path = place.folder / what
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    monkeypatch.setattr(Sending, "send", emptied)
    with pytest.raises(PacsError, match="while the backup ran"):
        place.take()
    assert len(place.manifests()) == 1


@pytest.mark.parametrize(
    "text",
    ["[]", "{", "7", '{"snapshots": [{}]}', '{"snapshots": 5}', '{"snapshots": [], "check": {"at": 5}, "drill": null}',
     "[" * 100_000, '{"snapshots": [{"at": "2026-01-01", "last_row": 1}]}'],
)  # fmt: skip
async def test_a_survey_of_an_earlier_session_may_be_damaged(archive: Archive, place: Place, text: str) -> None:
    await fill(archive, 1)
    place.take()
    ask(place, "survey")
    (path,) = archive.data_dir.glob("backups/*/survey.json")
    settings = TargetSettings(name="disk", url=str(place.folder))

    def snapshots() -> int:
        return len(Standings(archive, None, SYSTEM, (settings,)).get("disk").snapshots)  # type: ignore[arg-type]

    assert snapshots() == 1
    path.write_text(text)
    assert snapshots() == 0


class Running:
    """A run that only remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def tell(self, **_: Any) -> None: ...

    def check(self) -> None: ...

    def note(self, text: str, level: str = "info") -> None:
        self.notes.append(text)


async def test_what_comes_back_replaces_nothing_even_where_duplicates_do(tmp_path: Path) -> None:
    options = ArchiveSettings(reserve_bytes=0, journal_bytes=0, duplicates="overwrite")
    archive = await Archive.open(tmp_path / "data", options, busy_s=0.3)
    try:
        await mark(archive)
        place = Place(Spec("disk", str(tmp_path / "disk")), archive.data_dir)
        (first,) = await fill(archive, 1)
        place.take()
        await send(archive, first.copy(pixels=os.urandom(300)))
        now = await archive.db.read(lambda db: db.execute("SELECT digest FROM instances").fetchall())
        found = ask(place, "extract", snapshot="latest", what="study", key=first.study, to=str(tmp_path / "x"))
        room = BackupsRoom(archive, None, (), lambda: "", lambda: None, tuple, SYSTEM)  # type: ignore[arg-type]
        run = Running()
        outcome = await room._errands._take_back(run, found)  # type: ignore[arg-type]
        assert outcome.warning
        assert "other content" in run.notes[0]
        assert await archive.db.read(lambda db: db.execute("SELECT digest FROM instances").fetchall()) == now
    finally:
        await archive.close()
