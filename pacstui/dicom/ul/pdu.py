"""The seven PDUs of the upper layer: decoding and encoding (PS3.8 9.3).

Lengths are checked before anything is read by them; AE titles are read tolerantly. P-DATA-TF is not decoded here: the
machine walks through it as it arrives.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from pacstui.dicom.uids import APPLICATION_CONTEXT
from pacstui.dicom.ul import items
from pacstui.dicom.ul.faults import invalid
from pacstui.dicom.ul.items import ContextAnswer, ProposedContext, UserInformation

ASSOCIATE_RQ: Final = 1
ASSOCIATE_AC: Final = 2
ASSOCIATE_RJ: Final = 3
P_DATA_TF: Final = 4
RELEASE_RQ: Final = 5
RELEASE_RP: Final = 6
ABORT: Final = 7

NAMES: Final = {
    1: "A-ASSOCIATE-RQ",
    2: "A-ASSOCIATE-AC",
    3: "A-ASSOCIATE-RJ",
    4: "P-DATA-TF",
    5: "A-RELEASE-RQ",
    6: "A-RELEASE-RP",
    7: "A-ABORT",
}

HEADER = struct.Struct(">BBI")
PDV_HEADER = struct.Struct(">IBB")
_DATA_HEADER = struct.Struct(">BBIIBB")
_FIXED = 68
_SMALLEST_PDU = 7


def trim_ae(field_bytes: bytes) -> str:
    """Return an AE title without padding: blanks on both sides (PS3.8 Table 9-11), and NUL that some send.

    What follows a NUL inside is the rest of a buffer, not of the title.
    """
    return field_bytes.strip(b"\0 ").split(b"\0")[0].rstrip(b" ").decode("latin-1")


def ae_field(title: str) -> bytes:
    """Return an AE title as a field of 16 bytes."""
    return title.encode("latin-1", "replace")[:16].ljust(16)


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2). The raw AE fields and the reserved one are kept: an answer returns them."""

    called: str
    calling: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    called_field: bytes = field(default=b"", repr=False, compare=False)
    calling_field: bytes = field(default=b"", repr=False, compare=False)
    reserved: bytes = field(default=bytes(32), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 9.3.3)."""

    called: str
    calling: str
    contexts: tuple[ContextAnswer, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    called_field: bytes = field(default=b"", repr=False, compare=False)
    calling_field: bytes = field(default=b"", repr=False, compare=False)
    reserved: bytes = field(default=bytes(32), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8)."""

    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class Release:
    """A-RELEASE-RQ or, as ``reply``, A-RELEASE-RP (PS3.8 9.3.6, 9.3.7)."""

    reply: bool


Pdu = AssociateRequest | AssociateAccept | AssociateReject | Abort | Release


def decode(kind: int, body: bytes) -> Pdu:
    """Decode the body (what follows the 6 bytes of the header) of any PDU but P-DATA-TF.

    Raises
    ------
    ProtocolFault
        2/6 where a length or value does not fit, 2/5 where a known item stands in the wrong place.
    """
    if kind == ASSOCIATE_RQ:
        return _decode_request(body)
    if kind == ASSOCIATE_AC:
        return _decode_accept(body)
    if len(body) != 4:
        raise invalid(f"{NAMES[kind]} of {len(body)} bytes instead of 4")
    if kind == ASSOCIATE_RJ:
        return AssociateReject(body[1], body[2], body[3])
    if kind == ABORT:
        return Abort(body[2], body[3])
    return Release(kind == RELEASE_RP)


def _decode_request(body: bytes) -> AssociateRequest:
    where = "A-ASSOCIATE-RQ"
    if len(body) < _FIXED:
        raise invalid(f"{where} of {len(body)} bytes: shorter than its fixed part")
    application = ""
    contexts: list[ProposedContext] = []
    seen: set[int] = set()
    user: UserInformation | None = None
    for kind, start, end in items.each(body, _FIXED, len(body), where):
        if kind == items.CONTEXT_RQ_ITEM:
            context = items.decode_proposed(body, start, end)
            if not context.id & 1:
                raise invalid(f"presentation context id {context.id}: ids are odd (PS3.8 9.3.2.2)")
            if context.id in seen:
                raise invalid(f"presentation context id {context.id} is there twice")
            seen.add(context.id)
            contexts.append(context)
        elif kind == items.APPLICATION_CONTEXT_ITEM:
            if application:
                raise items.misplaced(kind, f"{where} a second time")
            application = items.uid(body, start, end)
        elif kind == items.USER_INFORMATION_ITEM:
            if user is not None:
                raise items.misplaced(kind, f"{where} a second time")
            user = items.decode_user_information(body, start, end)
        elif kind == items.CONTEXT_AC_ITEM:
            raise items.misplaced(kind, where)
    if not contexts:
        raise invalid(f"{where} without a presentation context")
    return AssociateRequest(
        trim_ae(body[4:20]),
        trim_ae(body[20:36]),
        tuple(contexts),
        user or UserInformation(),
        application,
        body[0] << 8 | body[1],
        body[4:20],
        body[20:36],
        body[36:68],
    )


