"""The folder of written reports: each appears whole or not at all, and old ones go."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pacstui.contract.reports import ReportFile
from pacstui.errors import StorageFull, Unavailable

_OURS: Final = re.compile(r"usage-[0-9A-Za-z_-]+\.(txt|csv|json|html)")

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def _fault(path: Path, error: OSError) -> Unavailable:
    kind = StorageFull if error.errno in _FULL else Unavailable
    return kind(f"{path} cannot be written: {error.strerror}", "is it there, and may the node write? [reports] folder")


def write(folder: Path, word: str, pages: Mapping[str, str]) -> list[Path]:
    """Write a report's pages by format; one of the same period takes the other's place. Return the files.

    Raises
    ------
    StorageFull, Unavailable
        When one cannot be written; those that were there are as they were.
    """
    written = []
    path = folder
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for ending, page in pages.items():
            path = folder / f"usage-{word}.{ending}"
            fresh = folder / f".usage-{word}.{ending}.part"
            with fresh.open("w", encoding="utf-8", newline="") as out:
                out.write(page)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(path)
            written.append(path)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise _fault(path, error) from error
    return written


def files(folder: Path, keep_days: int) -> list[ReportFile]:
    """Return what was written, newest first; nothing where there is no folder."""
    found = []
    for path, status in _ours(folder):
        at = datetime.fromtimestamp(status.st_mtime, UTC)
        until = (at + timedelta(days=keep_days)).astimezone().date() if keep_days else None
        found.append(ReportFile(path.name, str(path), status.st_size, at, until))
    return sorted(found, key=lambda each: each.written, reverse=True)


def prune(folder: Path, before: datetime) -> int:
    """Remove reports that were written before then; return how many. Nothing else in the folder is touched."""
    gone = 0
    for path, status in _ours(folder):
        if status.st_mtime < before.timestamp():
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _ours(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unavailable(f"{folder} cannot be read: {error.strerror}", "see [reports] folder") from error
