"""The places that the practice hospital's archive sends to."""

from __future__ import annotations

import asyncio

import pytest

from pacstui.dicom.net.errors import AssociationEnded, PeerUnreachable
from pacstui.dicom.net.requestor import associate
from pacstui.practice.headers import EXPLICIT, IMPLICIT, JPEG_LOSSLESS
from pacstui.practice.receivers import WAYS, Receiver, Ways
from pacstui.practice.roster import DESTINATIONS
from tests.running import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"


class Hand:
    """A clock that somebody moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def stored(port: int, number: int, syntax: str = EXPLICIT) -> list[int]:
    """Store objects on one association; return the statuses."""
    answers = []
    async with associate("127.0.0.1", port, called="X", calling="T", contexts=[(CT, [syntax])]) as association:
        for n in range(number):
            response = await association.store(CT, f"1.2.3.{n}", syntax, bytes(100))
            answers.append(response.status)
    return answers


async def test_the_good_one_takes_everything_and_knows_it() -> None:
    receiver = Receiver("VNA", free_port(), Ways())
    await receiver.open()
    try:
        assert await stored(receiver._port, 3, JPEG_LOSSLESS) == [0, 0, 0]
        assert set(receiver.taken.objects) == {"1.2.3.0", "1.2.3.1", "1.2.3.2"}
    finally:
        await receiver.close()


async def test_one_has_no_room_at_times_and_drops_the_line_at_others() -> None:
    clock = Hand()
    receiver = Receiver("TELERAD", free_port(), Ways(drops_after=4, full_every=10.0, full_for=3.0), clock)
    await receiver.open()
    try:
        assert await stored(receiver._port, 2) == [0, 0]
        clock.now = 7.5
        assert await stored(receiver._port, 1) == [0xA700]
        clock.now = 10.5
        with pytest.raises(AssociationEnded):
            await stored(receiver._port, 9)
        assert len(receiver.taken.objects) == 4
    finally:
        await receiver.close()


async def test_one_takes_nothing_compressed() -> None:
    receiver = Receiver("AI-CHEST", free_port(), Ways(syntaxes=(EXPLICIT, IMPLICIT)))
    await receiver.open()
    try:
        contexts = [(CT, [JPEG_LOSSLESS]), (CT, [EXPLICIT])]
        async with associate("127.0.0.1", receiver._port, called="X", calling="T", contexts=contexts) as association:
            assert association.context_for(CT, EXPLICIT)
            assert [c.transfer_syntax for c in association.contexts if not c.result] == [EXPLICIT]
    finally:
        await receiver.close()


async def test_one_is_away_and_comes_back() -> None:
    clock = Hand()
    receiver = Receiver("OLDPACS", free_port(), Ways(closed_every=60.0, closed_for=20.0), clock)
    await receiver.open()
    try:
        with pytest.raises(PeerUnreachable):
            await stored(receiver._port, 1)
        clock.now = 21.0
        await receiver._turn()
        assert await stored(receiver._port, 1) == [0]
        clock.now = 61.0
        await receiver._turn()
        with pytest.raises(PeerUnreachable):
            await stored(receiver._port, 1)
    finally:
        await asyncio.wait_for(receiver.close(), 5)


def test_every_destination_has_its_ways() -> None:
    assert [peer.title for peer in DESTINATIONS] == list(WAYS)
