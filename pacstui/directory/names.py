"""Names in filters (RFC 4515) and distinguished names (RFC 4514): how they are escaped, filled in and compared."""

from __future__ import annotations

import string

_PLAIN = frozenset((string.ascii_letters + string.digits + "._-@").encode())
_SPECIAL = frozenset('"+,;<>\\=#')
_HEX = frozenset(string.hexdigits)


def filter_value(text: str) -> str:
    """Return ``text`` as the value of a filter: every octet that is not quite harmless as ``\\xx`` (RFC 4515 3)."""
    octets = text.encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if octet in _PLAIN else f"\\{octet:02x}" for octet in octets)


def octets_value(octets: bytes) -> str:
    """Return octets as the value of a filter."""
    return "".join(f"\\{octet:02x}" for octet in octets)


def dn_value(text: str) -> str:
    """Return ``text`` as the value of an attribute in a DN (RFC 4514 2.4)."""
    out = []
    for at, char in enumerate(text):
        edge = char == " " and at in (0, len(text) - 1)
        if char == "\0":
            out.append("\\00")
        elif char in _SPECIAL or edge:
            out.append("\\" + char)
        else:
            out.append(char)
    return "".join(out)


def filled(template: str, name: str, dn: str = "") -> str:
    """Return a filter with the name, and perhaps a DN, in it. What is filled in cannot end its value."""
    parts = template.split("{dn}")
    return filter_value(dn).join(part.replace("{name}", filter_value(name)) for part in parts)


def user_of(template: str, name: str) -> str:
    """Return whom to bind as: a DN, or a user principal name where the template has no attributes."""
    return template.replace("{name}", dn_value(name) if "=" in template else name)


def _values(dn: str, marks: str) -> list[str]:
    """Split ``dn`` where a mark stands that is not escaped."""
    parts, start, at, quoted = [], 0, 0, False
    while at < len(dn):
        if dn[at] == "\\":
            at += 2
            continue
        if dn[at] == '"':
            quoted = not quoted
        elif dn[at] in marks and not quoted:
            parts.append(dn[start:at])
            start = at + 1
        at += 1
    parts.append(dn[start:])
    return parts


def _meant(value: str) -> str:
    """Return the text that a value in a DN stands for."""
    value = value.strip(" ") if not value.rstrip(" ").endswith("\\") else value.lstrip(" ")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    out, at = bytearray(), 0
    while at < len(value):
        if value[at] == "\\" and at + 3 <= len(value) and {*value[at + 1 : at + 3]} <= _HEX:
            out.append(int(value[at + 1 : at + 3], 16))
            at += 3
            continue
        if value[at] == "\\":
            at += 1
        out += value[at : at + 1].encode("utf-8", "surrogateescape")
        at += 1
    return out.decode("utf-8", "surrogateescape")


def same_dn(dn: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return a DN in a form in which equal ones are equal: blanks, capitals and ways of escaping do not matter."""
    found = []
    for rdn in _values(dn, ",;"):
        pairs = []
        for pair in _values(rdn, "+"):
            kind, _, value = pair.partition("=")
            pairs.append((kind.strip().casefold(), " ".join(_meant(value).casefold().split())))
        found.append(tuple(sorted(pairs)))
    return tuple(found)


def first_value(dn: str) -> str:
    """Return the value of a DN's first part, which is what people call the entry."""
    return _meant(_values(_values(dn, ",;")[0], "+")[0].partition("=")[2]) if "=" in dn else dn
