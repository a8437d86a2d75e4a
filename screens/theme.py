"""Colours by what they mean. Two sets: the terminal's own sixteen, and a full one.

A meaning never rests on colour alone: each coloured thing also has a word or a symbol, so that everything can be read
with ``NO_COLOR`` set. Rows under the cursor are marked by reverse video in the terminal's own colours, because nothing
is known there about how dark the others are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

_TERMINAL = {
    "text": "",
    "dim": "dim",
    "strong": "bold",
    "title": "bold",
    "frame": "dim",
    "focus": "blue",
    "focus-title": "bold blue",
    "good": "green",
    "warn": "bold yellow",
    "warn-text": "yellow",
    "fail": "bold red",
    "fail-text": "red",
    "accent": "cyan",
    "key": "bold cyan",
    "band": "",
    "cursor": "reverse not dim default",
    "cursor-idle": "bold",
    "plot": "cyan",
    "plot-2": "green",
    "bar": "cyan",
    "track": "dim",
    "mode": "reverse",
    "safe": "reverse",
    "qr": "black on bright_white",
}

GROUND = "#11161e"

_FULL = {
    "text": "#d4d9e1",
    "dim": "#8c96a8",
    "strong": "bold #f0f3f8",
    "title": "bold #b9c6de",
    "frame": "#3a4557",
    "focus": "#6c9bd2",
    "focus-title": "bold #a9cbf5",
    "good": "#8fca9c",
    "warn": "bold #e6c37a",
    "warn-text": "#e6c37a",
    "fail": "bold #f28b82",
    "fail-text": "#f28b82",
    "accent": "#86bdee",
    "key": "bold #86bdee",
    "band": "on #1a212d",
    "cursor": "on #2b3b55",
    "cursor-idle": "bold",
    "plot": "#6fa8dc",
    "plot-2": "#7fbf8e",
    "bar": "#6fa8dc",
    "track": "#2a3342",
    "mode": "bold #f0f3f8 on #2b3b55",
    "safe": "bold #11161e on #a9cbf5",
    "qr": "#000000 on #ffffff",
}

TERMINAL_THEME = Theme(
    name="pacstui-terminal",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "ansi_blue",
        "input-selection-foreground": "ansi_default",
    },
)

FULL_THEME = Theme(
    name="pacstui-full",
    primary="#6c9bd2",
    secondary="#86bdee",
    warning="#e6c37a",
    error="#f28b82",
    success="#8fca9c",
    accent="#86bdee",
    foreground="#d4d9e1",
    background="#11161e",
    surface="#11161e",
    panel="#1a212d",
)


def over_ssh(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this session came over SSH."""
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))


def choose(wanted: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return ``terminal`` or ``full`` for the setting ``console.theme``.

    ``auto`` takes the terminal's own colours over SSH, with ``NO_COLOR``, and where the terminal does not claim more.
    """
    if "NO_COLOR" in environ:
        return "terminal"
    if wanted in ("terminal", "full"):
        return wanted
    if over_ssh(environ) or environ.get("TERM", "") in ("linux", "vt100", "vt220", "dumb"):
        return "terminal"
    return "full"


class Ink:
    """The styles of one theme, by role. Unknown roles are plain text."""

    def __init__(self, kind: str, colour: bool = True) -> None:
        table = _FULL if kind == "full" else _TERMINAL
        self.kind = kind
        ground = Style(bgcolor=GROUND) if kind == "full" else Style()
        self._styles = {role: ground + Style.parse(text) if text else ground for role, text in table.items()}
        for over in ("cursor", "cursor-idle", "band"):
            self._styles[over] = Style.parse(table[over]) if table[over] else Style()
        if not colour:
            self._styles["cursor"] = self._styles["mode"] = self._styles["safe"] = Style(reverse=True)
            self._styles["focus"] = self._styles["focus-title"] = Style(bold=True)
        self._plain = self._styles["text"]

    def __getitem__(self, role: str) -> Style:
        return self._styles.get(role, self._plain)
