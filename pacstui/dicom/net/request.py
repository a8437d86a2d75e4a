"""One request of a peer while it is served, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pacstui.dicom import dimse
from pacstui.dicom.dimse import Command, Status
from pacstui.dicom.ul.negotiation import Context

if TYPE_CHECKING:
    from pacstui.dicom.net.association import Association


@dataclass(slots=True)
class Counters:
    """What moved on an association: requests by command field, answered C-STOREs, bytes read."""

    messages: dict[int, int] = field(default_factory=dict)
    stored: int = 0
    failed: int = 0
    received_bytes: int = 0


class Request:
    """One request.

    Attributes
    ----------
    cancelled
        Turns true when a C-CANCEL-RQ for it comes.
    arrived
        When its command was complete, as ``time.monotonic()``.
    complete
        Whether the final response was sent.
    """

    __slots__ = ("_withdrawn", "arrived", "association", "cancelled", "command", "complete", "context")

    def __init__(self, association: Association, context: Context, command: Command, arrived: float) -> None:
        self.association = association
        self.context = context
        self.command = command
        self.cancelled = False
        self.arrived = arrived
        self.complete = False
        self._withdrawn: asyncio.Event | None = None

    def withdraw(self) -> None:
        """Note that nobody waits for the outcome any more: it was cancelled, or the association is over."""
        if self._withdrawn is not None:
            self._withdrawn.set()

    async def until_withdrawn(self) -> None:
        """Return when it was cancelled or the association is over; never, if neither happens."""
        if self._withdrawn is None:
            self._withdrawn = asyncio.Event()
        if not self.cancelled and not self.association.over:
            await self._withdrawn.wait()

    def tell_keys(self, keys: Sequence[tuple[int, str]]) -> None:
        """Tell who watches what a query asks for."""
        self.association.asked(self, keys)

    async def respond(
        self,
        status: int,
        *,
        data: bytes | None = None,
        comment: str = "",
        offending: tuple[int, ...] = (),
        attributes: tuple[int, ...] = (),
        **elements: int | str | None,
    ) -> None:
        """Send a response; any status but a pending one (FF00, FF01) is the final one.

        Parameters
        ----------
        comment
            Error Comment; cut to 64 characters, plain ASCII.
        attributes
            Tags for Attribute Identifier List.
        elements
            Further elements of the command set, see :func:`pacstui.dicom.dimse.encode_response`.

        Raises
        ------
        AssociationEnded
            When there is nobody to respond to any more.
        """
        association = self.association
        error = association.ended_error()
        if error is not None:
            raise error
        if self.complete:
            raise RuntimeError(f"{self.command!r} was answered already")
        answer = dimse.encode_response(
            self.command,
            status,
            comment=comment,
            has_data=data is not None,
            offending=offending,
            attributes=attributes,
            **elements,
        )
        if status not in (Status.PENDING, Status.PENDING_WARNING):
            self.complete = True
        association.respond(self, status, answer, data)
        if association.connection.write_paused:
            await association.connection.drained()
