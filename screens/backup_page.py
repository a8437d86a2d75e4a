"""What the pages about backups share: they ask the node while they are in sight, and act on one target."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pacstui.contract.backups import BackupsView, SnapshotRow, TargetRow
from pacstui.contract.jobs import RunRow
from pacstui.contract.overview import View
from pacstui.errors import PacsError
from screens import backup_words, keymap
from screens import backup_work as work
from screens.base import ConsoleScreen

EVERY_S = 0.95
"""So that of views that come each second none is left out for coming a little early."""

KEYS = (
    replace(keymap.acts("backups.run", "back_up"), verb="back up"),
    keymap.acts("backups.verify", "verify"),
    keymap.acts("backups.drill", "drill"),
    keymap.acts("backups.restore", "restore"),
    keymap.acts("jobs.cancel", "cancel_run", weight=2),
    keymap.acts("backups.prune", "prune", weight=3),
    keymap.acts("backups.unlock", "unlock", weight=4),
)


class BackupPage(ConsoleScreen):
    """Base of these pages. Subclasses say which target is meant and redraw in :meth:`bring_up`."""

    def __init__(self) -> None:
        super().__init__()
        self.known: BackupsView | None = None
        self.fault: PacsError | None = None
        self.fault_since: datetime | None = None
        self._busy = False
        self._asked = float("-inf")

    def show(self, view: View) -> None:
        app = self.console_app
        due = app.door.clock() - self._asked >= EVERY_S
        if due and (self.known is None or not app.frozen):
            self.renew()
        self.bring_up()

    def bring_up(self) -> None:
        """Draw what is known."""

    def arrived(self, before: BackupsView | None, now: BackupsView) -> None:
        """Take note of what the node has just told."""

    def renew(self) -> None:
        """Ask the node."""
        app = self.console_app
        if not self._busy and app.away_since is None:
            self._busy = True
            self._asked = app.door.clock()
            app.keep(self._load())

    async def _load(self) -> None:
        app = self.console_app
        try:
            view: BackupsView = await app.client.backups.show()
        except (PacsError, OSError, TimeoutError) as error:
            self.fault = error if isinstance(error, PacsError) else PacsError(f"the node did not answer: {error}")
            self.fault_since = self.fault_since or app.now()
        else:
            before, self.known = self.known, view
            self.fault = self.fault_since = None
            if self.is_attached:
                self.arrived(before, view)
        finally:
            self._busy = False
        if self.is_attached:
            self.bring_up()

    def at(self) -> datetime:
        """Return the node's time, as far as it is known."""
        return work.node_time(self.console_app)

    # which target, snapshot and run the keys mean

    def target(self) -> TargetRow | None:
        """Return the target that the keys act on."""
        raise NotImplementedError

    def snapshot(self) -> SnapshotRow | None:
        """Return the snapshot that the keys act on, none for the latest."""
        return None

    def run_meant(self) -> RunRow | None:
        """Return the run that is cancelled: the target's, else the only one."""
        row, running = self.target(), self.known.running if self.known is not None else ()
        mine = [run for run in running if row is not None and run.id == row.run]
        return mine[0] if mine else running[0] if len(running) == 1 else None

    def _meant(self, name: str) -> TargetRow | None:
        """Return the target to act on, if the action may be done; say why if it may not."""
        app, row = self.console_app, self.target()
        if not app.allowed(name):
            return None
        if row is None:
            none = self.known is not None and not self.known.targets
            app.say("there is no target yet: write one into the configuration" if none else "the node is being asked")
        return row

    def action_back_up(self) -> None:
        """Back the target up now."""
        row = self._meant("backups.run")
        if row is not None:
            work.back_up(self.console_app, row, self.known, self.renew)

    def action_verify(self) -> None:
        """Ask how deep, and verify."""
        row = self._meant("backups.verify")
        if row is not None:
            work.verify(self.console_app, row, self.known, self.renew)

    def action_drill(self) -> None:
        """Rehearse a restore."""
        row = self._meant("backups.drill")
        if row is not None:
            work.drill(self.console_app, row, self.snapshot(), self.renew)

    def action_prune(self) -> None:
        """Show what pruning would remove, and ask."""
        row = self._meant("backups.prune")
        if row is not None:
            work.prune(self.console_app, row, self.renew)

    def action_unlock(self) -> None:
        """Show who holds the target, and remove a stale lock."""
        row = self._meant("backups.unlock")
        if row is not None:
            work.unlock(self.console_app, row, self.unlocked)

    def unlocked(self) -> None:
        """Ask anew after a lock was removed."""
        self.renew()

    def action_restore(self) -> None:
        """Begin to restore."""
        row = self._meant("backups.restore")
        if row is not None:
            from screens.restore import begin

            begin(self.console_app, row.name, self.snapshot())

    def action_cancel_run(self) -> None:
        """Ask whether to cancel what runs."""
        app, run = self.console_app, self.run_meant()
        if not app.allowed("jobs.cancel"):
            return
        if run is not None:
            work.cancel(app, run, backup_words.name_of(run, self.known), self.renew)
        elif self.known is not None and self.known.running:
            app.say("several run, none of them on this target: choose one under Running, then c")
        else:
            app.say("nothing runs, so there is nothing to cancel")
