"""Names, UIDs and dates that stand for the true ones, the same each time, and of no use without the key.

All are HMAC-SHA-256 (RFC 2104) under a secret of the node, over what they are for, the project and the true value: who
has no key cannot try candidates, and what two projects got cannot be joined.
"""

from __future__ import annotations

import hmac
import os
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from pacstui.errors import Unavailable

KEY: Final = "pseudonyms.key"
"""The file in the data directory."""

_KEY_BYTES: Final = 32
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE: Final = 12
_SHIFT_MIN, _SHIFT_RANGE = 31, 1826


def read_key(path: Path, *, make: bool = True) -> bytes:
    """Return the key of the file, which is made at the first need.

    Raises
    ------
    Unavailable
        When it cannot be read or made, or is none.
    """
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        if not make:
            raise Unavailable(f"there is no key of pseudonyms {path}", "put it back from the backup") from None
        return _new_key(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no hexadecimal number"
        raise Unavailable(f"the key of pseudonyms {path} cannot be read: {why}", _LOST) from None
    if len(key) < _KEY_BYTES:
        raise Unavailable(f"the key of pseudonyms {path} is too short", _LOST)
    return key


_LOST: Final = "put it back from the backup; with a new one all pseudonyms are others than before"


def _new_key(path: Path) -> bytes:
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(key.hex() + "\n")
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError:
        return read_key(path, make=False)
    except OSError as error:
        raise Unavailable(f"the key of pseudonyms {path} cannot be made: {error.strerror}") from None
    return key


@dataclass(frozen=True, slots=True)
class Person:
    """Who a pseudonym is for: Patient ID and its issuer, what identifies instead where there is no ID."""

    patient_id: str
    issuer: str = ""
    instead: str = ""

    def parts(self) -> tuple[str, ...]:
        """Return what is hashed; the same patient is the same in any character set and padding."""
        known = (_plain(self.patient_id), _plain(self.issuer))
        return ("id", *known) if known[0] else ("instead", _plain(self.instead))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip(" \0")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The pseudonyms of one project."""

    secret: bytes
    project: str

    def _digest(self, use: str, *parts: str) -> bytes:
        told = [use.encode("utf-8"), self.project.encode("utf-8"), *(part.encode("utf-8", "replace") for part in parts)]
        return hmac.digest(self.secret, b"".join(len(each).to_bytes(4, "big") + each for each in told), "sha256")

    def code(self, person: Person) -> str:
        """Return the Patient ID that stands for somebody: P and twelve letters of 32, 60 bits."""
        return "P" + self._letters("patient", *person.parts())

    def _letters(self, use: str, *parts: str) -> str:
        number = int.from_bytes(self._digest(use, *parts)[:8], "big")
        return "".join(_LETTERS[number >> 5 * at & 31] for at in range(_CODE))

    def ae_title(self, title: str) -> str:
        """Return an AE title that stands for another."""
        return "AE" + self._letters("ae", _plain(title))

    def uid(self, uid: str) -> str:
        """Return the UID that stands for another: 2.25 and a UUID of version 8 (PS3.5 B.2, RFC 9562 5.8)."""
        number = int.from_bytes(self._digest("uid", uid.strip(" \0"))[:16], "big")
        number = number & ~(0xF << 76) | 8 << 76
        return f"2.25.{number & ~(3 << 62) | 2 << 62}"

    def days(self, person: Person) -> timedelta:
        """Return how far all dates of somebody are shifted into the past: 31 to 1,856 days."""
        number = int.from_bytes(self._digest("days", *person.parts())[:8], "big")
        return timedelta(days=_SHIFT_MIN + number % _SHIFT_RANGE)

    def shifted(self, person: Person, text: str) -> str:
        """Return a DA or DT that was shifted; as exact as it was, empty where it is no date."""
        digits = text.strip(" \0").replace(".", "").replace("-", "") if len(text) == 10 else text.strip(" \0")
        day = digits[:8]
        try:
            if len(day) == 8:
                moved = date(int(day[:4]), int(day[4:6]), int(day[6:])) - self.days(person)
                rest = digits[8:]
                fits = not rest or rest[0].isdigit() or rest[0] in "+-&"
                return f"{moved:%Y%m%d}{rest}" if fits and moved.year >= 1000 else ""
            year, month = int(day[:4]), int(day[4:6] or 1)
            moved = date(year, month, 1) - self.days(person)
            return f"{moved:%Y%m%d}"[: len(day)] if len(day) in (4, 6) and moved.year >= 1000 else ""
        except (ValueError, OverflowError):
            return ""


def find_back(pseudonyms: Pseudonyms, code: str, candidates: Iterable[Person]) -> list[Person]:
    """Return who of the candidates has a pseudonym. It takes the key and a list of all who may be meant: a pseudonym
    cannot be turned back by itself."""
    wanted = code.strip(" \0").upper()
    return [person for person in candidates if hmac.compare_digest(pseudonyms.code(person), wanted)]
