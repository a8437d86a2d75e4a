"""Who calls and who is called: associations, what was refused, and the peers that are known."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.events.base import Event


@dataclass(frozen=True, slots=True)
class AssociationOpened(Event):
    """An association was accepted (or, as requestor, established). ``account`` is the service account that the caller
    proved to be, empty if it did not have to."""

    association: int
    calling: str
    called: str
    address: str
    contexts: int
    account: str = ""


@dataclass(frozen=True, slots=True)
class AssociationClosed(Event):
    """An association ended. ``how`` is released, aborted by peer, aborted, lost or timed out."""

    association: int
    calling: str
    address: str
    how: str
    detail: str
    stored: int
    failed: int
    received_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AssociationRefused(Event):
    """An association was rejected, or a connection was no DICOM at all.

    ``result``, ``source`` and ``reason`` are those of A-ASSOCIATE-RJ (PS3.8 9.3.4), 0 where none was sent.
    ``text`` says in plain words what was wrong, ``hint`` what mends it.
    """

    association: int
    calling: str
    called: str
    address: str
    result: int
    source: int
    reason: int
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class ServiceRefused(Event):
    """A caller was let in, but may not use a service: its presentation contexts were refused (result 1). Once for each
    association and service.

    ``text`` names the rule, ``hint`` what changes it.
    """

    association: int
    calling: str
    address: str
    service: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class PeerEchoed(Event):
    """A C-ECHO to a peer ended; ``detail`` names the step that failed, empty on success. Of ``quiet`` ones somebody
    else tells the outcome."""

    peer: str
    ok: bool
    milliseconds: float
    detail: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class PeersChanged(Event):
    """Peers were added, changed or removed; ``names`` are all of them now."""

    names: tuple[str, ...]
