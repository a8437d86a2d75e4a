"""The job ``repair``: objects whose file is damaged or gone get it again, from a backup.

What comes back is the very content that the index has, by its digest, and goes into the archive as any object does. A
damaged file is set aside before, and only when the good one is at hand.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from pacstui.archive import Archive
from pacstui.archive.aside import do_set_damaged_aside
from pacstui.archive.importer import import_file
from pacstui.archive.reading import Part, read_part
from pacstui.archive.reconcile import DAMAGED, MISSING
from pacstui.clock import Clock
from pacstui.errors import NotFound, PacsError, Unavailable
from pacstui.jobs.kinds import Outcome, Run
from pacstui.text import plural

_AT_ONCE = 200
_NEXT = (
    "SELECT id, sop_instance, path, data_offset, size, digest, calling FROM instances INDEXED BY instances_missing"
    " WHERE missing != 0 AND id > ? ORDER BY id LIMIT ?"
)


class Copies(Protocol):
    """Where good copies are."""

    async def fetch(self, wanted: Sequence[tuple[bytes, str, str]], to: Path) -> tuple[dict[str, Path], dict[str, str]]:
        """Write objects into a folder; return files by SOP Instance UID, and why there is none of the others."""
        ...


@dataclass(frozen=True, slots=True)
class _Broken:
    id: int
    sop_instance: str
    path: str
    offset: int
    size: int
    digest: bytes
    calling: str


class Repair:
    """One run."""

    def __init__(self, archive: Archive, copies: Copies, clock: Clock, run: Run, scratch: Path) -> None:
        self._archive = archive
        self._copies = copies
        self._clock = clock
        self._run = run
        self._scratch = scratch
        self._repaired = self._sound = 0
        self._aside = 0
        self._left: dict[str, str] = {}

    async def work(self) -> Outcome:
        """Do it."""
        run, db = self._run, self._archive.db
        total = (await db.read(lambda c: c.execute("SELECT count(*) FROM instances WHERE missing != 0").fetchone()))[0]
        run.tell(done=0, total=total, unit="objects", errors=0)
        if not total:
            return Outcome("no object is known to be missing or damaged")
        after = done = 0
        try:
            while rows := await db.read(partial(_rows, after)):
                run.check()
                after = rows[-1].id
                await self._some(rows)
                done += len(rows)
                run.tell(done=done, errors=len(self._left))
        finally:
            await asyncio.to_thread(shutil.rmtree, self._scratch, True)
        return self._outcome()

    async def _some(self, rows: Sequence[_Broken]) -> None:
        run = self._run
        faults = await asyncio.to_thread(_look, self._archive.data_dir, rows)
        broken = [row for row, fault in zip(rows, faults, strict=True) if fault is not None]
        sound = [row for row, fault in zip(rows, faults, strict=True) if fault is None]
        marks = [
            (_state(fault), row.id, row.digest, row.path)
            for row, fault in zip(rows, faults, strict=True) if not isinstance(fault, Unavailable)
        ]  # fmt: skip
        await self._archive.db.write(partial(_mark, marks))
        self._sound += len(sound)
        if not broken:
            return
        run.tell(now="asking backups")
        files, why = await self._copies.fetch(
            [(row.digest, row.sop_instance, row.calling) for row in broken], self._scratch
        )
        for row in broken:
            run.check()
            file = files.get(row.sop_instance)
            try:
                told = await self._put(row, file) if file is not None else why.get(row.sop_instance, "no backup has it")
            except PacsError as error:
                told = str(error)
            if told:
                self._left[row.sop_instance] = told
                run.note(f"{row.sop_instance} ({row.path}): {told}", "fail")
            else:
                self._repaired += 1
            if file is not None:
                await asyncio.to_thread(file.unlink, True)

    async def _put(self, row: _Broken, file: Path) -> str:
        """Give an object its file; return why that was not possible, empty if it was."""
        archive = self._archive
        work = partial(do_set_damaged_aside, archive.data_dir, archive.disk, self._clock, row.sop_instance)
        try:
            aside = await archive.trash.on_the_lane(work)
        except OSError as error:
            return f"the damaged file cannot be set aside: {error.strerror}"
        if aside:
            self._aside += 1
            self._run.note(f"{row.sop_instance}: the damaged file is {aside} now", "warn")
        result = await import_file(archive, file, row.calling or "REPAIR")
        now = await archive.index.instance(row.sop_instance)
        if now is None:
            return "it was deleted meanwhile"
        return "" if not now.missing else f"the copy was not taken: {result.outcome} {result.reason}".strip()

    def _outcome(self) -> Outcome:
        told = [f"{plural(self._repaired, 'object')} repaired"]
        if self._sound:
            told.append(f"{self._sound:,} found to be as stored")
        if self._aside:
            told.append(f"{plural(self._aside, 'damaged file')} set aside")
        if not self._left:
            return Outcome(", ".join(told))
        first, why = next(iter(self._left.items()))
        told.append(f"{len(self._left):,} not: {first}: {why}")
        return Outcome(
            ", ".join(told), True,
            "send them again from the modality, or fetch the study from another archive (Peers, f); then repair again",
        )  # fmt: skip


def _rows(after: int, connection: sqlite3.Connection) -> list[_Broken]:
    return [_Broken(*row) for row in connection.execute(_NEXT, (after, _AT_ONCE))]


def _state(fault: PacsError | None) -> int:
    return MISSING if isinstance(fault, NotFound) else DAMAGED if fault is not None else 0


def _look(root: Path, rows: Sequence[_Broken]) -> list[PacsError | None]:
    """Read files again: some may be whole; in a thread."""
    found: list[PacsError | None] = []
    for each in rows:
        try:
            read_part(root, Part(each.path, each.offset, each.size, each.digest))
        except PacsError as fault:
            found.append(fault)
        else:
            found.append(None)
    return found


def _mark(marks: Sequence[tuple[int, int, bytes, str]], connection: sqlite3.Connection) -> None:
    connection.executemany("UPDATE instances SET missing = ? WHERE id = ? AND digest = ? AND path = ?", marks)
