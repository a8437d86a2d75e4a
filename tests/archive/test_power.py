"""The power is cut before and after each call to the disk: what was acknowledged by then is there afterwards, byte for
byte, and nothing else is in the index than what was sent."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive, aio
from pacstui.archive.disk import Disk
from pacstui.archive.journal import FOLDER
from pacstui.db import Database
from pacstui.settings import ArchiveSettings

from .conftest import send
from .objects import Object
from .test_journal import content, ready, settled

OPTIONS = ArchiveSettings(reserve_bytes=0, journal_bytes=1 << 20, duplicates="overwrite")
WAYS = ["beside", "by the thread", "by the cache"]
EVERY = 19
STEPS = (
    "open", "write", "overwrite", "write_at", "write_through", "begin_through", "sync_data", "fsync", "fsync_folder",
    "close", "rename", "link", "unlink", "mkdir",
)  # fmt: skip


@dataclass
class Cut:
    """What was left when the power was cut: the folder, and who had been told by then that it is kept."""

    folder: Path
    step: str
    told: set[tuple[str, int]] = field(default_factory=set)


class Cutting(Disk):
    """Keeps what a power loss leaves before and after each call, of all or every so-manieth.

    Of files whose content was not synced something else is left, of the journal what was synced or written through and
    at times half of what was on its way, of the index what was synced last.
    """

    def __init__(self, root: Path, every: int, seed: int) -> None:
        self.root = root
        self.cuts: list[Cut] = []
        self.told: set[tuple[str, int]] = set()
        self.cutting = False
        self.through = True
        self._every = every
        self._seen = 0
        self._chance = random.Random(seed)
        self._all = threading.RLock()
        self._synced: dict[int, int] = {}  # how long a file was when it was synced
        self._durable: dict[int, bytearray] = {}
        self._cached: dict[int, list[tuple[int, bytes]]] = {}
        self._under_way: tuple[int, int, bytes] | None = None
        self._index = root.parent / "index"
        for step in STEPS:
            setattr(self, step, partial(self._call, step, getattr(self, f"do_{step}", getattr(super(), step))))

    def _call(self, step: str, call: Callable[..., Any], *arguments: Any) -> Any:
        with self._all:
            self._cut(f"before {step}")
            try:
                return call(*arguments)
            finally:
                self._cut(f"after {step}")

    def do_fsync(self, fd: int) -> None:
        super().fsync(fd)
        found = os.fstat(fd)
        self._synced[found.st_ino] = found.st_size

    def do_write_at(self, fd: int, parts: Sequence[bytes | bytearray | memoryview], offset: int) -> None:
        super().write_at(fd, parts, offset)
        self._cached.setdefault(os.fstat(fd).st_ino, []).append((offset, b"".join(parts)))

    def do_sync_data(self, fd: int) -> None:
        super().sync_data(fd)
        number = os.fstat(fd).st_ino
        for offset, data in self._cached.pop(number, []):
            self._durable[number][offset : offset + len(data)] = data

    def do_write_through(self, fd: int, data: memoryview, offset: int) -> None:
        super().write_through(fd, data, offset)
        self._durable[os.fstat(fd).st_ino][offset : offset + len(data)] = data

    def do_begin_through(self, queue: aio.Queue, fd: int, data: memoryview, offset: int) -> Callable[[], None]:
        number = os.fstat(fd).st_ino
        end = super().begin_through(queue, fd, data, offset)
        self._under_way = (number, offset, bytes(data))

        def ended() -> None:
            end()
            with self._all:
                self._cut("before the end")
                self._under_way = None
                self._durable[number][offset : offset + len(data)] = data
                self._cut("after the end")

        return ended

    def open_through(self, path: Path) -> int:
        self._durable[path.stat().st_ino] = bytearray(path.read_bytes())
        return super().open_through(path) if self.through else -1

    def keep_index(self) -> None:
        """Note what of the index is durable."""
        with self._all:
            self._index.mkdir(exist_ok=True)
            for name in ("index.db", "index.db-wal"):
                shutil.copy(self.root / name, self._index / name)
            self._cut("the index")

    def _cut(self, step: str) -> None:
        if not self.cutting:
            return
        self._seen += 1
        if self._seen % self._every:
            return
        cut = Cut(self.root.parent / f"cut{len(self.cuts)}", step, set(self.told))
        shutil.copytree(self.root, cut.folder, ignore=shutil.ignore_patterns("lock", "index.db*"))
        shutil.copytree(self._index, cut.folder, dirs_exist_ok=True)
        for segment in (self.root / FOLDER).iterdir():
            number = segment.stat().st_ino
            durable = bytearray(self._durable[number])
            if self._under_way is not None and self._under_way[0] == number and self._chance.random() < 0.7:
                _, offset, data = self._under_way
                for at in range(0, len(data), 4096):
                    if self._chance.random() < 0.6:
                        durable[offset + at : offset + at + 4096] = data[at : at + 4096]
            (cut.folder / FOLDER / segment.name).write_bytes(durable)
        for path in self.root.rglob("*.dcm"):
            if self._synced.get(path.stat().st_ino) != path.stat().st_size:
                self._harm(cut.folder / path.relative_to(self.root))
        self.cuts.append(cut)

    def _harm(self, path: Path) -> None:
        size = path.stat().st_size
        match self._chance.randrange(5):
            case 0:
                path.unlink()
            case 1:
                os.truncate(path, 0)
            case 2:
                os.truncate(path, self._chance.randrange(size + 1))
            case 3:
                path.write_bytes(bytes(size))
            case 4:
                pass


def batches(first: Object) -> Iterator[list[Object]]:
    """Yield what is sent together: small and large, one content and another for a UID, the same again."""
    small = [first.beside(pixels=bytes([n]) * 3000) for n in range(6)]
    middle = [first.beside(pixels=bytes([n]) * 100_000) for n in range(3)]
    large = Object(pixels=bytes(range(256)) * 5000)
    yield [first]
    yield [*small[:3], middle[0]]
    yield [middle[1], large, small[3]]
    yield [small[0], small[4], small[1].copy(description="REPLACED"), middle[2]]
    yield [large, *small[5:], middle[0].copy(description="REPLACED")]


@pytest.mark.parametrize("way", WAYS)
async def test_the_power_is_cut_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    root = tmp_path / "data"
    disk = Cutting(root, EVERY, WAYS.index(way))
    if way == "by the thread":
        monkeypatch.setattr(aio, "queue", lambda: None)
    elif way == "by the cache":
        disk.through = False
    archive = await ready(root, disk, OPTIONS)
    sync = Database.sync

    def synced(self: Database) -> None:
        sync(self)
        if self.path.parent == root:
            disk.keep_index()

    monkeypatch.setattr(Database, "sync", synced)
    disk.keep_index()
    disk.cutting = True
    sent: dict[str, list[bytes]] = {}

    async def one(thing: Object) -> None:
        contents = sent.setdefault(thing.sop, [])
        contents.append(thing.encode())
        which = len(contents) - 1
        await send(archive, thing)
        disk.told.add((thing.sop, which))

    for number, batch in enumerate(batches(Object())):
        await asyncio.gather(*map(one, batch))
        archive.journal._used_at = float("-inf")
        if number == 2:  # the next segment, while the one before is synced
            await archive.trash.on_the_lane(lambda _: archive.journal.tend())
    await settled(archive)
    disk.cutting = False
    assert len(await content(archive)) == 11
    await archive.close()
    assert len(disk.cuts) > 200 // EVERY
    for cut in disk.cuts:
        again = await Archive.open(cut.folder, OPTIONS)
        found = await content(again)
        missing = await again.index.missing()
        await again.close()
        assert missing == [], cut.step
        for sop, which in cut.told:
            assert found.get(sop) in sent[sop][which:], (cut.step, sop)
        for sop, data in found.items():
            assert data in sent[sop], cut.step
        shutil.rmtree(cut.folder)
