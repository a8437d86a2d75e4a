"""DICOM over TLS by the BCP 195 profiles (PS3.15 B.9, B.10): TLS 1.2 and 1.3, forward secrecy, AEAD ciphers only."""

from __future__ import annotations

import base64
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pacstui.errors import SettingsError

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!PSK:!SHA1"
"""For TLS 1.2 (RFC 9325 4.2); those of TLS 1.3 are all fit."""


def _strict(context: ssl.SSLContext, oldest: str) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if oldest == "1.3" else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _load(context: ssl.SSLContext, certificate: str, key: str, ca: str) -> None:
    step = "certificate"
    try:
        if certificate:
            context.load_cert_chain(certificate, key or None)
        step = "ca"
        if ca:
            context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        which = ca if step == "ca" else certificate
        reason = error.strerror if isinstance(error, FileNotFoundError) else str(error)
        raise SettingsError(
            f"[tls] {step}: {which} cannot be used: {reason}",
            "name PEM files that this user can read, with a key that fits its certificate and has no passphrase",
            (f"[tls] {step}: {which} cannot be used: {reason}",),
        ) from error


def server_context(certificate: str, key: str, ca: str, *, mutual: bool, oldest: str = "1.2") -> ssl.SSLContext:
    """Return the context of a listener.

    Parameters
    ----------
    certificate, key
        Paths of PEM files; the key, empty then, may stand in the certificate's file.
    ca
        PEM file with who signs callers' certificates, empty for none.
    mutual
        Whether callers need a certificate.
    oldest
        Oldest version that is spoken: 1.2 or 1.3.

    Raises
    ------
    SettingsError
        When a file cannot be used.
    """
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), oldest)
    _load(context, certificate, key, ca)
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    return context


def client_context(
    certificate: str, key: str, ca: str, *, check_host: bool, oldest: str = "1.2", verify: bool = True
) -> ssl.SSLContext:
    """Return the context for calling peers, with our certificate if they ask for one. Without ``ca`` those whom the
    system trusts are trusted; without ``verify`` everybody. Raises SettingsError."""
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), oldest)
    context.check_hostname = check_host and verify
    if not verify:
        context.verify_mode = ssl.CERT_NONE
    _load(context, certificate, key, ca)
    if not ca:
        context.load_default_certs()
    return context


def explain(error: Exception) -> tuple[str, str]:
    """Return in plain words why a TLS handshake failed, and what mends it."""
    text = str(error)
    for sign, told, hint in _WORDS:
        if sign in text:
            return told, hint
    reason = getattr(error, "reason", None) or text or type(error).__name__
    return f"the TLS handshake failed: {reason}", "compare versions, cipher suites and certificates of both sides"


_WORDS: Final = (
    ("HTTP_REQUEST", "an HTTP request came on the TLS port", "this port speaks DICOM over TLS only"),
    ("WRONG_VERSION_NUMBER", "the other side does not speak TLS", "switch TLS on there, or use the plain port"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the caller has no certificate",
     "give it one that the CA in [tls] ca signed, or set [tls] client_certificates = false"),
    ("CERTIFICATE_REQUIRED", "the other side asks for a certificate of ours", "set [tls] certificate and key"),
    ("unable to get local issuer certificate", "the certificate of the other side is signed by nobody that is trusted",
     "put who signed it into [tls] ca"),
    ("self-signed certificate", "the certificate of the other side is signed by nobody that is trusted",
     "put it, or who signed it, into [tls] ca"),
    ("certificate has expired", "the certificate of the other side has expired", "renew it there"),
    ("Hostname mismatch", "the certificate of the other side is for another host",
     "call it by the name in its certificate, or set [tls] check_host = false"),
    ("IP address mismatch", "the certificate of the other side is for another host",
     "call it by the name in its certificate, or set [tls] check_host = false"),
    ("UNSUPPORTED_PROTOCOL", "the other side speaks only old versions of TLS", "it needs TLS 1.2 or later"),
    ("ALERT_PROTOCOL_VERSION", "the other side speaks only other versions of TLS", "TLS 1.2 and 1.3 are spoken here"),
    ("NO_SHARED_CIPHER", "there is no cipher suite that both sides allow", "it needs ECDHE or DHE with AES-GCM"),
    ("UNKNOWN_CA", "the other side does not trust our certificate", "give it the CA that signed [tls] certificate"),
    ("ALERT_CERTIFICATE_UNKNOWN", "the other side does not accept our certificate",
     "give it the CA that signed [tls] certificate"),
    ("BAD_CERTIFICATE", "the other side does not accept our certificate", "look at its log for the reason"),
)  # fmt: skip

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def expiries(path: Path) -> list[datetime]:
    """Return until when the certificates in a PEM file are valid (RFC 5280 4.1.2.5); raises OSError or ValueError."""
    found = [_not_after(base64.b64decode(body)) for body in _PEM.findall(path.read_bytes())]
    if not found:
        raise ValueError("it holds no certificate")
    return found


def _not_after(der: bytes) -> datetime:
    body, _ = _open(der, 0)
    inner, _ = _open(body, 0)
    at = 0
    fields: list[bytes] = []
    while at < len(inner) and len(fields) < 5:
        tag = inner[at]
        value, at = _open(inner, at)
        if tag != 0xA0:  # the version is there from v2 on
            fields.append(value)
    validity = fields[3]
    _, at = _open(validity, 0)
    kind = validity[at]
    text = _open(validity, at)[0].decode("ascii")
    if kind == 0x17:  # UTCTime has two digits for the year
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _open(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the value of the DER element at a place, and where the next one begins."""
    if at + 2 > len(data):
        raise ValueError("it holds a damaged certificate")
    length, start = data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > len(data):
        raise ValueError("it holds a damaged certificate")
    return data[start : start + length], start + length
