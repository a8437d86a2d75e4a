"""What is done with names and rows when something goes to the trash, or comes back from it.

Methods beginning with ``do_`` run on the lane's thread, the others on another one.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex

from pacstui.archive import paths
from pacstui.archive import trash_rows as rows
from pacstui.archive.disk import Disk, Folders
from pacstui.archive.journal import Journal
from pacstui.archive.lane import IngestLane
from pacstui.archive.trash_back import put_back
from pacstui.archive.trash_rows import MOVING, Entry, File, Trashed, Which
from pacstui.clock import Clock, microseconds
from pacstui.db import Database, Writer
from pacstui.db.faults import primary_code
from pacstui.errors import NotFound, Unavailable
from pacstui.index.redirects import current
from pacstui.text import plural

log = logging.getLogger("pacstui.archive")
_ON_THE_LANE = 200
"""So many files that came meanwhile are named on the lane; more need another round."""


class Ground:
    """What both ways need of the archive."""

    def __init__(
        self, root: Path, db: Database, disk: Disk, folders: Folders, journal: Journal, lane: IngestLane, clock: Clock
    ) -> None:
        self.root = root
        self.disk = disk
        self._db = db
        self._folders = folders
        self._journal = journal
        self._lane = lane
        self._clock = clock
        self.doubtful: set[int] = set()
        """Entries whose last commit may come back with the next start; nothing is done with them before."""

    def place(self, folder: str) -> Path:
        """Return the folder of an entry."""
        return self.root / paths.TRASH / folder

    def now(self) -> int:
        """Return the time as the index has it."""
        return microseconds(self._clock.now())

    def day(self) -> str:
        """Return the node's local date."""
        return self._clock.now().astimezone().strftime("%Y-%m-%d")

    def do_let_go(self, files: Iterable[File]) -> bool:
        """Let the journal forget objects; false if it cannot now."""
        self._db.sync()  # their rows followed from it
        return self._journal.let_go([(each.path, each.digest) for each in files])

    def do_forget_rows(self) -> None:
        """Let the lane look at the rows of patients, studies and series anew."""
        self._lane.index.forget()

    def do_sync(self, folders: Iterable[str]) -> None:
        """Sync folders below the data directory; by name, as the lane's descriptors are its own."""
        for folder in sorted(set(folders)):
            try:
                fd = os.open(self.root / folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                self.disk.fsync_folder(fd)
            finally:
                os.close(fd)

    def do_remove_names(self, connection: sqlite3.Connection, folder: str, instances: Iterable[Trashed | File]) -> str:
        """Remove the names below ``objects/`` of what is in the trash, as far as no row of the index has them.

        Returns
        -------
        str
            What went wrong, empty if nothing did.
        """
        problem = ""
        touched: set[str] = set()
        for each in instances:
            parent, _, name = each.path.rpartition("/")
            kept = self.place(folder) / name
            for path in dict.fromkeys(_beside(each)):
                if connection.execute(
                    "SELECT 1 FROM instances WHERE sop_instance = ? AND path = ?", (each.sop_instance, path)
                ).fetchone():
                    continue
                try:
                    if _same(self.root / path, kept):
                        self.disk.unlink_path(self.root / path)
                        touched.add(parent)
                except OSError as error:
                    problem = f"{path} cannot be removed: {error.strerror}"
        try:
            self.do_sync(touched)
        except OSError as error:
            problem = problem or f"a folder cannot be synced: {error.strerror}"
        for parent in touched:
            self._do_remove_folder(parent)
        return problem

    def _do_remove_folder(self, folder: str) -> None:
        """Remove a study's folder when it is empty; the lane makes it anew if objects come."""
        try:
            os.rmdir(self.root / folder)
        except OSError:
            return  # something is in it
        self._folders.forget(folder)


class Deletion:
    """One deletion on its way."""

    def __init__(
        self, trash: Ground, which: Which, why: str, by: str, rule: str, only: frozenset[bytes] | None
    ) -> None:
        self._only = only
        self.which = which
        self.done = False
        self.waits = "objects of it keep arriving"
        self._trash = trash
        self._why, self._by, self._rule = why, by, rule
        self._folder = f"{trash.day()}-{token_hex(6)}"
        self._named: set[str] = set()

    def name(self, files: Iterable[File]) -> None:
        """Give each file its second name, durably; raises OSError."""
        trash, disk = self._trash, self._trash.disk
        place = trash.place(self._folder)
        if not place.is_dir():
            trash.place("").mkdir(mode=0o700, exist_ok=True)
            place.mkdir(mode=0o700)
            trash.do_sync((paths.TRASH, ""))
        folders: set[str] = set()
        for each in files:
            folder, _, name = each.path.rpartition("/")
            if folder not in folders and (trash.root / folder).is_dir():
                disk.see_writable(trash.root / folder)
                folders.add(folder)
            if each.path in self._named:
                continue
            target = place / name
            try:
                disk.link_path(trash.root / each.path, target)
            except FileNotFoundError:
                continue  # it is missing already, or healed under another name meanwhile
            self._named.add(each.path)
            fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
            try:
                found, old = os.fstat(fd), os.stat(trash.root / each.path)
                if found.st_ino != old.st_ino:  # a copy, where there are no links
                    os.utime(target, ns=(old.st_atime_ns, old.st_mtime_ns))
                disk.fsync(fd)
            finally:
                os.close(fd)
        trash.do_sync({f"{paths.TRASH}/{self._folder}", *folders})

    def withdraw(self) -> None:
        """Take the second names back."""
        place = self._trash.place(self._folder)
        self._named.clear()
        if not place.is_dir():
            return
        try:
            for each in os.scandir(place):
                os.unlink(each.path)
            place.rmdir()
        except OSError as error:
            log.warning("what is left of a deletion is removed at the next start: %s", error)

    def do_take(self, writer: Writer) -> int:
        """Delete, if everything has its second name; return the number of the entry, 0 if it needs another round."""
        trash, connection = self._trash, writer.connection
        files = rows.files(connection, self.which)
        if not files:
            raise NotFound(f"there is no {self.which.level} {self.which.key}", "somebody else deleted it just now")
        if self._only is not None and any(each.digest not in self._only for each in files):
            raise Unavailable(f"{self.which.key} has changed meanwhile", "it is looked at again next time")
        paths_now = {each.path for each in files}
        if self._named - paths_now:
            return 0
        fresh = [each for each in files if each.path not in self._named]
        if len(fresh) > _ON_THE_LANE and any((trash.root / each.path).exists() for each in fresh):
            return 0
        if fresh:
            self.name(fresh)
        if not trash.do_let_go(files):
            self.waits = "the journal cannot let go of it (if that stays so: check the disk, start the node again)"
            return 0
        absent = paths_now - self._named

        def take(connection: sqlite3.Connection) -> int:
            return rows.take_out(
                connection, self.which, trash.now(), self._folder, absent, why=self._why, by=self._by, rule=self._rule
            )

        try:
            number = writer.transaction(take)
        except sqlite3.Error as error:
            # The log may hold the commit although its sync failed: the second names have to be there then.
            self.done = primary_code(error) == sqlite3.SQLITE_IOERR
            raise
        finally:
            trash.do_forget_rows()
        self.done = True
        try:
            problem = trash.do_remove_names(connection, self._folder, files)
            if problem:
                log.warning("in the trash, but %s; this is tried again", problem)
            writer.transaction(lambda c: rows.mark(c, number, MOVING if problem else "", problem))
        except sqlite3.Error as error:
            log.warning("in the trash, what is left of it elsewhere is removed later: %s", error)
        return number


class Return:
    """One entry on its way back."""

    def __init__(self, trash: Ground, entry: Entry, instances: list[Trashed]) -> None:
        self.places: dict[int, str] = {}
        self.there = 0
        self.refused: list[tuple[str, str]] = []
        self._trash = trash
        self._entry = entry
        self._instances = instances
        self._made: list[Path] = []
        self._spare: list[int] = []

    def do_return(self, writer: Writer) -> None:
        """Name the files, commit the rows, remove the names in the trash; raises OSError."""
        trash, entry = self._trash, self._entry
        try:
            for each in self._instances:
                self._do_place(writer.connection, each)
            trash.do_sync(self._folders())
        except BaseException:
            self._do_withdraw(writer)
            raise

        def commit(connection: sqlite3.Connection) -> int:
            put_back(connection, entry.id, self.places, trash.now())
            told = f"{plural(len(self.refused), 'instance')} could not come back" if self.refused else ""
            return rows.settle(connection, entry.id, [*self.places, *self._spare], told)

        try:
            left = writer.transaction(commit)
        except BaseException as error:
            if isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_IOERR:
                trash.doubtful.add(entry.id)  # the log may hold the commit: the names have to be there then
            else:
                self._do_withdraw(writer)
            raise
        finally:
            trash.do_forget_rows()
        going = {*self.places, *self._spare}
        try:
            for each in self._instances:
                if each.id in going:
                    (trash.place(entry.folder) / each.path.rpartition("/")[2]).unlink(missing_ok=True)
            if not left:
                trash.place(entry.folder).rmdir()
        except OSError as error:
            log.warning("what is left in the trash is removed at the next start: %s", error)

    def _do_place(self, connection: sqlite3.Connection, each: Trashed) -> None:
        """Give one file its place, or say why it has none."""
        trash = self._trash
        folder, _, name = each.path.rpartition("/")
        kept = trash.place(self._entry.folder) / name
        there = connection.execute(
            "SELECT digest, missing FROM instances WHERE sop_instance = ?", (current(connection, each.sop_instance),)
        ).fetchone()
        if there is not None and there[0] == each.digest and not there[1]:
            self.there += 1
            self._spare.append(each.id)
            return
        if there is not None:
            why = (
                "the archive has it, but without its file: repair that first" if there[0] == each.digest
                else "other content came under its SOP Instance UID"
            )  # fmt: skip
            self.refused.append((each.sop_instance, why))
            return
        if not kept.exists():
            if each.missing:
                self.places[each.id] = each.path
            else:
                self.refused.append((each.sop_instance, "its file is not in the trash"))
            return
        self._do_make_folder(folder)
        for path in dict.fromkeys(_beside(each)):
            target = trash.root / path
            try:
                trash.disk.link_path(kept, target)
            except FileExistsError:
                if not _same(target, kept):
                    continue
            else:
                self._made.append(target)
                if target.stat().st_ino != kept.stat().st_ino:
                    self._do_finish_copy(kept, target)
            self.places[each.id] = path
            return
        self.refused.append((each.sop_instance, "a file of its name is there that the index does not know"))

    def _do_finish_copy(self, kept: Path, target: Path) -> None:
        old = kept.stat()
        os.utime(target, ns=(old.st_atime_ns, old.st_mtime_ns))

    def _do_make_folder(self, folder: str) -> None:
        made = self._trash.root
        for name in folder.split("/"):
            parent, made = made, made / name
            if not made.is_dir():
                made.mkdir(mode=0o700)
                self._trash.do_sync((str(parent.relative_to(self._trash.root)),))

    def _folders(self) -> set[str]:
        return {path.rpartition("/")[0] for path in self.places.values()}

    def _do_withdraw(self, writer: Writer) -> None:
        try:
            for each in self._made:
                self._trash.disk.unlink_path(each)
            writer.transaction(lambda c: rows.mark(c, self._entry.id, ""))
        except (OSError, sqlite3.Error) as error:
            log.warning("what is left of a return from the trash is removed later: %s", error)


def _beside(each: Trashed | File) -> tuple[str, str]:
    """Return the places that an object's file may have: its own, and the one for when that name is taken."""
    folder = each.path.rpartition("/")[0]
    return each.path, f"{folder}/{paths.object_name(each.sop_instance, each.digest)}"


def _same(path: Path, kept: Path) -> bool:
    """Return whether a name is that of a file in the trash, or of its original where it had to be copied."""
    try:
        one, other = os.stat(path, follow_symlinks=False), os.stat(kept, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return True
    alone = one.st_nlink == other.st_nlink == 1
    return alone and (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
