"""One HL7 message: taken apart, as it was sent, and how it was answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.widget import Widget

from pacstui.contract.hl7 import MessageRow, MessageView, OutgoingPage, OutgoingRow
from pacstui.contract.merges import MergeRow
from pacstui.errors import PacsError
from pacstui.text import plural, safe, size
from screens import hl7_cells as cells
from screens import hl7_work as work
from screens import keymap, merge_work
from screens.asking import AskingScreen
from screens.hl7 import wrong
from screens.job_cells import when
from screens.widgets.line import Line, wrap
from screens.widgets.panel import Item, Panel, Section, words

VIEWS = ("taken apart", "as sent", "the answer")
LINES = 2000
"""Lines of a long message that are shown."""


class FactsPanel(Panel):
    """What the message is, what became of it, and what mends it."""

    can_focus = False

    def __init__(self, screen: Hl7MessageScreen) -> None:
        super().__init__(id="facts")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        screen = self._of
        if screen.fault is not None:
            lines = words(safe(screen.fault.message, 300), width, "fail-text", 2, Line("x ", "fail"))
            return [
                Section(Line("Message", "title"), [Item(lines + words(safe(screen.fault.hint, 300), width, "dim"))])
            ]
        if screen.found is None:
            return [Section(Line("Message", "title"), [Item([Line("asking the node", "dim")])])]
        word, role = cells.state(screen.found.row.state)
        title = Line(f"{safe(screen.found.row.kind, 16) or 'Message'} ", "focus-title").add(f"{word}", role)
        return [Section(title, [Item(screen.facts(width, self)[:height])])]


class ContentPanel(Panel):
    """The message itself."""

    MARKED = False

    def __init__(self, screen: Hl7MessageScreen) -> None:
        super().__init__(id="content")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        return self._of.content(width)

    def footnote(self) -> Line | None:
        at = VIEWS.index(self._of.way)
        return Line("v: ", "key").add(VIEWS[(at + 1) % len(VIEWS)], "dim")


class Hl7MessageScreen(AskingScreen):
    """A message that came in."""

    TITLE_WORDS = "HL7 message"
    EVERY_S = 5.0
    ABOUT = (
        "Above, who sent the message, what it did or what was wrong, and what mends that. Below, its segments with the "
        "standard's names of the fields and their values, unescaped; x marks the fields that were complained about. v "
        "shows it as it was sent, a line for each segment, and then the answer that its sender got. e edits a copy and "
        "acts on it, r acts on it again as it was sent, i takes it off the list of errors. u shows the patients that "
        "it merged, and takes them apart again. y copies what is shown."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        keymap.Key("v", "view", "Show it taken apart, as it was sent, or the answer", "view", weight=0),
        *work.MENDING,
        merge_work.listed(1),
        keymap.Key("l", "linked", "Show the message that this one was made from, or the one made from it", "linked",
                   weight=2),
    )  # fmt: skip

    def __init__(self, ident: int) -> None:
        super().__init__()
        self.ident = ident
        self.found: MessageView | None = None
        self.fault: PacsError | None = None
        self.way = VIEWS[0]
        self.merged: tuple[MergeRow, ...] = ()

    def body(self) -> Iterable[Widget]:
        yield FactsPanel(self)
        yield ContentPanel(self)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(ContentPanel).focus()

    async def call(self) -> MessageView:
        """Ask the node for it."""
        client = self.console_app.client
        found: MessageView = await client.hl7.message(id=self.ident)
        self.merged = await merge_work.of_message(self.console_app, found.row)
        return found

    async def ask(self) -> MessageView | None:
        try:
            found = await self.call()
        except PacsError as error:
            self.fault = error
            return None
        except (OSError, TimeoutError):
            return None
        self.fault = None
        return found

    async def took(self, found: MessageView | None) -> None:
        if found is not None:
            begins = self.found is None
            self.found = found
            if begins:
                self.query_one(ContentPanel).top = self._first_wrong()
            self.console_app.privacy.learn((found.row.patient_id, found.row.accession))
            lines = self.facts(max(20, self.size.width - 4), self.query_one(FactsPanel))
            most = max(4, self.size.height // 2 - 2)
            self.query_one(FactsPanel).styles.height = min(len(lines), most) + 2
        self.redraw_all()

    def _first_wrong(self) -> int:
        """Return the line at which what is shown begins, so that the first field that is wrong is in sight."""
        assert self.found is not None
        width, top = max(20, self.size.width - 4), 0
        for part in self.found.segments:
            lines = cells.segment(part, width, self.console_app.privacy)
            if part.wrong:
                return max(0, top + next((n for n, line in enumerate(lines) if line.text.startswith("x")), 0) - 3)
            top += len(lines) + 1
        return 0

    def facts(self, width: int, panel: Panel) -> list[Line]:
        """Return what is told of it."""
        assert self.found is not None
        row, now = self.found.row, self.console_app.now()
        privacy = self.console_app.privacy
        lines: list[Line] = []

        def fact(name: str, text: str, role: str = "text") -> None:
            lines.extend(words(text, width, role, 11, cells.label(name)))

        origin = f", from {safe(row.origin, 64)}" if row.origin else ""
        batch = ", in a batch" if row.batch else ""
        fact("from", f"{cells.sender_name(row)}{origin}, {cells.moment(row.at, now)}{batch}")
        about = [f"control ID {safe(row.control, 64) or '(none)'}", size(row.size), safe(self.found.charset, 40)]
        if row.patient_id:
            about.append(f"patient {privacy.ident(row.patient_id)}")
        if row.accession:
            about.append(f"accession {privacy.ident(row.accession)}")
        fact("what", ", ".join(filter(None, about)))
        if row.state == "failed":
            lines += wrong(row, width, panel)
            keys = Line("e", "key").add(" edit and act on it  ").add("r", "key").add(" act on it again  ")
            lines.append(keys.add("i", "key").add(" ignore it").cut(width))
        else:
            told = privacy.sentence(row.text) or "nothing"
            by = f", by {safe(row.by, 64)}" if row.by else ""
            fact("did" if row.state == "done" else row.state, f"{told}{by}")
        for merge in self.merged:
            fact("merge", merge_work.told(merge, privacy), "dim" if merge.undone else "text")
        if row.answer:
            fact("answered", safe(row.answer, 8), "text" if row.answer in ("AA", "CA") else "fail-text")
        linked = []
        if self.found.original:
            linked.append(f"made from message {self.found.original}")
        if self.found.later:
            linked.append("made from it: " + ", ".join(str(each) for each in self.found.later[:5]))
        if linked:
            fact("linked", "; ".join(linked) + " (l)", "accent")
        return lines

    def content(self, width: int) -> Sequence[Section]:
        """Return the message in the chosen view."""
        if self.found is None:
            return [Section(Line("Segments", "title"))]
        if self.way == VIEWS[0] and self.found.segments:
            return self._decoded(width)
        if self.way == VIEWS[2]:
            return [Section(Line("The answer", "title"), [Item(self._raw(self.found.reply, width, "there was none"))])]
        return [Section(Line("As it was sent", "title"), [Item(self._raw(self.found.raw, width, "nothing"))])]

    def _decoded(self, width: int) -> Sequence[Section]:
        assert self.found is not None
        sections = []
        for part in self.found.segments:
            bad = bool(part.wrong)
            title = Line(f"{'x ' if bad else ''}{safe(part.name, 8)} ", "fail" if bad else "focus-title")
            title.add(safe(part.title, 60), "title")
            sections.append(Section(title, [Item(cells.segment(part, width, self.console_app.privacy)[:LINES])]))
        return sections

    def _raw(self, text: str, width: int, none: str) -> list[Line]:
        lines: list[Line] = []
        for line in text.replace("\r", "\n").split("\n"):
            if not line.strip():
                continue
            shown = cells.raw(line, self.console_app.privacy)
            name = shown[:3]
            parts = wrap(shown[3:], max(8, width - 3)) if len(shown) < 20_000 else [shown[3 : 3 + 4 * width]]
            lines.append(Line(name, "accent").add(parts[0]))
            lines.extend(Line("   ").add(part) for part in parts[1:])
            if len(lines) > LINES:
                lines.append(Line("(and more)", "dim"))
                break
        return lines or [Line(none, "dim")]

    def action_view(self) -> None:
        """Show it in the next way."""
        ways = [way for way in VIEWS if way != VIEWS[0] or (self.found is not None and self.found.segments)]
        at = ways.index(self.way) if self.way in ways else -1
        self.way = ways[(at + 1) % len(ways)]
        panel = self.query_one(ContentPanel)
        panel.top = 0
        panel.redraw()

    @property
    def row(self) -> MessageRow | None:
        """The message's row."""
        return self.found.row if self.found is not None else None

    def action_edit(self) -> None:
        """Edit a copy and act on it."""
        if self.console_app.allowed("hl7.resubmit"):
            from screens.hl7_edit import edit

            edit(self.console_app, self.ident, self.renew)

    def action_replay(self) -> None:
        """Act on it once more."""
        if self.row is not None:
            work.replay(self.console_app, [self.row], self.renew)

    def action_ignore(self) -> None:
        """Take it off the list of errors."""
        if self.row is not None:
            work.ignore(self.console_app, [self.row], self.renew)

    def action_merges(self) -> None:
        """Show the patients that it merged."""
        if self.merged:
            merge_work.open_list(self.console_app, message=self.ident)
        elif self.row is not None:
            self.console_app.say("this message merged no patients; C, then u lists all merges")

    def action_linked(self) -> None:
        """Show the message that this one was made from, or was made from it last."""
        if self.found is None:
            return
        other = self.found.original or (self.found.later[-1] if self.found.later else 0)
        if other:
            self.console_app.go(Hl7MessageScreen(other))
        else:
            self.console_app.say("no other message was made from this one, nor this one from another")


