"""Queries that came, as lines: how many answers there were, and what was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from pacstui.contract.associations import KeyText, QueryText
from pacstui.text import plural, safe
from screens.privacy import Privacy
from screens.widgets.line import Line
from screens.widgets.panel import words


def asked(queries: Sequence[QueryText], width: int, privacy: Privacy) -> list[Line]:
    """Return queries, newest first: the keys with a value, and how many answers there were."""
    lines: list[Line] = []
    for query in reversed(queries):
        line = Line(f"{query.at.astimezone():%H:%M:%S}  ", "dim")
        line.add(plural(query.answers, "answer"), "text" if query.answers else "warn-text")
        if query.outcome != "done":
            line.add(f", {safe(query.outcome, 60) or 'goes on'}", "warn-text" if query.outcome else "dim")
        level = f" {safe(query.level, 16).lower()}" if query.level else ""
        lines.append(line.add(f"  {safe(query.model, 64)}{level}", "dim").cut(width))
        told = ", ".join(f"{safe(key.keyword, 40)} {_value(key, privacy)}" for key in query.keys)
        lines += words(told or "no key has a value: everything was asked for", width, "text", 10, Line(" " * 10))
    return lines


def _value(key: KeyText, privacy: Privacy) -> str:
    return privacy.ident(key.patient) if key.patient else safe(key.value, 100)
