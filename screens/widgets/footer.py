"""The last line: where the number keys lead and what this screen's keys do; for a moment also what just happened."""

from __future__ import annotations

from textual.strip import Strip

from screens import keymap
from screens.widgets.line import Line
from screens.widgets.lines import Lines


class FootLine(Lines):
    """Modes at the left on a mode's own page, keys at the right; a notice replaces both while it lasts."""

    def __init__(self, keys: tuple[keymap.Key, ...], mode: str = "", typed: bool = False) -> None:
        super().__init__()
        self.keys = keys
        self.mode = mode
        self.common = ("esc",) if typed else ("/", "esc", "?", "y", "space", "!")

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        app = self.console_app
        if app.notice is not None:
            text, role = app.notice
            return [Line(" ").add(text, role).cut(width - 1).pad(width).strip(self.ink, "band")]
        keys = [*self.keys, *(k for k in keymap.COMMON if k.face in self.common)]
        if self.mode:
            keys = [k for k in keys if k.face != "esc"]
        once = {key.face: key for key in reversed(keys)}
        keys = [key for key in keys if once[key.face] is key]
        left = self._modes(words=True)
        if not self._has_room(keys, width, left):
            left = self._modes(words=False)
        chosen = keymap.hints(keys, width - left.width - 2)
        right = Line()
        for number, key in enumerate(chosen):
            off = bool(app.held_back(key.action))
            right.add("  " if number else "").add(key.face, "dim" if off else "key")
            gap = "" if len(key.face) == 1 and not key.face.isalpha() else " "
            right.add(gap + key.verb, "dim" if off else "text")
        right.add(" ")
        line = left.ends(right, width) if self.mode else left.extend(right).pad(width)
        return [line.strip(self.ink, "band")]

    def _has_room(self, keys: list[keymap.Key], width: int, modes: Line) -> bool:
        """Return whether the modes' words leave room for this screen's keys; where it is wide, for all of them."""
        least = 2 if width < 100 else 9
        needed = [key for key in keys if (key in self.keys and key.weight < least) or not key.weight]
        return len(keymap.hints(needed, width - modes.width - 2)) == len(needed)

    def _modes(self, words: bool) -> Line:
        """Return where the number keys lead; without ``words`` only this page's own is named."""
        line = Line(" ")
        if not self.mode:
            return line
        for key, (_, mode, _, _) in zip(keymap.mode_keys(), keymap.MODES, strict=True):
            here = mode == self.mode
            off = bool(self.console_app.held_back(key.action))
            line.add(key.key, "mode" if here else "dim" if off else "key")
            if words or here:
                line.add(key.verb, "mode" if here else "dim" if off else "text")
            line.add(" ")
        return line
