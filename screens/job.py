"""One job with its runs, and what each run wrote down; or the runs of all jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from textual import on
from textual.containers import Container
from textual.widget import Widget

from pacstui.contract.jobs import JobRow, JobsView, RunLine, RunRow
from pacstui.text import count, duration, safe
from screens import job_cells as cells
from screens import job_work as work
from screens import keymap
from screens.asking import AskingScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
PAGE = 200
LINES = 2_500
_LEVELS = {"warn": ("! ", "warn-text"), "fail": ("x ", "fail-text")}
RUNS = (
    C("started", 12),
    C("state", 11),
    C("by", 9, grow=1, rank=2, most=20, role="dim"),
    C("took", 7, align=">"),
    C("late", 7, align=">", rank=4),
    C("what it came to", 16, grow=5, most=120),
    C("errors", 6, align=">", rank=3),
    C("run", 6, align=">", rank=5, role="dim"),
)


class RunLog(Panel):
    """What the chosen run wrote down."""

    def __init__(self, screen: RunsScreen) -> None:
        super().__init__(id="log")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        run = self._of.run
        if run is None:
            return [Section(Line("Log", "title"), [Item([Line("Each run's log shows here.", "dim")])])]
        title = Line("Log of run ", "title").add(str(run.id), "focus-title")
        if self._of.job != run.job:
            title.add(f"  {safe(run.job, 64)}", "dim")
        items = []
        now = self.console_app.now()
        if run.state in ("running", "waiting"):
            items.append(Item(cells.progress(run, width, now)))
        else:
            mark, role = cells.STATES.get(run.state, (safe(run.state, 20), "warn-text"))
            lines = words(safe(run.text, 1000) or mark, width, role, 2, Line(mark[:2], role))
            if run.hint:
                lines += words(safe(run.hint, 500), width, "strong", 2, Line("> ", "accent"))
            if run.late_s >= 60:
                lines.append(Line(f"began {duration(run.late_s)} after its time", "warn-text"))
            items.append(Item(lines))
        for line in self._of.lines:
            mark, role = _LEVELS.get(line.level, ("  ", "text"))
            start = Line(f"{line.at.astimezone():%H:%M:%S} ", "dim").add(mark, role)
            items.append(Item(words(safe(line.text, 500), width, role, 11, start)))
        if not self._of.lines:
            told = "nothing was written down" if run.ended else "nothing is written down yet"
            items.append(Item([Line(told, "dim")]))
        return [Section(title, items)]


class JobPanel(Panel):
    """A job's settings."""

    can_focus = False

    def __init__(self, screen: JobScreen) -> None:
        super().__init__(id="settings")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row, now = self._of.row, self.console_app.now()
        if row is None:
            told = "there is no such job (any more)" if self._of.gone else "asking the node"
            return [Section(Line("Job", "title"), [Item([Line(told, "dim")])])]
        mark, role = cells.STATES.get(row.state, (safe(row.state, 20), "warn-text"))
        title = Line(f"{safe(row.name, 64)}  ", "focus-title").add(mark, role)
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            lines.extend(words(text, width, role, 10, Line(fit(label, 10), "dim")))

        fact("does", f"{safe(row.label, 64)}{self._parameters(row)}")
        hours = f", only {safe(row.window, 64)}" if row.window else ""
        zone = f" ({safe(row.zone, 40)})" if row.zone else ""
        fact("runs", f"{safe(row.schedule_text, 200)}{zone}{hours}")
        if row.problem:
            fact("broken", f"x {safe(row.problem, 300)}: e changes it", "fail-text")
        elif row.waits:
            fact("waits", f"for {safe(row.waits, 200)}", "accent")
        elif row.enabled and row.next_run is not None:
            missed = f"; the last one made up for {count(row.missed)} missed" if row.missed else ""
            fact("next", f"{cells.when(row.next_run, now)}{missed}", "warn-text" if missed else "strong")
        else:
            fact("next", "d enables it again" if not row.enabled else "r runs it now", "dim")
        more = [f"{count(row.retries)} more tries, {duration(row.retry_s)} apart"] if row.retries else []
        more += [f"ended after {duration(row.timeout_s)}"] if row.timeout_s else []
        more += [f"if still running: {safe(row.overlap, 20)}"]
        more += ["made by the node"] if row.builtin else []
        fact("else", ", ".join(more), "dim")
        return [Section(title, [Item(lines)])]

    def _parameters(self, row: JobRow) -> str:
        told = ", ".join(f"{safe(name, 32)} {safe(value, 100)}" for name, value in row.parameters.items())
        return f": {told}" if told else ""


