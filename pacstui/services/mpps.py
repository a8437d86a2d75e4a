"""Modality Performed Procedure Step SCP: N-CREATE and N-SET, and N-GET of the Retrieve SOP class (PS3.4 F.7, F.8)."""

from __future__ import annotations

import logging
import uuid
from typing import Final

from pacstui.dicom.dataset import CHARSET, DataSet, DataSetError
from pacstui.dicom.dimse import Field, Status
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink
from pacstui.dicom.uids import valid_uid
from pacstui.errors import PacsError
from pacstui.orders import reading
from pacstui.orders.performed import Message, Performed
from pacstui.orders.reading import WrongStep

log = logging.getLogger("pacstui.services")
MPPS: Final = "1.2.840.10008.3.1.2.3.3"
MPPS_RETRIEVE: Final = "1.2.840.10008.3.1.2.3.4"
_LIMIT: Final = 64 << 20


class _StepSink(BufferSink):
    """One N-CREATE-RQ, N-SET-RQ or N-GET-RQ."""

    def __init__(self, service: MppsService, request: Request) -> None:
        super().__init__(request, _LIMIT)
        self._performed = service.performed

    async def finish(self) -> None:
        request, command = self.request, self.request.command
        creates = command.field == Field.N_CREATE
        sop_class = command.affected_sop_class if creates else command.requested_sop_class
        instance = command.affected_sop_instance if creates else command.requested_sop_instance
        try:
            if sop_class and sop_class not in (MPPS, MPPS_RETRIEVE):
                raise WrongStep(Status.NO_SUCH_SOP_CLASS, "this context is for performed procedure steps")
            if instance and not valid_uid(instance):
                raise WrongStep(Status.INVALID_INSTANCE, "the SOP Instance UID is not valid")
            if self.too_long:
                raise WrongStep(Status.RESOURCE_LIMITATION, "more than 64 MiB")
            if command.field == Field.N_GET:
                await self._get(instance)
            elif creates:
                await self._create(instance)
            else:
                await self._change(instance)
        except WrongStep as wrong:
            await request.respond(
                wrong.status, comment=wrong.comment, attributes=wrong.attributes, error_id=wrong.error_id or None
            )
        except DataSetError as error:
            await request.respond(Status.PROCESSING_FAILURE, comment=str(error))
        except PacsError as error:
            await request.respond(Status.PROCESSING_FAILURE, comment=error.message)

    def _message(self, instance: str) -> Message:
        request = self.request
        syntax = request.context.transfer_syntax
        return Message(instance, bytes(self.data), syntax, request.association.calling)

    async def _create(self, instance: str) -> None:
        if not self.request.command.has_data_set:
            raise WrongStep(Status.MISSING_ATTRIBUTE, "N-CREATE-RQ without attributes", *reading.NEEDED)
        assigned = instance or f"2.25.{uuid.uuid4().int}"  # PS3.7 10.1.5.1.3
        await self._performed.create(self._message(assigned))
        await self.request.respond(Status.SUCCESS, affected_sop_instance=None if instance else assigned)

    async def _change(self, instance: str) -> None:
        if not instance:
            raise WrongStep(Status.NO_SUCH_INSTANCE, "N-SET-RQ without Requested SOP Instance UID")
        if not self.request.command.has_data_set:
            raise WrongStep(Status.MISSING_ATTRIBUTE, "N-SET-RQ without attributes")
        refused = await self._performed.change(self._message(instance))
        if refused:
            await self.request.respond(
                Status.ATTRIBUTE_LIST_ERROR,
                comment="attributes that are not to be changed were left",
                attributes=refused,
            )
        else:
            await self.request.respond(Status.SUCCESS)

    async def _get(self, instance: str) -> None:
        found = await self._performed.get(instance)
        if found is None:
            raise WrongStep(Status.NO_SUCH_INSTANCE, "there is no such performed procedure step")
        asked = self.request.command.attributes
        told = DataSet({tag: found[tag] for tag in found if not asked or tag in asked or tag == CHARSET})
        await self.request.respond(Status.SUCCESS, data=reading.encode(told, self.request.context.transfer_syntax))


class MppsService:
    """Takes what modalities say of performed procedure steps."""

    def __init__(self, performed: Performed) -> None:
        self.performed = performed

    def begin(self, request: Request) -> _StepSink:
        return _StepSink(self, request)
