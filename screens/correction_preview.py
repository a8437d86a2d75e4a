"""What a correction would do, before it is done: in one sentence, old beside new, who has the wrong copy, what speaks
against it. Letters go into the reason; the answer that leaves everything as it is has the focus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import ModalScreen

from pacstui.contract.corrections import ChangeText, CorrectionRow, Preview
from pacstui.errors import PacsError, Stale
from pacstui.text import plural, safe
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[CorrectionRow], None]
LONGEST = 500
_ALREADY = "  already so"
_LEAST = 3
"""Changes that stay in sight beside what has changed since."""
_EDITING: dict[str, Callable[[str, int], tuple[str, int]]] = {
    "backspace": lambda text, at: (text[: max(0, at - 1)] + text[at:], max(0, at - 1)),
    "delete": lambda text, at: (text[:at] + text[at + 1 :], at),
    "home": lambda text, at: (text, 0),
    "end": lambda text, at: (text, len(text)),
    "ctrl+u": lambda text, at: (text[at:], 0),
}
_KEYWORDS = {
    "PatientName": "name", "PatientID": "patient ID", "IssuerOfPatientID": "issuer of ID",
    "PatientBirthDate": "birth date", "PatientSex": "sex", "AccessionNumber": "accession",
    "StudyDescription": "description", "SeriesDescription": "description", "SeriesNumber": "number",
    "Laterality": "laterality", "ImageLaterality": "laterality", "ProtocolName": "protocol", "StudyDate": "date",
    "ReferringPhysicianName": "referring",
    "RequestedProcedureID": "procedure ID", "StudyInstanceUID": "study UID", "BodyPartExamined": "body part",
}  # fmt: skip


def word_for(keyword: str) -> str:
    """Return what an attribute is called on a screen."""
    return _KEYWORDS.get(keyword, safe(keyword, 32))


def mark_of(change: ChangeText) -> tuple[str, str]:
    """Return mark and role of a change: filled in, emptied, or another value."""
    if not change.old.strip():
        return "+", "ok"
    return ("-", "warn") if not change.new.strip() else ("\u2260", "accent")


class PreviewPanel(Panel, inherit_bindings=False):
    """The preview, its reason and its two answers."""

    MARKED = False

    def __init__(self, preview: Preview, yes: str) -> None:
        super().__init__(classes="box")
        self.preview = preview
        self.why, self.caret = "", 0
        self.fault = ""
        self.busy = False
        self.at = 0
        self._chosen = False
        self.first = 0
        self._labels = ("leave it", yes)

    # how it looks

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        inside = max(1, width - 4)
        parts = [
            self._head(inside),
            self._since(inside),
            self._changes(inside),
            self._after(inside),
            self._foot(inside),
        ]
        return min(viewport.height, sum(map(len, parts)) + sum(1 for part in parts[1:4] if part) + 2)

    def sections(self, width: int, height: int) -> Sequence[Section]:
        head, changes, after, foot = (
            self._head(width), self._changes(width), self._after(width), self._foot(width),
        )  # fmt: skip
        room = height - len(head) - len(foot) - bool(changes) - bool(after)
        since = self._since(width)
        if since:
            most = max(1, room - len(after) - min(len(changes), _LEAST) - 1)
            if len(since) > most > 1:
                since = [*since[: most - 1], Line("  and more; the preview itself says how it is now", "dim")]
            since = since[:most]
            room -= len(since) + 1
        # What speaks against it is never cut off: changes scroll.
        kept = max(2, room - len(after))
        below = len(changes) - kept
        self.first = max(0, min(self.first, below))
        shown = changes[self.first : self.first + kept]
        note = None
        if below > 0:
            seen = f"{self.first + 1}-{self.first + len(shown)} of {len(changes)}, up/down"
            note = Line(f" {seen} ", "dim")
        found = [Section(Line("What this would do", "focus-title"), [Item(head)])]
        if since:
            found.append(Section(Line("Changed since you looked", "warn"), [Item(since)]))
        if changes:
            found.append(Section(Line("Changes", "title"), [Item(shown)], note))
        if after:
            found.append(Section(Line("Mind", "title"), [Item(after[: max(0, room - len(shown))])]))
        found[-1].items.append(Item(foot))
        return found

    def footnote(self) -> Line | None:
        if self.busy:
            return Line("asking the node", "accent")
        return Line("type why, tab chooses, Enter does, esc leaves it", "dim")

    def _head(self, width: int) -> list[Line]:
        return words(self._app.privacy.sentence(self.preview.sentence), width, "strong")

    def _since(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for told in self.preview.since:
            lines += words(self._app.privacy.sentence(told), width, "text", 2, Line("~ ", "warn"))
        return lines

    @property
    def _app(self) -> ConsoleApp:
        return cast("PreviewPage", self.screen).console_app

    def _shown(self, change: ChangeText, text: str) -> str:
        if not text.strip():
            return "(none)"
        patient = change.level == "patient" or change.attribute in ("AccessionNumber", "StudyInstanceUID")
        return self._app.privacy.ident(text) if patient else safe(text, 200)

    def _changes(self, width: int) -> list[Line]:
        rows = (*self.preview.changes, *self.preview.already)
        label = max((cell_len(word_for(each.attribute)) for each in rows), default=0) + 2
        room = max(8, (width - label - 6) // 2)
        lines = []
        for each in self.preview.changes:
            mark, role = mark_of(each)
            old, new = self._shown(each, each.old), self._shown(each, each.new)
            line = Line(f"{mark} ", role).add(fit(word_for(each.attribute), label), "dim")
            if cell_len(old) <= room and cell_len(new) <= room:
                lines.append(line.add(fit(old, room), "text").add(" \u2192 ", "dim").add(fit(new, room), "strong"))
                continue
            lines.append(line.add(fit(old, width - label - 2), "text"))
            lines.append(Line(" " * (label - 1)).add(" \u2192 ", "dim").add(fit(new, width - label - 2), "strong"))
        for each in self.preview.already:
            line = Line("= ", "dim").add(fit(word_for(each.attribute), label), "dim")
            value = fit(self._shown(each, each.new), max(4, width - label - 2 - len(_ALREADY))).rstrip()
            lines.append(line.add(value, "text").add(_ALREADY, "dim"))
        return lines

    def _after(self, width: int) -> list[Line]:
        lines: list[Line] = []
        for doubt in self.preview.doubts:
            lines += words(self._app.privacy.sentence(doubt), width, "warn", 2, Line("! ", "warn"))
        got = self.preview.downstream
        if got:
            names = ", ".join(f"{safe(each.destination, 32)} ({plural(each.instances, 'image')})" for each in got)
            told = f"got it as it is now: {names}. When done, n on the list of corrections tells them."
            lines += words(told, width, "text", 2, Line("\u2192 ", "accent"))
        if any(each.level == "patient" for each in self.preview.already):
            told = "what is already so stands in the index; images that say it otherwise leave as the index has it"
            lines += words(told, width, "dim", 2, Line("i ", "dim"))
        if self.preview.new_uids:
            told = "copies get new SOP Instance UIDs: receivers take them for other images"
            lines += words(told, width, "dim", 2, Line("i ", "dim"))
        return lines

    def _foot(self, width: int) -> list[Line]:
        reason = Line("why  ", "dim")
        room = max(4, width - reason.width)
        start = 0
        while cell_len(self.why[start : self.caret]) >= room:
            start += 1
        under = self.why[self.caret : self.caret + 1] or " "
        after = self.why[self.caret + 1 :]
        reason.add(self.why[start : self.caret]).add(under, "safe")
        while after and reason.width + cell_len(after) > width:
            after = after[:-1]
        reason.add(after).add("_" * max(0, width - reason.width - cell_len(after)), "dim")
        buttons = Line()
        for number, label in enumerate(self._labels):
            here = number == self.at
            buttons.add("  " if number else "").add("\u25b8[" if here else " [", "safe" if here else "dim")
            buttons.add(f" {label} ", "safe" if here else "text").add("]", "safe" if here else "dim")
        fault = words(f"x {self.fault}", width, "fail", 2) if self.fault else []
        return [Line(), reason, *fault, buttons]

    def copied(self) -> str:
        return self._app.privacy.sentence(self.preview.sentence)

    def take(self, preview: Preview) -> None:
        """Show a newer preview; the reason stays, and the answer has to be chosen again."""
        self.preview, self.busy, self.fault = preview, False, ""
        self.at, self._chosen, self.first = 0, False, 0
        self.renew()

    # keys

    def renew(self) -> None:
        """Draw again, at a new height."""
        self.refresh(layout=True)
        self.redraw()

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("escape", "ctrl+c"):
            return
        event.stop()
        event.prevent_default()
        if self.busy:
            return
        if event.key == "enter":
            page = cast("PreviewPage", self.screen)
            if self.at:
                page.do(self.why.strip())
            elif self.why.strip() and not self._chosen:
                self.at = 1  # who gave a reason means to do it: the next Enter does
                self.renew()
            else:
                page.dismiss(None)
            return
        if event.key in ("tab", "shift+tab"):
            self.at, self._chosen = 1 - self.at, True
        elif event.key in ("left", "right"):
            step = -1 if event.key == "left" else 1
            if self.why:
                self.caret = max(0, min(len(self.why), self.caret + step))
            else:
                self.at, self._chosen = max(0, min(1, self.at + step)), True
        elif event.key in ("up", "down", "pageup", "pagedown"):
            self.first += {"up": -1, "down": 1, "pageup": -8, "pagedown": 8}[event.key]
            self.first = max(0, self.first)
        elif event.key in _EDITING:
            self.why, self.caret = _EDITING[event.key](self.why, self.caret)
        elif event.is_printable and event.character and len(self.why) < LONGEST:
            self.why = self.why[: self.caret] + event.character + self.why[self.caret :]
            self.caret += 1
            self.fault = ""
        self.renew()

    def on_paste(self, event: events.Paste) -> None:
        """Take pasted text into the reason."""
        event.stop()
        text = "".join(char for char in event.text if char.isprintable())[: LONGEST - len(self.why)]
        self.why = self.why[: self.caret] + text + self.why[self.caret :]
        self.caret += len(text)
        self.renew()


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done after a preview, if not a correction: the action that it takes, doing it with a token and a reason,
    and looking again with a token that does not hold any more."""

    action: str
    do: Callable[[str, str], Awaitable[Any]]
    renew: Callable[[str], Awaitable[Preview]]