class RunsScreen(AskingScreen):
    """The runs of all jobs, newest first."""

    TITLE_WORDS = "Runs"
    ABOUT = (
        "Runs, newest first: = done, ! warning or cut off, x failed, - cancelled. Late says how long after its time "
        "one began. Beside or below stands what the chosen run wrote down, while it runs line by line; l goes there, "
        "tab comes back. c cancels the run. / filters: a leading ! shows the others."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        keymap.acts("jobs.cancel", "cancel"),
        keymap.acts("jobs.log", "log"),
    )
    job = ""

    def __init__(self) -> None:
        super().__init__()
        self.run: RunRow | None = None
        self.lines: list[RunLine] = []

    def body(self) -> Iterable[Widget]:
        with Container(id="runs-and-log"):
            columns = RUNS if self.job else (RUNS[0], C("job", 12, grow=1, most=32, role="strong"), *RUNS[1:])
            table: RowTable[RunRow] = RowTable(
                columns,
                self._cells,
                lambda r: r.id,
                lambda r: f"{r.id} {r.job} {r.state} {r.started_by} {r.text}",
                id="runs",
            )
            table.title = Line("Runs", "title")
            table.empty = ["asking the node"]
            yield table
            yield RunLog(self)

    @property
    def _table(self) -> RowTable[RunRow]:
        return self.query_one("#runs", RowTable)

    def _cells(self, row: RunRow) -> Sequence[cols.Cell]:
        now = self.console_app.now()
        told = safe(row.text, 300) or cells.amount(row) or ("-", "dim")
        cell: list[cols.Cell] = [
            cells.when(row.started, now),
            cells.state(row.state),
            safe(row.started_by, 64),
            duration(cells.took(row, now)),
            (duration(row.late_s), "warn-text") if row.late_s >= 60 else ("-", "dim"),
            told,
            (count(row.errors), "fail-text") if row.errors else ("-", "dim"),
            str(row.id),
        ]
        if not self.job:
            cell.insert(1, safe(row.job, 64))
        return cell

    def every_s(self) -> float:
        running = self.run is not None and self.run.state in ("running", "waiting")
        return cells.RUNNING_S if running else self.EVERY_S

    async def ask(self) -> Any:
        app = self.console_app
        return await app.fetch(app.client.jobs.history(job=self.job, limit=PAGE))

    async def took(self, found: Any) -> None:
        rows: Sequence[RunRow] | None = found
        table = self._table
        if rows is None:
            table.empty = ["The node did not give it; the line below says why."]
            table.redraw()
            return
        older = [row for row in table.held if rows and row.id < rows[-1].id]
        table.bounded = False
        table.title = Line("Runs", "title")
        none = "It never ran. r runs it now." if self.job else "No job ran yet: 6 shows the jobs, r runs one."
        table.empty = [none]
        more = table.more if older else len(rows) == PAGE
        table.show([*rows, *older], more=more)
        await self._follow()

    @on(RowTable.Wanted)
    def _more(self, event: RowTable.Wanted) -> None:
        if self._table.held and not event.before:
            self.console_app.keep(self._load_more(self._table.held[-1].id))

    @on(RowTable.EdgeWanted)
    def _edge(self, event: RowTable.EdgeWanted) -> None:
        if event.last:
            self._table.go_on_to_the_end()

    async def _load_more(self, before: int) -> None:
        app, table = self.console_app, self._table
        rows = await app.fetch(app.client.jobs.history(job=self.job, limit=PAGE, before=before))
        if self.is_attached and rows is not None:
            table.extend(rows, more=len(rows) == PAGE, total=len(table.held) + len(rows))

    async def _follow(self) -> None:
        """Show the chosen run's log, or what is new in it."""
        app, chosen = self.console_app, self._table.selected
        if chosen is None:
            self.run, self.lines = None, []
        elif self.run is None or chosen.id != self.run.id:
            self.run, self.lines = chosen, []
            lines = await app.fetch(app.client.jobs.log(chosen.id, limit=LINES))
            if self.run is chosen:
                self.lines = list(lines or ())
        else:
            live = self.run.state in ("running", "waiting")
            self.run = chosen
            if live:
                after = self.lines[-1].id if self.lines else 0
                fresh = await app.fetch(app.client.jobs.log(chosen.id, after=after, limit=LINES))
                if self.run is chosen:
                    known = {line.id for line in self.lines}
                    self.lines.extend(line for line in fresh or () if line.id not in known)
                    self._scroll_to_end()
        if self.is_attached:
            self.redraw_all()

    def _scroll_to_end(self) -> None:
        log = self.query_one(RunLog)
        if not log.has_focus:
            log.top = 1_000_000

    @on(RowTable.Moved)
    def _moved(self) -> None:
        chosen = self._table.selected
        if chosen is not None and (self.run is None or chosen.id != self.run.id):
            self.query_one(RunLog).top = 0
            self.console_app.keep(self._follow())

    @on(RowTable.Chosen)
    def _open(self, event: RowTable.Chosen) -> None:
        self.action_log()

    def action_log(self) -> None:
        """Go to the log."""
        self.query_one(RunLog).focus()

    def action_cancel(self) -> None:
        """Cancel the chosen run."""
        run = self._table.selected
        if run is not None:
            under_way = run if run.state in ("running", "waiting") else None
            work.cancel(self.console_app, under_way, f"run {run.id}", self.renew)


