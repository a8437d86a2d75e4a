"""Patients, orders, procedure steps, and how studies fit them."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.events.base import Event


@dataclass(frozen=True, slots=True)
class PatientChanged(Event):
    """What is known of patients changed; ``persons`` are their rows. ``studies`` is whether studies followed: what
    leaves of them is something else from now on."""

    persons: tuple[int, ...]
    studies: bool = False


@dataclass(frozen=True, slots=True)
class OrderChanged(Event):
    """Orders were made, changed or cancelled; ``orders`` are their rows."""

    orders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepChanged(Event):
    """Scheduled procedure steps were made or stand elsewhere now; ``steps`` are their numbers."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PerformedChanged(Event):
    """A modality said something of a performed procedure step. ``state`` is its present one, ``steps`` the scheduled
    steps that it is of, none if it was not scheduled; ``studies`` those that it names, ``images`` how many objects."""

    performed: int
    state: str
    calling: str
    steps: tuple[int, ...]
    studies: tuple[str, ...]
    images: int


@dataclass(frozen=True, slots=True)
class StudyMatched(Event):
    """A study was looked at, and how it fits has changed: ``state`` is matched, probable, unmatched, conflicting or not
    expected; ``order`` is its order, 0 for none."""

    study: str
    state: str
    order: int
    score: int
    calling: str
