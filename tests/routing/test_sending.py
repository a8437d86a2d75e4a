"""What is stored goes on: to real receivers on loopback, whatever they do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pacstui import events
from pacstui.contract.queue import SendingRow
from pacstui.dicom import dataset
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.service import BufferSink, EchoService, OpenPolicy, Service, Sink
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.routing import courier
from pacstui.settings import DestinationSettings
from tests.archive.objects import DEFLATED, EXPLICIT, JPEG, Object
from tests.dicom.serving import QUICK, Store, serving
from tests.routing.house import House, house, peer, receivers, to
from tests.running import Sender, free_port, running_node


async def test_what_is_stored_arrives_as_it_was_stored(tmp_path: Path) -> None:
    first = Object()
    more = [first.beside(number=str(n)) for n in range(2, 30)]
    async with receivers(2) as (one, two):
        peers = [peer("ONE", one.port), peer("TWO", two.port)]
        async with house(tmp_path, to("ONE"), to("TWO", name="more", modality=("CT",)), peers=peers) as here:
            await here.store(first, *more)
            states = await here.settled()
            assert states == {each.sop: "sent" for each in (first, *more)}
            assert one.store.objects == {each.sop: each.encode() for each in (first, *more)}
            assert two.store.objects == {}
            (row,) = (await here.queue.sendings()).rows
            assert (row.state, row.sent, row.bytes_waiting, row.route) == ("sent", 29, 0, "all")
            assert row.bytes_sent == sum(len(each.encode()) for each in (first, *more))
            assert row.patient_name == "DOE^JANE"


async def test_one_association_takes_many_objects(tmp_path: Path) -> None:
    objects = [Object(patient=str(n)) for n in range(40)]
    async with receivers(1) as (one,), house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)], begin=False) as here:
        await here.store(*objects)
        await here.begin()
        await here.settled()
        assert len(one.store.objects) == 40
        assert len(one.watch.open) == 1


async def test_several_associations_at_once_where_that_is_set(tmp_path: Path) -> None:
    objects = [Object(patient=str(n)) for n in range(200)]
    async with receivers(1) as (one,):
        one.store.gate = asyncio.Event()
        destinations = [DestinationSettings(name="ONE", associations=3, linger_s=0)]
        async with house(
            tmp_path, to("ONE"), peers=[peer("ONE", one.port)], destinations=destinations, begin=False
        ) as here:
            await here.store(*objects)
            await here.begin()
            await here.until(lambda: here.queue.part().sending == 3)
            (row,) = here.queue.outgoing()
            assert (row.status, row.sending) == ("sending", 3)
            one.store.gate.set()
            assert set((await here.settled()).values()) == {"sent"}
            assert len(one.store.objects) == 200


async def test_a_dead_destination_holds_up_nobody_and_gets_all_of_it_when_it_is_back(tmp_path: Path) -> None:
    objects = [Object(patient=str(n)) for n in range(20)]
    port = free_port()
    async with receivers(1) as (one,):
        peers = [peer("DEAD", port), peer("ONE", one.port)]
        async with house(tmp_path, to("DEAD", "ONE"), peers=peers) as here:
            await here.store(*objects)
            assert set((await here.settled("ONE")).values()) == {"sent"}
            await here.until(lambda: any(isinstance(e, events.DestinationDown) for e in here.heard))
            await here.queue.refresh()
            dead = next(row for row in here.queue.outgoing() if row.destination == "DEAD")
            assert (dead.status, dead.waiting, dead.failed) == ("down", 20, 0)
            assert dead.why == f"nothing listens at 127.0.0.1:{port}"
            assert "asked again in" in dead.state
            problem = next(iter(here.queue.problems()))
            assert problem[1] == "fail"
            assert problem[2].startswith("DEAD takes nothing, 20 objects wait: nothing listens")
            async with serving_at(port) as store:
                await here.advance(400)
                assert set((await here.settled("DEAD")).values()) == {"sent"}
                assert len(store) == 20
            assert any(isinstance(e, events.DestinationUp) for e in here.heard)
            rows = (await here.queue.sendings(destination="DEAD")).rows
            assert {row.attempts for row in rows} == {0}  # the objects were not to blame
            assert list(here.queue.problems()) == []


async def test_each_answer_is_kept_and_said_in_words(tmp_path: Path) -> None:
    async with receivers(1) as (one,), house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)]) as here:
        for status, state, words in (
            (0xB000, "warning", "ONE answered B000H: it changed elements of the object"),
            (0x0111, "warning", "ONE answered 0111H: it has an object of this UID already"),
            (0xA900, "failed", "ONE answered A900H: the object does not match its SOP class"),
            (0x0122, "failed", "ONE answered 0122H: it does not support the SOP class"),
        ):
            one.store.status = status
            thing = Object(patient=f"P{status:X}")
            await here.store(thing)
            await here.until(lambda sop=thing.sop, state=state: _state_of(here, sop, state))
            row = (await here.queue.sendings()).rows[0]
            assert (row.state, row.status, row.error) == (state, status, words)


async def test_an_object_that_is_refused_is_tried_again_with_patience_and_then_fails(tmp_path: Path) -> None:
    bad, good = Object(patient="BAD"), Object(patient="GOOD")
    destinations = [DestinationSettings(name="ONE", retries=2, retry_s=30, linger_s=0)]
    async with (
        receivers(1) as (one,),
        house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)], destinations=destinations) as here,
    ):
        one.store.status = 0xC123
        await here.store(bad)
        row = await here.until(lambda: _row_in(here, "retrying"))
        assert row.attempts == 1
        one.store.status = 0
        await here.store(good)  # goes first, although it came later
        await here.until(lambda: good.sop in one.store.objects)
        assert await _state_of(here, bad.sop, "waiting")
        one.store.status = 0xC123

        async def given_up() -> bool:
            await here.advance(50)
            return await _state_of(here, bad.sop, "failed")

        await here.until(given_up)
        (reason,) = await here.queue.errors()
        assert (reason.error, reason.failed) == ("ONE answered C123H: it cannot understand the object", 1)
        await here.advance(4)
        await here.queue.refresh()
        (ended,) = [e for e in here.heard if isinstance(e, events.SendingEnded) and e.failed]
        assert (ended.sent, ended.failed, ended.why) == (0, 1, "ONE answered C123H: it cannot understand the object")
        one.store.status = 0
        assert (await here.queue.retry(destination="ONE", error=reason.error)).objects == 1
        assert set((await here.settled()).values()) == {"sent"}


async def test_an_object_that_ends_the_association_lets_the_others_through(tmp_path: Path) -> None:
    poison, *others = [Object(patient=str(n)) for n in range(6)]
    destinations = [DestinationSettings(name="ONE", retries=2, retry_s=30, linger_s=0)]
    async with receivers(1) as (one,):
        keep = one.store.begin

        def begin(request: Any) -> Sink:
            if request.command.affected_sop_instance == poison.sop:
                raise RuntimeError("this one ends it")
            return keep(request)

        one.store.begin = begin  # type: ignore[method-assign]
        async with house(
            tmp_path, to("ONE"), peers=[peer("ONE", one.port)], destinations=destinations, begin=False
        ) as here:
            await here.store(poison, *others)
            await here.begin()

            async def through() -> bool:
                await here.advance(60)
                return len(one.store.objects) == 5 and await _state_of(here, poison.sop, "failed")

            await here.until(through)
            states = await here.settled()
            assert states.pop(poison.sop) == "failed"
            assert states == {each.sop: "sent" for each in others}


async def test_no_room_at_the_receiver_stops_for_a_while_and_fails_nothing(tmp_path: Path) -> None:
    objects = [Object(patient=str(n)) for n in range(10)]
    async with (
        receivers(1) as (one,),
        house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)], begin=False) as here,
    ):
        one.store.status = 0xA700
        await here.store(*objects)
        await here.begin()
        await here.until(lambda: any(isinstance(e, events.DestinationDown) for e in here.heard))
        assert len(one.store.objects) == 1  # one was tried, the others keep their tries
        (row,) = here.queue.outgoing()
        assert row.state.startswith("ONE answered A700H: it has no room or no resources; asked again in")
        one.store.status = 0

        async def done() -> bool:
            await here.advance(100)
            return set((await here.states()).values()) == {"sent"}

        await here.until(done)


async def test_what_cannot_be_sent_without_loss_says_what_the_receiver_takes(tmp_path: Path) -> None:
    async with serving(policy=_OnlyExplicit()) as one:
        async with house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)]) as here:
            packed, pressed = Object(patient="A"), Object(patient="B")
            await here.store(packed, syntax=DEFLATED)
            await here.until(lambda: _state_of(here, packed.sop, "sent"))
            assert one.store.objects[packed.sop] == packed.encode(EXPLICIT)
            await here.store(pressed, syntax=JPEG)
            await here.until(lambda: _state_of(here, pressed.sop, "failed"))
            (reason,) = await here.queue.errors()
            assert reason.error == (
                "ONE takes Explicit VR Little Endian, the instance is Secondary Capture Image Storage in JPEG Baseline"
            )


async def test_a_study_goes_when_it_is_complete(tmp_path: Path) -> None:
    first = Object()
    async with (
        receivers(1) as (one,),
        house(tmp_path, to("ONE", send="study", stable_s=60), peers=[peer("ONE", one.port)]) as here,
    ):
        await here.store(first)
        await here.advance(50)
        await here.store(first.beside())
        await here.advance(50)
        row = (await here.queue.sendings()).rows[0]
        assert (row.state, row.waiting) == ("gathering", 2)
        assert one.store.objects == {}
        await here.advance(20)
        await here.settled()
        assert len(one.store.objects) == 2
        late = first.beside()  # comes after it was complete: goes as well
        await here.store(late)
        await here.advance(61)
        await here.until(lambda: late.sop in one.store.objects)
        assert len((await here.queue.sendings()).rows) == 1


async def test_a_study_goes_when_it_was_performed_and_all_of_it_is_here(tmp_path: Path) -> None:
    first, other, alone = Object(), Object(), Object()

    async def tell(here: House, state: str, images: int, study: str) -> None:
        await here.archive.db.write(
            lambda c: c.execute(
                "INSERT INTO performed (sop_instance, state, study, images, data) VALUES (?, ?, ?, ?, x'')"
                " ON CONFLICT (sop_instance) DO UPDATE SET state = excluded.state, images = excluded.images",
                (f"1.{study}", state, study, images),
            )
        )
        here.bus.publish(events.PerformedChanged(here.clock.now(), 1, state, "CT1", (), (study,), images))

    async with (
        receivers(1) as (one,),
        house(tmp_path, to("ONE", send="performed", stable_s=3600), peers=[peer("ONE", one.port)]) as here,
    ):
        await here.store(first, other, alone)
        await here.advance(600)
        await tell(here, "IN PROGRESS", 0, first.study)
        await tell(here, "COMPLETED", 2, first.study)  # of which one is missing
        await tell(here, "COMPLETED", 1, other.study)  # all is here
        await here.until(lambda: other.sop in one.store.objects)
        assert first.sop not in one.store.objects
        last = first.beside()
        await here.store(last)
        await here.until(lambda: {first.sop, last.sop} <= set(one.store.objects))
        assert alone.sop not in one.store.objects
        await here.advance(3601)  # nobody has said anything
        await here.until(lambda: alone.sop in one.store.objects)


async def test_files_are_written_to_a_folder_that_may_go_away(tmp_path: Path) -> None:
    from pydicom import dcmread

    thing = Object()
    box = tmp_path / "box"
    destinations = [DestinationSettings(name="box", folder=str(box))]
    async with house(tmp_path, to("box"), destinations=destinations) as here:
        await here.store(thing)
        await here.until(lambda: any(isinstance(e, events.DestinationDown) for e in here.heard))
        await here.queue.refresh()
        (row,) = here.queue.outgoing()
        assert row.state.startswith(f"the folder {box} cannot be written to: it is no folder")
        box.mkdir()
        await here.advance(100)
        assert set((await here.settled()).values()) == {"sent"}
        (file,) = box.rglob("*.dcm")
        assert dcmread(file).SOPInstanceUID == thing.sop
        assert file.read_bytes().endswith(thing.encode())
        assert [path.name for path in box.rglob("*") if path.name.endswith(".part")] == []


async def test_what_was_deleted_before_its_turn_is_said_to_be_cancelled(tmp_path: Path) -> None:
    thing = Object()
    port = free_port()
    async with house(tmp_path, to("DEAD"), peers=[peer("DEAD", port)]) as here:
        await here.store(thing)
        await here.until(lambda: any(isinstance(e, events.DestinationDown) for e in here.heard))
        await here.archive.db.write(lambda c: c.execute("DELETE FROM instances"))
        async with serving_at(port) as store:
            await here.advance(400)
            await here.until(lambda: _state_of(here, thing.sop, "cancelled"))
            assert store == {}


async def test_a_destination_that_never_answers_is_given_up_after_its_time(tmp_path: Path) -> None:
    destinations = [DestinationSettings(name="DEAD", give_up_h=24)]
    async with house(tmp_path, to("DEAD"), peers=[peer("DEAD", free_port())], destinations=destinations) as here:
        await here.store(Object())
        await here.until(lambda: any(isinstance(e, events.DestinationDown) for e in here.heard))
        await here.advance(25 * 3600)
        states = await here.settled()
        assert set(states.values()) == {"failed"}
        (reason,) = await here.queue.errors()
        assert reason.error.startswith("not reached for 24 h: nothing listens at")


class _OnlyExplicit(OpenPolicy):
    """Takes objects in Explicit VR Little Endian only."""

    def accepts(self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest) -> tuple[int, str]:
        return (0, EXPLICIT) if EXPLICIT in transfer_syntaxes else (4, transfer_syntaxes[0])


async def _state_of(here: House, sop: str, state: str) -> bool:
    return (await here.states()).get(sop) == state


async def _row_in(here: House, state: str) -> SendingRow | None:
    return next((row for row in (await here.queue.sendings()).rows if row.state == state), None)


@asynccontextmanager
async def serving_at(port: int) -> AsyncIterator[dict[str, bytes]]:
    """Receive at a port; what came, by SOP Instance UID."""
    store = Store()
    known: dict[int, Service] = {Field.C_ECHO: EchoService(), Field.C_STORE: store}
    listener = Listener(OpenPolicy(), lambda _, field: known.get(field), timeouts=QUICK)
    await listener.start("127.0.0.1", port)
    try:
        yield store.objects
    finally:
        await listener.close()


class _Moves:
    """A peer that is asked to send: answers with ``status``, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.status = 0
        self.asked: list[tuple[str, str]] = []

    def begin(self, request: Any) -> Sink:
        return _MoveSink(self, request)


