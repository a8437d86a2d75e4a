"""One MLLP connection to a receiver: a message goes, its answer comes (HL7 v2.5 appendix C.4, transport MLLP)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final

from pacstui.text import safe

START, END, CR = 0x0B, 0x1C, 0x0D
_LONGEST: Final = 1 << 20
_CHUNK: Final = 1 << 16
_CLOSE_S: Final = 2.0


class Unreachable(Exception):
    """There is no connection; nothing was sent. ``hint`` says what mends it."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


class Unanswered(Exception):
    """A message was sent, or begun to be sent, and no answer to it came: whether it was taken is not known.

    ``stale`` tells that the connection had been kept from before: the other side may have closed it for being idle.
    """

    def __init__(self, text: str, hint: str, stale: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.stale = stale


class Frames:
    """Takes what was received apart into messages. What stands between frames is junk."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.junk = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that are complete now.

        Raises
        ------
        ValueError
            When a message is longer than 1 MiB.
        """
        self._buffer += data
        found = []
        while True:
            begin = self._buffer.find(START)
            if begin < 0:
                self.junk += sum(1 for octet in self._buffer if octet not in (CR, 0x0A))
                self._buffer.clear()
                break
            self.junk += sum(1 for octet in self._buffer[:begin] if octet not in (CR, 0x0A))
            end = self._buffer.find(END, begin)
            if end < 0:
                del self._buffer[:begin]
                if len(self._buffer) > _LONGEST:
                    raise ValueError("longer than 1 MiB")
                break
            found.append(bytes(self._buffer[begin + 1 : end]))
            del self._buffer[: end + 1]
        return found

    @property
    def begun(self) -> bool:
        """Whether a part of a message is here."""
        return bool(self._buffer)


def framed(raw: bytes) -> bytes:
    """Return a message in its frame."""
    return b"\x0b" + raw + (b"" if raw.endswith(b"\r") else b"\r") + b"\x1c\r"


class Line:
    """A connection. ``used`` is how many messages were answered on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = Frames()
        self._waiting: list[bytes] = []
        self.used = 0

    @classmethod
    async def open(cls, host: str, port: int, context: ssl.SSLContext | None, seconds: float) -> Line:
        """Connect.

        Raises
        ------
        Unreachable
            With the reason in words.
        """
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=context, server_hostname=host if context is not None else None
                )
        except TimeoutError:
            raise Unreachable(
                f"no answer from {host}:{port} within {seconds:g} s",
                "see whether it is on, and whether a firewall is in between",
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(
                f"the certificate of {host}:{port} is not trusted: {safe(error.verify_message, 120)}",
                "name who signs it in ca of its [[hl7.receivers]], or let it have a certificate for that host",
            ) from error
        except ssl.SSLError as error:
            raise Unreachable(
                f"{host}:{port} does not agree on TLS: {safe(error.reason or error, 120)}",
                "see whether it speaks TLS on that port, and whether it asks for a certificate of ours ([tls])",
            ) from error
        except ConnectionRefusedError:
            raise Unreachable(
                f"{host}:{port} refuses the connection: nothing listens there", "start it, or correct host and port"
            ) from None
        except OSError as error:
            reason = error.strerror if isinstance(error.errno, int) and error.strerror else str(error)
            raise Unreachable(
                f"{host}:{port}: {safe(reason, 120)}", "correct the host, or see to the network"
            ) from error
        return cls(reader, writer)

    @property
    def lost(self) -> bool:
        """Whether the other side has closed it already, as far as is known."""
        return self._reader.at_eof() or self._writer.is_closing()

    async def send(self, raw: bytes, seconds: float) -> None:
        """Send a message. Raises `Unanswered`."""
        try:
            async with asyncio.timeout(seconds):
                self._writer.write(framed(raw))
                await self._writer.drain()
        except TimeoutError:
            raise Unanswered(
                f"it takes no more bytes, not even within {seconds:g} s", "it hangs: restart it, or see to the network"
            ) from None
        except (OSError, ssl.SSLError) as error:
            raise self._gone() from error

    async def answer(self, seconds: float) -> bytes:
        """Return the next message that comes. Raises `Unanswered`."""
        if self._waiting:
            return self._waiting.pop(0)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    data = await self._reader.read(_CHUNK)
                    if not data:
                        raise self._gone()
                    found = self._frames.feed(data)
                    if found:
                        self._waiting = found[1:]
                        return found[0]
        except TimeoutError:
            if self._frames.begun:
                text = f"it began to answer, and did not end within {seconds:g} s"
            elif self._frames.junk:
                text = f"it sent {self._frames.junk} bytes that are no MLLP frame, and no answer within {seconds:g} s"
            else:
                text = (
                    f"it took the message and gave no answer within {seconds:g} s; whether it acted on it is not known"
                )
            raise Unanswered(
                text, "see what its log says of this control ID; it is sent again, not taken as sent"
            ) from None
        except ValueError as error:
            raise Unanswered(f"its answer is {error}", "see whether this is an HL7 listener") from error
        except (OSError, ssl.SSLError) as error:
            raise self._gone() from error

    def early(self) -> list[bytes]:
        """Return messages that came already, though nothing was asked."""
        found, self._waiting = self._waiting, []
        return found

    def _gone(self) -> Unanswered:
        if self._frames.begun:
            text = "the connection was lost in the middle of its answer; whether it acted on the message is not known"
        else:
            text = "the connection was lost after the message was sent; whether it acted on it is not known"
        hint = "see what its log says of this control ID; it is sent again, not taken as sent"
        return Unanswered(text, hint, self.used > 0 and not self._frames.begun)

    async def watch(self) -> None:
        """Wait until something comes, or the other side closes; what came is kept for `early`."""
        try:
            data = await self._reader.read(_CHUNK)
            if data:
                self._waiting += self._frames.feed(data)
            else:
                self._writer.close()
        except (OSError, ssl.SSLError, ValueError):
            self._writer.close()

    async def close(self) -> None:
        """Close it, politely if that is quick."""
        self._writer.close()
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._writer.wait_closed()
        if self._writer.transport is not None:
            self._writer.transport.abort()
