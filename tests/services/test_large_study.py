"""A study of 2,000 instances is moved and fetched, every one of them byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks import client, sender
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.service import OpenPolicy, Request
from tests.running import Sender, free_port, running_node

COUNT = 2000
pytestmark = pytest.mark.slow


class Hashing:
    """Takes instances and keeps the SHA-256 of each."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}

    def service_for(self, abstract_syntax: str, field: int) -> Hashing | None:
        return self if field == Field.C_STORE else None

    def begin(self, request: Request) -> _Sink:
        return _Sink(self, request)


class _Sink:
    def __init__(self, owner: Hashing, request: Request) -> None:
        self._owner, self._request, self._digest = owner, request, sha256()

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        self._digest.update(chunk)
        return None

    async def finish(self) -> None:
        self._owner.digests[self._request.command.affected_sop_instance] = self._digest.hexdigest()
        await self._request.respond(0)

    def abandon(self, why: str) -> None:
        raise AssertionError(why)


def test_a_study_of_2000_instances_comes_back_byte_for_byte(tmp_path: Path) -> None:
    at = free_port()
    peer = f'[[peers]]\nname = "dest"\nae_title = "DEST"\nhost = "127.0.0.1"\nport = {at}\n'
    study = client.identifier("STUDY", StudyInstanceUID=sender.study_of(1))

    async def fetch(port: int) -> dict[str, str]:
        taking = Hashing()
        async with client.asking(port, client.GET, taking, "PACS") as association:  # type: ignore[arg-type]
            exchange = await association.request(
                client.GET, Field.C_GET, study, priority=0, affected_sop_class=client.GET
            )
            assert (await exchange.final()).status == 0
        return taking.digests

    async def move(port: int) -> dict[str, str]:
        taking = Hashing()
        listener = Listener(OpenPolicy(), taking.service_for)
        await listener.start("127.0.0.1", at)
        async with client.asking(port, client.MOVE, called="PACS") as association:
            exchange = await association.request(
                client.MOVE, Field.C_MOVE, study, priority=0, affected_sop_class=client.MOVE, move_destination="DEST"
            )
            assert (await exchange.final()).status == 0
        await listener.close()
        return taking.digests

    with running_node(tmp_path / "node", peer) as node:
        storing = Sender(node.port, 1, COUNT, 3000)
        storing.start()
        storing.join(60)
        assert len(storing.acknowledged) == COUNT

        fetched, moved = asyncio.run(fetch(node.port)), asyncio.run(move(node.port))
        assert fetched == moved == storing.acknowledged
