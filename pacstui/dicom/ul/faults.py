"""What can be wrong on an association: codes of A-ASSOCIATE-RJ and A-ABORT, each with plain words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pacstui.errors import PacsError


class Result(IntEnum):
    """Result of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectSource(IntEnum):
    """Who rejects (PS3.8 Table 9-21)."""

    USER = 1
    ACSE = 2
    PRESENTATION = 3


class UserReason(IntEnum):
    """Reasons of the service user, source 1."""

    NONE_GIVEN = 1
    APPLICATION_CONTEXT = 2
    CALLING_AE = 3
    CALLED_AE = 7


class AcseReason(IntEnum):
    """Reasons of the provider's ACSE part, source 2."""

    NONE_GIVEN = 1
    PROTOCOL_VERSION = 2


class PresentationReason(IntEnum):
    """Reasons of the provider's presentation part, source 3."""

    CONGESTION = 1
    LOCAL_LIMIT = 2


class AbortSource(IntEnum):
    """Who aborts (PS3.8 Table 9-26)."""

    USER = 0
    PROVIDER = 2


class AbortReason(IntEnum):
    """Reasons of an A-ABORT with source 2 (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNISED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class ContextResult(IntEnum):
    """Result of a proposed presentation context (PS3.8 Table 9-18)."""

    ACCEPTED = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX = 3
    TRANSFER_SYNTAXES = 4


CONTEXT_RESULTS: Final = {
    0: "accepted",
    1: "refused by the peer",
    2: "refused without a reason",
    3: "SOP class not supported",
    4: "none of the transfer syntaxes is supported",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an association is not accepted: codes for the wire, ``text`` and ``hint`` for people."""

    result: int
    source: int
    reason: int
    text: str
    hint: str = ""


class ProtocolFault(PacsError):
    """The peer broke the protocol; ``source`` and ``reason`` go into the A-ABORT that answers it."""

    code = "protocol"

    def __init__(self, source: int, reason: int, text: str, hint: str = "") -> None:
        super().__init__(text, hint)
        self.source = source
        self.reason = reason


def invalid(text: str, hint: str = "") -> ProtocolFault:
    """Return the fault of an invalid PDU parameter value, 2/6."""
    return ProtocolFault(AbortSource.PROVIDER, AbortReason.INVALID_PARAMETER, text, hint)


_REJECTIONS: Final[dict[tuple[int, int], tuple[str, str]]] = {
    (1, 1): (
        "gave no reason",
        "look at the peer's log; often it does not know the calling AE title or the address that it comes from",
    ),
    (1, 2): ("does not support the application context name", "the peer is no usual DICOM system; check the port"),
    (1, 3): (
        "does not know the calling AE title {calling}",
        "register {calling} with this machine's address at the peer; capitals matter",
    ),
    (1, 7): (
        "does not answer to the called AE title {called}",
        "check the called AE title; capitals matter",
    ),
    (2, 1): (
        "gave no reason (its association layer)",
        "look at the peer's log; it may want a user identity, which this node does not give",
    ),
    (2, 2): ("does not support this protocol version", "the peer's software is not a usual DICOM system"),
    (3, 1): ("is congested for now", "try again later; the peer is busy"),
    (3, 2): (
        "has reached its limit of associations",
        "try again later, or raise the limit at the peer; look for associations there that nobody closes",
    ),
}


def describe_rejection(result: int, source: int, reason: int, called: str = "", calling: str = "") -> tuple[str, str]:
    """Return what an A-ASSOCIATE-RJ says in plain words, and what mends it (PS3.8 9.3.4)."""
    text, hint = _REJECTIONS.get((source, reason), ("gave a reason that the standard does not know", ""))
    names = {"called": called or "(empty)", "calling": calling or "(empty)"}
    how = {1: "", 2: " for now"}.get(result, " with an unknown result")
    return (
        f"the peer rejected the association{how}: it {text.format(**names)} ({result}/{source}/{reason})",
        hint.format(**names),
    )


_ABORTS: Final = {
    0: "without a reason",
    1: "because of a PDU that it does not recognise",
    2: "because of a PDU that it did not expect",
    4: "because of a PDU parameter that it does not recognise",
    5: "because of a PDU parameter that it did not expect",
    6: "because of an invalid PDU parameter value",
}


def describe_abort(source: int, reason: int) -> str:
    """Return what an A-ABORT of the peer says in plain words (PS3.8 9.3.8)."""
    if source == AbortSource.USER:
        return "the peer's application aborted the association (0/0)"
    return f"the peer aborted the association {_ABORTS.get(reason, 'for an unknown reason')} ({source}/{reason})"


def foreign(head: bytes) -> tuple[str, str] | None:
    """Name what the first bytes of a connection are when they are no DICOM, with a hint; none if they may be."""
    if not head or 1 <= head[0] <= 7:
        return None
    if head[0] == 0x16 and head[1:2] in (b"\x03", b""):
        return (
            "looks like TLS: a TLS client hello came on the plain DICOM port",
            "switch TLS off for this node at the caller, or give the caller the port that speaks TLS",
        )
    if head[0] == 0x15 and head[1:2] == b"\x03":
        return ("looks like TLS: the other side speaks TLS", "use TLS for this peer, or its plain DICOM port")
    if head[:4] == b"HTTP":
        return ("looks like HTTP: a web server answered", "check the port of this peer")
    if head[0] & 0x80 and head[2:3] == b"\x01" and head[3:4] in (b"\x00", b"\x02", b"\x03"):
        return (
            "looks like an old TLS or SSL hello on the plain DICOM port",
            "switch TLS off for this node at the caller",
        )
    if head[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"DELE", b"TRAC", b"PATC", b"PRI "):
        return (
            "looks like HTTP: a web request came on the DICOM port",
            "a browser, a DICOMweb client or a port scanner calls here; give it the right port",
        )
    if head[:4] == b"SSH-":
        return ("looks like SSH: an SSH client called the DICOM port", "give the caller the right port")
    if head[0] == 0x0B or head[:3] == b"MSH":
        return ("looks like HL7: an HL7 message came on the DICOM port", "give the sender the HL7 port")
    shown = " ".join(f"{byte:02X}" for byte in head[:6])
    return (
        f"no DICOM: the connection begins with {shown}",
        "a port scanner, or a program that is set to the wrong port",
    )
