"""One segment of the journal, and how records in it become durable."""

from __future__ import annotations

import ctypes
import errno
import mmap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from pacstui.archive import aio
from pacstui.archive.disk import Disk
from pacstui.archive.records import BLOCK

_BESIDE: Final = 1 << 17  # making so much durable takes longer than handing it to a thread
_THROUGH: Final = 2 << 20
_HUGE_PAGE: Final = 2 << 20
_NOT_THIS_WAY: Final = frozenset((errno.EAGAIN, errno.ENOMEM, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP))
"""What io_submit(2) says that does not concern the disk: the thread writes itself then."""

Part = bytes | bytearray | memoryview


@dataclass(slots=True)
class Segment:
    """A file of fixed size. ``at`` is where the next record goes.

    ``through`` is a descriptor whose writes are durable on return, and pass by what was written by ``fd``. ``cached``
    counts the writes by ``fd``, and ``synced`` says how many of them are durable: a sync on another thread does not
    stand for what came after it was asked for. ``names`` are all objects that stand in it, also after their files were
    synced: until it is written over, a crash would bring them back.
    """

    path: Path
    fd: int = -1
    through: int = -1
    cached: int = 0
    synced: int = 0
    generation: int = 0
    at: int = BLOCK
    free: bool = True
    settling: bool = False
    objects: list[str] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    @property
    def unsynced(self) -> bool:
        """Whether something was written by ``fd`` and not synced."""
        return self.synced != self.cached


def _nothing() -> None:
    pass


def _pages(size: int) -> memoryview:
    """Return memory that begins at a page, if it may be at a huge one: of those the kernel has few to look up."""
    whole = mmap.mmap(-1, size + _HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without
            whole.madvise(mmap.MADV_HUGEPAGE)
    start = -ctypes.addressof(ctypes.c_char.from_buffer(whole)) % _HUGE_PAGE
    return memoryview(whole)[start : start + size]


class Writing:
    """Makes records durable, one write at a time: past the system's cache where it can be, which takes half as long.

    Such a write syncs nothing but itself. A record is worth nothing as long as something before it, be it the segment's
    generation, is in the cache only; then the write goes there too, and all is synced.
    """

    def __init__(self, disk: Disk, segments: Sequence[Segment]) -> None:
        self._disk = disk
        self._segments = segments
        self._pages = _pages(_THROUGH)
        self._queue = aio.queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pacstui-journal-sync")
        self._under_way: Callable[[], object] = _nothing

    def begin(self, segment: Segment, parts: Sequence[Part], size: int) -> None:
        """Begin to write ``parts``, of ``size`` bytes in all, where the segment's next record goes; raises OSError.

        The parts must not change before `wait` was called, but for the first bytes of a bytearray's content: what goes
        past the cache was copied. A write before this one that nobody waited for is waited for here: if it failed, what
        would come after it in the segment could not be found.
        """
        self.wait()
        at = segment.at
        if segment.through >= 0 and size <= _THROUGH and not segment.unsynced:
            filled = 0
            for part in parts:
                self._pages[filled : filled + len(part)] = part
                filled += len(part)
            try:
                end = self._begin_through(segment.through, self._pages[:size], at)
            except OSError as error:
                self._no_more_through(error)
            else:
                self._under_way = partial(self._end, end, segment, parts, at)
                return
        segment.cached += 1
        if size >= _BESIDE:
            self._under_way = self._thread.submit(self._sync, segment, parts, at, segment.cached).result
        else:
            self._sync(segment, parts, at, segment.cached)

    def note(self, segment: Segment, parts: Sequence[Part], at: int) -> None:
        """Write a little that the next sync is to carry along; raises OSError."""
        segment.cached += 1
        self._disk.write_at(segment.fd, parts, at)

    def sync(self, segment: Segment) -> None:
        """Make durable what was noted; raises OSError."""
        upto = segment.cached
        self._disk.sync_data(segment.fd)
        segment.synced = max(segment.synced, upto)

    def wait(self) -> None:
        """Wait until what was begun is durable; raises OSError."""
        under_way, self._under_way = self._under_way, _nothing
        under_way()

    def close(self) -> None:
        """End the thread; nothing is under way any more on return."""
        with suppress(OSError):
            self.wait()
        self._thread.shutdown()
        if self._queue is not None:
            self._queue.close()

    def _begin_through(self, fd: int, data: memoryview, at: int) -> Callable[[], object]:
        if self._queue is not None:
            try:
                return self._disk.begin_through(self._queue, fd, data, at)
            except OSError as error:
                if error.errno not in _NOT_THIS_WAY:
                    raise
        if len(data) >= _BESIDE:
            return self._thread.submit(self._disk.write_through, fd, data, at).result
        self._disk.write_through(fd, data, at)
        return _nothing

    def _end(self, end: Callable[[], object], segment: Segment, parts: Sequence[Part], at: int) -> None:
        try:
            end()
        except OSError as error:
            self._no_more_through(error)
            segment.cached += 1
            self._sync(segment, parts, at, segment.cached)

    def _no_more_through(self, error: OSError) -> None:
        """Write by the cache from now on, where the device wants larger blocks; raise any other fault."""
        if error.errno != errno.EINVAL:
            raise error
        for each in self._segments:
            if each.through >= 0:
                self._disk.close(each.through)
                each.through = -1

    def _sync(self, segment: Segment, parts: Sequence[Part], at: int, upto: int) -> None:
        self._disk.write_at(segment.fd, parts, at)
        self._disk.sync_data(segment.fd)
        segment.synced = max(segment.synced, upto)
