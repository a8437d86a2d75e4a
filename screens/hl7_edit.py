"""Editing an HL7 message that failed: a segment on each line, what the edited one would do, and acting on it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import TextArea

from pacstui.contract.hl7 import MessageRow, MessageView
from pacstui.contract.overview import View
from pacstui.contract.privacy import MASK
from pacstui.errors import PacsError
from pacstui.text import plural, safe
from screens import keymap
from screens.base import ConsoleScreen
from screens.hl7 import wrong
from screens.modals.ask import Ask, Choice
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words

if TYPE_CHECKING:
    from screens.app import ConsoleApp

LONGEST = 200_000
"""Characters of a message that is edited here."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def editable(text: str) -> tuple[str, int]:
    r"""Return a message fit to be edited on a terminal, and how many characters of it could not stay as they are.

    A control character becomes the escape sequence \Xdd\ that stands for it (HL7 v2.5 2.7.3); what else would act on
    the terminal becomes what is shown for it everywhere.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    mark = text[6] if text[:3] == "MSH" and len(text) > 6 else "\\"
    text = _CONTROL.sub(lambda found: f"{mark}X{ord(found.group()):02X}{mark}", text)
    lines = [line.replace("\t", " ") for line in text.split("\n")]
    shown = [safe(line, len(line) + 1) for line in lines]
    lost = sum(
        sum(a != b for a, b in zip(unicodedata.normalize("NFC", line), told, strict=False))
        for line, told in zip(lines, shown, strict=True)
    )
    return "\n".join(told if told != line else line for line, told in zip(lines, shown, strict=True)), lost


def spot(text: str, found: MessageView) -> tuple[int, int]:
    """Return line and column of the first field that was complained about; the beginning if there is none."""
    lines = text.split("\n")
    for number, part in enumerate(found.segments):
        if part.wrong and number < len(lines) and lines[number][:3] == part.name:
            place = part.wrong[0].partition("-")[2].partition(".")[0]
            field = int(place) if place.isdecimal() else 0
            line, mark = lines[number], lines[0][3:4] or "|"
            column = 0
            for _ in range(field - 1 if part.name == "MSH" else field):
                at = line.find(mark, column)
                if at < 0:
                    return number, len(line)
                column = at + 1
            return number, column
    return 0, 0


class Editor(TextArea):
    """Where the message is edited. What is pasted is made fit first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+a", "select_all", show=False)]

    async def _on_paste(self, event: events.Paste) -> None:
        event.text = editable(event.text)[0]
        await super()._on_paste(event)


class OutcomePanel(Panel):
    """What is wrong with the message, and what the edited one would do."""

    can_focus = False

    def __init__(self, screen: Hl7EditScreen) -> None:
        super().__init__(id="outcome")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        screen = self._of
        if screen.busy:
            return [Section(Line("asking the node", "title"), [Item([Line(screen.busy, "dim")])])]
        if screen.fault:
            return [
                Section(
                    Line("Not done", "fail"), [Item(words(screen.fault, width, "fail-text", 2, Line("x ", "fail")))]
                )
            ]
        tried = screen.tried
        if tried is None:
            lines = wrong(screen.row, width, self) if screen.row.state == "failed" else [
                Line("The message was acted on already; an edited one is acted on beside it.", "dim").cut(width)
            ]  # fmt: skip
            title = Line("What was wrong", "title")
            if screen.wrong:
                title.add(f"  at {', '.join(screen.wrong[:4])}", "fail-text")
            return [Section(title, [Item(lines[:height])])]
        if tried.state == "failed":
            title = Line(f"With this text it would be answered {safe(tried.answer, 4)}", "fail")
            return [Section(title, [Item(wrong(tried, width, self)[:height])])]
        told = self.console_app.privacy.sentence(tried.text) or "nothing changes"
        lines = words(told, width, "good", 2, Line("= ", "good"))
        hint = Line("> ", "accent").add("ctrl+s", "key").add(" acts on it")
        return [Section(Line("With this text it would do", "good"), [Item([*lines[: max(1, height - 1)], hint])])]


