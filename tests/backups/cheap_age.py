"""Encryption with a passphrase in age's format (https://age-encryption.org/v1), at a scrypt cost that tests can afford.

pyrage has no say in the cost: each passphrase takes it a second, and as long again to open. What is made here it opens
like any other file, only sooner.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64encode
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_LOG_N: Final = 4
_CHUNK: Final = 65536


def encrypt(plain: bytes, passphrase: str) -> bytes:
    """Return what ``age --passphrase`` would make of up to 64 KiB."""
    assert len(plain) <= _CHUNK
    file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    wrapping = hashlib.scrypt(
        passphrase.encode(), salt=b"age-encryption.org/v1/scrypt" + salt, n=1 << _LOG_N, r=8, p=1, dklen=32
    )
    wrapped = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    head = b"age-encryption.org/v1\n-> scrypt %b %d\n%b\n---" % (_base64(salt), _LOG_N, _base64(wrapped))
    check = hmac.digest(_derived(file_key, b"", b"header"), head, "sha256")
    payload = ChaCha20Poly1305(_derived(file_key, nonce, b"payload")).encrypt(bytes(11) + b"\1", plain, None)
    return head + b" " + _base64(check) + b"\n" + nonce + payload


def _base64(data: bytes) -> bytes:
    return b64encode(data).rstrip(b"=")


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869), one block."""
    return hmac.digest(hmac.digest(salt or bytes(32), key, "sha256"), info + b"\1", "sha256")
