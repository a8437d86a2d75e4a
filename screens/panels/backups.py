"""The panels of the Backups screen: targets, what runs, what would be lost, the chosen target, its growth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, cast

from textual.message import Message
from textual.strip import Strip

from pacstui.contract.backups import SnapshotRow, TargetRow
from pacstui.contract.jobs import RunRow
from pacstui.text import ago, count, plural, safe, size
from screens import backup_words
from screens.widgets import columns as cols
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.plot import bar, chart
from screens.widgets.row_table import RowTable

if TYPE_CHECKING:
    from datetime import datetime

    from screens.backup_page import BackupPage

C = cols.Column
TARGETS = (
    C("target", 8, grow=3, most=24, role="strong"),
    C("state", 8),
    C("last good", 12),
    C("unsaved", 9, align=">"),
    C("growth", 9, align=">", rank=1),
    C("drill", 7),
    C("next", 9),
    C("snaps", 5, align=">", rank=2),
    C("holds", 8, align=">", rank=3),
    C("free", 8, align=">", rank=4),
)
SNAPSHOTS = (
    C("", 1),
    C("when", 12, role="strong"),
    C("studies", 7, align=">"),
    C("instances", 10, align=">"),
    C("size", 8, align=">", rank=2),
    C("checked", 13, grow=4, most=36),
    C("by", 8, grow=1, rank=1, most=20),
    C("kept by", 10, grow=2, rank=3, most=28, role="dim"),
    C("new", 9, align=">", rank=4),
    C("new size", 8, align=">", rank=5),
    C("took", 9, align=">", rank=6, role="dim"),
)
DETAIL_MOST = 4
"""Lines below the targets for what is wrong with the chosen one; Enter shows all of it."""


class BackupPanel(Panel):
    """A panel of a page about backups."""

    @property
    def page(self) -> BackupPage:
        """The page that it is on, which knows what the node has told."""
        return cast("BackupPage", self.screen)


class TargetsPanel(BackupPanel):
    """All targets; what is wrong with the chosen one in words."""

    class Moved(Message):
        """Another target was chosen."""

    def __init__(self) -> None:
        super().__init__(id="targets")
        self._told: object = None
        self._pointed = False
        self._first = 0

    @property
    def chosen(self) -> TargetRow | None:
        """The target that the keys act on."""
        known = self.page.known
        rows = known.targets if known is not None else ()
        return next((row for row in rows if ("target", row.name) == self.cursor), rows[0] if rows else None)

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        known = self.page.known
        if known is not None and known.targets and not self._pointed:
            self._pointed = True
            grave = {"fail": 0, "warn": 1}
            worst = min(known.targets, key=lambda row: grave.get(backup_words.state(row)[1], 2))
            self.cursor = ("target", worst.name)
        drawn = super().draw(width, height)
        if self.cursor != self._told:
            self._told = self.cursor
            self.post_message(self.Moved())
        return drawn

    def needs(self, width: int) -> int:
        """Return the lines that it takes, frame included, whichever target is chosen."""
        known = self.page.known
        if known is None or not known.targets:
            return 5
        return 3 + min(len(known.targets), 6) + self._reserved(width - 4)

    def _reserved(self, width: int) -> int:
        known = self.page.known
        if known is None or self.page.has_class("-wide"):
            return 0
        return min(DETAIL_MOST, max(1, *(len(backup_words.problem(row, width)) for row in known.targets)))

    def sections(self, width: int, height: int) -> Sequence[Section]:
        known, fault = self.page.known, self.page.fault
        title = Line("Targets  ", "title")
        if known is None:
            said = Line("asking the node", "dim") if fault is None else Line(f"x {safe(fault.message, 300)}", "fail")
            return [Section(title, [Item([said])])]
        if not known.targets:
            return [Section(title.add("none", "warn"), [Item(self._first_steps(width))])]
        note = None
        if fault is not None and self.page.fault_since is not None:
            since = f"{self.page.fault_since.astimezone():%H:%M:%S}"
            note = Line(f"x as it was at {since}: {safe(fault.message, 60)}", "fail").cut(max(0, width - 20))
        title.add(count(len(known.targets)), "strong")
        now, inside = self.page.at(), max(1, width - 2)
        widths = cols.share(TARGETS, inside)
        items = [Item([Line("  ").extend(cols.heads(TARGETS, widths))])]
        chosen = self.chosen
        below = min(self._reserved(width), max(0, height - 2))
        in_sight = self._in_sight(known.targets, max(1, height - 1 - below))
        if note is None and len(in_sight) < len(known.targets):
            note = Line(f"{self._first + 1}\u2013{self._first + len(in_sight)} of {len(known.targets)}", "dim")
        for row in in_sight:
            here = chosen is not None and row.name == chosen.name
            mark = "\u25b9 " if here and not self.lit else "  "  # with the keys here the cursor has a mark of its own
            line = Line(mark, "key").extend(cols.row(TARGETS, widths, self._cells(row, now)))
            items.append(Item([line], ("target", row.name)))
        if chosen is not None and not self.page.has_class("-wide"):
            room = max(1, height - len(items))
            items.append(Item(self._detail(chosen, width, room)[:room]))
        return [Section(title, items, note)]

    def _in_sight(self, rows: Sequence[TargetRow], room: int) -> Sequence[TargetRow]:
        """Return the rows that have place, the chosen one among them."""
        chosen = self.chosen
        at = rows.index(chosen) if chosen is not None else 0
        self._first = max(0, min(max(self._first, at - room + 1), at, len(rows) - room))
        return rows[self._first : self._first + room]

    def action_move(self, by: int) -> None:
        """Choose another target."""
        known, chosen = self.page.known, self.chosen
        if known is None or chosen is None:
            super().action_move(by)
            return
        at = known.targets.index(chosen) + by
        self.cursor = ("target", known.targets[max(0, min(at, len(known.targets) - 1))].name)
        self.redraw()

    def _cells(self, row: TargetRow, now: datetime) -> Sequence[cols.Cell]:
        return (
            safe(row.name, 64),
            backup_words.state(row),
            backup_words.last_good(row, now),
            (count(row.unsaved), "text" if row.unsaved else "dim"),
            backup_words.growth(row),
            backup_words.drill(row, now),
            backup_words.following(row, now),
            count(row.snapshots),
            size(row.bytes),
            size(row.free_bytes) if row.free_bytes is not None else ("-", "dim"),
        )

    def _detail(self, row: TargetRow, width: int, room: int) -> list[Line]:
        wrong = backup_words.problem(row, width)
        if wrong:
            return wrong
        now = self.page.at()
        verified, role = backup_words.verdict(row.checked, row.checked_ok, row.checked_at, now)
        free = f", {size(row.free_bytes)} free" if row.free_bytes is not None else ""
        lines = [Line("verified: ", "dim").add(verified, role).cut(width)]
        lines.append(Line("drill: ", "dim").add(*backup_words.verdict(row.drill, row.drill_ok, row.drill_at, now)))
        held = f"{size(row.bytes)} in {plural(row.snapshots, 'snapshot')}{free}"
        lines.append(Line("holds: ", "dim").add(f"{held}, {'' if row.encrypted else 'not '}encrypted").cut(width))
        return lines

    def _first_steps(self, width: int) -> list[Line]:
        lines = words("There is no backup target, so nothing is safe elsewhere. Write one into the configuration, "
                      "on another disk than the archive's, better in another building:", width)  # fmt: skip
        lines.append(Line())
        lines += [Line("    " + text, "strong") for text in backup_words.CONFIGURE]
        lines.append(Line("    # or a bucket: ", "dim").add('url = "s3://bucket/pacs"', "strong"))
        lines.append(Line())
        told = "check it with pacstui check-config, restart the node, then: pacstui backup targets"
        lines += words(told, width, "text", 2, Line("> ", "accent"))
        return lines


class NowPanel(BackupPanel):
    """What runs, and what would be lost if the disk died now."""

    def __init__(self) -> None:
        super().__init__(id="now")
        self.last: tuple[str, RunRow] | None = None

    @property
    def room(self) -> int:
        """How many lines the runs have."""
        known = self.page.known
        number = len(known.running) if known is not None else 0
        if self.page.has_class("-tall"):
            return max(4, min(2 * number, 6))
        return max(1 if self.page.size.height < 20 else 2, min(number, 3))

    @property
    def needs(self) -> int:
        """Lines that it takes, frame included."""
        known = self.page.known
        return self.room + 5 if known is None or known.targets else 4

    @property
    def chosen(self) -> RunRow | None:
        """The run under the cursor."""
        known = self.page.known
        return next((run for run in known.running if ("run", run.id) == self.cursor), None) if known else None

    def sections(self, width: int, height: int) -> Sequence[Section]:
        known = self.page.known
        if known is None:
            return [Section(Line("Running", "title"), [Item([Line()])])]
        runs = known.running
        if len(runs) == 1:
            name = backup_words.name_of(runs[0], known)
            since = backup_words.begun(runs[0], self.page.at())
            title = Line("Running: ", "title").add(name, "strong").add(f", {since}", "dim")
        else:
            title = Line("Running", "title").add(f"  {count(len(runs))}" if runs else "", "strong")
        room = self.room if height >= self.room + 3 else max(1, height - 3)
        items = self._runs(runs, width, room) if runs else [Item(self._idle(width))]
        used = sum(len(item.lines) for item in items)
        items.append(Item([Line()] * max(0, room - used)))
        loss = backup_words.loss(known.loss, known.targets, self.page.at(), width)
        sections = [Section(title, items), Section(Line("If the disk died now", "title"), [Item(loss)])]
        return sections if known.targets else sections[1:]

    def _runs(self, runs: Sequence[RunRow], width: int, room: int) -> list[Item]:
        privacy = self.console_app.privacy
        if len(runs) == 1:
            lines = [backup_words.progress(runs[0], width), backup_words.facts(runs[0], width, privacy)][:room]
            return [Item(lines, ("run", runs[0].id))]
        items = []
        each = 2 if room >= 2 * len(runs) else 1
        for run in runs:
            name = fit(backup_words.name_of(run, self.page.known), 18)
            if each == 2:
                line = Line(name, "strong").add("  ").extend(backup_words.progress(run, width - 20))
                items.append(Item([line, Line("  ").extend(backup_words.facts(run, width - 2, privacy))],
                                  ("run", run.id)))  # fmt: skip
                continue
            part = backup_words.part_done(run)
            line = Line(name, "strong").add("  ")
            line.extend(bar(part, 10) if part is not None else Line(fit("counting", 10), "dim"))
            line.add(f" {part * 100:3.0f}%" if part is not None else "    -", "strong").add("  ")
            line.add(f"x {plural(run.errors, 'error')}  " if run.errors else "", "fail")
            line.add(backup_words.left(run)).add(f"  {backup_words.speed(run)}", "accent")
            line.add(f"  {count(run.done)} of {count(run.total)}" if run.total else "", "dim")
            items.append(Item([line.cut(width)], ("run", run.id)))
        return items

    def _idle(self, width: int) -> list[Line]:
        known, now = self.page.known, self.page.at()
        if self.last is not None:
            name, run = self.last
            word, role = backup_words.ended(run)
            line = Line(f"{word}: ", role).add(name, "strong")
            line.add(f" {ago(run.ended, now)}" if run.ended else "", "dim")
            line.add(f": {self.console_app.privacy.sentence(run.text)}" if run.text else "")
            first = line.cut(width)
        else:
            first = Line("Nothing runs.", "dim")
        due = [(row.next_run, row.name) for row in (known.targets if known else ()) if row.next_run is not None]
        second = Line("next: ", "dim")
        if due:
            at, name = min(due)
            second.add(f"{safe(name, 64)} {backup_words.coming(at, now)}")
        else:
            second.add("nothing by itself", "warn-text")
        second.add("; ", "dim").add("b", "key").add(" backs the chosen target up now", "dim")
        return [first, second.cut(width)]


class SnapshotTable(RowTable[SnapshotRow]):
    """Snapshots of the chosen target; at the upper edge which rules keep the chosen one."""

    def __init__(self) -> None:
        super().__init__(
            SNAPSHOTS,
            self._written,
            lambda row: row.id,
            lambda row: f"{row.at.astimezone():%Y-%m-%d %d %b %H:%M} {row.by} {row.checked} {' '.join(row.keeps)}",
            id="snapshots",
        )
        self.marked: SnapshotRow | None = None
        self.heading = ("Snapshots", "")

    def _written(self, row: SnapshotRow) -> Sequence[cols.Cell]:
        now = cast("BackupPage", self.screen).at()
        mark = ("m", "accent") if self.marked is not None and row.id == self.marked.id else None
        bad = ("!", "warn") if row.missing else ("x", "fail") if row.checked_ok is False else (" ", "dim")
        return (
            mark or bad,
            backup_words.stamp(row.at, now),
            count(row.studies),
            (count(row.instances), "warn-text") if row.missing else count(row.instances),
            size(row.bytes),
            backup_words.checked(row),
            safe(row.by, 64),
            backup_words.keeps(row) or ("no rule", "warn-text"),
            count(row.new_instances),
            size(row.new_bytes),
            backup_words.about(row.seconds),
        )

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        row = self.selected
        title, kept = self.heading
        self.title = Line(title, "title").add(f": {kept}" if kept and self.marked is None else "", "dim")
        column = cols.share(self.columns, max(1, width - 5))[7]
        if self.marked is not None:
            when = f"{self.marked.at.astimezone():%d %b %H:%M}"
            self.note = Line(f"{when} is marked: m on another compares, esc not", "accent")
        elif row is not None and not column:
            self.note = Line(f"kept by {backup_words.keeps(row) or 'no rule'}", "dim")
        else:
            self.note = Line("Enter browses, m marks one to compare", "dim") if row is not None else None
        return super().draw(width, height)


class GrowthPanel(BackupPanel):
    """What snapshots added on each of the last days."""

    def __init__(self) -> None:
        super().__init__(id="growth")
        self.rows: Sequence[SnapshotRow] = ()

    def sections(self, width: int, height: int) -> Sequence[Section]:
        title = Line("Added by day", "title")
        if not self.rows:
            return [Section(title, [Item([Line("no snapshot yet", "dim")])])]
        today = self.page.at().astimezone().date()
        by_day: dict[date, int] = defaultdict(int)
        for row in self.rows:
            by_day[row.at.astimezone().date()] += row.new_bytes
        number = max(7, min(width - 12, 90))
        days = [today - timedelta(days=back) for back in reversed(range(number))]
        wide = max(1, (width - 12) // number)
        values = [float(by_day.get(each, 0)) for each in days for _ in range(wide)]
        lines = chart(values, width, max(2, height), size, low=1e6)
        return [Section(title, [Item(lines)], Line(f"last {number} days", "dim"))]
