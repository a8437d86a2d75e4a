"""Passwords (argon2id, RFC 9106), and secrets that the node makes itself.

A password that a person chose is hashed slowly, in a thread, a few at a time, so that a storm of sign-ins costs
memory and time that are bounded. A secret of 160 random bits needs no slow hash: SHA-256 is enough and quick.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from pacstui.errors import BadRequest, Unavailable

T = TypeVar("T")
_AT_ONCE = 2
_WAITING = 32
_LONGEST = 1024
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=1)


class Passwords:
    """Hashes and compares passwords outside the event loop."""

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobody = ""

    async def hashed(self, password: str) -> str:
        """Return what is stored for ``password``."""
        return await self._run(lambda: self._hasher.hash(password.encode("utf-8", "surrogateescape")))

    async def fits(self, stored: str, password: str) -> bool:
        """Return whether ``password`` is the one; without ``stored`` it takes as long and is false."""
        if len(password) > _LONGEST:
            return False
        if not stored:
            self._nobody = self._nobody or await self.hashed(secrets.token_urlsafe())
        return await self._run(lambda: self._compare(stored or self._nobody, password)) and bool(stored)

    def _compare(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password.encode("utf-8", "surrogateescape"))
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _WAITING:
            raise Unavailable("too many sign-ins at once", "wait some seconds, then try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def check_choice(password: str, name: str, shortest: int) -> None:
    """See that a password may be chosen.

    Raises
    ------
    BadRequest
        When it is too short, too long, holds the account's name, or has hardly any different characters.
    """
    if len(password) < shortest:
        raise BadRequest(f"a password has at least {shortest} characters", "several words are easy to remember")
    if len(password) > _LONGEST:
        raise BadRequest(f"a password has at most {_LONGEST} characters")
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise BadRequest("this password is guessed too easily", "not your name, and not one character again and again")


def one_time() -> str:
    """Return a password of 60 random bits that can be said on the telephone."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(12))
    return "-".join(letters[at : at + 4] for at in (0, 4, 8))


def passcode() -> str:
    """Return a secret of 160 random bits for a program."""
    return secrets.token_hex(20)


def digest(secret: str) -> str:
    """Return what is stored of a secret with many random bits."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def same(stored: str, secret: str) -> bool:
    """Return whether ``secret`` is the one whose digest is stored, in a time that tells nothing."""
    return bool(stored) and hmac.compare_digest(stored, digest(secret))
