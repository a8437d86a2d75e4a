"""Bytes of PDUs and command sets, built without the product's code, and a raw client."""

from __future__ import annotations

import asyncio
import socket
import struct

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
APPLICATION = b"1.2.840.10008.3.1.1.1"


def item(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body) if length is None else length) + body


def context(number: int, abstract: str, syntaxes: list[str]) -> bytes:
    body = bytes((number, 0, 0, 0)) + item(0x30, abstract.encode())
    return item(0x20, body + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes))


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def user_information(max_length: int | None = 16384, more: bytes = b"") -> bytes:
    maximum = b"" if max_length is None else item(0x51, struct.pack(">I", max_length))
    return item(0x50, maximum + item(0x52, b"1.2.3.4") + more)


def rq(
    contexts: list[tuple[int, str, list[str]]] | None = None,
    *,
    called: bytes = b"PACSTUI         ",
    calling: bytes = b"MOD1            ",
    version: int = 1,
    application: bytes = APPLICATION,
    user: bytes | None = None,
    raw_contexts: bytes | None = None,
) -> bytes:
    if contexts is None:
        contexts = [(1, VERIFICATION, [IMPLICIT])]
    body = struct.pack(">HH", version, 0) + called.ljust(16)[:16] + calling.ljust(16)[:16] + bytes(32)
    body += item(0x10, application)
    body += b"".join(context(*one) for one in contexts) if raw_contexts is None else raw_contexts
    return pdu(1, body + (user_information() if user is None else user))


def ac(contexts: list[tuple[int, int, str]], max_length: int = 16384) -> bytes:
    body = struct.pack(">HH", 1, 0) + b"PEER            " + b"PACSTUI         " + bytes(32) + item(0x10, APPLICATION)
    for number, result, syntax in contexts:
        body += item(0x21, bytes((number, 0, result, 0)) + item(0x40, syntax.encode()))
    return pdu(2, body + user_information(max_length))


def p_data(*pdvs: tuple[int, int, bytes]) -> bytes:
    return pdu(4, b"".join(struct.pack(">IBB", len(data) + 2, number, header) + data for number, header, data in pdvs))


RELEASE_RQ = pdu(5, bytes(4))
RELEASE_RP = pdu(6, bytes(4))


def abort(source: int = 0, reason: int = 0) -> bytes:
    return pdu(7, bytes((0, 0, source, reason)))


def command(elements: dict[int, int | str]) -> bytes:
    body = b""
    for element, value in sorted(elements.items()):
        raw = struct.pack("<H", value) if isinstance(value, int) else value.encode()
        raw += b"\0" * (len(raw) % 2)
        body += struct.pack("<HHI", 0, element, len(raw)) + raw
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def echo_rq(message_id: int = 1) -> bytes:
    return command({0x0002: VERIFICATION, 0x0100: 0x0030, 0x0110: message_id, 0x0800: 0x0101})


def store_rq(instance: str = "1.2.3", message_id: int = 1, sop_class: str = SC) -> bytes:
    return command({0x0002: sop_class, 0x0100: 1, 0x0110: message_id, 0x0700: 0, 0x0800: 0, 0x1000: instance})


def response(field: int, message_id: int, status: int = 0) -> bytes:
    return command({0x0100: field | 0x8000, 0x0120: message_id, 0x0800: 0x0101, 0x0900: status})


def elements(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        _, element, length = struct.unpack_from("<HHI", data, position)
        found[element] = data[position + 8 : position + 8 + length]
        position += 8 + length
    return found


class Raw:
    """A TCP connection on which PDUs are written and read by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int, first: bytes = b"") -> Raw:
        raw = cls(*await asyncio.open_connection("127.0.0.1", port))
        if first:
            raw.send(first)
        return raw

    @classmethod
    async def associated(
        cls, port: int, contexts: list[tuple[int, str, list[str]]] | None = None, max_length: int = 16384
    ) -> Raw:
        raw = await cls.to(port, rq(contexts, user=user_information(max_length)))
        kind, _ = await raw.pdu()
        assert kind == 2
        return raw

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def pdu(self, seconds: float = 4) -> tuple[int, bytes]:
        """The next PDU; kind 0 when the connection is closed."""
        async with asyncio.timeout(seconds):
            try:
                kind, _, length = struct.unpack(">BBI", await self.reader.readexactly(6))
                return kind, await self.reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, b""

    async def message(self) -> dict[int, bytes]:
        """The command set of the next message, which has no data set and fits into one PDU or several."""
        got = b""
        while True:
            kind, body = await self.pdu()
            assert kind == 4, f"PDU {kind} {body.hex()}"
            assert struct.unpack_from(">I", body)[0] == len(body) - 4
            got += body[6:]
            if body[5] & 2:
                return elements(got)

    async def closed(self, seconds: float = 4) -> bool:
        """Whether the connection is closed in time, after PDUs that do not matter."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()


async def alive(port: int) -> None:
    """A whole C-ECHO on a new association works."""
    raw = await Raw.associated(port)
    raw.send(p_data((1, 3, echo_rq())))
    assert (await raw.message())[0x0900] == b"\0\0"
    raw.send(RELEASE_RQ)
    assert (await raw.pdu())[0] == 6
    await raw.close()


def status(found: dict[int, bytes]) -> int:
    value: int = struct.unpack("<H", found[0x0900])[0]
    return value
