"""Where the keys of a configuration stand, and how a person writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence


def key_of(loc: Sequence[int | str]) -> str:
    """Return ``loc`` as a person writes it: ``peers[0].port``."""
    out = ""
    for step in loc:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else str(step)
    return out


_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


class Lines:
    """Where in a TOML text its keys stand; a good guess, since TOML's reader does not tell.

    Keys inside inline tables and lists are found at the line of the key that holds them.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[int | str, ...], int] = {}
        counts: dict[tuple[int | str, ...], int] = {}
        table: tuple[int | str, ...] = ()
        for number, line in enumerate(text.splitlines(), 1):
            header = _HEADER.match(line)
            if header:
                table = tuple(self._parts(header[2]))
                for length in range(1, len(table)):
                    if table[:length] in counts:  # a table inside the newest element of a list of tables
                        table = (*table[:length], counts[table[:length]], *table[length:])
                if header[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._lines.setdefault(table, number)
                continue
            key = _KEY.match(line)
            if key:
                self._lines.setdefault((*table, *self._parts(key[1])), number)

    @staticmethod
    def _parts(dotted: str) -> list[str]:
        return [part.strip("\"'") for part in _PART.findall(dotted)]

    def of(self, loc: Sequence[int | str]) -> int:
        """Return the line of ``loc`` or of the nearest table around it, 0 if unknown."""
        for length in range(len(loc), 0, -1):
            found = self._lines.get(tuple(loc[:length]))
            if found is not None:
                return found
        return 0
