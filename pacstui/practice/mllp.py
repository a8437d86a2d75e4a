"""A small MLLP client of its own: the practice RIS speaks to the archive as a stranger would (HL7 MLLP, release 1)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

START, END, AFTER = b"\x0b", b"\x1c", b"\x0d"
LONGEST = 1 << 20
ANSWER_S = 10.0
CONNECT_S = 5.0


class NoAnswer(Exception):
    """The other side is not there, hung up, or did not answer in time; the text says which."""


class Line:
    """A connection that is opened when it is needed and opened again after it broke."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, message: bytes) -> bytes:
        """Send a message and return its answer, both without framing.

        Raises
        ------
        NoAnswer
            When there is none; the connection is closed then.
        """
        try:
            async with asyncio.timeout(CONNECT_S + ANSWER_S):
                await self.open()
                assert self._writer is not None
                assert self._reader is not None
                self._writer.write(START + message + END + AFTER)
                await self._writer.drain()
                await self._reader.readuntil(START)
                answer = await self._reader.readuntil(END + AFTER)
                return answer[: -len(END + AFTER)]
        except TimeoutError:
            await self.close()
            raise NoAnswer("no answer to an HL7 message in time") from None
        except asyncio.IncompleteReadError:
            await self.close()
            raise NoAnswer("the connection for HL7 was closed without an answer") from None
        except (OSError, asyncio.LimitOverrunError) as error:
            await self.close()
            raise NoAnswer(f"the connection for HL7 failed: {error}") from None

    async def open(self) -> None:
        """Connect, if that is not done yet.

        Raises
        ------
        NoAnswer
            When nobody is there.
        """
        if self._writer is not None:
            return
        try:
            self._reader, self._writer = await asyncio.wait_for(
                asyncio.open_connection(self._host, self._port, limit=LONGEST), CONNECT_S
            )
        except TimeoutError:
            raise NoAnswer("no connection for HL7 in time") from None
        except OSError as error:
            raise NoAnswer(f"no connection for HL7: {error}") from None

    async def close(self) -> None:
        """Hang up."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1.0)


def code_of(answer: bytes) -> tuple[str, str]:
    """Return MSA-1 and MSA-2 of an answer, empty where it has none."""
    for segment in answer.split(b"\r"):
        if segment.startswith(b"MSA") and len(segment) > 4:
            fields = segment.decode("ascii", "replace").split(segment[3:4].decode("ascii", "replace"))
            return fields[1], fields[2] if len(fields) > 2 else ""
    return "", ""
