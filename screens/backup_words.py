"""How targets, snapshots, runs and what would be lost are written, on every page about backups alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from pacstui.contract import actions_of
from pacstui.contract.backups import Backups, BackupsView, Loss, SnapshotRow, TargetRow
from pacstui.contract.jobs import RunRow
from pacstui.text import ago, count, plural, safe, size
from screens.privacy import Privacy
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import words
from screens.widgets.plot import bar

STATES = {
    "good": ("= good", "good"), "late": ("! late", "warn"), "never": ("! never", "warn"), "away": ("x away", "fail"),
    "failed": ("x failed", "fail"),
}  # fmt: skip
ENDS = {
    "running": ("> running", "good"), "done": ("= done", "good"), "warning": ("! done with warnings", "warn"),
    "failed": ("x failed", "fail"), "cancelled": ("- cancelled", "warn"), "interrupted": ("! interrupted", "warn"),
}  # fmt: skip
CONFIGURE = ("[[backups.targets]]", 'name = "nas"', 'url = "/mnt/nas/pacs"')
"""What makes the first target."""
_KEYS = {each.method: each.key for each in actions_of(Backups).values() if each.key}
_COMMAND = re.compile(r"pacstui backup ([a-z]+)(?: --[a-z]+)* --target (?:'[^']*'|[^\s;:]+)")


def short(seconds: float) -> str:
    """Return a length of time in one unit: ``40 s``, ``12 min``, ``26 h``, ``3 d``."""
    for unit, length, upto in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172_800)):
        if seconds < upto:
            return f"{max(0, int(seconds // length))} {unit}"
    return f"{int(seconds // 86_400)} d"


def about(seconds: float) -> str:
    """Return a length of time in two units: ``40 s``, ``3 min``, ``6 h 10 min``, ``2 d 4 h``."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def stamp(at: datetime, now: datetime) -> str:
    """Return a moment of the past in 12 cells: with the time of day, a long time ago with the year."""
    here = at.astimezone()
    return f"{here:%d %b %H:%M}" if abs((now - at).days) < 300 else f"{here:%d %b %Y}"


def coming(at: datetime, now: datetime) -> str:
    """Return a moment of the next days in 9 cells."""
    here, away = at.astimezone(), at - now
    if away < timedelta(hours=24):
        return f"{here:%H:%M}" if away > timedelta(0) else "due"
    return f"{here:%a %H:%M}" if away < timedelta(days=6) else f"{here:%d %b}"


def state(row: TargetRow) -> tuple[str, str]:
    """Return a target's state as a word and its role."""
    return STATES.get(row.state, (safe(row.state, 20), "warn"))


def last_good(row: TargetRow, now: datetime) -> cols.Cell:
    """Return how old the last good snapshot is against how old it may be."""
    goal = short(row.objective_h * 3600) if row.objective_h else ""
    of = f" of {goal}" if goal else ""
    if row.last_good is None:
        return "never", "warn"
    age = (now - row.last_good).total_seconds()
    told = f"{short(age)}{of}"
    told = told if len(told) <= 12 else f"{short(age)}/{goal}"
    return told, "warn" if goal and age > row.objective_h * 3600 else "text"


def drill(row: TargetRow, now: datetime) -> cols.Cell:
    """Return how the last drill went and how long ago that was."""
    if row.drill_ok is None:
        return "never", "warn-text"
    since = (now - row.drill_at).total_seconds() if row.drill_at else -1
    age = "" if since < 0 else " <1 h" if since < 3600 else f" {short(since)}"
    return (f"ok{age}", "good") if row.drill_ok else (f"x{age}", "fail")


def following(row: TargetRow, now: datetime) -> cols.Cell:
    """Return when a target is next backed up."""
    if row.run:
        return "> running", "good"
    return coming(row.next_run, now) if row.next_run else ("by hand", "dim")


def growth(row: TargetRow) -> str:
    """Return what snapshots add in a day."""
    return f"{size(row.growth_bytes_per_day)}/d" if row.growth_bytes_per_day else "-"


def problem(row: TargetRow, width: int) -> list[Line]:
    """Return what is wrong with a target and what mends it, in full; nothing where nothing is."""
    lines: list[Line] = []
    if row.problem:
        mark, role = state(row)[0][:1], state(row)[1]
        if mark not in "x!":
            mark, role = "!", "warn"
        lines += words(safe(row.problem, 600), width, role, 2, Line(f"{mark} ", role))
    if row.hint:
        lines += words(safe(in_keys(row.hint), 600), width, "strong", 2, Line("> ", "accent"))
    return lines


def in_keys(hint: str) -> str:
    """Return a hint with the keys of these pages in place of the commands that do the same."""
    return _COMMAND.sub(lambda found: _KEYS.get(found[1], found[0]), hint)


def verdict(words_said: str, ok: bool | None, at: datetime | None, now: datetime) -> tuple[str, str]:
    """Return how a verification or a drill went, and its role."""
    if ok is None:
        return "not yet", "warn-text"
    when = f", {ago(at, now)}" if at else ""
    mark = "" if ok else "x "
    return f"{mark}{safe(words_said, 300) or ('well' if ok else 'failed')}{when}", "good" if ok else "fail"


