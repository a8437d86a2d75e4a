"""Command sets of DIMSE messages: group 0000 in Implicit VR Little Endian (PS3.7 6.3, 9.3, 10.3, E.1).

This is on the way of every object, so it works on bytes with struct and does without pydicom.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from pacstui.dicom.uids import trim_uid
from pacstui.errors import PacsError


class Field(IntEnum):
    """Command Field (0000,0100), PS3.7 E.1. A response has the high bit set."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


class Status(IntEnum):
    """Status values that are the same for all services (PS3.7 C)."""

    SUCCESS = 0x0000
    CANCEL = 0xFE00
    PENDING = 0xFF00
    PENDING_WARNING = 0xFF01
    INVALID_ATTRIBUTE = 0x0106
    ATTRIBUTE_LIST_ERROR = 0x0107
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_INSTANCE = 0x0111
    NO_SUCH_INSTANCE = 0x0112
    INVALID_INSTANCE = 0x0117
    NO_SUCH_SOP_CLASS = 0x0118
    CLASS_INSTANCE_CONFLICT = 0x0119
    MISSING_ATTRIBUTE = 0x0120
    MISSING_VALUE = 0x0121
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORISED = 0x0124
    UNRECOGNISED_OPERATION = 0x0211
    MISTYPED_ARGUMENT = 0x0212
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


RESPONSE: Final = 0x8000
NO_DATA_SET: Final = 0x0101
COMMENT_LIMIT: Final = 64

E_AFFECTED_CLASS: Final = 0x0002
E_REQUESTED_CLASS: Final = 0x0003
E_FIELD: Final = 0x0100
E_MESSAGE_ID: Final = 0x0110
E_RESPONDED_TO: Final = 0x0120
E_MOVE_DESTINATION: Final = 0x0600
E_PRIORITY: Final = 0x0700
E_DATA_SET_TYPE: Final = 0x0800
E_STATUS: Final = 0x0900
E_OFFENDING: Final = 0x0901
E_COMMENT: Final = 0x0902
E_ERROR_ID: Final = 0x0903
E_AFFECTED_INSTANCE: Final = 0x1000
E_REQUESTED_INSTANCE: Final = 0x1001
E_EVENT_TYPE: Final = 0x1002
E_ATTRIBUTES: Final = 0x1005
E_ACTION_TYPE: Final = 0x1008
E_REMAINING: Final = 0x1020
E_COMPLETED: Final = 0x1021
E_FAILED: Final = 0x1022
E_WARNING: Final = 0x1023
E_MOVE_ORIGINATOR: Final = 0x1030
E_MOVE_ORIGINATOR_ID: Final = 0x1031

_UI: Final = "UI"
_US: Final = "US"
_AE: Final = "AE"

_ELEMENTS: Final[dict[str, tuple[int, str]]] = {
    "affected_sop_class": (E_AFFECTED_CLASS, _UI),
    "requested_sop_class": (E_REQUESTED_CLASS, _UI),
    "move_destination": (E_MOVE_DESTINATION, _AE),
    "error_id": (E_ERROR_ID, _US),
    "affected_sop_instance": (E_AFFECTED_INSTANCE, _UI),
    "requested_sop_instance": (E_REQUESTED_INSTANCE, _UI),
    "event_type": (E_EVENT_TYPE, _US),
    "action_type": (E_ACTION_TYPE, _US),
    "remaining": (E_REMAINING, _US),
    "completed": (E_COMPLETED, _US),
    "failed": (E_FAILED, _US),
    "warning": (E_WARNING, _US),
    "move_originator": (E_MOVE_ORIGINATOR, _AE),
    "move_originator_message_id": (E_MOVE_ORIGINATOR_ID, _US),
}

_HEAD = struct.Struct("<HHI")
_HEAD_US = struct.Struct("<HHIH")
_US_VALUE = struct.Struct("<H")
_GROUP_LENGTH = struct.Struct("<HHII")


class DimseError(PacsError):
    """A command set that cannot be used (PS3.7 6.3.1)."""

    code = "dimse"


