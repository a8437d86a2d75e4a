"""A frame with fields that are filled in. Passwords are never shown, never copied, and kept nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.geometry import Size
from textual.message import Message

from pacstui.text import safe
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

LONGEST = 4096
DOT = "\u2022"
FAULT = "\0fault"
CODE = "code"


@dataclass(slots=True)
class Field:
    """One field.

    ``choices`` are value and explanation; with them the value is one of these. ``secret`` ones are drawn as dots.
    ``note`` stands below while the cursor is there, and ``told``, which is what the node says of the value. A
    ``fixed`` one is shown, cannot be changed, and says why.
    """

    name: str
    label: str
    value: str = ""
    secret: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    note: str = ""
    fixed: str = ""
    told: str = ""


def _shown(char: str) -> str:
    return safe(char)[:1] or " "


class FormPanel(Panel, inherit_bindings=False):
    """The fields of a form. Enter sends it from wherever the cursor is; nothing that was typed is lost by a mistake.

    What stands in a field when one comes to it is replaced by what is typed; left, right, home and end go into it.
    """

    MARKED = False

    class Sent(Message):
        """Enter was pressed."""

    def __init__(self, title: str, intro: str, fields: Sequence[Field], foot: str) -> None:
        super().__init__(classes="box")
        self.title_text = title
        self.intro = intro
        self.fields = list(fields)
        self.foot = foot
        self.at = 0
        self.caret = len(self.fields[0].value) if fields else 0
        self.whole = True
        """The value is chosen as a whole, as it is in a field that was just entered: what is typed replaces it."""
        self.fault = ""
        self.busy = ""
        self.cursor = self.fields[0].name if fields else None

    @property
    def values(self) -> dict[str, str]:
        """What was typed, by the fields' names."""
        return {field.name: field.value for field in self.fields}

    # how it looks

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return sum(len(item.lines) for item in self._items(max(1, width - 4))) + 2

    def sections(self, width: int, height: int) -> Sequence[Section]:
        return [Section(Line(self.title_text, "focus-title"), self._items(width))]

    def footnote(self) -> Line | None:
        return Line(self.busy or self.foot, "accent" if self.busy else "dim")

    def copied(self) -> str:
        return ""

    def _items(self, width: int) -> list[Item]:
        items = []
        if self.intro:
            items.append(Item([*words(self.intro, width), Line()]))
        label = max((cell_len(field.label) for field in self.fields), default=0) + 2
        for number, field in enumerate(self.fields):
            here = number == self.at and self.lit
            line = Line("\u25b8 " if here else "  ", "key").add(fit(field.label, label), "strong" if here else "dim")
            room = max(4, width - line.width)
            if field.fixed:
                lines = [line.add(fit(safe(field.value, 128) or "-", room), "dim")]
                lines.extend(words(field.fixed, width, "dim", 2, Line("  ")) if here else ())
                items.append(Item(lines, field.name))
                continue
            lines = [line.extend(self._choice(field, here) if field.choices else self._text(field, here, room))]
            note = field.note or next((told for value, told in field.choices if value == field.value and told), "")
            if note and (here or field.choices):
                lines.extend(words(note, width, "dim", 2, Line("  ")))
            if field.told and here:
                role = "fail-text" if field.told.startswith("x ") else "accent"
                lines.extend(words(field.told, width, role, 2, Line("  ")))
            items.append(Item(lines, field.name))
        if self.fault:
            items.append(Item([Line(), *words(f"x {self.fault}", width, "fail", 2)], FAULT))
        return items

    def _choice(self, field: Field, here: bool) -> Line:
        if not here:
            return Line(f"  {safe(field.value, 64)}")
        return Line("\u2039 ", "key").add(safe(field.value, 64), "safe").add(" \u203a", "key")

    def _text(self, field: Field, here: bool, room: int) -> Line:
        text = DOT * len(field.value) if field.secret else "".join(map(_shown, field.value))
        if not here:
            return Line(fit(text, room)) if text else Line("_" * min(room, 24), "dim")
        start = 0
        while cell_len(text[start : self.caret]) >= room:
            start += 1
        if self.whole and text:
            line = Line(text[start:], "safe")
            return line.add("_" * max(0, min(room, 24) - line.width), "dim")
        under = text[self.caret : self.caret + 1] or " "
        after = text[self.caret + 1 :]
        line = Line(text[start : self.caret]).add(under, "safe")
        while after and line.width + cell_len(after) > room:
            after = after[:-1]
        return line.add(after).add("_" * max(0, min(room, 24) - line.width - cell_len(after)), "dim")

    # typing

    def _go(self, by: int) -> None:
        self.at = (self.at + by) % max(1, len(self.fields))
        self.caret = len(self.fields[self.at].value)
        self.whole = True
        self.cursor = self.fields[self.at].name
        self.renew()

    def ask_code(self) -> None:
        """Ask for a code of the second factor too."""
        if all(field.name != CODE for field in self.fields):
            self.fields.append(Field(CODE, "code", note="six digits of your device, or a recovery code"))
        self.at = next(number for number, field in enumerate(self.fields) if field.name == CODE)
        self._go(0)

    def tell(self, fault: str) -> None:
        """Show what was wrong."""
        self.fault = fault
        self.cursor = FAULT if fault else self.cursor
        if self.is_attached:
            self.renew()

    def renew(self) -> None:
        """Draw again, at a new height."""
        self.refresh(layout=True)
        self.redraw()

    def _choose(self, by: int, letter: str = "") -> None:
        field = self.fields[self.at]
        values = [value for value, _ in field.choices]
        here = values.index(field.value) if field.value in values else 0
        order = [values[(here + by * step) % len(values)] for step in range(1, len(values) + 1)]
        field.value = next((v for v in order if v.casefold().startswith(letter.casefold())), field.value)
        self.renew()

    async def _on_key(self, event: events.Key) -> None:
        if not (event.is_printable or event.key in _EDITING or event.key in _MOVING):
            return  # a key of the page that the form is on
        event.stop()
        event.prevent_default()
        if self.busy or not self.fields:
            return
        self.cursor = self.fields[self.at].name
        if event.key == "enter":
            self.post_message(self.Sent())
        elif event.key in ("tab", "down"):
            self._go(1)
        elif event.key in ("shift+tab", "up"):
            self._go(-1)
        elif self.fields[self.at].fixed:
            return
        elif self.fields[self.at].choices:
            if event.key in ("right", "space", "left"):
                self._choose(-1 if event.key == "left" else 1)
            elif event.is_printable and event.character:
                self._choose(1, event.character)
        elif event.is_printable and event.character:
            self.type(event.character)
        elif event.key in _EDITING:
            field = self.fields[self.at]
            if self.whole and event.key in _DELETING:
                field.value, self.caret = "", 0
            else:
                field.value, self.caret = _EDITING[event.key](field.value, self.caret)
            self.whole = False
            self.redraw()

    def type(self, text: str) -> None:
        """Put text in at the caret."""
        field = self.fields[self.at]
        if self.whole:
            field.value, self.caret, self.whole = "", 0, False
        text = "".join(char for char in text if char.isprintable())[: LONGEST - len(field.value)]
        field.value = field.value[: self.caret] + text + field.value[self.caret :]
        self.caret += len(text)
        self.redraw()

    def on_paste(self, event: events.Paste) -> None:
        """Take the first line of what is pasted."""
        event.stop()
        lines = event.text.splitlines()
        field = self.fields[self.at] if self.fields else None
        if lines and field is not None and not (self.busy or field.choices or field.fixed):
            self.type(lines[0])

    def on_click(self, event: events.Click) -> None:
        """Go to the field under the pointer."""
        at = self.top + event.y - 1
        if 0 <= at < len(self._rows):
            ident = self._rows[at][1]
            for number, field in enumerate(self.fields):
                if field.name == ident:
                    self._go(number - self.at)


