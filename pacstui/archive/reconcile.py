"""Compares files with rows after a session that did not end in order, or by request over everything.

A file without row was whole on disk when the node died before its commit: it is adopted. A damaged one is set aside.
A row without file is marked missing and never deleted. Every change is made on the database's writer lane, after a
second look there, so that objects arriving meanwhile are not mistaken for leftovers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import mmap
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pacstui.archive import part10, paths
from pacstui.archive.disk import Disk
from pacstui.archive.session import Past
from pacstui.archive.trash_rows import leaving
from pacstui.clock import Clock, microseconds
from pacstui.db import Database
from pacstui.dicom import header
from pacstui.dicom.header import Header
from pacstui.index.entry import Beside, Found, Place, entry_of
from pacstui.index.ingest import IndexWriter

log = logging.getLogger("pacstui.archive")
_AT_ONCE = 32
MISSING, DAMAGED = 1, 2
"""What ``missing`` of an instance says, 0 being that nothing is known to be wrong with its file."""
_ROWS_OF = (
    "SELECT i.id, i.path, i.data_offset + i.size, i.missing FROM instances i JOIN series e ON e.id = i.series"
    " JOIN studies s ON s.id = e.study WHERE s.study = ?"
)
_ROWS_AFTER = "SELECT id, path FROM instances WHERE id > ? ORDER BY id LIMIT 5000"


@dataclass(slots=True)
class Report:
    """What a reconciliation found and did; counts of files and rows, and the paths that an operator may want to see."""

    adopted: int = 0
    missing: int = 0
    found_again: int = 0
    removed: int = 0
    unreadable: int = 0
    duplicates: int = 0
    scanned: int = 0
    missing_paths: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Leftover:
    """A file that no row names, as it was read. ``problem`` is empty when it is a whole, unharmed object."""

    path: str
    head: part10.Head | None
    header: Header
    digest: bytes
    meta_digest: bytes
    size: int
    modified: datetime
    problem: str


def clear_incoming(data_dir: Path) -> int:
    """Remove temporary files of an earlier session; return how many. They were never acknowledged."""
    removed = 0
    for entry in os.scandir(data_dir / paths.INCOMING):
        if entry.is_file(follow_symlinks=False):
            os.unlink(entry.path)
            removed += 1
    return removed


def _rows_after(after: int, connection: sqlite3.Connection) -> list[tuple[int, str]]:
    return connection.execute(_ROWS_AFTER, (after,)).fetchall()


class Reconciliation:
    """One comparison of a data directory with its index. ``beside`` is told of objects that get their row only now."""

    def __init__(self, data_dir: Path, db: Database, disk: Disk, clock: Clock, beside: Beside | None = None) -> None:
        self._root = data_dir
        self._db = db
        self._disk = disk
        self._clock = clock
        self._index = IndexWriter(beside)
        self._settled: list[str] = []
        self.report = Report()

    async def run(self, past: Past) -> Report:
        """Compare what changed since ``past``; everything if that is unknown."""
        folders = await asyncio.to_thread(lambda: list(self._changed_folders(past.since)))
        await self.folders(folders)
        await self._rows(past.row, set(folders))
        return self.report

    async def folders(self, folders: Iterable[str]) -> Report:
        """Compare studies' folders, given relative to the data directory."""
        for folder in folders:
            await self._folder(folder)
        return self.report

    def _changed_folders(self, since: float) -> Iterator[str]:
        objects = self._root / paths.OBJECTS
        if not objects.is_dir():
            return
        for spread in os.scandir(objects):
            if not spread.is_dir(follow_symlinks=False):
                continue
            for study in os.scandir(spread.path):
                if study.is_dir(follow_symlinks=False) and study.stat(follow_symlinks=False).st_mtime >= since:
                    yield f"{paths.OBJECTS}/{spread.name}/{study.name}"

    async def _folder(self, folder: str) -> None:
        """Compare one study's folder with its rows."""
        files = await asyncio.to_thread(self._files, folder)
        study = folder.rpartition("/")[2]
        rows = await self._db.read(lambda c: c.execute(_ROWS_OF, (study,)).fetchall())
        self.report.scanned += len(files)
        known = set()
        doubtful: list[tuple[int, str]] = []
        for key, path, length, missing in rows:
            known.add(path)
            there = files.get(path) if path.startswith(folder + "/") else self._length(path)
            if (there == length) is bool(missing):
                doubtful.append((key, path))
        await self._recheck(doubtful)
        strange = sorted(set(files) - known)
        for at in range(0, len(strange), _AT_ONCE):
            read = [await asyncio.to_thread(self._read, path) for path in strange[at : at + _AT_ONCE]]
            leftovers = [each for each in read if each is not None]
            await self._db.write(partial(self._settle, leftovers))
            settled, self._settled = self._settled, []
            await asyncio.to_thread(self._remove, settled)

    async def _rows(self, above: int, seen: set[str]) -> None:
        """Look for rows whose whole folder is gone."""
        after = above
        while True:
            rows = await self._db.read(partial(_rows_after, after))
            if not rows:
                return
            after = rows[-1][0]
            doubtful = [(key, path) for key, path in rows if path.rpartition("/")[0] not in seen]
            await self._recheck(await asyncio.to_thread(self._gone, doubtful))

    async def _recheck(self, rows: list[tuple[int, str]]) -> None:
        if rows:
            await self._db.write(lambda c: self._mark(c, rows))

    def _mark(self, connection: sqlite3.Connection, rows: list[tuple[int, str]]) -> None:
        """Mark rows as missing or found again, by a second look; on the lane."""
        for key, _ in rows:
            row = connection.execute(
                "SELECT path, data_offset + size, missing FROM instances WHERE id=?", (key,)
            ).fetchone()
            if row is None:
                continue
            path, length, missing = row
            whole = self._length(path) == length
            if whole and missing == DAMAGED:
                continue  # its bytes differ: only reading them again can say otherwise
            if whole and missing:
                connection.execute("UPDATE instances SET missing=0 WHERE id=?", (key,))
                self.report.found_again += 1
            elif not whole:
                if not missing:
                    connection.execute("UPDATE instances SET missing=1 WHERE id=?", (key,))
                self.report.missing += 1
                if len(self.report.missing_paths) < 100:
                    self.report.missing_paths.append(path)

    def _length(self, path: str) -> int | None:
        try:
            return os.stat(self._root / path).st_size
        except OSError:
            return None

    def _gone(self, rows: list[tuple[int, str]]) -> list[tuple[int, str]]:
        return [each for each in rows if self._length(each[1]) is None]

    def _files(self, folder: str) -> dict[str, int]:
        try:
            return {
                f"{folder}/{entry.name}": entry.stat(follow_symlinks=False).st_size
                for entry in os.scandir(self._root / folder)
                if entry.is_file(follow_symlinks=False)
            }
        except FileNotFoundError:
            return {}  # the study, or an object of it, was deleted meanwhile; its rows tell what is there

    def _read(self, path: str) -> _Leftover | None:
        """Read a file that no row names: its header, its digest, and whether it is unharmed."""
        empty = Header()
        try:
            with open(self._root / path, "rb") as file:
                modified = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                size = os.fstat(file.fileno()).st_size
                try:
                    head = part10.parse(file.read(part10.HEAD_LIMIT), True)
                except part10.NotDicom as reason:
                    file.seek(0)
                    digest = hashlib.file_digest(file, "sha256").digest()
                    return _Leftover(path, None, empty, digest, b"", size, modified, str(reason))
                file.seek(0)
                meta_digest = hashlib.sha256(file.read(head.offset)).digest()
                digest = hashlib.file_digest(file, "sha256").digest()
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                    found = header.read(view, head.transfer_syntax, start=head.offset) or empty
        except FileNotFoundError:
            return None
        except OSError as error:
            return _Leftover(path, None, empty, b"", b"", 0, self._clock.now(), f"it cannot be read: {error.strerror}")
        problem = found.problem if found.cut else ""
        if head.digest == part10.NO_DIGEST:
            problem = "it was being written when the node ended, and its sender was not told that it is kept"
        elif head.digest and head.digest != digest:
            problem = "its content does not match the digest in its own head"
        elif not all(paths.is_uid(uid) for uid in (found.sop_class, found.sop_instance, found.study, found.series)):
            problem = problem or "UIDs are missing or not valid"
        return _Leftover(path, head, found, digest, meta_digest, size - head.offset, modified, problem)

    def _settle(self, leftovers: list[_Leftover], connection: sqlite3.Connection) -> None:
        """Give each leftover its row; on the lane, in one transaction."""
        self._index.forget()  # somebody may have deleted a study since
        try:
            for leftover in leftovers:
                self._settle_one(connection, leftover)
            now = self._clock.now()
            self._index.flush(connection, now.astimezone().strftime("%Y-%m-%d"), microseconds(now))
        except BaseException:
            self._index.forget()
            raise

    def _settle_one(self, connection: sqlite3.Connection, leftover: _Leftover) -> None:
        sop = leftover.header.sop_instance
        known = self._index.find(connection, sop) if sop else None
        if known is not None and known.path == leftover.path:
            return  # its commit came while the folder was read
        if self._length(leftover.path) is None or leaving(connection, leftover.path):
            return  # it was deleted meanwhile
        if leftover.problem:
            self.report.unreadable += 1
            log.warning("%s is set aside: %s", leftover.path, leftover.problem)
            self._set_aside(connection, leftover, leftover.problem)
            return
        assert leftover.head is not None
        place = Place(leftover.digest, leftover.meta_digest, leftover.head.offset, leftover.size, leftover.path)
        if known is None:
            entry = entry_of(leftover.header, leftover.head.transfer_syntax, leftover.head.source)
            self._index.add(connection, entry, place, microseconds(leftover.modified))
            self.report.adopted += 1
            return
        if known.digest != leftover.digest:
            self.report.duplicates += 1
            self._set_aside(connection, leftover, "other content is stored under this SOP Instance UID")
            return
        if self._whole(known):
            self._settled.append(leftover.path)  # a second file of an object that is safe: an interrupted repair
            self.report.duplicates += 1
        else:
            self._index.moved(connection, known, place)
            self.report.found_again += 1

    def _whole(self, known: Found) -> bool:
        return self._length(known.path) == known.data_offset + known.size

    def _set_aside(self, connection: sqlite3.Connection, leftover: _Leftover, reason: str) -> None:
        """Link a file into the quarantine; its old name goes when the row is committed."""
        sop = leftover.header.sop_instance
        if not leftover.digest:
            return  # it cannot even be read: it stays where it is, and is reported again
        if not self._index.is_set_aside(connection, sop, leftover.digest):
            now = self._clock.now()
            folder = paths.quarantine_folder(now.astimezone().strftime("%Y-%m-%d"))
            known = paths.is_uid(sop)
            name = paths.object_name(sop, leftover.digest) if known else f"{leftover.digest.hex()}.bin"
            target = self._root / folder / name
            for each in (target.parent.parent, target.parent):
                each.mkdir(mode=0o700, exist_ok=True)
            try:
                self._disk.link_path(self._root / leftover.path, target)
            except FileExistsError:
                pass  # linked by a run that did not get as far as its commit
            for each in (target.parent, target.parent.parent):
                self._sync(each)
            self._index.set_aside(
                connection, microseconds(now), sop, leftover.head.source if leftover.head else "", reason,
                f"{folder}/{name}", leftover.size, leftover.digest,
            )  # fmt: skip
        self._settled.append(leftover.path)

    def _remove(self, settled: list[str]) -> None:
        """Remove names whose content is safe elsewhere, as committed rows say."""
        for path in settled:
            try:
                os.unlink(self._root / path)
            except OSError as error:
                log.warning("%s could not be removed: %s", path, error)

    def _sync(self, folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._disk.fsync_folder(fd)
        finally:
            os.close(fd)
