"""HL7 at one look: whether messages are taken, who sends them, what became of each, and whether what goes out goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.widget import Widget

from pacstui.contract.hl7 import Hl7View, MessagePage, MessageRow, ReceiverRow, SenderRow
from pacstui.text import count, plural, safe
from screens import hl7_cells as cells
from screens import hl7_work as work
from screens import keymap
from screens.paged import PagedScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable


class StandingPanel(Panel):
    """How it stands, in three lines: in, errors, out."""

    can_focus = False

    def __init__(self, screen: Hl7Screen) -> None:
        super().__init__(id="standing")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self._of.standing
        title = Line("HL7", "title")
        if view is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        return [Section(title, [Item([self._in(view).cut(width), self._errors(view).cut(width), self._out(width)])])]

    def _in(self, view: Hl7View) -> Line:
        if not view.listening:
            return Line("x takes no messages: ", "fail").add(safe(view.why, 200) or "it does not listen", "fail-text")
        line = Line("= takes messages on ", "good").add(safe(view.listening, 100), "strong")
        line.add(f"  {count(view.today)} today").add(f"  {view.per_second:.1f}/s", "accent")
        return line

    def _errors(self, view: Hl7View) -> Line:
        if view.failed_open:
            line = Line(f"x {plural(view.failed_open, 'message')} failed: ", "fail").add("e", "key")
            line.add(" shows why and mends it", "strong")
        else:
            line = Line("= no errors are open", "good")
        if view.repeated_today:
            line.add(f"  {count(view.repeated_today)} repeated today", "dim")
        if view.refused_today:
            line.add(f"  {plural(view.refused_today, 'connection')} refused today", "warn-text")
        return line

    def _out(self, width: int) -> Line:
        rows = self._of.receivers
        if not rows:
            return Line("- sends nothing on: there are no [[hl7.receivers]] in the configuration", "dim").cut(width)
        bad = [row for row in rows if row.status in ("down", "stuck", "unknown", "held", "waiting") or row.failed]
        waiting = sum(row.waiting for row in rows)
        if not bad:
            line = Line("= sends on to ", "good").add(", ".join(safe(row.name, 32) for row in rows), "strong")
            return line.add(f"  {count(waiting)} wait").cut(width)
        row = bad[0]
        word, role = cells.receiver_state(row)
        line = Line(f"{word[:2]}", role).add(f"{safe(row.name, 32)} {word[2:]}", role)
        line.add(f", {count(row.waiting)} wait, {count(row.failed)} failed: ").add("o", "key").add(" shows why")
        if len(bad) > 1:
            line.add(f"; {count(len(bad) - 1)} more", "warn-text")
        return line.cut(width)


class Hl7Screen(PagedScreen[MessageRow]):
    """The HL7 messages that came in."""

    TITLE_WORDS = "HL7"
    STATES = cells.MESSAGE_STATES
    ABOUT = (
        "Above: whether messages are taken, how many failed, and whether what is sent on arrives. Then who sends, with "
        "the last message and the failures of each. Below, the messages, newest first, with what each did or what was "
        "wrong. Enter shows one taken apart, as it was sent, and the answer. e lists the errors, which is where they "
        "are mended; o what goes out. f shows those of another state, F goes the other way; / looks in patient, "
        "accession number, control ID and text. Tab changes between senders and messages; Enter on a sender shows "
        "only its messages."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        keymap.Key("e", "errors", "What failed and is not put right, and mending it", "errors", weight=0),
        keymap.Key("o", "out", "Whom messages are sent to, and what waits", "outgoing",
                   keymap.acts("hl7.receivers", "outgoing").action, 0),
        keymap.Key("f", "state", "Show those of the next state: failed, done, repeated, ...", "state(1)"),
        keymap.Key("F", "state before", "Show those of the state before", "state(-1)", weight=4),
        keymap.Key("c", "kind", "Show those of one kind: ADT, ORM, ADT^A08", "kind", weight=2),
        keymap.acts("hl7.replay", "replay", weight=2),
        keymap.Key("m", "mark", "Mark the chosen message, or take the mark away", "mark", weight=3),
    )  # fmt: skip

    def __init__(self, state: str = "") -> None:
        super().__init__(state)
        self.kind = ""
        self.standing: Hl7View | None = None
        self.receivers: Sequence[ReceiverRow] = ()

    def body(self) -> Iterable[Widget]:
        yield StandingPanel(self)
        senders: RowTable[SenderRow] = RowTable(
            cells.SENDERS, self._sender, lambda r: (r.sender, r.facility, r.origin),
            lambda r: f"{r.sender} {r.facility} {r.origin}", id="senders",
        )  # fmt: skip
        senders.title = Line("Senders", "title")
        senders.empty = ["asking the node"]
        yield senders
        table: RowTable[MessageRow] = RowTable(cells.MESSAGES, self._cells, lambda r: r.id, lambda r: "", id="messages")
        table.bounded = False
        table.title = Line("Messages", "title")
        table.empty = ["asking the node"]
        yield table

    def on_mount(self) -> None:
        super().on_mount()
        self.table.focus()

    def _sender(self, row: SenderRow) -> Sequence[cols.Cell]:
        return cells.sender(row, self.console_app.now())

    def _cells(self, row: MessageRow) -> Sequence[cols.Cell]:
        return cells.message(row, self.console_app.now(), self.console_app.privacy, row.id in self.marked)

    async def ask(self, before: int, limit: int) -> tuple[Sequence[MessageRow], int] | None:
        app = self.console_app
        page: MessagePage | None = await app.fetch(
            app.client.hl7.messages(search=self.search, state=self.state, kind=self.kind, before=before, limit=limit)
        )
        if page is None:
            return None
        app.privacy.learn(text for row in page.rows for text in (row.patient_id, row.accession))
        return page.rows, page.next

    async def beside(self) -> None:
        app = self.console_app
        self.standing = await app.fetch(app.client.hl7.show()) or self.standing
        self.receivers = await app.fetch(app.client.hl7.receivers()) or ()
        if self.standing is None or not self.is_attached:
            return
        senders = self.query_one("#senders", RowTable)
        senders.title = Line("Senders  ", "title").add(count(len(self.standing.senders)), "strong")
        senders.empty = ["Nobody has sent anything yet. [hl7] in the configuration says where messages are taken:",
                         "point the RIS there; who may send is unknown_senders and [[hl7.senders]]."]  # fmt: skip
        senders.show(self.standing.senders)

    def entitle(self) -> None:
        title = self.limits(Line("Messages  ", "title"))
        if self.kind:
            title.add(f"  {safe(self.kind, 20)}", "accent")
        self.table.title = title

    def nothing(self) -> list[str]:
        if self.search or self.kind:
            return ["Nothing is found.", "esc clears the search and the kind, f shows other states."]
        if self.state:
            return [f"There is none: {dict(self.STATES)[self.state]}.", "f shows the next state."]
        return [
            "No message has come yet.",
            "Each one shows here with what it did; errors are told with what mends them.",
        ]

    @on(RowTable.Chosen, "#messages")
    def _open(self, event: RowTable.Chosen) -> None:
        if isinstance(event.id, int):
            from screens.hl7_message import Hl7MessageScreen

            self.console_app.go(Hl7MessageScreen(event.id))

    @on(RowTable.Chosen, "#senders")
    def _of_sender(self, event: RowTable.Chosen) -> None:
        if isinstance(event.id, tuple):
            self.console_app.say(f"/ {event.id[0]} finds its messages")
            self.search = str(event.id[0])
            self.anew()
            self.table.focus()

    def action_back(self) -> None:
        """Take a search away, else close this page."""
        from screens.widgets.filter_line import FilterLine

        if (self.search or self.kind) and not any(line.active for line in self.query(FilterLine)):
            self.search = self.kind = ""
            self.anew()
            return
        super().action_back()

    def action_errors(self) -> None:
        """List the errors."""
        from screens.hl7_errors import Hl7ErrorsScreen

        self.console_app.go(Hl7ErrorsScreen())

    def action_outgoing(self) -> None:
        """Show what goes out."""
        if self.console_app.allowed("hl7.receivers"):
            from screens.hl7_outgoing import Hl7OutgoingScreen

            self.console_app.go(Hl7OutgoingScreen())

    def action_replay(self) -> None:
        """Act on messages once more."""
        work.replay(self.console_app, self.chosen, self.done)

    def action_kind(self) -> None:
        """Ask for a kind."""
        from screens.modals.form import Form, Values
        from screens.widgets.form import Field

        async def send(values: Values) -> str:
            return values["kind"].strip().upper()

        def chosen(kind: str | None) -> None:
            if kind is not None:
                self.kind = kind
                self.anew()

        note = "ADT, ORM, OMG, ORU, or with the event: ADT^A08; empty: all"
        self.console_app.push_screen(
            Form("Show one kind", [Field("kind", "kind", self.kind, note=note)], send,
                 foot="Enter shows it, esc leaves it as it is"), chosen,
        )  # fmt: skip


def wrong(row: MessageRow, width: int, panel: Panel) -> list[Line]:
    """Return what was wrong with a message, and what mends it."""
    privacy = panel.console_app.privacy
    lines = words(privacy.sentence(row.text) or "nothing is known", width, "fail-text", 2, Line("x ", "fail"))
    if row.hint:
        lines += words(privacy.sentence(row.hint), width, "strong", 2, Line("> ", "accent"))
    return lines
