"""Writes DICOM files (PS3.10) into a folder, a folder for each study; a file has its name when it is whole.

Others may write to that folder too: no link in it is followed. Its mount may hang: each write has a thread of its own.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from pacstui.apart import Apart, TooManyHang
from pacstui.archive import part10, paths
from pacstui.errors import Unavailable
from pacstui.index.retrieve import Copy
from pacstui.routing.courier import Carrier, Hindered, Parcel

_apart = Apart("pacstui-folder")
_PATIENCE_S: Final = 60.0
_SLOWEST: Final = 500_000
"""Bytes a second: a share that takes less is taken for one that hangs."""
_HERE = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ALONE: Final = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG)
"""What is wrong with one name in the folder, and not with the folder."""


class FolderCourier:
    """Brings objects into a folder. ``source`` is our AE title, for the files' meta information."""

    def __init__(self, folder: Path, source: str, patience_s: float = _PATIENCE_S) -> None:
        self._folder = folder
        self._source = source
        self._patience_s = patience_s

    @asynccontextmanager
    async def open(self, kinds: Sequence[Copy]) -> AsyncIterator[Carrier]:
        await self.probe()
        yield self

    def takes(self, copy: Copy) -> bool:
        return True

    async def carry(self, parcel: Parcel) -> tuple[int, str]:
        key = (self._folder, parcel.sending, parcel.copy.sop_instance)
        await self._do(key, lambda: self._write(parcel), parcel.copy.size / _SLOWEST)
        return 0, ""

    async def probe(self) -> None:
        await self._do(self._folder, self._look, 0.0)

    async def _do(self, key: Hashable, work: Callable[[], None], more_s: float) -> None:
        try:
            async with asyncio.timeout(self._patience_s + more_s):
                await _apart.call(key, work)
        except (TimeoutError, TooManyHang):
            raise Unavailable(
                f"the folder {self._folder} does not answer", "see whether its mount hangs, or its server is down"
            ) from None
        except OSError as error:
            raise Unavailable(
                f"the folder {self._folder} cannot be written to: {error.strerror or error}",
                "see that it is there and mounted, has room, and that the node's user may write to it",
            ) from error

    def _look(self) -> None:
        if not self._folder.is_dir():
            raise FileNotFoundError(2, "it is no folder", str(self._folder))
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "this node's user may not write there", str(self._folder))

    def _write(self, parcel: Parcel) -> None:
        name = paths.study_folder(parcel.study).rpartition("/")[2]
        root = os.open(self._folder, _HERE)
        try:
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o750, dir_fd=root)
                folder = os.open(name, _HERE | os.O_NOFOLLOW, dir_fd=root)
                try:
                    self._put(parcel, folder)
                finally:
                    os.close(folder)
            except OSError as error:
                if error.errno not in _ALONE:
                    raise
                raise Hindered(
                    f"{name} in the folder {self._folder} is in the way: {error.strerror}",
                    "no link is followed there, and no folder replaced: remove what has that name",
                ) from error
            os.fsync(root)
        finally:
            os.close(root)

    def _put(self, parcel: Parcel, folder: int) -> None:
        copy = parcel.copy
        target = paths.object_name(copy.sop_instance)
        part = f".{target}.{parcel.sending}.part"  # of one sending there is one at a time
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)
        try:
            made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
            with open(made, "wb") as file:
                file.write(
                    part10.encode(copy.sop_class, copy.sop_instance, copy.transfer_syntax, self._source, copy.digest)
                )
                for piece in _pieces(parcel):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.rename(part, target, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=folder)
            raise
        os.fsync(folder)


def _pieces(parcel: Parcel) -> Iterator[bytes]:
    try:
        yield from parcel.content.pieces()
    except OSError as error:  # the folder is not to blame
        raise Hindered(f"{parcel.copy.path} cannot be read: {error.strerror}", "check the archive's disk") from error
