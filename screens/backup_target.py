"""One target in full, as it is now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from textual import on
from textual.widget import Widget

from pacstui.contract.backups import LockRow, TargetRow
from pacstui.contract.jobs import RunRow
from pacstui.errors import PacsError
from pacstui.text import ago, plural, safe, size
from screens import backup_words
from screens.backup_page import KEYS, BackupPage
from screens.backup_run import show_run
from screens.backup_work import lock_lines
from screens.panels.backups import BackupPanel
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

LABEL = 11


def detail(row: TargetRow, now: datetime, width: int) -> list[Line]:
    """Return all that is known of a target."""
    lines = backup_words.problem(row, width)

    def fact(label: str, text: str, role: str = "text") -> None:
        lines.extend(words(text, width, role, LABEL, Line(fit(label, LABEL), "dim")))

    word, role = backup_words.state(row)
    fact("state", word, role)
    fact("address", f"{safe(row.url, 300)} ({safe(row.kind, 20)}{', encrypted' if row.encrypted else ''})")
    goal = f"goal: at least every {backup_words.short(row.objective_h * 3600)}" if row.objective_h else "no goal"
    if row.last_good is None:
        fact("last good", f"never ({goal})", "warn")
    else:
        late = bool(row.objective_h) and (now - row.last_good).total_seconds() > row.objective_h * 3600
        stamp = f"{row.last_good.astimezone():%Y-%m-%d %H:%M}, {ago(row.last_good, now)}"
        fact("last good", f"{stamp} ({goal})", "warn" if late else "text")
    fact("unsaved", f"{plural(row.unsaved, 'instance')}, {size(row.unsaved_bytes)}" if row.unsaved else "nothing")
    fact("holds", f"{size(row.bytes)} in {plural(row.snapshots, 'snapshot')}")
    fact("kept", safe(row.kept, 200) or "-")
    grows = row.growth_bytes_per_day
    free = "the target does not tell" if row.free_bytes is None else size(row.free_bytes)
    if row.free_bytes is not None and grows > 0:
        days = int(row.free_bytes / grows)
        full = f", full in {plural(days, 'day')}" if days < 3650 else ""
        fact("free", f"{free}{full}", "warn" if days < 30 else "text")
    else:
        fact("free", free)
    fact("growth", f"{size(grows)} a day" if grows else "nothing, in the last two weeks")
    fact("verified", *backup_words.verdict(row.checked, row.checked_ok, row.checked_at, now))
    fact("drill", *backup_words.verdict(row.drill, row.drill_ok, row.drill_at, now))
    upcoming = f"{row.next_run.astimezone():%a %Y-%m-%d %H:%M}" if row.next_run else "only by hand"
    fact("next", "runs now" if row.run else upcoming, "good" if row.run else "text")
    return lines


class TargetPanel(BackupPanel):
    """The chosen target, beside the list where it is wide."""

    can_focus = False

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row = self.page.target()
        if row is None:
            return [Section(Line("Target", "title"))]
        title = Line("Target ", "title").add(safe(row.name, 64), "strong")
        return [Section(title, [Item(detail(row, self.page.at(), width))])]


class TargetPagePanel(BackupPanel):
    """A target's page."""

    def __init__(self, name: str) -> None:
        super().__init__(id="page")
        self.named = name
        self.held: LockRow | None = None

    def sections(self, width: int, height: int) -> Sequence[Section]:
        page, title = self.page, Line(safe(self.named, 64), "title")
        row = page.target()
        if page.fault is not None and row is None:
            return [Section(title, [Item(words(safe(str(page.fault), 400), width, "fail", 2, Line("x ", "fail")))])]
        if page.known is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        if row is None:
            return [Section(title, [Item([Line("x this target is no longer configured", "fail")])])]
        now = page.at()
        note = Line("x as it was: the node does not answer", "fail") if page.fault is not None else None
        sections = [Section(title, [Item(detail(row, now, width))], note)]
        for run in page.known.running:
            if run.id == row.run:
                lines = [backup_words.progress(run, width), backup_words.facts(run, width, self.console_app.privacy)]
                name = backup_words.name_of(run, page.known)
                head = Line("Running: ", "title").add(name, "strong").add(f", {backup_words.begun(run, now)}", "dim")
                sections.append(Section(head, [Item(lines, ("run", run.id))], Line("Enter: its log", "dim")))
        if self.held is not None:
            stale = bool(self.held.stale)
            told = ("! stale: u removes it", "warn") if stale else ("in use", "dim")
            head = Line("Lock  ", "title").add(*told)
            sections.append(Section(head, [Item(lock_lines(self.held, now, width))]))
        return sections


class TargetScreen(BackupPage):
    """One target."""

    TITLE_WORDS = "Target"
    ABOUT = (
        "All that is known of a target, as it is now: how old its last good snapshot is, what is not saved yet, how it "
        "was verified, whether a restore was rehearsed, who holds it. Enter on what runs shows its log."
    )
    KEYS = KEYS

    def __init__(self, name: str) -> None:
        super().__init__()
        self._named = name
        self._lock_for: tuple[object, ...] | None = None

    def body(self) -> Iterable[Widget]:
        yield TargetPagePanel(self._named)

    def target(self) -> TargetRow | None:
        known = self.known
        return next((row for row in known.targets if row.name == self._named), None) if known is not None else None

    def bring_up(self) -> None:
        row = self.target()
        now = (row.state, row.problem, row.run) if row is not None else None
        if now is not None and self._lock_for != now:
            self._lock_for = now
            self.console_app.keep(self._look_at_lock())
        self.query_one(TargetPagePanel).redraw()

    def unlocked(self) -> None:
        self._lock_for = None
        self.renew()

    async def _look_at_lock(self) -> None:
        app = self.console_app
        try:
            lock = await app.client.backups.lock(target=self._named)
        except (PacsError, OSError, TimeoutError):
            lock = None  # the target is away; its problem says so
        if self.is_attached:
            panel = self.query_one(TargetPagePanel)
            panel.held = lock
            panel.redraw()

    @on(Panel.Chosen)
    def _open(self, event: Panel.Chosen) -> None:
        runs: Sequence[RunRow] = self.known.running if self.known is not None else ()
        for run in runs:
            if event.id == ("run", run.id):
                show_run(self.console_app, run, backup_words.name_of(run, self.known))
