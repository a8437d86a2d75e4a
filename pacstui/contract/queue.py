"""The noun ``queue``: what is being received now, and what waits to go out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import action
from pacstui.contract.privacy import PatientId, PatientText


@dataclass(frozen=True, slots=True)
class ReceivingRow:
    """A study that is arriving: from whom, how much so far, how fast, and what happens to it.

    ``state`` is receiving, or complete when nothing more came for a while. Text is as sent by the peer.
    """

    study: str
    calling: str
    patient_name: PatientText
    patient_id: PatientId
    modality: str
    description: str
    instances: int
    failed: int
    bytes: int
    rate: float
    first: datetime
    last: datetime
    state: str


@dataclass(frozen=True, slots=True)
class DestinationRow:
    """What waits for one destination; ``state`` says in words what is happening."""

    destination: str
    waiting: int
    sending: int
    failed: int
    oldest: datetime | None
    rate: float
    state: str


@dataclass(frozen=True, slots=True)
class QueueView:
    """Both directions; ``writing`` is how many received objects wait for the disk at this moment."""

    receiving: tuple[ReceivingRow, ...]
    outgoing: tuple[DestinationRow, ...]
    writing: int


class Queue(Protocol):
    """Work in flight."""

    @action("list", "List what is arriving and what waits to go out", permission="queue.view")
    async def list(self) -> QueueView: ...
