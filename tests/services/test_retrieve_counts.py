"""Whatever destinations and requestors do, every instance of a retrieval is counted once and sent at most once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from pacstui import events
from pacstui.archive.reading import Content, Part
from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.outgoing import Response
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.net.service import OpenPolicy
from pacstui.dicom.syntaxes import DEFLATED, EXPLICIT, IMPLICIT
from pacstui.dicom.ul.items import RoleSelection
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.index.retrieve import Copy
from pacstui.services.corrected import ChangedContent, Gone
from tests.archive.conftest import send
from tests.archive.objects import SECONDARY_CAPTURE, Object
from tests.dicom.serving import serving, until
from tests.services.inside import GET, MOVE, Inside, inside

SIZES = (300, 3000, 40_000, 100_000, 1_500_000, 2_500_000, 9_000_000)
ANSWERS = {"ok": 0, "ok and gone": 0, "warns": 0xB007, "fails": 0xA700, "twice": 0}
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023


class Receiver:
    """A store service that does with each instance what it was told to; ``seen`` is what came, in order."""

    def __init__(self, does: dict[str, str]) -> None:
        self.does = does
        self.seen: list[str] = []
        self.digests: dict[str, str] = {}
        self.answered: dict[str, int] = {}
        self.arrived = asyncio.Event()
        self.hold: dict[str, asyncio.Event] = {}
        self.on: dict[str, Association] = {}

    def begin(self, request: Request) -> _Sink:
        return _Sink(self, request)


class AnyRole(OpenPolicy):
    def roles(self, sop_class: str, scu: bool, scp: bool, rq: AssociateRequest) -> tuple[bool, bool]:
        return scu, scp


class _Sink:
    def __init__(self, receiver: Receiver, request: Request) -> None:
        self._of, self._request, self._digest = receiver, request, sha256()

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        self._digest.update(chunk)
        return None

    def abandon(self, why: str) -> None:
        pass

    async def finish(self) -> None:
        request, of = self._request, self._of
        sop = request.command.affected_sop_instance
        of.seen.append(sop)
        of.digests[sop] = self._digest.hexdigest()
        of.on[sop] = request.association
        of.arrived.set()
        if sop in of.hold:
            await of.hold[sop].wait()
        what = of.does.get(sop, "ok")
        if what in ANSWERS:
            await request.respond(ANSWERS[what])
            of.answered[sop] = ANSWERS[what]
            if what == "ok and gone":
                request.association.abort("it has all")
            if what == "twice":
                request.complete = False
                await request.respond(0)
        elif what == "wrong id":
            request.command.message_id += 1
            await request.respond(0)
        elif what == "aborts":
            request.association.abort("on purpose")
        elif what == "vanishes":
            request.association.connection.kill()
        request.complete = True


@asynccontextmanager
async def scene(folder: Path, receiver: Receiver, parallel: int) -> AsyncIterator[Inside]:
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(serving(services={Field.C_STORE: receiver}))
        place = await stack.enter_async_context(inside(folder, there.port, policy=AnyRole()))
        place.retrieve.parallel = parallel
        yield place


@asynccontextmanager
async def asking(place: Inside, verb: str, receiver: Receiver) -> AsyncIterator[Association]:
    model = MOVE if verb == "C-MOVE" else GET
    contexts = [(model, [EXPLICIT])] + ([(SECONDARY_CAPTURE, [EXPLICIT])] if verb == "C-GET" else [])
    roles = [RoleSelection(SECONDARY_CAPTURE, False, True)] if verb == "C-GET" else []
    async with associate(
        "127.0.0.1", place.served.port, called="PACS", calling="ASKER", contexts=contexts, roles=roles,
        service_for=lambda _, field: receiver if field == Field.C_STORE else None,
    ) as association:  # fmt: skip
        yield association


async def answers(place: Inside, association: Association, verb: str, study: str, receiver: Receiver, cancel: int = 0
                  ) -> tuple[list[Response], list[str]]:  # fmt: skip
    """Retrieve a study; return all responses, and the UIDs that the last one says were not sent."""
    keys = {0x00080052: "STUDY", 0x0020000D: study}
    more = {"move_destination": "WS1"} if verb == "C-MOVE" else {}
    exchange = await place.begin(association, MOVE if verb == "C-MOVE" else GET, keys, **more)

    async def stop() -> None:
        while len(receiver.seen) < cancel:
            receiver.arrived.clear()
            await receiver.arrived.wait()
        await exchange.cancel()

    stopping = asyncio.create_task(stop()) if cancel else None
    found = [response async for response in exchange]
    if stopping is not None:
        stopping.cancel()
    data = found[-1].data
    listed = dataset.decode(data, EXPLICIT) if data else DataSet()
    return found, [uid for uid in listed.uids(0x00080058) if uid]


def numbers(response: Response) -> tuple[int, int, int, int]:
    command = response.command
    return tuple(command.number(tag) or 0 for tag in (REMAINING, COMPLETED, FAILED, WARNING))  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("verb", ["C-MOVE", "C-GET"])
async def test_every_instance_is_counted_once_and_sent_at_most_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, seed: int
) -> None:
    monkeypatch.setattr("pacstui.services.retrieve._EVERY_S", 0.01)
    monkeypatch.setattr("pacstui.services.retrieve._GRACE_S", 0.1)
    chance = random.Random(seed)
    first = Object()
    things = [
        first.beside(pixels=chance.randbytes(chance.choices(SIZES, (9, 9, 9, 6, 3, 2, 1))[0]))
        for _ in range(chance.randint(2, 24))
    ]
    syntaxes = {thing.sop: chance.choice([EXPLICIT] * 4 + [IMPLICIT, DEFLATED]) for thing in things}
    taken = syntaxes if verb == "C-MOVE" else dict.fromkeys(syntaxes, EXPLICIT)  # which a requestor wants, it gets
    sent = {thing.sop: thing.encode(taken[thing.sop]) for thing in things}
    bad = [] if verb == "C-GET" else chance.choice([[], ["aborts"], ["vanishes"], ["twice"], ["wrong id"], ["silent"]])
    kinds = ["ok"] * 12 + ["warns"] * 2 + ["fails"] * 2
    does = {sop: chance.choice(bad if bad and chance.random() < 0.06 else kinds) for sop in sent}
    receiver = Receiver(does)
    async with scene(tmp_path, receiver, chance.randint(1, 4)) as place, asyncio.timeout(25):
        harmed = set()
        for thing in things:
            stored = await send(place.archive, thing, syntax=syntaxes[thing.sop])
            if chance.random() < 0.08:
                harmed.add(thing.sop)
                path = place.archive.path_of(stored.path)
                path.write_bytes(b"x" * path.stat().st_size) if chance.random() < 0.5 else path.unlink()
        cancel = chance.choice([0, 0, chance.randint(1, len(things))])
        async with asking(place, verb, receiver) as association:
            responses, failed = await answers(place, association, verb, things[0].study, receiver, cancel)
    assert len(receiver.seen) == len(set(receiver.seen)), "nothing is sent twice"
    for sop in receiver.seen:
        if taken[sop] == syntaxes[sop] or syntaxes[sop] == DEFLATED:  # else it has other VRs than were sent here
            assert receiver.digests[sop] == sha256(sent[sop]).hexdigest()
    for before, after in zip(responses, responses[1:], strict=False):
        assert numbers(after)[0] <= numbers(before)[0] or not after.pending
        assert all(new >= old for old, new in zip(numbers(before)[1:], numbers(after)[1:], strict=True))
    for each in responses:
        assert sum(numbers(each)) == len(things), each
    remaining, completed, failures, warnings = numbers(responses[-1])
    assert len(failed) == len(set(failed)) == failures
    assert set(failed) <= set(sent)
    if not cancel:
        assert remaining == 0
        assert harmed <= set(failed)
    if remaining:
        assert responses[-1].status == 0xFE00
    else:
        wanted = 0 if not failures and not warnings else 0xA702 if not completed and not warnings else 0xB000
        assert responses[-1].status == wanted
    counted = {sop: status for sop, status in receiver.answered.items() if sop not in failed}
    good = [sop for sop, status in counted.items() if status == 0]
    if bad:
        assert len(good) >= completed
    else:
        assert len(good) == completed
        assert len(counted) - len(good) == warnings
        assert set(failed) == {sop for sop, status in receiver.answered.items() if status == 0xA700} | (
            harmed & set(failed)
        )


@pytest.mark.parametrize("late", ["unanswered", "answered"])
async def test_what_an_association_has_ready_when_it_dies_goes_on_another(tmp_path: Path, late: str) -> None:
    """Also when that other one had nothing left to do by then."""
    first = Object()
    things = [first, *(first.beside() for _ in range(3))]
    receiver = Receiver({})
    receiver.hold = {thing.sop: asyncio.Event() for thing in things}
    async with scene(tmp_path, receiver, 2) as place, asyncio.timeout(20):
        for thing in things:
            await send(place.archive, thing)
        async with asking(place, "C-MOVE", receiver) as association:
            retrieving = asyncio.create_task(answers(place, association, "C-MOVE", first.study, receiver))
            await until(lambda: len(receiver.seen) == 2)  # and the other two stand ready
            dies, lives = receiver.seen
            receiver.hold[lives].set()
            await until(lambda: len(receiver.seen) == 3)
            third = receiver.seen[2]
            receiver.hold[third].set()
            await until(lambda: third in receiver.answered)
            if late == "unanswered":
                receiver.does[dies] = "aborts"
            for event in receiver.hold.values():
                event.set()
            if late == "answered":
                receiver.on[dies].abort("right after its answer")
            responses, failed = await retrieving
    assert failed in ([dies], [] if late == "answered" else [dies])
    assert len(receiver.seen) == len(set(receiver.seen)) == 4
    assert numbers(responses[-1])[1] == 4 - len(failed)


async def test_a_destination_that_leaves_after_the_last_answer_is_no_fault(tmp_path: Path) -> None:
    thing = Object()
    receiver = Receiver({thing.sop: "ok and gone"})
    async with scene(tmp_path, receiver, 1) as place, asyncio.timeout(20):
        await send(place.archive, thing)
        async with asking(place, "C-MOVE", receiver) as association:
            responses, failed = await answers(place, association, "C-MOVE", thing.study, receiver)
        (told,) = [each for each in place.heard if isinstance(each, events.Retrieved)]
    assert (responses[-1].status, failed, told.completed, told.why) == (0, [], 1, "")


class Correcting:
    """Stands in for what makes corrected copies: of what is in ``texts`` one with that text, in memory or in a file."""

    def __init__(self, folder: Path, in_a_file: bool) -> None:
        self.corrections = 0
        self.texts: dict[str, Object] = {}
        self.gone: set[str] = set()
        self._folder, self._in_a_file = folder, in_a_file
        folder.mkdir()

    async def anew(self, copy: Copy) -> Copy:
        if copy.sop_instance in self.gone:
            raise Gone("it is not there any more")
        return copy._replace(corrected=copy.sop_instance in self.texts)

    async def __call__(self, copy: Copy, content: Content) -> tuple[Copy, Content]:
        data = self.texts[copy.sop_instance].encode()
        if not self._in_a_file:
            part = Part("", 0, len(data), sha256(data).digest())
            return copy, ChangedContent(Path(), part, data)
        path = self._folder / f"{copy.sop_instance}-{self.corrections}.part"
        path.write_bytes(data)
        return copy, ChangedContent(path, Part(str(path), 0, len(data), sha256(data).digest()), None)


@pytest.mark.parametrize("in_a_file", [False, True])
@pytest.mark.parametrize("verb", ["C-MOVE", "C-GET"])
async def test_what_is_corrected_or_deleted_while_it_stands_ready_leaves_so(
    tmp_path: Path, verb: str, in_a_file: bool
) -> None:
    first = Object()
    things = [first, *(first.beside() for _ in range(5))]
    receiver = Receiver({})
    receiver.hold = {things[0].sop: asyncio.Event(), things[3].sop: asyncio.Event()}
    handing = Correcting(tmp_path / "made", in_a_file)
    async with scene(tmp_path, receiver, 1) as place, asyncio.timeout(20):
        place.retrieve.handing = handing  # type: ignore[assignment]
        for thing in things:
            await send(place.archive, thing)
        async with asking(place, verb, receiver) as association:
            retrieving = asyncio.create_task(answers(place, association, verb, first.study, receiver))
            await until(lambda: len(receiver.seen) == 1)
            await _turns()
            handing.texts[things[1].sop] = things[1].copy(description="CORRECTED")
            handing.gone.add(things[2].sop)
            handing.corrections += 1
            receiver.hold[things[0].sop].set()
            await until(lambda: len(receiver.seen) == 3)
            await _turns()
            handing.texts[things[4].sop] = things[4].copy(description="CORRECTED")
            handing.texts[things[1].sop] = things[1].copy(description="TOO LATE")
            handing.corrections += 1
            await _turns()
            handing.texts[things[4].sop] = things[4].copy(description="CORRECTED AGAIN")
            handing.corrections += 1
            receiver.hold[things[3].sop].set()
            responses, failed = await retrieving
    assert failed == [things[2].sop]
    assert numbers(responses[-1]) == (0, 5, 1, 0)
    wanted = {thing.sop: thing for thing in things if thing is not things[2]}
    wanted[things[1].sop] = things[1].copy(description="CORRECTED")
    wanted[things[4].sop] = things[4].copy(description="CORRECTED AGAIN")
    assert receiver.digests == {sop: sha256(thing.encode()).hexdigest() for sop, thing in wanted.items()}
    assert list((tmp_path / "made").iterdir()) == [], "nothing that was made for sending is left"


async def _turns() -> None:
    """Let what can go on do so: the next instance is made ready."""
    for _ in range(200):
        await asyncio.sleep(0)
