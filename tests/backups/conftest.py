"""An archive with some objects, and targets to save it to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from pacstui.archive import Archive
from pacstui.backups.restore import Restore, Restored
from pacstui.backups.spec import Spec, work_folder
from pacstui.backups.take import Taken, Taking
from pacstui.backups.target import Target
from pacstui.backups.verify import Verdict, Verification
from pacstui.backups.watch import Watch
from tests.archive.conftest import OPTIONS, send
from tests.archive.objects import Object
from tests.backups import cheap_age

ARCHIVE_ID = "a" * 32


async def mark(archive: Archive) -> None:
    """Give the archive the id that the node gives it."""
    await archive.db.write(
        lambda db: db.execute("INSERT OR REPLACE INTO state (name, value) VALUES ('archive_id', ?)", (ARCHIVE_ID,))
    )


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path / "data", OPTIONS, busy_s=0.3)
    await mark(opened)
    try:
        yield opened
    finally:
        await opened.close()


async def fill(archive: Archive, number: int, pixels: int = 300, **names: Any) -> list[Object]:
    """Store objects of one study."""
    first = Object(**names, pixels=os.urandom(pixels))
    things = [first, *(first.beside(pixels=os.urandom(pixels)) for _ in range(number - 1))]
    for each in things:
        await send(archive, each)
    return things


class Place:
    """A target and the archive that is saved to it."""

    def __init__(self, spec: Spec, data_dir: Path) -> None:
        self.spec = spec
        self.data_dir = data_dir
        self.notes: list[str] = []

    @property
    def folder(self) -> Path:
        return Path(self.spec.url)

    def watch(self, hook: Callable[[dict[str, Any]], None] | None = None) -> Watch:
        def say(told: dict[str, Any]) -> None:
            if "note" in told:
                self.notes.append(told["note"])
            if hook is not None:
                hook(told)

        return Watch(say)

    def target(self, fresh: bool = False, **changes: Any) -> Target:
        folder = work_folder(self.data_dir, self.spec.name)
        if fresh:  # as on a machine that never saw it
            folder = folder.with_name(f"fresh-{os.urandom(4).hex()}")
        return Target(replace(self.spec, **changes), folder, None if fresh else self.data_dir)

    def take(self, watch: Watch | None = None, **changes: Any) -> Taken:
        target = self.target(**changes)
        try:
            return Taking(target, self.data_dir, "PACS", "tester", watch or self.watch()).run()
        finally:
            target.close()

    def verify(self, depth: str = "full", percent: float = 5.0, fresh: bool = False, **changes: Any) -> Verdict:
        target = self.target(fresh, **changes)
        try:
            target.open()
            return Verification(target, depth, percent, "tester", self.watch()).run()
        finally:
            target.close()

    def restore(self, to: Path, snapshot: str = "latest", watch: Watch | None = None, **options: Any) -> Restored:
        target = self.target(fresh=True, **options)
        try:
            target.open()
            return Restore(target, target.find(snapshot), to, watch or self.watch()).run()
        finally:
            target.close()

    def files(self, kind: str = "") -> list[Path]:
        return sorted(p for p in self.folder.rglob("*") if p.is_file() and kind in p.name)

    def manifests(self) -> list[Path]:
        return sorted(self.folder.glob("snapshots/*/manifest.json"))

    def packs(self) -> list[Path]:
        return [path for path in self.files(".tar") if path.parent.parent.name == "packs"]


@pytest.fixture
def place(archive: Archive, tmp_path: Path) -> Place:
    return Place(Spec("disk", str(tmp_path / "disk")), archive.data_dir)


@pytest.fixture
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare new targets the second that a passphrase takes by design, and each opening of their key another one."""
    monkeypatch.setattr(pyrage.passphrase, "encrypt", cheap_age.encrypt)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every object of a data directory, set aside ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for below in ("objects", "quarantine")
        for path in (folder / below).rglob("*")
        if path.is_file()
    }
