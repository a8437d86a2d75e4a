"""What a certificate says of itself (RFC 5280 4.1), read from its DER: also of one that is not trusted."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_SEQUENCE, _SET, _OID, _CONTEXT_0, _CONTEXT_3 = 0x30, 0x31, 0x06, 0xA0, 0xA3
_COMMON_NAME: Final = b"\x55\x04\x03"
_ORGANISATION: Final = b"\x55\x04\x0a"
_ALTERNATIVE_NAMES: Final = b"\x55\x1d\x11"
_DNS, _ADDRESS = 0x82, 0x87
_NAMES: Final = 20


@dataclass(frozen=True, slots=True)
class Certificate:
    """Subject and issuer (common name, else organisation), names that it is for, and from when until when it holds."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: datetime
    ends: datetime


def read(der: bytes) -> Certificate:
    """Return what a certificate says; raises ValueError where it cannot be read."""
    kind, body, _ = _element(der, 0)
    _, inner, _ = _element(body, 0)
    if kind != _SEQUENCE:
        raise ValueError("it is no certificate")
    parts = [part for part in _each(inner) if part[0] != _CONTEXT_0]  # the version is there from v2 on
    if len(parts) < 6:
        raise ValueError("it is a damaged certificate")
    dates = [_time(tag, value) for tag, value in _each(parts[3][1])]
    if len(dates) != 2:
        raise ValueError("it is a damaged certificate")
    extensions = next((value for tag, value in parts if tag == _CONTEXT_3), b"")
    return Certificate(_name(parts[4][1]), _name(parts[2][1]), _alternatives(extensions), dates[0], dates[1])


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Return tag and value of the DER element at a place, and where the next one begins."""
    if at + 2 > len(data):
        raise ValueError("it is a damaged certificate")
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > len(data):
        raise ValueError("it is a damaged certificate")
    return tag, data[start : start + length], start + length


def _each(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        tag, value, at = _element(data, at)
        found.append((tag, value))
    return found


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _name(data: bytes) -> str:
    """Return the common name in a Name, else the organisation."""
    told: dict[bytes, str] = {}
    for _, group in _each(data):
        for _, pair in _each(group):
            parts = _each(pair)
            if len(parts) == 2:
                told.setdefault(parts[0][1], _text(parts[1][1]))
    return told.get(_COMMON_NAME) or told.get(_ORGANISATION) or ""


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii", "replace")
    if tag == 0x17:  # UTCTime has two digits for the year
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _alternatives(wrapped: bytes) -> tuple[str, ...]:
    """Return host names and addresses of the subject's alternative names (RFC 5280 4.2.1.6)."""
    if not wrapped:
        return ()
    _, extensions, _ = _element(wrapped, 0)
    for _, extension in _each(extensions):
        parts = _each(extension)
        if len(parts) < 2 or parts[0] != (_OID, _ALTERNATIVE_NAMES):
            continue
        _, names, _ = _element(parts[-1][1], 0)
        found = []
        for tag, value in _each(names):
            if tag == _DNS:
                found.append(_text(value))
            elif tag == _ADDRESS and len(value) in (4, 16):
                found.append(str(ipaddress.ip_address(value)))
        return tuple(found[:_NAMES])
    return ()