class JobScreen(RunsScreen):
    """A job, its runs, and their logs."""

    TITLE_WORDS = "Job"
    ABOUT = (
        "Above, what the job does and when. Then its runs, newest first, and what the chosen one wrote down; while it "
        "runs the log grows. r runs it now, c cancels its run, d disables and enables it, e changes it, l goes to the "
        "log, D deletes it."
    )
    KEYS = (
        *work.KEYS,
        keymap.acts("jobs.log", "log", weight=2),
    )

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job
        self.row: JobRow | None = None
        self.gone = False
        self._names: list[str] = []

    def body(self) -> Iterable[Widget]:
        yield JobPanel(self)
        yield from super().body()

    async def ask(self) -> Any:
        app = self.console_app
        view: JobsView | None = await app.fetch(app.client.jobs.list())
        if view is not None:
            self.row = next((row for row in view.jobs if row.name == self.job), None)
            self.gone = self.row is None
            self._names = [row.name for row in view.jobs]
        return await super().ask()

    def _do(self, do: Callable[..., None]) -> None:
        if self.row is not None:
            do(self.console_app, self.row, self.renew)

    def action_run(self) -> None:
        """Start it now."""
        self._do(work.start)

    def action_cancel(self) -> None:
        """Cancel its run."""
        under_way = [run for run in self._table.held if run.state in ("running", "waiting")]
        chosen = self._table.selected
        run = chosen if chosen in under_way else under_way[0] if under_way else None
        work.cancel(self.console_app, run, self.job, self.renew)

    def action_disable(self) -> None:
        """Disable it, or enable it again."""
        self._do(work.disable)

    def action_enable(self) -> None:
        """Enable it again."""
        self._do(work.enable)

    def action_edit(self) -> None:
        """Change it."""
        if self.row is not None:
            work.edit(self.console_app, self.row, self._names, self.renew)

    def action_delete(self) -> None:
        """Delete it."""
        self._do(work.delete)
