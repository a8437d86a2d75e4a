"""What is sent on to destinations."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.events.base import Event


@dataclass(frozen=True, slots=True)
class DestinationDown(Event):
    """A destination does not take what is sent on; ``why`` in plain words, ``hint`` what mends it."""

    destination: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class DestinationUp(Event):
    """A destination that was down takes objects again."""

    destination: str


@dataclass(frozen=True, slots=True)
class SendingEnded(Event):
    """Nothing waits any more of what a destination gets of a study; how many objects were sent, sent with a warning,
    and failed. ``why`` is the last failure. ``route`` is empty for what somebody asked for."""

    destination: str
    route: str
    study: str
    sent: int
    warning: int
    failed: int
    why: str
    hint: str
    sending: int