class Hl7EditScreen(ConsoleScreen):
    """The editor."""

    TITLE_WORDS = "Edit HL7 message"
    AUTO_FOCUS = "Editor"
    TYPED = True
    ABOUT = (
        "A copy of the message, a segment on each line. The original stays as it is; what is acted on is kept as a "
        "message of its own, with who made it. ctrl+t says what the text as it stands would do, and does nothing; "
        "ctrl+s acts on it after that was said. What is wrong stands below. An empty field says nothing, two quotes "
        "say that the value is to be deleted. esc goes back; what was changed is asked about first."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        keymap.Key("ctrl+t", "try", "Say what the text as it stands would do; nothing is done", "trial",
                   keymap.acts("hl7.trial", "trial").action, 0, shown="^t"),
        keymap.Key("ctrl+s", "act on it", "Act on the text as it stands", "submit",
                   keymap.acts("hl7.resubmit", "submit").action, 0, shown="^s"),
    )  # fmt: skip

    def __init__(self, found: MessageView, text: str, done: Callable[[], None]) -> None:
        super().__init__()
        self.row: MessageRow = found.row
        self.wrong = [safe(place, 16) for part in found.segments for place in part.wrong]
        self._start = spot(text, found)
        self.text = text
        self.tried: MessageRow | None = None
        self.busy = ""
        self.fault = ""
        self._done = done

    def on_mount(self) -> None:
        super().on_mount()
        self.editor.move_cursor(self._start)

    def body(self) -> Iterable[Widget]:
        editor = Editor(self.text, soft_wrap=True, show_line_numbers=False, tab_behavior="focus", id="editor")
        editor.cursor_blink = False
        yield editor
        yield OutcomePanel(self)

    @property
    def editor(self) -> Editor:
        """The editor."""
        return self.query_one(Editor)

    def show(self, view: View) -> None:
        self.query_one(OutcomePanel).redraw()

    @on(TextArea.Changed)
    def _changed(self) -> None:
        if self.tried is not None or self.fault:
            self.tried, self.fault = None, ""
            self.query_one(OutcomePanel).redraw()

    def copied(self) -> str:
        return self.editor.text

    def filtered(self) -> None:
        return None

    def action_find(self) -> None:
        """There is nothing to filter."""

    def action_back(self) -> None:
        """Go back; ask first whether what was changed may go."""
        if self.editor.text == self.text:
            self.console_app.back()
            return

        def answered(answer: str | None) -> None:
            if answer == "yes":
                self.console_app.back()

        choices = [Choice("no", "go on editing", safe=True), Choice("yes", "throw it away")]
        self.console_app.push_screen(Ask("Throw away what was changed?", ["Nothing was acted on."], choices), answered)

    def _message(self) -> str:
        return "\r".join(line for line in self.editor.text.split("\n") if line.strip()) + "\r"

    def action_trial(self) -> None:
        """Say what the text would do."""
        if not self.busy and self.console_app.allowed("hl7.trial"):
            self.busy, self.fault, self.tried = "what the text as it stands would do", "", None
            self.console_app.keep(self._trial())
            self.query_one(OutcomePanel).redraw()

    async def _trial(self) -> None:
        await self._try()

    async def _try(self) -> bool:
        text = self._message()
        try:
            self.tried = await self.console_app.client.hl7.trial(id=self.row.id, text=text)
        except PacsError as error:
            self.fault = safe(f"{error.message}{': ' if error.hint else ''}{error.hint}", 400)
        except (OSError, TimeoutError) as error:
            self.fault = safe(f"the node did not answer: {error}", 400)
        finally:
            self.busy = ""
        if self.is_attached:
            self.query_one(OutcomePanel).redraw()
        return self.tried is not None

    def action_submit(self) -> None:
        """Act on the text, after what it would do was said."""
        app = self.console_app
        if self.busy or not app.allowed("hl7.resubmit"):
            return

        async def work() -> None:
            self.busy = "what the text as it stands would do"
            if self.tried is None and not await self._try():
                return
            self.busy = ""
            assert self.tried is not None
            told = app.privacy.sentence(self.tried.text) or "nothing changes"
            if self.tried.state == "failed":
                title, text = "It would fail again", f"{told}. It can be acted on all the same, and is kept as failed."
                choices = [Choice("no", "go on editing", safe=True), Choice("yes", "act on it")]
            else:
                title, text = "Act on the edited message?", f"{told}. The original counts as put right then."
                choices = [Choice("no", "go on editing", safe=True), Choice("yes", "act on it")]
            app.push_screen(Ask(title, [text], choices), self._answered)

        app.keep(work())

    def _answered(self, answer: str | None) -> None:
        if answer == "yes":
            self.busy = "acting on it"
            self.console_app.keep(self._submit())

    async def _submit(self) -> None:
        app = self.console_app
        try:
            row: MessageRow = await app.client.hl7.resubmit(id=self.row.id, text=self._message())
        except PacsError as error:
            self.fault = safe(f"{error.message}{': ' if error.hint else ''}{error.hint}", 400)
            return
        except (OSError, TimeoutError) as error:
            self.fault = safe(f"the node did not answer: {error}", 400)
            return
        finally:
            self.busy = ""
            if self.is_attached:
                self.query_one(OutcomePanel).redraw()
        app.back()
        self._done()
        if row.state == "failed":
            app.say(f"it failed again, as message {row.id}: {app.privacy.sentence(row.text)}", "fail")
        else:
            app.say(f"done as message {row.id}: {app.privacy.sentence(row.text) or 'nothing changed'}")


def edit(app: ConsoleApp, ident: int, done: Callable[[], None]) -> None:
    """Open a message in the editor; say why not, where that cannot be."""
    if app.privacy.on:
        app.say("an editor cannot hide names: P shows them first", "warn")
        return

    async def work() -> None:
        found: MessageView | None = await app.fetch(app.client.hl7.message(id=ident))
        if found is None:
            return
        if found.raw == MASK:
            app.lacks("patients.view", "editing a message")
            return
        if len(found.raw) > LONGEST:
            app.say(
                f"it is too long to edit here: {plural(len(found.raw), 'character')}; pacstui hl7 edit does it", "warn"
            )
            return
        text, lost = editable(found.raw)
        app.go(Hl7EditScreen(found, text, done))
        if lost:
            app.say(
                f"{plural(lost, 'character')} that cannot be shown stand as · or a picture: look before acting", "warn"
            )

    app.keep(work())
