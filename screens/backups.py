"""Backups: what is safe elsewhere, what is not, and how it gets back."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import Container, Horizontal
from textual.widget import Widget

from pacstui.contract.backups import BackupsView, SnapshotRow, TargetRow
from pacstui.contract.jobs import RunRow
from pacstui.errors import PacsError
from pacstui.text import safe
from screens import backup_words, keymap
from screens.backup_page import KEYS, BackupPage
from screens.backup_run import show_run
from screens.backup_target import TargetPanel, TargetScreen, detail
from screens.panels.backups import GrowthPanel, NowPanel, SnapshotTable, TargetsPanel
from screens.widgets.panel import Panel
from screens.widgets.row_table import RowTable

FEW = 5
"""Lines that the snapshots keep where there are many targets: frame, head and two of them."""
AGAIN_S = 10.0
"""After so long a list of snapshots that could not be had is asked for again."""


class BackupsScreen(BackupPage):
    """All targets, what runs, the snapshots of the chosen target."""

    TITLE_WORDS = "Backups"
    MODE = "backups"
    ABOUT = (
        "Targets: how old the last good snapshot is against its goal, instances not saved yet, what snapshots add in "
        "a day, how the last restore drill went, what comes next. = good, ! late or never, x away or failed; below "
        "stands what is wrong with the chosen one and what mends it. tab goes on to what runs and to the snapshots. "
        "Enter on a target or a run shows it in full, on a snapshot its studies. b backs up, v verifies, t rehearses "
        "a restore, r restores: from the chosen snapshot when the cursor is there, else from the latest. m on two "
        "snapshots compares them. ! before a snapshot: instances could not be read and are missing in it. u shows who "
        "holds a target and removes a lock whose holder is gone."
    )
    AUTO_FOCUS = "#targets"
    KEYS = (*KEYS, keymap.acts("backups.compare", "compare", weight=4))

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, tuple[object, tuple[SnapshotRow, ...]]] = {}
        self._failed: dict[str, tuple[object, float, str]] = {}
        self._fetching = ""
        self._shown: tuple[object, ...] = ()
        self._marked_of = ""

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="top"):
            yield TargetsPanel()
            yield TargetPanel(id="target")
        yield NowPanel()
        with Container(id="bottom"):
            table = SnapshotTable()
            table.empty = ["asking the node"]
            yield table
            yield GrowthPanel()

    @property
    def _table(self) -> SnapshotTable:
        return self.query_one(SnapshotTable)

    @property
    def _now(self) -> NowPanel:
        return self.query_one(NowPanel)

    def target(self) -> TargetRow | None:
        return self.query_one(TargetsPanel).chosen

    def snapshot(self) -> SnapshotRow | None:
        table = self._table
        return table.selected if table.has_focus else None

    def run_meant(self) -> RunRow | None:
        chosen = self._now.chosen if self._now.has_focus else None
        return chosen or super().run_meant()

    def filtered(self) -> RowTable[SnapshotRow] | None:
        bare = self.known is not None and not self.known.targets
        return None if bare else self._table

    # what is shown

    def bring_up(self) -> None:
        self.set_class(self.known is not None and not self.known.targets, "-bare")
        self._arrange()
        for panel in self.query(Panel):
            panel.redraw()
        self._bring_up_snapshots()

    def on_resize(self, event: object) -> None:
        """Give the panels the lines that they need at this size."""
        self.call_after_refresh(self._arrange)

    def _arrange(self) -> None:
        if self.known is None:
            return
        width, height = self.size
        top, now = self.query_one("#top"), self._now
        need = self.query_one(TargetsPanel).needs(width)
        if self.has_class("-wide"):
            inside = max(20, width * 2 // 5 - 4)
            longest = max((len(detail(row, self.at(), inside)) for row in self.known.targets), default=0)
            need = max(need, min(longest + 2, 18 if self.has_class("-tall") else 9))
        below = now.needs
        most = height - 2 - below
        if self.known.targets:
            need = min(need, max(5, most - FEW if height >= 24 else most))
        else:
            need = most
        for widget, lines in ((top, need), (now, below)):
            if widget.styles.height is None or widget.styles.height.value != lines:
                widget.styles.height = lines

    def _bring_up_snapshots(self) -> None:
        row, table = self.target(), self._table
        if row is None:
            return
        key = (row.last_good, row.snapshots, row.checked_at)
        kept, failed = self._kept.get(row.name), self._failed.get(row.name)
        again = failed is None or failed[0] != key or self.console_app.door.clock() - failed[1] >= AGAIN_S
        current = kept is not None and kept[0] == key
        if not current and again and not self._fetching and self.console_app.away_since is None:
            self._fetching = row.name
            self.console_app.keep(self._load_snapshots(row.name, key))
        if self._marked_of != row.name:
            table.marked = None
        shown = (row.name, kept[0] if kept else None, failed[2] if failed else "", row.kept)
        if shown != self._shown:
            if self._shown[:1] != shown[:1]:
                table.cursor, table.top = None, 0
            self._shown = shown
            table.heading = (f"Snapshots of {safe(row.name, 64)}", safe(row.kept, 100))
            if kept is not None:
                table.empty = ["No snapshot yet. b takes the first one."]
            else:
                table.empty = [failed[2], "It is asked again."] if failed and failed[2] else ["asking the node"]
            table.show(kept[1] if kept is not None else ())
            growth = self.query_one(GrowthPanel)
            growth.rows = kept[1] if kept is not None else ()
            growth.redraw()
        table.redraw()

    async def _load_snapshots(self, name: str, key: object) -> None:
        app = self.console_app
        try:
            rows: tuple[SnapshotRow, ...] = await app.client.backups.snapshots(target=name)
        except (PacsError, OSError, TimeoutError) as error:
            told = error.message if isinstance(error, PacsError) else f"the node did not answer: {error}"
            self._failed[name] = (key, app.door.clock(), f"x {safe(told, 200)}")
        else:
            self._kept[name] = (key, tuple(rows))
            self._failed.pop(name, None)
        finally:
            self._fetching = ""
        if self.is_attached:
            self._bring_up_snapshots()

    @on(TargetsPanel.Moved)
    def _moved(self) -> None:
        for panel in self.query(TargetPanel):
            panel.redraw()
        self._bring_up_snapshots()

    def arrived(self, before: BackupsView | None, now: BackupsView) -> None:
        """Say how runs ended that were there a moment ago."""
        going = {run.id for run in now.running}
        over = [run for run in (before.running if before is not None else ()) if run.id not in going]
        if over and not self.console_app.door.lacks("jobs.view"):
            for run in over:
                self.console_app.keep(self._tell_end(run.id, backup_words.name_of(run, before)))

    async def _tell_end(self, ident: int, name: str) -> None:
        app = self.console_app
        run: RunRow | None = await app.fetch(app.client.jobs.run(id=ident))
        if run is None or not self.is_attached or run.state == "running":
            return
        self._now.last = (name, run)
        self._now.redraw()
        word, role = backup_words.ended(run)
        text = f": {app.privacy.sentence(run.text)}" if run.text else ""
        app.say(f"{word.lstrip('=!x- ')}: {name}{text}", role if role in ("fail", "warn") else "accent")

    # where Enter leads

    @on(Panel.Chosen, "#targets")
    def _open_target(self, event: Panel.Chosen) -> None:
        row = self.target()
        if row is not None:
            self.console_app.go(TargetScreen(row.name))

    @on(Panel.Chosen, "#now")
    def _open_run(self, event: Panel.Chosen) -> None:
        run = self._now.chosen
        if run is not None:
            show_run(self.console_app, run, backup_words.name_of(run, self.known))
        elif self._now.last is not None:
            name, last = self._now.last
            show_run(self.console_app, last, name)

    @on(RowTable.Chosen, "#snapshots")
    def _open_snapshot(self, event: RowTable.Chosen) -> None:
        row, snapshot = self.target(), self._table.selected
        if row is not None and snapshot is not None:
            from screens.snapshot import SnapshotScreen

            self.console_app.go(SnapshotScreen(row.name, snapshot))

    # comparing

    def action_compare(self) -> None:
        """Mark a snapshot; on another one compare the two."""
        app, table = self.console_app, self._table
        if not app.allowed("backups.compare"):
            return
        row, snapshot = self.target(), table.selected
        if row is None or snapshot is None:
            app.say("there is no snapshot to compare")
        elif table.marked is None:
            table.marked, self._marked_of = snapshot, row.name
            app.say(f"{snapshot.at.astimezone():%d %b %H:%M} is marked: m on another one compares the two")
            table.focus()
            table.redraw()
        elif table.marked.id == snapshot.id:
            self._unmark()
        else:
            from screens.snapshot import ChangesScreen

            before, after = sorted((table.marked, snapshot), key=lambda each: each.at)
            self._unmark()
            app.go(ChangesScreen(row.name, before, after))

    def _unmark(self) -> None:
        self._table.marked = None
        self._table.redraw()

    def action_back(self) -> None:
        """Forget the mark first, else go back."""
        if self._table.marked is not None:
            self._unmark()
        else:
            super().action_back()
