"""Blocks into messages: batches and files (HL7 v2.5, 2.10.3), and text into segments that end with CR."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_BREAK = re.compile(r"\r\n|\r|\n")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}(?:[^A-Za-z0-9\s]|$)")
_BLANKS = b"\r\n \t\0"


@dataclass(slots=True)
class Batch:
    """What the headers and trailers around messages say; ``wrong`` tells what does not fit, once all was read."""

    count: int = 0
    batches: int = 0
    open: bool = False
    wrong: list[str] = field(default_factory=list)


def messages(block: bytes, batch: Batch) -> Iterator[bytes]:
    """Yield the messages of a block one after the other: one, or those of a batch, or several without headers.

    Bytes before the first MSH that are no header of a batch are part of the first message.
    """
    start = len(block) - len(block.lstrip(_BLANKS))
    if block[start : start + 3] == b"\xef\xbb\xbf":
        start += 3
    kind = block[start : start + 3]
    mark = block[start + 3 : start + 4]
    if kind not in (b"MSH", b"BHS", b"FHS") or not mark:
        yield block
        return
    heads = _Heads(block, mark)
    at, kind_at = start, kind
    while True:
        end, next_kind = heads.after(at + 3)
        if kind_at == b"MSH":
            batch.count += 1
            yield block if end == len(block) and start == at else block[at:end]
        else:
            _header(kind_at, block[at:end].rstrip(_BLANKS), mark, batch)
        if not next_kind:
            break
        at, kind_at = end, next_kind
    if batch.open:
        batch.wrong.append("the batch has no BTS at its end")


class _Heads:
    """Where in a block messages and batches begin and end. Each place is looked for once: a block may be long."""

    def __init__(self, block: bytes, mark: bytes) -> None:
        self._block = block
        self._follows = (mark, b"\r", b"\n", b"")
        self._found = dict.fromkeys((b"MSH", b"BHS", b"BTS", b"FHS", b"FTS"), -1)

    def after(self, at: int) -> tuple[int, bytes]:
        """Return the next place and what begins there; the block's end and nothing if nothing does."""
        for kind, place in self._found.items():
            if place < at:
                self._found[kind] = self._find(kind, at)
        place, kind = min((place, kind) for kind, place in self._found.items())
        return (place, kind) if place < len(self._block) else (len(self._block), b"")

    def _find(self, kind: bytes, at: int) -> int:
        block = self._block
        while (at := block.find(kind, at)) >= 0:
            if block[at - 1 : at] in (b"\r", b"\n") and block[at + 3 : at + 4] in self._follows:
                return at
            at += 3
        return len(block)


def _header(kind: bytes, segment: bytes, mark: bytes, batch: Batch) -> None:
    if kind == b"FHS":
        return
    if kind == b"BHS":
        if batch.open:
            batch.wrong.append("a batch began before the one before it had ended")
        batch.open, batch.count = True, 0
        batch.batches += 1
        return
    fields = segment.split(mark)
    told = fields[1].strip() if len(fields) > 1 else b""
    if kind == b"BTS":
        if not batch.open:
            batch.wrong.append("BTS without BHS")
        elif told.isdigit() and len(told) < 10 and int(told) != batch.count:
            batch.wrong.append(f"BTS-1 says {int(told)} messages, {batch.count} came")
        batch.open = False
    elif batch.batches and told.isdigit() and len(told) < 10 and int(told) != batch.batches:
        batch.wrong.append(f"FTS-1 says {int(told)} batches, {batch.batches} came")


def normalised(text: str, escape: str = "\\") -> str:
    """Return a message's text with CR as the only end of segments.

    LF and CRLF are read as ends too. A line that is no segment belongs to the one before it: somebody put a line's end
    into a field; it becomes the escape sequence for one.
    """
    text = text.strip("\r\n \t\0")
    if "\n" not in text:
        lines = text.split("\r")
    else:
        lines = _BREAK.split(text)
    out: list[str] = []
    for line in lines:
        if _SEGMENT.match(line):
            out.append(line)
        elif not line.strip():
            continue
        elif out:
            out[-1] += f"{escape}.br{escape}{line}"
        else:
            out.append(line)
    return "\r".join(out) + "\r"
