"""Sends one object of any size without ever holding it."""

from __future__ import annotations

import socket
import struct
import zlib
from collections.abc import Iterator
from hashlib import sha256

from benchmarks import sender

PIECE = 1 << 20
JPEG = b"1.2.840.10008.1.2.4.50"
DEFLATED = b"1.2.840.10008.1.2.1.99"


def native(size: int) -> Iterator[bytes]:
    """Yield a data set with ``size`` bytes of pixel data."""
    yield _head("1.2.3.4.1", "1")
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, size)
    for _ in range(size // PIECE):
        yield bytes(PIECE)


def encapsulated(size: int, fragment: int = 1 << 16) -> Iterator[bytes]:
    """Yield a data set whose pixel data are ``size`` bytes in fragments (PS3.5 A.4)."""
    yield _head("1.2.3.4.2", "2")
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    yield struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, fragment) + b"\xff\xd8" + bytes(fragment - 2)
    for _ in range(size // fragment):
        yield item
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def deflated(size: int) -> Iterator[bytes]:
    """Yield a deflated data set that is about as long as what it holds (PS3.5 A.5)."""
    packer = zlib.compressobj(0, zlib.DEFLATED, -zlib.MAX_WBITS)
    yield packer.compress(_head("1.2.3.4.4", "4"))
    yield packer.compress(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, size))
    for _ in range(size // PIECE):
        yield packer.compress(bytes(PIECE))
    yield packer.flush()


def big_value(size: int) -> Iterator[bytes]:
    """Yield a data set whose bytes are in a private value before the pixel data, as some vendors' raw data are."""
    yield _head("1.2.3.4.3", "3")
    yield struct.pack("<HH2sH8s", 0x0029, 0x0010, b"LO", 8, b"VENDOR  ")
    yield struct.pack("<HH2sHI", 0x0029, 0x1010, b"OB", 0, size)
    for _ in range(size // PIECE):
        yield bytes(PIECE)
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 8) + bytes(8)


def _head(instance: str, number: str) -> bytes:
    whole = sender.data_set("1.2.3.4", f"1.2.3.4.0.{number}", instance, 1, 2048)
    return whole[: whole.rindex(struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0))]


def send(port: int, instance: str, pieces: Iterator[bytes], syntax: bytes = sender.EXPLICIT) -> tuple[int, str]:
    """Send one object; return status and SHA-256 of the data set."""
    digest = sha256()
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        rq = sender.request("PACS", "STREAM")
        if syntax != sender.EXPLICIT:
            rq = _with_syntax(syntax)
        sock.sendall(rq)
        kind, _ = sender.read_pdu(sock)
        assert kind == 2
        command = sender._command(instance, 1)
        sock.sendall(struct.pack(">BBIIBB", 4, 0, len(command) + 6, len(command) + 2, 1, 3) + command)
        step = 200_000
        for piece in pieces:
            digest.update(piece)
            for at in range(0, len(piece), step):
                part = piece[at : at + step]
                sock.sendall(struct.pack(">BBIIBB", 4, 0, len(part) + 6, len(part) + 2, 1, 0) + part)
        sock.sendall(struct.pack(">BBIIBB", 4, 0, 6, 2, 1, 2))
        status = sender.status_of(sender.read_pdu(sock)[1])
        sock.sendall(sender.RELEASE)
        sender.read_pdu(sock)
    return status, digest.hexdigest()


def _with_syntax(syntax: bytes) -> bytes:
    context = sender._item(0x20, b"\x01\0\0\0" + sender._item(0x30, sender.CT) + sender._item(0x40, syntax))
    user = sender._item(0x50, sender._item(0x51, struct.pack(">I", 16384)) + sender._item(0x52, b"2.25.1"))
    body = struct.pack(">HH", 1, 0) + b"PACS".ljust(16) + b"STREAM".ljust(16) + bytes(32)
    body += sender._item(0x10, sender.CONTEXT_NAME) + context + user
    return struct.pack(">BBI", 1, 0, len(body)) + body