_DELETING = ("backspace", "ctrl+h", "delete", "ctrl+d", "ctrl+u", "ctrl+k", "ctrl+w")
"""They empty a value that is chosen as a whole."""
_MOVING = ("enter", "tab", "shift+tab", "up", "down", "space")


def _word(value: str, at: int) -> tuple[str, int]:
    kept = value[:at].rstrip()
    kept = kept[: kept.rfind(" ") + 1]
    return kept + value[at:], len(kept)


_EDITING: dict[str, Callable[[str, int], tuple[str, int]]] = {
    "left": lambda value, at: (value, max(0, at - 1)),
    "right": lambda value, at: (value, min(len(value), at + 1)),
    "home": lambda value, at: (value, 0),
    "ctrl+a": lambda value, at: (value, 0),
    "end": lambda value, at: (value, len(value)),
    "ctrl+e": lambda value, at: (value, len(value)),
    "backspace": lambda value, at: (value[: max(0, at - 1)] + value[at:], max(0, at - 1)),
    "ctrl+h": lambda value, at: (value[: max(0, at - 1)] + value[at:], max(0, at - 1)),
    "delete": lambda value, at: (value[:at] + value[at + 1 :], at),
    "ctrl+d": lambda value, at: (value[:at] + value[at + 1 :], at),
    "ctrl+u": lambda value, at: (value[at:], 0),
    "ctrl+k": lambda value, at: (value[:at], at),
    "ctrl+w": _word,
}
