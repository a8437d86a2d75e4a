"""An archive with its services on a listener in this process, and a line to one peer: quick to set up and look into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.dicom import dataset
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.outgoing import Exchange
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.net.service import Policy, Service, Timeouts
from pacstui.dicom.syntaxes import EXPLICIT
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.events import Event
from pacstui.monitor.calls import Calls
from pacstui.monitor.rates import Throughput
from pacstui.services.commitment import CommitmentService
from pacstui.services.commitment_scu import CommitmentAsker
from pacstui.services.query import QueryService
from pacstui.services.retrieve import RetrieveService
from pacstui.settings import PeerSettings
from tests.archive.conftest import OPTIONS
from tests.dicom.serving import Served, serving

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
COMMITMENT = "1.2.840.10008.1.20.1"
QUICK = Timeouts(artim=2, idle=20, message=1, connect=1, associate=1, response=1)


class Inside:
    """What stands there."""

    archive: Archive
    served: Served
    retrieve: RetrieveService
    commitment: CommitmentService
    asker: CommitmentAsker

    def __init__(self, peer_port: int, timeouts: Timeouts) -> None:
        self.bus, self.clock = Bus(), FakeClock()
        self.heard: list[Event] = []
        self.bus.subscribe(Event, self.heard.append)
        self.peer = PeerSettings(name="workstation", ae_title="WS1", host="127.0.0.1", port=peer_port)
        self.lines = Lines(PeerBook([self.peer]), "PACS", timeouts)
        self.lines.watcher = self.calls = Calls(self.clock, Throughput(self.clock))

    async def begin(self, association: Association, model: str, keys: dict[int, str], **elements: Any) -> Exchange:
        """Send a C-FIND, C-MOVE or C-GET."""
        identifier = dataset.DataSet()
        for tag, text in keys.items():
            identifier.put(tag, text)
        field = {FIND: Field.C_FIND, MOVE: Field.C_MOVE, GET: Field.C_GET}[model]
        data = dataset.encode(identifier, EXPLICIT)
        return await association.request(model, field, data, priority=0, affected_sop_class=model, **elements)

    @asynccontextmanager
    async def calling(self, *models: str) -> AsyncIterator[Association]:
        """Associate with it."""
        contexts = [(model, [EXPLICIT]) for model in models]
        async with associate(
            "127.0.0.1", self.served.port, called="PACS", calling="ASKER", contexts=contexts
        ) as association:
            yield association


@asynccontextmanager
async def inside(
    folder: Path, peer_port: int = 1, timeouts: Timeouts = QUICK, policy: Policy | None = None
) -> AsyncIterator[Inside]:
    """Have an archive with its services for the time of the block."""
    place = Inside(peer_port, timeouts)
    place.archive = await Archive.open(folder / "data", OPTIONS, place.bus)
    place.retrieve = retrieve = RetrieveService(place.archive, place.lines, place.bus, place.clock, 1)
    commitment = CommitmentService(place.archive, place.lines, place.bus, place.clock)
    commitment.asker = asker = CommitmentAsker(place.archive, place.lines, place.bus, place.clock, 24)
    place.commitment, place.asker = commitment, asker
    services: dict[int, Service] = {
        Field.C_FIND: QueryService(place.archive.db, "PACS"), Field.C_MOVE: retrieve, Field.C_GET: retrieve,
        Field.N_ACTION: commitment, Field.N_EVENT_REPORT: asker,
    }  # fmt: skip
    try:
        async with serving(services=services, policy=policy) as place.served:
            yield place
    finally:
        await retrieve.close()
        await commitment.close()
        await asker.close()
        await place.archive.close()
