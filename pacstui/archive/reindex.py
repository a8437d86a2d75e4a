"""Reads further attributes of stored objects into the index, after the settings ask for others."""

from __future__ import annotations

import asyncio
import logging
import mmap
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pacstui.db import Database
from pacstui.dicom import header
from pacstui.index.corrected import kept
from pacstui.index.more import IMAGE_MORE, SERIES_MORE, STUDY_MORE, text_of

log = logging.getLogger("pacstui.archive")
_AT_ONCE = 100
_NAMED = 100
_ROWS = (
    "SELECT i.id, i.series, e.study, i.path, i.data_offset, i.transfer_syntax FROM instances i"
    " JOIN series e ON e.id = i.series WHERE i.id > ? ORDER BY i.id LIMIT ?"
)
Texts = tuple[int, int, int, str, str, str]
"""Instance, series and study row, and what each has."""


@dataclass(slots=True)
class Progress:
    """How far it is: objects read, and those that could not be read."""

    read: int = 0
    unreadable: int = 0


class Reindex:
    """One run over all objects, oldest first; it may be ended after any step, and begun again after the row ``after``.

    ``unreadable`` holds path and reason of the first that could not be read.
    """

    def __init__(self, root: Path, db: Database, after: int = 0) -> None:
        self._root = root
        self._db = db
        self.after = after
        self.progress = Progress()
        self.unreadable: list[tuple[str, str]] = []

    async def steps(self) -> AsyncIterator[Progress]:
        """Read all, and yield after each hundred; raises PacsError when the database cannot be written."""
        while rows := await self._db.read(partial(_next, self.after)):
            texts = await asyncio.to_thread(self._all_texts, rows)
            await self._db.write(partial(_write, [each for each in texts if each is not None]))
            self.after = rows[-1][0]
            self.progress.read += len(rows)
            yield self.progress

    def _all_texts(self, rows: Sequence[Sequence[object]]) -> list[Texts | None]:
        return [self._texts(row) for row in rows]

    def _texts(self, row: Sequence[object]) -> Texts | None:
        key, series, study, path, offset, syntax = row
        try:
            with open(self._root / str(path), "rb") as file:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                    found = header.read(view, str(syntax), start=int(str(offset)))
        except (OSError, ValueError) as error:
            self.progress.unreadable += 1
            if len(self.unreadable) < _NAMED:
                self.unreadable.append((str(path), str(error)))
            log.warning("%s could not be read for the index: %s", path, error)
            return None
        if found is None:
            return None
        return (
            int(str(key)), int(str(series)), int(str(study)), text_of(found, IMAGE_MORE), text_of(found, SERIES_MORE),
            text_of(found, STUDY_MORE),
        )  # fmt: skip


def _next(after: int, connection: sqlite3.Connection) -> list[tuple[int, int, int, str, int, str]]:
    return connection.execute(_ROWS, (after, _AT_ONCE)).fetchall()


def _write(texts: Sequence[Texts], connection: sqlite3.Connection) -> None:
    for text in texts:
        row = connection.execute(
            "SELECT c.body FROM instances i JOIN corrected_instances c ON c.sop_instance = i.sop_instance"
            " WHERE i.id=?", (text[0],),
        ).fetchone()  # fmt: skip
        image = kept(text[3], row[0], IMAGE_MORE) if row is not None else text[3]
        connection.execute("UPDATE instances SET more=? WHERE id=? AND more!=?", (image, text[0], image))
    for series, more in {each[1]: each[4] for each in texts if each[4]}.items():
        said = connection.execute(
            "SELECT e.corrected, s.corrected, e.more FROM series e JOIN studies s ON s.id = e.study WHERE e.id=?",
            (series,),
        ).fetchone()
        if said is not None:
            told = kept(kept(more, said[0], SERIES_MORE), said[1], SERIES_MORE, said[2])
            connection.execute("UPDATE series SET more=? WHERE id=? AND more!=?", (told, series, told))
    for study, more in {each[2]: each[5] for each in texts if each[5]}.items():
        said = connection.execute("SELECT corrected FROM studies WHERE id=?", (study,)).fetchone()
        if said is not None:
            told = kept(more, said[0], STUDY_MORE)
            connection.execute("UPDATE studies SET more=? WHERE id=? AND more!=?", (told, study, told))