def _decode_accept(body: bytes) -> AssociateAccept:
    where = "A-ASSOCIATE-AC"
    if len(body) < _FIXED:
        raise invalid(f"{where} of {len(body)} bytes: shorter than its fixed part")
    application = ""
    contexts: dict[int, ContextAnswer] = {}
    user: UserInformation | None = None
    for kind, start, end in items.each(body, _FIXED, len(body), where):
        if kind == items.CONTEXT_AC_ITEM:
            context = items.decode_answer(body, start, end)
            if context.id in contexts:
                raise invalid(f"presentation context id {context.id} is answered twice")
            contexts[context.id] = context
        elif kind == items.APPLICATION_CONTEXT_ITEM:
            application = items.uid(body, start, end)
        elif kind == items.USER_INFORMATION_ITEM:
            user = items.decode_user_information(body, start, end)
        elif kind == items.CONTEXT_RQ_ITEM:
            raise items.misplaced(kind, where)
    return AssociateAccept(
        trim_ae(body[4:20]),
        trim_ae(body[20:36]),
        tuple(contexts.values()),
        user or UserInformation(),
        application,
        body[0] << 8 | body[1],
        body[4:20],
        body[20:36],
        body[36:68],
    )


def _frame(kind: int, body: bytes) -> bytes:
    return HEADER.pack(kind, 0, len(body)) + body


def _associate(kind: int, pdu: AssociateRequest | AssociateAccept, contexts: list[bytes]) -> bytes:
    return _frame(
        kind,
        b"".join(
            (
                struct.pack(">HH", pdu.protocol_version, 0),
                pdu.called_field or ae_field(pdu.called),
                pdu.calling_field or ae_field(pdu.calling),
                pdu.reserved,
                items.item(items.APPLICATION_CONTEXT_ITEM, pdu.application_context.encode("latin-1")),
                *contexts,
                items.encode_user_information(pdu.user),
            )
        ),
    )


def encode(pdu: Pdu) -> bytes:
    """Encode any PDU but P-DATA-TF."""
    if isinstance(pdu, AssociateRequest):
        return _associate(ASSOCIATE_RQ, pdu, [items.encode_proposed(context) for context in pdu.contexts])
    if isinstance(pdu, AssociateAccept):
        return _associate(ASSOCIATE_AC, pdu, [items.encode_answer(context) for context in pdu.contexts])
    if isinstance(pdu, AssociateReject):
        return _frame(ASSOCIATE_RJ, bytes((0, pdu.result, pdu.source, pdu.reason)))
    if isinstance(pdu, Abort):
        return _frame(ABORT, bytes((0, 0, pdu.source, pdu.reason)))
    return _frame(RELEASE_RP if pdu.reply else RELEASE_RQ, bytes(4))


def fragment_size(max_length: int) -> int:
    """Return how many bytes of a message fit into one PDU whose length field may be ``max_length`` at most.

    The length covers the 6 bytes before the fragment (PS3.8 D.1.1). Fragments have even lengths (PS3.8 E.1) unless only
    one byte fits. A limit under 7, which no data can meet, counts as 7.
    """
    size = max(max_length, _SMALLEST_PDU) - 6
    return size & ~1 if size > 1 else size


def message_parts(
    context_id: int, command: bytes, data: bytes | memoryview, max_length: int
) -> list[bytes | memoryview]:
    """Return a message as P-DATA-TF PDUs in parts, of which those with the data set are views of ``data``."""
    size = fragment_size(max_length)
    parts: list[bytes | memoryview] = [encode_message(context_id, command, None, max_length)]
    view = memoryview(data)
    for start in range(0, len(view), size) or (0,):
        piece = view[start : start + size]
        last = 2 if start + size >= len(view) else 0
        parts.append(_DATA_HEADER.pack(P_DATA_TF, 0, len(piece) + 6, len(piece) + 2, context_id, last))
        parts.append(piece)
    return parts


def encode_fragment(context_id: int, header: int, data: bytes | memoryview) -> bytes:
    """Encode one P-DATA-TF with one PDV. ``header`` has bit 0 set for a command, bit 1 for the last fragment."""
    length = len(data)
    return b"".join((_DATA_HEADER.pack(P_DATA_TF, 0, length + 6, length + 2, context_id, header), data))


def encode_message(context_id: int, command: bytes, data: bytes | memoryview | None, max_length: int) -> bytes:
    """Encode a whole message into P-DATA-TF PDUs, command and data set apart."""
    size = fragment_size(max_length)
    if data is None and len(command) <= size:
        return encode_fragment(context_id, 3, command)
    parts: list[bytes] = []
    for payload, kind in ((command, 1), (data, 0)):
        if payload is None:
            continue
        view = memoryview(payload)
        for start in range(0, len(view), size) or (0,):
            last = 2 if start + size >= len(view) else 0
            parts.append(encode_fragment(context_id, kind | last, view[start : start + size]))
    return b"".join(parts)
