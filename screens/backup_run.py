"""One run: how far it is, and its log as it is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget

from pacstui.contract.jobs import RunLine, RunRow
from pacstui.contract.overview import View
from pacstui.errors import PacsError
from pacstui.text import count, duration, safe
from screens import backup_words, keymap
from screens import backup_work as work
from screens.base import ConsoleScreen
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words

if TYPE_CHECKING:
    from screens.app import ConsoleApp

EVERY_S = 0.95
AT_ONCE = 500
KEPT = 5_000
LEVELS = {"info": ("  ", "text"), "warn": ("! ", "warn-text"), "fail": ("x ", "fail-text")}


class RunPanel(Panel):
    """How far it is, or how it ended."""

    def __init__(self, name: str) -> None:
        super().__init__(id="run")
        self.named = name
        self.run: RunRow | None = None
        self.fault: PacsError | None = None

    def sections(self, width: int, height: int) -> Sequence[Section]:
        run, title = self.run, Line(self.named or "Run", "title")
        if run is None:
            if self.fault is None:
                return [Section(title, [Item([Line("asking the node", "dim")])])]
            lines = words(safe(self.fault.message, 300), width, "fail", 2, Line("x ", "fail"))
            return [Section(title, [Item([*lines, *words(safe(self.fault.hint, 300), width, "dim")])])]
        word, role = backup_words.ended(run)
        end = run.ended or self.console_app.now()
        took = f", took {duration((end - run.started).total_seconds())}" if run.ended else ""
        again = f", attempt {run.attempt}" if run.attempt > 1 else ""
        lines = [Line(f"{backup_words.begun(run, work.node_time(self.console_app))}{again}{took}", "dim").cut(width)]
        if run.ended is None:
            lines.append(backup_words.progress(run, width))
        lines.append(backup_words.facts(run, width, self.console_app.privacy))
        if run.text:
            said = self.console_app.privacy.sentence(run.text)
            lines += words(said, width, "fail" if role == "fail" else "strong", 2, Line(f"{word[:1]} ", role))
        if run.hint:
            lines += words(safe(run.hint, 400), width, "strong", 2, Line("> ", "accent"))
        if self.fault is not None:
            lines += words(f"as it was: {safe(self.fault.message, 200)}", width, "warn", 2, Line("! ", "warn"))
        heading = Line(f"{self.named or safe(run.job, 64)}  ", "title").add(word, role)
        return [Section(heading, [Item(lines)], Line(f"run {run.id}", "dim"))]


class LogPanel(Panel):
    """Its log. It follows the end unless one scrolls up."""

    def __init__(self) -> None:
        super().__init__(id="log")
        self.written: list[RunLine] = []
        self.follows = True
        self._drawn: list[Line] = []
        self._for: tuple[int, bool] = (0, False)
        self._upto = 0

    def add(self, lines: Sequence[RunLine]) -> None:
        """Add lines at the end; the oldest are let go when there are very many."""
        self.written.extend(lines)
        if len(self.written) > KEPT:
            del self.written[: len(self.written) - KEPT]
            self._for = (0, False)

    def sections(self, width: int, height: int) -> Sequence[Section]:
        privacy = self.console_app.privacy
        if self._for != (width, privacy.on):
            self._for, self._drawn, self._upto = (width, privacy.on), [], 0
        for row in self.written[self._upto :]:
            mark, role = LEVELS.get(row.level, ("! ", "warn-text"))
            first = Line(f"{row.at.astimezone():%H:%M:%S} ", "dim").add(mark, role)
            self._drawn += words(privacy.sentence(row.text), width, role, 11, first)
        self._upto = len(self.written)
        if self.follows:
            self.top = len(self._drawn)
        title = Line("Log  ", "title").add(count(len(self.written)), "strong")
        note = None if self.follows else Line("End follows again", "accent")
        return [Section(title, [Item(self._drawn or [Line("nothing was written down", "dim")])], note)]

    def action_move(self, by: int) -> None:
        """Scroll; at the end it follows again."""
        self.follows = False
        super().action_move(by)
        self.follows = self.top >= len(self._drawn) - max(1, self.size.height - 2)
        self.redraw()


class RunScreen(ConsoleScreen):
    """One run."""

    TITLE_WORDS = "Run"
    ABOUT = (
        "How far a run is, what it works on, and its log as it is written. The log follows the end; scroll up to hold "
        "it, End follows again. c cancels the run, after a question."
    )
    AUTO_FOCUS = "#log"
    KEYS = (
        keymap.acts("jobs.cancel", "cancel"),
        keymap.Key("l", "end of log", "Go to the end of the log and follow it", "end", weight=2),
    )

    def __init__(self, ident: int, name: str = "") -> None:
        super().__init__()
        self._ident, self._named = ident, name
        self._busy = False
        self._asked = float("-inf")
        self._complete = False

    def body(self) -> Iterable[Widget]:
        yield RunPanel(self._named[:1].upper() + self._named[1:])
        yield LogPanel()

    @property
    def run_row(self) -> RunRow | None:
        """The run as last heard of."""
        return self.query_one(RunPanel).run

    def show(self, view: View) -> None:
        app = self.console_app
        due = app.door.clock() - self._asked >= EVERY_S
        first = self.run_row is None
        if due and not self._complete and (first or not app.frozen):
            self.renew()
        self._draw()

    def renew(self) -> None:
        """Ask the node."""
        app = self.console_app
        if not self._busy and app.away_since is None:
            self._busy = True
            self._asked = app.door.clock()
            app.keep(self._load())

    async def _load(self) -> None:
        app, panel, log = self.console_app, self.query_one(RunPanel), self.query_one(LogPanel)
        try:
            panel.run = await app.client.jobs.run(id=self._ident)
            while True:
                after = log.written[-1].id if log.written else 0
                lines: tuple[RunLine, ...] = await app.client.jobs.log(id=self._ident, after=after, limit=AT_ONCE)
                log.add(lines)
                if len(lines) < AT_ONCE:
                    break
            panel.fault = None
            self._complete = panel.run.state != "running"
        except (PacsError, OSError, TimeoutError) as error:
            panel.fault = error if isinstance(error, PacsError) else PacsError(f"the node did not answer: {error}")
        finally:
            self._busy = False
        if self.is_attached:
            self._draw()

    def _draw(self) -> None:
        self.query_one(RunPanel).redraw()
        self.query_one(LogPanel).redraw()

    def action_end(self) -> None:
        """Follow the log."""
        log = self.query_one(LogPanel)
        log.follows = True
        log.redraw()

    def action_cancel(self) -> None:
        """Ask whether to cancel it."""
        app, run = self.console_app, self.run_row
        if run is None or not app.allowed("jobs.cancel"):
            return
        if run.ended is not None or run.state != "running":
            app.say(f"it has ended already: {backup_words.ended(run)[0]}")
        else:
            work.cancel(app, run, self._named or safe(run.job, 64), self.renew)


def show_run(app: ConsoleApp, run: RunRow, name: str) -> None:
    """Open a run's page, if its log may be seen."""
    if not app.lacks("jobs.view", "the log of a run"):
        app.go(RunScreen(run.id, name))
