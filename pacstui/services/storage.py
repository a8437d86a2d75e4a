"""Storage SCP: takes objects into the archive (PS3.4 B), and answers only when they are durable and indexed."""

from __future__ import annotations

from collections.abc import Awaitable

from pacstui import events
from pacstui.archive import Archive, Incoming, Refused
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.dicom.dimse import Status
from pacstui.dicom.net.association import Request
from pacstui.dicom.uids import name_of


class _StoreSink:
    """One C-STORE on its way into the archive.

    A refusal that is known before the data set has arrived waits for its end: only then does a sender read.
    """

    def __init__(self, service: StorageService, request: Request) -> None:
        self._service = service
        self._request = request
        self._incoming: Incoming | None = None
        self._refusal: Refused | None = None
        command, context = request.command, request.context
        sop_class = command.affected_sop_class
        if not command.has_data_set:
            self._refusal = Refused(Status.CANNOT_UNDERSTAND, "C-STORE-RQ without a data set")
        elif sop_class != context.abstract_syntax:
            self._refusal = Refused(
                Status.DATA_SET_MISMATCH, f"SOP class is not that of context {context.id}", offending=(0x00000002,)
            )
        else:
            try:
                self._incoming = service.archive.begin(
                    calling=service.source or request.association.calling,
                    address=request.association.address[0],
                    association=request.association.id,
                    sop_class=sop_class,
                    sop_instance=command.affected_sop_instance,
                    transfer_syntax=context.transfer_syntax,
                    called=request.association.called,
                )
            except Refused as refusal:
                self._refusal = refusal

    def write(self, chunk: memoryview) -> Awaitable[None] | None:
        if self._incoming is not None:
            return self._incoming.write(chunk)
        return None

    async def finish(self) -> None:
        try:
            if self._incoming is None:
                raise self._refusal or Refused(Status.PROCESSING_FAILURE, "no data set was expected")
            stored = await self._incoming.finish()
        except Refused as refusal:
            self._service.refused(self._request, refusal)
            await self._request.respond(refusal.status, comment=refusal.comment, offending=refusal.offending)
            return
        await self._request.respond(stored.status, comment=stored.comment)

    def abandon(self, why: str) -> None:
        if self._incoming is not None:
            self._incoming.abandon()


class StorageService:
    """C-STORE for every storage SOP class, and for unknown ones where the settings allow.

    ``source`` is noted as the sender of what comes, by default the calling AE title.
    """

    def __init__(self, archive: Archive, bus: Bus, clock: Clock, source: str = "") -> None:
        self.source = source
        self.archive = archive
        self._bus = bus
        self._clock = clock

    def begin(self, request: Request) -> _StoreSink:
        return _StoreSink(self, request)

    def refused(self, request: Request, refusal: Refused) -> None:
        """Tell the bus of a refusal that the archive has not seen."""
        if not refusal.told:
            self._bus.publish(
                events.InstanceRefused(
                    self._clock.now(),
                    request.association.id,
                    request.association.calling,
                    request.command.affected_sop_instance,
                    refusal.status,
                    refusal.comment or f"{name_of(request.context.abstract_syntax)} refused",
                )
            )
