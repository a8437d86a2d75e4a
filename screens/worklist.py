"""The worklist: where a day's procedures stand, by modality and room, and each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract.worklist import STATES, Standing, StepPage, StepRow, WorklistView
from pacstui.text import count, plural, safe
from screens import keymap
from screens import worklist_cells as cells
from screens import worklist_work as work
from screens.asking import AskingScreen
from screens.modals.form import Form, Values
from screens.searching import SearchingScreen
from screens.widgets import columns as cols
from screens.widgets.form import Field
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section
from screens.widgets.row_table import RowTable

C = cols.Column
PAGE = 200
MOST = 2_000
"""How many steps of a day are held; who has more narrows them down."""

STANDING = (
    C("mod", 3, role="strong"),
    C("room", 8, grow=1, most=24),
    C("scheduled", 9, align=">"),
    C("arrived", 7, align=">"),
    C("on hold", 7, align=">"),
    C("in progress", 11, align=">"),
    C("completed", 9, align=">"),
    C("no images", 9, align=">"),
    C("broken off", 10, align=">", rank=2),
    C("cancelled", 9, align=">", rank=1),
)
_ORDER = ("scheduled", "arrived", "on hold", "in progress", "completed", "no images yet", "discontinued", "cancelled")


class StandingPanel(Panel):
    """Where the day's steps stand; Enter on a row shows only those."""

    def __init__(self, screen: WorklistScreen) -> None:
        super().__init__(id="standing")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self._of.view
        title = Line("Worklist  ", "title").add(self._of.day_words, "strong")
        if view is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        held = any(row.counts.get("on hold") for row in view.standing)
        shown = [column for column in STANDING if held or column.title != "on hold"]
        widths = cols.share(shown, width)
        items = [Item([cols.heads(shown, widths)])]
        for row in view.standing:
            chosen = (row.modality, row.room) == self._of.only
            line = cols.row(shown, widths, self._cells(row, chosen, held))
            items.append(Item([line], (row.modality, row.room)))
        note = Line("Enter: only these", "dim") if self.has_focus else Line("left right: another day", "dim")
        return [Section(title, items, note)]

    def _cells(self, row: Standing, chosen: bool, held: bool) -> Sequence[cols.Cell]:
        out: list[cols.Cell] = [safe(row.modality, 8), (safe(row.room, 64) or "-", "accent" if chosen else "text")]
        for name in _ORDER if held else [name for name in _ORDER if name != "on hold"]:
            number = row.counts.get(name, 0)
            role = cells.STATES[name][1]
            mark = "!" if name == "no images yet" and number else ""
            out.append((f"{mark}{count(number)}", role) if number else ("-", "dim"))
        return out


