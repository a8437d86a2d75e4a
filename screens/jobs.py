"""Jobs: what the node does by itself, what runs now, and how the day went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract.jobs import JobRow, JobsView, RunRow
from pacstui.text import count, plural, safe
from screens import job_cells as cells
from screens import job_work as work
from screens import keymap
from screens.asking import AskingScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
CHOSEN_LINES = 2
COLUMNS = (
    C("job", 12, grow=2, most=32, role="strong"),
    C("state", 10),
    C("last", 18),
    C("next", 11),
    C("runs", 17, grow=3, most=40),
    C("what it came to", 20, grow=5, rank=1, most=90),
    C("what it does", 24, rank=3, role="dim"),
    C("hours", 11, rank=2, role="dim"),
)


class RunningPanel(Panel):
    """What runs now, or what comes next."""

    can_focus = False

    def __init__(self, screen: JobsScreen) -> None:
        super().__init__(id="running")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self._of.view
        if view is None:
            return [Section(Line("Running", "title"), [Item([Line("asking the node", "dim")])])]
        title = Line("Running  ", "title").add(count(len(view.running)), "strong")
        if view.paused:
            told = Line(f"! paused by {safe(view.paused_by, 64)}: no job begins by its schedule", "warn")
            told.add("  p", "key").add(" resumes")
            held = [row.name for row in view.jobs if row.state == "waiting" and not row.running]
            if held:
                told.add(f"; {plural(len(held), 'waits', 'wait')}", "warn")
            return [Section(title, [Item([told.cut(width)]), *self._runs(view, width)])]
        if view.running:
            return [Section(title, self._runs(view, width))]
        line = self._coming(view)
        return [Section(Line("Running  ", "title").add("0", "dim"), [Item([line.cut(width)])])]

    def _coming(self, view: JobsView) -> Line:
        """Say what begins next, and after a job of which nobody needs to hear the next one that matters."""
        now = self.console_app.now()
        rows = [row for row in view.jobs if row.enabled and row.next_run is not None and not row.problem]
        rows.sort(key=lambda row: (row.next_run or now, row.name))
        if not rows:
            return Line("Nothing runs, and nothing comes by itself.", "dim")
        shown = [rows[0], *[row for row in rows[1:] if not row.quiet][:1]] if rows[0].quiet else rows[:1]
        line = Line("Nothing runs now. Next: ", "dim")
        for row in shown:
            at = cells.when(row.next_run, now).removeprefix("today ")
            line.add(", then " if row is not shown[0] else "", "dim").add(safe(row.name, 64), "strong")
            if row.waits.startswith("its next try"):
                line.add(f" again {at}", "warn-text")
            elif row.state == "waiting":
                line.add(f" waits for {safe(row.waits, 60)}", "accent")
            else:
                line.add(f" {at}", "dim")
        return line

    def _runs(self, view: JobsView, width: int) -> list[Item]:
        lines = self._of.lines_each
        now = self.console_app.now()
        waits = {row.name: row.waits for row in view.jobs}
        return [Item(cells.progress(run, width, now, waits.get(run.job, ""))[:lines]) for run in view.running]


class DayPanel(Panel):
    """How the chosen job went last; then the hours around now: what ran, and what comes."""

    can_focus = False

    def __init__(self, screen: JobsScreen) -> None:
        super().__init__(id="day")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        title = Line("Day", "title")
        view, row = self._of.view, self._of.chosen
        if view is None:
            return [Section(title)]
        note = Line("= done  ! warning  x failed  ", "dim").add("\u00b7 to come", "dim")
        sections = []
        if row is not None:
            told = self._told(row, width)[:CHOSEN_LINES]
            told += [Line()] * (CHOSEN_LINES - len(told))
            sections.append(Section(Line(safe(row.name, 64), "focus-title"), [Item(told)], Line("Enter: more", "dim")))
            height -= CHOSEN_LINES + 1
        lines = cells.day_lines(view, self.console_app.now(), width, height)
        return [*sections, Section(title, [Item(lines)], note)]

    def _told(self, row: JobRow, width: int) -> list[Line]:
        """Return how a job went last in a sentence, and what mends it."""
        run = row.last
        if row.problem:
            return words(f"x {safe(row.problem, 300)}: e changes the job", width, "fail-text", 2)
        if row.state == "waiting":
            return words(f"waits for {safe(row.waits, 200)}", width, "accent", 2)
        if run is None:
            return [Line("it never ran: r runs it now" if not row.running else "it runs for the first time", "dim")]
        mark, role = cells.STATES.get(run.state, (safe(run.state, 20), "warn-text"))
        lines = words(safe(run.text, 300) or mark, width, role, 2, Line(mark[:2], role))
        if run.hint:
            lines = [*lines[: CHOSEN_LINES - 1], *words(safe(run.hint, 200), width, "strong", 2, Line("> ", "accent"))]
        return lines


class JobsScreen(AskingScreen):
    """All jobs."""

    TITLE_WORDS = "Jobs"
    MODE = "jobs"
    ABOUT = (
        "Above, what runs now: how far it is, how fast, what is left, what it works on. Then all jobs with their last "
        "outcome and when they run next: = done, ! warning or cut off, x failed, - cancelled or disabled. Below, the "
        "day: what ran and what comes; | is now. Enter opens a job: its settings, its runs and what each wrote down. r "
        "runs it now, c cancels its run, d disables and enables it, e changes it and shows the next times while you "
        "type, n makes a new one. p pauses all. h shows all runs of all jobs."
    )
    KEYS = (
        *work.KEYS,
        keymap.acts("jobs.create", "create", weight=2),
        keymap.acts("jobs.pause", "pause", weight=2),
        keymap.acts("jobs.resume", "pause", key="p", weight=3),
        keymap.acts("jobs.history", "history", weight=2),
    )

    def __init__(self) -> None:
        super().__init__()
        self.view: JobsView | None = None
        self.lines_each = 2

    def body(self) -> Iterable[Widget]:
        yield RunningPanel(self)
        table: RowTable[JobRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.name,
            lambda r: f"{r.name} {r.label} {r.state} {r.schedule_text} {r.last.state if r.last else ''} {r.problem}",
            id="jobs-list",
        )
        table.title = Line("Jobs", "title")
        table.empty = ["asking the node"]
        yield table
        yield DayPanel(self)

    @property
    def _table(self) -> RowTable[JobRow]:
        return self.query_one("#jobs-list", RowTable)

    def _cells(self, row: JobRow) -> Sequence[cols.Cell]:
        now = self.console_app.now()
        came_to: cols.Cell = safe(row.last.text, 300) if row.last else ""
        if row.problem:
            came_to = (safe(row.problem, 300), "fail-text")
        elif row.waits:
            came_to = (f"waits for {safe(row.waits, 200)}", "accent")
        missed = f", {count(row.missed)} missed" if row.missed else ""
        runs = safe(row.schedule_text, 200)
        return (
            safe(row.name, 64),
            cells.state(row.state),
            cells.last(row.last, now),
            cells.when(row.next_run, now) if row.enabled else ("-", "dim"),
            (f"{runs}{missed}", "warn-text") if missed else runs,
            came_to,
            safe(row.label, 64),
            safe(row.window, 64) or ("any", "dim"),
        )

    def every_s(self) -> float:
        return cells.RUNNING_S if self.view is not None and self.view.running else self.EVERY_S

    async def ask(self) -> Any:
        app = self.console_app
        return await app.fetch(app.client.jobs.list())

    async def took(self, found: Any) -> None:
        view: JobsView | None = found
        table = self._table
        if view is None:
            table.empty = ["The node did not answer; it is asked again."]
            table.redraw()
            return
        self.view = view
        self._entitle(view)
        table.empty = [
            "No jobs. A job is work that the node does by itself, at times that you choose.",
            "n makes one: choose what it does, then when.",
        ]
        table.show(view.jobs)
        self._arrange()
        self.redraw_all()

    def _entitle(self, view: JobsView) -> None:
        failed = sum(row.enabled and row.last is not None and row.last.state == "failed" for row in view.jobs)
        broken = sum(row.enabled and row.state == "broken" for row in view.jobs)
        late = sum(row.enabled and row.missed > 0 for row in view.jobs)
        title = Line("Jobs  ", "title").add(count(len(view.jobs)), "strong")
        for number, word, role in ((failed, "x {} failed", "fail"), (broken, "x {} broken", "fail"),
                                   (late, "! {} late", "warn")):  # fmt: skip
            if number:
                title.add("  " + word.format(count(number)), role)
        self._table.title = title

    def _arrange(self) -> None:
        """Give what runs, and the day, the height that they need."""
        view = self.view
        if view is None:
            return
        height = max(0, self.size.height - 2)
        shown = min(len(view.running), 3 if height < 26 else 4)
        self.lines_each = 1 if height < 26 and shown > 1 else 2
        running = 2 + max(1, self.lines_each * shown) + (1 if view.paused and shown else 0)
        roomy = height >= 32 and self.size.width >= 100
        chosen = CHOSEN_LINES + 1
        day = min(len(view.jobs) + 3, height - running - chosen - 12) if roomy else 4
        self.query_one("#running").styles.height = running
        self.query_one("#day").styles.height = max(4, day) + chosen

    def on_resize(self, event: object) -> None:
        """Share the room anew."""
        super().on_resize(event)  # type: ignore[arg-type]
        self._arrange()

    @property
    def chosen(self) -> JobRow | None:
        """The job under the cursor."""
        return self._table.selected

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.query_one(DayPanel).redraw()

    # what is done

    @on(RowTable.Chosen, "#jobs-list")
    def _open(self, event: RowTable.Chosen) -> None:
        from screens.job import JobScreen

        self.console_app.go(JobScreen(str(event.id)))

    def _chosen(self, do: Callable[..., None]) -> None:
        row = self._table.selected
        if row is not None:
            do(self.console_app, row, self.renew)

    @property
    def _names(self) -> list[str]:
        return [row.name for row in self.view.jobs] if self.view is not None else []

    def action_run(self) -> None:
        """Start the chosen job now."""
        self._chosen(work.start)

    def action_cancel(self) -> None:
        """Cancel the chosen job's run; where it has none, the only one there is."""
        row, view = self._table.selected, self.view
        if row is None or view is None:
            return
        run: RunRow | None = next((each for each in view.running if each.job == row.name), None)
        if run is None and len(view.running) == 1:
            run = view.running[0]
        work.cancel(self.console_app, run, row.name, self.renew)

    def action_disable(self) -> None:
        """Disable the chosen job, or enable it again."""
        self._chosen(work.disable)

    def action_enable(self) -> None:
        """Enable the chosen job again."""
        self._chosen(work.enable)

    def action_edit(self) -> None:
        """Change the chosen job."""
        row = self._table.selected
        if row is not None:
            work.edit(self.console_app, row, self._names, self.renew)

    def action_create(self) -> None:
        """Make a job."""
        work.create(self.console_app, self._names, self.renew)

    def action_delete(self) -> None:
        """Delete the chosen job."""
        self._chosen(work.delete)

    def action_pause(self) -> None:
        """Pause all, or resume."""
        if self.view is not None:
            work.pause(self.console_app, self.view.paused, self.renew)

    def action_history(self) -> None:
        """Open the runs of all jobs."""
        if self.console_app.allowed("jobs.history"):
            from screens.job import RunsScreen

            self.console_app.go(RunsScreen())
