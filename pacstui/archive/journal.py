"""The journal: one write and one sync make all small objects of a batch durable, bytes, place and index row at once.

An object's file is written under its name and its rows are committed right after, so that every reader finds it at
once, but their own syncs come later, away from the sender's waiting. Until then the journal holds the object's bytes
and its place, and its rows follow from its bytes. Two segments of fixed size take turns: when one is full, the files
that it stands for and the index's log are synced on a thread, and only then is it written over. If that takes too long
there is no room, and the lane syncs file by file instead. After a crash :meth:`Journal.replay` compares each journaled
object with its file and writes the file again where it is not whole; what has no row then gets one, like any whole
file without a row.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from pacstui.archive import part10, paths
from pacstui.archive.disk import Disk, write_all
from pacstui.archive.journaled import JournaledFiles
from pacstui.archive.records import BLOCK, HEAD_BYTES, Record, encode, generation_of, head, read, room_for, standing
from pacstui.archive.segment import Segment, Writing

log = logging.getLogger("pacstui.archive")

FOLDER: Final = "journal"
LARGEST: Final = 1 << 20
_NAMES: Final = ("a", "b")
_ZEROS: Final = bytes(1 << 20)
_AT_ONCE: Final = 128
_FILES_OPEN: Final = 64
_IDLE_S: Final = 5.0


def _nothing() -> None:
    pass


class Journal:
    """Two segments below the data directory. `append`, `turn` and `tend` are called by one thread, the lane's.

    ``sync_index`` makes committed rows durable; it is called on the journal's thread, and raises OSError.
    ``trouble`` is what the disk says while objects are kept by the journal alone because their files cannot be synced.
    """

    def __init__(self, data_dir: Path, disk: Disk, size: int, sync_index: Callable[[], None]) -> None:
        self._sync_index = sync_index
        self._root = data_dir
        self._disk = disk
        self._size = size // 2 // BLOCK * BLOCK
        self._segments = [Segment(data_dir / FOLDER / name) for name in _NAMES]
        self._active = self._segments[0]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pacstui-journal")
        self._writing = Writing(disk, self._segments)
        self._ready = threading.Event()
        self._files = JournaledFiles(data_dir, disk)
        self._used_at = 0.0
        self._counting = threading.Lock()
        self._files_open = 0
        # Whether the segments may hold objects of an earlier session.
        self._old = True
        self.trouble = ""

    @property
    def ready(self) -> bool:
        """Whether objects can be journaled."""
        return self._ready.is_set()

    def replay(self, kept: Callable[[str, bytes, str], bool]) -> tuple[int, set[str]]:
        """Write the files again that a crash left incomplete.

        Parameters
        ----------
        kept
            Tells, for a SOP Instance UID, a digest and a path, whether the index has this very content there, or does
            not know the object.

        Returns
        -------
        tuple
            How many files were written, and the folders of all objects in the journal, relative to the data directory.

        Raises
        ------
        OSError
            The journal is as it was then, to be replayed at the next start.
        """
        written = 0
        folders: set[str] = set()
        fault: OSError | None = None
        for record in standing(self._records()).values():
            if not kept(part10.parse(record.meta, True).sop_instance, record.digest, record.path):
                continue
            try:
                if not self._files.is_whole(record):
                    self._files.write(record)
                    written += 1
            except OSError as error:  # the others are completed all the same
                log.error("%s could not be completed from the journal: %s", record.path, error)
                fault = fault or error
                continue
            folders.add(record.path.rpartition("/")[0])
        self._files.sync_folders(folders)
        if fault is not None:
            raise fault
        return written, folders

    def _records(self) -> Iterator[Record]:
        """Yield what both segments hold, in the order in which it was written; raises OSError."""
        for _, path in sorted((self._generation(each.path), each.path) for each in self._segments):
            try:
                with open(path, "rb") as file:
                    if os.fstat(file.fileno()).st_size < BLOCK:
                        continue
                    view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except FileNotFoundError:
                continue
            for record in read(view):
                if paths.is_object(record.path):
                    yield record
                else:
                    log.error("a record of the journal names no object's place, and is left out: %r", record.path[:200])

    def start(self) -> None:
        """Make room on the disk, on a thread; objects are journaled from when that is done."""
        if self._size >= 16 * BLOCK:
            self._thread.submit(self._prepare)
            return
        for segment in self._segments:  # of a time when there was one; it was replayed if need be
            with suppress(OSError):
                os.unlink(segment.path)
        self._old = any(segment.path.exists() for segment in self._segments)

    async def prepared(self) -> None:
        """Return when it is known whether objects can be journaled."""
        with suppress(RuntimeError):  # it is being closed
            await asyncio.wrap_future(self._thread.submit(_nothing))

    def append(self, records: Sequence[Record], folders: set[str]) -> Callable[[], bool] | None:
        """Write objects. ``folders`` are those that their files are named in.

        Returns
        -------
        callable or None
            Waits, and tells whether the objects are durable; their files have to be synced one by one if not. None
            when there is no room at this moment, and nothing was written.
        """
        if not self._ready.is_set():
            return None
        wanted = sum(room_for(each) for each in records)
        if self._active.at + wanted > self._size and not self.turn():
            return None
        segment = self._active
        if segment.at + wanted > self._size:
            return None
        parts: list[bytes | bytearray | memoryview] = []
        total = 0
        for record in records:
            encoded, length = encode(record, segment.generation)
            parts += encoded
            total += length
        try:
            self._writing.begin(segment, parts, total)
        except OSError as error:
            self._give_up(error)
            return None
        segment.at += total
        segment.objects += [record.path for record in records]
        segment.folders |= folders
        segment.names.update(record.path for record in records)
        self._used_at = time.monotonic()
        return self._durable

    def _durable(self) -> bool:
        try:
            self._writing.wait()
        except OSError as error:
            self._give_up(error)
            return False
        return True

    def take_back(self, path: str, digest: bytes) -> None:
        """Note that an object of this batch was refused after it was journaled; no sync, as nobody was told that it is
        kept. There is room: `append` saw to that. In the middle of a batch the segment must not be set free.
        """
        if self._ready.is_set():
            self._note_back(path, digest)

    def forget(self, path: str, digest: bytes) -> None:
        """Note that an object has another place now, which is durable by itself; between two batches.

        Without a sync, as the index knows the other place; `let_go` syncs it with what is deleted.
        """
        if not self._ready.is_set() or not any(path in segment.names for segment in self._segments):
            return
        if not self._note_back(path, digest) and self.turn():
            self._note_back(path, digest)

    def _note_back(self, path: str, digest: bytes) -> bool:
        parts, length = encode(Record(path, digest, None), self._active.generation)
        if self._active.at + length > self._size:
            return False
        try:
            self._writing.note(self._active, parts, self._active.at)
        except OSError as error:
            self._give_up(error)
            return False
        self._active.at += length
        return True

    def let_go(self, objects: Sequence[tuple[str, bytes]]) -> bool:
        """Note, durably, that objects are no longer where the journal says, so that no replay brings them back.

        Their files are durable by themselves. By the lane's thread.

        Parameters
        ----------
        objects
            Path and digest of each.

        Returns
        -------
        bool
            False when that cannot be noted at this moment; they have to stay then.
        """
        if self._old or any(path in segment.failed for path, _ in objects for segment in self._segments):
            return False
        if not self._noted_is_durable():  # a segment that was begun anew may still be the one before on the disk
            return False
        held = [each for each in objects if any(each[0] in segment.names for segment in self._segments)]
        if not held:
            return True
        for path, digest in held:
            if not self._ready.is_set():
                return False
            if not self._note_back(path, digest) and not (self.turn() and self._note_back(path, digest)):
                return False
        return self._noted_is_durable()

    def _noted_is_durable(self) -> bool:
        """Sync what was noted in the segments, if anything was; return whether that could be done."""
        try:
            self._writing.wait()
            for segment in self._segments:
                if segment.unsynced:
                    self._writing.sync(segment)
        except OSError as error:
            if self._ready.is_set():
                self._give_up(error)
            return False
        return True

    @property
    def takes_files(self) -> bool:
        """Whether `write_out` takes open files: not while as many wait there as a slow disk would let come together."""
        return self._files_open < _FILES_OPEN

    def write_out(self, files: Sequence[tuple[int, str]]) -> None:
        """Let the system write files out that were journaled, then close them, all on a thread. May be called by any.

        Done as they come, and not by those who sync all of a segment, it never takes the disk from the next object.

        Parameters
        ----------
        files
            Descriptor and path of each.
        """
        with self._counting:
            self._files_open += len(files)
        try:
            self._thread.submit(self._write_out, files)
        except RuntimeError:  # it is being closed, which syncs them
            self._write_out(files)

    def _write_out(self, files: Sequence[tuple[int, str]]) -> None:
        for fd, path in files:
            with suppress(OSError):  # the sync comes later, and says what is wrong
                self._disk.start_writing(fd)
            try:
                self._disk.close(fd)
            except OSError as error:  # who syncs it later may not be told any more
                log.warning("%s could not be written and is written again: %s", path, error)
                for segment in self._segments:
                    if path in segment.objects:
                        segment.failed.add(path)
        with self._counting:
            self._files_open -= len(files)

    def turn(self) -> bool:
        """Go on in the other segment, if it is free, and let the files of this one be synced."""
        segment = self._active
        other = self._segments[1] if segment is self._segments[0] else self._segments[0]
        if not self._ready.is_set() or not other.free:
            return False
        segment.free = False
        try:
            self._begin(other, segment.generation + 1)
        except OSError as error:
            self._give_up(error)
            return False
        self._active = other
        self._settle_soon(segment)
        return True

    def tend(self) -> None:
        """Sync what rests in the journal, if nothing was journaled for some seconds; try again what failed."""
        for segment in self._segments:
            if not segment.free and not segment.settling and segment is not self._active:
                self._settle_soon(segment)
        if self._active.objects and time.monotonic() - self._used_at >= _IDLE_S:
            self.turn()

    def _settle_soon(self, segment: Segment) -> None:
        segment.settling = True
        self._thread.submit(self._settle, segment)

    def close(self) -> bool:
        """Sync the files of everything journaled; return whether nothing has to be replayed."""
        self._thread.shutdown()
        self._writing.close()
        done = [self._settle(segment) for segment in self._segments if segment.objects]
        settled = all(done)
        try:
            for segment in self._segments if settled and self._ready.is_set() else ():
                self._begin(segment, self._active.generation + 1)
                self._writing.sync(segment)
        except OSError as error:
            log.warning("the journal could not be emptied: %s", error)
        self._ready.clear()
        for segment in self._segments:
            for fd in (segment.fd, segment.through):
                if fd >= 0:
                    os.close(fd)
            segment.fd = segment.through = -1
        return settled

    # On the lane's thread.

    def _begin(self, segment: Segment, generation: int) -> None:
        """Give a segment a new generation; its first record's sync carries that along."""
        self._writing.note(segment, [head(generation)], 0)
        segment.generation = generation
        segment.at = BLOCK
        segment.objects = []
        segment.folders = set()
        segment.names = set()

    def _give_up(self, error: OSError) -> None:
        """Journal no more; what is in the journal stays there and is replayed by the next start if need be."""
        self._ready.clear()
        log.warning("objects are synced one by one from now on, the journal failed: %s", error)

    # On the journal's thread.

    def _prepare(self) -> None:
        folder = self._root / FOLDER
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            missing = [each for each in self._segments if not self._fits(each.path)]
            if missing and self._disk.statvfs(self._root)[0] < 16 * self._size * len(missing):
                log.info("objects are synced one by one: too little is free for a journal")
                self._remove_old()
                return
            for segment in missing:
                self._allocate(segment.path)
            generation = 1
            for segment in self._segments:
                segment.fd = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
                segment.through = self._disk.open_through(segment.path)
                generation = max(generation, self._generation(segment.path) + 1)
            for segment in self._segments:
                self._begin(segment, generation)
                self._writing.sync(segment)
            self._files.sync_folders({FOLDER, ""})
        except OSError as error:
            log.warning("objects are synced one by one: no journal can be made: %s", error)
            self._remove_old()
            return
        self._old = False
        self._ready.set()

    def _remove_old(self) -> None:
        """Remove what an earlier session journaled; it was replayed if need be."""
        for segment in self._segments:
            with suppress(OSError):
                os.unlink(segment.path)
        self._old = any(segment.path.exists() for segment in self._segments)

    def _generation(self, path: Path) -> int:
        """Return the generation of a segment, 0 if it has none."""
        try:
            with open(path, "rb") as file:
                return generation_of(file.read(HEAD_BYTES))
        except FileNotFoundError:
            return 0

    def _fits(self, path: Path) -> bool:
        try:
            return path.stat().st_size == self._size
        except FileNotFoundError:
            return False

    def _allocate(self, path: Path) -> None:
        """Write a segment full of zeros: a sync of what is written over them later touches no metadata."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for at in range(0, self._size, len(_ZEROS)):
                write_all(self._disk, fd, [memoryview(_ZEROS)[: min(len(_ZEROS), self._size - at)]])
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, 0)
            raise
        finally:
            os.close(fd)

    def _settle(self, segment: Segment) -> bool:
        """Sync the files that a segment stands for, then set it free."""
        try:
            for at in range(0, len(segment.objects), _AT_ONCE):
                self._files.sync(segment.objects[at : at + _AT_ONCE], segment.failed, self._records)
            self._files.sync_folders(segment.folders)
            self._sync_index()
        except OSError as error:
            # It is not written over before that has worked; the next start would find it.
            if not self.trouble:
                log.error("files could not be synced, the journal keeps their content: %s", error)
            self.trouble = error.strerror or type(error).__name__
            return False
        else:
            if self.trouble:
                log.info("files could be synced again")
            self.trouble = ""
            segment.objects = []
            segment.folders = set()
            segment.free = segment is not self._active
            return True
        finally:
            segment.settling = False
