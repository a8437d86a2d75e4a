"""Hiding who a patient is, for a screen that others can see."""

from __future__ import annotations

from collections.abc import Iterable

from pacstui.text import person, safe

MASK = "\u2022" * 6
"""Stands for a name or an ID; always as long, so that it tells nothing."""

KEPT = 4000


class Privacy:
    """Masks names and IDs while ``on``; remembers those that were shown, to find them in sentences too."""

    def __init__(self) -> None:
        self.on = False
        self._known: dict[str, None] = {}

    def name(self, raw: str) -> str:
        """Return a patient's name as it may be shown."""
        return MASK if self.on else person(raw)

    def ident(self, raw: str, missing: str = "") -> str:
        """Return a patient's ID, accession number or birth date as it may be shown."""
        if not raw.strip():
            return missing
        return MASK if self.on else safe(raw)

    def learn(self, raws: Iterable[str]) -> None:
        """Remember names and IDs as the peer sent them."""
        for raw in raws:
            for text in (raw, person(raw, ""), raw.replace("^", " ")):
                if len(text.strip()) > 2:
                    self._known.pop(text, None)
                    self._known[text] = None
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]

    def sentence(self, text: str) -> str:
        """Return free text, safe, with every known name and ID masked."""
        if self.on:
            for known in sorted((k for k in self._known if k in text), key=len, reverse=True):
                text = text.replace(known, MASK)
        return safe(text)
