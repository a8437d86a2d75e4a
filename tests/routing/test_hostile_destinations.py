"""Destinations that do what none should, and what lies between: each is held up alone, and says why."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from pacstui.dicom.dimse import E_FIELD, Command, Field
from pacstui.dicom.net import names
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import OpenPolicy, Sink
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import Unavailable
from pacstui.routing.folder import FolderCourier
from pacstui.settings import DestinationSettings, PeerSettings
from tests.archive.objects import Object
from tests.dicom.serving import serving
from tests.routing.house import House, house, peer, receivers, to

MR = "1.2.840.10008.5.1.4.1.1.4"


async def test_an_answer_that_is_none_is_taken_as_it_is(tmp_path: Path) -> None:
    """A C-STORE has one response (PS3.7 9.1.1): one that says pending is no reason to wait for another."""
    thing = Object()
    async with receivers(1) as (one,), house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)]) as here:
        one.store.status = 0xFF00
        await here.store(thing)
        row = await here.until(lambda: _with_error(here))
        assert row.status == 0xFF00
        assert row.error.startswith("ONE answered FF00H: it says that it is still at it")


async def test_an_answer_to_something_else_is_no_success(tmp_path: Path) -> None:
    thing = Object()
    async with receivers(1) as (one,), house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)]) as here:
        keep = one.store.begin

        def begin(request: Request) -> Sink:
            request.command = Command(request.command.elements | {E_FIELD: Field.C_ECHO.to_bytes(2, "little")})
            return keep(request)

        one.store.begin = begin  # type: ignore[method-assign]
        await here.store(thing)
        row = await here.until(lambda: _with_error(here))
        assert (row.sent, row.waiting) == (0, 1)
        assert "C-ECHO-RSP to a message that was not sent" in row.error


async def _with_error(here: House) -> Any:
    return next((row for row in (await here.queue.sendings()).rows if row.error), None)


async def test_names_that_nobody_answers_for_hold_up_no_other_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, ask = threading.Event(), socket.getaddrinfo

    def slow(host: str, *given: Any, **more: Any) -> Any:
        if host.startswith("hangs"):
            over.wait(20)
        return ask("127.0.0.1" if host == "works.example" else host, *given, **more)

    monkeypatch.setattr(names.socket, "getaddrinfo", slow)
    hanging = [
        PeerSettings(name=f"H{n}", ae_title=f"H{n}", host=f"hangs{n}.example", port=104) for n in range(2 * _threads())
    ]
    try:
        async with receivers(1) as (one,):
            works = PeerSettings(name="ONE", ae_title="ONE", host="works.example", port=one.port)
            wanted = to(*(each.name for each in hanging), "ONE")
            async with house(tmp_path, wanted, peers=[*hanging, works]) as here:
                await here.store(Object())
                assert set((await here.settled("ONE")).values()) == {"sent"}
    finally:
        over.set()


def _threads() -> int:
    """How many threads an event loop has for what waits."""
    return min(32, (os.cpu_count() or 1) + 4)


class _Picky(OpenPolicy):
    """Refuses associations at which it is asked for MR."""

    def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
        wanted = {context.abstract_syntax for context in rq.contexts}
        return Refusal(1, 1, 1, "", "") if MR in wanted else None


async def test_a_kind_for_which_a_peer_refuses_associations_holds_up_no_other_kind(tmp_path: Path) -> None:
    poison = Object(sop_class=MR, modality="MR")
    others = [Object(patient=str(n)) for n in range(4)]
    destinations = [DestinationSettings(name="ONE", retries=1, retry_s=30, linger_s=0)]
    async with (
        serving(policy=_Picky()) as one,
        house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)], destinations=destinations, begin=False) as here,
    ):
        await here.store(others[0], poison, *others[1:])
        await here.begin()

        async def through() -> bool:
            await here.advance(20)
            return len(one.store.objects) == 4

        await here.until(through)
        assert set(one.store.objects) == {each.sop for each in others}
        states = await here.states()
        assert states.pop(poison.sop) in ("waiting", "failed")
        assert set(states.values()) == {"sent"}


async def test_what_failed_while_the_clock_stood_wrong_is_tried_again(tmp_path: Path) -> None:
    thing = Object()
    async with receivers(1) as (one,), house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)]) as here:
        one.store.status = 0x0110
        here.clock.jump(365 * 86400)
        await here.store(thing)
        await here.until(lambda: _with_error(here))
        here.clock.jump(-365 * 86400)
        one.store.status = 0
        await here.advance(0)
        assert await here.settled() == {thing.sop: "sent"}


async def test_no_association_is_kept_while_the_limit_of_the_line_is_waited_for(tmp_path: Path) -> None:
    """A large object over a slow line: its peer would end an association on which nothing comes for minutes."""
    first, second = Object(), Object(patient="NEXT")
    destinations = [DestinationSettings(name="ONE", max_mb_per_s=0.00001)]
    async with (
        receivers(1) as (one,),
        house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)], destinations=destinations, begin=False) as here,
    ):
        await here.store(first, second)
        await here.begin()
        await here.until(lambda: one.watch.ends)
        assert [how for _, how, _ in one.watch.ends] == ["released"]
        assert list(one.store.objects) == [first.sop]
        await here.queue.refresh()
        (row,) = here.queue.outgoing()
        assert row.state.startswith("keeps to 1e-05 MB a second, goes on in ")
        await here.advance(3600)
        assert set((await here.settled()).values()) == {"sent"}


async def test_a_link_in_a_folder_leads_nowhere(tmp_path: Path) -> None:
    linked, good = Object(), Object(patient="GOOD")
    box, outside = tmp_path / "box", tmp_path / "outside"
    box.mkdir()
    outside.mkdir()
    (box / linked.study).symlink_to(outside)
    destinations = [DestinationSettings(name="box", folder=str(box), retries=0)]
    async with house(tmp_path, to("box"), destinations=destinations) as here:
        await here.store(linked, good)
        assert await here.settled() == {linked.sop: "failed", good.sop: "sent"}
        (reason,) = await here.queue.errors()
        assert reason.error.startswith(f"{linked.study} in the folder {box} is in the way")
        assert list(outside.iterdir()) == []
        await here.queue.refresh()
        assert here.queue.outgoing()[0].status == "idle"  # the folder as a whole is as it should be


async def test_a_full_folder_keeps_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thing, box = Object(), tmp_path / "box"
    box.mkdir()
    destinations = [DestinationSettings(name="box", folder=str(box))]

    rename = os.rename

    def full(old: str, *given: Any, **more: Any) -> None:
        if old.startswith(f".{thing.sop}"):
            raise OSError(28, "No space left on device")
        rename(old, *given, **more)

    async with house(tmp_path, to("box"), destinations=destinations) as here:
        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", full)
            await here.store(thing)
            await here.until(lambda: _with_error(here))
        assert [path.name for path in box.rglob("*") if path.is_file()] == []
        await here.advance(400)
        assert await here.settled() == {thing.sop: "sent"}


async def test_a_folder_that_hangs_is_said_to_hang_and_holds_up_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    courier = FolderCourier(tmp_path, "PACS", patience_s=0.05)
    monkeypatch.setattr(courier, "_look", lambda: over.wait(20))
    for _ in range(3):  # however often it is asked, one thread waits
        with pytest.raises(Unavailable, match="does not answer"):
            await courier.probe()
    waiting = [thread for thread in threading.enumerate() if thread.name == "pacstui-folder"]
    assert [thread.daemon for thread in waiting] == [True]
    over.set()
    waiting[0].join(5)
    await courier.probe()