class Command:
    """A decoded command set.

    Parameters
    ----------
    elements
        Raw values by element number; the group is always 0000.
    """

    __slots__ = ("elements", "field", "has_data_set", "message_id", "responded_to", "status")

    def __init__(self, elements: dict[int, bytes]) -> None:
        self.elements = elements
        field = self._number(E_FIELD)
        if field is None:
            raise DimseError("a command set without Command Field (0000,0100)")
        self.field = field
        message_id = self._number(E_MESSAGE_ID)
        responded_to = self._number(E_RESPONDED_TO)
        if field & RESPONSE or field == Field.C_CANCEL:
            if responded_to is None:
                raise DimseError(f"{name(field)} without Message ID Being Responded To (0000,0120)")
        elif message_id is None:
            raise DimseError(f"{name(field)} without Message ID (0000,0110)")
        self.message_id = message_id or 0
        self.responded_to = responded_to or 0
        self.has_data_set = self._number(E_DATA_SET_TYPE) not in (NO_DATA_SET, None)
        self.status = self._number(E_STATUS) or 0

    def get(self, tag: int) -> bytes | None:
        """Return the raw value of element (0000, ``tag``)."""
        return self.elements.get(tag & 0xFFFF)

    def _number(self, element: int) -> int | None:
        value = self.elements.get(element)
        return None if value is None or len(value) < 2 else value[0] | value[1] << 8

    def number(self, element: int, default: int = 0) -> int:
        """Return a US value."""
        value = self._number(element)
        return default if value is None else value

    def text(self, element: int) -> str:
        """Return a text value without padding, as Latin-1: unfit to be shown as it is."""
        return trim_uid(self.elements.get(element, b""))

    @property
    def affected_sop_class(self) -> str:
        return self.text(E_AFFECTED_CLASS)

    @property
    def affected_sop_instance(self) -> str:
        return self.text(E_AFFECTED_INSTANCE)

    @property
    def requested_sop_class(self) -> str:
        return self.text(E_REQUESTED_CLASS)

    @property
    def requested_sop_instance(self) -> str:
        return self.text(E_REQUESTED_INSTANCE)

    @property
    def priority(self) -> int:
        return self.number(E_PRIORITY)

    @property
    def move_destination(self) -> str:
        return self.text(E_MOVE_DESTINATION)

    @property
    def move_originator(self) -> str:
        """AE title that asked for the C-MOVE of which this C-STORE is a part, empty if none."""
        return self.text(E_MOVE_ORIGINATOR)

    @property
    def move_originator_message_id(self) -> int | None:
        return self._number(E_MOVE_ORIGINATOR_ID)

    @property
    def comment(self) -> str:
        return self.text(E_COMMENT)

    @property
    def offending(self) -> tuple[int, ...]:
        """Tags of the offending elements (0000,0901)."""
        return self._tags(E_OFFENDING)

    @property
    def attributes(self) -> tuple[int, ...]:
        """Tags of the Attribute Identifier List (0000,1005)."""
        return self._tags(E_ATTRIBUTES)

    def _tags(self, element: int) -> tuple[int, ...]:
        value = self.elements.get(element, b"")
        return tuple(g << 16 | e for g, e in struct.iter_unpack("<HH", value[: len(value) // 4 * 4]))

    def __repr__(self) -> str:
        return f"<{name(self.field)} id {self.responded_to or self.message_id}>"


def name(field: int) -> str:
    """Return a command field as people write it: ``C-STORE-RQ``."""
    try:
        base = Field(field & ~RESPONSE).name.replace("_", "-")
    except ValueError:
        return f"command {field:04X}H"
    return base + ("-RSP" if field & RESPONSE else "-RQ")


def decode(data: bytes) -> Command:
    """Decode a command set.

    Raises
    ------
    DimseError
        When an element does not fit, belongs to another group, or one that is needed is absent.
    """
    elements: dict[int, bytes] = {}
    position, end = 0, len(data)
    unpack = _HEAD.unpack_from
    while position < end:
        if end - position < 8:
            raise DimseError("a command set that ends inside an element")
        group, element, length = unpack(data, position)
        position += 8
        if group:
            raise DimseError(f"an element of group {group:04X} in a command set")
        if length > end - position:
            raise DimseError(f"command element (0000,{element:04X}) is longer than its command set")
        elements[element] = data[position : position + length]
        position += length
    return Command(elements)


def _us(element: int, value: int) -> bytes:
    return _HEAD_US.pack(0, element, 2, value)


def _text(element: int, value: bytes, pad: bytes) -> bytes:
    if len(value) & 1:
        value += pad
    return _HEAD.pack(0, element, len(value)) + value


def _ascii(text: str) -> bytes:
    return bytes(c if 32 <= c < 127 and c != 92 else 63 for c in text.encode("ascii", "replace"))


def _assemble(parts: dict[int, bytes]) -> bytes:
    body = b"".join([parts[element] for element in sorted(parts)])
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def _add(parts: dict[int, bytes], elements: dict[str, int | str | None]) -> None:
    for key, value in elements.items():
        if value is None:
            continue
        element, vr = _ELEMENTS[key]
        if vr == _US:
            parts[element] = _us(element, int(value))
        else:
            raw = str(value).encode("latin-1", "replace")
            parts[element] = _text(element, raw, b"\0" if vr == _UI else b" ")


def encode_response(
    command: Command,
    status: int,
    *,
    comment: str = "",
    has_data: bool = False,
    offending: Iterable[int] = (),
    attributes: Iterable[int] = (),
    **elements: int | str | None,
) -> bytes:
    """Encode the response to ``command``; UIDs are mirrored as they came.

    Parameters
    ----------
    comment
        Error Comment (0000,0902); cut to 64 characters, what is not plain ASCII becomes ``?``.
    offending
        Tags for Offending Element (0000,0901).
    attributes
        Tags for Attribute Identifier List (0000,1005).
    elements
        Further elements by name: ``remaining``, ``completed``, ``failed``, ``warning``, ``affected_sop_instance``,
        ``event_type``, ``action_type``, ``error_id``, ...; none leaves one out.
    """
    request = command.elements
    parts = {
        E_FIELD: _us(E_FIELD, command.field | RESPONSE),
        E_RESPONDED_TO: _us(E_RESPONDED_TO, command.message_id),
        E_DATA_SET_TYPE: _us(E_DATA_SET_TYPE, 0x0000 if has_data else NO_DATA_SET),
        E_STATUS: _us(E_STATUS, status),
    }
    sop_class = request.get(E_AFFECTED_CLASS) or request.get(E_REQUESTED_CLASS)
    if sop_class and len(sop_class) <= 64:
        parts[E_AFFECTED_CLASS] = _text(E_AFFECTED_CLASS, sop_class, b"\0")
    instance = request.get(E_AFFECTED_INSTANCE) or request.get(E_REQUESTED_INSTANCE)
    if instance and len(instance) <= 64:
        parts[E_AFFECTED_INSTANCE] = _text(E_AFFECTED_INSTANCE, instance, b"\0")
    for mirrored in (E_EVENT_TYPE, E_ACTION_TYPE):
        if mirrored in request and len(request[mirrored]) == 2:
            parts[mirrored] = _text(mirrored, request[mirrored], b"")
    if comment:
        parts[E_COMMENT] = _text(E_COMMENT, _ascii(comment)[:COMMENT_LIMIT], b" ")
    tags = b"".join([struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in offending])
    if tags:
        parts[E_OFFENDING] = _text(E_OFFENDING, tags, b"")
    tags = b"".join([struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in attributes])
    if tags:
        parts[E_ATTRIBUTES] = _text(E_ATTRIBUTES, tags, b"")
    if elements:
        _add(parts, elements)
    return _assemble(parts)


def encode_request(
    field: int,
    message_id: int,
    *,
    has_data: bool = False,
    priority: int | None = None,
    **elements: int | str | None,
) -> bytes:
    """Encode a request; ``elements`` as for :func:`encode_response`, with ``move_destination`` and the like."""
    parts = {
        E_FIELD: _us(E_FIELD, field),
        E_MESSAGE_ID: _us(E_MESSAGE_ID, message_id),
        E_DATA_SET_TYPE: _us(E_DATA_SET_TYPE, 0x0000 if has_data else NO_DATA_SET),
    }
    if priority is not None:
        parts[E_PRIORITY] = _us(E_PRIORITY, priority)
    _add(parts, elements)
    return _assemble(parts)


def encode_cancel(message_id: int) -> bytes:
    """Encode a C-CANCEL-RQ for the request ``message_id`` (PS3.7 9.3.2.3)."""
    return _assemble(
        {
            E_FIELD: _us(E_FIELD, Field.C_CANCEL),
            E_RESPONDED_TO: _us(E_RESPONDED_TO, message_id),
            E_DATA_SET_TYPE: _us(E_DATA_SET_TYPE, NO_DATA_SET),
        }
    )
