"""Which service answers a command on a presentation context."""

from __future__ import annotations

from pacstui.dicom.dimse import Field
from pacstui.dicom.net.service import EchoService, Service
from pacstui.dicom.uids import VERIFICATION
from pacstui.services import models
from pacstui.services.commitment import COMMITMENT, CommitmentService
from pacstui.services.commitment_scu import CommitmentAsker
from pacstui.services.mpps import MPPS, MPPS_RETRIEVE, MppsService
from pacstui.services.query import QueryService
from pacstui.services.retrieve import RetrieveService
from pacstui.services.storage import StorageService
from pacstui.services.worklist import WORKLIST, WorklistService


class ServiceTable:
    """Finds the service for an abstract syntax and a command field."""

    def __init__(
        self,
        storage: StorageService,
        query: QueryService,
        retrieve: RetrieveService,
        commitment: CommitmentService,
        asker: CommitmentAsker,
        worklist: WorklistService,
        mpps: MppsService,
    ) -> None:
        self._worklist = worklist
        self._mpps = mpps
        self._asker = asker
        self._commitment = commitment
        self._retrieve = retrieve
        self._echo = EchoService()
        self._storage = storage
        self._query = query

    def service_for(self, abstract_syntax: str, field: int) -> Service | None:
        """Return the service, none where the command does not belong to the context's SOP class."""
        if abstract_syntax == COMMITMENT:
            if field == Field.N_EVENT_REPORT:
                return self._asker
            return self._commitment if field == Field.N_ACTION else None
        if abstract_syntax == WORKLIST:
            return self._worklist if field == Field.C_FIND else None
        if abstract_syntax == MPPS:
            return self._mpps if field in (Field.N_CREATE, Field.N_SET) else None
        if abstract_syntax == MPPS_RETRIEVE:
            return self._mpps if field == Field.N_GET else None
        if abstract_syntax in models.FIND:
            return self._query if field == Field.C_FIND else None
        if abstract_syntax in models.MODELS:
            wanted = Field.C_MOVE if abstract_syntax in models.MOVE else Field.C_GET
            return self._retrieve if field == wanted else None
        if field == Field.C_STORE and abstract_syntax != VERIFICATION:
            return self._storage
        if field == Field.C_ECHO:
            return self._echo
        return None
