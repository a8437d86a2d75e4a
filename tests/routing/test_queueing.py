"""What is in the outbox follows from what is stored, whatever happens between."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pacstui.archive import Refused
from pacstui.settings import ArchiveSettings
from tests.archive.conftest import send
from tests.archive.objects import Object
from tests.routing.house import House, house, peer, to

PEERS = [peer("ONE", 1), peer("TWO", 2)]


async def test_a_route_queues_with_the_object_and_counts_what_it_queued(tmp_path: Path) -> None:
    first = Object()
    async with house(tmp_path, to("ONE", "TWO"), peers=PEERS, begin=False) as here:
        await here.store(first, first.beside(), Object(patient="P2"))
        rows = (await here.queue.sendings()).rows
        assert [(row.destination, row.waiting, row.bytes_waiting) for row in rows] == [
            ("TWO", 1, len(first.encode())),
            ("ONE", 1, len(first.encode())),
            ("TWO", 2, 2 * len(first.encode())),
            ("ONE", 2, 2 * len(first.encode())),
        ]


async def test_a_repeat_is_not_sent_again_and_other_content_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.routing.house.OPTIONS", ArchiveSettings(reserve_bytes=0, duplicates="overwrite"))
    first = Object()
    async with house(tmp_path, to("ONE"), peers=PEERS, begin=False) as here:
        await here.store(first, first)
        (row,) = (await here.queue.sendings()).rows
        assert row.waiting == 1
        await here.archive.db.write(_sent)
        await here.store(first)
        assert set((await here.states()).values()) == {"sent"}
        other = first.copy(description="ANOTHER AND LONGER")
        await here.store(other)
        (row,) = (await here.queue.sendings()).rows
        assert (row.waiting, row.sent, row.bytes_waiting) == (1, 0, len(other.encode()))


def _sent(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE outbox SET state='sent'")
    connection.execute("UPDATE sendings SET waiting=0, sent=1, bytes_waiting=0, bytes_sent=99")


async def test_a_refused_object_is_not_queued(tmp_path: Path) -> None:
    first = Object()
    async with house(tmp_path, to("ONE"), peers=PEERS, begin=False) as here:
        await here.store(first)
        with pytest.raises(Refused):
            await send(here.archive, first.beside(), sop="1.2.3")
        assert list(await here.states()) == [first.sop]


async def test_what_a_person_restores_is_not_sent_on(tmp_path: Path) -> None:
    from pacstui.archive.importer import import_file

    thing = Object()
    async with house(tmp_path, to("ONE"), peers=PEERS, begin=False) as here:
        file = tmp_path / "one.dcm"
        file.write_bytes(bytes(128) + b"DICM" + thing.encode())
        assert (await import_file(here.archive, file)).outcome == "stored"
        assert await here.states() == {}
        more = thing.beside()
        file.write_bytes(bytes(128) + b"DICM" + more.encode())
        assert (await import_file(here.archive, file, onward=True)).outcome == "stored"
        assert await here.states() == {more.sop: "waiting"}


_CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.routing.house import House, peer, to
from tests.archive.objects import Object
from tests.routing.test_queueing import settings_of

async def main():
    here = House(Path(sys.argv[1]), settings_of(Path(sys.argv[1])))
    await here.open()
    first = Object()
    await here.store(first)
    second = first.beside()
    print(first.sop, second.sop, flush=True)
    index = here.archive.lane.index
    index.flush = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
    await here.store(second)

asyncio.run(main())
"""


def settings_of(folder: Path):  # type: ignore[no-untyped-def]
    from pacstui.settings import NodeSettings, Settings

    return Settings(node=NodeSettings(data_dir=folder / "data"), peers=tuple(PEERS), routes=(to("ONE"),))


async def test_what_a_crash_left_without_a_row_is_queued_when_it_gets_one(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CHILD, str(tmp_path), stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    stored, crashed = out.decode().split()
    with closing(sqlite3.connect(tmp_path / "data" / "index.db")) as index:
        assert index.execute("SELECT sop_instance FROM outbox").fetchall() == [(stored,)]
    here = House(tmp_path, settings_of(tmp_path))
    await here.open()
    try:
        assert await here.states() == {stored: "waiting", crashed: "waiting"}
    finally:
        await here.close()


async def test_what_a_lost_index_is_made_of_again_is_not_sent_again(tmp_path: Path) -> None:
    thing = Object()
    async with house(tmp_path, to("ONE"), peers=PEERS, begin=False) as here:
        await here.store(thing)
    for file in (tmp_path / "data").glob("index.db*"):
        file.unlink()
    async with house(tmp_path, to("ONE"), peers=PEERS, begin=False) as here:
        assert [each.sop_instance for each in await here.archive.index.instances(thing.study)] == [thing.sop]
        assert await here.states() == {}


async def test_a_changed_route_holds_from_the_next_object_on(tmp_path: Path) -> None:
    async with house(tmp_path, peers=PEERS, begin=False) as here:
        await here.store(Object())
        await here.routes.create("night", to=("TWO",), modality=("OT",))
        second = Object(patient="P2")
        await here.store(second)
        await here.routes.disable("night")
        await here.store(Object(patient="P3"))
        assert await here.states() == {second.sop: "waiting"}
