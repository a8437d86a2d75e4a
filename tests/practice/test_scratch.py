from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from pacstui.practice.scratch import PREFIX, Scratch, sweep


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_it_is_private_and_gone_afterwards(place: Path) -> None:
    with Scratch() as scratch:
        assert scratch.directory.parent == place
        assert scratch.directory.stat().st_mode & 0o077 == 0
        (scratch.directory / "sub").mkdir()
    assert list(place.iterdir()) == []


def test_it_is_gone_after_a_failure(place: Path) -> None:
    with pytest.raises(RuntimeError), Scratch():
        raise RuntimeError
    assert list(place.iterdir()) == []


def test_processes_in_it_end_with_it(place: Path) -> None:
    with Scratch() as scratch, (place / "log").open("ab") as log:
        gentle = scratch.start(["sleep", "600"], log, dict(os.environ))
        leashed = scratch.start(["cat"], log, dict(os.environ), leash=True)
        assert gentle.poll() is leashed.poll() is None
    assert gentle.poll() is not None
    assert leashed.poll() is not None


def test_sweeping_takes_only_what_nobody_uses(place: Path) -> None:
    left, used, foreign = (place / f"{PREFIX}{name}" for name in ("left", "used", "foreign"))
    for directory in (left, used, foreign):
        directory.mkdir()
    (left / "demo.lock").touch()
    (used / "demo.lock").touch()
    (place / f"{PREFIX}link").symlink_to(left)
    lock = os.open(used / "demo.lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep()
    finally:
        os.close(lock)
    assert not left.exists()
    assert used.exists()
    assert foreign.exists()  # without a lock it is none of ours
