"""What the rules would purge now: each study, why, and why some stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.space import PlanRow, PurgePlan
from pacstui.text import count, plural, safe, size
from screens import keymap, space_work
from screens.base import ConsoleScreen
from screens.space_sections import summary
from screens.studies import day
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

LISTED = 500


class PlanPage(Panel):
    """The page."""

    def __init__(self) -> None:
        super().__init__(id="page")
        self.plan: PurgePlan | None = None

    def sections(self, width: int, height: int) -> Sequence[Section]:
        plan = self.plan
        title = Line("What rules would purge now", "title")
        if plan is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        lines = words(summary(plan), width, "strong")
        told = "Backups are asked again, object by object, when it is done; nothing goes that they do not have."
        lines += words(told, width, "dim")
        if plan.full:
            lines += words("The volume is full: rules for that apply too.", width, "warn")
        going = [row for row in plan.rows if not row.kept]
        staying = [row for row in plan.rows if row.kept]
        parts = [Section(title, [Item(lines)])]
        for name, rows, total in (("Would go  ", going, plan.studies), ("Stay  ", staying, plan.kept)):
            items = [self._item(row, width) for row in rows]
            if total > len(rows):
                items.append(Item([Line(f"and {count(total - len(rows))} more: pacstui space plan", "dim")]))
            empty = [Item([Line("none", "dim")])]
            parts.append(Section(Line(name, "title").add(count(total), "strong"), items or empty))
        return parts

    def _item(self, row: PlanRow, width: int) -> Item:
        first = Line(fit(day(row.date) or "(no date)", 11), "dim")
        first.add(fit(self.console_app.privacy.name(row.patient_name), 18), "strong").add(" ")
        first.add(fit("/".join(safe(each, 4) for each in row.modalities), 6))
        first.add(fit(safe(row.description, 64), 20)).add(f" {plural(row.instances, 'image')}, {size(row.bytes)}")
        why = f"{safe(row.kept, 200)}" if row.kept else f"rule {safe(row.rule, 64)}: {safe(row.why, 200)}"
        below = words(why, width, "warn" if row.kept else "dim", 11, Line(" " * 11))
        return Item([first.cut(width), *below], row.study)


class PlanScreen(ConsoleScreen):
    """What rules would purge."""

    TITLE_WORDS = "Purge"
    ABOUT = (
        "What [[space.rules]] are for now: the studies that would go, in this order, and those that stay although a "
        "rule is for them, with the reason. Enter shows a study. p purges, after all was typed."
    )
    KEYS = (
        keymap.Key("r", "refresh", "Ask anew", "refresh"),
        keymap.acts("space.purge", "purge"),
    )

    def body(self) -> Iterable[Widget]:
        yield PlanPage()

    def on_mount(self) -> None:
        """Ask at once."""
        super().on_mount()
        self.action_refresh()

    def show(self, view: View) -> None:
        """Nothing changes by itself here."""

    def action_refresh(self) -> None:
        """Ask the node."""
        self.console_app.keep(self._load())

    async def _load(self) -> None:
        app = self.console_app
        plan: PurgePlan | None = await app.fetch(app.client.space.plan(limit=LISTED))
        if plan is not None and self.is_attached:
            app.privacy.learn(t for row in plan.rows for t in (row.patient_name, row.patient_id, row.accession))
            page = self.query_one(PlanPage)
            page.plan = plan
            page.redraw()

    def action_purge(self) -> None:
        """Start a purge."""
        space_work.purge(self.console_app, summary(self.query_one(PlanPage).plan), self.action_refresh)

    @on(Panel.Chosen)
    def _open(self, event: Panel.Chosen) -> None:
        if isinstance(event.id, str):
            from screens.study import StudyScreen

            self.console_app.go(StudyScreen(event.id))
