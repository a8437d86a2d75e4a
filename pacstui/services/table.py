"""Which service answers a command on a presentation context."""

from __future__ import annotations

from pacstui.dicom.dimse import Field
from pacstui.dicom.net.service import EchoService, Service
from pacstui.dicom.uids import VERIFICATION
from pacstui.services.storage import StorageService


class ServiceTable:
    """Finds the service for an abstract syntax and a command field."""

    def __init__(self, storage: StorageService) -> None:
        self._echo = EchoService()
        self._storage = storage

    def service_for(self, abstract_syntax: str, field: int) -> Service | None:
        """Return the service, none where the command does not belong to the context's SOP class."""
        if field == Field.C_STORE and abstract_syntax != VERIFICATION:
            return self._storage
        if field == Field.C_ECHO:
            return self._echo
        return None
