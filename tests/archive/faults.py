"""A disk that fails at the n-th call, and one that remembers the order of calls."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from pacstui.archive.disk import Disk

STEPS = ("open", "write", "fsync", "rename", "fsync_folder", "mkdir", "link", "close", "overwrite")


class BrokenDisk(Disk):
    """Counts calls; the ``nth`` call of ``step`` fails with ``code`` while `broken`, for ``times`` calls.

    ``calls`` is the order of everything that was done.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.step = ""
        self.nth = 1
        self.times = 1
        self.code = errno.ENOSPC
        self.hits = 0
        self.seen = 0
        self.free: tuple[int, int] | None = None

    def break_at(self, step: str, nth: int = 1, code: int = errno.ENOSPC, times: int = 1) -> None:
        """Let calls number ``nth`` and following of ``step`` fail, counted from now."""
        self.step, self.nth, self.code, self.times = step, nth, code, times
        self.hits = self.seen = 0
        self.calls.clear()

    def mend(self) -> None:
        self.step = ""

    def _call(self, step: str) -> None:
        self.calls.append(step)
        if step != self.step:
            return
        self.seen += 1
        if self.seen >= self.nth and self.hits < self.times:
            self.hits += 1
            raise OSError(self.code, os.strerror(self.code))

    def open(self, path: str, flags: int, mode: int, folder: int | None) -> int:
        if flags & os.O_CREAT:
            self._call("open")
        return super().open(path, flags, mode, folder)

    def write(self, fd: int, parts: Sequence[bytes | bytearray | memoryview]) -> int:
        try:
            self._call("write")
        except OSError:
            super().write(fd, [memoryview(parts[0])[:100]])  # a full disk takes a part first
            raise
        return super().write(fd, parts)

    def overwrite(self, fd: int, data: bytes, offset: int) -> int:
        self._call("overwrite")
        return super().overwrite(fd, data, offset)

    def fsync(self, fd: int) -> None:
        self._call("fsync")
        super().fsync(fd)

    def fsync_folder(self, fd: int) -> None:
        self._call("fsync_folder")
        super().fsync_folder(fd)

    def close(self, fd: int) -> None:
        super().close(fd)
        self._call("close")

    def rename(self, name: str, target: str, source_folder: int, target_folder: int) -> None:
        self._call("rename")
        super().rename(name, target, source_folder, target_folder)

    def link(self, name: str, target: str, source_folder: int, target_folder: int) -> None:
        self._call("link")
        super().link(name, target, source_folder, target_folder)

    def mkdir(self, name: str, folder: int) -> None:
        self._call("mkdir")
        super().mkdir(name, folder)

    def statvfs(self, path: Path) -> tuple[int, int]:
        self._call("statvfs")
        return self.free or super().statvfs(path)