class ChosenPanel(Panel):
    """The chosen step in words."""

    can_focus = False

    def __init__(self, screen: WorklistScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        from screens.step_words import told

        row = self._of.table.selected
        if row is None:
            return [Section(Line("Step", "title"), [])]
        lines = told(row, self.console_app.privacy, self.console_app.now().date(), width)
        title = Line(safe(row.description, 64) or "(no description)", "focus-title")
        return [Section(title, [Item(lines[:height])], Line("Enter: all of it", "dim"))]


class WorklistScreen(SearchingScreen, AskingScreen):
    """A day's worklist."""

    TITLE_WORDS = "Worklist"
    SEARCHES = "on the node"
    EVERY_S = 3.0
    AUTO_FOCUS = "#steps"
    ABOUT = (
        "Above, where the day's procedures stand, by modality and room; Enter there shows only those. Below, each: "
        "\u00b7 scheduled, + arrived, > in progress, = completed, ! overdue, or completed and no images are here yet, "
        "- cancelled or broken off, ~ on hold: no modality is told of it. images: received of those that the modality "
        "named (MPPS); ! where they differ. Enter shows a step: its order, what was performed, its history. left and "
        "right go to the day before and after, d to any day, t to today. m and f limit the list by modality and state, "
        "/ looks on all days for name, ID, accession number and procedure. u: studies of the day that belong to no "
        "order; p: what modalities reported as performed. Orders come from the RIS by HL7 (H); n enters one by hand."
    )
    KEYS = (
        *work.KEYS,
        keymap.acts("worklist.unordered", "unordered"),
        keymap.acts("worklist.performed", "performed"),
        keymap.Key("left", "day", "The day before", "move_day(-1)", shown="left", weight=2),
        keymap.Key("right", "day", "The day after", "move_day(1)", shown="right", weight=3),
        keymap.Key("t", "today", "Go to today", "today", weight=3),
        keymap.Key("d", "day", "Go to a day by its date", "go_to_day", weight=4),
        keymap.Key("f", "state", "Only those of the next state; after the last one all", "state(1)", weight=2),
        keymap.Key("F", "state before", "Only those of the state before", "state(-1)", weight=5),
        keymap.Key("m", "modality", "Only those of the next modality; after the last one all", "modality", weight=2),
    )

    def __init__(self, day: str = "") -> None:
        super().__init__()
        self.day = day
        self.view: WorklistView | None = None
        self.only: tuple[str, str] = ("", "")
        self.state = ""
        self._turn = 0
        self._placed = False

    def body(self) -> Iterable[Widget]:
        yield StandingPanel(self)
        table: RowTable[StepRow] = RowTable(cells.STEPS, self._cells, lambda r: r.id, lambda r: "", id="steps")
        table.title = Line("Steps", "title")
        table.empty = ["asking the node"]
        yield table
        yield ChosenPanel(self)

    @property
    def table(self) -> RowTable[StepRow]:
        """The list of steps."""
        return self.query_one("#steps", RowTable)

    def filtered(self) -> RowTable[StepRow]:
        return self.table

    @property
    def today(self) -> str:
        """Today as a DA value, local."""
        return f"{self.console_app.now():%Y%m%d}"

    @property
    def shown_day(self) -> str:
        """The day that is shown, as a DA value."""
        return self.day or self.today

    @property
    def day_words(self) -> str:
        """The day that is shown, in words."""
        words = cells.day(self.shown_day, self.console_app.now().date())
        return words if words[:1].isupper() or words[:1].isdigit() else f"{words}, {cells.weekday(self.shown_day)}"

    def _cells(self, row: StepRow) -> Sequence[cols.Cell]:
        return cells.step(row, self.console_app.privacy, self.shown_day)

    # what the node says

    def every_s(self) -> float:
        return self.EVERY_S if len(self.table.held) < 300 else 10.0

    async def ask(self) -> Any:
        app, turn, day = self.console_app, self._turn, self.shown_day
        view = await app.fetch(app.client.worklist.day(day=day))
        rows: list[StepRow] = []
        after, more = "", True
        while view is not None and more and len(rows) < MOST:
            page: StepPage | None = await app.fetch(
                app.client.worklist.steps(
                    day="" if self.search else day,
                    modality=self.only[0],
                    state=self.state,
                    search=self.search,
                    after=after,
                    limit=PAGE,
                )
            )
            if page is None:
                view = None
                break
            rows += page.rows
            after = page.next
            more = bool(after)
        return None if view is None else (turn, view, rows, more)

    async def took(self, found: Any) -> None:
        table = self.table
        if found is None:
            if self.view is None:
                table.empty = ["The node did not answer; it is asked again."]
                table.redraw()
            return
        turn, view, rows, more = found
        if turn != self._turn:
            self.renew()
            return
        self.view = view
        if self.only[1]:
            rows = [row for row in rows if row.room == self.only[1]]
        privacy_of = self.console_app.privacy
        privacy_of.learn(text for row in rows for text in (row.patient_name, row.patient_id, row.accession))
        table.empty = self._empty()
        self._entitle(view, rows, more)
        if not self._placed and rows:
            self._placed = True
            if self.shown_day == self.today:
                coming = next((row for row in rows if not cells.is_over(row)), rows[-1])
                table.show(rows)
                table.cursor = coming.id
        table.show(rows)
        self._arrange()
        self.redraw_all()

    def _entitle(self, view: WorklistView, rows: Sequence[StepRow], more: bool) -> None:
        table = self.table
        number = f"{count(len(rows))}{'+' if more else ''}"
        title = Line("Steps  ", "title").add(number, "strong")
        modality, room = self.only
        limits = [safe(modality, 8) + (f" in {safe(room, 32)}" if room else "")] if modality or room else []
        limits += [self.state] if self.state else []
        limits += [f'with "{safe(self.search, 24)}", all days'] if self.search else []
        if limits:
            title.add(f"  only {', '.join(limits)}", "accent")
        late = sum(cells.is_late(row) for row in rows)
        short = sum(cells.is_over(row) and row.expected > row.received for row in rows)
        if late:
            title.add(f"  ! {count(late)} late", "warn")
        if short:
            title.add(f"  ! {count(short)} lack images", "warn")
        table.title = title
        told = f"! {plural(view.unordered, 'study', 'studies')} without order: u"
        table.note = Line(told, "warn-text") if view.unordered else None

    def _empty(self) -> list[str]:
        if self.only != ("", "") or self.state or self.search:
            when = "any day" if self.search else self.day_words
            return [f"Nothing of {when} fits. esc takes the limits away."]
        return [
            f"Nothing is scheduled for {self.day_words}.",
            "",
            "A RIS fills this list: it sends orders by HL7 (ORM, OMG, OMI) to this node.",
            "H shows whether one does, and what was wrong with what it sent.",
            "n enters an examination by hand: patient, modality, time.",
            "Modalities see both at once, when they query the worklist.",
            "left and right show another day.",
        ]

    def _arrange(self) -> None:
        """Give the standing the height that it needs; none where nothing stands anywhere."""
        panel = self.query_one(StandingPanel)
        rows = len(self.view.standing) if self.view is not None else 0
        most = 6 if self.size.height < 34 else 12
        panel.display = bool(rows)
        panel.styles.height = 3 + min(rows, most)

    def on_resize(self, event: object) -> None:
        """Share the room anew."""
        super().on_resize(event)  # type: ignore[arg-type]
        self._arrange()

    # limits

    def anew(self) -> None:
        """Ask anew, with the limits as they are now."""
        self._turn += 1
        self.table.cursor = None
        self.table.top = 0
        self.renew()

    @on(Panel.Chosen, "#standing")
    def _only(self, event: Panel.Chosen) -> None:
        if isinstance(event.id, tuple):
            self.only = ("", "") if self.only == event.id else event.id
            self.anew()
            self.table.focus()

    def action_modality(self) -> None:
        """Limit the list to the next modality."""
        names = ["", *dict.fromkeys(row.modality for row in self.view.standing)] if self.view is not None else [""]
        here = names.index(self.only[0]) if self.only[0] in names else 0
        self.only = (names[(here + 1) % len(names)], "")
        self.anew()

    def action_state(self, by: int) -> None:
        """Limit the list to another state."""
        names = ["", *STATES]
        self.state = names[(names.index(self.state) + by) % len(names)]
        self.anew()

    def action_back(self) -> None:
        """Take the limits away, else go back."""
        if (self.only != ("", "") or self.state) and not self.search:
            self.only, self.state = ("", ""), ""
            self.anew()
        else:
            super().action_back()

    # days

    def _go(self, day: str) -> None:
        self.day = "" if day == self.today else day
        self.view, self._placed = None, False
        self.table.show([])
        self.table.empty = ["asking the node"]
        self.anew()

    def action_move_day(self, by: int) -> None:
        """Go to another day."""
        self._go(cells.moved(self.shown_day, by))

    def action_today(self) -> None:
        """Go to today."""
        self._go(self.today)

    def action_go_to_day(self) -> None:
        """Ask for a day, and go there."""
        today = self.console_app.now().date()

        async def send(values: Values) -> str:
            return work.parse_day(values["day"], today)

        fields = [Field("day", "day", note="today, tomorrow, +3, -7 or 2026-12-24")]
        form = Form("Go to a day", fields, send, foot="Enter goes there, esc stays")
        self.console_app.push_screen(form, lambda day: self._go(day) if day else None)

    # what is done

    @on(RowTable.Moved, "#steps")
    def _moved(self) -> None:
        self.query_one(ChosenPanel).redraw()

    @on(RowTable.Chosen, "#steps")
    def _open(self, event: RowTable.Chosen) -> None:
        from screens.step import StepScreen

        if isinstance(event.id, int) and self.console_app.allowed("worklist.step"):
            self.console_app.go(StepScreen(event.id))

    def _do(self, do: Callable[..., None]) -> None:
        row = self.table.selected
        if row is None:
            self.console_app.say("there is no step to choose; n enters one")
        else:
            do(self.console_app, row, self.renew)

    def action_create(self) -> None:
        """Enter a step by hand."""
        work.add(self.console_app, self.shown_day, self.renew)

    def action_edit(self) -> None:
        """Change the chosen step."""
        self._do(work.edit)

    def action_set_state(self) -> None:
        """Set where the chosen step stands."""
        self._do(work.set_state)

    def action_cancel(self) -> None:
        """Cancel the chosen step."""
        self._do(work.cancel)

    def action_unordered(self) -> None:
        """Show the day's studies that belong to no order."""
        if self.console_app.allowed("worklist.unordered"):
            from screens.worklist_unordered import UnorderedScreen

            self.console_app.go(UnorderedScreen(self.shown_day))

    def action_performed(self) -> None:
        """Show what modalities reported as performed."""
        if self.console_app.allowed("worklist.performed"):
            from screens.performed import PerformedScreen

            self.console_app.go(PerformedScreen(self.shown_day))
