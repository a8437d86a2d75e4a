"""Text folded for searching: what a person types finds what a machine sent."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

_ACCENTS: Final = dict.fromkeys(range(0x0300, 0x0370))
_LETTERS: Final = str.maketrans({
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "æ": "ae",
    "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T",
})  # fmt: skip
"""What has no decomposition in Unicode."""


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return ``text`` without regard to case, accents, width and delimiters: ``MÜLLER^ZOË`` and ``Muller, Zoe`` are
    ``muller zoe``. Kana and Hangul keep their marks, which make other letters of them."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", text).translate(_ACCENTS).translate(_LETTERS))
    return " ".join(text.casefold().replace("^", " ").replace(",", " ").split())


@lru_cache(maxsize=4096)
def name_keys(name: str) -> tuple[str, str]:
    """Return the folded component groups of a PN (PS3.5 6.2.1): the first that is not empty, and the next."""
    groups = [key for key in (fold(group) for group in name.split("=")) if key]
    return (groups[0] if groups else ""), (groups[1] if len(groups) > 1 else "")
