"""Items inside A-ASSOCIATE PDUs: contexts and user information (PS3.8 9.3.2, 9.3.3, Annex D; PS3.7 D.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pacstui.dicom.uids import trim_uid
from pacstui.dicom.ul.faults import AbortReason, AbortSource, ProtocolFault, invalid

APPLICATION_CONTEXT_ITEM: Final = 0x10
CONTEXT_RQ_ITEM: Final = 0x20
CONTEXT_AC_ITEM: Final = 0x21
ABSTRACT_SYNTAX_ITEM: Final = 0x30
TRANSFER_SYNTAX_ITEM: Final = 0x40
USER_INFORMATION_ITEM: Final = 0x50

_ITEM = struct.Struct(">BBH")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class IdentityType(IntEnum):
    """User-Identity-Type (PS3.7 D.3.3.7.1)."""

    USERNAME = 1
    USERNAME_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed (PS3.8 9.3.2.2)."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextAnswer:
    """The answer to one proposed context (PS3.8 9.3.3.2); ``result`` 0 to 4, 0 is accepted."""

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """SCP/SCU Role Selection (PS3.7 D.3.3.4): which roles the requestor of the association may take."""

    sop_class: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP Class Extended Negotiation (PS3.7 D.3.3.5)."""

    sop_class: str
    information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """SOP Class Common Extended Negotiation (PS3.7 D.3.3.6)."""

    sop_class: str
    service_class: str
    related: tuple[str, ...]


