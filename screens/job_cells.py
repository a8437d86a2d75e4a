"""How jobs and runs look: words with symbols, progress, and the day as a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pacstui.contract.jobs import JobRow, JobsView, RunRow
from pacstui.text import ago, count, duration, plural, safe, size
from screens.widgets import columns as cols
from screens.widgets.line import Line, fit
from screens.widgets.plot import bar

STATES = {
    "done": ("= done", "good"), "warning": ("! warning", "warn-text"), "failed": ("x failed", "fail-text"),
    "cancelled": ("- cancelled", "dim"), "interrupted": ("! cut off", "warn-text"), "running": ("> running", "accent"),
    "waiting": (". waiting", "accent"), "idle": ("idle", "dim"), "disabled": ("- disabled", "dim"),
    "broken": ("x broken", "fail"),
}  # fmt: skip
MARKS = {state: word[0] for state, (word, _) in STATES.items()}
_GRAVITY = ("failed", "running", "interrupted", "warning", "cancelled", "waiting", "done")
RUNNING_S = 0.9
"""How often is asked while something runs."""
BEHIND, AHEAD = timedelta(hours=10), timedelta(hours=14)


def state(text: str) -> cols.Cell:
    """Return a state as a word with its symbol."""
    return STATES.get(text, (safe(text, 20), "warn-text"))


def when(at: datetime | None, now: datetime) -> str:
    """Return a time that is near as a person says it: today 14:05, Sun 04:00, 3 Jan 04:00."""
    if at is None:
        return "-"
    here = at.astimezone(now.tzinfo)
    days = (here.date() - now.date()).days
    if days == 0:
        return f"today {here:%H:%M}"
    if abs(days) < 7:
        return f"{here:%a %H:%M}"
    return f"{here.day} {here:%b %H:%M}" if abs(days) < 300 else f"{here:%Y-%m-%d}"


def last(run: RunRow | None, now: datetime) -> cols.Cell:
    """Return how a job went last, and when."""
    if run is None:
        return "never ran", "dim"
    mark, role = STATES.get(run.state, (run.state, "warn-text"))
    return f"{mark} {ago(run.ended or run.started, now).removesuffix(' ago')}", role


def took(run: RunRow, now: datetime) -> float:
    """Return for how many seconds a run has been or was under way."""
    return max(0.0, ((run.ended or now) - run.started).total_seconds())


def amount(run: RunRow) -> str:
    """Return how much a run has done: ``8,112 of 19,840 objects``."""
    unit = safe(run.unit, 20)
    if run.total:
        return f"{count(run.done)} of {count(run.total)} {unit}".strip()
    return f"{count(run.done)} {unit}".strip() if run.done else ""


def speed(run: RunRow) -> str:
    """Return how fast a run is and what is left: ``4.1 of 9.9 GB  31 MB/s  left 3:02  2 errors``."""
    told = []
    if run.done_bytes:
        told.append(size(run.done_bytes) + (f" of {size(run.total_bytes)}" if run.total_bytes else ""))
    if run.bytes_per_s:
        told.append(f"{size(run.bytes_per_s)}/s")
    if run.per_s and not run.bytes_per_s:
        told.append(f"{run.per_s:,.0f}/s" if run.per_s >= 10 else f"{run.per_s:.1f}/s")
    if run.left_s is not None:
        told.append(f"left {duration(run.left_s)}")
    if run.errors:
        told.append(plural(run.errors, "error"))
    return "  ".join(told)


def progress(run: RunRow, width: int, now: datetime, waits: str = "") -> list[Line]:
    """Return two lines of a run under way: a bar with what it did, and how fast with what it is at.

    ``waits`` says what one waits for that waits.
    """
    head = Line(f"{safe(run.job, 64)}  ", "strong")
    if run.state == "waiting":
        head.add(f"waits for {safe(waits, 100) or 'its turn'}", "accent").cut(width)
        return [head, Line(f"  by {safe(run.started_by, 64)}", "dim")]
    total, done = (run.total_bytes, run.done_bytes) if run.total_bytes else (run.total, run.done)
    part = done / total if total else 0.0
    if total:
        told = f" {min(1.0, part):4.0%}  {amount(run)}"
        head.extend(bar(part, max(4, min(40, width - head.width - len(told) - 2)))).add(told)
    else:
        head.add(amount(run) or "at work", "accent")
    by = f"for {duration(took(run, now))}, by {safe(run.started_by, 64)}"
    below = Line("  ").add(speed(run), "strong")
    below.add("  " if speed(run) else "").add(by, "dim")
    if run.now:
        below.add("  now: ", "dim").add(safe(run.now, 300))
    return [head.cut(width), below.cut(width)]


# the day


class Day:
    """The hours around now, on a line of ``width`` cells."""

    def __init__(self, view: JobsView, now: datetime, width: int) -> None:
        self.view = view
        self.now = now
        self.width = max(1, width)
        self.begin = now - BEHIND
        self.span = (BEHIND + AHEAD).total_seconds()
        self.at_now = self.cell(now)

    def cell(self, at: datetime) -> int:
        """Return the cell of a time; it may lie outside of the line."""
        return int((at - self.begin).total_seconds() / self.span * self.width)

    def marks(self, jobs: Iterable[JobRow], ahead: bool = True) -> Line:
        """Return runs that were, the gravest of a cell, now, and runs that come."""
        names = {row.name for row in jobs}
        cells: list[tuple[str, str] | None] = [None] * self.width
        worst = [len(_GRAVITY)] * self.width
        for row in self.view.planned if ahead else ():
            at = self.cell(row.at)
            if row.job in names and self.at_now < at < self.width:
                cells[at] = ("\u00b7", "dim")
        for run in (*self.view.recent, *self.view.running):
            if run.job not in names:
                continue
            grave = _GRAVITY.index(run.state) if run.state in _GRAVITY else 0
            role = STATES.get(run.state, ("", "warn-text"))[1]
            end = self.cell(run.ended or self.now)
            for at in range(max(0, self.cell(run.started)), min(end, self.at_now, self.width - 1) + 1):
                if grave < worst[at]:
                    worst[at] = grave
                    cells[at] = (MARKS.get(run.state, "?"), role)
        if self.at_now < self.width and cells[self.at_now] is None:
            cells[self.at_now] = ("\u2502", "accent")
        line = Line()
        for cell in cells:
            line.add(*(cell or (" ", "text")))
        return line

    def axis(self) -> Line:
        """Return the hours below."""
        texts = [" "] * self.width
        step = 3 if self.width >= 40 else 6
        hour = self.begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        while self.cell(hour) < self.width - 5:
            at = self.cell(hour)
            if hour.hour % step == 0 and abs(at - self.at_now) > 5 and at >= 0:
                texts[at : at + 5] = list(f"{hour:%H:%M}")
            hour += timedelta(hours=1)
        line = Line("".join(texts[: self.at_now]), "dim")
        label = "now"[: max(0, self.width - self.at_now)]
        return line.add(label, "accent").add("".join(texts[self.at_now + len(label) :]), "dim")


def day_lines(view: JobsView, now: datetime, width: int, height: int) -> list[Line]:
    """Return the day: a row for each job where there is room, else all of them in one; the hours below."""
    rows = sorted(view.jobs, key=lambda row: (not (row.last or row.next_run), row.quiet, row.name))
    rows = [row for row in rows if row.last is not None or row.next_run is not None]
    if height <= 3 or width < 60 or not rows:
        day = Day(view, now, width)
        loud = [row for row in view.jobs if not row.quiet]
        return [day.marks(loud), day.axis()][:height]
    label = min(24, max(len(row.name) for row in rows[: height - 1]) + 1)
    day = Day(view, now, width - label)
    shown: Sequence[JobRow] = rows[: height - 1]
    lines = [Line(fit(safe(row.name, 64), label), "dim").extend(day.marks([row])) for row in shown]
    return [*lines, Line(" " * label).extend(day.axis())]
