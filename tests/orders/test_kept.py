"""The archive and messages: crashes, the trash, and the bytes of objects."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive
from pacstui.archive.trash_rows import Which
from pacstui.bus import Bus
from pacstui.clock import SYSTEM
from pacstui.hl7v2.message import Message
from pacstui.orders.applying import Applying
from pacstui.settings import ArchiveSettings, OrdersSettings
from tests.archive.conftest import files, send
from tests.archive.objects import Object
from tests.orders.ward import adt, merge, pid

PLAIN = ArchiveSettings(reserve_bytes=0, journal_bytes=0)
JOURNALED = ArchiveSettings(reserve_bytes=0, journal_bytes=1 << 20)


def thing(patient: str, name: str = "DOE^JANE", **more: Any) -> Object:
    return Object({0x00100020: ("LO", patient), 0x00100010: ("PN", name)}, **more)


async def hear(archive: Archive, *texts: str) -> None:
    """Act on messages in a transaction of the archive's database."""
    orders = OrdersSettings()
    applying = Applying(lambda: orders, Bus(), SYSTEM, archive.lane.index.forget_known)
    for text in texts:
        await archive.db.write(lambda connection, text=text: applying.apply(connection, Message(text), 1))  # type: ignore[misc]


def rows(folder: Path) -> list[Any]:
    """Return patients, studies and how many objects each has, without what depends on the moment."""
    with closing(sqlite3.connect(folder / "index.db")) as connection:
        return [
            connection.execute(query).fetchall()
            for query in (
                "SELECT patient_id, issuer, name, birth_date, sex, person FROM patients ORDER BY 1",
                "SELECT study, patient_id, issuer, patient_name, name_key, search, conflict, instances FROM studies"
                " ORDER BY study",
                "SELECT study, patient_id, issuer FROM former_identities ORDER BY 1, 2",
                "SELECT sop_instance, path FROM instances ORDER BY 1",
            )
        ]


@pytest.fixture(params=[PLAIN, JOURNALED], ids=["synced", "journaled"])
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path / "data", request.param, busy_s=0.3)
    await opened.journal.prepared()
    try:
        yield opened
    finally:
        await opened.close()


async def test_bytes_of_objects_do_not_change(archive: Archive) -> None:
    await send(archive, thing("A"))
    before = {path: path.read_bytes() for path in files(archive)}
    await hear(archive, merge("A", "B"), adt("A08", pid("B", "SMITH^JANE")))
    assert {path: path.read_bytes() for path in files(archive)} == before
    (row,) = (await archive.index.studies("smith")).rows
    assert (row.patient_id, row.patient_name) == ("B", "SMITH^JANE")


async def test_an_open_series_goes_on_under_the_survivor(archive: Archive) -> None:
    first = thing("A")
    await send(archive, first)
    await send(archive, first.beside())
    await hear(archive, merge("A", "B"))
    stored = await send(archive, first.beside())
    assert stored.warnings == ()
    (study,) = (await archive.index.studies("")).rows
    assert (study.patient_id, study.instances, study.conflict) == ("B", 3, "")


@pytest.mark.parametrize("lost", ["nothing", "an object's row", "the study's rows"])
async def test_after_a_crash_the_rows_are_the_same(archive: Archive, tmp_path: Path, lost: str) -> None:
    first = thing("A")
    await send(archive, first)
    await hear(archive, merge("A", "B"))
    last = first.beside()
    await send(archive, last)
    late = thing("A", "DOE^J")
    await send(archive, late)
    copy = tmp_path / "copy"
    shutil.copytree(archive.data_dir, copy, ignore=shutil.ignore_patterns("*.sock"))
    with closing(sqlite3.connect(copy / "index.db")) as connection, connection:
        if lost == "an object's row":
            connection.execute("DELETE FROM instances WHERE sop_instance=?", (last.sop,))
            connection.execute("UPDATE series SET instances=instances-1 WHERE series=?", (last.series,))
            connection.execute("UPDATE studies SET instances=instances-1 WHERE study=?", (last.study,))
        elif lost == "the study's rows":
            key = connection.execute("SELECT id FROM studies WHERE study=?", (late.study,)).fetchone()[0]
            connection.execute("DELETE FROM instances WHERE sop_instance=?", (late.sop,))
            connection.execute("DELETE FROM series WHERE study=?", (key,))
            connection.execute("DELETE FROM studies WHERE id=?", (key,))
            connection.execute("DELETE FROM former_identities WHERE study=?", (late.study,))
    again = await Archive.open(copy, archive.settings, busy_s=0.3)
    await again.close()
    assert rows(copy) == rows(archive.data_dir)


@pytest.mark.parametrize("level", ["study", "instance"])
async def test_what_comes_back_from_the_trash_is_the_survivors(archive: Archive, level: str) -> None:
    first = thing("A")
    await send(archive, first)
    await send(archive, first.beside())
    which = Which(first.study) if level == "study" else Which(first.study, first.series, first.sop)
    entry = await archive.trash.delete(which)
    await hear(archive, merge("A", "B"), adt("A08", pid("B", "SMITH^JANE")))
    await archive.trash.undo(entry.id)
    (study,) = (await archive.index.studies("")).rows
    assert (study.patient_id, study.patient_name, study.instances, study.conflict) == ("B", "SMITH^JANE", 2, "")
    assert [row[0] for row in rows(archive.data_dir)[0]] == ["B"]
