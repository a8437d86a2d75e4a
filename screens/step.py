"""One step of the worklist: whose, what was ordered, what was performed, what came, and how it got here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract import privacy
from pacstui.contract.worklist import PerformedRow, StepView
from pacstui.errors import NotFound, PacsError
from pacstui.text import count, plural, safe
from screens import keymap
from screens import step_words as tell
from screens import worklist_cells as cells
from screens import worklist_work as work
from screens.asking import AskingScreen
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words


class StepPanel(Panel):
    """The page."""

    def __init__(self, screen: StepScreen) -> None:
        super().__init__(id="page")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        of = self._of
        if of.fault is not None:
            lines = words(f"x {safe(of.fault.message, 300)}", width, "fail", 2)
            return [Section(Line("Step", "title"), [Item([*lines, *words(safe(of.fault.hint, 300), width, "dim")])])]
        view = of.view
        if view is None:
            return [Section(Line("Step", "title"), [Item([Line("asking the node", "dim")])])]
        row = view.row
        mark, role = cells.state(row.state)
        title = Line(safe(row.description, 64) or "(no description)", "focus-title").add("  ").add(mark, role)
        facts = tell.trouble(row, width, of.console_app.privacy, view.performed)
        facts += self._facts(view, width)
        performed = [self._performed(each, width) for each in view.performed]
        if not performed:
            text = "Nothing: the modality did not report that it began (MPPS), or it has not begun."
            performed = [Item(words(text, width, "dim"))]
        number = Line("Performed  ", "title").add(count(len(view.performed)), "strong" if view.performed else "dim")
        history = [Item(words(of.console_app.privacy.sentence(text), width, "text", 2)) for text in view.history]
        return [
            Section(title, [Item(facts)]),
            Section(number, performed, Line("expected and received images", "dim") if view.performed else None),
            Section(Line("History", "title"), history or [Item([Line("nothing is known of it", "dim")])]),
        ]

    def _facts(self, view: StepView, width: int) -> list[Line]:
        row, privacy = view.row, self.console_app.privacy
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            tell.fact(lines, width, label, text, role)

        fact("patient", tell.whose(row, privacy), "strong")
        issuer = f" of {safe(row.issuer, 64)}" if row.issuer else ""
        fact("ID", f"{privacy.ident(row.patient_id, '(none)')}{issuer}")
        fact("scheduled", tell.where(row, self.console_app.now().date()))
        numbers = [
            f"accession {privacy.ident(row.accession)}" if row.accession else "",
            f"placer {safe(view.placer, 64)}" if view.placer else "",
            f"filler {safe(view.filler, 64)}" if view.filler else "",
            f"procedure {safe(row.procedure_id, 32)}" if row.procedure_id else "",
            f"step {safe(row.step_id, 32)}" if row.step_id else "",
        ]
        fact("order", ", ".join(each for each in numbers if each))
        fact("priority", safe(row.priority, 16), "warn-text" if row.priority.upper() in cells.URGENT else "text")
        fact("codes", "; ".join(safe(code, 100) for code in view.codes))
        fact("reason", privacy.sentence(view.reason))
        fact("comments", privacy.sentence(view.comments))
        asked = [f"referred by {cells.physician(view.referring)}" if view.referring else "",
                 f"performed by {cells.physician(row.physician)}" if row.physician else ""]  # fmt: skip
        fact("people", ", ".join(each for each in asked if each))
        fact("made by", safe(row.source.replace("|", " of "), 128), "dim")
        fact("images", tell.counted(row))
        fact("study", safe(row.study, 80), "dim")
        return lines

    def _performed(self, row: PerformedRow, width: int) -> Item:
        mark, role = cells.performed(row.state)
        line = Line(f"{mark:<15}", role).add(f"{safe(row.station_ae, 32)}  ", "strong")
        ended = f" to {when(row.ended)}" if row.ended else ""
        line.add(f"{when(row.started)}{ended}", "dim")
        told, tone = cells.images(row.expected, row.received, row.state != "IN PROGRESS")
        line.add(f"  {told} images", tone)
        lines = [line.cut(width)]
        differs = cells.missing(row) if row.state != "IN PROGRESS" else ""
        if differs:
            lines += words(differs, width, "warn-text", 4, Line("  ! ", "warn"))
        if row.reason:
            lines += words(f"broken off: {safe(row.reason, 200)}", width, "warn-text", 4, Line("  "))
        if row.study and self._of.view is not None and row.study != self._of.view.row.study:
            lines += words(
                f"under another study than ordered: {safe(row.study, 80)}", width, "warn-text", 4, Line("  ! ", "warn")
            )
        if row.forwarded:
            lines += words(f"told on: {safe(row.forwarded, 200)}", width, "dim", 4, Line("  "))
        return Item(lines, ("study", row.study) if row.study else None)


def when(text: str) -> str:
    """Return a moment as the node gives it, date and time of DICOM or ISO, as a time of day."""
    plain = text.replace("-", "").replace(":", "").replace("T", "").replace(" ", "")
    if plain[:12].isdigit() and len(plain) >= 12:
        return cells.clock(plain[8:12])
    return cells.clock(plain) if plain[:4].isdigit() and len(plain) in (4, 6) else safe(text, 20)


class StepScreen(AskingScreen):
    """A step."""

    TITLE_WORDS = "Step"
    EVERY_S = 3.0
    ABOUT = (
        "First what is wrong with the step, if something is, and what mends it. Then whose it is and what was ordered, "
        "what modalities reported as performed (MPPS) with the images that they named and those that came, and the "
        "history of the order. v shows its images; e changes it, s sets where it stands, x cancels it, n enters "
        "another. l shows the HL7 messages of its order."
    )
    KEYS = (
        *work.KEYS,
        keymap.Key("v", "images", "Show the images that came of it", "study", weight=1),
        keymap.Key(
            "l",
            "messages",
            "Show the HL7 messages of its order",
            "messages",
            keymap.acts("hl7.messages", "messages").action,
            2,
        ),
    )

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step
        self.view: StepView | None = None
        self.fault: PacsError | None = None

    def body(self) -> Iterable[Widget]:
        yield StepPanel(self)

    async def ask(self) -> Any:
        app = self.console_app
        try:
            return await app.client.worklist.step(id=self.step)
        except NotFound as error:
            return error
        except (PacsError, OSError, TimeoutError) as error:
            if self.view is None:
                return error if isinstance(error, PacsError) else PacsError("the node did not answer", str(error))
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return None

    async def took(self, found: Any) -> None:
        if isinstance(found, PacsError):
            self.fault = found
        elif found is not None:
            self.view, self.fault = found, None
            row = found.row
            self.console_app.privacy.learn((row.patient_name, row.patient_id, row.accession))
        self.redraw_all()

    def copied(self) -> str:
        return self.query_one(StepPanel).copied()

    def _do(self, do: Callable[..., None]) -> None:
        if self.view is not None:
            do(self.console_app, self.view.row, self.renew)

    def action_edit(self) -> None:
        """Change it."""
        self._do(work.edit)

    def action_set_state(self) -> None:
        """Set where it stands."""
        self._do(work.set_state)

    def action_cancel(self) -> None:
        """Cancel it."""
        self._do(work.cancel)

    def action_create(self) -> None:
        """Enter another."""
        work.add(self.console_app, f"{self.console_app.now():%Y%m%d}", self.renew)

    @on(Panel.Chosen, "#page")
    def _chosen(self, event: Panel.Chosen) -> None:
        if isinstance(event.id, tuple):
            self._study(event.id[1])
        else:
            self.action_study()

    def action_study(self) -> None:
        """Show what came of it."""
        if self.view is None:
            return
        row = self.view.row
        came = [each.study for each in self.view.performed if each.received and each.study]
        if row.received:
            self._study(row.study)
        elif came:
            self._study(came[0])
        else:
            told = plural(row.expected, "image") if row.expected > 0 else "images"
            self.console_app.say(f"no {told.removeprefix('0 ')} of it came yet" if row.expected <= 0 else
                                 f"none of the {told} that the modality named came yet")  # fmt: skip

    def action_messages(self) -> None:
        """Show the HL7 messages of its order."""
        if self.view is None or not self.console_app.allowed("hl7.messages"):
            return
        row = self.view.row
        wanted = row.accession or self.view.placer or self.view.filler
        if not (self.view.placer or self.view.filler) or not wanted:
            self.console_app.say("no message made this order: it was entered by hand")
        elif not self.console_app.lacks(privacy.PERMISSION, "a search"):
            from screens.hl7 import Hl7Screen

            screen = Hl7Screen()
            screen.search = wanted
            self.console_app.go(screen)

    def _study(self, study: str) -> None:
        if study and self.console_app.allowed("studies.show"):
            from screens.study import StudyScreen

            self.console_app.go(StudyScreen(study))
