"""The trash: what was deleted, for some days, so that it can be brought back.

The order of a deletion, so that after a crash at any moment each object is wholly in the archive or wholly in the
trash:

1. Each file gets a second name below ``trash/``; files and folders are synced. Nothing has changed yet.
2. On the lane, the one writer: what came or changed meanwhile is named as well; the journal lets go of the objects;
   then one transaction takes the rows out of the index and puts them into the trash. This commit is the deletion.
3. Still on the lane, before anything else can arrive there: the first names are removed.

A start after a crash removes names that a commit made superfluous (3), and those that no commit followed (1). Bringing
back is the same the other way round. Emptying notes first that it has begun, and is finished by the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from pacstui.archive import trash_rows as rows
from pacstui.archive.disk import Disk, Folders
from pacstui.archive.journal import Journal
from pacstui.archive.lane import IngestLane
from pacstui.archive.refusal import refusal_of
from pacstui.archive.trash_moves import Deletion, Ground, Return
from pacstui.archive.trash_rows import EMPTYING, MOVING, RETURNING, Entry, Trashed, Which
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.db import Database, Writer
from pacstui.db.faults import translate
from pacstui.errors import NotFound, PacsError, StorageFull, Unavailable
from pacstui.events import TrashChanged
from pacstui.text import plural

T = TypeVar("T")
log = logging.getLogger("pacstui.archive")
_ROUNDS: Final = 40
_ROUND_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back: instances that are in the archive again, those that were there (they came again meanwhile), and
    those that stay in the trash, each with the reason."""

    entry: Entry
    instances: int
    there: int
    refused: tuple[tuple[str, str], ...]


