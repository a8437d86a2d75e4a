"""The calls to the operating system that durability rests on, in one thin place that tests can break.

Paths are relative to the data directory. Folders are kept open: naming files by folder descriptor spares the kernel
the walk, and the same descriptor is what gets synced.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from pacstui.archive import aio
from pacstui.archive.paths import INCOMING

_OPEN_FOLDERS = 128
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SLICE = 64 << 20


_NO_LINKS = frozenset((errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS))


def _copy(source: int, target: int) -> None:
    """Copy and sync a file where the file system has no hard links."""
    with os.fdopen(source, "rb") as read, os.fdopen(target, "wb") as write:
        shutil.copyfileobj(read, write, 1 << 20)
        write.flush()
        os.fsync(write.fileno())


class Disk:
    """System calls only; each raises OSError as the system gives it."""

    def open(self, path: str, flags: int, mode: int, folder: int | None) -> int:
        return os.open(path, flags, mode, dir_fd=folder)

    def write(self, fd: int, parts: Sequence[bytes | bytearray | memoryview]) -> int:
        return os.writev(fd, parts)

    def overwrite(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def write_at(self, fd: int, parts: Sequence[bytes | bytearray | memoryview], offset: int) -> None:
        """Write all of ``parts`` from ``offset`` on."""
        total = sum(len(part) for part in parts)
        done = os.pwritev(fd, parts, offset)
        if done < total:
            rest = memoryview(b"".join(parts))
            while done < total:
                done += os.pwrite(fd, rest[done:], offset + done)

    def write_through(self, fd: int, data: memoryview, offset: int) -> None:
        """Write all of ``data`` to a descriptor of `open_through`: durable on return. Multiples of 4096 bytes only."""
        done = os.pwrite(fd, data, offset)
        while done < len(data):
            done += os.pwrite(fd, data[done:], offset + done)

    def begin_through(self, queue: aio.Queue, fd: int, data: memoryview, offset: int) -> Callable[[], None]:
        """Begin what `write_through` does; return what waits for it. ``data`` must not change before."""
        begun = queue.write(fd, data, offset)

        def end() -> None:
            done = begun.wait()
            if done < len(data):
                self.write_through(fd, data[done:], offset + done)

        return end

    def open_through(self, path: Path) -> int:
        """Open a file for writes that pass the cache by and are durable on return; -1 where there is no such."""
        flags = getattr(os, "O_DIRECT", 0)
        if not flags:
            return -1
        try:
            return os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_DSYNC | flags)
        except OSError:  # not every file system has it
            return -1

    def probe(self, path: Path, size: int) -> None:
        """Write, sync and remove a file of ``size`` zeros; raises OSError."""
        fd = self.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, None)
        try:
            write_all(self, fd, (bytes(size),))
            self.fsync(fd)
        finally:
            self.close(fd)
            os.unlink(path)

    def sync_data(self, fd: int) -> None:
        os.fdatasync(fd)

    def start_writing(self, fd: int) -> None:
        """Ask the system to begin writing a file out, without waiting."""
        if not aio.start_writing(fd) and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fsync_folder(self, fd: int) -> None:
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, name: str, target: str, source_folder: int, target_folder: int) -> None:
        os.rename(name, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)

    def link(self, name: str, target: str, source_folder: int, target_folder: int) -> None:
        try:
            os.link(name, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(
                os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=source_folder),
                os.open(target, NEW_FILE, 0o600, dir_fd=target_folder),
            )

    def link_path(self, path: Path, target: Path) -> None:
        try:
            os.link(path, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _copy(os.open(path, os.O_RDONLY | os.O_CLOEXEC), os.open(target, NEW_FILE, 0o600))

    def unlink(self, name: str, folder: int) -> None:
        os.unlink(name, dir_fd=folder)

    def unlink_path(self, path: Path) -> None:
        os.unlink(path)

    def see_writable(self, folder: Path) -> None:
        """Raise OSError where names in a folder cannot be removed."""
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def mkdir(self, name: str, folder: int) -> None:
        os.mkdir(name, 0o700, dir_fd=folder)

    def exists(self, name: str, folder: int) -> bool:
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def size_of(self, path: Path) -> int:
        return os.stat(path).st_size

    def statvfs(self, path: Path) -> tuple[int, int]:
        """Return free and total bytes of the volume, free ones as an unprivileged process has them."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def write_all(disk: Disk, fd: int, parts: Sequence[bytes | bytearray | memoryview]) -> None:
    """Write all of ``parts``; a single call may write less than asked."""
    written = disk.write(fd, parts)
    total = sum(len(part) for part in parts)
    if written == total:
        return
    rest = [memoryview(part) for part in parts]
    done = written
    while done < total:
        skip = written
        while rest and skip >= len(rest[0]):
            skip -= len(rest[0])
            rest.pop(0)
        rest[0] = rest[0][skip:]
        written = disk.write(fd, [rest[0][:_SLICE], *rest[1:]] if len(rest[0]) > _SLICE else rest)
        if written <= 0:
            raise OSError(5, "the system wrote nothing")
        done += written


class Folders:
    """Open descriptors of folders below ``root``. Used by one thread at a time, except :attr:`incoming`."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self._disk = disk
        self._root_fd = disk.open(str(root), _FOLDER, 0, None)
        self._open: OrderedDict[str, int] = OrderedDict()
        self._touched: set[str] = set()
        self.incoming = self._step(self._root_fd, INCOMING, "")

    def get(self, path: str) -> int:
        """Return the descriptor of a folder; missing folders are made, and listed for the next sync."""
        fd = self._open.get(path)
        if fd is not None:
            self._open.move_to_end(path)
            return fd
        parent, _, name = path.rpartition("/")
        fd = self._step(self.get(parent) if parent else self._root_fd, name, parent)
        self._open[path] = fd
        return fd

    def _step(self, parent_fd: int, name: str, parent: str) -> int:
        try:
            return self._disk.open(name, _FOLDER, 0, parent_fd)
        except FileNotFoundError:
            self._disk.mkdir(name, parent_fd)
            self._touched.add(parent)
            return self._disk.open(name, _FOLDER, 0, parent_fd)

    def touched(self, path: str) -> None:
        """Note that a folder's entries have changed."""
        self._touched.add(path)

    def sync(self, failed: dict[str, OSError]) -> None:
        """Sync every folder touched since the last call; put those that could not be into ``failed``."""
        for path in sorted(self._touched):
            try:
                self._disk.fsync_folder(self.get(path) if path else self._root_fd)
            except OSError as error:
                failed[path] = error
        self._touched = set(failed)  # whoever comes there next has to wait for it too

    def forget(self, path: str) -> None:
        """Close a folder's descriptor, because it seems to be gone."""
        fd = self._open.pop(path, None)
        if fd is not None:
            self._disk.close(fd)

    def trim(self) -> None:
        """Close the descriptors used longest ago; call between batches."""
        while len(self._open) > _OPEN_FOLDERS:
            _, fd = self._open.popitem(last=False)
            self._disk.close(fd)

    def new_file(self, name: str) -> int:
        """Make a temporary file in the incoming folder and return its descriptor."""
        return self._disk.open(name, NEW_FILE, 0o600, self.incoming)

    def close(self) -> None:
        """Close all descriptors."""
        for fd in (*self._open.values(), self.incoming, self._root_fd):
            self._disk.close(fd)
        self._open.clear()
