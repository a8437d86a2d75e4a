"""The one place where text from outside becomes fit to show, print or log.

Nothing that came over a network, out of a file or from another account reaches a terminal except through
:func:`safe`: no control character, no escape sequence, no character that reorders the line.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

_SUSPECT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_BARE_LIMIT = 4096


def _picture(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    if char in "\t\n\r":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return "\N{REPLACEMENT CHARACTER}" if code >= 0xD800 or code < 0xA0 else "\u00b7"


def safe(text: object, limit: int = _BARE_LIMIT) -> str:
    """Return ``text`` with everything that could act on a terminal made visible instead.

    C0 controls become their pictures (ESC is shown as one cell), tabs and line ends become a blank, C1 controls
    and lone surrogates a replacement character, invisible and direction-changing characters a middle dot.
    Longer than ``limit`` characters, it is cut and ends with an ellipsis.
    """
    out = text if isinstance(text, str) else str(text)
    if len(out) > limit:
        out = out[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
    if out.isascii() and out.isprintable():
        return out
    return _SUSPECT.sub(_picture, unicodedata.normalize("NFC", out))


def person(name: str, unnamed: str = "(no name)") -> str:
    """Return a patient's or physician's name (VR PN, PS3.5 6.2.1) as a person would read it: ``Family, Given``.

    The alphabetic group is used, else the ideographic or the phonetic one; a name of delimiters only is ``unnamed``.
    """
    for group in name.split("="):
        parts = [part.strip() for part in group.split("^")]
        family, rest = parts[0], " ".join(part for part in parts[1:3] if part)
        shown = f"{family}, {rest}" if family and rest else family or rest
        if not shown:
            shown = " ".join(part for part in parts if part)
        if shown:
            return safe(shown)
    return unnamed


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """Return a number of bytes in three significant figures and decimal units: ``18.2 GB``."""
    value = float(count)
    for unit in _UNITS:
        if abs(value) < 999.5 or unit == _UNITS[-1]:
            if unit == "B":
                return f"{value:.0f} B"
            return f"{value:.0f} {unit}" if abs(value) >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def duration(seconds: float) -> str:
    """Return a length of time as ``0:14``, ``3:12:07`` or ``5 d 2 h``."""
    whole = max(0, int(seconds))
    if whole >= 2 * 86400:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def ago(then: datetime, now: datetime) -> str:
    """Return how long ago ``then`` was, in one unit: ``just now``, ``40 s ago``, ``3 h ago``, ``2 d ago``."""
    seconds = (now - then).total_seconds()
    if seconds < 1:
        return "just now"
    for unit, length, upto in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172800)):
        if seconds < upto:
            return f"{int(seconds // length)} {unit} ago"
    return f"{int(seconds // 86400)} d ago"


def count(number: int) -> str:
    """Return a whole number with thousands separators."""
    return f"{number:,}"


def plural(number: int, one: str, many: str = "") -> str:
    """Return ``1 instance`` or ``1,204 instances``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def guarded(text: str) -> str:
    """Return text for a cell of a CSV file that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
