"""Peers that answer queries and retrievals of ours with nonsense, on and on, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pacstui.contract.remote import PullRow
from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink
from pacstui.errors import PacsError
from pacstui.services.remote import RemoteRoom
from tests.dicom.serving import serving, until
from tests.services.inside import Inside, inside


def answer(number: int, **more: str) -> DataSet:
    found = DataSet()
    found.put(0x0020000D, "1.2.3", "UI")
    found.put(0x0020000E, f"1.2.3.{number}", "UI")
    found.put(0x00080018, f"1.2.3.4.{number}", "UI")
    found.put(0x00080016, "1.2.840.10008.5.1.4.1.1.2", "UI")
    return found


class Peer:
    """Answers by ``how``."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.sent = 0
        self.cancelled = False

    def begin(self, request: Request) -> BufferSink:
        peer = self

        class Sink(BufferSink):
            async def finish(self) -> None:
                await peer.respond(request)

        return Sink(request)

    async def respond(self, request: Request) -> None:
        syntax = request.context.transfer_syntax
        match self.how:
            case "endless":
                while True:
                    await request.respond(0xFF00, data=dataset.encode(answer(self.sent), syntax))
                    self.sent += 1
                    self.cancelled |= request.cancelled
                    await asyncio.sleep(0)
            case "garbage":
                await request.respond(0xFF00, data=b"\xff" * 99)
                await request.respond(0)
            case "no UIDs":
                empty = DataSet()
                empty.put(0x0020000D, "../../etc", "UI")
                await request.respond(0xFF00, data=dataset.encode(empty, syntax))
                await request.respond(0)
            case "refuses":
                await request.respond(0xA700, comment="busy\x1b[2J")
            case "aborts":
                request.association.abort("on purpose")
            case "silent":
                request.complete = True


@asynccontextmanager
async def scene(folder: Path, how: str) -> AsyncIterator[tuple[Inside, RemoteRoom, Peer]]:
    peer = Peer(how)
    services: dict[int, Any] = {Field.C_FIND: peer, Field.C_GET: peer, Field.C_MOVE: peer}
    async with serving(services=services) as there, inside(folder, there.port) as place:
        room = RemoteRoom(place.archive, place.lines, place.bus, place.clock)
        yield place, room, peer
        await room.close()
        assert place.calls.open == {}


async def pulled(room: RemoteRoom) -> PullRow:
    row = await room.pull("workstation", "1.2.3")
    tasks = list(room._tasks)
    await asyncio.wait_for(asyncio.wait(tasks), 20)
    return next(each for each in await room.pulls() if each.id == row.id)


@pytest.mark.parametrize("how", ["garbage", "refuses", "aborts", "silent"])
async def test_answers_that_make_no_sense_are_told(tmp_path: Path, how: str) -> None:
    async with scene(tmp_path, how) as (_, room, _peer):
        with pytest.raises(PacsError) as told:
            await room.find("workstation")
        assert told.value.message
        assert "\x1b" not in told.value.message
        row = await pulled(room)
        assert (row.state, row.received, bool(row.why)) == ("failed", 0, True)


async def test_a_peer_that_answers_on_and_on_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacstui.services.remote._AFTER_CANCEL", 200)
    monkeypatch.setattr("pacstui.services.remote._SERIES_MOST", 50)
    async with scene(tmp_path, "endless") as (place, room, peer):
        with pytest.raises(PacsError, match="answers on and on"):
            await room.find("workstation", limit=10)
        assert peer.cancelled
        with pytest.raises(PacsError, match="on and on"):
            await room.compare("workstation", "1.2.3")
        await until(lambda: not place.calls.open)


async def test_uids_of_a_peer_are_not_believed(tmp_path: Path) -> None:
    async with scene(tmp_path, "no UIDs") as (_, room, _peer):
        page = await room.find("workstation")
        assert [row.study for row in page.rows] == ["../../etc"]
        row = await pulled(room)
        assert (row.received, row.total) == (0, 0)
