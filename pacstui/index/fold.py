"""Text folded for searching: what a person types finds what a machine sent."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Return ``text`` without regard to case, width and delimiters: ``DOE^JANE`` and ``Doe, Jane`` are ``doe jane``."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().replace("^", " ").replace(",", " ").split())


@lru_cache(maxsize=4096)
def name_keys(name: str) -> tuple[str, str]:
    """Return the folded component groups of a PN (PS3.5 6.2.1): the first that is not empty, and the next."""
    groups = [key for key in (fold(group) for group in name.split("=")) if key]
    return (groups[0] if groups else ""), (groups[1] if len(groups) > 1 else "")
