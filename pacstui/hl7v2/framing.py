"""The minimal lower layer protocol, both ways, without a socket (MLLP release 1; HL7 v2.5 implementation guide, C.4).

A block is ``SB data EB CR``. The bytes of a block may come in any pieces. What senders do beside the rule and what is
made of it: SB or EB doubled, the last CR missing, CRs and whole log lines between blocks (skipped), the byte 1CH or
0BH inside of text (kept: a vertical tab in a report is no new block).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SB: Final = 0x0B
EB: Final = 0x1C
CR: Final = 0x0D
_LF: Final = 0x0A
_EB = bytes((EB,))
_STARTS: Final = (b"MSH", b"BHS", b"FHS")
_METHODS: Final = (b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"CONN", b"PRI ")


def framed(data: bytes) -> bytes:
    """Return a message as a block."""
    return b"\x0b" + data + b"\x1c\r"


@dataclass(frozen=True, slots=True)
class Block:
    """The data of one block."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes that are in no block: how many, and the first of them."""

    count: int
    sample: bytes


@dataclass(frozen=True, slots=True)
class Foreign:
    """The connection speaks something else; ``text`` names it."""

    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class Oversize:
    """A block is longer than the limit; its first bytes, to answer it by. What follows of it is skipped."""

    head: bytes


@dataclass(frozen=True, slots=True)
class Torn:
    """A block began anew before it ended: so much of it was given up."""

    count: int


Event = Block | Skipped | Foreign | Oversize | Torn


class Framer:
    """Takes bytes, gives events.

    Parameters
    ----------
    limit
        Longest data of a block, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._inside = False
        self._seen = 0  # of the buffer, up to where no end was found
        self._over = False
        self._begun = False
        self._foreign = False

    @property
    def midway(self) -> bool:
        """Whether a block has begun and not ended."""
        return self._inside

    @property
    def held(self) -> int:
        """Bytes that wait for the rest of their block."""
        return len(self._buffer)

    @property
    def may_end(self) -> bool:
        """Whether an end was seen of which only the next byte could tell that it is none; see `flush`."""
        return self._inside and self._buffer.endswith(_EB)

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return what they complete."""
        if self._foreign:
            return []
        self._buffer += data
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def flush(self) -> list[Event]:
        """Take it that nothing follows an end that the sender left without its CR."""
        events: list[Event] = []
        if self.may_end:
            self._end(len(self._buffer) - 1, events)
            self._buffer.clear()
        return events

    def _step(self, events: list[Event]) -> bool:
        return self._in_block(events) if self._inside else self._between(events)

    def _between(self, events: list[Event]) -> bool:
        buffer = self._buffer
        at = buffer.find(SB)
        if not self._begun and (at != 0 or not buffer):
            what = _foreign(bytes(buffer[:16]))
            if what is not None:
                self._foreign = True
                buffer.clear()
                events.append(what)
                return False
            if at < 0 and 0 < len(buffer) < 6 and _may_be_foreign(bytes(buffer)):
                return False  # the next bytes tell
        junk = bytes(buffer[:at] if at >= 0 else buffer)
        sample = junk.strip(b"\r\n\x1c\x00 \t")
        if sample:
            events.append(Skipped(len(junk), sample[:80]))
        if at < 0:
            self._begun |= bool(junk.strip(b"\r\n\x00"))
            buffer.clear()
            return False
        self._begun = True
        del buffer[: at + 1]
        self._inside, self._over, self._seen = True, False, 0
        return True

    def _in_block(self, events: list[Event]) -> bool:
        buffer = self._buffer
        while buffer and buffer[0] == SB:  # doubled
            del buffer[0]
        start = self._seen
        again = self._restart(start)
        while True:
            at = buffer.find(EB, start)
            if at < 0 or (0 <= again < at):
                break
            if at and buffer[at - 1] in (CR, _LF):
                return self._end(at, events)  # behind a segment's end it can be nothing else
            if at + 1 == len(buffer):
                self._seen = at
                return False
            if buffer[at + 1] in (CR, EB, SB):
                return self._end(at, events)
            start = at + 1  # a character of the text
        if again >= 0:
            events.append(Torn(again + (self.limit if self._over else 0)))
            del buffer[: again + 1]
            self._over, self._seen = False, 0
            return True
        self._seen = max(0, len(buffer) - 4)
        if len(buffer) > self.limit or self._over:
            if not self._over:
                self._over = True
                events.append(Oversize(bytes(buffer[:1024])))
            del buffer[: max(0, len(buffer) - 8)]
            self._seen = 0
        return False

    def _restart(self, start: int) -> int:
        """Return where a new block begins before this one has ended, -1 if none does."""
        at = self._buffer.find(SB, start)
        while at >= 0:
            if at and self._buffer[at - 1] in (CR, _LF) and bytes(self._buffer[at + 1 : at + 4]) in _STARTS:
                return at
            at = self._buffer.find(SB, at + 1)
        return -1

    def _end(self, at: int, events: list[Event]) -> bool:
        with memoryview(self._buffer) as view:
            data = bytes(view[:at])
        after = at + 1
        while after < len(self._buffer) and self._buffer[after] in (EB, CR):
            after += 1
        del self._buffer[:after]
        self._inside, self._seen = False, 0
        if self._over:
            self._over = False
        elif len(data) > self.limit:
            events.append(Oversize(data[:1024]))
        else:
            events.append(Block(data))
        return True


def _foreign(head: bytes) -> Foreign | None:
    """Return what a connection is that begins so, None for what may be MLLP."""
    if head[:2] == b"\x16\x03" and len(head) > 2 and head[2] <= 4:
        return Foreign("a TLS handshake came on the port without TLS", "switch TLS off there, or call the TLS port")
    if head[:4] in _METHODS:
        return Foreign("an HTTP request came on the HL7 port", "this port speaks HL7 v2 over MLLP only")
    if head[:2] == b"\x01\x00" and len(head) >= 6 and head[2:4] == b"\0\0":
        return Foreign("a DICOM association was asked for on the HL7 port", "DICOM has a port of its own: [dicom] port")
    if head[:3] in _STARTS:
        return Foreign(
            "HL7 came without MLLP framing", "let the sender put 0BH before each message and 1CH 0DH behind it"
        )
    return None


def _may_be_foreign(head: bytes) -> bool:
    known = (b"\x16\x03\x01", b"\x01\x00\x00\x00\x00\x00", *_METHODS, *_STARTS)
    return any(each.startswith(head[: len(each)]) for each in known)
