"""Many peers from a CSV file: first what it would do, then, if it is wanted, doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.peers import PeerLine, PeerPlan
from pacstui.text import count, plural, safe
from screens import keymap
from screens.base import ConsoleScreen
from screens.modals.ask import Ask, Choice
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
_MARKS = {
    "create": ("+ add", "good"), "change": ("~ change", "accent"), "nothing": ("= as it is", "dim"),
    "mistake": ("x mistake", "fail"),
}  # fmt: skip
COLUMNS = (
    C("line", 5, align=">"),
    C("name", 12, grow=2, most=40, role="strong"),
    C("", 10),
    C("what", 20, grow=6, most=200),
)


class PeerImportScreen(ConsoleScreen):
    """What a CSV file would do."""

    TITLE_WORDS = "Import peers"
    ABOUT = (
        "Each line of the file and what it would do; mistakes come first. i does it, all or nothing; with a mistake in "
        "any line nothing is done. Peers that the file does not name stay as they are."
    )
    KEYS = (keymap.acts("peers.import_csv", "import", weight=0),)

    def __init__(self, text: str, plan: PeerPlan, done: Callable[[], None]) -> None:
        super().__init__()
        self._text, self._plan, self._finished = text, plan, done
        self._busy = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[PeerLine] = RowTable(
            COLUMNS, self._cells, lambda r: r.line, lambda r: f"{r.line} {r.name} {r.what} {r.text}", id="import"
        )
        plan = self._plan
        table.title = Line("Would do  ", "title").add(plural(plan.changes, "change"), "strong")
        table.title.add(f"  {plural(plan.mistakes, 'mistake')}", "fail" if plan.mistakes else "dim")
        table.note = Line("i does it", "key") if plan.changes and not plan.mistakes else None
        table.empty = ["The file has no line after the first one."]
        yield table

    def on_mount(self) -> None:
        """Show the lines, mistakes first."""
        rows = sorted(self._plan.lines, key=lambda line: (line.what != "mistake", line.line))
        self.query_one(RowTable).show(rows)

    def show(self, view: View) -> None:
        """What stands here does not change by itself."""

    @staticmethod
    def _cells(row: PeerLine) -> Sequence[cols.Cell]:
        mark = _MARKS.get(row.what, (safe(row.what, 16), "text"))
        told = (safe(row.text, 400), "fail-text" if row.what == "mistake" else "text")
        return count(row.line), safe(row.name, 64), mark, told

    def action_import(self) -> None:
        """Do it, after a question."""
        app, plan = self.console_app, self._plan
        if self._busy or not app.allowed("peers.import_csv"):
            return
        if plan.mistakes:
            app.say(f"{plural(plan.mistakes, 'mistake')} in the file: nothing is done until they are mended", "fail")
            return
        if not plan.changes:
            app.say("everything is as the file says: there is nothing to do")
            return
        made = sum(line.what == "create" for line in plan.lines)
        text = f"{plural(made, 'peer')} will be added, {count(plan.changes - made)} changed: all of it, or nothing."
        choices = [Choice("no", "not yet", safe=True), Choice("yes", "import")]

        def answered(answer: str | None) -> None:
            if answer == "yes" and not self._busy:
                self._busy = True
                app.keep(self._do())

        app.push_screen(Ask("Import these peers?", [text], choices), answered)

    async def _do(self) -> None:
        app = self.console_app
        plan: PeerPlan | None = await app.fetch(app.client.peers.import_csv(csv=self._text))
        self._busy = False
        if plan is None:
            return
        if self.is_current:
            app.back()
        self._finished()
        app.say(f"imported: {plural(plan.changes, 'change')}, in effect now")
