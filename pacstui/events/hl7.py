"""HL7 messages, in and out."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.events.base import Event


@dataclass(frozen=True, slots=True)
class MessageTaken(Event):
    """An HL7 message came in, was acted on and is kept. ``state`` is done or repeated; ``text`` says what it did, and
    may tell who the patient is."""

    id: int
    sender: str
    facility: str
    origin: str
    kind: str
    control: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class MessageFailed(Event):
    """An HL7 message could not be acted on, or not even be kept (``id`` is 0 then). ``code`` is what its sender got;
    ``why`` says what is wrong and where, and tells of no patient; ``text`` says it in full."""

    id: int
    sender: str
    facility: str
    origin: str
    kind: str
    control: str
    code: str
    why: str
    text: str


@dataclass(frozen=True, slots=True)
class Hl7Refused(Event):
    """A connection to the HL7 port was closed by this node: its sender is unknown, it speaks something else, or it kept
    to no time limit."""

    origin: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class ReceiverDown(Event):
    """A receiver of HL7 messages cannot be reached, or answers nothing; what is for it waits."""

    receiver: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class ReceiverUp(Event):
    """A receiver of HL7 messages that was down takes them again."""

    receiver: str


@dataclass(frozen=True, slots=True)
class MessageNotSent(Event):
    """An HL7 message was set aside: its receiver does not take it. ``message`` is its row, ``kind`` as ADT^A08."""

    message: int
    receiver: str
    kind: str
    why: str
    hint: str
