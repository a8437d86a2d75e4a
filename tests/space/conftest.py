"""An archive with old studies, backups that are asked without a target, and a run that is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from pacstui.archive import Archive
from pacstui.backups.protection import Kept
from pacstui.clock import FakeClock
from pacstui.errors import Unavailable
from pacstui.jobs.kinds import Cancelled, Outcome
from pacstui.settings import SpaceSettings
from pacstui.space.purge import Purge
from tests.archive.conftest import OPTIONS, send
from tests.archive.objects import Object
from tests.archive.test_trash import TrashDisk


class OneRun:
    """A run of a job, as its work sees it."""

    id = 7
    started_by = "schedule"
    kept = ""

    def __init__(self, **parameters: str) -> None:
        self.parameters: Mapping[str, str] = parameters
        self.stopping = False
        self.notes: list[str] = []
        self.told: dict[str, object] = {}

    def check(self) -> None:
        if self.stopping:
            raise Cancelled("it was cancelled")

    async def stopped(self) -> None:
        raise NotImplementedError

    def tell(self, **what: object) -> None:
        self.told.update(what)

    def note(self, text: str, level: str = "info") -> None:
        self.notes.append(text)

    async def keep(self, text: str) -> None:
        raise NotImplementedError


class Safe:
    """Backups that have what is told, by digest; ``away`` when they do not answer."""

    def __init__(self) -> None:
        self.digests: set[bytes] = set()
        self.away = False
        self.copies = 1

    async def held(self, instances: Sequence[Kept], copies: int) -> list[bool]:
        if self.away:
            raise Unavailable("nas does not answer", "look at it")
        return [copies <= self.copies and each.digest in self.digests for each in instances]

    async def fetch(self, wanted: object, to: Path) -> tuple[dict[str, Path], dict[str, str]]:
        raise NotImplementedError

    async def save(self, archive: Archive) -> None:
        rows = await archive.db.read(lambda c: c.execute("SELECT digest FROM instances").fetchall())
        self.digests |= {row[0] for row in rows}


class House:
    """All of it."""

    def __init__(self, archive: Archive, disk: TrashDisk, clock: FakeClock) -> None:
        self.archive = archive
        self.disk = disk
        self.clock = clock
        self.backups = Safe()
        self.audit: list[tuple[str, str, str, str]] = []

    async def study(self, number: int = 2, **names: object) -> Object:
        first = Object(**names)  # type: ignore[arg-type]
        for thing in (first, *(first.beside() for _ in range(number - 1))):
            await send(self.archive, thing)
        return first

    def pass_days(self, days: float) -> None:
        self.clock.advance(days * 86400)

    def fill(self, percent: float) -> None:
        """Let the volume be so full, of 1000 units that a study of two objects takes 100 of."""
        self.disk.free = (round(100 - percent) * 10, 1000)
        self.clock.advance(1)  # it is not asked more often

    async def purge(self, settings: SpaceSettings, run: OneRun | None = None) -> Outcome:
        run = run or OneRun()
        return await Purge(
            self.archive,
            self.backups,
            settings,
            self.clock,
            lambda *told: self.audit.append(told),
            run,  # type: ignore[arg-type]
        ).work()

    async def studies(self) -> list[str]:
        return [row.study for row in (await self.archive.index.studies()).rows]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    disk, clock = TrashDisk(), FakeClock()
    archive = await Archive.open(tmp_path / "data", OPTIONS, clock=clock, busy_s=0.3, disk=disk)
    try:
        yield House(archive, disk, clock)
    finally:
        disk.mend()
        disk.free = None
        await archive.close()
