"""The job ``repair``: objects whose file is damaged or gone get it again, from a backup or from a peer.

What comes back is the very content that the index has, by its digest, and goes into the archive as any object does. A
damaged file is set aside, and only when the good one is at hand. Peers are asked for what no backup has: many archives
send what they were sent, byte for byte, if they are asked in the same transfer syntax. Other bytes under the same UID
mend nothing; they are set aside for somebody to compare.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from pacstui.archive import Archive
from pacstui.archive.aside import REPLACED, do_set_damaged_aside, do_set_old_aside
from pacstui.archive.importer import import_file
from pacstui.archive.reading import Part
from pacstui.archive.sound import do_mark, faults, state_of
from pacstui.clock import Clock
from pacstui.errors import PacsError, Unavailable
from pacstui.index.corrected import carried
from pacstui.index.queries import Instance
from pacstui.index.redirects import as_came
from pacstui.jobs.kinds import Cancelled, Outcome, Run
from pacstui.jobs.values import listed
from pacstui.jobs.waiting import until_done
from pacstui.text import plural, safe

_AT_ONCE = 200
NOBODY = "none"
_NEXT = (
    "SELECT id, sop_instance, path, data_offset, size, digest, calling FROM instances INDEXED BY instances_missing"
    " WHERE missing != 0 AND id > ? ORDER BY id LIMIT ?"
)


class Copies(Protocol):
    """Where good copies are."""

    async def fetch(self, wanted: Sequence[tuple[bytes, str, str]], to: Path) -> tuple[dict[str, Path], dict[str, str]]:
        """Write objects into a folder; return files by SOP Instance UID, and why there is none of the others."""
        ...


class Peers(Protocol):
    """Other archives that may have the objects too."""

    def names(self) -> Sequence[str]:
        """Return the names of all peers."""
        ...

    async def bring(self, name: str, wanted: Sequence[Instance]) -> str:
        """Let a peer send objects into the archive; return how, as C-GET. Raises PacsError where that failed."""
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

    def __init__(
        self, archive: Archive, copies: Copies, peers: Peers, clock: Clock, run: Run, scratch: Path
    ) -> None:  # fmt: skip
        self._archive = archive
        self._copies = copies
        self._peers = peers
        self._clock = clock
        self._run = run
        self._scratch = scratch
        asked = listed(run.parameters.get("peers", ""))
        self._asked = [] if asked == [NOBODY] else asked or list(peers.names())
        self._from: Counter[str] = Counter()
        self._sound = self._aside = 0
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
                await self._some(rows)
                done += len(rows)
                after = rows[-1].id
                run.tell(done=done, errors=len(self._left))
        finally:
            await asyncio.to_thread(shutil.rmtree, self._scratch, True)
        return self._outcome()

    async def _some(self, rows: Sequence[_Broken]) -> None:
        run = self._run
        parts = [Part(row.path, row.offset, row.size, row.digest) for row in rows]
        found = await asyncio.to_thread(faults, self._archive.data_dir, parts)
        broken = [row for row, fault in zip(rows, found, strict=True) if fault is not None]
        sound = [row for row, fault in zip(rows, found, strict=True) if fault is None]
        marks = [
            (state_of(fault), row.id, row.digest, row.path)
            for row, fault in zip(rows, found, strict=True) if not isinstance(fault, Unavailable)
        ]  # fmt: skip
        await self._archive.db.write(partial(do_mark, marks))
        self._sound += len(sound)
        if not broken:
            return
        left = await self._from_backups(broken)
        for name in self._asked:
            if left:
                left = await self._from_peer(name, left)
        for row, told in left.items():
            self._left[row.sop_instance] = told
            run.note(f"{row.sop_instance} ({row.path}): {told}", "fail")

    async def _from_backups(self, broken: Sequence[_Broken]) -> dict[_Broken, str]:
        """Give objects their files from backups; return those that are left, and why."""
        run = self._run
        run.tell(now="asking backups")
        left: dict[_Broken, str] = {}
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
                left[row] = told
            else:
                self._mended(row, "a backup")
            if file is not None:
                await asyncio.to_thread(file.unlink, True)
        return left

    async def _from_peer(self, name: str, broken: Mapping[_Broken, str]) -> dict[_Broken, str]:
        """Let a peer send objects; return those that are still left, and why."""
        run, index = self._run, self._archive.index
        run.check()
        run.tell(now=f"asking {safe(name, 64)}")
        found = [each for row in broken if (each := await index.instance(row.sop_instance)) is not None]
        found = await self._archive.db.read(lambda c: [_as_came(c, each) for each in found])
        verb, why = "", f"{safe(name, 64)} does not have it"
        try:
            verb = await until_done(run, self._peers.bring(name, found))
        except Cancelled:
            raise
        except PacsError as fault:
            why = f"{safe(name, 64)}: {fault.message}"
        left: dict[_Broken, str] = {}
        for row, told in broken.items():
            now = await index.instance(row.sop_instance)
            if now is not None and not now.missing:
                self._mended(row, f"{safe(name, 64)} by {verb}" if verb else safe(name, 64), now.digest == row.digest)
                await self._set_old_aside(row)
                continue
            other = await self._archive.db.read(partial(_other, row.sop_instance))
            differs = f"other bytes came under its UID and are set aside as {other}: compare them" if other else why
            left[row] = f"{told}; {differs}"
        return left

    def _mended(self, row: _Broken, source: str, same: bool = True) -> None:
        self._from[source] += 1
        how = "" if same else ", other bytes than were stored here (duplicates = overwrite)"
        self._run.note(f"{row.sop_instance}: from {source}{how}", "info" if same else "warn")

    async def _set_old_aside(self, row: _Broken) -> None:
        archive = self._archive
        work = partial(do_set_old_aside, archive.data_dir, archive.disk, self._clock, row.sop_instance, row.path)
        try:
            aside = await archive.trash.on_the_lane(work)
        except OSError as error:
            self._run.note(f"{row.sop_instance}: the damaged file stays where it is: {error.strerror}", "warn")
            return
        self._was_set_aside(row, aside)

    def _was_set_aside(self, row: _Broken, aside: str) -> None:
        if aside:
            self._aside += 1
            self._run.note(f"{row.sop_instance}: the damaged file is {aside} now", "warn")

    async def _put(self, row: _Broken, file: Path) -> str:
        """Give an object its file; return why that was not possible, empty if it was."""
        archive = self._archive
        work = partial(do_set_damaged_aside, archive.data_dir, archive.disk, self._clock, row.sop_instance)
        try:
            aside = await archive.trash.on_the_lane(work)
        except OSError as error:
            return f"the damaged file cannot be set aside: {error.strerror}"
        self._was_set_aside(row, aside)
        result = await import_file(archive, file, row.calling or "REPAIR")
        now = await archive.index.instance(row.sop_instance)
        if now is None:
            return "it was deleted meanwhile"
        return "" if not now.missing else f"the copy was not taken: {result.outcome} {result.reason}".strip()

    def _outcome(self) -> Outcome:
        sources = ", ".join(f"{number:,} from {source}" for source, number in self._from.items())
        told = [f"{plural(self._from.total(), 'object')} repaired" + (f" ({sources})" if sources else "")]
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


def _as_came(connection: sqlite3.Connection, row: Instance) -> Instance:
    """Return what is known of an object by the UIDs that it carries: a peer knows nothing of corrections here."""
    study, series, uid = as_came(connection, row.study, row.series, row.sop_instance)
    return replace(row, study=study, series=series, sop_instance=uid)


def _rows(after: int, connection: sqlite3.Connection) -> list[_Broken]:
    return [_Broken(*row) for row in connection.execute(_NEXT, (after, _AT_ONCE))]


def _other(sop_instance: str, connection: sqlite3.Connection) -> str:
    """Return where the newest other content of a UID is in the quarantine, empty if there is none."""
    sql = "SELECT path FROM quarantine WHERE sop_instance = ? AND reason != ? ORDER BY id DESC LIMIT 1"
    row = connection.execute(sql, (carried(connection, sop_instance), REPLACED)).fetchone()
    return str(row[0]) if row is not None else ""
