"""The characters of a message: MSH-18 (HL7 v2.5, 2.15.9.18, table 0211), read without ever failing.

A byte that is no character of the set is kept as itself (U+FFFD stands for it in the text; the raw bytes are kept
beside), and it is told that there were some.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import Final

_CODECS: Final[dict[str, str]] = {
    "": "ascii",
    "ASCII": "ascii",
    **{f"8859/{n}": f"iso8859-{n}" for n in (*range(1, 12), 13, 14, 15, 16)},
    "UNICODE": "utf-16",
    "UNICODE UTF-8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "UNICODE UTF-32": "utf-32",
    "ISO IR6": "ascii",
    "ISO IR14": "iso2022_jp_2",
    "ISO IR87": "iso2022_jp_2",
    "ISO IR159": "iso2022_jp_2",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "CNS 11643-1992": "big5hkscs",
    "BIG-5": "big5hkscs",
}
"""Codec for each name of table 0211."""

_LOOSE: Final[dict[str, str]] = {
    "UTF-8": "UNICODE UTF-8", "UTF8": "UNICODE UTF-8", "UNICODEUTF8": "UNICODE UTF-8", "UNICODE UTF8": "UNICODE UTF-8",
    "UTF-16": "UNICODE UTF-16", "UTF-32": "UNICODE UTF-32", "US-ASCII": "ASCII", "LATIN1": "8859/1",
    "GB 18030": "GB 18030-2000", "GB18030": "GB 18030-2000", "KS X1001": "KS X 1001", "KSX1001": "KS X 1001",
    "ISO IR 6": "ISO IR6", "ISO IR 14": "ISO IR14", "ISO IR 87": "ISO IR87", "ISO IR 159": "ISO IR159",
    "ISO_IR 87": "ISO IR87", "ISO_IR 159": "ISO IR159", "ISO IR87 ": "ISO IR87", "ISO_IR 192": "UNICODE UTF-8",
    "ISO_IR 100": "8859/1",
}  # fmt: skip
_8859: Final = re.compile(r"(?:ISO[ _-]?)?8859[/ _-]?(\d{1,2})")
_ISO_2022 = re.compile(rb"\x1b[$(),\-.][@-~(),\-.]?[@-~]?")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the name of the character set that it was read by, and whether bytes were left that are none of its."""

    text: str
    charset: str
    damaged: bool = False


def canonical(name: str) -> str:
    """Return a name of table 0211 as the table has it; empty for one that is not known."""
    upper = " ".join(name.upper().split())
    if upper in _CODECS:
        return upper
    if upper in _LOOSE:
        return _LOOSE[upper]
    found = _8859.fullmatch(upper)
    return f"8859/{int(found[1])}" if found and f"8859/{int(found[1])}" in _CODECS else ""


def known(name: str) -> bool:
    """Return whether a character set of MSH-18 can be read."""
    return not name.strip() or bool(canonical(name))


def codec(name: str) -> str:
    """Return Python's codec for a name of table 0211; ASCII for one that is not known."""
    return _CODECS.get(canonical(name), "ascii")


def decode(raw: bytes, declared: str = "", default: str = "") -> Decoded:
    """Return the text of a message.

    Parameters
    ----------
    raw
        Its bytes.
    declared
        MSH-18 as sent, repetitions separated by ``~``: the first is the set from the beginning, further ones are those
        that ISO 2022 escape sequences switch to.
    default
        What is taken where MSH-18 is empty; empty for UTF-8 where that fits, else 8859/1.
    """
    wide = _wide(raw)
    if wide:
        return _by(raw, wide, {"utf-16": "UNICODE UTF-16"}.get(wide[:6], "UNICODE UTF-32"))
    if raw[:3] == b"\xef\xbb\xbf":
        return _by(raw[3:], "utf-8", "UNICODE UTF-8")
    names = [each for each in (canonical(part) for part in declared.split("~")) if each]
    first = names[0] if names else canonical(default) if not declared.strip("~ ") else ""
    if raw.isascii() and b"\x1b" not in raw:
        return Decoded(raw.decode("ascii"), first or "ASCII")
    if (b"\x1b" in raw and (len(names) > 1 or first.startswith("ISO IR"))) or first in ("ISO IR87", "ISO IR159"):
        return _iso_2022(raw, names or [first])
    if first and first not in ("ASCII", "ISO IR6", "UNICODE", "UNICODE UTF-16", "UNICODE UTF-32"):
        return _by(raw, _CODECS[first], first)
    return _guess(raw, bool(first) and not first.startswith("UNICODE"))


