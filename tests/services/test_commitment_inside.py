"""Storage commitment seen from inside: answers that do not come, very many references, and what a tick costs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from pacstui import events
from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.net.service import StatusSink
from pacstui.dicom.syntaxes import EXPLICIT
from pacstui.dicom.ul.items import RoleSelection
from pacstui.errors import NotFound
from tests.archive.conftest import send
from tests.archive.objects import SECONDARY_CAPTURE, Object
from tests.dicom.serving import serving, until
from tests.services.inside import COMMITMENT, Inside, inside

HOURS = 3600.0
INSTANCE = "1.2.840.10008.1.20.1.1"


class Promises:
    """A peer that takes requests and never answers them."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def begin(self, request: Request) -> StatusSink:
        self.asked.append(request)
        return StatusSink(request, 0)


def told(place: Inside) -> list[events.CommitmentAnswered]:
    return [each for each in place.heard if isinstance(each, events.CommitmentAnswered)]


async def test_a_peer_that_never_answers_is_told_of_and_can_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacstui.services.commitment_scu._STAY_S", 0.01)
    thing = Object()
    peer = Promises()
    async with serving(services={Field.N_ACTION: peer}) as there, inside(tmp_path, there.port) as place:
        await send(place.archive, thing)
        first = await place.commitment.ask("workstation", thing.study)
        assert first.state == "asked"
        await until(lambda: peer.asked)
        place.clock.advance(23 * HOURS)
        await place.commitment.tick()
        assert (await place.commitment.asked())[0].state == "asked"
        place.clock.advance(2 * HOURS)
        await place.commitment.tick()
        (row,) = await place.commitment.asked()
        assert (row.state, row.problem) == ("no answer", "no answer within 24 h")
        (event,) = told(place)
        assert (event.peer, event.problem) == ("workstation", "no answer within 24 h")
        await place.commitment.tick()
        assert len(told(place)) == 1, "it is told once"

        second = await place.commitment.again(first.id)
        assert (second.study, second.objects, second.state) == (thing.study, 1, "asked")
        assert second.transaction != first.transaction
        await until(lambda: len(peer.asked) == 2)
        # The first answer comes after all.
        assert await place.asker.answered(first.transaction, [(SECONDARY_CAPTURE, thing.sop, 0)])
        rows = {row.id: row.state for row in await place.commitment.asked()}
        assert rows == {first.id: "committed", second.id: "asked"}
        with pytest.raises(NotFound):
            await place.commitment.again(99)


async def test_what_was_asked_before_a_restart_ends_as_well(tmp_path: Path) -> None:
    async with inside(tmp_path) as place:
        asked = place.asker._asked
        key = await asked.add("1.2.3", "workstation", "1.2", [("1.3", "1.4")], 1)
        await place.commitment.tick()
        row = await asked.get(key)
        assert row is not None
        assert row.state == "no answer"


def action(transaction: str, count: int, first: str = "1.2.3") -> bytes:
    items = []
    for number in range(count):
        item = DataSet()
        item.put(0x00081150, SECONDARY_CAPTURE, "UI")
        item.put(0x00081155, first if not number else f"1.2.3.4.5.6.7.{number}", "UI")
        items.append(item)
    asked = DataSet()
    asked.put(0x00081195, transaction, "UI")
    asked.put_items(0x00081199, items)
    return dataset.encode(asked, EXPLICIT)


class Listens:
    """Takes the report."""

    def __init__(self) -> None:
        self.reports: list[DataSet] = []

    def begin(self, request: Request) -> StatusSink:
        listener = self

        class Sink(StatusSink):
            data = bytearray()

            def write(self, chunk: memoryview) -> None:
                self.data += chunk

            async def finish(self) -> None:
                listener.reports.append(await asyncio.to_thread(dataset.decode, bytes(self.data), EXPLICIT))
                await request.respond(0)

        return Sink(request, 0)


async def test_very_many_references_hold_up_nobody(tmp_path: Path) -> None:
    count = 10_000
    thing = Object()
    reports = Listens()
    data = action("1.2.9", count, thing.sop)
    async with inside(tmp_path) as place:
        await send(place.archive, thing)
        async with associate(
            "127.0.0.1", place.served.port, called="PACS", calling="CT1", contexts=[(COMMITMENT, [EXPLICIT])],
            service_for=lambda syntax, command: reports, roles=[RoleSelection(COMMITMENT, True, False)],
        ) as caller:  # fmt: skip
            exchange = await caller.request(
                COMMITMENT, Field.N_ACTION, data, requested_sop_class=COMMITMENT, requested_sop_instance=INSTANCE,
                action_type=1,
            )  # fmt: skip
            async with place.calling("1.2.840.10008.1.1") as other:
                slowest = 0.0
                done = asyncio.ensure_future(exchange.final())
                while not reports.reports:
                    began = time.perf_counter()
                    assert await other.echo() == 0
                    slowest = max(slowest, time.perf_counter() - began)
                assert (await done).status == 0
        (report,) = reports.reports
        assert [each.uid(0x00081155) for each in report.items(0x00081199)] == [thing.sop]
        assert len(report.items(0x00081198)) == count - 1
        assert slowest < 1.5, "an echo waits for no commitment"
        (row,) = await place.commitment.list()
        assert (row.objects, row.failed) == (count, count - 1)


async def test_a_tick_reads_only_what_is_due(tmp_path: Path) -> None:
    async with inside(tmp_path) as place:
        recorded = []
        for number in range(3):
            recorded.append(await place.commitment.record(f"1.2.{number}", "NOBODY", [("1.3", "1.4")]))
        await place.commitment.tick()
        await until(lambda: not place.commitment._busy)
        rows = {row.id: (row.state, row.attempts) for row in await place.commitment.list()}
        assert rows == {each.id: ("reporting", 1) for each in recorded}
        reads: list[int] = []
        read = place.commitment.transactions.get

        async def counted(key: int) -> object:
            reads.append(key)
            return await read(key)

        place.commitment.transactions.get = counted  # type: ignore[method-assign, assignment]
        await place.commitment.tick()
        assert reads == []
        place.clock.advance(16)
        await place.commitment.tick()
        assert sorted(reads) == [each.id for each in recorded]
        await until(lambda: not place.commitment._busy)
        rows = {row.id: (row.state, row.attempts) for row in await place.commitment.list()}
        assert rows == {each.id: ("reporting", 2) for each in recorded}
