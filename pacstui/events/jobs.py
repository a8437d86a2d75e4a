"""Runs of jobs."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.events.base import Event


@dataclass(frozen=True, slots=True)
class JobBegan(Event):
    """A run of a job began. ``by`` is an account, ``schedule``, ``restart`` or the job that it follows. Of a ``quiet``
    one nobody needs to hear."""

    job: str
    kind: str
    by: str
    quiet: bool
    by_hand: bool


@dataclass(frozen=True, slots=True)
class JobEnded(Event):
    """A run of a job ended in ``state`` (done, warning, failed, cancelled, interrupted); ``text`` is its outcome,
    ``hint`` what mends it. Of a ``quiet`` one nobody needs to hear: it went well, or ended like the one before."""

    job: str
    kind: str
    state: str
    text: str
    hint: str
    seconds: float
    quiet: bool


@dataclass(frozen=True, slots=True)
class JobTold(Event):
    """Something about a job's runs that is no end of one: it is late, or was left out; ``level`` is info or warn."""

    job: str
    level: str
    text: str
    hint: str
