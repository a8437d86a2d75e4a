"""A wire tap between a client and the node: what a program like storescu really sends, not what its file holds."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from tests.running import until

ACCEPT, REJECT, DATA, ABORT = 2, 3, 4, 7


@dataclass(frozen=True)
class Sent:
    """One data set as it went over the wire, and the command set that it belongs to."""

    instance: str
    syntax: str
    data: bytes
    association: int

    @property
    def digest(self) -> str:
        return sha256(self.data).hexdigest()


def pdus(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each whole PDU (PS3.8 9.3)."""
    at = 0
    while at + 6 <= len(stream):
        length = int.from_bytes(stream[at + 2 : at + 6], "big")
        if at + 6 + length > len(stream):
            return
        yield stream[at], stream[at + 6 : at + 6 + length]
        at += 6 + length


def accepted(body: bytes) -> dict[int, str]:
    """Return the transfer syntax of each accepted presentation context of an A-ASSOCIATE-AC (PS3.8 9.3.3)."""
    found = {}
    at = 68
    while at < len(body):
        kind, length = body[at], int.from_bytes(body[at + 2 : at + 4], "big")
        item = body[at + 4 : at + 4 + length]
        if kind == 0x21 and item[2] == 0:
            found[item[0]] = item[8 : 8 + int.from_bytes(item[6:8], "big")].decode().rstrip("\0")
        at += 4 + length
    return found


def command(data: bytes) -> dict[int, bytes]:
    """Return the elements of a command set, group 0000, Implicit VR Little Endian (PS3.7 6.3)."""
    found, at = {}, 0
    while at < len(data):
        _, element, length = struct.unpack_from("<HHI", data, at)
        found[element] = data[at + 8 : at + 8 + length]
        at += 8 + length
    return found


@dataclass
class Line:
    """One connection: all bytes of both directions."""

    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)
    over: int = 0

    def stored(self, number: int) -> Iterator[Sent]:
        """Yield the data sets of the C-STORE requests."""
        syntaxes: dict[int, str] = {}
        for kind, body in pdus(bytes(self.down)):
            if kind == ACCEPT:
                syntaxes = accepted(body)
        asked, parts = b"", b""
        request: dict[int, bytes] = {}
        for kind, body in pdus(bytes(self.up)):
            if kind != DATA:
                continue
            at = 0
            while at < len(body):
                length = int.from_bytes(body[at : at + 4], "big")
                context, header, piece = body[at + 4], body[at + 5], body[at + 6 : at + 4 + length]
                at += 4 + length
                if header & 1:
                    asked += piece
                    if header & 2:
                        request, asked = command(asked), b""
                else:
                    parts += piece
                    if header & 2:
                        yield Sent(request[0x1000].rstrip(b"\0").decode(), syntaxes[context], parts, number)
                        parts = b""


class Relay:
    """Listens on a port of its own, passes everything on to ``target`` and keeps it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lines: list[Line] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def sent(self) -> list[Sent]:
        """Return what was sent on all associations, which must be over."""
        until(lambda: all(line.over == 2 for line in self.lines))
        return [each for number, line in enumerate(self.lines) for each in line.stored(number)]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            line = Line()
            self.lines.append(line)
            node = socket.create_connection(("127.0.0.1", self._target))
            for one in (client, node):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for here, there, kept in ((client, node, line.up), (node, client, line.down)):
                threading.Thread(target=self._pass, args=(here, there, kept, line), daemon=True).start()

    def _pass(self, here: socket.socket, there: socket.socket, kept: bytearray, line: Line) -> None:
        try:
            while data := here.recv(1 << 18):
                kept += data
                there.sendall(data)
        except OSError:
            pass
        for sock in (here, there):  # a DICOM association has no half-closed state
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        line.over += 1
        if line.over == 2:
            here.close()
            there.close()
