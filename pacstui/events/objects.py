"""Objects in the archive: how they come, what becomes of them, and whether they can be kept and read."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.events.base import Event


@dataclass(frozen=True, slots=True)
class InstanceStored(Event):
    """An instance is durable and indexed; success may be sent. ``new`` is false for an identical repeat. ``said`` is
    what it says of its patient and order: name, Patient ID, its issuer, birth date, sex, Accession Number."""

    association: int
    calling: str
    sop_instance: str
    series: str
    study: str
    patient_name: str
    modality: str
    description: str
    size: int
    new: bool
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceQuarantined(Event):
    """Another content came under a known SOP Instance UID and was set aside (or replaced the first)."""

    association: int
    calling: str
    sop_instance: str
    policy: str
    path: str


@dataclass(frozen=True, slots=True)
class InstanceRefused(Event):
    """A C-STORE or an import was answered with a failure status."""

    association: int
    calling: str
    sop_instance: str
    status: int
    comment: str


@dataclass(frozen=True, slots=True)
class InstanceUnreadable(Event):
    """An instance could not be read back: its file is gone, damaged, or the disk fails."""

    sop_instance: str
    path: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class StoragePressure(Event):
    """Space or database ran out (``full`` true), or came back (false)."""

    full: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ReconciliationDone(Event):
    """Files and rows were compared at start. Counts of files adopted, rows whose file is missing, temporary
    files removed and files that could not be read."""

    adopted: int
    missing: int
    removed: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class TrashChanged(Event):
    """Something went to the trash (``deleted``), came back (``returned``) or is gone for good (``emptied``). ``by`` is
    an account, or the rule that purged it; ``instances`` and ``bytes`` are those that moved."""

    what: str
    level: str
    study: str
    instances: int
    bytes: int
    by: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StudyCorrected(Event):
    """Studies were corrected, or a correction was undone; ``who`` did it, ``text`` says what, without patients."""

    studies: tuple[str, ...]
    correction: int
    who: str
    text: str