class _MoveSink(BufferSink):
    def __init__(self, moves: _Moves, request: Any) -> None:
        super().__init__(request)
        self._moves = moves

    async def finish(self) -> None:
        asked = dataset.decode(bytes(self.data), self.request.context.transfer_syntax)
        self._moves.asked.append((self.request.command.move_destination, asked.uid(0x0020000D)))
        await self.request.respond(self._moves.status)


async def test_a_peer_is_asked_to_send_the_study_once_it_is_complete(tmp_path: Path) -> None:
    first, moves = Object(), _Moves()
    destinations = [DestinationSettings(name="viewer", move_from="OLD", move_to="WS1", retries=0, linger_s=0)]
    async with serving(services={Field.C_MOVE: moves}) as old:
        route = to("viewer", send="study", stable_s=60)
        async with house(tmp_path, route, peers=[peer("OLD", old.port)], destinations=destinations) as here:
            await here.store(first, first.beside())
            await here.advance(61)
            assert set((await here.settled()).values()) == {"sent"}
            assert moves.asked == [("WS1", first.study)]
            assert "which nobody here knows" in await here.queue.not_sent(first.study, ("viewer",))
            moves.status = 0xA801
            other = Object(patient="P2")
            await here.store(other)
            await here.advance(61)
            await here.until(lambda: _state_of(here, other.sop, "failed"))
            (reason,) = await here.queue.errors()
            assert reason.error == "OLD answered A801H: it does not know the AE title that it shall send to"


