"""The second factor: codes that change every 30 seconds (TOTP, RFC 6238), and recovery codes for a lost device.

The secret of an account is not stored: it is an HMAC-SHA256 over a random value that is, with a key in a file beside
the database. So the database alone tells no secret. A code is taken once: its time step is written down, durably,
before the answer (RFC 6238 5.2).
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyotp

from pacstui.accounts.passwords import digest
from pacstui.accounts.store import Account, Store
from pacstui.clock import Clock
from pacstui.contract.accounts import Enrolment
from pacstui.errors import BadRequest, Denied, Unavailable

KEY = "accounts.key"
ISSUER = "PACSTUI"
STEP_S = 30
_WINDOW = 1
_RECOVERY = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_PENDING_S = 900.0
_LONGEST_URI = 106  # what a QR code of 37 modules holds, which fits a terminal of 24 lines
_SECRET_BYTES = 20  # RFC 4226 4, R6: 160 bits are recommended


def key_at(path: Path, wanted: bool) -> bytes:
    """Return the key of the file at ``path``; where there is none and it is ``wanted``, make it. Empty without one."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if not wanted:
            return b""
    except OSError:
        return b""
    key = secrets.token_bytes(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(key)
        out.flush()
        os.fsync(out.fileno())
    return key


def plain(code: str) -> str:
    """Return a code as it is compared: without blanks and hyphens, in small letters."""
    return "".join(char for char in code.casefold() if not char.isspace() and char != "-")


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a code was taken; ``text`` says why not, or with which recovery code it was done."""

    right: bool
    text: str = ""


class SecondFactors:
    """Sets up, checks and spends second factors."""

    def __init__(self, store: Store, clock: Clock, path: Path | None) -> None:
        self._store = store
        self._clock = clock
        self._path = path
        self._key = b""
        self._pending: dict[int, tuple[str, float]] = {}

    def open(self) -> None:
        """Read the key, or make it; but not a new one while there are second factors that were made with another."""
        in_use = any(each.totp for each in self._store.accounts.values())
        self._key = key_at(self._path, wanted=not in_use) if self._path is not None else b""

    def _mark(self) -> str:
        return hmac.new(self._key, b"which key", sha256).hexdigest()[:8]

    def _secret(self, stored: str) -> bytes:
        """Return the secret that is made from what is stored.

        Raises
        ------
        Unavailable
            When the key is not the one that it was made with.
        """
        mark, _, salt = stored.partition(":")
        if not self._key or mark != self._mark():
            raise Unavailable(
                "codes cannot be checked: the key of second factors is missing, or another one",
                "a recovery code still works; an administrator can take a second factor off: pacstui accounts totp",
            )
        return hmac.new(self._key, b"totp " + salt.encode(), sha256).digest()[:_SECRET_BYTES]

    # setting up

    def begin(self, account: Account) -> Enrolment:
        """Return a new secret, which `finish` puts in force."""
        stored = f"{self._mark() if self._key else ''}:{secrets.token_hex(16)}"
        secret = base64.b32encode(self._secret(stored)).decode()
        self._pending[account.id] = (stored, self._clock.monotonic() + _PENDING_S)
        uri = pyotp.TOTP(secret).provisioning_uri(name=account.name, issuer_name=ISSUER)
        if len(uri) > _LONGEST_URI:  # the name says it too
            uri = uri.replace(f"&issuer={ISSUER}", "")
        return Enrolment(account.name, " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)), uri)

    async def finish(self, account: Account, code: str) -> tuple[str, ...]:
        """Put the secret of `begin` in force if a code of it is right; return the recovery codes.

        Raises
        ------
        BadRequest, Denied
            When nothing was begun, or the code is wrong.
        """
        stored, until = self._pending.get(account.id, ("", 0.0))
        if not stored or until < self._clock.monotonic():
            raise BadRequest("no second factor is being set up, or that was too long ago", "begin again")
        step = self._step(self._secret(stored), plain(code))
        if step is None:
            raise Denied("this code is wrong", "is the clock of the device right? The next code may do")
        codes = _recovery_codes()
        await self._store.update(account, totp=stored, totp_step=step, recovery=_kept(codes))
        self._pending.pop(account.id, None)
        return codes

    async def renew(self, account: Account) -> tuple[str, ...]:
        """Return new recovery codes; the former ones are good no longer."""
        codes = _recovery_codes()
        await self._store.update(account, recovery=_kept(codes))
        return codes

    async def remove(self, account: Account) -> None:
        """Take the second factor off."""
        self._pending.pop(account.id, None)
        await self._store.update(account, totp="", totp_step=0, recovery="")

    # checking

    def _step(self, secret: bytes, code: str, after: int = 0) -> int | None:
        """Return the time step whose code this is, of those that are not used up: the present one, or one beside."""
        totp = pyotp.TOTP(base64.b32encode(secret).decode(), interval=STEP_S)
        now = int(self._clock.now().timestamp()) // STEP_S
        found = None
        for step in range(max(now - _WINDOW, after + 1), now + _WINDOW + 1):
            if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode("utf-8", "surrogateescape")):
                found = step
        return found

    async def accept(self, account: Account, code: str) -> Answer:
        """Take a code, or a recovery code, and spend it.

        Raises
        ------
        Unavailable
            When it cannot be checked, or not be written down that it was used.
        """
        code = plain(code)
        if len(code) == 16:
            return await self._recover(account, code)
        secret = self._secret(account.totp)
        step = self._step(secret, code, account.totp_step)
        if step is None:
            used = self._step(secret, code) is not None
            return Answer(False, "this code was used already: wait for the next one" if used else "the code is wrong")
        if await self._store.swap(account, {"totp": account.totp, "totp_step": step}):
            return Answer(True)
        return Answer(False, "this code was used already: wait for the next one")

    async def _recover(self, account: Account, code: str) -> Answer:
        kept: list[str] = json.loads(account.recovery or "[]")
        left = [each for each in kept if not hmac.compare_digest(each, digest(code))]
        if len(left) == len(kept):
            return Answer(False, "the code is wrong")
        if await self._store.swap(account, {"recovery": json.dumps(left)}):
            return Answer(True, f"with a recovery code, {len(left)} left")
        return Answer(False, "this code was used already")


def _recovery_codes() -> tuple[str, ...]:
    codes = ("".join(secrets.choice(_LETTERS) for _ in range(16)) for _ in range(_RECOVERY))
    return tuple("-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes)


def _kept(codes: tuple[str, ...]) -> str:
    return json.dumps([digest(plain(code)) for code in codes])


def recovery_left(account: Account) -> int:
    """Return how many recovery codes an account has."""
    return len(json.loads(account.recovery or "[]"))