def _wide(raw: bytes) -> str:
    """Return the codec of a message in UTF-16 or UTF-32, empty for any other."""
    head = raw[:4]
    if head in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    for start in (b"M", b"B", b"F"):
        if head == start + b"\0\0\0":
            return "utf-32-le"
        if head == b"\0\0\0" + start:
            return "utf-32-be"
        if head[:2] == start + b"\0":
            return "utf-16-le"
        if head[:2] == b"\0" + start:
            return "utf-16-be"
    return ""


def _by(raw: bytes, name: str, told: str) -> Decoded:
    try:
        return Decoded(raw.decode(name), told)
    except UnicodeDecodeError:
        return Decoded(raw.decode(name, "replace"), told, True)


def _guess(raw: bytes, ascii_declared: bool) -> Decoded:
    """Read what says ASCII, or nothing, and is not: UTF-8 is taken where it fits, else 8859/1."""
    try:
        return Decoded(raw.decode("utf-8"), "UNICODE UTF-8", ascii_declared)
    except UnicodeDecodeError:
        return Decoded(raw.decode("latin-1"), "8859/1", ascii_declared)


_DESIGNATED: Final[dict[bytes, tuple[str, str]]] = {
    b"\x1b(B": ("G0", "ascii"), b"\x1b(J": ("G0", "jisx0201"), b"\x1b$B": ("G0", "jisx0208"),
    b"\x1b$@": ("G0", "jisx0208"), b"\x1b$(D": ("G0", "jisx0212"), b"\x1b$)C": ("G1", "euc_kr"),
    b"\x1b$)A": ("G1", "gb2312"), b"\x1b)I": ("G1", "jisx0201"),
    **{b"\x1b-" + bytes([final]): ("G1", f"iso8859-{part}") for final, part in (
        (0x41, 1), (0x42, 2), (0x43, 3), (0x44, 4), (0x46, 7), (0x47, 6), (0x48, 8), (0x4C, 5), (0x4D, 9), (0x54, 11),
        (0x62, 15))},
}  # fmt: skip


def _iso_2022(raw: bytes, names: list[str]) -> Decoded:
    """Read text that switches its sets by escape sequences (ISO/IEC 2022; HL7 v2.5, 2.15.9.18)."""
    out: list[str] = []
    g0, g1 = "ascii", _CODECS.get(names[0], "ascii")
    if names[0].startswith("ISO IR"):
        g1 = "jisx0201"
    damaged = False
    at = 0
    for found in chain(_ISO_2022.finditer(raw), (None,)):
        end = found.start() if found else len(raw)
        text, bad = _piece(raw[at:end], g0, g1)
        out.append(text)
        damaged |= bad
        if found is None:
            break
        at = found.end()
        sequence = found.group()
        while sequence not in _DESIGNATED and len(sequence) > 3:
            sequence = sequence[:-1]
        at = found.start() + len(sequence)
        place, name = _DESIGNATED.get(sequence, ("", ""))
        if place == "G0":
            g0 = name
        elif place == "G1":
            g1 = name
        else:
            damaged = True
            out.append("\N{REPLACEMENT CHARACTER}")
            at = found.start() + 1
    return Decoded("".join(out), names[0], damaged)


def switched(text: str, sequence: bytes) -> str:
    """Return text whose characters stand for bytes of the set that an ISO 2022 escape sequence names; as it is where
    they do not."""
    place, name = _DESIGNATED.get(sequence, ("", ""))
    if not place or name == "ascii":
        return text
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        return text
    told, damaged = _piece(data, name if place == "G0" else "ascii", name if place == "G1" else "ascii")
    return text if damaged else told


def _piece(data: bytes, g0: str, g1: str) -> tuple[str, bool]:
    if g0 in ("jisx0208", "jisx0212"):
        lead = b"\x1b$B" if g0 == "jisx0208" else b"\x1b$(D"
        out, bad = [], False
        for part in re.split(rb"([\x00-\x20]+)", data):
            if part and part[0] > 0x20:
                text, wrong = _try(lead + part + b"\x1b(B", "iso2022_jp_2")
                bad |= wrong
            else:
                text = part.decode("ascii")
            out.append(text)
        return "".join(out), bad
    if g1 == "jisx0201":
        return _try(data, "shift_jis") if not data.isascii() else (data.decode("ascii"), False)
    return _try(data, g1 if not data.isascii() else "ascii")


def _try(data: bytes, name: str) -> tuple[str, bool]:
    try:
        return data.decode(name), False
    except UnicodeDecodeError:
        return data.decode(name, "replace"), True


def encode(text: str, charset: str) -> bytes:
    """Return an answer in a character set of table 0211; what it has no character for becomes a question mark."""
    return text.encode(codec(charset), "replace")
