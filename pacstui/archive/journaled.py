"""The files that the journal stands for: completed where a crash left them incomplete, synced when there is time."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pacstui.archive import paths
from pacstui.archive.disk import Disk, write_all
from pacstui.archive.records import Record, standing

log = logging.getLogger("pacstui.archive")


class JournaledFiles:
    """Files of journaled objects below ``root``; paths are relative to it. Used by one thread at a time."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root = root
        self._disk = disk
        self._serial = 0

    def sync(self, names: list[str], failed: set[str], records: Callable[[], Iterable[Record]]) -> None:
        """Sync files; those that could not be are put into ``failed``, and written again from ``records``.

        Raises
        ------
        OSError
            When that cannot be done either; ``failed`` still has them.
        """
        opened: list[tuple[str, int]] = []
        try:
            for name in names:
                try:
                    fd = self._disk.open(str(self._root / name), os.O_RDONLY | os.O_CLOEXEC, 0, None)
                except FileNotFoundError:
                    continue  # removed or moved since
                opened.append((name, fd))
                self._disk.start_writing(fd)
            for name, fd in opened:
                try:
                    self._disk.fsync(fd)
                except OSError as error:
                    log.warning("%s could not be synced and is written again: %s", name, error)
                    failed.add(name)  # a second sync of a file says nothing of what the first could not write
        finally:
            for _, fd in opened:
                os.close(fd)
        if failed:
            last = standing(records())
            for name in sorted(failed & set(last)):
                self.write(last[name])
                failed.discard(name)
        if failed:
            raise OSError(errno.EIO, os.strerror(errno.EIO), min(failed))

    def is_whole(self, record: Record) -> bool:
        """Return whether an object's file has the journal's bytes; it is durable then."""
        assert record.body is not None
        try:
            with open(self._root / record.path, "rb") as file:
                if os.fstat(file.fileno()).st_size != len(record.meta) + len(record.body):
                    return False
                if file.read(len(record.meta)) != record.meta or file.read() != record.body:
                    return False
                self._disk.fsync(file.fileno())
        except OSError:  # not there, or it cannot be read: written anew
            return False
        return True

    def write(self, record: Record) -> None:
        """Write an object's file, durably."""
        assert record.body is not None
        self._serial += 1
        folder = record.path.rpartition("/")[0]
        temp = self._root / paths.INCOMING / f"journal-{self._serial}.part"
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(self._disk, fd, (record.meta, record.body))
            os.utime(fd, (record.received, record.received))
            self._disk.fsync(fd)
        finally:
            os.close(fd)
        made = self._root
        for name in folder.split("/"):
            parent, made = made, made / name
            if not made.is_dir():
                made.mkdir(mode=0o700)
                self._sync_folder(parent)
        os.rename(temp, self._root / record.path)
        self._sync_folder(self._root / folder)

    def sync_folders(self, folders: set[str]) -> None:
        for folder in sorted(folders):
            try:
                self._sync_folder(self._root / folder)
            except FileNotFoundError:
                continue  # it became empty and was removed

    def _sync_folder(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._disk.fsync_folder(fd)
        finally:
            os.close(fd)
