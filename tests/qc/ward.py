"""An archive with the corrections room, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom

from pacstui.archive.reading import Part
from pacstui.contract.corrections import CorrectionRow, Preview
from pacstui.errors import PacsError
from pacstui.index.retrieve import copies
from pacstui.qc.corrections import CorrectionsRoom
from pacstui.services.corrected import Handing, discard
from pacstui.settings import NodeSettings, QcSettings, Settings
from tests.archive.conftest import send
from tests.archive.objects import EXPLICIT, Object
from tests.routing.house import House

TABLES = (
    "patients", "studies", "series", "instances", "redirects", "renamed_instances", "corrected_instances",
    "former_identities", "pins", "outbox", "away", "rejected_instances",
)  # fmt: skip


class Ward:
    """A house with corrections; ``say`` corrects at once."""

    def __init__(self, house: House, qc: QcSettings) -> None:
        self.house = house
        self.archive = house.archive
        self.handing = Handing(house.archive, lambda: True, lambda: "PACS")
        self.who = "mueller"
        self.room = CorrectionsRoom(house.archive, house.bus, house.clock, lambda: qc, lambda: self.who)
        self.room.changed = self.handing.forget
        house.queue.handing = self.handing

    async def store(self, *objects: Object, **how: Any) -> None:
        for each in objects:
            await send(self.archive, each, **how)

    async def do(self, preview: Preview, why: str = "wrong patient chosen") -> CorrectionRow:
        self.house.clock.advance(1.0)
        return await self.room.apply(preview.token, why)

    async def say(self, kind: str, *args: Any, **named: Any) -> CorrectionRow:
        return await self.do(await getattr(self.room, kind)(*args, **named))

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return await self.archive.db.read(lambda c: c.execute(query, values).fetchall())

    async def state(self) -> dict[str, Any]:
        """Return everything that a correction may touch, and the totals."""
        found: dict[str, Any] = {}
        for table in TABLES:
            found[table] = await self.rows(f"SELECT * FROM {table} ORDER BY 1, 2")
        found["totals"] = await self.rows("SELECT sum(patients), sum(studies), sum(series) FROM daily")
        return found

    async def put(self, query: str, *values: Any) -> int:
        return await self.archive.db.write(lambda c: int(c.execute(query, values).lastrowid or 0))

    async def person(self, patient_id: str, name: str, sex: str = "", birth_date: str = "", issuer: str = "") -> int:
        return await self.put(
            "INSERT INTO persons (patient_id, issuer, name, sex, birth_date) VALUES (?,?,?,?,?)",
            patient_id, issuer, name, sex, birth_date,
        )  # fmt: skip

    async def order(self, person: int, accession: str, **more: str) -> int:
        values = {"accession": accession, "accession_key": accession.lower(), "state": "scheduled", **more}
        names = ", ".join(values)
        return await self.put(
            f"INSERT INTO orders (person, {names}) VALUES (?{',?' * len(values)})", person, *values.values()
        )

    async def handed(self, study: str, **keys: list[str]) -> list[pydicom.Dataset]:
        """Return what a retrieval of a study hands out."""
        found = []
        for copy in await copies(self.archive.db, {"STUDY": [study], **keys}):
            content = (await self.archive.reader.read([Part(copy.path, copy.offset, copy.size, copy.digest)]))[0]
            assert not isinstance(content, PacsError)
            made, body = await self.handing(copy, content)
            assert made.sop_instance == copy.sop_instance
            implicit, little = copy.transfer_syntax == "1.2.840.10008.1.2", True
            data = body.whole()[: made.size] if body.data is not None else b"".join(body.pieces())
            found.append(pydicom.dcmread(BytesIO(with_meta(data, copy.transfer_syntax)), force=True))
            discard(body)
            assert implicit or little
        return found


def with_meta(data: bytes, syntax: str, thing: Object | None = None) -> bytes:
    """Return a data set as a file (PS3.10 7.1)."""
    named = [(0x0010, syntax)]
    if thing is not None:
        named = [(0x0002, thing.text(0x00080016)), (0x0003, thing.sop), *named]
    meta = b""
    for element, text in named:
        value = text.encode() + b"\0" * (len(text) % 2)
        meta += b"\x02\0" + element.to_bytes(2, "little") + b"UI" + len(value).to_bytes(2, "little") + value
    head = b"\x02\0\0\0UL\x04\0" + len(meta).to_bytes(4, "little")
    return bytes(128) + b"DICM" + head + meta + data


@asynccontextmanager
async def ward(folder: Path, **qc: Any) -> AsyncIterator[Ward]:
    house = House(folder, Settings(node=NodeSettings(data_dir=folder / "data"), qc=QcSettings(**qc)))
    await house.open()
    try:
        yield Ward(house, QcSettings(**qc))
    finally:
        await house.close()


def study_of(
    patient: str = "P1", name: str = "DOE^JANE", series: int = 2, images: int = 2, **more: Any
) -> list[Object]:
    """Return the objects of a study: some series with some images each."""
    first = Object(patient=patient, name=name, **more)
    found = []
    for _ in range(series):
        head = first.copy(series=Object().series, sop=Object().sop)
        found.append(head)
        found += [head.beside(number=str(n + 2)) for n in range(images - 1)]
    return found


__all__ = ["EXPLICIT", "Ward", "study_of", "ward", "with_meta"]
