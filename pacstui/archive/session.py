"""Remembers how the last session ended, so that a start after a clean stop has nothing to compare.

The file ``session`` holds ``clean`` or ``open``, the highest instance row at the time of opening, and a token; its
modification time is that of the opening, by the clock of the file system itself. The index holds the same token, and
gets a new one with each change of the file: a mark counts only for the index that it was written for, so that a new
index or one restored from a backup is compared with all files.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from pacstui.db import Database
from pacstui.errors import PacsError

log = logging.getLogger("pacstui.archive")
_NAME = "session"
_SLACK_S = 60.0
_STATE = "session"


@dataclass(frozen=True, slots=True)
class Past:
    """How the last session ended: ``clean``, or with changes since ``since`` (seconds, 0 for ever) and rows above
    ``row``. ``known`` tells that the index is the one that this was written for."""

    clean: bool
    since: float = 0.0
    row: int = 0
    known: bool = True


UNKNOWN = Past(clean=False, known=False)


class Session:
    """The marks of one data directory and its index."""

    def __init__(self, data_dir: Path, db: Database) -> None:
        self._data_dir = data_dir
        self._db = db

    async def past(self) -> Past:
        """Return how the last session ended."""
        token = await self._db.read(_token_of)
        return await asyncio.to_thread(read, self._data_dir, token)

    async def begin(self) -> None:
        """Note that a session has begun, with everything before it in order.

        Where the note cannot be written the next start compares everything.

        Raises
        ------
        OSError, PacsError
            What the disk or the database says.
        """
        try:
            row = await self._db.read(_last_row)
            token = await self._db.write(_renew)
            await asyncio.to_thread(_write, self._data_dir, f"open {row} {token}\n")
        except (OSError, PacsError):
            await asyncio.to_thread(forget, self._data_dir)
            raise

    async def touch(self) -> None:
        """Write something to the index; raises PacsError where that is not possible."""
        await self._db.write(_touch)

    async def end(self) -> None:
        """Note that everything is in order and nothing more will be written."""
        try:
            token = await self._db.write(_renew)
            await asyncio.to_thread(_write, self._data_dir, f"clean 0 {token}\n")
        except (OSError, PacsError) as error:
            log.warning("the next start compares files and index, the mark of a clean end failed: %s", error)


def read(data_dir: Path, token: str) -> Past:
    """Return how the last session ended, for the index that holds ``token``."""
    path = data_dir / _NAME
    try:
        words = path.read_text("ascii").split()
        modified = path.stat().st_mtime
    except (OSError, UnicodeDecodeError):
        return UNKNOWN
    if len(words) != 3 or not words[1].isdigit() or words[2] != token:
        return UNKNOWN
    if words[0] == "clean":
        return Past(clean=True)
    if words[0] == "open":
        return Past(clean=False, since=modified - _SLACK_S, row=int(words[1]))
    return UNKNOWN


def forget(data_dir: Path) -> None:
    """Let the next start compare everything."""
    with suppress(OSError):
        os.unlink(data_dir / _NAME)


def _token_of(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM state WHERE name=?", (_STATE,)).fetchone()
    return "" if row is None else str(row[0])


def _renew(connection: sqlite3.Connection) -> str:
    token = token_hex(8)
    connection.execute("INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)", (_STATE, token))
    return token


def _touch(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR REPLACE INTO state (name, value) VALUES ('tried', datetime('now'))")


def _last_row(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM instances").fetchone()[0])


def _write(data_dir: Path, text: str) -> None:
    new = data_dir / f"{_NAME}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text.encode("ascii"))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(new, data_dir / _NAME)
    folder = os.open(data_dir, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
