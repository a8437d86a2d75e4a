"""One line of the feed in full."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on

from pacstui.contract.feed import FeedRow
from pacstui.text import plural, safe
from screens.modals.page import Page
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words


class EventPage(Page):
    """What happened, when, how often, and what to do."""

    FOOT = "y copy, esc back"

    def __init__(self, row: FeedRow) -> None:
        super().__init__()
        self._row = row

    @on(Panel.Chosen)
    def _open(self, event: Panel.Chosen) -> None:
        from screens.ways import follow

        self.dismiss()
        self.console_app.keep(follow(self.console_app, event.id))

    def sections(self, width: int) -> Sequence[Section]:
        row = self._row
        role = {"info": "text", "warn": "warn", "fail": "fail"}.get(row.level, "text")
        lines = words(self.console_app.privacy.sentence(row.text), width, role)
        if row.count > 1:
            lines.append(Line(plural(row.count, "time"), "dim"))
        if row.instance:
            last = ", the last one" if row.count > 1 else ""
            lines += words(f"SOP Instance UID{last}: {safe(row.instance, 64)}", width, "dim")
        if row.association:
            lines += words(f"Enter shows association {row.association}", width, "dim")
        sections = [
            Section(
                Line(f"{row.at.astimezone():%Y-%m-%d %H:%M:%S}  ", "dim").add(safe(row.source, 32), "focus-title"),
                [Item(lines, ("association", row.association) if row.association else None)],
            )
        ]
        if row.hint:
            sections.append(Section(Line("What to do", "title"), [Item(words(safe(row.hint, 1000), width, "strong"))]))
        return sections
