"""Targets that fill up, go away or are in use, and who may write to them."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive
from pacstui.backups import folder as folder_store
from pacstui.backups import layout, lock, packs
from pacstui.backups.folder import FolderStore
from pacstui.backups.lock import Holder, Lock, gone, holder_of, stale
from pacstui.backups.target import Spec, Target
from pacstui.errors import NotFound, StorageFull, Unavailable
from pacstui.jobs.kinds import Cancelled
from tests.backups.conftest import Place, contents, fill

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    made = FolderStore(tmp_path / "disk")
    made.open(make=True)
    return made


def test_creating_stands_that_temporary_files_are_cleared_away(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets the lock first clears them, also those of who waits for it."""
    link, calls = os.link, []

    def cleared(source: str, target: str, **how: Any) -> None:
        calls.append(target)
        if len(calls) == 1:
            store.clear()
        link(source, target, **how)

    monkeypatch.setattr(os, "link", cleared)
    assert store.create("lock", b"mine")
    assert (store.get("lock"), len(calls)) == (b"mine", 2)


@pytest.mark.parametrize("before", ["open", "create"])
def test_of_two_first_runs_the_slower_one_uses_what_the_other_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    quick, slow = (Target(Spec("disk", str(tmp_path / "disk")), tmp_path / name) for name in ("quick", "slow"))
    step = getattr(slow.store, before)

    def late(*words: Any, **named: Any) -> Any:
        if named.get("make", True) and not quick.marker:
            quick.begin("a" * 32, "PACS")
        return step(*words, **named)

    monkeypatch.setattr(slow.store, before, late)
    slow.begin("a" * 32, "PACS")
    assert slow.marker["id"] == quick.marker["id"]
    quick.close()
    slow.close()


def test_a_folder_keeps_what_it_is_given(store: FolderStore) -> None:
    store.put("a/b/c", b"first")
    store.put("a/b/c", b"second")
    assert store.get("a/b/c") == b"second"
    assert store.part("a/b/c", 2, 3) == b"con"
    assert b"".join(store.pieces("a/b/c")) == b"second"
    assert store.create("a/x", b"1")
    assert not store.create("a/x", b"2")
    assert store.get("a/x") == b"1"
    assert dict(store.list("a/")) == {"a/b/c": 6, "a/x": 1}
    store.delete("a/x")
    store.delete("a/x")
    with pytest.raises(NotFound):
        store.get("a/x")


def test_a_folder_that_is_replaced_meanwhile_is_noticed(store: FolderStore) -> None:
    store.put("a", b"1")
    store.path.rename(store.path.with_name("gone"))
    with pytest.raises(Unavailable, match="is not there"):
        store.get("a")
    store.path.mkdir()
    with pytest.raises(Unavailable, match="unmounted"):
        store.put("b", b"2")
    assert list(store.path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, StorageFull, "is full"),
        (errno.EROFS, Unavailable, "cannot be written"),
        (errno.EIO, Unavailable, "fails"),
    ],
)
async def test_a_fault_of_the_disk_ends_the_run_in_words_and_the_next_goes_on(
    archive: Archive, place: Place, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], words: str
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 2000)
    await fill(archive, 16)
    real: Callable[..., int] = os.rename
    renamed: list[str] = []

    def failing(source: Any, target: Any, **folders: int) -> None:
        if len(renamed) >= 5:
            raise OSError(number, os.strerror(number))
        real(source, target, **folders)
        renamed.append(str(target))

    monkeypatch.setattr(folder_store.os, "rename", failing)
    with pytest.raises(kind, match=words):
        place.take()
    monkeypatch.setattr(folder_store.os, "rename", real)
    assert place.files("manifest.json") == []
    there = len(place.files(".list"))
    assert there > 0
    taken = place.take()
    assert taken.manifest.new_instances < 16
    assert place.verify(fresh=True).ok


def test_one_writer_at_a_time(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE_S", 0)
    with Lock(store, "backup", "root", lambda why: None):
        with pytest.raises(Unavailable, match="in use: backup of root") as refused:
            Lock(store, "prune", "root", lambda why: None).__enter__()
        assert "wait" in refused.value.hint
    assert holder_of(store) is None


def holder(**changes: Any) -> Holder:
    at = NOW.isoformat()
    here = Lock(FolderStore(Path("/nowhere")), "backup", "op1", lambda why: None).mine
    return replace(here, since=at, seen=at, **changes)


def test_a_lock_of_a_process_that_ended_is_taken_over(store: FolderStore) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    store.put(layout.LOCK, json.dumps(asdict(holder(pid=int(child.stdout), started="1"))).encode())
    with Lock(store, "backup", "root", lambda why: None):
        found = holder_of(store)
        assert found is not None
        assert found.pid == os.getpid()


def test_a_lock_of_another_machine_is_explained_and_left_alone(store: FolderStore) -> None:
    other = holder(host="nas-host", place="other boot", pid=1)
    assert gone(other) == ""
    assert stale(other, NOW + timedelta(minutes=5)) == ""
    assert "20 min ago" in stale(other, NOW + timedelta(minutes=20))
    store.put(layout.LOCK, json.dumps(asdict(other)).encode())
    with pytest.raises(Unavailable, match="nas-host") as refused:
        Lock(store, "backup", "root", lambda why: None, now=lambda: NOW + timedelta(minutes=20)).__enter__()
    assert "pacstui backup unlock" in refused.value.hint


def test_a_lock_from_before_the_machine_was_started_anew_is_gone() -> None:
    assert "started anew" in gone(holder(place="another-boot pid:[1]"))


def test_a_lock_of_a_container_that_is_gone_is_taken_over_when_it_has_been_silent(store: FolderStore) -> None:
    here = holder()
    boot = here.place.partition(" ")[0]
    store.put(layout.LOCK, json.dumps(asdict(holder(place=f"{boot} pid:[1]", pid=1))).encode())
    with pytest.raises(Unavailable, match="in use"):
        Lock(store, "backup", "root", lambda why: None, now=lambda: NOW + timedelta(minutes=2)).__enter__()
    with Lock(store, "backup", "root", lambda why: None, now=lambda: NOW + timedelta(minutes=20)):
        found = holder_of(store)
        assert found is not None
        assert found.pid == os.getpid()


def test_a_run_whose_lock_was_removed_ends(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "REFRESH_S", 0.02)
    said: list[str] = []
    with Lock(store, "backup", "root", said.append):
        store.delete(layout.LOCK)
        for _ in range(500):
            if said:
                break
            os.sched_yield()
            lock.time.sleep(0.01)
    assert "removed the lock" in said[0]


async def test_a_run_ends_when_its_target_is_locked_away(archive: Archive, place: Place) -> None:
    await fill(archive, 3)
    watch = place.watch()
    watch.stop("somebody removed the lock of this run")
    with pytest.raises(Cancelled, match="removed the lock"):
        place.take(watch)
    assert place.files("manifest.json") == []
    assert contents(archive.data_dir)
