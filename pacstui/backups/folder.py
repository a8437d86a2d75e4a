"""A target in a folder: a mounted disk, a share, a USB drive.

Others may be able to write there too. So links are never followed below the folder, and nothing but ordinary files is
read: whoever can write to a target must not get at anything outside of it.
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

from pacstui.errors import Corrupt, NotFound, PacsError, StorageFull, Unavailable

_PIECE: Final = 1 << 20
_CLEARED: Final = 5  # times that others, who got a lock, may clear our temporary file away
_TEMPORARY: Final = "tmp"
_WHOLE: Final = 256 << 20
"""No file that is read at once is larger: packs in memory have 96 MiB at most, manifests and lists less."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STRANGE: Final = "somebody else wrote there: look at it, and at who may write to this folder"
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def translate(error: OSError, place: str) -> PacsError:
    """Return what an error of the system means for a target."""
    if error.errno in _FULL:
        return StorageFull(
            f"{place} is full", "prune (pacstui backup prune), make room there, or use another target; "
            "the next run goes on where this one ended",
        )  # fmt: skip
    if error.errno in _READ_ONLY:
        return Unavailable(
            f"{place} cannot be written: {error.strerror}", "correct its rights, or mount it for writing"
        )
    if error.errno in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return Unavailable(f"{place} fails: {error.strerror}", "check cable and disk; mount it again")
    return Unavailable(f"{place} cannot be used: {error.strerror or error}", "is it mounted?")


class FolderStore:
    """A folder on a file system. The folder must stay the one that it was when it was opened."""

    kind = "folder"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)
        self._is: tuple[int, int] | None = None

    @contextmanager
    def _guarded(self, name: str = "") -> Iterator[None]:
        """Turn errors of the system into sentences; see first that the folder is still what it was."""
        try:
            if self._is is not None and self._identity() != self._is:
                raise Unavailable(f"{self.path} was unmounted or replaced meanwhile", "mount it and start again")
            yield
        except FileNotFoundError:
            if self._is is None or not self.path.is_dir():
                raise Unavailable(f"the folder {self.path} is not there", "is it mounted?") from None
            raise NotFound(f"{name or 'a file'} is not in {self.path}", "what else: pacstui backup verify") from None
        except OSError as error:
            raise translate(error, f"the folder {self.path}") from error

    def _identity(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def open(self, make: bool) -> None:
        """See `Store`."""
        with self._guarded():
            if make and not self.path.exists() and self.path.parent.is_dir():
                self.path.mkdir(mode=0o700)
                _sync_folder(self.path.parent)
            if self.path.exists() and not self.path.is_dir():
                raise Unavailable(f"{self.path} is a file and no folder", "correct the url of the target")
            if not self.path.is_dir():
                raise FileNotFoundError
            self._is = self._identity()

    def _placed(self, name: str) -> Path:
        """Return where a file lies; raises `Unavailable` when a link is on the way or another thing than a file."""
        parts = name.split("/")
        if ".." in parts or name.startswith("/"):
            raise Unavailable(f"{name} leads out of {self.path}", _STRANGE)
        place = self.path
        for number, part in enumerate(parts, 1):
            place = place / part
            try:
                mode = os.lstat(place).st_mode
            except FileNotFoundError:
                break
            if stat.S_ISLNK(mode):
                raise Unavailable(f"{place} is a link: a target has none", _STRANGE)
            if number == len(parts) and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise Unavailable(f"{place} is no ordinary file", _STRANGE)
        return self.path / name

    def _opened(self, name: str) -> BinaryIO:
        fd = os.open(self._placed(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        return cast(BinaryIO, os.fdopen(fd, "rb", buffering=0))

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
        with self._guarded(name), self._opened(name) as file:
            while piece := file.read(_PIECE):
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
            temporary = self.spool() / token_hex(8)
            try:
                fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(fd, "wb", buffering=0) as file:
                    view = memoryview(data)
                    while view:
                        view = view[file.write(view[: 8 * _PIECE]) :]
                    os.fsync(file.fileno())
                self._place(temporary, name)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise

    def put_file(self, name: str, path: Path) -> None:
        """See `Store`."""
        with self._guarded(name):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            self._place(path, name)

    def _place(self, path: Path, name: str) -> None:
        target = self._placed(name)
        self._make(target.parent)
        os.rename(path, target)
        _sync_folder(target.parent)

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make(folder.parent)
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            _sync_folder(folder.parent)

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`. A link does it: the name appears with its content, or not at all."""
        with self._guarded(name):
            for _ in range(_CLEARED):
                with suppress(FileNotFoundError):
                    return self._create(name, data)
            return self._create(name, data)

    def _create(self, name: str, data: bytes) -> bool:
        temporary = self.spool() / token_hex(8)
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            target = self._placed(name)
            self._make(target.parent)
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            except OSError as error:  # a file system without hard links
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                    raise
                return self._create_plainly(target, data)
            _sync_folder(target.parent)
            return True
        finally:
            with suppress(OSError):
                temporary.unlink()

    @staticmethod
    def _create_plainly(target: Path, data: bytes) -> bool:
        try:
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return True

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store`."""
        with self._guarded():
            self._identity()
            self._placed(prefix.rstrip("/"))
            yield from self._below(prefix)

    def _below(self, prefix: str) -> Iterator[tuple[str, int]]:
        try:
            entries = sorted(os.scandir(self.path / prefix), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if prefix or entry.name != _TEMPORARY:
                    yield from self._below(f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield f"{prefix}{entry.name}", entry.stat(follow_symlinks=False).st_size

    def delete(self, name: str) -> None:
        """See `Store`."""
        with self._guarded(name), suppress(FileNotFoundError):
            target = self._placed(name)
            target.unlink()
            if name.startswith("snapshots/"):
                with suppress(OSError):
                    target.parent.rmdir()

    def free(self) -> int | None:
        """See `Store`."""
        with self._guarded():
            return shutil.disk_usage(self.path).free

    def spool(self) -> Path:
        """See `Store`."""
        with self._guarded():
            folder = self._placed(_TEMPORARY)
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
            return folder

    def clear(self) -> None:
        """See `Store`."""
        with self._guarded():
            shutil.rmtree(self.path / _TEMPORARY, ignore_errors=True)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some shares cannot sync a folder
            os.fsync(fd)
    finally:
        os.close(fd)