class PreviewPage(ModalScreen[Any]):
    """Asks whether what is previewed is to be done; answers with what the node answered, none where it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "leave", show=False)]
    AUTO_FOCUS = "PreviewPanel"

    def __init__(self, preview: Preview, yes: str = "do it", deed: Deed | None = None) -> None:
        super().__init__()
        self._preview = preview
        self._deed = deed
        self._panel = PreviewPanel(preview, yes)

    def compose(self) -> ComposeResult:
        yield self._panel

    @property
    def console_app(self) -> ConsoleApp:
        """The application, with its own type."""
        return cast("ConsoleApp", self.app)

    @property
    def deed(self) -> Deed:
        """What is done: a correction, if nothing else was said."""
        corrections = self.console_app.client.corrections
        return self._deed or Deed(
            "corrections.apply",
            lambda token, why: corrections.apply(token=token, why=why),
            lambda token: corrections.renew(token=token),
        )

    def action_leave(self) -> None:
        """Leave everything as it is."""
        if not self._panel.busy:
            self.dismiss(None)

    def do(self, why: str) -> None:
        """Do it, with a reason."""
        if not why:
            self._tell("say why: others will ask (a few words, no names of patients)")
        elif self.console_app.allowed(self.deed.action):
            self._panel.busy, self._panel.fault = True, ""
            self._panel.renew()
            self.console_app.keep(self._apply(why))

    def _tell(self, text: str) -> None:
        self._panel.busy, self._panel.fault = False, text
        self._panel.renew()

    async def _apply(self, why: str) -> None:
        try:
            row = await self.deed.do(self._preview.token, why)
        except Stale:
            await self._renew()
        except (PacsError, OSError, TimeoutError) as error:
            self._failed(error)
        else:
            self.dismiss(row)

    async def _renew(self) -> None:
        """Show how it is now, with what was typed."""
        app = self.console_app
        try:
            found = await self.deed.renew(self._preview.token)
        except (PacsError, OSError, TimeoutError) as error:
            self._failed(error)
            return
        learn(app, found)
        self._preview = found
        self._panel.take(found)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, PacsError):
            self._tell(safe(f"{error.message}{': ' if error.hint else ''}{error.hint}", 400))
        else:
            self._tell(safe(f"the node did not answer: {error}", 400))


def learn(app: ConsoleApp, preview: Preview) -> None:
    """Remember who patients in a preview are, so that the privacy mode hides them in sentences too."""
    app.privacy.learn(
        text for each in (*preview.changes, *preview.already)
        if each.level == "patient" or each.attribute == "AccessionNumber"
        for text in (each.old, each.new)
    )  # fmt: skip


def preview(app: ConsoleApp, call: Awaitable[Preview], done: Done, yes: str = "do it") -> None:
    """Ask the node for a preview, show it, do it if that is wanted; ``done`` is given the correction's row."""

    def answered(row: CorrectionRow | None) -> None:
        if row is not None:
            got = f", n tells {plural(len(row.downstream), 'destination')} there" if row.downstream else ""
            app.say(f"done; C lists it: z undoes it{got}")
            done(row)

    async def work() -> None:
        found: Preview | None = await app.fetch(call)
        if found is not None:
            learn(app, found)
            app.push_screen(PreviewPage(found, yes), answered)

    app.keep(work())
