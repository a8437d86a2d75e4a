"""The noun ``queue``: what is being received now, what waits to go out, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
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
    """What waits for one destination; ``state`` says in words what is happening.

    ``kind`` is peer, folder or move. ``status`` is one word: idle, sending, waiting, down, paused, closed (outside of
    its hours), held up (nothing is sent anywhere) or unknown (there is no such destination). ``why`` is why it is down,
    ``hint`` what mends that, ``down_since`` since when. ``held`` of those that wait are held by somebody.
    """

    destination: str
    waiting: int
    sending: int
    failed: int
    oldest: datetime | None
    rate: float
    state: str
    kind: str = "peer"
    status: str = "idle"
    held: int = 0
    bytes: int = 0
    sent: int = 0
    last_sent: datetime | None = None
    down_since: datetime | None = None
    why: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class QueueView:
    """Both directions; ``writing`` is how many received objects wait for the disk at this moment."""

    receiving: tuple[ReceivingRow, ...]
    outgoing: tuple[DestinationRow, ...]
    writing: int


@dataclass(frozen=True, slots=True)
class SendingRow:
    """What one destination gets of one study, or of one series of it.

    ``state`` is gathering (the study is not complete yet), waiting, sending, retrying, held, failed, warning, filtered,
    cancelled or sent; the counts say how many objects are in which. ``route`` is empty for what somebody asked for,
    who is ``asked_by`` then. ``due`` is when it is tried next, none where that is now or nothing waits. ``status`` is
    the last answer of the peer that was no success (none: there was none), ``error`` what that means, ``hint`` what
    mends it. ``attempts`` counts tries that failed.
    """

    id: int
    destination: str
    route: str
    asked_by: str
    study: str
    series: str
    level: str
    patient_name: PatientText
    patient_id: PatientId
    date: str
    modalities: str
    description: str
    state: str
    priority: str
    transform: str
    waiting: int
    sent: int
    warning: int
    failed: int
    cancelled: int
    filtered: int
    bytes_waiting: int
    bytes_sent: int
    attempts: int
    queued: datetime
    changed: datetime
    due: datetime | None
    status: int | None
    error: str
    hint: str


@dataclass(frozen=True, slots=True)
class SendingsPage:
    """Some sendings, newest first; ``more`` tells that there are older ones, below the last one's id."""

    rows: tuple[SendingRow, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One object of a sending. ``state`` is waiting, sending, sent, warning, failed, cancelled or filtered."""

    id: int
    sop_instance: str
    size: int
    state: str
    attempts: int
    next_try: datetime | None
    status: int | None
    error: str
    hint: str
    changed: datetime


@dataclass(frozen=True, slots=True)
class SendingView:
    """A sending with its objects, those first that failed, at most a thousand.

    ``commitment`` says whether the destination keeps what it took, where it was asked: as a sentence, with ``asked``,
    ``committed``, ``not committed``, ``failed`` or ``no answer`` as its state, and when it was asked or answered.
    """

    row: SendingRow
    objects: tuple[OutboxRow, ...]
    commitment: str = ""
    commitment_state: str = ""
    commitment_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One reason why objects of a destination failed, or are to be tried again, and how many that are."""

    destination: str
    error: str
    hint: str
    status: int | None
    failed: int
    waiting: int
    sendings: int
    latest: datetime


@dataclass(frozen=True, slots=True)
class Changed:
    """How much an action was about."""

    sendings: int
    objects: int


class Queue(Protocol):
    """Work in flight.

    Actions on several sendings take their ids, or a destination for all of it; with ``error`` only what failed for that
    reason.
    """

    @action("list", "List what is arriving and what waits to go out", permission="queue.view")
    async def list(self) -> QueueView: ...

    @action("sendings", "List what goes out and went out, newest first", permission="queue.view")
    async def sendings(
        self, destination: str = "", state: str = "", search: PatientText = "", study: str = "", before: int = 0,
        limit: int = 100,
    ) -> SendingsPage: ...  # fmt: skip

    @action("show", "Show a sending and its objects", permission="queue.view")
    async def sending(self, id: int) -> SendingView: ...

    @action("errors", "List the reasons why something was not sent", permission="queue.view", key="e")
    async def errors(self, destination: str = "") -> tuple[ErrorRow, ...]: ...

    @action(
        "send", "Send a study, a series or an instance to a destination", permission="queue.send", audited=True, key="s"
    )
    async def send(
        self, study: str, to: str, series: str = "", instance: str = "", priority: str = "medium", transform: str = "",
    ) -> SendingRow: ...  # fmt: skip

    @action(
        "retry", "Try again now what failed or waits for another try", permission="queue.change", audited=True, key="r"
    )
    async def retry(self, ids: tuple[int, ...] = (), destination: str = "", error: str = "") -> Changed: ...

    @action(
        "hold", "Keep something from being sent until it is released", permission="queue.change", audited=True, key="h"
    )
    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> Changed: ...

    @action("release", "Let something be sent that was held", permission="queue.change", audited=True, key="l")
    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> Changed: ...

    @action("cancel", "Do not send what waits or failed", permission="queue.change", danger=Danger.CONFIRM,
            audited=True, key="c")  # fmt: skip
    async def cancel(self, ids: tuple[int, ...] = (), destination: str = "", error: str = "") -> Changed: ...

    @action("priority", "Change what goes first: high, medium or low", permission="queue.change", audited=True, key="p")
    async def priority(self, value: str, ids: tuple[int, ...] = (), destination: str = "") -> Changed: ...

    @action("redirect", "Send to another destination what waits or failed", permission="queue.change",
            danger=Danger.CONFIRM, audited=True, key="t")  # fmt: skip
    async def redirect(self, to: str, ids: tuple[int, ...] = (), destination: str = "") -> Changed: ...

    @action("pause", "Send nothing to a destination until resumed", permission="queue.change", danger=Danger.CONFIRM,
            audited=True, key="z")  # fmt: skip
    async def pause(self, destination: str, why: str = "") -> None: ...

    @action("resume", "Send to a destination again", permission="queue.change", audited=True)
    async def resume(self, destination: str) -> None: ...
