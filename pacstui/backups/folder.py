"""A target in a folder: a mounted disk, a share, a USB drive.

Others may be able to write there too, also while something runs. So everything below the folder is reached step by
step from an open folder (openat(2)), links are never followed, and nothing but ordinary files is read: whoever can
write to a target must not get at anything outside of it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final, cast

from pacstui.backups.patience import asked
from pacstui.backups.store import Refused, translate
from pacstui.errors import Corrupt, NotFound, Unavailable

_PIECE: Final = 1 << 20
_TEMPORARY: Final = "tmp"
_WHOLE: Final = 256 << 20
"""No file that is read at once is larger: packs in memory have 96 MiB at most, manifests and lists less."""
_STRANGE: Final = "somebody else wrote there: look at it, and at who may write to this folder"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class FolderStore:
    """A folder on a file system. The folder must stay the one that it was when it was opened."""

    kind = "folder"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)
        self._root = -1
        self._spool = -1

    @contextmanager
    def _guarded(self, name: str = "", size: int = 0) -> Iterator[None]:
        """Turn errors of the system into sentences; see first that the folder is still what it was."""
        with self._telling(name), asked(f"the folder {self.path}", size):
            yield

    @contextmanager
    def _telling(self, name: str = "") -> Iterator[None]:
        try:
            if self._root >= 0 and not os.path.samestat(self.path.stat(), os.fstat(self._root)):
                raise Unavailable(f"{self.path} was unmounted or replaced meanwhile", "mount it and start again")
            yield
        except FileNotFoundError:
            if self._root < 0 or not self.path.is_dir():
                raise Unavailable(f"the folder {self.path} is not there", "is it mounted?") from None
            raise NotFound(f"{name or 'a file'} is not in {self.path}", "what else: pacstui backup verify") from None
        except OSError as error:
            raise translate(error, f"the folder {self.path}") from error

    def open(self, make: bool) -> None:
        """See `Store`."""
        self.close()
        with self._guarded():
            if make and not self.path.exists() and self.path.parent.is_dir():
                self.path.mkdir(mode=0o700)
                _sync_folder(self.path.parent)
            if self.path.exists() and not self.path.is_dir():
                raise Unavailable(f"{self.path} is a file and no folder", "correct the url of the target")
            self._root = os.open(self.path, _FOLDER & ~os.O_NOFOLLOW)

    def close(self) -> None:
        """See `Store`."""
        for fd in (self._root, self._spool):
            if fd >= 0:
                os.close(fd)
        self._root = self._spool = -1

    @contextmanager
    def _reached(self, name: str, make: bool = False) -> Iterator[tuple[int, str]]:
        """Yield the open folder that a file lies in, and the file's name there.

        Raises
        ------
        Unavailable
            When a link is on the way.
        FileNotFoundError
            When a folder on the way is not there and not to be made.
        """
        *folders, last = name.split("/")
        if {"", ".", ".."} & {*folders, last} or self._root < 0:
            raise Unavailable(f"{name} leads out of {self.path}", _STRANGE)
        here = os.dup(self._root)
        try:
            for folder in folders:
                step = self._stepped(here, folder, make, name)
                os.close(here)
                here = step
            yield here, last
        finally:
            os.close(here)

    def _stepped(self, here: int, folder: str, make: bool, name: str) -> int:
        try:
            return os.open(folder, _FOLDER, dir_fd=here)
        except FileNotFoundError:
            if not make:
                raise
        except NotADirectoryError:
            raise self._strange(here, folder, name) from None
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700, dir_fd=here)
        _sync(here)
        try:
            return os.open(folder, _FOLDER, dir_fd=here)
        except NotADirectoryError:
            raise self._strange(here, folder, name) from None

    def _strange(self, here: int, part: str, name: str) -> Unavailable:
        link = stat.S_ISLNK(os.stat(part, dir_fd=here, follow_symlinks=False).st_mode)
        what = f"is a link ({part}): a target has none" if link else "is no ordinary file"
        return Unavailable(f"{self.path}/{name} {what}", _STRANGE)

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        with self._reached(name) as (here, last):
            mode = os.stat(last, dir_fd=here, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                raise self._strange(here, last, name)
            fd = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
            with os.fdopen(fd, "rb", buffering=0) as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise self._strange(here, last, name)
                yield cast(BinaryIO, file)

    def get(self, name: str) -> bytes:
        """See `Store`."""
        with self._guarded(name), self._opened(name) as file:
            length = os.fstat(file.fileno()).st_size
            if length > _WHOLE:
                raise Corrupt(f"{name} in the target is far too large ({length:,} bytes)", _STRANGE)
            data = b""
            while piece := file.read(length + 1 - len(data)):
                data = data + piece if data else piece
                if len(data) > length:
                    raise Corrupt(f"{name} in the target grows while it is read", _STRANGE)
            return data

    def pieces(self, name: str) -> Iterator[bytes]:
        """See `Store`."""
        with self._telling(name), self._opened(name) as file:
            while True:
                with asked(f"the folder {self.path}"):
                    piece = file.read(_PIECE)
                if not piece:
                    return
                yield piece

    def part(self, name: str, offset: int, size: int) -> bytes:
        """See `Store`."""
        with self._guarded(name), self._opened(name) as file:
            file.seek(offset)
            data = b""
            while len(data) < size and (piece := file.read(size - len(data))):
                data += piece
            return data

    def put(self, name: str, data: bytes) -> None:
        """See `Store`."""
        with self._guarded(name):
            temporary = self._written(data)
            try:
                self._place(temporary, name)
            except BaseException:
                self._drop(temporary)
                raise

    def put_file(self, name: str, path: Path) -> None:
        """See `Store`."""
        with self._guarded(name, path.stat().st_size):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            self._place(path.name, name)

    def _written(self, data: bytes) -> str:
        """Write a temporary file; return its name in the spool."""
        name, spool = token_hex(8), self._spool_folder()
        fd = os.open(name, _NEW, 0o600, dir_fd=spool)
        try:
            with os.fdopen(fd, "wb", buffering=0) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view[: 8 * _PIECE]) :]
                os.fsync(file.fileno())
        except BaseException:
            self._drop(name)
            raise
        return name

    def _drop(self, temporary: str) -> None:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=self._spool)

    def _place(self, temporary: str, name: str) -> None:
        with self._reached(name, make=True) as (here, last):
            os.rename(temporary, last, src_dir_fd=self._spool_folder(), dst_dir_fd=here)
            _sync(here)

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`. A link does it: the name appears with its content, or not at all."""
        with self._guarded(name), self._reached(name, make=True) as (here, last):
            while True:
                temporary = self._written(data)
                try:
                    os.link(temporary, last, src_dir_fd=self._spool, dst_dir_fd=here, follow_symlinks=False)
                    _sync(here)
                    return True
                except FileExistsError:
                    return False
                except FileNotFoundError:
                    continue  # who holds the lock has just cleared the spool
                except OSError as error:  # a file system without hard links
                    if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                        raise
                    return self._create_plainly(here, last, data)
                finally:
                    self._drop(temporary)

    @staticmethod
    def _create_plainly(here: int, last: str, data: bytes) -> bool:
        try:
            fd = os.open(last, _NEW, 0o600, dir_fd=here)
        except FileExistsError:
            return False
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return True

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store`."""
        with self._telling():
            try:
                with self._reached(f"{prefix}x") as (here, _):
                    yield from self._below(here, prefix)
            except FileNotFoundError:
                return

    def _below(self, here: int, prefix: str) -> Iterator[tuple[str, int]]:
        with asked(f"the folder {self.path}"), os.scandir(here) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if prefix or entry.name != _TEMPORARY:
                    fd = os.open(entry.name, _FOLDER, dir_fd=here)
                    try:
                        yield from self._below(fd, f"{prefix}{entry.name}/")
                    finally:
                        os.close(fd)
            elif entry.is_file(follow_symlinks=False):
                length = os.stat(entry.name, dir_fd=here, follow_symlinks=False).st_size
                yield f"{prefix}{entry.name}", length

    def delete(self, name: str) -> None:
        """See `Store`."""
        with self._guarded(name), suppress(FileNotFoundError):
            with self._reached(name) as (here, last):
                try:
                    os.unlink(last, dir_fd=here)
                except PermissionError as error:
                    raise Refused(
                        f"{self.path}/{name} may not be removed: {error.strerror}",
                        "it is immutable, or the folder's rights changed",
                    ) from None
            if name.startswith("snapshots/"):
                with suppress(OSError), self._reached(name.rpartition("/")[0]) as (above, folder):
                    os.rmdir(folder, dir_fd=above)

    def free(self) -> int | None:
        """See `Store`."""
        with self._guarded():
            found = os.statvfs(self._root)
            return found.f_bavail * found.f_frsize

    def _spool_folder(self) -> int:
        if self._spool < 0:
            with self._reached(f"{_TEMPORARY}/x", make=True) as (here, _):
                self._spool = os.dup(here)
        return self._spool

    def spool(self) -> Path:
        """See `Store`. By the open folder, so that nobody can put another in its place."""
        with self._guarded():
            return Path(f"/proc/self/fd/{self._spool_folder()}")

    def clear(self) -> None:
        """See `Store`. The folder itself stays: who waits for the lock may have it open."""
        with self._guarded():
            spool = self._spool_folder()
            with os.scandir(spool) as found:
                names = [entry.name for entry in found]
            for name in names:
                try:
                    os.unlink(name, dir_fd=spool)
                except IsADirectoryError:
                    shutil.rmtree(name, ignore_errors=True, dir_fd=spool)
                except FileNotFoundError:
                    continue


def _sync(fd: int) -> None:
    with suppress(OSError):  # some shares cannot sync a folder
        os.fsync(fd)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, _FOLDER)
    try:
        _sync(fd)
    finally:
        os.close(fd)
