"""Destinations that do everything wrong in the middle of a C-MOVE, and requestors that cancel or go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pacstui import events
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink, OpenPolicy
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.pdu import AssociateRequest
from tests.archive.conftest import send
from tests.archive.objects import Object
from tests.dicom.serving import Served, serving, until
from tests.services.inside import MOVE, Inside, inside

FIRST = Object(patient="P1")
THINGS = [FIRST, FIRST.beside(), FIRST.beside(), FIRST.beside()]
KEYS = {0x00080052: "STUDY", 0x0020000D: FIRST.study}


class Misbehaving:
    """A destination that stores ``after`` objects as it should, then does something else."""

    def __init__(self, wrong: Callable[[Request], None], after: int = 1) -> None:
        self.wrong, self.after = wrong, after
        self.count = 0

    def begin(self, request: Request) -> BufferSink:
        destination = self

        class Sink(BufferSink):
            async def finish(self) -> None:
                destination.count += 1
                if destination.count <= destination.after:
                    await request.respond(0)
                    return
                destination.wrong(request)
                request.complete = True  # what comes is no answer of ours

        return Sink(request)


def abort(request: Request) -> None:
    request.association.abort("on purpose")


def lose(request: Request) -> None:
    request.association.connection.kill()


def garbage(request: Request) -> None:
    request.association.connection.write(b"\x04\x00" + b"\xff" * 200)


def other_protocol(request: Request) -> None:
    request.association.connection.write(b"HTTP/1.1 500 no\r\n\r\n" * 20)


def half_an_answer(request: Request) -> None:
    request.association.connection.write(b"\x04\x00\x00\x00\x00\x60\x00\x00\x00\x5c\x01\x03\x00\x00")


def silence(request: Request) -> None:
    return None


@contextlib.asynccontextmanager
async def scene(folder: Path, destination: Misbehaving | None) -> AsyncIterator[tuple[Inside, Served | None]]:
    async with contextlib.AsyncExitStack() as stack:
        there = None
        if destination is not None:
            there = await stack.enter_async_context(serving(services={Field.C_STORE: destination}))
        place = await stack.enter_async_context(inside(folder, there.port if there is not None else 1))
        for thing in THINGS:
            await send(place.archive, thing)
        yield place, there


async def moved(place: Inside) -> tuple[int, int, int, str]:
    async with place.calling(MOVE) as caller:
        exchange = await place.begin(caller, MOVE, KEYS, move_destination="WS1")
        final = await exchange.final()
        failed = final.command.number(0x1022)
        return final.status, final.command.number(0x1021), failed, final.comment


@pytest.mark.parametrize("wrong", [abort, lose, garbage, other_protocol, half_an_answer, silence])
async def test_a_destination_that_goes_wrong_fails_what_it_did_not_take(
    tmp_path: Path, wrong: Callable[[Request], None]
) -> None:
    async with scene(tmp_path, Misbehaving(wrong)) as (place, _):
        status, completed, failed, comment = await moved(place)
        assert (status, completed, failed) == (0xB000, 1, 3)
        assert comment
        (told,) = [each for each in place.heard if isinstance(each, events.Retrieved)]
        assert (told.completed, told.failed, bool(told.why)) == (1, 3, True)
        assert place.calls.open == {}
        status, completed, failed, _ = await moved(place)
        assert (status, completed, failed) == (0xA702, 0, 4), "it is tried again as if nothing had been"


@pytest.mark.parametrize("how", ["nothing", "silent", "rejects"])
async def test_a_destination_without_an_association(tmp_path: Path, how: str) -> None:
    class Closed(OpenPolicy):
        def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
            return Refusal(1, 1, 7, "not us", "")

    async with contextlib.AsyncExitStack() as stack:
        port = 1
        if how == "silent":
            server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
            stack.callback(server.close)
            port = server.sockets[0].getsockname()[1]
        elif how == "rejects":
            port = (await stack.enter_async_context(serving(policy=Closed()))).port
        place = await stack.enter_async_context(inside(tmp_path, port))
        for thing in THINGS:
            await send(place.archive, thing)
        status, completed, failed, _ = await moved(place)
        assert (status, completed, failed) == (0xA702, 0, 4)
        (entry,) = place.calls.ended.values()
        assert (entry.state, bool(entry.answer)) == ("failed", True)


@pytest.mark.parametrize("how", ["cancels", "aborts", "vanishes"])
@pytest.mark.parametrize("stalls", [True, False])
async def test_a_retrieval_that_nobody_waits_for_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, stalls: bool
) -> None:
    """With what is under way, or soon after if the destination stalls."""
    monkeypatch.setattr("pacstui.services.retrieve._GRACE_S", 0.2 if stalls else 30.0)
    asked: list[Request] = []
    destination = Misbehaving(asked.append)
    async with scene(tmp_path, destination) as (place, there):
        place.lines.timeouts = place.lines.timeouts.__class__(response=60)
        async with place.calling(MOVE) as caller:
            exchange = await place.begin(caller, MOVE, KEYS, move_destination="WS1")
            await until(lambda: asked)
            if how == "cancels":
                await exchange.cancel()
            elif how == "aborts":
                caller.abort("no patience")
            else:
                caller.connection.kill()
            if not stalls:
                await until(lambda: how == "cancels" or not place.served.listener.associations)
                asked[0].complete = False
                await asked[0].respond(0)
            if how == "cancels":
                final = await exchange.final()
                assert final.status == 0xFE00
                assert final.command.number(0x1020) == 2
        await until(lambda: any(isinstance(each, events.Retrieved) for each in place.heard))
        (told,) = [each for each in place.heard if isinstance(each, events.Retrieved)]
        assert (told.completed, told.failed, told.remaining) == ((1, 1, 2) if stalls else (2, 0, 2))
        assert destination.count == 2
        if how != "cancels" and not stalls:
            assert told.why == "who asked for it is gone, the rest was not sent"
        await until(lambda: place.calls.open == {})
        assert there is not None
        await until(lambda: len(there.watch.ends) == 1)
