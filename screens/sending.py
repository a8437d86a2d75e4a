"""One sending: what it is, how it went, and its objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.queue import OutboxRow, SendingRow, SendingView
from pacstui.contract.sheets import status_word
from pacstui.errors import PacsError
from pacstui.text import count, duration, plural, safe, size
from screens import keymap, queue_cells
from screens import queue_work as work
from screens.job_cells import when
from screens.queue_keys import QueueKeys
from screens.studies import day
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

EVERY_S = 0.9
LISTED = 1000
_KEPT = {"asked": ("~", "accent"), "committed": ("+", "good"), "no answer": ("!", "warn-text")}
"""Mark and role of what came of asking for storage commitment."""


class SendingPanel(Panel):
    """What a sending is, and how it goes."""

    can_focus = False

    def __init__(self, screen: SendingScreen) -> None:
        super().__init__(id="sending")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        screen = self._of
        if screen.fault is not None:
            lines = [*words(f"x {safe(screen.fault.message, 300)}", width, "fail-text", 2),
                     *words(safe(screen.fault.hint, 300), width, "dim")]  # fmt: skip
            return [Section(Line("Sending", "title"), [Item(lines)])]
        row = screen.row
        if row is None:
            return [Section(Line("Sending", "title"), [Item([Line("asking the node", "dim")])])]
        word, role = queue_cells.state(row.state)
        title = Line("To ", "title").add(f"{safe(row.destination, 64)}  ", "focus-title").add(word, role)
        return [Section(title, [Item(self.lines(row, width)[:height])])]

    def lines(self, row: SendingRow, width: int) -> list[Line]:
        """Return what is told of it."""
        privacy, now = self.console_app.privacy, self.console_app.now()
        lines: list[Line] = []

        def fact(name: str, text: str, role: str = "text") -> None:
            lines.extend(words(text, width, role, 11, queue_cells.label(name)))

        ident = privacy.ident(row.patient_id)
        fact("patient", f"{privacy.name(row.patient_name)}{', ' * bool(ident)}{ident}", "strong")
        part = {"series": ", one series of it", "instance": ""}.get(row.level, "")
        told = safe(row.description, 128) or "(no description)"
        fact("study", f"{told}, {safe(row.modalities, 32) or '-'}, {day(row.date) or '(no date)'}{part}")
        fact("objects", f"{queue_cells.counted(row)}; {size(row.bytes_sent)} sent, {size(row.bytes_waiting)} to go")
        if row.error:
            fact("last error", queue_cells.error_of(row.error, row.status), "fail-text" if row.failed else "warn-text")
            if row.hint:
                fact("mend it", safe(row.hint, 300), "strong")
        if row.state == "gathering" and row.due is not None:
            fact("waits", f"until nothing more comes for it: {duration((row.due - now).total_seconds())}", "accent")
        elif row.state == "held":
            fact("held", "l lets it go", "warn-text")
        elif row.waiting:
            due = f"next try {when(row.due, now)}" if row.due is not None else "its turn is next"
            tries = f", after {plural(row.attempts, 'failed try', 'failed tries')}" if row.attempts else ""
            fact("next", f"{due}{tries}")
        by = f"route {safe(row.route, 64)}" if row.route else f"{safe(row.asked_by, 64) or 'somebody'} asked for it"
        through = f", through {safe(row.transform, 64)}" if row.transform else ""
        asked = self._of.view
        if asked is not None and asked.commitment:
            at = f", {when(asked.commitment_at, now)}" if asked.commitment_at is not None else ""
            mark, role = _KEPT.get(asked.commitment_state, ("x", "fail-text"))
            fact("kept there", f"{mark} {safe(asked.commitment, 300)}{at}", role)
        fact("because", f"{by}{through}, {safe(row.priority, 8)} priority, queued {when(row.queued, now)}")
        return lines


class SendingScreen(QueueKeys):
    """A sending and its objects."""

    TITLE_WORDS = "Sending"
    ABOUT = (
        "What one destination gets of one study, and why; then its objects, those first that failed, each with what "
        "was answered last. r tries again now, h holds it, l lets it go, c cancels it, p changes what goes first, t "
        "sends it to another destination instead. Enter shows the study."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        *work.KEYS,
        keymap.Key("v", "study", "Show the study", "study", weight=2),
    )

    def __init__(self, ident: int) -> None:
        super().__init__()
        self.ident = ident
        self.row: SendingRow | None = None
        self.view: SendingView | None = None
        self.fault: PacsError | None = None
        self._busy = False
        self._loaded = -100.0

    def body(self) -> Iterable[Widget]:
        yield SendingPanel(self)
        table: RowTable[OutboxRow] = RowTable(
            queue_cells.OBJECT,
            self._cells,
            lambda r: r.id,
            lambda r: f"{r.sop_instance} {r.state} {r.error} {status_word(r.status)}",
            id="objects",
        )
        table.title = Line("Objects", "title")
        table.empty = ["asking the node"]
        yield table

    def _cells(self, row: OutboxRow) -> Sequence[cols.Cell]:
        return queue_cells.outbox(row, self.console_app.now())

    def show(self, view: View) -> None:
        if self.console_app.door.clock() - self._loaded >= EVERY_S:
            self.renew()
        self._redraw()

    def _redraw(self) -> None:
        panel = self.query_one(SendingPanel)
        if self.row is not None and self.fault is None:
            lines = panel.lines(self.row, max(20, self.size.width - 4))
            panel.styles.height = min(len(lines), max(4, self.size.height // 2)) + 2
        for widget in (*self.query(Panel), *self.query(RowTable)):
            widget.redraw()

    def renew(self) -> None:
        """Fetch it again."""
        if not self._busy and self.console_app.away_since is None:
            self._busy = True
            self.console_app.keep(self._load())

    async def _load(self) -> None:
        app = self.console_app
        try:
            found: SendingView = await app.client.queue.sending(self.ident)
        except PacsError as error:
            self.fault = error
            return
        except (OSError, TimeoutError):
            return
        finally:
            self._busy = False
            self._loaded = app.door.clock()
            if self.is_attached:
                self._redraw()
        self.row, self.view, self.fault = found.row, found, None
        app.privacy.learn((found.row.patient_name, found.row.patient_id))
        if not self.is_attached:
            return
        table = self.query_one(RowTable)
        total = queue_cells.objects(found.row)
        table.title = Line("Objects  ", "title").add(count(total), "strong")
        if total > LISTED:
            table.title.add(f"  the first {count(LISTED)}, what failed first", "dim")
        table.empty = ["It has no objects any more: they were deleted here."]
        table.show(found.objects)
        self._redraw()

    def sendings(self) -> work.Chosen | None:
        return work.of_rows([self.row], self.row.destination) if self.row is not None else None

    def done(self) -> None:
        self.renew()

    @on(RowTable.Chosen)
    def _open(self) -> None:
        self.action_study()

    def action_study(self) -> None:
        """Show the study."""
        if self.row is not None:
            from screens.study import StudyScreen

            self.console_app.go(StudyScreen(self.row.study))
