"""Who took a snapshot: its manifest is signed, so that who can only write to the target cannot lay down one of his own.

The signature is one of OpenSSH (its PROTOCOL.sshsig), made with an Ed25519 key of the archive: ``ssh-keygen -Y verify``
checks it without pacstui. The manifest has the SHA-256 of all that its snapshot consists of, so that one signature
stands for all.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256, sha512
from pathlib import Path
from secrets import token_hex
from struct import pack, unpack_from
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from pacstui.errors import BadRequest, SettingsError, Unavailable
from pacstui.text import safe

KEY: Final = "backup.key"
"""The archive's own key, in the data directory: a private key as OpenSSH has it."""
SIGNERS: Final = "backup.signers"
"""The public keys whose snapshots the archive takes for its own, there too: ALLOWED SIGNERS of ssh-keygen."""
MANIFEST: Final = "pacstui-backup"
CHECK: Final = "pacstui-check"
_MAGIC: Final = b"SSHSIG"
_KIND: Final = b"ssh-ed25519"
_BEGIN: Final = b"-----BEGIN SSH SIGNATURE-----\n"
_END: Final = b"-----END SSH SIGNATURE-----\n"
_PUBLIC = re.compile(r"ssh-ed25519 (AAAA[0-9A-Za-z+/]{64})(?: since (\S+))?")


def _string(data: bytes) -> bytes:
    return pack(">I", len(data)) + data


def _strings(data: bytes) -> Iterator[bytes]:
    """Yield the strings of RFC 4251 that ``data`` consists of; raises ValueError."""
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise ValueError("it is cut off")
        (length,) = unpack_from(">I", data, at)
        if at + 4 + length > len(data):
            raise ValueError("it is cut off")
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def _signed(data: bytes, namespace: str) -> bytes:
    return _MAGIC + _string(namespace.encode()) + _string(b"") + _string(b"sha512") + _string(sha512(data).digest())


@dataclass(frozen=True, slots=True)
class Public:
    """A key that signs, as others know it: the 32 bytes of Ed25519."""

    raw: bytes

    @property
    def _blob(self) -> bytes:
        return _string(_KIND) + _string(self.raw)

    @property
    def line(self) -> str:
        """The key as OpenSSH writes it: ``ssh-ed25519 AAAA...``."""
        return f"{_KIND.decode()} {b64encode(self._blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint as ``ssh-keygen -l`` shows it: ``SHA256:...``."""
        return f"SHA256:{b64encode(sha256(self._blob).digest()).decode().rstrip('=')}"


def publics(text: str) -> dict[Public, datetime | None]:
    """Return the Ed25519 keys in a text, as ``ssh-ed25519 AAAA...``, and since when each signs where that is told."""
    found: dict[Public, datetime | None] = {}
    for key, since in _PUBLIC.findall(text):
        with suppress(ValueError):
            kind, raw = _strings(b64decode(key, validate=True))
            if kind == _KIND and len(raw) == 32:
                at = datetime.fromisoformat(since) if since else None
                found[Public(raw)] = at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)
    return found


def author(data: bytes, signature: bytes, namespace: str) -> Public:
    """Return who signed data; raises ValueError when nobody did, or something else."""
    body = signature.removeprefix(_BEGIN).removesuffix(_END)
    if len(body) + len(_BEGIN) + len(_END) != len(signature):
        raise ValueError("it is no signature")
    blob = b64decode(body.replace(b"\n", b""), validate=True)
    head = _MAGIC + pack(">I", 1)
    if not blob.startswith(head):
        raise ValueError("it is no signature")
    key, space, _, kind, value = _strings(blob[len(head) :])
    (key_kind, raw), (value_kind, plain) = _strings(key), _strings(value)
    if {key_kind, value_kind} != {_KIND} or len(raw) != 32 or (space, kind) != (namespace.encode(), b"sha512"):
        raise ValueError("it is another kind of signature")
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(plain, _signed(data, namespace))
    except InvalidSignature:
        raise ValueError("it is the signature of something else") from None
    return Public(raw)


