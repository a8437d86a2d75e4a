"""What modalities reported as performed (MPPS), newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract.worklist import PerformedRow
from pacstui.text import count, plural, safe
from screens import keymap
from screens import step_words as tell
from screens import worklist_cells as cells
from screens.asking import AskingScreen
from screens.step import when
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
PAGE = 200
MOST = 2_000
COLUMNS = (
    C("began", 5, role="dim"),
    C("ended", 5, role="dim"),
    C("state", 14),
    C("station", 7, grow=1, most=16),
    C("mod", 3),
    C("patient", 14, grow=3, most=40, role="strong"),
    C("ID", 9, grow=1, rank=2, most=20),
    C("accession", 9, grow=1, rank=1, most=20),
    C("images", 8, align=">"),
    C("order", 5),
    C("told on", 12, grow=2, rank=3, most=60, role="dim"),
)


class ChosenPanel(Panel):
    """The chosen one in words."""

    can_focus = False

    def __init__(self, screen: PerformedScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row = self._of.table.selected
        if row is None:
            return [Section(Line("Performed step", "title"), [])]
        lines: list[Line] = []
        if not row.step:
            lines += words("it was done without an order", width, "warn-text", 2, Line("! ", "warn"))
            lines += words("X shows which order it may belong to", width, "strong", 2, Line("> ", "accent"))
        if row.reason:
            tell.fact(lines, width, "broken off", safe(row.reason, 300), "warn-text")
        tell.fact(lines, width, "images", tell.counted(row))
        tell.fact(lines, width, "told on", safe(row.forwarded, 300))
        tell.fact(lines, width, "study", safe(row.study, 80), "dim")
        tell.fact(lines, width, "its UID", safe(row.sop_instance, 80), "dim")
        leads = "Enter: its step" if row.step else "Enter: its study"
        return [Section(Line(self.console_app.privacy.name(row.patient_name), "focus-title"), [Item(lines[:height])],
                        Line(leads, "dim"))]  # fmt: skip


class PerformedScreen(AskingScreen):
    """Performed procedure steps."""

    TITLE_WORDS = "Performed"
    EVERY_S = 3.0
    ABOUT = (
        "What modalities reported by MPPS: > in progress, = completed, - discontinued. images: received of those that "
        "the modality named when it ended; ! where they differ. order: whether the step belongs to one. Enter leads to "
        "the step of the worklist, of one without an order to its study. f limits the list by state. a passes one on "
        "again to the RIS, where [mpps] forward_to names one. Where a modality stays in progress for hours, somebody "
        "forgot to end the examination there."
    )
    KEYS = (
        keymap.Key("f", "state", "Only those of the next state; after the last one all", "state", weight=1),
        keymap.acts("worklist.again", "again", weight=2),
    )

    def __init__(self, day: str) -> None:
        super().__init__()
        self.day = day
        self.state = ""
        self._turn = 0

    def body(self) -> Iterable[Widget]:
        table: RowTable[PerformedRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.id,
            lambda r: f"{r.patient_name} {r.patient_id} {r.accession} {r.station_ae} {r.modality} {r.state}",
            id="performed",
        )
        table.title = Line("Performed", "title")
        table.empty = ["asking the node"]
        yield table
        yield ChosenPanel(self)

    @property
    def table(self) -> RowTable[PerformedRow]:
        """The list."""
        return self.query_one("#performed", RowTable)

    def _cells(self, row: PerformedRow) -> Sequence[cols.Cell]:
        privacy = self.console_app.privacy
        return (
            when(row.started) or ("-", "dim"),
            when(row.ended) or ("-", "dim"),
            cells.performed(row.state),
            safe(row.station_ae, 32),
            safe(row.modality, 8),
            privacy.name(row.patient_name),
            privacy.ident(row.patient_id, "(none)"),
            privacy.ident(row.accession) or ("(none)", "dim"),
            cells.images(row.expected, row.received, row.state != "IN PROGRESS"),
            ("= yes", "dim") if row.step else ("! no", "warn-text"),
            safe(row.forwarded, 200),
        )

    async def ask(self) -> Any:
        app, turn = self.console_app, self._turn
        rows: list[PerformedRow] = []
        before = 0
        while len(rows) < MOST:
            page: tuple[PerformedRow, ...] | None = await app.fetch(
                app.client.worklist.performed(day=self.day, state=self.state, before=before, limit=PAGE)
            )
            if page is None:
                return None
            rows += page
            if len(page) < PAGE:
                break
            before = page[-1].id
        return turn, rows

    async def took(self, found: Any) -> None:
        table = self.table
        if found is None:
            table.empty = ["The node did not answer; it is asked again."]
            table.redraw()
            return
        turn, rows = found
        if turn != self._turn:
            self.renew()
            return
        self.console_app.privacy.learn(t for r in rows for t in (r.patient_name, r.patient_id, r.accession))
        words_of_day = cells.day(self.day, self.console_app.now().date())
        title = Line("Performed  ", "title").add(count(len(rows)), "strong").add(f"  {words_of_day}")
        if self.state:
            title.add(f"  only {self.state.lower()}", "accent")
        short = sum(row.state != "IN PROGRESS" and row.expected > row.received for row in rows)
        if short:
            title.add(f"  ! {count(short)} lack images", "warn")
        table.title = title
        node = self.console_app.view.status.node if self.console_app.view is not None else None
        at = f"{safe(node.ae_title)} at {safe(node.dicom)}" if node is not None else "this node"
        table.empty = (
            [f"Nothing is {self.state.lower()}. f shows the others."]
            if self.state
            else [
                f"No modality reported anything for {words_of_day}.",
                "A modality reports when an examination begins and ends (MPPS), if it is told",
                f"to: give it {at} as its MPPS server.",
                "Without that the worklist cannot know what is in progress or done.",
            ]
        )
        table.show(rows)
        self.redraw_all()

    def action_state(self) -> None:
        """Limit the list to the next state."""
        names = ["", *cells.PERFORMED]
        self.state = names[(names.index(self.state) + 1) % len(names)]
        self._turn += 1
        self.table.cursor = None
        self.renew()

    def action_again(self) -> None:
        """Pass the chosen one on again."""
        row = self.table.selected
        if row is None or not self.console_app.allowed("worklist.again"):
            return
        if not row.forwarded:
            self.console_app.say("it is passed on to nobody: [mpps] forward_to names who is to be told", "warn")
            return
        self.console_app.keep(self._again(row.id))

    async def _again(self, ident: int) -> None:
        app = self.console_app
        number = await app.fetch(app.client.worklist.again(performed=ident))
        if number is not None:
            app.say(f"{plural(number, 'message')} will be passed on again")
            self.renew()

    @on(RowTable.Moved, "#performed")
    def _moved(self) -> None:
        self.query_one(ChosenPanel).redraw()

    @on(RowTable.Chosen, "#performed")
    def _open(self) -> None:
        row = self.table.selected
        if row is None:
            return
        if row.step and self.console_app.allowed("worklist.step"):
            from screens.step import StepScreen

            self.console_app.go(StepScreen(row.step))
        elif row.study and self.console_app.allowed("studies.show"):
            from screens.study import StudyScreen

            self.console_app.go(StudyScreen(row.study))
