"""What the machine wants done or tells, and the bounds it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from pacstui.dicom.ul.faults import ProtocolFault, Refusal
from pacstui.dicom.ul.pdu import AssociateAccept, AssociateReject, AssociateRequest


class Role(Enum):
    """Which side asked for the association."""

    ACCEPTOR = "acceptor"
    REQUESTOR = "requestor"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is read, in bytes.

    ``max_pdu`` is announced to the peer; ``slack`` is how much longer a P-DATA-TF may be before it is a fault (some
    count the maximum differently); ``max_associate`` bounds A-ASSOCIATE PDUs, the only ones that are held in memory.
    ``max_send`` bounds what we send to a peer that takes more, or any length.
    """

    max_pdu: int = 262144
    slack: int = 4096
    max_associate: int = 524288
    max_send: int = 131072


DEFAULT_LIMITS: Final = Limits()


class Fragment(NamedTuple):
    """P-DATA indication: a part of a PDV, as it came. ``header`` has bit 0 for a command, bit 1 when the PDV with the
    last fragment ends here. ``data`` is a view of the bytes given to :meth:`Machine.feed`."""

    context_id: int
    header: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Start ARTIM, or start it anew."""


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Stop ARTIM."""


@dataclass(frozen=True, slots=True)
class CloseTransport:
    """Close the transport connection."""


@dataclass(frozen=True, slots=True)
class AssociateIndicated:
    """The peer asks for an association; answer with accept or reject."""

    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociateRefused:
    """The machine itself rejected a request (protocol version)."""

    request: AssociateRequest
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class AssociateAccepted:
    """The peer accepted our request."""

    accept: AssociateAccept


@dataclass(frozen=True, slots=True)
class AssociateRejected:
    """The peer rejected our request."""

    reject: AssociateReject


@dataclass(frozen=True, slots=True)
class ReleaseIndicated:
    """The peer asks for release; answer with :meth:`Machine.release_response`. ``collision`` if we asked too."""

    collision: bool


@dataclass(frozen=True, slots=True)
class ReleaseConfirmed:
    """The peer confirmed our release. ``closing`` is false on the acceptor's side of a collision: an answer is due."""

    closing: bool


@dataclass(frozen=True, slots=True)
class AbortIndicated:
    """The peer aborted."""

    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class FaultIndicated:
    """The peer broke the protocol and was sent an A-ABORT. ``no_dicom`` if its first bytes were no DICOM at all."""

    fault: ProtocolFault
    no_dicom: bool = False


@dataclass(frozen=True, slots=True)
class LossIndicated:
    """The transport connection ended under an association."""


Effect = (
    Fragment
    | Send
    | StartTimer
    | StopTimer
    | CloseTransport
    | AssociateIndicated
    | AssociateRefused
    | AssociateAccepted
    | AssociateRejected
    | ReleaseIndicated
    | ReleaseConfirmed
    | AbortIndicated
    | FaultIndicated
    | LossIndicated
)