class Signer:
    """The archive's own key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = Public(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, data: bytes, namespace: str) -> bytes:
        """Return a signature of data, armoured as ``ssh-keygen -Y sign`` has it."""
        value = _string(_KIND) + _string(self._key.sign(_signed(data, namespace)))
        parts = (self.public._blob, namespace.encode(), b"", b"sha512", value)
        text = b64encode(_MAGIC + pack(">I", 1) + b"".join(map(_string, parts)))
        lines = [text[at : at + 70] + b"\n" for at in range(0, len(text), 70)]
        return _BEGIN + b"".join(lines) + _END


def own(data_dir: Path) -> Signer:
    """Return the archive's key, made at first use.

    Raises
    ------
    SettingsError
        When it cannot be read.
    """
    path = data_dir / KEY
    if not os.path.lexists(path):
        made = Ed25519PrivateKey.generate()
        _lay_down(path, made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), replace=False)
    try:
        key = load_ssh_private_key(path.read_bytes(), None)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        key, why = None, error.strerror if isinstance(error, OSError) else "it is damaged"
    else:
        why = "it is no key of Ed25519"
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"the key {path}, which signs snapshots, cannot be used: {why}",
            f"bring it back, or move it away: the next backup makes another; {SIGNERS} tells of the former one",
        )
    signer = Signer(key)
    _know(data_dir, signer.public)
    return signer


def _know(data_dir: Path, public: Public) -> None:
    path = data_dir / SIGNERS
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    if public not in publics(text):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = f'pacstui namespaces="{MANIFEST},{CHECK}" {public.line} since {now}\n'
        _lay_down(path, (text + line).encode(), replace=True)


def _lay_down(path: Path, data: bytes, replace: bool) -> None:
    """Write a file whole; one that is there stays unless it is to be replaced."""
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            with suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Seal:
    """What a snapshot's signature tells. ``state`` is

    - signed: by a key that is known here;
    - early: not signed, and older than the archive's first key;
    - unknown: no key is known here to compare with;
    - none, foreign, wrong: not signed though it should be; by a key that is not known here; it does not fit.
    """

    state: str
    text: str

    @property
    def believed(self) -> bool:
        """Whether nothing tells against the snapshot."""
        return self.state in ("signed", "early", "unknown")


class Trust:
    """Whose snapshots are believed.

    Parameters
    ----------
    data_dir
        The archive that knows its keys, if there is one.
    named
        Further keys: ``ssh-ed25519 AAAA...``, the fingerprint of one (``SHA256:...``), or files with keys.
    """

    def __init__(self, data_dir: Path | None, named: Iterable[str] = ()) -> None:
        self._keys: dict[Public, datetime | None] = {}
        self._prints: set[str] = set()
        if data_dir is not None:
            with suppress(OSError):
                self._keys |= publics((data_dir / SIGNERS).read_text("utf-8", "replace"))
        for each in named:
            self._name(each.strip())

    def _name(self, each: str) -> None:
        if each.startswith("SHA256:"):
            self._prints.add(each.rstrip("="))
            return
        found = publics(each)
        if not found:
            with suppress(OSError, ValueError):
                found = publics(Path(each).expanduser().read_text("utf-8", "replace"))
        if not found:
            raise BadRequest(
                f"{safe(each, 80)} names no key that signs snapshots",
                "ssh-ed25519 AAAA..., SHA256:..., or a file with such lines; pacstui backup key shows an archive's own",
            )
        self._keys |= dict.fromkeys(found)

    @property
    def knows(self) -> bool:
        """Whether any key is known here."""
        return bool(self._keys or self._prints)

    def seal(self, data: bytes, signature: bytes | None, taken: datetime, namespace: str = MANIFEST) -> Seal:
        """Judge what was written, at that time by its own words, by its signature; none if there is none."""
        if signature is None:
            return self._unsigned(taken)
        try:
            public = author(data, signature, namespace)
        except ValueError as error:
            return Seal("wrong", f"its signature is wrong: {error}")
        if public in self._keys or public.fingerprint in self._prints:
            return Seal("signed", f"signed by a key of this archive ({public.fingerprint})")
        if not self.knows:
            return Seal("unknown", f"signed with {public.fingerprint}: no key is known here to compare with")
        return Seal("foreign", f"signed by somebody else ({public.fingerprint})")

    def _unsigned(self, taken: datetime) -> Seal:
        if not self.knows:
            return Seal("unknown", "not signed: nobody can tell who took it")
        since = [at for at in self._keys.values() if at is not None]
        if since and taken < min(since):
            return Seal("early", "not signed: it is older than this archive's key")
        return Seal("none", "not signed, though this archive signs its snapshots")


def see(seal: Seal, snapshot: str, anyway: bool) -> None:
    """See that a snapshot is believed, or wanted anyway; raises Unavailable."""
    if not seal.believed and not anyway:
        raise Unavailable(
            f"snapshot {snapshot} is not trusted: {seal.text}",
            "somebody else may have written it; take another one. If you know better: pacstui backup restore "
            "--to DIR --any-signer, or --signed-by KEY",
        )
