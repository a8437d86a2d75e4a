"""HL7 messages that go out: whom they go to and how that stands, and each message with what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.widget import Widget

from pacstui.contract.hl7 import OutgoingPage, OutgoingRow, ReceiverRow
from pacstui.text import ago, count, plural, safe
from screens import hl7_cells as cells
from screens import hl7_work as work
from screens import keymap
from screens.paged import PagedScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

WAYS = {"retry": (work.send_all, work.send_again), "hold": (work.hold_all, work.hold),
        "release": (work.release_all, work.release)}  # fmt: skip


class ChosenPanel(Panel):
    """The chosen receiver or message in full: what was answered, and what mends it."""

    can_focus = False

    def __init__(self, screen: Hl7OutgoingScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        screen = self._of
        if screen.at_receivers:
            row = screen.receiver
            if row is None:
                return [Section(Line("Receiver", "title"), [])]
            return [Section(Line(safe(row.name, 64), "focus-title"), [Item(self._receiver(row, width)[:height])])]
        out = screen.table.selected
        if out is None:
            return [Section(Line("Message", "title"), [])]
        title = Line(f"{safe(out.kind, 16)} ", "focus-title").add(f"to {safe(out.destination, 64)}", "title")
        return [Section(title, [Item(self._message(out, width)[:height])], Line("Enter: all of it", "dim"))]

    def _receiver(self, row: ReceiverRow, width: int) -> list[Line]:
        now = self.console_app.now()
        word, role = cells.receiver_state(row)
        line = Line(word, role).add(f"  {plural(row.waiting, 'message')} wait", "strong")
        line.add(f"  {count(row.failed)} failed", "fail-text" if row.failed else "dim")
        if row.oldest is not None:
            line.add(f"  the oldest since {ago(row.oldest, now)}")
        bad = row.status in ("down", "stuck", "unknown")
        lines = [line.cut(width)]
        lines += words(
            safe(row.why, 300), width, "fail-text" if bad else "text", 2, Line("x " if bad else "  ", "fail")
        )
        hint = row.hint or {"held": "u releases it"}.get(row.status, "")
        if not hint and row.failed:
            hint = "Tab goes to its messages, f shows those that failed; t tries all of them again"
        if hint:
            lines += words(safe(hint, 300), width, "strong", 2, Line("> ", "accent"))
        return lines

    def _message(self, row: OutgoingRow, width: int) -> list[Line]:
        privacy = self.console_app.privacy
        said = privacy.sentence(row.text)
        told = (
            f"{safe(row.answer, 4)}: {said}" if row.answer and said else said or safe(row.answer, 4) or "no answer yet"
        )
        bad = row.state == "failed"
        role = "fail-text" if bad else "warn-text" if row.state == "waiting" and row.attempts else "text"
        lines = words(told, width, role, 2, Line("x " if bad else "  ", "fail"))
        if row.hint and row.state in ("failed", "waiting"):
            lines += words(privacy.sentence(row.hint), width, "strong", 2, Line("> ", "accent"))
        why = f"rule {safe(row.what, 64)}" if row.source else safe(row.what, 64)
        return lines + words(f"{why}, control ID {safe(row.control, 64)}", width, "dim", 2, Line("  "))


class Hl7OutgoingScreen(PagedScreen[OutgoingRow]):
    """What goes out."""

    TITLE_WORDS = "HL7 outgoing"
    STATES = cells.OUTGOING_STATES
    ABOUT = (
        "Above, whom messages are sent to, those in trouble first; below, the messages, newest first, "
        "with what the other side answered; under them, the chosen one with what mends it. Messages go in their order, "
        "one after another: one that is not accepted is tried again after a while, and set aside as failed after its "
        "limit. Nothing counts as sent before the other side has accepted it. Tab changes between the lists. On a "
        "receiver t tries all that waits or failed, h holds it as a whole, u releases it; on messages t sends, x "
        "cancels, h holds, u releases the chosen or marked (m, a) ones. f shows those of another state. Enter on a "
        "receiver shows only its messages, on a message all of it."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        *work.SENDING,
        keymap.Key("f", "state", "Show those of the next state: waiting, failed, held, ...", "state(1)"),
        keymap.Key("F", "state before", "Show those of the state before", "state(-1)", weight=4),
        keymap.Key("m", "mark", "Mark the chosen message, or take the mark away", "mark", weight=3),
        keymap.Key("a", "all", "Mark all that the list has; again: nothing", "mark_all", weight=3),
    )

    def __init__(self, destination: str = "", state: str = "") -> None:
        super().__init__(state)
        self.destination = destination
        self._point = destination

    def body(self) -> Iterable[Widget]:
        receivers: RowTable[ReceiverRow] = RowTable(
            cells.RECEIVING, self._receiver_cells, lambda r: r.name, lambda r: r.name, id="receivers"
        )
        receivers.title = Line("Receivers", "title")
        receivers.empty = ["asking the node"]
        yield receivers
        table: RowTable[OutgoingRow] = RowTable(
            cells.OUTGOING, self._cells, lambda r: r.id, lambda r: "", id="messages"
        )
        table.bounded = False
        table.empty = ["asking the node"]
        yield table
        yield ChosenPanel(self)

    @property
    def _receivers(self) -> RowTable[ReceiverRow]:
        return self.query_one("#receivers", RowTable)

    @property
    def at_receivers(self) -> bool:
        """Whether the cursor is in the upper list."""
        return self._receivers.has_focus

    @property
    def receiver(self) -> ReceiverRow | None:
        """The receiver under the cursor."""
        return self._receivers.selected

    def _receiver_cells(self, row: ReceiverRow) -> Sequence[cols.Cell]:
        return cells.receiver(row, self.console_app.now())

    def _cells(self, row: OutgoingRow) -> Sequence[cols.Cell]:
        return cells.outgoing(row, self.console_app.now(), self.console_app.privacy, row.id in self.marked)

    async def ask(self, before: int, limit: int) -> tuple[Sequence[OutgoingRow], int] | None:
        app = self.console_app
        page: OutgoingPage | None = await app.fetch(
            app.client.hl7.outgoing(
                destination=self.destination, state=self.state, search=self.search, before=before, limit=limit
            )
        )
        if page is None:
            return None
        app.privacy.learn(text for row in page.rows for text in (row.patient_id, row.accession))
        return page.rows, page.next

    async def beside(self) -> None:
        app = self.console_app
        rows: Sequence[ReceiverRow] | None = await app.fetch(app.client.hl7.receivers())
        if rows is None or not self.is_attached:
            return
        table = self._receivers
        waiting, failed = sum(row.waiting for row in rows), sum(row.failed for row in rows)
        table.title = Line("Receivers  ", "title").add(count(waiting), "strong").add(" wait  ")
        table.title.add(count(failed), "fail" if failed else "dim").add(" failed")
        table.empty = [
            "Messages go to nobody. In the configuration [[hl7.receivers]] names",
            "systems, [[hl7.forward]] says which messages they get,",
            "[[hl7.notifications]] what they are told.",
        ]
        table.show(rows)
        if self._point:
            table.cursor, self._point = self._point, ""
            table.redraw()

    def entitle(self) -> None:
        title = self.limits(Line("Messages  ", "title"))
        if self.destination:
            title.add(f"  for {safe(self.destination, 64)}", "accent")
        self.table.title = title

    def nothing(self) -> list[str]:
        if self.search:
            return ["Nothing is found.", "esc clears the search, f shows other states."]
        if self.state:
            return [f"There is none: {dict(self.STATES)[self.state]}.", "f shows the next state."]
        return ["Nothing was sent yet.", "Each message that a rule forwards, or that we write ourselves, shows here."]

    def on_descendant_focus(self) -> None:
        """Tell of what the cursor is on."""
        self.query_one(ChosenPanel).redraw()

    @on(RowTable.Chosen, "#receivers")
    def _only(self, event: RowTable.Chosen) -> None:
        self.destination = "" if self.destination == event.id else str(event.id)
        self.marked = {}
        self.anew()
        self.table.focus()

    @on(RowTable.Chosen, "#messages")
    def _open(self, event: RowTable.Chosen) -> None:
        if isinstance(event.id, int):
            from screens.hl7_message import Hl7SentScreen

            self.console_app.go(Hl7SentScreen(event.id))

    def _do(self, name: str) -> None:
        for_all, for_some = WAYS[name]
        if self.at_receivers:
            if self.receiver is not None:
                for_all(self.console_app, self.receiver, self.done)
        else:
            for_some(self.console_app, self.chosen, self.done)

    def action_retry(self) -> None:
        """Send now."""
        self._do("retry")

    def action_hold(self) -> None:
        """Hold."""
        self._do("hold")

    def action_release(self) -> None:
        """Release."""
        self._do("release")

    def action_cancel(self) -> None:
        """Cancel messages."""
        if self.at_receivers:
            self.console_app.say("Tab goes to its messages: x cancels those that are chosen or marked")
        else:
            work.drop(self.console_app, self.chosen, self.done)