def checked(row: SnapshotRow) -> cols.Cell:
    """Return what a snapshot lacks and how it was verified."""
    told = safe(row.checked, 100).replace(", 0 differences", ": good")
    if row.doubted:
        return f"x not trusted: {safe(row.signature, 100)}", "fail"
    if row.missing:
        return f"! {count(row.missing)} missing" + (f"; {told}" if told else ""), "warn"
    if row.checked_ok is None:
        return told or "not yet", "dim"
    return (told or "well", "good") if row.checked_ok else (f"x {told or 'failed'}", "fail")


def keeps(row: SnapshotRow) -> str:
    """Return which rules keep a snapshot."""
    return ", ".join(safe(rule, 20) for rule in row.keeps)


# runs


def name_of(run: RunRow, view: BackupsView | None) -> str:
    """Return what a run does to which target."""
    row = next((t for t in view.targets if t.run == run.id), None) if view is not None else None
    return f"{safe(run.kind, 32)} of {safe(row.name, 64)}" if row is not None else safe(run.job or run.kind, 64)


def begun(run: RunRow, now: datetime) -> str:
    """Return when a run began and by whom."""
    here = run.started.astimezone()
    at = f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%-d %b %H:%M}"
    return f"started {at} by {safe(run.started_by, 64)}"


def part_done(run: RunRow) -> float | None:
    """Return how much of a run is done, from 0 to 1, none while nobody can tell."""
    for done, total in ((run.done, run.total), (run.done_bytes, run.total_bytes)):
        if total > 0:
            return min(1.0, done / total)
    return None


def progress(run: RunRow, width: int) -> Line:
    """Return the bar of a run, its percentage and what is counted."""
    part = part_done(run)
    unit = safe(run.unit, 32)
    if part is None:
        done = f"{count(run.done)} {unit}".rstrip()
        return Line(f"{done} so far; how many there are is being found out").cut(width)
    numbers = f"{count(run.done)} of {count(run.total)} {unit}" if run.total else f"{count(run.done)} {unit}"
    line = bar(part, max(4, min(40, width - len(numbers) - 9)))
    return line.add(f" {part * 100:3.0f}%", "strong").add(f"   {numbers}").cut(width)


def facts(run: RunRow, width: int, privacy: Privacy) -> Line:
    """Return bytes, rate, time left, errors and what a run works on, in one line."""
    line = Line()
    if run.total_bytes or run.done_bytes:
        line.add(f"{size(run.done_bytes)} of {size(run.total_bytes)}" if run.total_bytes else size(run.done_bytes))
        line.add("  ")
    if run.state == "running":
        line.add(speed(run), "accent").add("  ")
        line.add(left(run)).add("  ")
    line.add(f"x {plural(run.errors, 'error')}" if run.errors else "0 errors", "fail" if run.errors else "dim")
    if run.now:
        line.add("  now: ", "dim").add(privacy.sentence(run.now))
    return line.cut(width)


def speed(run: RunRow) -> str:
    """Return how fast a run is."""
    return f"{size(run.bytes_per_s)}/s" if run.bytes_per_s else f"{run.per_s:.0f}/s" if run.per_s else "-/s"


def left(run: RunRow) -> str:
    """Return how long a run will still take."""
    return f"left {about(run.left_s)}" if run.left_s is not None else "left: not known"


def ended(run: RunRow) -> tuple[str, str]:
    """Return how a run ended, in words, and its role."""
    word, role = ENDS.get(run.state, (safe(run.state, 20), "warn"))
    return word, role


# what would be lost


def loss(row: Loss, targets: Sequence[TargetRow], now: datetime, width: int) -> list[Line]:
    """Return what would be lost if the archive's disk died now, and how long the way back takes."""
    if row.since is None:
        all_of_it = f"everything: {plural(row.instances, 'instance')} of {plural(row.studies, 'study', 'studies')}"
        lines = [Line("lost: ", "dim").add(f"x {all_of_it}, {size(row.bytes)}", "fail").cut(width)]
        if targets:
            lines.append(Line("no target has a good snapshot: ", "text").add("b", "key").add(" makes one"))
        else:
            lines.append(Line("there would be no way back", "text"))
        return lines
    here = row.since.astimezone()
    since = f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%-d %b %H:%M}"
    if row.instances:
        text = f"{plural(row.instances, 'instance')} of {plural(row.studies, 'study', 'studies')}, {size(row.bytes)}, "
        lost = Line("lost: ", "dim").add(text + f"received since {since}", "strong")
    else:
        lost = Line("lost: ", "dim").add(f"nothing: all of it is saved since {since}", "good")
    tail = f" ({ago(row.since, now)}, {safe(row.target, 64)})"
    lost.add(tail if lost.width + len(tail) <= width else f" ({safe(row.target, 64)})", "dim")
    if row.restore_s is None:
        back = Line("back in: ", "dim").add("not known before the first drill; ", "warn-text").add("t", "key")
        back.add(" rehearses a restore")
    else:
        measured = f"the drill of {row.measured_at.astimezone():%-d %b}" if row.measured_at else "the last drill"
        back = Line("back in about ", "dim").add(about(row.restore_s), "strong")
        back.add(f" (measured in {measured}: {size(row.rate_bytes_per_s)}/s)", "dim")
    return [lost.cut(width), back.cut(width)]
