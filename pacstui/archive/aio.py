"""Calls of Linux that Python has not: writes that the disk does while the thread that asked goes on.

Instead of io_submit(2) a thread could wait for the disk, but to wake it twice takes as long as the disk needs for 4
KiB. On other systems and processors, or where the kernel forbids it, there is none of this, and whoever asks is told.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import platform
import sys
import threading
from collections.abc import Callable
from typing import Final, cast

log = logging.getLogger("pacstui.archive")

# io_setup, io_destroy, io_submit, io_getevents
_NEWER: Final = (0, 1, 2, 4)
_NUMBERS: Final = {"x86_64": (206, 207, 209, 208), "aarch64": _NEWER, "riscv64": _NEWER}
_PWRITE: Final = 1
_DEPTH: Final = 4
_RANGE_WRITE: Final = 2


class _Request(ctypes.Structure):
    """struct iocb of linux/aio_abi.h, little-endian."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_int32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("fd", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("event_fd", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """struct io_event."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


class Begun:
    """One write under way."""

    def __init__(self, queue: Queue, data: memoryview) -> None:
        self._queue = queue
        self._data = data  # not to be freed before the disk has it
        self._written: int | None = None

    def wait(self) -> int:
        """Wait, and return how many bytes were written; raises OSError. May be called again."""
        if self._written is None:
            self._written = self._queue.finished()
        if self._written < 0:
            raise OSError(-self._written, os.strerror(-self._written))
        return self._written


class Queue:
    """Writes of one thread, one after the other: the next is begun when the one before was waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context = ctypes.c_ulong(0)
        self._request = _Request()
        self._event = _Event()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._setup, self._destroy, self._submit, self._events = _NUMBERS[platform.machine()]
        self._call(self._setup, ctypes.c_long(_DEPTH), ctypes.byref(self._context))
        self._list = (ctypes.POINTER(_Request) * 1)(ctypes.pointer(self._request))
        self._one = ctypes.c_long(1)

    def _call(self, number: int, *arguments: object) -> int:
        while True:
            result = int(self._libc.syscall(ctypes.c_long(number), *arguments))
            if result >= 0:
                return result
            code = ctypes.get_errno()
            if code != errno.EINTR:
                raise OSError(code, os.strerror(code))

    def write(self, fd: int, data: memoryview, offset: int) -> Begun:
        """Begin to write all of ``data``, which must not change before it was waited for; raises OSError."""
        request = self._request
        request.opcode = _PWRITE
        request.fd = fd
        request.buffer = ctypes.addressof(ctypes.c_char.from_buffer(data))
        request.size = len(data)
        request.offset = offset
        if self._call(self._submit, self._context, self._one, self._list) != 1:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return Begun(self, data)

    def finished(self) -> int:
        """Wait for the write under way; return the number of its bytes, or that of its fault, negative."""
        self._call(self._events, self._context, self._one, self._one, ctypes.byref(self._event), None)
        return int(self._event.result)

    def close(self) -> None:
        """End it; waits for what is under way."""
        if self._context.value:
            self._call(self._destroy, self._context)
            self._context.value = 0


def _no_range(fd: int, offset: int, size: int, flags: int) -> int:
    return -1


def _load_range() -> Callable[[int, int, int, int], int]:
    try:
        found = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return _no_range
    found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return cast("Callable[[int, int, int, int], int]", found)


_range = _load_range()


def start_writing(fd: int) -> bool:
    """Let what of a file is in the cache only be written out, all of it, and stay there (sync_file_range(2)).

    Returns
    -------
    bool
        False where that cannot be asked for.
    """
    return _range(fd, 0, 0, _RANGE_WRITE) == 0


def queue() -> Queue | None:
    """Return a new queue, None where there is no such thing."""
    if not sys.platform.startswith("linux") or platform.machine() not in _NUMBERS or sys.byteorder != "little":
        return None
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        return Queue()
    except (OSError, AttributeError) as error:
        log.debug("no asynchronous writes: %s", error)
        return None
