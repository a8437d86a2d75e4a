"""The asking side of the retrieve and find benchmarks: the same for every peer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.net.service import OpenPolicy, Request
from pacstui.dicom.ul.items import RoleSelection

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
_ROOT = "1.2.840.10008.5.1.4.1.2.2."
FIND, MOVE, GET = _ROOT + "1", _ROOT + "2", _ROOT + "3"


class Counting:
    """Takes instances and drops them."""

    def __init__(self) -> None:
        self.count = 0
        self.bytes = 0

    def begin(self, request: Request) -> _Drop:
        return _Drop(self, request)

    def service_for(self, abstract_syntax: str, field: int) -> Counting | None:
        return self if field == Field.C_STORE else None


class _Drop:
    def __init__(self, owner: Counting, request: Request) -> None:
        self._owner, self._request = owner, request

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        self._owner.bytes += len(chunk)
        return None

    async def finish(self) -> None:
        self._owner.count += 1
        await self._request.respond(0)

    def abandon(self, why: str) -> None:
        return None


def identifier(level: str, **keys: str) -> bytes:
    """Return an identifier; keys by keyword."""
    from pacstui.dicom.dictionary import tag_of

    out = DataSet()
    out.put(0x00080052, level, "CS")
    for keyword, text in keys.items():
        out.put(tag_of(keyword), text)
    return dataset.encode(out, EXPLICIT)


@asynccontextmanager
async def asking(
    port: int, model: str, counting: Counting | None = None, called: str = "BENCH"
) -> AsyncIterator[Association]:
    """Associate for one of the models; for a C-GET with the storage role."""
    contexts = [(model, [EXPLICIT])] + ([(CT, [EXPLICIT])] if counting else [])
    roles = [RoleSelection(CT, False, True)] if counting else []
    async with associate(
        "127.0.0.1", port, called=called, calling="ASKER", contexts=contexts, roles=roles,
        service_for=counting.service_for if counting else None,
    ) as association:  # fmt: skip
        yield association


async def get(port: int, **keys: str) -> tuple[int, float]:
    """Fetch; return the number of instances and the seconds."""
    counting = Counting()
    async with asking(port, GET, counting) as association:
        begun = time.perf_counter()
        exchange = await association.request(GET, Field.C_GET, identifier(**keys), priority=0, affected_sop_class=GET)
        await exchange.final()
        return counting.count, time.perf_counter() - begun


async def move(port: int, at: int, **keys: str) -> tuple[int, float]:
    """Let it be moved to the destination at port ``at``; return the number of instances and the seconds."""
    counting = Counting()
    listener = Listener(OpenPolicy(), counting.service_for)
    await listener.start("127.0.0.1", at)
    try:
        async with asking(port, MOVE) as association:
            begun = time.perf_counter()
            exchange = await association.request(
                MOVE, Field.C_MOVE, identifier(**keys), priority=0, affected_sop_class=MOVE, move_destination="DEST"
            )
            await exchange.final()
            return counting.count, time.perf_counter() - begun
    finally:
        await listener.close()


async def find(port: int, times: int, **keys: str) -> tuple[int, float]:
    """Ask ``times`` times on one association; return the answers to one and the median seconds."""
    spent = []
    count = 0
    async with asking(port, FIND) as association:
        for _ in range(times):
            begun = time.perf_counter()
            exchange = await association.request(
                FIND, Field.C_FIND, identifier(**keys), priority=0, affected_sop_class=FIND
            )
            count = 0
            async for response in exchange:
                count += response.pending
            spent.append(time.perf_counter() - begun)
            await asyncio.sleep(0)
    return count, sorted(spent)[len(spent) // 2]
