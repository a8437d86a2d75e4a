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
    heads = re.compile(rb"[\r\n][ \t]*(MSH|BHS|BTS|FHS|FTS)(?=" + re.escape(mark) + rb"|[\r\n]|$)")
    at, kind_at = start, kind
    while True:
        found = heads.search(block, at + 3)
        end = found.start() + 1 if found else len(block)
        if kind_at == b"MSH":
            if end == len(block) and start == at:
                batch.count += 1
                yield block
            else:
                batch.count += 1
                yield block[at:end]
        else:
            _header(kind_at, block[at:end].rstrip(_BLANKS), mark, batch)
        if found is None:
            break
        at, kind_at = found.start(1), found[1]
    if batch.open:
        batch.wrong.append("the batch has no BTS at its end")


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