class Trash:
    """The trash of one archive. One deletion, return or emptying at a time; the archive goes on beside it."""

    def __init__(
        self, data_dir: Path, db: Database, disk: Disk, folders: Folders, journal: Journal, lane: IngestLane,
        bus: Bus, clock: Clock,
    ) -> None:  # fmt: skip
        self._bus = bus
        self._clock = clock
        self._root = data_dir
        self._db = db
        self._journal = journal
        self._ground = Ground(data_dir, db, disk, folders, journal, lane, clock)
        self._one = asyncio.Lock()

    async def entries(self) -> list[Entry]:
        """Return what is in the trash, newest first."""
        return await self._db.read(rows.entries)

    async def entry(self, number: int) -> Entry:
        """Return one entry; raises `NotFound`."""
        found = await self._db.read(lambda c: rows.entries(c, "id = ?", (number,)))
        if not found:
            raise NotFound(f"there is no {number} in the trash", "what is there: pacstui space trash")
        return found[0]

    async def totals(self) -> tuple[int, int, int, int]:
        """Return entries, instances and bytes in the trash, and when the oldest came (microseconds, 0 without)."""
        return await self._db.read(rows.totals)

    async def delete(
        self, which: Which, *, why: str = "", by: str = "", rule: str = "", only: frozenset[bytes] | None = None
    ) -> Entry:
        """Move a study, series or instance to the trash; it is durable when this returns.

        Parameters
        ----------
        which
            What.
        why, by, rule
            What the entry says of it: words of a person, who it was, and the rule that asked for it.
        only
            Digests: with other content than this nothing is deleted.

        Raises
        ------
        NotFound
            When the archive has no such thing.
        Unavailable, StorageFull
            When its files cannot be moved, or there is more than ``only``; nothing has changed then.
        """
        async with self._one:
            await self._journal.prepared()
            deletion = Deletion(self._ground, which, why, by, rule, only)
            for _ in range(_ROUNDS):
                number = await self._round(deletion)
                if number:
                    entry = await self.entry(number)
                    self._tell("deleted", entry, entry.instances, rule or by)
                    return entry
                await asyncio.sleep(_ROUND_S)
        raise Unavailable(f"{which.key} cannot be moved to the trash: {deletion.waits}", "try again later")

    async def _round(self, deletion: Deletion) -> int:
        found = await self._db.read(lambda c: rows.files(c, deletion.which))
        if not found:
            raise NotFound(f"there is no {deletion.which.level} {deletion.which.key}")
        try:
            await _in_thread(deletion.name, found)
            return await self.on_the_lane(deletion.do_take)
        except BaseException as error:
            if isinstance(error, OSError):
                raise _told(error, f"{deletion.which.key} cannot be moved to the trash") from error
            raise
        finally:
            if not deletion.done:
                await _in_thread(deletion.withdraw)

    async def undo(self, number: int, *, by: str = "") -> Returned:
        """Bring an entry back into the archive; it is durable when this returns.

        What arrived again meanwhile stays as it is; where that is other content, the deleted one stays in the trash.

        Raises
        ------
        NotFound
            When there is no such entry.
        Unavailable, StorageFull
            When its files cannot be moved, or it is being emptied; it is in the trash as before.
        """
        async with self._one:
            entry = await self.entry(number)
            if entry.state == EMPTYING:
                raise Unavailable(f"{number} is being removed from the trash", "bring it back from a backup")
            self._see(number)
            await self._db.write(lambda c: rows.mark(c, number, RETURNING))
            instances = await self._db.read(lambda c: rows.objects(c, number))
            back = Return(self._ground, entry, instances)
            try:
                await self.on_the_lane(back.do_return)
            except OSError as error:
                raise _told(error, f"{number} cannot be brought back") from error
            problem = f"{plural(len(back.refused), 'instance')} could not come back" if back.refused else ""
            self._tell("returned", entry, len(back.places), by, problem)
            return Returned(entry, len(back.places), back.there, tuple(back.refused))

    async def empty(self, number: int, *, by: str = "") -> Entry:
        """Remove an entry for good.

        Raises
        ------
        NotFound
            When there is no such entry.
        Unavailable
            When a file cannot be removed; the rest is gone, and the next try goes on.
        """
        async with self._one:
            entry = await self.entry(number)
            self._see(number)
            if entry.state in (MOVING, RETURNING):
                await self._finish(entry)
                entry = await self.entry(number)
            if entry.state in (MOVING, RETURNING):
                raise Unavailable(entry.problem or "its files are not all in the trash yet", "look at the disk")
            await self._db.write(lambda c: rows.mark(c, number, EMPTYING))
            await self._remove(entry)
            self._tell("emptied", entry, entry.instances, by)
            return entry

    def _tell(self, what: str, entry: Entry, instances: int, by: str, problem: str = "") -> None:
        self._bus.publish(
            TrashChanged(
                self._clock.now(), what, entry.level, entry.study, instances, entry.bytes, by, problem or entry.problem
            )
        )

    def _see(self, number: int) -> None:
        if number in self._ground.doubtful:
            raise Unavailable("the disk failed while this was written", "check the disk, then start the node again")

    async def _remove(self, entry: Entry) -> None:
        try:
            await asyncio.to_thread(self._remove_files, entry.folder)
        except OSError as error:
            told = f"a file cannot be removed: {error.strerror}"
            await self._db.write(lambda c: rows.mark(c, entry.id, EMPTYING, told))
            raise _told(error, f"{entry.id} cannot be removed from the trash") from error
        await self._db.write(partial(_forget, entry.id))

    def _remove_files(self, folder: str) -> None:
        place = self._ground.place(folder)
        if not place.is_dir():
            return
        for each in os.scandir(place):
            os.unlink(each.path)
        place.rmdir()

    # What a start finds.

    async def settle(self) -> None:
        """Finish what the last session began, before files and rows are compared; raises OSError or PacsError."""
        found = await self._db.read(rows.entries)
        for entry in found:
            if entry.state in (MOVING, RETURNING):
                await self._finish(entry)
            elif entry.state == EMPTYING:
                try:
                    await self._remove(entry)
                except PacsError as error:
                    log.warning("%s", error)
        strangers = await asyncio.to_thread(self._strangers, {entry.folder for entry in found})
        if strangers:
            names = [path.name for files in strangers.values() for path in files]
            known = await self._db.read(partial(rows.known_files, names=names))
            await asyncio.to_thread(self._withdraw, strangers, known)

    async def tend(self) -> None:
        """Try again what could not be finished."""
        if self._one.locked():
            return
        async with self._one:
            for entry in await self._db.read(lambda c: rows.entries(c, "state IN (?, ?)", (MOVING, RETURNING))):
                if entry.id not in self._ground.doubtful:
                    await self._finish(entry)

    async def _finish(self, entry: Entry) -> None:
        """Remove names below ``objects/`` that belong to an entry of the trash."""
        instances = await self._db.read(lambda c: rows.objects(c, entry.id))

        def work(writer: Writer) -> None:
            problem = self._ground.do_remove_names(writer.connection, entry.folder, instances)
            state = MOVING if problem else ""
            writer.transaction(lambda c: rows.mark(c, entry.id, state, problem))

        await self.on_the_lane(work)

    def _strangers(self, known: set[str]) -> dict[Path, list[Path]]:
        """Return folders of the trash that no entry names, and their files."""
        root = self._ground.place("")
        return {
            Path(folder.path): [Path(each.path) for each in os.scandir(folder.path)]
            for folder in (os.scandir(root) if root.is_dir() else ())
            if folder.name not in known and folder.is_dir(follow_symlinks=False)
        }

    def _withdraw(self, strangers: dict[Path, list[Path]], known: dict[str, Trashed]) -> None:
        """Remove names in the trash that no entry followed, or that an undo left: what the archive has, surely."""
        for folder, files in strangers.items():
            for path in files:
                row = known.get(path.name)
                if row is not None and _is_in_archive(path, self._root / row.path, row):
                    path.unlink()
            try:
                folder.rmdir()
            except OSError:
                log.warning("trash/%s belongs to nothing that the index knows and stays: look at it", folder.name)

    async def on_the_lane(self, work: Callable[[Writer], T]) -> T:
        """Run work that owns its transactions on the database's writer thread; raises OSError or PacsError."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def ended(result: T, error: BaseException | None) -> None:
            if done.cancelled():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(translate(error) if isinstance(error, sqlite3.Error) else error)

        self._db.submit(work, ended)
        return await _wholly(done)


async def _wholly(future: asyncio.Future[T]) -> T:
    """Wait for what cannot be stopped halfway, also when nobody waits for us any more: files and rows stay together."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return future.result()


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    return await _wholly(asyncio.ensure_future(asyncio.to_thread(function, *arguments)))


def _is_in_archive(path: Path, stored: Path, row: Trashed) -> bool:
    """Return whether a file in the trash is one that the archive has: the same file, or the same bytes."""
    try:
        if path.samefile(stored):
            return True
        if not path.stat().st_size == stored.stat().st_size == row.data_offset + row.size:
            return False
        for each in (path, stored):
            with each.open("rb") as file:
                file.seek(row.data_offset)
                if hashlib.file_digest(file, "sha256").digest() != row.digest:
                    return False
    except OSError:
        return False
    return True


def _forget(entry: int, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM trashed WHERE trash = ?", (entry,))
    connection.execute("DELETE FROM trash WHERE id = ?", (entry,))


def _told(error: OSError, what: str) -> PacsError:
    refusal = refusal_of(error)
    kind = StorageFull if error.errno in (28, 122) else Unavailable
    return kind(f"{what}: {error.strerror or refusal.message}", refusal.hint or "look at the disk and its permissions")
