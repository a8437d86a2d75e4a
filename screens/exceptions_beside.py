"""What arrived beside what was expected, attribute by attribute; and the keys that put it right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from pacstui.contract.corrections import CorrectionRow
from pacstui.contract.exceptions import Candidate, Difference, ExceptionView
from pacstui.text import ago, count, plural, safe
from screens import exceptions_work as work
from screens import keymap
from screens.asking import AskingScreen
from screens.modals.form import Form, Values
from screens.widgets.form import Field
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

MARKS = {
    "same": ("=", "good", "dim"), "near": ("~", "warn", "warn-text"), "different": ("x", "fail", "fail-text"),
    "missing": ("\u00b7", "dim", "dim"),
}  # fmt: skip
"""By how an attribute compares: its mark, the mark's role, the role of what is expected."""
_LABEL = 17
_PERSON = ("name", "patient ID", "born", "accession number")
_FREE = ("study UID", "procedure")
"""Attributes that may well differ: that costs no points."""
_TAIL = 24
_VALUES = 5
KEYS = (
    work.key_of("corrections.assign", "a", "assign", "Assign the study to the order or patient on the right", "assign",
                0),
    work.key_of("corrections.edit", "e", "edit", "Change what the study says", "edit", 1),
    work.key_of("worklist.add", "n", "new order", "Enter the order afterwards, as done, and assign the study to it",
                "order", 2),
    work.key_of("corrections.reject", "j", "reject", "Reject the study, with a reason", "reject", 1),
    work.key_of("exceptions.settle", "t", "take it", "Take the study as it is, and off the list", "take", 1),
    work.key_of("corrections.undo", "z", "undo", "Undo what was done last on this study", "undo", 1),
    keymap.Key("right,tab,l", "next order", "Compare with the next order", "turn(1)", weight=1, shown="\u2192"),
    keymap.Key("left,shift+tab,h", "order before", "Compare with the order before", "turn(-1)", weight=8,
               shown="\u2190"),
    keymap.Key("slash", "other", "Look for another order or patient to compare with", "other", weight=1, shown="/"),
    work.key_of("exceptions.match", "m", "match again", "Match the study with orders again", "match", 6),
    keymap.Key("o", "images", "Show the study and its series", "study", weight=5),
)  # fmt: skip


