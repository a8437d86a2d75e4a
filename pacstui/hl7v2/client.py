"""A sender for tests: messages of a file over MLLP, each answer shown."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from pacstui.errors import BadRequest, Unavailable
from pacstui.hl7v2.framing import Block, Framer, framed
from pacstui.hl7v2.segments import Batch, messages
from pacstui.text import safe

_MOST = 64 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """How a message was answered: code of MSA-1, control ID of MSA-2, the rest as text; whether it was taken."""

    code: str
    control: str
    text: str

    @property
    def good(self) -> bool:
        """Whether the answer says that it was taken."""
        return self.code in ("AA", "CA")


def send_all(data: bytes, host: str, port: int, seconds: float, *, whole: bool = False) -> Iterator[Answer]:
    """Send messages one after the other and yield their answers.

    Raises
    ------
    BadRequest, Unavailable
        When there is nothing to send, or nobody to send it to.
    """
    body = data.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    split = messages(body.strip(b"\x0b\x1c\r"), Batch())
    parts = [data] if whole else [part.strip(b"\x0b\x1c\r") + b"\r" for part in split]
    if not any(part.strip() for part in parts):
        raise BadRequest("there is no message in it")
    try:
        with socket.create_connection((host, port), timeout=seconds) as sock:
            sock.settimeout(seconds)
            framer = Framer(_MOST)
            for part in parts:
                sock.sendall(framed(part))
                answered = False
                while not answered:
                    got = sock.recv(65536)
                    if not got:
                        raise Unavailable("the other side ended the connection without an answer")
                    for event in framer.feed(got):
                        if isinstance(event, Block):
                            answered = True
                            yield _read(event.data)
    except TimeoutError:
        raise Unavailable(f"no answer within {seconds:.0f} s") from None
    except OSError as fault:
        raise Unavailable(f"{safe(host, 64)}:{port} cannot be reached: {fault.strerror or fault}") from fault


def _read(data: bytes) -> Answer:
    text = data.decode("utf-8", "replace")
    mark = text[3:4] or "|"
    code = control = ""
    rest = []
    for line in text.split("\r"):
        fields = [*line.split(mark), "", "", "", ""]
        if fields[0] == "MSA":
            code, control = fields[1], fields[2]
            rest.append(fields[3])
        elif fields[0] == "ERR":
            rest.append(line)
    return Answer(code, control, " ".join(part for part in rest if part))
