"""The first line: who this node is, whether it is well, what moves, who looks, what time it is."""

from __future__ import annotations

from rich.cells import cell_len
from textual.strip import Strip

from pacstui.text import duration, plural, safe, size
from screens.widgets.association_cells import rate
from screens.widgets.line import Line
from screens.widgets.lines import Lines

HEALTH = {"ok": ("ok", "good"), "degraded": ("! degraded", "warn"), "down": ("x down", "fail")}


def _told(word: str, alerts: int, health: str) -> str:
    """Return the node's health and how much there is to look at; what does not degrade it is a note."""
    if not alerts:
        return word
    return f"{word}, {plural(alerts, 'note')}" if health == "ok" else f"{word}: {alerts}"


class HeadLine(Lines):
    """One line, made of pieces; where room is short the least needed pieces go first."""

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.title = title

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        app = self.console_app
        view = app.view
        pieces: list[tuple[int, str, str]] = []
        ae = safe(view.status.node.ae_title, 16) if view else "pacstui"
        pieces.append((0, ae, "strong"))
        if self.title:
            pieces.append((2, self.title, "title"))
        if app.away_since is not None:
            since = f"{app.away_since.astimezone():%H:%M:%S}"
            pieces.append((0, f"x not reached since {since}, trying again", "fail"))
            if app.can_start:
                pieces.append((1, "S starts one", "key"))
        elif view is not None:
            word, role = HEALTH.get(view.status.health, (safe(view.status.health), "warn"))
            alerts = len(view.status.alerts)
            pieces.append((0, _told(word, alerts, view.status.health), role))
            if any(alert.name == "drained" for alert in view.status.alerts):
                pieces.append((0, "! DRAINED", "warn"))
        else:
            pieces.append((0, "connecting", "dim"))
        if app.frozen:
            behind = (app.latest.at - view.at).total_seconds() if app.latest and view else 0.0
            pieces.append((0, f"FROZEN {duration(behind)} behind", "warn"))
        if app.read_only:
            pieces.append((1, "READ-ONLY", "accent"))
        if app.privacy.on:
            pieces.append((1, "PRIVATE", "accent"))
        if view is not None and app.away_since is None:
            rates = view.rates
            moves = f"in {rate(rates.in_per_s)} {size(rates.in_bytes_per_s)}/s" if rates.in_bytes_per_s else "in -"
            pieces.append((5, moves, "text"))
            if view.queue.outgoing or rates.out_per_s:
                pieces.append((6, f"out {rate(rates.out_per_s)}", "text"))
        right: list[tuple[int, str, str]] = []
        if app.door.name:
            right.append((4, app.door.name, "dim"))
        right.append((3, f"{app.now():%H:%M:%S}", "text"))
        while sum(cell_len(text) + 2 for _, text, _ in [*pieces, *right]) + 1 > width:
            worst = max([*pieces, *right], key=lambda piece: piece[0])
            if worst[0] == 0:
                break
            (pieces if worst in pieces else right).remove(worst)
        line = Line(" ")
        for number, (_, text, role) in enumerate(pieces):
            line.add("  " if number else "").add(text, role)
        end = Line()
        for number, (_, text, role) in enumerate(right):
            end.add("  " if number else "").add(text, role)
        end.add(" ")
        line = line.ends(end, width) if right else line.cut(width).pad(width)
        return [line.strip(self.ink, "band")]

    def problems(self) -> str:
        """Return the number of problems in words."""
        view = self.console_app.view
        return plural(len(view.status.alerts), "problem") if view else ""
