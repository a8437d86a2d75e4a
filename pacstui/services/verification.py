"""Verification SCP: answers C-ECHO (PS3.4 A)."""

from __future__ import annotations

from pacstui.dicom.dimse import Status
from pacstui.dicom.net.service import Request


class _Echo:
    def __init__(self, request: Request) -> None:
        self._request = request

    def write(self, chunk: memoryview) -> None:
        """An echo has no data set; one that comes all the same is passed over."""

    async def finish(self) -> None:
        await self._request.respond(Status.SUCCESS)

    def abandon(self, why: str) -> None:
        """Nothing to undo."""


class VerificationService:
    """Every echo that gets here is answered with success."""

    def begin(self, request: Request) -> _Echo:
        return _Echo(request)
