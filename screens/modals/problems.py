"""What is wrong now, since when, and what mends it."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on

from pacstui.text import ago, safe
from screens.modals.page import Page
from screens.ways import place, problem
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words

MARKS = {"fail": ("x ", "fail"), "warn": ("! ", "warn"), "note": ("- ", "dim")}


class Problems(Page):
    """The list of problems; Enter goes to the screen that shows more."""

    FOOT = "Enter shows more, y copy, esc back"

    def sections(self, width: int) -> Sequence[Section]:
        app = self.console_app
        title = Line("What is wrong now", "focus-title")
        if app.away_since is not None:
            because = app.away_because
            text = safe(because.message, 300) if because else "the node does not answer"
            lines = words(text, width, "fail", 2, Line("x ", "fail"))
            if because and because.hint:
                lines.extend(words(safe(because.hint, 300), width, "strong", 2, Line("> ", "accent")))
            if app.can_start:
                lines.extend(words("or from here: esc, then S starts one", width, "strong", 2, Line("> ", "accent")))
            lines.extend(words("What you see is as it was then. The console goes on trying.", width, "dim"))
            return [Section(title, [Item(lines)])]
        view = app.view
        if view is None or not view.status.alerts:
            return [
                Section(
                    title,
                    [
                        Item(
                            words(
                                "Nothing. Problems come with what mends them, and leave by themselves when "
                                "they are gone.",
                                width,
                                "dim",
                            )
                        )
                    ],
                )
            ]
        items = []
        for number, alert in enumerate(view.status.alerts):
            lines = words(safe(alert.text, 300), width, "text", 2, Line(*MARKS.get(alert.level, ("! ", "warn"))))
            if alert.hint:
                lines.extend(words(safe(alert.hint, 300), width, "strong", 4, Line("  > ", "accent")))
            since = f"  since {alert.since.astimezone():%H:%M}, {ago(alert.since, view.at)}"
            leads = place(alert.screen)
            lines.append(Line(since + (f"; Enter: {leads}" if leads else ""), "dim"))
            if number:
                items.append(Item([Line()]))
            items.append(Item(lines, (alert.name, alert.screen)))
        return [Section(title, items)]

    @on(Panel.Chosen)
    def _open(self, event: Panel.Chosen) -> None:
        app = self.console_app
        self.dismiss()
        if isinstance(event.id, tuple) and event.id[1]:
            app.keep(problem(app, str(event.id[1])))
