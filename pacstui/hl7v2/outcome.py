"""What became of a message: what its sender is told (HL7 v2.5 chapter 2, 2.9 and the segments MSA and ERR)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Final, Protocol

from pacstui.hl7v2.message import Message

ACCEPTED, ERROR, REJECTED = "AA", "AE", "AR"

# HL7 table 0357.
SEQUENCE: Final = 100
REQUIRED: Final = 101
DATA_TYPE: Final = 102
TABLE_VALUE: Final = 103
UNSUPPORTED_TYPE: Final = 200
UNSUPPORTED_EVENT: Final = 201
UNSUPPORTED_PROCESSING: Final = 202
UNSUPPORTED_VERSION: Final = 203
UNKNOWN_KEY: Final = 204
DUPLICATE_KEY: Final = 205
LOCKED: Final = 206
INTERNAL: Final = 207


@dataclass(frozen=True, slots=True)
class Fault:
    """One ERR segment: where it is (segment, its number of occurrence, field, component; 0 for none), the condition of
    table 0357, what is wrong in plain words, and what mends it."""

    segment: str
    field: int
    condition: int
    text: str
    hint: str = ""
    occurrence: int = 1
    component: int = 0
    severity: str = "E"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message. ``code`` is AA, AE or AR; ``done`` says in words what changed ("order A20931 for CT1 at
    14:30"). ``patient`` is the Patient ID that it was about, ``accession`` the Accession Number."""

    code: str = ACCEPTED
    done: str = ""
    patient: str = ""
    accession: str = ""
    faults: tuple[Fault, ...] = field(default=())


class Refused(Exception):
    """A message cannot be acted on: nothing of it was done. Answered with ``code`` and its faults."""

    def __init__(self, *faults: Fault, code: str = ERROR, patient: str = "", accession: str = "") -> None:
        super().__init__("; ".join(fault.text for fault in faults))
        self.faults = faults
        self.code = code
        self.patient = patient
        self.accession = accession


class Applier(Protocol):
    """Acts on a message, inside the transaction that keeps it. Called on the writer lane's thread.

    What it raises undoes what it did of this message, and of no other.
    """

    def apply(self, connection: sqlite3.Connection, message: Message, at: int) -> Outcome:
        """Act on a message that arrived at ``at`` (microseconds since 1970).

        Raises
        ------
        Refused
            When it cannot be acted on.
        """

    def kept(self) -> None:
        """The transaction is durable. Called on the writer lane's thread, before the next one begins."""

    def committed(self) -> None:
        """Tell the others what is durable. Called on the event loop; the next transaction may be under way."""

    def forget(self) -> None:
        """The transaction was rolled back."""
