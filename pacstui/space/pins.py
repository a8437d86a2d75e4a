"""Studies that are pinned: kept by somebody's word, whatever rules say, until it is taken back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pacstui.clock import Clock, microseconds, moment
from pacstui.contract.space import PinRow
from pacstui.db import Database
from pacstui.errors import BadRequest, NotFound
from pacstui.text import safe

MOST: Final = 50_000
_STUDY: Final = (
    "SELECT patient_name, patient_id, date, accession, modalities, description, instances, bytes FROM studies"
    " WHERE study = ?"
)
_PUT: Final = "INSERT OR REPLACE INTO pins (study, at, by, why) VALUES (?, ?, ?, ?)"
_NOTHING: Final = ("", "", "", "", "", "", 0, 0)


@dataclass(frozen=True, slots=True)
class Pin:
    """Who pinned a study, when, and why."""

    at: datetime
    by: str
    why: str

    def told(self) -> str:
        """Return it in words."""
        return f"pinned by {self.by}" + (f": {self.why}" if self.why else "")


class Pins:
    """All pins, by Study Instance UID; they outlive the study, and hold for it again when it comes back."""

    def __init__(self, database: Database, clock: Clock, caller: Callable[[], str]) -> None:
        self._db = database
        self._clock = clock
        self._caller = caller
        self._pins: dict[str, Pin] = {}

    async def open(self) -> None:
        """Read them."""
        rows = await self._db.read(lambda c: c.execute("SELECT study, at, by, why FROM pins ORDER BY at").fetchall())
        self._pins = {study: Pin(moment(at), by, why) for study, at, by, why in rows}

    def __len__(self) -> int:
        return len(self._pins)

    def told(self, study: str) -> str:
        """Return by whom a study is pinned and why, empty if it is not."""
        pin = self._pins.get(study)
        return pin.told() if pin is not None else ""

    def all(self) -> Mapping[str, Pin]:
        """Return all of them, the oldest first."""
        return self._pins

    async def put(self, study: str, why: str) -> PinRow:
        """Pin a study of the archive; one that is pinned already gets another reason.

        Raises
        ------
        NotFound
            When the archive has no such study.
        """
        if not (await self._found(study))[6]:
            raise NotFound(f"there is no study {safe(study, 64)}", "pacstui studies list has what there is")
        if study not in self._pins and len(self._pins) >= MOST:
            raise BadRequest(f"{MOST:,} studies are pinned already", "a rule for what goes is the better way then")
        pin = Pin(self._clock.now(), safe(self._caller(), 64), safe(why.strip(), 200))
        row = (study, microseconds(pin.at), pin.by, pin.why)
        await self._db.write(lambda c: c.execute(_PUT, row))
        self._pins[study] = pin
        return await self._row(study, pin)

    async def remove(self, study: str) -> None:
        """Take a pin off. Raises NotFound where there is none."""
        if study not in self._pins:
            raise NotFound(f"{safe(study, 64)} is not pinned", "pacstui space pins lists those that are")
        await self._db.write(lambda c: c.execute("DELETE FROM pins WHERE study = ?", (study,)))
        del self._pins[study]

    async def rows(self, limit: int) -> tuple[PinRow, ...]:
        """Return pins with their studies, the newest first."""
        newest = list(self._pins.items())[: -limit - 1 : -1]
        return tuple([await self._row(study, pin) for study, pin in newest])

    async def _found(self, study: str) -> tuple[str, str, str, str, str, str, int, int]:
        def body(connection: sqlite3.Connection) -> tuple[str, str, str, str, str, str, int, int]:
            return connection.execute(_STUDY, (study,)).fetchone() or _NOTHING

        return await self._db.read(body)

    async def _row(self, study: str, pin: Pin) -> PinRow:
        name, ident, date, accession, modalities, description, instances, size = await self._found(study)
        return PinRow(
            study, pin.at, pin.by, pin.why, name, ident, date, accession,
            tuple(each for each in modalities.split("\\") if each), description, instances, size,
        )  # fmt: skip
