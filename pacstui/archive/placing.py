"""Objects' files: a batch of them is brought onto the disk, so that it is durable or nothing of it is left.

What is small and new goes to the journal, which is synced, and then to its file; of the rest each file is written under
a temporary name, synced and renamed, and its folder synced. All of it is done on the lane's thread.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from pacstui.archive import part10, paths
from pacstui.archive.disk import NEW_FILE, Disk, Folders, write_all
from pacstui.archive.journal import LARGEST, Journal
from pacstui.archive.records import Record
from pacstui.archive.work import Job, Todo
from pacstui.index.entry import Found

log = logging.getLogger("pacstui.archive")
_LOOKED_AT: Final = 256 << 20
_WRITTEN_OUT: Final = 1 << 16


class Placing:
    """Brings jobs' files onto the disk. A job that fails has its ``error``, and nothing of it is left."""

    def __init__(self, folders: Folders, disk: Disk, journal: Journal) -> None:
        self._folders = folders
        self._disk = disk
        self._journal = journal
        self._serial = 0
        self._spent_s = 0.0
        self._durable: Callable[[], bool] | None = None
        self._journaled: list[Job] = []
        # Whether this session left something on disk that only a reconciliation can judge.
        self.doubtful = False
        self.sync_ms: deque[float] = deque(maxlen=64)

    def place(self, batch: list[Job], received: float) -> None:
        """Write files; ``received`` is in seconds since 1970. What was journaled is durable when `settled` says so."""
        self._durable, self._journaled = None, []
        start = time.perf_counter()
        placing = [job for job in batch if job.error is None and job.wrote]
        if not placing:
            return
        self._write_journaled(placing, received)
        slow = [job for job in placing if not job.placed and job.error is None]
        for job in slow:
            self._attempt(job, Job.know_digest)
            if job.body is not None and job.error is None:
                self._attempt(job, self._write)
        for job in slow if len(slow) > 1 else ():
            if job.fd >= 0:
                self._disk.start_writing(job.fd)  # so that the first sync carries the others' data along
        for job in slow:
            if job.fd >= 0:
                self._attempt(job, self._sync)
        for job in slow:
            if job.error is None:
                self._attempt(job, self._rename)
        self._sync_folders(placing)
        self._spent_s = time.perf_counter() - start

    def settled(self) -> bool:
        """Wait until all that was placed is durable; return whether no more of it has failed since `place`."""
        durable, self._durable = self._durable, None
        start = time.perf_counter()
        good = True
        if durable is not None and not durable():
            late = [job for job in self._journaled if job.journaled]
            for job in late:
                self._attempt(job, self._sync_late)
            self._sync_folders(late)
            good = all(job.error is None for job in late)
        if self._spent_s:
            self.sync_ms.append((self._spent_s + time.perf_counter() - start) * 1e3)
            self._spent_s = 0.0
        return good

    def _write_journaled(self, placing: list[Job], received: float) -> None:
        """Begin to make what is small and new durable at one go, and write its files; nothing if there is no room."""
        small = [job for job in placing if job.todo is Todo.STORE and job.body is not None and job.size <= LARGEST]
        if not small:
            return
        self._durable = self._journal.append(
            [Record(job.path, job.meta, job.body, received) for job in small], {job.folder for job in small}
        )
        if self._durable is None:
            return
        self._journaled = small
        for job in small:
            job.journaled = True
            self._attempt(job, self._write_named)

    def _sync_folders(self, placing: list[Job]) -> None:
        """Sync the folders that got names; jobs in those that could not be fail."""
        failed: dict[str, OSError] = {}
        self._folders.sync(failed)
        for path, error in failed.items():
            for job in placing:
                if job.error is None and any(
                    folder == path or not path or folder.startswith(path + "/")
                    for folder in (job.folder, job.aside_folder)
                ):
                    job.error = error
                    self.undo(job)

    def _attempt(self, job: Job, step: Callable[[Job], None]) -> None:
        try:
            step(job)
        except OSError as error:
            job.error = error
            self.undo(job)

    def _sync_late(self, job: Job) -> None:
        """Sync the file of an object that the journal could not make durable after all."""
        job.journaled = False
        folder = self._folders.get(job.folder)
        self._sync_named(job.name, folder)
        self._folders.touched(job.folder)

    def _write_named(self, job: Job) -> None:
        """Write a journaled object's file under its name."""
        assert job.body is not None
        for attempt in (1, 2):
            try:
                job.fd = self._disk.open(job.name, NEW_FILE, 0o600, self._folders.get(job.folder))
            except FileExistsError:
                self._write_beside(job)
                return
            except FileNotFoundError:
                if attempt == 2:
                    raise
                self._forget(job.folder)
            else:
                break
        job.placed = True
        known = bool(job.digest)
        write_all(self._disk, job.fd, (job.meta, job.body))
        job.know_digest()
        if not known:
            self._disk.overwrite(job.fd, job.digest, len(job.meta) - part10.DIGEST_BYTES)
        if job.size >= _WRITTEN_OUT and self._journal.takes_files:
            return  # closed when it is on its way to the disk
        fd, job.fd = job.fd, -1
        self._disk.close(fd)

    def _write_beside(self, job: Job) -> None:
        """Store an object whose name is taken by a file that the index does not know, as if there were no journal."""
        job.know_digest()
        self._journal.take_back(job.path, job.digest)
        job.journaled = False
        self._write(job)
        self._sync(job)
        self._rename(job)

    def _write(self, job: Job) -> None:
        assert job.body is not None
        self._serial += 1
        name = f"lane-{self._serial}.part"
        job.fd = self._folders.new_file(name)
        job.temp = name
        write_all(self._disk, job.fd, (job.meta, job.body))

    def _sync(self, job: Job) -> None:
        fd = job.fd
        self._disk.fsync(fd)
        job.fd = -1
        self._disk.close(fd)

    def _rename(self, job: Job) -> None:
        folders, disk = self._folders, self._disk
        if job.todo is Todo.OVERWRITE and job.old is not None:
            old_folder, _, old_name = job.old.path.rpartition("/")
            aside = folders.get(job.aside_folder)
            if not disk.exists(job.aside_name, aside):
                disk.link(old_name, job.aside_name, folders.get(old_folder), aside)
                job.linked = True
                self._sync_named(job.aside_name, aside)  # the journal may still stand for it, by its old name
            folders.touched(job.aside_folder)
        for attempt in (1, 2):
            try:
                target = folders.get(job.folder)
                if job.todo in (Todo.STORE, Todo.HEAL) and disk.exists(job.name, target):
                    # A file that the index does not know: never written over, the next reconciliation looks at it.
                    self.doubtful = True
                    job.name = paths.object_name(job.entry.sop_instance, job.digest)
                disk.rename(job.temp, job.name, folders.incoming, target)
            except FileNotFoundError:
                if attempt == 2:
                    raise
                self._forget(job.folder)
            else:
                break
        job.placed, job.temp = True, ""
        folders.touched(job.folder)

    def _forget(self, folder: str) -> None:
        """Look for a folder anew: somebody removed the one that is held open."""
        while folder:
            self._folders.forget(folder)
            folder = folder.rpartition("/")[0]

    def _sync_named(self, name: str, folder: int) -> None:
        """Sync a file that is closed already."""
        fd = self._disk.open(name, os.O_RDONLY | os.O_CLOEXEC, 0, folder)
        try:
            self._disk.fsync(fd)
        finally:
            self._disk.close(fd)

    def undo(self, job: Job) -> None:
        """Leave nothing of an object that failed. What cannot be removed is found by the next reconciliation."""
        disk, folders = self._disk, self._folders
        try:
            if job.fd >= 0:
                fd, job.fd = job.fd, -1
                disk.close(fd)
            if job.journaled:
                job.journaled = False
                job.know_digest()
                self._journal.take_back(job.path, job.digest)
            if job.placed:
                job.placed = False
                disk.unlink(job.name, folders.get(job.folder))
            elif job.temp:
                name, job.temp = job.temp, ""
                disk.unlink(name, folders.incoming)
            if job.linked:
                job.linked = False
                disk.unlink(job.aside_name, folders.get(job.aside_folder))
        except OSError as error:
            self.doubtful = True
            log.warning("what is left of a failed object could not be removed: %s", error)

    def tidy(self, job: Job) -> None:
        """Remove what a committed batch no longer needs: a repeat's file, an overwritten object's old name."""
        try:
            if job.todo in (Todo.REPEAT, Todo.NOTHING) and job.temp:
                self._disk.unlink(job.temp, self._folders.incoming)
            elif job.todo is Todo.HEAL and job.old is not None and job.old.path != job.path:
                self._journal.forget(job.old.path, job.old.digest)
            elif job.todo is Todo.OVERWRITE and job.old is not None:
                self._journal.forget(job.old.path, job.old.digest)
                folder, _, name = job.old.path.rpartition("/")
                self._disk.unlink(name, self._folders.get(folder))
        except OSError as error:
            self.doubtful = True
            log.warning("a file that is no longer needed could not be removed: %s", error)

    def is_whole(self, old: Found) -> bool:
        """Return whether a stored object's file is as it was stored: a repeat is dropped only then. Of a very large one
        the length has to do."""
        if old.missing:
            return False
        try:
            path = self._folders.root / old.path
            if self._disk.size_of(path) != old.data_offset + old.size:
                return False
            if old.size > _LOOKED_AT:
                return True
            with open(path, "rb") as file:
                file.seek(old.data_offset)
                return hashlib.file_digest(file, "sha256").digest() == old.digest
        except OSError:
            return False
