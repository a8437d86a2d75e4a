"""The noun ``hl7``: messages that came in and went out, what became of each, and putting failed ones right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.privacy import PatientId, PatientText


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message that came in. ``state`` is done, failed (answered AE or AR, or a resubmitted one that failed again),
    repeated (seen before: answered, not acted on), resolved (failed, then put right by ``by``) or ignored by somebody.

    ``answer`` is the code that its sender got (AA, AE, AR, CA, CE, CR); ``text`` says what it did, or what was wrong;
    ``hint`` what mends that. ``batch`` groups the messages of one batch, 0 for none.
    """

    id: int
    at: datetime
    sender: str
    facility: str
    origin: str
    kind: str
    control: str
    state: str
    answer: str
    text: PatientText
    hint: str
    patient_id: PatientId
    accession: PatientText
    size: int
    batch: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages, newest first; ``next`` is the cursor of those before, 0 if there are none."""

    rows: tuple[MessageRow, ...]
    next: int


@dataclass(frozen=True, slots=True)
class FieldText:
    """One field for the decoded view: its name in the standard, its place ("PID-5"), and its value unescaped."""

    place: str
    name: str
    value: PatientText


@dataclass(frozen=True, slots=True)
class SegmentText:
    """One segment of the decoded view; ``wrong`` names the fields that were complained about."""

    name: str
    title: str
    fields: tuple[FieldText, ...]
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message, as it was sent, taken apart, and how it was answered.

    ``raw`` is its text with a line for each segment, decoded by ``charset``; ``reply`` that of the answer. ``original``
    is the id of the message that this one was made from, ``later`` those that were made from it.
    """

    row: MessageRow
    raw: PatientText
    charset: str
    segments: tuple[SegmentText, ...]
    reply: PatientText
    original: int = 0
    later: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderRow:
    """Who sends, since the node started or within the last day: how many, how many failed, when last, how fast."""

    sender: str
    facility: str
    origin: str
    connected: int
    messages: int
    failed: int
    last: datetime | None
    per_minute: float


@dataclass(frozen=True, slots=True)
class Hl7View:
    """How the intake stands. ``listening`` is host:port, empty if it does not; ``why`` says why not."""

    listening: str
    why: str
    today: int
    failed_open: int
    repeated_today: int
    refused_today: int
    per_second: float
    senders: tuple[SenderRow, ...]


@dataclass(frozen=True, slots=True)
class OutgoingRow:
    """A message that goes out, or went. ``state`` is waiting, sent, failed, held or cancelled; ``answer`` the code that
    the other side gave, ``text`` its words or what went wrong; ``what`` says what it tells ("study received", or the
    name of the rule that forwards it). ``source`` is the message that came in and is forwarded, 0 for one of ours."""

    id: int
    at: datetime
    destination: str
    kind: str
    control: str
    what: str
    state: str
    attempts: int
    next_try: datetime | None
    answer: str
    text: PatientText
    hint: str
    patient_id: PatientId
    accession: PatientText
    source: int = 0


@dataclass(frozen=True, slots=True)
class OutgoingPage:
    """Outgoing messages, newest first; ``next`` is the cursor of those before, 0 if there are none."""

    rows: tuple[OutgoingRow, ...]
    next: int


@dataclass(frozen=True, slots=True)
class ReceiverRow:
    """Somebody that messages are sent to, and how that stands.

    ``status`` is idle, sending, waiting (the first one is tried again later), down (it cannot be reached), stuck (it
    answers nothing), held by somebody, closed (outside of its hours), off or unknown (there is no such receiver any
    more). ``why`` says what is the matter or what happens, ``hint`` what mends it.
    """

    name: str
    address: str
    waiting: int
    failed: int
    sent: int
    oldest: datetime | None
    status: str
    why: str
    hint: str
    last_sent: datetime | None
    held: int = 0
    next_try: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotificationText:
    """What a notification would say to one receiver: its text with a line for each segment."""

    notification: str
    receiver: str
    kind: str
    text: PatientText


class Hl7(Protocol):
    """HL7 messages."""

    @action("show", "Show how the HL7 intake stands, and who sends", permission="hl7.view")
    async def show(self) -> Hl7View: ...

    @action("list", "List HL7 messages, newest first", permission="hl7.view")
    async def messages(
        self, search: PatientText = "", state: str = "", kind: str = "", before: int = 0, limit: int = 100
    ) -> MessagePage: ...

    @action("view", "Show one HL7 message: as sent, taken apart, and its answer", permission="hl7.view")
    async def message(self, id: int) -> MessageView: ...

    @action("replay", "Act on an HL7 message once more, as it was sent", permission="hl7.resubmit",
            danger=Danger.CONFIRM, audited=True, key="r")  # fmt: skip
    async def replay(self, ids: tuple[int, ...]) -> tuple[MessageRow, ...]: ...

    @action("edit", "Edit an HL7 message and act on it", permission="hl7.resubmit", audited=True, key="e")
    async def resubmit(self, id: int, text: PatientText) -> MessageRow: ...

    @action("ignore", "Take failed HL7 messages off the list of errors", permission="hl7.resubmit",
            danger=Danger.CONFIRM, audited=True, key="i")  # fmt: skip
    async def ignore(self, ids: tuple[int, ...], why: str) -> int: ...

    @action("receivers", "List whom HL7 messages are sent to, and how that stands", permission="hl7.view", key="o")
    async def receivers(self) -> tuple[ReceiverRow, ...]: ...

    @action("outgoing list", "List outgoing HL7 messages, newest first", permission="hl7.view")
    async def outgoing(
        self, destination: str = "", state: str = "", search: PatientText = "", before: int = 0, limit: int = 100
    ) -> OutgoingPage: ...

    @action("outgoing view", "Show one outgoing HL7 message and its answer", permission="hl7.view")
    async def outgoing_message(self, id: int) -> MessageView: ...

    @action("outgoing preview", "Show what a notification would say about a study or an order; nothing is sent",
            permission="hl7.view")  # fmt: skip
    async def preview(self, notification: str, study: str = "", order: int = 0) -> tuple[NotificationText, ...]: ...

    @action("outgoing retry", "Send outgoing HL7 messages again now", permission="hl7.send", audited=True, key="t")
    async def send_again(self, ids: tuple[int, ...] = (), destination: str = "") -> int: ...

    @action("outgoing cancel", "Do not send outgoing HL7 messages", permission="hl7.send", danger=Danger.CONFIRM,
            audited=True, key="x")  # fmt: skip
    async def drop(self, ids: tuple[int, ...]) -> int: ...

    @action("outgoing hold", "Hold outgoing HL7 messages, or all for a receiver, until somebody releases them",
            permission="hl7.send", audited=True, key="h")  # fmt: skip
    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> int: ...

    @action("outgoing release", "Send HL7 messages that are held, or go on sending to a receiver",
            permission="hl7.send", audited=True, key="u")  # fmt: skip
    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> int: ...