async def test_what_this_node_itself_fails_at_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = Object(patient="BAD"), Object(patient="GOOD")
    destinations = [DestinationSettings(name="ONE", retries=0, linger_s=0)]
    deliver = courier.deliver

    async def odd(association: Any, offered: Any, copy: Any, content: Any, **more: Any) -> Any:
        if copy.sop_instance == bad.sop:
            raise ZeroDivisionError
        return await deliver(association, offered, copy, content, **more)

    monkeypatch.setattr(courier, "deliver", odd)
    async with (
        receivers(1) as (one,),
        house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)], destinations=destinations, begin=False) as here,
    ):
        await here.store(bad, good)
        await here.begin()
        assert await here.settled() == {bad.sop: "failed", good.sop: "sent"}
        (reason,) = await here.queue.errors()
        assert reason.error == "this node failed at it (ZeroDivisionError)"


def test_a_destination_that_does_not_answer_holds_up_no_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        config = (
            f'[[peers]]\nname = "MUTE"\nae_title = "MUTE"\nhost = "127.0.0.1"\nport = {port}\n'
            '[[routes]]\nname = "all"\nto = ["MUTE"]\n'
        )
        with running_node(tmp_path / "node", config) as node:
            sender = Sender(node.port, 1, 1)
            sender.start()
            sender.join(10)
            silent.accept()  # it is connected, and waits for an answer to its request
            assert node.stop(8) == 0
