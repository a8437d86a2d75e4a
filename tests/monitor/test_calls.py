"""Associations that this node asks others for are seen like those that others ask for, with what came of them."""

from __future__ import annotations

import asyncio

import pytest

from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.dicom.dimse import Status
from pacstui.dicom.net.errors import AssociationAborted, AssociationRejected, ContextNotAccepted, PeerUnreachable
from pacstui.dicom.net.service import OpenPolicy
from pacstui.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import ECHOES, SENDS, Lines
from pacstui.errors import NotFound
from pacstui.monitor.arriving import Arriving
from pacstui.monitor.associations import Ledger
from pacstui.monitor.rates import Throughput
from pacstui.settings import PeerSettings
from tests.dicom.serving import serving

CT = "1.2.840.10008.5.1.4.1.1.2"
CONTEXTS = [(CT, [EXPLICIT_VR_LITTLE_ENDIAN]), (VERIFICATION, [EXPLICIT_VR_LITTLE_ENDIAN])]


class Site:
    """A node's line to one peer, and the ledger that watches it."""

    def __init__(self, port: int) -> None:
        bus, clock = Bus(), FakeClock()
        self.peer = PeerSettings(name="Reading room", ae_title="WS1", host="127.0.0.1", port=port)
        book = PeerBook([self.peer])
        through, arriving = Throughput(clock), Arriving(bus, clock)
        self.ledger = Ledger(bus, clock, book, through, arriving, 1, lambda _: None, lambda _: None)
        self.lines = Lines(book, "PACS")
        self.lines.watcher = self.ledger.calls


async def test_what_is_sent_to_a_peer_is_counted_and_told() -> None:
    async with serving() as served:
        site = Site(served.port)
        async with site.lines.to(site.peer, CONTEXTS, doing=SENDS, why="C-MOVE for WS1") as association:
            (row,) = await site.ledger.list()
            assert (row.outgoing, row.peer, row.calling, row.called) == (True, "Reading room", "PACS", "WS1")
            assert (row.state, row.doing, row.address) == ("open", "sends", f"127.0.0.1:{served.port}")
            assert site.ledger.part().active == 0, "the limit is for those that call us"
            await association.store(CT, "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN, b"\0" * 5000)
            served.store.status = Status.OUT_OF_RESOURCES
            await association.store(CT, "1.2.4", EXPLICIT_VR_LITTLE_ENDIAN, b"\0" * 5000)
        assert await site.ledger.list() == ()
        (row,) = await site.ledger.list(ended=True)
        assert (row.state, row.stored, row.failed) == ("released", 1, 1)
        assert row.sent_bytes > 10000 > row.received_bytes > 0
        detail = await site.ledger.show(row.id)
        told = [moment.text for moment in detail.timeline]
        assert told == [
            "accepted, 2 of 2 contexts", "C-MOVE for WS1", "sends CT Image Storage",
            "an instance was answered with A700H", "released",
        ]  # fmt: skip
        assert detail.messages == {"C-STORE-RQ": 2}
        assert "1 instance stored there, 1 refused" in detail.answer


async def test_a_peer_that_is_not_reached_is_one_entry_that_counts() -> None:
    async with serving() as served:
        site = Site(served.port)
    for _ in range(3):
        with pytest.raises(PeerUnreachable):
            async with site.lines.to(site.peer, CONTEXTS, doing=SENDS):
                raise AssertionError("nothing listens there")
    (row,) = await site.ledger.list(ended=True)
    assert (row.state, row.outgoing, row.peer) == ("failed", True, "Reading room")
    detail = await site.ledger.show(row.id)
    assert detail.answer == f"nothing listens at 127.0.0.1:{served.port}; 3 times"
    assert detail.remedies == ("check the port, and that the peer's DICOM service is started",)


async def test_a_rejection_is_kept_with_its_remedy() -> None:
    class Closed(OpenPolicy):
        def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
            return Refusal(1, 1, 3, "not known", "")

    async with serving(policy=Closed()) as served:
        site = Site(served.port)
        with pytest.raises(AssociationRejected):
            async with site.lines.to(site.peer, CONTEXTS, doing=ECHOES):
                raise AssertionError
    (row,) = await site.ledger.list(ended=True)
    detail = await site.ledger.show(row.id)
    assert row.state == "failed"
    assert "PACS" in detail.answer
    assert detail.remedies


async def test_work_that_finds_no_context_releases_and_says_so() -> None:
    async with serving() as served:
        site = Site(served.port)
        with pytest.raises(ContextNotAccepted):
            async with site.lines.to(site.peer, CONTEXTS, doing=SENDS) as association:
                association.context_for("1.2.3")
        await served.watch.until(lambda watch: watch.ends)
        assert served.watch.ends[0][1] == "released"
    (row,) = await site.ledger.list(ended=True)
    detail = await site.ledger.show(row.id)
    assert (row.state, detail.answer) == ("released", "1.2.3 was not proposed to the peer")
    assert detail.remedies == ("propose it when associating",)


async def test_an_operator_aborts_a_call_of_ours() -> None:
    gate = asyncio.Event()
    async with serving() as served:
        served.store.gate = gate
        site = Site(served.port)
        async with site.lines.to(site.peer, CONTEXTS, doing=SENDS) as association:
            sending = asyncio.create_task(association.store(CT, "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN, b"\0" * 50))
            await served.watch.until(lambda watch: watch.commands)
            (row,) = await site.ledger.list()
            await site.ledger.abort(row.id)
            with pytest.raises(AssociationAborted):
                await sending
        gate.set()
    (row,) = await site.ledger.list(ended=True)
    assert row.state == "aborted"


async def test_only_so_many_calls_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacstui.monitor.calls.ENDED_KEPT", 4)
    async with serving() as served:
        site = Site(served.port)
        for _ in range(6):
            async with site.lines.to(site.peer, CONTEXTS, doing=ECHOES) as association:
                await association.echo()
        rows = await site.ledger.list(ended=True)
        assert len(rows) == 4
        assert {row.doing for row in rows} == {"released"}


def test_a_peer_that_nobody_knows() -> None:
    with pytest.raises(NotFound, match="there is no peer X"):
        Site(1).lines.peer("X")