def moment(text: str) -> str:
    """Return a date of DICOM as people write it, other text as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text


def row_unlinked(candidate: Candidate) -> bool:
    """Return whether neither UID nor accession number name an order."""
    return all(d.mark != "same" for d in candidate.differences if d.attribute in ("accession number", "study UID"))


class BesidePanel(Panel, inherit_bindings=False):
    """The study on the left, an order on the right."""

    MARKED = False
    BINDINGS: ClassVar[list[BindingType]] = [  # without j and k: j rejects
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("enter", "choose", show=False),
    ]

    def __init__(self, screen: BesideScreen) -> None:
        super().__init__(id="beside")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self._of.view
        if view is None:
            told = self._of.fault or "asking the node"
            return [Section(Line("Exception", "title"), [Item(words(told, width, "dim"))])]
        row, privacy = view.row, self.console_app.privacy
        symbol, role = work.STATES.get(row.state, (safe(row.state, 20), "text"))
        title = Line(symbol, role).add(f"  {safe(row.modality, 16)} ", "title")
        title.add(f"{plural(row.instances, 'image')} from {safe(row.calling, 40)}, ")
        title.add(ago(row.received, self.console_app.now()))
        lines: list[Line] = []
        if row.settled:
            lines += words(f"taken as it is by {privacy.sentence(row.settled)}", width, "accent")
        if row.why:
            lines += words(privacy.sentence(row.why), width, "text" if row.state == "not expected" else "warn-text")
        elif row.state == "matched":
            lines.append(Line("it fits its order in all that counts", "good"))
        candidate = self._of.candidate
        first = [Section(title, [Item(lines)]), *self._disagreements(view, width)]
        if candidate is None:
            return [*first, self._alone(width)]
        return [*first, self._beside(candidate, width), self._reasons(candidate, width)]

    def _disagreements(self, view: ExceptionView, width: int) -> list[Section]:
        """Return where objects of the study disagree, in a section; none where they do not."""
        if not view.disagreements:
            return []
        lines: list[Line] = []
        for each in view.disagreements:
            shown = [(said.value.strip(), said.objects) for said in each.values[:_VALUES]]
            values = [f"{self._value(each.attribute, said) if said else '(none)'} in {count(n)}" for said, n in shown]
            values += [f"{len(each.values) - _VALUES} more values"] if len(each.values) > _VALUES else []
            label = Line("x ", "warn").add(fit(safe(each.attribute, 40), _LABEL), "dim")
            lines += words(", ".join(values), width, "warn-text", _LABEL + 2, label)
        some = view.looked < view.row.instances
        of = f"{count(view.looked)} of {plural(view.row.instances, 'image')}" if some else plural(view.looked, "image")
        return [Section(Line(f"Its objects disagree: {of} looked at", "title"), [Item(lines)])]

    def _alone(self, width: int) -> Section:
        search = self._of.search
        if search:
            told = f"No order and no patient begins with {self.console_app.privacy.sentence(search)}. / looks again."
        else:
            told = (
                "No order is known that this study may belong to. n enters it afterwards, as done; / looks for another "
                "order or patient by name, ID or accession number; e edits what the study says; t takes it as it is; "
                "when its order comes later it is matched by itself."
            )
        return Section(Line("Expected", "title"), [Item(words(told, width, "dim"))])

    def _beside(self, candidate: Candidate, width: int) -> Section:
        of = self._of
        title = Line("order " if candidate.order else "patient ", "title")
        title.add(f"{of.at + 1} of {len(of.candidates)}", "strong")
        title.add(f"  score {candidate.score}")
        if candidate.state and candidate.state != "scheduled":
            grave = candidate.state in ("cancelled", "on hold")
            title.add(f"  {safe(candidate.state, 20)}", "warn" if grave else "text")
        if not candidate.order:
            title.add("  without orders", "dim")
        elif not candidate.score and not of.search:
            title.add("  nothing speaks for it but the time" if row_unlinked(candidate) else "", "dim")
        if of.search:
            title.add(f"  found for {self.console_app.privacy.sentence(of.search)}", "accent")
        note = Line("\u2190 \u2192 others", "key") if len(of.candidates) > 1 else None
        how = width >= 104
        room = width - 2 - _LABEL
        each = (room - 4) // 2 if not how else (room - 6) * 3 // 8
        heads = Line(" " * (2 + _LABEL)).add(fit("arrived", each + 2), "dim").add(fit("expected", each + 2), "dim")
        lines = words(work.on_hold(candidate, self.console_app.privacy), width, "warn-text") if candidate.held else []
        lines.append(heads.cut(width))
        lines += [self._compared(d, each, how).cut(width) for d in candidate.differences if d.arrived or d.expected]
        return Section(title, [Item(lines)], note)

    def _compared(self, difference: Difference, each: int, how: bool) -> Line:
        mark, role, theirs = MARKS.get(difference.mark, ("?", "text", "text"))
        if difference.mark == "different" and difference.attribute in _FREE:
            role = theirs = "dim"
        line = Line(f"{mark} ", role).add(fit(safe(difference.attribute, 40), _LABEL), "dim")
        line.add(fit(self._value(difference.attribute, difference.arrived), each), "strong").add("  ")
        line.add(fit(self._value(difference.attribute, difference.expected), each), theirs)
        if how and difference.how:
            line.add("  ").add(safe(difference.how, 80), theirs)
        return line

    def _value(self, attribute: str, text: str) -> str:
        privacy = self.console_app.privacy
        if not text:
            return "-"
        if attribute == "name":
            return privacy.name(text)
        if attribute in _PERSON:
            return privacy.ident(moment(text) if attribute == "born" else text)
        if attribute == "study UID" and len(text) > _TAIL:
            return "\u2026" + safe(text[-_TAIL:])
        return safe(text, 128)

    def _reasons(self, candidate: Candidate, width: int) -> Section:
        lines: list[Line] = []
        for_it = [reason for reason in candidate.reasons if reason.startswith("+")]
        against = [reason for reason in candidate.reasons if not reason.startswith("+")]
        if against:
            lines += words(safe("; ".join(against), 600), width, "fail-text", 9, Line("against  ", "dim"))
        if for_it:
            lines += words(safe("; ".join(for_it), 600), width, "text", 9, Line("for it   ", "dim"))
        return Section(Line("Why this score", "title"), [Item(lines)])


class BesideScreen(AskingScreen):
    """One exception."""

    TITLE_WORDS = "Exception"
    EVERY_S = 5.0
    ABOUT = (
        "Left, what arrived; right, what was expected: the order that fits best, then others with the right arrow. "
        "Before that, where objects of the study disagree among themselves. = the same, ~ near (a slip), x another, "
        "\u00b7 one of them says nothing. Below, the points that make the score. a assigns the study to the order on "
        "the right: what would change is shown first, and it asks why. / looks for another order or patient. n enters "
        "the order of an emergency afterwards, as done, so that no modality does it again, and assigns the study to "
        "it. e changes what the study says, j rejects it with a reason, t takes it as it is. z undoes what was done "
        "last. The originals are always kept."
    )
    KEYS = KEYS

    def __init__(self, study: str) -> None:
        super().__init__()
        self.study = study
        self.view: ExceptionView | None = None
        self.fault = ""
        self.search = ""
        self._at: tuple[int, int] | None = None

    def body(self) -> Iterable[Widget]:
        yield BesidePanel(self)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The orders to compare with."""
        return self.view.candidates if self.view is not None else ()

    @property
    def at(self) -> int:
        """Which of them is shown; it stays the same one when others come."""
        known = [(each.order, each.step) for each in self.candidates]
        return known.index(self._at) if self._at in known else 0

    @property
    def candidate(self) -> Candidate | None:
        """The one that is shown."""
        return self.candidates[self.at] if self.candidates else None

    async def ask(self) -> Any:
        app, search = self.console_app, self.search
        return search, await app.fetch(app.client.exceptions.show(study=self.study, search=search))

    async def took(self, found: Any) -> None:
        if found is None or found[0] != self.search:
            return
        if found[1] is None:
            self.fault = "the node does not know this study: it may have been matched with another one, or deleted"
        else:
            self.view = found[1]
            row = self.view.row
            texts = [row.patient_name, row.patient_id, row.accession]
            texts += [t for c in self.candidates for t in (c.patient_name, c.patient_id, c.accession)]
            self.console_app.privacy.learn(texts)
        self.redraw_all()

    def action_turn(self, by: int) -> None:
        """Compare with the next order."""
        many = len(self.candidates)
        if many < 2:
            self.console_app.say("there is no other order that anything speaks for; / looks for one")
            return
        chosen = self.candidates[(self.at + by) % many]
        self._at = (chosen.order, chosen.step)
        self.redraw_all()

    def action_find(self) -> None:
        """Look for another order."""
        self.action_other()

    def action_other(self) -> None:
        """Look for another order or patient."""

        async def send(values: Values) -> str:
            return values["text"].strip()

        def typed(text: str | None) -> None:
            if text is not None:
                self._look_for(text)

        field = Field("text", "begins with", self.search, note="family name, ID, accession number, order number")
        foot = "Enter looks, empty: those that were found by themselves, esc back"
        self.console_app.push_screen(Form("Another order or patient", [field], send, foot=foot), typed)

    def _look_for(self, text: str) -> None:
        self.search, self._at = text, None
        self.renew()

    def action_back(self) -> None:
        """Show the orders found by themselves again, else go back."""
        if self.search:
            self._look_for("")
        else:
            super().action_back()

    @on(Panel.Chosen)
    def _chosen(self) -> None:
        self.action_assign()

    def action_assign(self) -> None:
        """Assign it to the order on the right."""
        if self.view is None:
            return
        if self.candidate is None:
            self.console_app.say("there is no order to assign it to: / looks for one, or for a patient")
            return
        work.assign(self.console_app, self.view.row, self.candidate, self._corrected)

    def action_order(self) -> None:
        """Enter its order afterwards."""
        if self.view is not None:
            work.order(self.console_app, self.view.row, self._corrected)

    def action_edit(self) -> None:
        """Change what it says."""
        if self.view is not None:
            work.edit(self.console_app, self.view.row, self._corrected)

    def action_reject(self) -> None:
        """Reject it."""
        if self.view is not None:
            work.reject(self.console_app, self.view.row, self._corrected)

    def action_take(self) -> None:
        """Take it as it is."""
        if self.view is not None:
            work.take(self.console_app, self.view.row, self.renew)

    def action_undo(self) -> None:
        """Undo what was done last."""
        if self.view is not None:
            work.undo(self.console_app, self.view.row, self._again)

    def _corrected(self, row: CorrectionRow) -> None:
        self.search = ""
        self._again()

    def _again(self) -> None:
        self.console_app.keep(self._match())

    async def _match(self) -> None:
        app = self.console_app
        await app.fetch(app.client.exceptions.match(study=self.study))
        self.renew()

    def action_match(self) -> None:
        """Match it again."""
        if self.console_app.allowed("exceptions.match"):
            self._again()

    def action_study(self) -> None:
        """Show the study."""
        from screens.study import StudyScreen

        self.console_app.go(StudyScreen(self.study))