_KINDS: Final = {
    1: "a user name without passcode", 2: "a user name with passcode", 3: "a Kerberos ticket", 4: "a SAML assertion",
    5: "a JSON Web Token",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User Identity Negotiation (PS3.7 D.3.3.7). ``secondary`` is the passcode of type 2: never logged or shown."""

    type: int
    response_requested: bool
    primary: bytes
    secondary: bytes = b""

    def __repr__(self) -> str:
        return f"<UserIdentity type {self.type}>"

    @property
    def name(self) -> str:
        """The user name of types 1 and 2 as the network sent it, empty for others."""
        named = self.type in (IdentityType.USERNAME, IdentityType.USERNAME_PASSCODE)
        return self.primary.decode("utf-8", "replace") if named else ""

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return _KINDS.get(self.type, f"a user identity of type {self.type}")


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item. ``max_length`` 0 is no limit; ``max_length`` none is an absent item."""

    max_length: int | None = None
    implementation_uid: str = ""
    implementation_version: str = ""
    async_operations: tuple[int, int] | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    identity: UserIdentity | None = None
    identity_response: bytes | None = None


def each(data: bytes, start: int, end: int, where: str) -> Iterator[tuple[int, int, int]]:
    """Yield type, start and end of each item in ``data[start:end]``.

    Raises
    ------
    ProtocolFault
        2/6 when a length does not fit into what is around it.
    """
    while start < end:
        if end - start < 4:
            raise invalid(f"{where} ends inside an item header")
        kind, _, length = _ITEM.unpack_from(data, start)
        start += 4
        if length > end - start:
            raise invalid(f"item {kind:02X}H in {where} is longer than what holds it")
        yield kind, start, start + length
        start += length


def misplaced(kind: int, where: str) -> ProtocolFault:
    """Return the fault of an item that the standard knows but not there, 2/5."""
    return ProtocolFault(
        AbortSource.PROVIDER, AbortReason.UNEXPECTED_PARAMETER, f"item {kind:02X}H does not belong into {where}"
    )


def uid(data: bytes, start: int, end: int) -> str:
    """Return a UID field without padding; any bytes, as Latin-1."""
    return trim_uid(data[start:end])


def item(kind: int, body: bytes) -> bytes:
    """Encode one item."""
    return _ITEM.pack(kind, 0, len(body)) + body


def decode_proposed(data: bytes, start: int, end: int) -> ProposedContext:
    """Decode the body of a 20H item."""
    where = "a presentation context item"
    if end - start < 4:
        raise invalid(f"{where} is shorter than its fixed part")
    abstract: str | None = None
    syntaxes: list[str] = []
    for kind, at, upto in each(data, start + 4, end, where):
        if kind == ABSTRACT_SYNTAX_ITEM:
            if abstract is not None:
                raise misplaced(kind, f"{where} a second time")
            abstract = uid(data, at, upto)
        elif kind == TRANSFER_SYNTAX_ITEM:
            syntaxes.append(uid(data, at, upto))
    if abstract is None:
        raise invalid(f"{where} without an abstract syntax")
    return ProposedContext(data[start], abstract, tuple(syntaxes))


def encode_proposed(context: ProposedContext) -> bytes:
    """Encode a 20H item."""
    parts = [bytes((context.id, 0, 0, 0)), item(ABSTRACT_SYNTAX_ITEM, context.abstract_syntax.encode("latin-1"))]
    parts += [item(TRANSFER_SYNTAX_ITEM, syntax.encode("latin-1")) for syntax in context.transfer_syntaxes]
    return item(CONTEXT_RQ_ITEM, b"".join(parts))


def decode_answer(data: bytes, start: int, end: int) -> ContextAnswer:
    """Decode the body of a 21H item; the transfer syntax does not count unless the result is 0."""
    where = "a presentation context item"
    if end - start < 4:
        raise invalid(f"{where} is shorter than its fixed part")
    result = data[start + 2]
    syntax = ""
    for kind, at, upto in each(data, start + 4, end, where):
        if kind == TRANSFER_SYNTAX_ITEM and not syntax:
            syntax = uid(data, at, upto)
    return ContextAnswer(data[start], result, syntax)


def encode_answer(context: ContextAnswer) -> bytes:
    """Encode a 21H item."""
    body = bytes((context.id, 0, context.result, 0))
    return item(CONTEXT_AC_ITEM, body + item(TRANSFER_SYNTAX_ITEM, context.transfer_syntax.encode("latin-1")))


def _counted(data: bytes, start: int, end: int, what: str) -> tuple[int, int]:
    """Return start and end of a field that has a 16 bit length before it."""
    if end - start < 2:
        raise invalid(f"{what} ends before a length field")
    (length,) = _U16.unpack_from(data, start)
    if length > end - start - 2:
        raise invalid(f"a length inside {what} does not fit")
    return start + 2, start + 2 + length


def _decode_role(data: bytes, start: int, end: int) -> RoleSelection:
    at, upto = _counted(data, start, end, "a role selection item")
    if end - upto != 2:
        raise invalid("a role selection item whose lengths do not fit")
    return RoleSelection(uid(data, at, upto), data[upto] != 0, data[upto + 1] != 0)


def _decode_common(data: bytes, start: int, end: int) -> CommonExtendedNegotiation:
    what = "a common extended negotiation item"
    at, upto = _counted(data, start, end, what)
    service_at, service_upto = _counted(data, upto, end, what)
    related: list[str] = []
    if service_upto < end:
        position, last = _counted(data, service_upto, end, what)
        while position < last:
            one, position = _counted(data, position, last, what)
            related.append(uid(data, one, position))
    return CommonExtendedNegotiation(uid(data, at, upto), uid(data, service_at, service_upto), tuple(related))


def _decode_identity(data: bytes, start: int, end: int) -> UserIdentity:
    what = "a user identity item"
    if end - start < 6:
        raise invalid(f"{what} is shorter than its fixed part")
    at, upto = _counted(data, start + 2, end, what)
    second_at, second_upto = _counted(data, upto, end, what)
    if second_upto != end:
        raise invalid(f"{what} whose lengths do not fit")
    return UserIdentity(data[start], data[start + 1] == 1, data[at:upto], data[second_at:second_upto])


def decode_user_information(data: bytes, start: int, end: int) -> UserInformation:
    """Decode the body of a 50H item. Sub-items of unknown type are skipped (PS3.8 9.3.1)."""
    length: int | None = None
    implementation = version = ""
    operations: tuple[int, int] | None = None
    roles: list[RoleSelection] = []
    extended: list[ExtendedNegotiation] = []
    common: list[CommonExtendedNegotiation] = []
    identity: UserIdentity | None = None
    response: bytes | None = None
    for kind, at, upto in each(data, start, end, "the user information item"):
        if kind == 0x51:
            if upto - at != 4:
                raise invalid("a maximum length item that is not 4 bytes long")
            length = _U32.unpack_from(data, at)[0]
        elif kind == 0x52:
            implementation = uid(data, at, upto)
        elif kind == 0x53:
            if upto - at != 4:
                raise invalid("an asynchronous operations item that is not 4 bytes long")
            operations = (_U16.unpack_from(data, at)[0], _U16.unpack_from(data, at + 2)[0])
        elif kind == 0x54:
            roles.append(_decode_role(data, at, upto))
        elif kind == 0x55:
            version = uid(data, at, upto)
        elif kind == 0x56:
            first, last = _counted(data, at, upto, "an extended negotiation item")
            extended.append(ExtendedNegotiation(uid(data, first, last), data[last:upto]))
        elif kind == 0x57:
            common.append(_decode_common(data, at, upto))
        elif kind == 0x58:
            identity = _decode_identity(data, at, upto)
        elif kind == 0x59:
            first, last = _counted(data, at, upto, "a user identity response item")
            response = data[first:last]
    return UserInformation(
        length, implementation, version, operations, tuple(roles), tuple(extended), tuple(common), identity, response
    )


def _long(body: bytes) -> bytes:
    return _U16.pack(len(body)) + body


def encode_user_information(user: UserInformation) -> bytes:
    """Encode a 50H item."""
    parts: list[bytes] = []
    if user.max_length is not None:
        parts.append(item(0x51, _U32.pack(user.max_length)))
    parts.append(item(0x52, user.implementation_uid.encode("latin-1")))
    if user.async_operations is not None:
        parts.append(item(0x53, struct.pack(">HH", *user.async_operations)))
    for role in user.roles:
        parts.append(item(0x54, _long(role.sop_class.encode("latin-1")) + bytes((role.scu, role.scp))))
    if user.implementation_version:
        parts.append(item(0x55, user.implementation_version.encode("latin-1")))
    for one in user.extended:
        parts.append(item(0x56, _long(one.sop_class.encode("latin-1")) + one.information))
    for common in user.common_extended:
        related = b"".join(_long(name.encode("latin-1")) for name in common.related)
        head = _long(common.sop_class.encode("latin-1")) + _long(common.service_class.encode("latin-1"))
        parts.append(item(0x57, head + _long(related)))
    if user.identity is not None:
        who = user.identity
        parts.append(item(0x58, bytes((who.type, who.response_requested)) + _long(who.primary) + _long(who.secondary)))
    if user.identity_response is not None:
        parts.append(item(0x59, _long(user.identity_response)))
    return item(USER_INFORMATION_ITEM, b"".join(parts))
