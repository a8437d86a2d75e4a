"""What modalities tell is passed on to another MPPS SCP, in order, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.db import Database
from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet, Element
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink
from pacstui.dicom.syntaxes import EXPLICIT
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.orders.desk import Desk
from pacstui.orders.performed import Message
from pacstui.settings import MppsSettings, PeerSettings, Settings
from tests.dicom.serving import QUICK, serving
from tests.orders.rows import scheduled
from tests.running import free_port

Heard = list[tuple[str, str, bytes]]


class _Sink(BufferSink):
    def __init__(self, ris: Ris, request: Request) -> None:
        super().__init__(request)
        self.ris = ris

    async def finish(self) -> None:
        command = self.request.command
        creates = command.field == Field.N_CREATE
        instance = command.affected_sop_instance if creates else command.requested_sop_instance
        self.ris.heard.append(("create" if creates else "set", instance, bytes(self.data)))
        status, error = self.ris.answer()
        if status < 0:
            self.request.association.abort("no answer")
            return
        await self.request.respond(status, error_id=error or None)


class Ris:
    """An MPPS SCP that answers as it is told."""

    def __init__(self) -> None:
        self.heard: Heard = []
        self.answer: Callable[[], tuple[int, int]] = lambda: (0, 0)

    def begin(self, request: Request) -> _Sink:
        return _Sink(self, request)


def data(**texts: str) -> bytes:
    step = DataSet()
    step.put(0x0020000D, "2.25.1", "UI")
    whole = DataSet()
    for tag, text in (
        (0x00080060, "CT"), (0x00400241, "CT1"), (0x00400244, "20250111"), (0x00400245, "120000"),
        (0x00400252, "IN PROGRESS"), (0x00400253, "PPS1"),
    ):  # fmt: skip
        whole.put(tag, text)
    whole[0x00400270] = Element("SQ", items=[step])
    return dataset.encode(whole, EXPLICIT)


def done() -> bytes:
    whole = DataSet()
    whole.put(0x00400252, "DISCONTINUED")
    return dataset.encode(whole, EXPLICIT)


class Place:
    """A desk whose peer is ``port``; time is the test's."""

    def __init__(self, database: Database, port: int) -> None:
        self.clock = FakeClock()
        peer = PeerSettings(name="ris", ae_title="RIS", host="127.0.0.1", port=port)
        settings = Settings(peers=(peer,), mpps=MppsSettings(forward_to=("ris",)))
        lines = Lines(PeerBook(settings.peers), "PACS", QUICK)
        self.bus = Bus()
        self.desk = Desk(database, lambda: settings, lines, self.bus, self.clock, lambda: "admin")

    async def told(self, instance: str, *sets: bytes) -> None:
        await self.desk.performed.create(Message(instance, data(), EXPLICIT, "CT1"))
        for each in sets:
            await self.desk.performed.change(Message(instance, each, EXPLICIT, "CT1"))

    async def turn(self, seconds: float = 0) -> None:
        """Let time pass and what is due be done."""
        self.clock.advance(seconds)
        await self.desk.tick()
        await self.desk.passing.settled()
        await self.desk.tick()
        await self.desk.passing.settled()

    async def forwarded(self) -> list[str]:
        return [row.forwarded for row in await self.desk.room.performed()]

    def problems(self) -> list[str]:
        return [text for _, _, text, _, _ in self.desk.problems()]


@pytest.fixture
async def database(tmp_path: Path) -> Any:
    opened = await Database.open(tmp_path / "index.db")
    yield opened
    await opened.close()


async def test_messages_are_passed_on_as_they_came_and_in_their_order(database: Database) -> None:
    ris = Ris()
    async with serving(services={Field.N_CREATE: ris, Field.N_SET: ris}) as served:
        place = Place(database, served.port)
        await place.told("2.25.11", done())
        await place.told("2.25.12")
        await place.turn()
        assert ris.heard == [
            ("create", "2.25.11", data()), ("set", "2.25.11", done()), ("create", "2.25.12", data()),
        ]  # fmt: skip
        assert await place.forwarded() == ["told ris", "told ris"]
        await place.turn(100)
        assert len(ris.heard) == 3
        await place.desk.close()


async def test_what_cannot_be_told_waits_and_survives_a_restart(database: Database) -> None:
    port = free_port()
    place = Place(database, port)
    await place.told("2.25.11", done())
    await place.turn()
    (waits,) = await place.forwarded()
    assert waits.startswith("waits for ris: ")
    assert not place.problems()
    place.clock.advance(3000)
    assert "ris was not told of 2 performed step messages" in place.problems()[0]
    await place.desk.close()
    ris = Ris()
    async with serving(services={Field.N_CREATE: ris, Field.N_SET: ris}) as served:
        other = Place(database, served.port)
        await other.turn()
        assert [kind for kind, _, _ in ris.heard] == ["create", "set"]
        assert not other.problems()
        await other.desk.close()


async def test_waiting_grows_with_each_failure(database: Database) -> None:
    ris = Ris()
    ris.answer = lambda: (0x0213, 0)
    async with serving(services={Field.N_CREATE: ris}) as served:
        place = Place(database, served.port)
        await place.told("2.25.11")
        tries = []
        for _ in range(100):
            await place.turn(15)
            tries.append(len(ris.heard))
        assert tries[0] == 1
        assert 5 <= tries[-1] <= 8
        ris.answer = lambda: (0, 0)
        await place.desk.room.again(1)
        await place.turn()
        assert await place.forwarded() == ["told ris"]
        await place.desk.close()


async def test_a_lost_answer_is_no_failure_when_the_peer_has_it_already(database: Database) -> None:
    ris = Ris()
    answers = iter([(-1, 0), (0x0111, 0), (-1, 0), (0x0110, 0xA710)])
    ris.answer = lambda: next(answers)
    async with serving(services={Field.N_CREATE: ris, Field.N_SET: ris}) as served:
        place = Place(database, served.port)
        await place.told("2.25.11", done())
        for _ in range(6):
            await place.turn(100)
        assert [kind for kind, _, _ in ris.heard] == ["create", "create", "set", "set"]
        assert await place.forwarded() == ["told ris"]
        await place.desk.close()


async def test_what_is_refused_is_told_and_can_be_passed_on_again(database: Database) -> None:
    ris = Ris()
    ris.answer = lambda: (0x0106, 0)
    async with serving(services={Field.N_CREATE: ris}) as served:
        place = Place(database, served.port)
        await place.told("2.25.11")
        await place.turn()
        assert await place.forwarded() == ["failed for ris: answered 0106H"]
        assert "ris refused 1 performed step message: answered 0106H" in place.problems()
        ris.answer = lambda: (0, 0)
        assert await place.desk.room.again(1) == 1
        await place.turn()
        assert await place.forwarded() == ["told ris"]
        assert not place.problems()
        await place.desk.close()


async def test_what_was_performed_before_its_order_came_is_joined_to_it(database: Database) -> None:
    place = Place(database, free_port())
    await place.told("2.25.11", done())
    assert [row.step for row in await place.desk.room.performed()] == [0]
    step = await database.write(lambda connection: scheduled(connection, 1, o_study="2.25.1"))
    order = (await place.desk.room.step(step)).row.order
    place.bus.publish(events.OrderChanged(place.clock.now(), (order, 99)))
    await place.turn()
    assert [row.step for row in await place.desk.room.performed()] == [step]
    view = await place.desk.room.step(step)
    assert (view.row.state, len(view.performed)) == ("discontinued", 1)
    assert "discontinued, says CT1" in view.history[-1]
    await place.desk.close()