class Hl7SentScreen(Hl7MessageScreen):
    """A message that goes out, or went."""

    TITLE_WORDS = "HL7 outgoing"
    ABOUT = (
        "A message that goes out: to whom, what came of it, and the other side's answer in its words. Below, the "
        "message; v shows it as it is sent, and the answer. t sends it now (one that was sent, once more), x cancels "
        "it, h holds it and u releases it. l shows the message that came in and is forwarded by this one."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        keymap.Key("v", "view", "Show it taken apart, as it is sent, or the answer", "view", weight=0),
        *work.SENDING,
        keymap.Key("l", "source", "Show the message that came in and is forwarded by this one", "linked", weight=2),
    )

    def __init__(self, ident: int) -> None:
        super().__init__(ident)
        self.out: OutgoingRow | None = None

    async def call(self) -> MessageView:
        client = self.console_app.client
        page: OutgoingPage = await client.hl7.outgoing(before=self.ident + 1, limit=1)
        self.out = page.rows[0] if page.rows and page.rows[0].id == self.ident else None
        found: MessageView = await client.hl7.outgoing_message(id=self.ident)
        return found

    def facts(self, width: int, panel: Panel) -> list[Line]:
        assert self.found is not None
        out, now, privacy = self.out, self.console_app.now(), self.console_app.privacy
        if out is None:
            return [Line("it is not in the list any more", "dim")]
        lines: list[Line] = []

        def fact(name: str, text: str, role: str = "text") -> None:
            lines.extend(words(text, width, role, 11, cells.label(name)))

        fact("to", f"{safe(out.destination, 64)}, queued {cells.moment(out.at, now)}", "strong")
        why = f"forwarded by the rule {safe(out.what, 64)}" if out.source else safe(out.what, 64)
        about = [why, f"control ID {safe(out.control, 64)}", size(self.found.row.size)]
        if out.patient_id:
            about.append(f"patient {privacy.ident(out.patient_id)}")
        if out.accession:
            about.append(f"accession {privacy.ident(out.accession)}")
        fact("what", ", ".join(about))
        role = {"failed": "fail-text", "waiting": "warn-text"}.get(out.state, "text")
        said = privacy.sentence(out.text)
        if out.answer:
            fact("answer", f"{safe(out.answer, 4)}{': ' if said else ''}{said}", role)
        elif said:
            fact("answer", said, role)
        else:
            fact("answer", "none yet", "dim")
        if out.hint and out.state in ("failed", "waiting"):
            lines += words(privacy.sentence(out.hint), width, "strong", 2, Line("> ", "accent"))
        tries = plural(out.attempts, "try", "tries")
        if out.state == "waiting":
            fact("next", f"{when(out.next_try, now) if out.next_try else 'its turn is next'}, after {tries}")
        elif out.state in ("failed", "sent"):
            fact("tries", tries)
        return lines

    def _chosen(self) -> list[OutgoingRow]:
        return [self.out] if self.out is not None else []

    def action_retry(self) -> None:
        """Send it now."""
        work.send_again(self.console_app, self._chosen(), self.renew)

    def action_cancel(self) -> None:
        """Do not send it."""
        work.drop(self.console_app, self._chosen(), self.renew)

    def action_hold(self) -> None:
        """Hold it."""
        work.hold(self.console_app, self._chosen(), self.renew)

    def action_release(self) -> None:
        """Release it."""
        work.release(self.console_app, self._chosen(), self.renew)

    def action_linked(self) -> None:
        """Show the message that came in."""
        if self.out is not None and self.out.source:
            self.console_app.go(Hl7MessageScreen(self.out.source))
        else:
            self.console_app.say("this is a message of our own: nothing that came in is forwarded by it")
