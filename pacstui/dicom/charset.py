"""Text of a data set as characters: Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1) without ever failing.

Whatever cannot be decoded is shown as well as it can be and reported as marked: keeping an object never depends on
reading its text. The tables are our own because importing pydicom here would bring numpy into an idle node.
"""

from __future__ import annotations

import re
from functools import lru_cache

_ESC = b"\x1b"

_CODECS = {
    "": "ascii",
    "6": "ascii",
    "13": "shift_jis",
    "58": "gb2312",
    "87": "iso2022_jp",
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "149": "euc_kr",
    "159": "iso2022_jp_2",
    "166": "iso8859_11",
    "192": "utf_8",
    "203": "iso8859_15",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
"""Number of the ISO registration (or the term itself) to Python's codec; PS3.3 C.12.1.1.2."""

_MISSPELT = {
    "UTF-8": "utf_8", "UTF8": "utf_8", "ISO-8859-1": "latin_1", "ISO8859-1": "latin_1", "ISO_8859-1": "latin_1",
    "LATIN1": "latin_1", "ASCII": "ascii", "ISO 2022 GBK": "gbk", "ISO 2022 58": "gb2312",
}  # fmt: skip
_TERM = re.compile(r"ISO[ _-]*(?:2022)?[ _-]*IR[ _-]*(\d+)")
_EXACT = re.compile(r"ISO_IR \d+|ISO 2022 IR \d+|GB18030|GBK|")

_ESCAPES = {
    b"(B": ("ascii", 2), b"-A": ("latin_1", 2), b")I": ("shift_jis", 2), b"(J": ("shift_jis", 2),
    b"-B": ("iso8859_2", 2), b"-C": ("iso8859_3", 2), b"-D": ("iso8859_4", 2), b"-F": ("iso8859_7", 2),
    b"-G": ("iso8859_6", 2), b"-H": ("iso8859_8", 2), b"-L": ("iso8859_5", 2), b"-M": ("iso8859_9", 2),
    b"-T": ("iso8859_11", 2), b"-b": ("iso8859_15", 2), b"$B": ("iso2022_jp", 0), b"$@": ("iso2022_jp", 0),
    b"$(D": ("iso2022_jp_2", 0), b"$)C": ("euc_kr", 3), b"$)A": ("gb2312", 3),
}  # fmt: skip
"""Escape sequence (PS3.3 Tables C.12-3 and C.12-4) to codec and number of bytes to drop; 0 where the codec reads the
sequence itself."""


@lru_cache(maxsize=256)
def codecs_of(terms: str) -> tuple[tuple[str, ...], bool]:
    """Return the codecs for the values of Specific Character Set, and whether all terms are the standard's own."""
    found: list[str] = []
    exact = True
    for raw in terms.split("\\"):
        term = raw.strip(" \0")
        match = _TERM.fullmatch(term.upper())
        codec = _CODECS.get(match.group(1)) if match else _CODECS.get(term.upper())
        if codec is None:
            codec = _MISSPELT.get(term.upper())
            exact = False
        elif not _EXACT.fullmatch(term):
            exact = False
        found.append(codec or "ascii")
    return tuple(found), exact


def decode(value: bytes, terms: str) -> tuple[str, bool]:
    """Return ``value`` as text and whether it had to be guessed or holds replacement characters.

    Parameters
    ----------
    value
        The bytes of one element with a VR that the character set applies to.
    terms
        Specific Character Set (0008,0005) as it stands in the data set, values divided by backslashes.
    """
    if _ESC in value:
        return _decode_escaped(value, terms)
    if value.isascii():
        return value.decode("ascii"), False
    codecs, exact = codecs_of(terms)
    first = codecs[0]
    if first == "ascii":
        # Outside of the default repertoire without saying so: most such senders use UTF-8 or Latin-1.
        for guess in ("utf_8", *codecs[1:2]):
            try:
                return value.decode(guess), True
            except UnicodeDecodeError:
                continue
        return value.decode("latin_1"), True
    try:
        return value.decode(first), not exact
    except UnicodeDecodeError:
        return value.decode(first, "replace"), True


_GROUP = re.compile(r"([\\^=])")


def encode(text: str, terms: str) -> bytes | None:
    """Return ``text`` in the character set that ``terms`` name, None where that cannot carry it (PS3.5 6.1.2)."""
    if text.isascii():
        return text.encode("ascii")
    codecs, _ = codecs_of(terms)
    first, *more = codecs
    try:
        if first == "shift_jis":
            value = text.encode(first)
            return value if len(value) == len(text) else None  # JIS X 0201 has one byte a character, and no kanji
        if not more:
            return None if first == "ascii" or first.startswith("iso2022") else text.encode(first)
        if first == "ascii" and "iso2022_jp" in more:
            return text.encode("iso2022_jp")  # it goes back to ASCII before each delimiter, which is ASCII
        if first == "ascii" and "euc_kr" in more:
            parts = _GROUP.split(text)
            return b"".join(p.encode("ascii") if p.isascii() else b"\x1b$)C" + p.encode("euc_kr") for p in parts)
        return None if first == "ascii" else text.encode(first)
    except UnicodeEncodeError:
        return None


_DELIMITER = re.compile(rb"[\\\\^=\r\n\t\f]")


def _decode_escaped(value: bytes, terms: str) -> tuple[str, bool]:
    """Decode text with code extensions (PS3.5 6.1.2.5): each delimiter returns to the first character set."""
    _, exact = codecs_of(terms)
    first, *runs = value.split(_ESC)
    text, doubt = decode(first, terms)
    out = [text]
    marked = not exact or doubt
    for run in runs:
        text, doubt = _decode_run(run, terms)
        out.append(text)
        marked |= doubt
    return "".join(out), marked


def _decode_run(run: bytes, terms: str) -> tuple[str, bool]:
    for length in (3, 2):
        known = _ESCAPES.get(run[:length])
        if known is None:
            continue
        codec, drop = known
        if not drop:  # two-byte sets in G0: the delimiters' codes are halves of characters there
            return _try(_ESC + run, codec)
        data = run[drop:]
        delimiter = _DELIMITER.search(data)
        if delimiter is None:
            return _try(data, codec)
        head, doubt = _try(data[: delimiter.start()], codec)
        tail, more = decode(data[delimiter.start() :], terms)
        return head + tail, doubt or more
    return "\N{REPLACEMENT CHARACTER}" + run.decode("latin_1"), True


def _try(data: bytes, codec: str) -> tuple[str, bool]:
    try:
        return data.decode(codec), False
    except UnicodeDecodeError:
        return data.decode(codec, "replace"), True
