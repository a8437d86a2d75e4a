"""Exceptions: studies that do not fit an order or patient, newest first, with the reasons in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract.exceptions import ExceptionPage, ExceptionRow
from pacstui.contract.overview import View
from pacstui.text import ago, count, plural, safe
from screens import exceptions_work as work
from screens import keymap
from screens.asking import AskingScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
PAGE = 200
STATES = ("conflicting", "unmatched", "probable")
ON_HOLD = "on hold"
COLUMNS = (
    C("state", 13),
    C("patient", 14, grow=2, most=36, role="strong"),
    C("ID", 9, grow=1, rank=4, most=18),
    C("accession", 9, grow=1, rank=5, most=18),
    C("arrived", 10, grow=1, most=24),
    C("from", 8, grow=1, rank=3, most=18),
    C("why", 20, grow=14, most=120),
    C("age", 8, rank=1, role="dim"),
)
KEYS = (
    work.key_of("exceptions.settle", "t", "take it", "Take the chosen study as it is, and off the list", "take", 1),
    work.key_of("exceptions.match", "m", "match again", "Match the chosen study with orders again", "match", 2),
    keymap.Key("f", "state", "Show one state only, then the next, then all", "state", weight=1),
    keymap.Key("d", "settled", "Show those that were taken as they are, or the open ones", "settled", weight=1),
    work.key_of("corrections.undo", "z", "undo", "Undo what was done last on the chosen study", "undo", 1),
)


class ChosenPanel(Panel):
    """All about the chosen study, where a row has no room for it."""

    can_focus = False

    def __init__(self, screen: ExceptionsScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row, privacy = self._of.table.selected, self.console_app.privacy
        if row is None:
            return [
                Section(
                    Line("Why", "title"), [Item([Line("Enter shows what arrived beside what was expected", "dim")])]
                )
            ]
        who = f"{privacy.name(row.patient_name)}, ID {privacy.ident(row.patient_id, '(none)')}"
        who += f", accession {privacy.ident(row.accession, '(none)')}"
        what = f"{safe(row.modality, 16)} {safe(row.description, 64)}, {plural(row.instances, 'image')}"
        what += f" from {safe(row.calling, 40)} at {row.received.astimezone():%d %b %H:%M}"
        why = f"taken as it is by {row.settled}" if row.settled else row.why
        lines = [Line(who, "strong").cut(width), Line(what, "dim").cut(width)]
        lines += words(privacy.sentence(why), width, "warn-text")
        if row.held:
            lines += words(work.on_hold(row, privacy), width, "accent")
        if row.order and row.score:
            lines.append(
                Line(f"the order that fits best has a score of {row.score}: Enter shows it, a there assigns", "accent")
            )
        note = Line("Enter: what was expected, and the keys that mend it", "dim")
        return [Section(Line("Why", "title"), [Item(lines)], note)]


class ExceptionsScreen(AskingScreen):
    """The list."""

    TITLE_WORDS = "Exceptions"
    ABOUT = (
        "Studies that came and do not fit. x conflicting: what a study says of order and patient contradicts itself, "
        "or its ID is somebody else's; look at these first. ! unmatched: there is no order for it. ~ probable: the "
        "order is known but for a slip. Enter shows what arrived beside what was expected, and puts it right. t takes "
        "a study as it is, with a reason; d shows those. f shows one state only, at last those whose order is on hold. "
        "/ looks in name, ID, accession number and description. Studies are matched when nothing more of them came for "
        "a while, and again when orders or patients change. Which need no order is set in [qc]."
    )
    KEYS = KEYS

    def __init__(self) -> None:
        super().__init__()
        self._state = ""
        self._settled = False
        self._search = ""
        self._turn = 0

    def body(self) -> Iterable[Widget]:
        table: RowTable[ExceptionRow] = RowTable(COLUMNS, self._cells, lambda r: r.study, lambda r: "", id="exceptions")
        table.title = Line("Exceptions", "title")
        table.empty = ["asking the node"]
        yield table
        yield ChosenPanel(self)

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.query_one(ChosenPanel).redraw()

    @property
    def table(self) -> RowTable[ExceptionRow]:
        """The list."""
        return self.query_one("#exceptions", RowTable)

    def _cells(self, row: ExceptionRow) -> Sequence[cols.Cell]:
        privacy = self.console_app.privacy
        return (
            work.STATES.get(row.state, (safe(row.state, 13), "text")),
            privacy.name(row.patient_name),
            privacy.ident(row.patient_id, "(none)"),
            privacy.ident(row.accession, "(none)"),
            f"{safe(row.modality, 8) or '?'} {count(row.instances)} img",
            safe(row.calling, 32),
            ("order on hold; " if row.held else "")
            + privacy.sentence(f"taken by {row.settled}" if row.settled else row.why),
            ago(row.received, self.console_app.now()).removesuffix(" ago"),
        )

    async def ask(self) -> Any:
        app, turn = self.console_app, self._turn
        page = await app.fetch(self._call(0))
        return (turn, page)

    def _call(self, before: int) -> Any:
        return self.console_app.client.exceptions.list_all(
            state=self._state, search=self._search, settled=self._settled, before=before, limit=PAGE
        )

    async def took(self, found: Any) -> None:
        if found is None or found[1] is None:
            return
        turn, page = found
        if turn != self._turn:
            self.renew()
            return
        self._learn(page)
        table = self.table
        kept = [row for row in table.held if page.rows and row.received < page.rows[-1].received] if page.next else []
        table.empty = self._nothing()
        table.title = self._title(page.counts)
        total = len(page.rows) + len(kept)
        table.show([*page.rows, *kept], more=bool(page.next), total=total)
        self.query_one(ChosenPanel).redraw()
        self._cursor_after = page.next

    def _learn(self, page: ExceptionPage) -> None:
        self.console_app.privacy.learn(t for r in page.rows for t in (r.patient_name, r.patient_id, r.accession))

    def _title(self, counts: dict[str, int]) -> Line:
        if self._settled:
            return Line("Taken as they are  ", "title").add(count(counts.get("settled", 0)), "strong")
        total = sum(counts.get(state, 0) for state in STATES)
        if self._state == ON_HOLD:
            line = Line("only those whose order is ", "title").add("~ on hold", "warn-text")
        elif self._state:
            word, role = work.STATES[self._state]
            line = Line("only ", "title").add(word, role).add(f" {count(counts.get(self._state, 0))}", "strong")
            line.add(f" of {count(total)}")
        else:
            line = Line("Exceptions  ", "title").add(count(total), "strong")
            for state in STATES:
                word, role = work.STATES[state]
                if counts.get(state, 0):
                    line.add("   ").add(word, role).add(f" {count(counts[state])}")
        if self._search:
            line.add(f"   found for {self.console_app.privacy.sentence(self._search)}")
        return line

    def _nothing(self) -> list[str]:
        if self._search or self._state:
            return ["Nothing of that kind. esc shows all again."]
        if self._settled:
            return ["Nobody has taken a study as it is. t does, with a reason."]
        return [
            "Every study fits its order and patient.",
            "",
            "A study that does not would stand here when nothing more of it came for a while: with another patient's "
            "ID, a misspelled name, no order. Where no orders are expected ([qc] in the configuration, or a node that "
            "never had an order) nothing does.",
        ]

    @on(RowTable.Wanted)
    def _more(self, event: RowTable.Wanted) -> None:
        if not event.before:
            self.console_app.keep(self._extend(self._cursor_after, self._turn))

    async def _extend(self, before: int, turn: int) -> None:
        page = await self.console_app.fetch(self._call(before)) if before else None
        if page is None or turn != self._turn:
            self.table.not_given()
            return
        self._learn(page)
        self._cursor_after = page.next
        self.table.extend(page.rows, more=bool(page.next), total=len(self.table.held) + len(page.rows))

    _cursor_after = 0

    def show(self, view: View) -> None:
        super().show(view)

    def filter_changed(self, text: str) -> None:
        self._search = text.strip()
        self._anew()

    def _anew(self) -> None:
        self._turn += 1
        self.renew()

    def action_back(self) -> None:
        """Show all again, else go back."""
        if (self._state or self._settled) and not self._search:
            self._state, self._settled = "", False
            self._anew()
        else:
            super().action_back()

    def action_state(self) -> None:
        """Show one state only, then the next, then all."""
        order = ("", *STATES, ON_HOLD)
        self._state = order[(order.index(self._state) + 1) % len(order)]
        self._anew()

    def action_settled(self) -> None:
        """Show what was taken as it is, or what is open."""
        self._settled, self._state = not self._settled, ""
        self._anew()

    @on(RowTable.Chosen)
    def _chosen(self, event: RowTable.Chosen) -> None:
        from screens.exceptions_beside import BesideScreen

        self.console_app.go(BesideScreen(str(event.id)))

    def on_screen_resume(self) -> None:
        """Ask anew after something may have been put right."""
        super().on_screen_resume()
        self._anew()

    def _row(self) -> ExceptionRow | None:
        row = self.table.selected
        if row is None:
            self.console_app.say("there is no exception to choose")
        return row

    def action_take(self) -> None:
        """Take the chosen study as it is."""
        if (row := self._row()) is not None:
            work.take(self.console_app, row, self._anew)

    def action_undo(self) -> None:
        """Undo what was done last on the chosen study."""
        if (row := self._row()) is not None:
            work.undo(self.console_app, row, self._anew)

    def action_match(self) -> None:
        """Match the chosen study again."""
        row = self._row()
        if row is not None and self.console_app.allowed("exceptions.match"):
            self.console_app.keep(self._match(row.study))

    async def _match(self, study: str) -> None:
        app = self.console_app
        found = await app.fetch(app.client.exceptions.match(study=study))
        if found is not None:
            app.say(f"looked at again: {work.STATES.get(found.state, (found.state, ''))[0]}")
            self._anew()
