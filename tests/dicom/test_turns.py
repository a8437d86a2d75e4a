"""Two things at once on one association: messages are never mixed, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pacstui.dicom.dimse import Field
from pacstui.dicom.net.errors import AssociationEnded
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.net.service import OpenPolicy, StatusSink, Timeouts
from pacstui.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from pacstui.dicom.ul.items import RoleSelection
from pacstui.dicom.ul.pdu import AssociateRequest
from tests.dicom.serving import serving

CT = "1.2.840.10008.5.1.4.1.1.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
PLAIN = (EXPLICIT_VR_LITTLE_ENDIAN,)


class Roles(OpenPolicy):
    def roles(self, sop_class: str, scu: bool, scp: bool, rq: AssociateRequest) -> tuple[bool, bool]:
        return scu, scp


async def test_a_message_waits_until_the_one_that_is_on_its_way_is_sent() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(1 << 20)
        begun.set()
        await go_on.wait()
        yield bytes(1 << 20)

    async with serving() as node:
        contexts = [(VERIFICATION, PLAIN), (CT, PLAIN)]
        async with associate("127.0.0.1", node.port, called="A", calling="B", contexts=contexts) as association:
            stored = asyncio.create_task(association.store(CT, "1.2.3", PLAIN[0], pieces(), sop_class=CT))
            await begun.wait()
            echoed = asyncio.create_task(association.echo())
            await asyncio.sleep(0)
            assert not echoed.done()
            go_on.set()
            assert ((await stored).status, await echoed) == (0, 0)
    assert len(node.store.objects["1.2.3"]) == 2 << 20


class Sending:
    """A C-GET that sends some instances, slowly, without pending responses."""

    def __init__(self, count: int, pause: float) -> None:
        self.count, self.pause = count, pause
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def begin(self, request: Request) -> StatusSink:
        return _SendingSink(self, request)


class _SendingSink(StatusSink):
    def __init__(self, service: Sending, request: Request) -> None:
        super().__init__(request, 0)
        self.service = service

    async def finish(self) -> None:
        try:
            for number in range(self.service.count):
                await self.request.association.store(CT, f"1.2.{number}", PLAIN[0], b"", sop_class=CT)
                await asyncio.sleep(self.service.pause)
        except AssociationEnded as ended:
            self.service.ended.set_result(ended)
            raise
        await self.request.respond(0)
        self.service.ended.set_result(None)


class Answers:
    """What the requestor does with instances that it gets: takes them, or says nothing."""

    def __init__(self, silent: bool) -> None:
        self.silent = silent
        self.got = 0

    def begin(self, request: Request) -> StatusSink:
        self.got += 1
        return _SilentSink(request, 0) if self.silent else StatusSink(request, 0)


class _SilentSink(StatusSink):
    async def finish(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("silent", [False, True], ids=["takes all", "says nothing"])
async def test_a_retrieval_lives_while_it_moves_and_ends_when_the_other_side_is_silent(silent: bool) -> None:
    timeouts = Timeouts(artim=3, idle=20, message=5, connect=3, associate=3, response=0.4)
    service, answers = Sending(1 if silent else 12, 0.08), Answers(silent)
    async with serving(policy=Roles(), timeouts=timeouts, services={Field.C_GET: service}) as node:
        async with associate(
            "127.0.0.1", node.port, called="A", calling="B", contexts=[(GET, PLAIN), (CT, PLAIN)],
            roles=[RoleSelection(CT, False, True)], timeouts=Timeouts(response=30 if silent else 0.4),
            service_for=lambda abstract_syntax, command: answers,
        ) as association:  # fmt: skip
            asked = await association.request(GET, Field.C_GET, b"", priority=0, affected_sop_class=GET)
            if silent:
                ended = await asyncio.wait_for(service.ended, 5)
                assert "no response for 0.4 s" in str(ended)
                with pytest.raises(AssociationEnded):
                    await asked.final()
            else:
                assert (await asked.final()).status == 0
                assert answers.got == 12
                assert await service.ended is None


async def test_an_answer_that_nobody_waits_for_any_more_ends_no_association() -> None:
    timeouts = Timeouts(artim=3, idle=20, message=5, connect=3, associate=3, response=0.2)
    async with serving() as node:
        node.store.gate = asyncio.Event()
        contexts = [(VERIFICATION, PLAIN), (CT, PLAIN)]
        async with associate(
            "127.0.0.1", node.port, called="A", calling="B", contexts=contexts, timeouts=timeouts
        ) as association:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await association.store(CT, "1.2.3", PLAIN[0], b"", sop_class=CT)
            await asyncio.sleep(0.5)
            assert association.is_open
            node.store.gate.set()
            assert await association.echo() == 0
