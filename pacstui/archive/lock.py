"""One node to a data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pacstui.errors import AlreadyRunning, Unavailable


class DataLock:
    """Holds ``lock`` in the data directory, and the directory itself, as the file may be removed.

    The system lets go of them when the process ends, however it ends.
    """

    def __init__(self, fd: int, folder: int) -> None:
        self._fd = fd
        self._folder = folder

    @classmethod
    def take(cls, data_dir: Path) -> DataLock:
        """Take the lock.

        Raises
        ------
        AlreadyRunning
            When another process holds it; the message has its process id.
        Unavailable
            When the data directory cannot be written.
        """
        try:
            fd = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"The data directory {data_dir} cannot be written: {error.strerror}",
                "Check its owner, its permissions and that the volume is mounted for writing",
            ) from error
        folder = -1
        try:
            folder = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for each in (folder, fd):
                fcntl.flock(each, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
            for each in (folder, fd):
                if each >= 0:
                    os.close(each)
            if isinstance(error, BlockingIOError):
                raise AlreadyRunning(
                    f"Another node uses {data_dir} (process {holder})",
                    "Attach to it with pacstui, or stop it first",
                ) from None
            raise Unavailable(f"{data_dir} cannot be locked: {error.strerror}", "Use a local volume") from error
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError:
            pass  # a full disk: the lock counts, the number in it is only for the message
        return cls(fd, folder)

    def release(self) -> None:
        """Let go of the lock. May be called twice."""
        if self._fd >= 0:
            os.close(self._folder)
            os.close(self._fd)
            self._fd = -1
