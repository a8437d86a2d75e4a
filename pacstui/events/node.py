"""The node itself: its start and end, its maintenance, and what people do with it."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.events.base import Event


@dataclass(frozen=True, slots=True)
class NodeStarted(Event):
    """The node listens; ``address`` is host:port of the DICOM listener."""

    ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class NodeStopping(Event):
    """The node drains its associations and ends; ``reason`` says who asked."""

    reason: str


@dataclass(frozen=True, slots=True)
class OperatorActed(Event):
    """A person did something through a contract action that is audited."""

    who: str
    action: str
    target: str


@dataclass(frozen=True, slots=True)
class MaintenanceTold(Event):
    """Maintenance began, is over, or was changed; ``text`` says which, ``who`` whose it is."""

    who: str
    text: str
