"""Objects that are fetched, by peers from here and from peers by us, and commitment to keep them."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.events.base import Event


@dataclass(frozen=True, slots=True)
class Retrieved(Event):
    """A C-MOVE or C-GET ended: how many instances were sent, sent with a warning, failed, and not tried any more.

    ``why`` says in plain words what the first failure was, empty if there was none; ``hint`` what mends it.
    ``subjects`` are the Study Instance UIDs that were asked for, each with its Patient ID.
    """

    association: int
    calling: str
    verb: str
    destination: str
    completed: int
    warning: int
    failed: int
    remaining: int
    why: str
    hint: str
    address: str = ""
    subjects: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StudyFetched(Event):
    """A study that was fetched from a peer is here, or ``why`` it is not, with ``hint`` for what mends that."""

    peer: str
    study: str
    verb: str
    received: int
    failed: int
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class CommitmentTold(Event):
    """A storage commitment was answered: how many objects are committed and how many are not. ``problem`` says why the
    answer could not be delivered, empty if it was; ``hint`` what mends that."""

    calling: str
    transaction: str
    committed: int
    failed: int
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class CommitmentAnswered(Event):
    """A peer that was asked for storage commitment has answered for ``committed`` and against ``failed`` objects, or
    ``problem`` says why there is no answer; ``hint`` what mends it."""

    peer: str
    study: str
    transaction: str
    committed: int
    failed: int
    problem: str
    hint: str
