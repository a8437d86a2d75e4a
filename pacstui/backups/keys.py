"""Encryption with age: to recipients who are named, or to an identity that a passphrase opens.

What is encrypted here the stock ``age`` opens: ``age -d -i identity.txt``. A node that knows only recipients can write
backups and not read them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import pyrage

from pacstui.backups import layout
from pacstui.backups.patience import asked
from pacstui.backups.store import Store
from pacstui.errors import Corrupt, PacsError, SettingsError, Unavailable


class NoKey(Unavailable):
    """What is to be read is encrypted, and nothing here opens it."""


def recipient(text: str) -> Any:
    """Return an age recipient (``age1...``) or an ssh public key.

    Raises
    ------
    ValueError
        When it is neither.
    """
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except Exception as error:  # noqa: BLE001 - pyrage's errors share no base but this one
        raise ValueError(f"no recipient of age (age1...): {error}") from None


def _secret(path: str, what: str) -> str:
    try:
        text = Path(path).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"the {what} {path} cannot be read: {reason}", "correct the path or its rights") from None
    return text


def identities(text: str) -> list[Any]:
    """Return the identities in an age identity file, or the one in an ssh private key; raises ValueError."""
    found: list[Any] = []
    try:
        if "PRIVATE KEY-----" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                found.append(pyrage.x25519.Identity.from_str(line.strip()))
    except Exception as error:  # noqa: BLE001
        raise ValueError(f"no identity of age (AGE-SECRET-KEY-1...): {error}") from None
    if not found:
        raise ValueError("no identity of age is in it")
    return found


class Keys:
    """What encrypts, and what opens, the files of a target. ``encrypted`` tells whether anything is."""

    def __init__(self, recipients: Sequence[str], identity_file: str = "", passphrase_file: str = "") -> None:
        self.names = tuple(recipients)
        self._passphrase_file = passphrase_file
        self._sealed: Store | None = None
        self._recipients = [recipient(each) for each in recipients]
        self._identities: list[Any] = []
        if identity_file:
            try:
                self._identities = identities(_secret(identity_file, "identity file"))
            except ValueError as error:
                raise SettingsError(f"the identity file {identity_file}: {error}", "make one with age-keygen") from None

    @property
    def encrypted(self) -> bool:
        """Whether what is written is encrypted."""
        return bool(self._recipients)

    @property
    def opens(self) -> bool:
        """Whether something is here that may open what is encrypted."""
        return bool(self._identities) or self._sealed is not None

    @property
    def wants_passphrase(self) -> bool:
        """Whether a passphrase protects the target's own identity."""
        return bool(self._passphrase_file)

    def _passphrase(self) -> str:
        text = _secret(self._passphrase_file, "passphrase file").strip("\r\n")
        if len(text) < 12:
            raise SettingsError(f"the passphrase in {self._passphrase_file} is too short", "12 characters or more")
        return text

    def make_identity(self, store: Store) -> None:
        """Make the target's own identity, lay it down for the passphrase, and use it from now on; one that is there
        is never written over."""
        identity = pyrage.x25519.Identity.generate()
        sealed = pyrage.passphrase.encrypt(f"{identity}\n".encode(), self._passphrase())
        if not store.create(layout.IDENTITY, sealed):  # of a run that was cut off, or that begins just now as well
            self.use(store)
            try:
                self.write_to(self.own_recipient())
            except Unavailable as error:
                raise Unavailable(
                    error.message, f"somebody else begins this target; if nobody does, remove {layout.IDENTITY} there"
                ) from None
            return
        self._identities = [identity, *self._identities]
        self.write_to(str(identity.to_public()))

    def use(self, store: Store) -> None:
        """Open what is encrypted with the target's own identity: with the passphrase, when something is read.

        Opening it takes a second by design (scrypt), and most work only writes.
        """
        self._sealed = store

    def own_recipient(self) -> str:
        """Return the recipient of the target's own identity, as the passphrase proves it; raises PacsError.

        What the target says in clear is not asked: who can write there could name himself.
        """
        if self._sealed is not None:
            self._read_identity(self._sealed)
        return str(self._identities[0].to_public()) if self._identities else ""

    def write_to(self, own: str) -> None:
        """Encrypt to the target's own recipient, and to those of the settings."""
        self.names = (own, *(each for each in self.names if each != own))
        self._recipients = [recipient(each) for each in self.names]

    def _read_identity(self, store: Store) -> None:
        try:
            plain = pyrage.passphrase.decrypt(store.get(layout.IDENTITY), self._passphrase())
            identity = identities(plain.decode())[0]
        except (pyrage.DecryptError, ValueError):
            raise Unavailable(
                f"the passphrase in {self._passphrase_file} does not open the target's key",
                "use the passphrase with which the target was begun",
            ) from None
        self._sealed = None
        self._identities = [identity, *self._identities]

    def seal(self, data: bytes) -> bytes:
        """Encrypt."""
        return pyrage.encrypt(data, self._recipients) if self._recipients else data

    def seal_file(self, source: Path, target: Path) -> None:
        """Encrypt a file of any size."""
        size = source.stat().st_size
        with asked(str(target.parent), size), source.open("rb") as read, target.open("wb") as write:
            pyrage.encrypt_io(read, write, self._recipients)

    def unseal(self, data: bytes, name: str) -> bytes:
        """Decrypt; raises `NoKey` or `Corrupt`."""
        self._see_that_it_opens(name)
        try:
            return bytes(pyrage.decrypt(data, self._identities))
        except pyrage.DecryptError as error:
            raise self._not_opened(name, error) from None

    def unseal_file(self, source: Path, target: Path, name: str) -> None:
        """Decrypt a file of any size; raises `NoKey` or `Corrupt`."""
        self._see_that_it_opens(name)
        try:
            with source.open("rb") as read, target.open("wb") as write:
                pyrage.decrypt_io(read, write, self._identities)
        except pyrage.DecryptError as error:
            raise self._not_opened(name, error) from None

    def _see_that_it_opens(self, name: str) -> None:
        if self._sealed is not None:
            self._read_identity(self._sealed)
        if not self._identities:
            raise NoKey(
                f"{name} is encrypted, and no key here opens it",
                "give the target identity_file (or passphrase_file), on this machine or on the one that restores",
            )

    @staticmethod
    def _not_opened(name: str, error: Exception) -> PacsError:
        if "No matching keys" in str(error):
            return NoKey(f"{name} is encrypted for somebody else", "use the identity of one of the recipients")
        return Corrupt(f"{name} in the target is damaged: {error}", "what else is: pacstui backup verify --full")


def sealed_file(keys: Keys, path: Path, spool: Path) -> Path:
    """Encrypt a temporary file where that is wanted, into ``spool``; return what is to be written to the target.

    The plain one is removed, and was never in ``spool``.
    """
    if not keys.encrypted:
        return path
    target = spool / token_hex(8)
    try:
        keys.seal_file(path, target)
    except BaseException:
        with suppress(OSError):
            target.unlink()
        raise
    os.unlink(path)
    return target
