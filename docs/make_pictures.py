"""Makes the pictures in README from the running demo: ``python docs/make_pictures.py``, about a minute.

The demo is the real one, and so is the console that is attached to it; only the name of the account in the head line
is replaced, and the terminal is not there. Cells are drawn one by one: frames and bars as lines and rectangles, text
at its place, so that the pictures look alike in every viewer, whatever fonts it has.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from pacstui.api.client import ApiClient
from pacstui.contract.accounts import Me
from pacstui.contract.overview import View
from screens.app import ConsoleApp
from screens.theme import GROUND
from screens.widgets.panel import Panel

FOLDER = Path(__file__).parent / "pictures"
PACE = "1.5"
START_S, FILL_S, PATIENCE_S = 30.0, 62.0, 180.0
INK = "#d4d9e1"
WIDTH, HEIGHT, FONT, BASE = 8.4, 18.0, 14, 13.2
MARGIN = 8.0

_LINES = {
    "─": "LR", "│": "UD", "┃": "UD", "╭": "RD", "╮": "LD", "╰": "RU", "╯": "LU", "├": "UDR", "┤": "UDL",
}  # fmt: skip
_LOWER = " ▁▂▃▄▅▆▇█"
_LEFT = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its file's name, the terminal's size, and how many associations have to be busy at once; the key
    that leads from the dashboard to it, and what it shows."""

    name: str
    size: tuple[int, int]
    busy: int
    key: str = ""
    shows: str = "The dashboard"


PICTURES = (Picture("dashboard", (132, 40), 5), Picture("dashboard-80x24", (80, 24), 4))
SCREENS = (Picture("worklist", (110, 30), 1, "W", "The worklist"),)
"""Those that need more than the dashboard."""


# drawing


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _colours(style: Style | None) -> tuple[str, str]:
    """Return ink and ground, the ground empty where it is the picture's own."""
    ink = ground = ""
    if style is not None:
        ink = style.color.get_truecolor().hex if style.color is not None and not style.color.is_default else ""
        ground = style.bgcolor.get_truecolor().hex if style.bgcolor is not None and not style.bgcolor.is_default else ""
        if style.reverse:
            ink, ground = ground or GROUND, ink or INK
    return ink or INK, "" if ground == GROUND else ground


def _rectangle(x: float, y: float, width: float, height: float, colour: str, more: str = "") -> str:
    where = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
    return f'<rect {where} fill="{colour}"{more}/>'


def _frame(ways: str, x: float, y: float) -> str:
    """Return the path of one piece of a frame; corners are round."""
    if ways == "LR":
        return f"M{_n(x)} {_n(y + HEIGHT / 2)}h{_n(WIDTH)}"
    if ways == "UD":
        return f"M{_n(x + WIDTH / 2)} {_n(y)}v{_n(HEIGHT)}"
    middle, centre = x + WIDTH / 2, y + HEIGHT / 2
    ends = {
        "L": (x, centre), "R": (x + WIDTH, centre), "U": (middle, y), "D": (middle, y + HEIGHT),
    }  # fmt: skip
    if ways in ("RD", "LD", "RU", "LU"):
        (ax, ay), (bx, by) = ends[ways[0]], ends[ways[1]]
        return f"M{_n(ax)} {_n(ay)}Q{_n(middle)} {_n(centre)} {_n(bx)} {_n(by)}"
    return "".join(f"M{_n(middle)} {_n(centre)}L{_n(ends[way][0])} {_n(ends[way][1])}" for way in ways)


class Canvas:
    """Collects the shapes of one screen; neighbours of one kind and colour become one shape."""

    def __init__(self) -> None:
        self._grounds: list[str] = []
        self._shapes: list[tuple[float, float, float, float, str]] = []
        self._texts: list[str] = []
        self._paths: dict[tuple[str, bool], list[str]] = {}

    def row(self, number: int, strip: Strip) -> None:
        """Draw one line of the screen."""
        y, column = MARGIN + number * HEIGHT, 0
        for text, style, control in strip:
            if control:
                continue
            ink, ground = _colours(style)
            x, cells = MARGIN + column * WIDTH, cell_len(text)
            if ground:
                self._grounds.append(_rectangle(x, y, cells * WIDTH, HEIGHT, ground))
            self._run(text, x, y, ink, bool(style and style.bold))
            column += cells

    def _run(self, text: str, x: float, y: float, ink: str, bold: bool) -> None:
        word, at = "", x
        for char in text + " ":
            cells = cell_len(char)
            shape = self._shape(char, x, y, ink)
            if shape or (char == " " and (not word or word.endswith(" "))):
                self._word(word.rstrip(" "), at, y, ink, bold)
                word = ""
            else:
                at = at if word else x
                word += char
            x += cells * WIDTH
        self._word(word.rstrip(" "), at, y, ink, bold)

    def _shape(self, char: str, x: float, y: float, ink: str) -> bool:
        if char in _LINES:
            self._paths.setdefault((ink, char == "┃"), []).append(_frame(_LINES[char], x, y))
        elif char == "░":
            self._fill(x, y, WIDTH, HEIGHT, ink)
        elif char in _LOWER[1:]:
            part = _LOWER.index(char) / 8 * HEIGHT
            self._fill(x, y + HEIGHT - part, WIDTH, part, ink)
        elif char in _LEFT[1:]:
            self._fill(x, y, _LEFT.index(char) / 8 * WIDTH, HEIGHT, ink)
        else:
            return False
        return True

    def _fill(self, x: float, y: float, width: float, height: float, ink: str) -> None:
        if self._shapes:
            left, *rest = self._shapes[-1]
            if rest[0] == y and rest[2:] == [height, ink] and abs(left + rest[1] - x) < 0.01:
                x, width = left, rest[1] + width
                self._shapes.pop()
        self._shapes.append((x, y, width, height, ink))

    def _word(self, word: str, x: float, y: float, ink: str, bold: bool) -> None:
        if word:
            weight = ' font-weight="bold"' if bold else ""
            length = f'textLength="{_n(cell_len(word) * WIDTH)}" lengthAdjust="spacingAndGlyphs"'
            at = f'x="{_n(x)}" y="{_n(y + BASE)}"'
            self._texts.append(f'<text {at} {length} fill="{ink}"{weight}>{escape(word)}</text>')

    def svg(self, columns: int, rows: int, title: str, description: str) -> str:
        """Return the picture."""
        width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
        paths = [
            f'<path d="{"".join(parts)}" fill="none" stroke="{ink}" stroke-width="{3 if heavy else 1.2}"/>'
            for (ink, heavy), parts in self._paths.items()
        ]
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" role="img" '
            f'font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace" font-size="{FONT}">'
        )
        ground = _rectangle(0, 0, width, height, GROUND, ' rx="8"')
        told = [f"<title>{escape(title)}</title>", f"<desc>{escape(description)}</desc>"]
        shapes = [_rectangle(*shape) for shape in self._shapes]
        solid = [f'<g shape-rendering="crispEdges">{"".join(each)}</g>' for each in (self._grounds, shapes)]
        return "\n".join([head, *told, ground, *solid, *paths, *self._texts, "</svg>", ""])


def layout(app: ConsoleApp) -> str:
    """Return where the panels of the screen lie: column, row, width and height of each."""
    parts = []
    for panel in app.screen.query(Panel):
        x, y, width, height = panel.region
        if panel.display and width:
            parts.append(f"{panel.id} {x},{y} {width}x{height}")
    return "; ".join(parts)


def draw(strips: Sequence[Strip], size: tuple[int, int], title: str, description: str) -> str:
    """Return the screen as SVG."""
    canvas = Canvas()
    for number, strip in enumerate(strips):
        canvas.row(number, strip)
    return canvas.svg(*size, title, description)


# the demo


class Client(ApiClient):
    """A console's client that does not say which account made the picture."""

    def __init__(self, socket_path: Path) -> None:
        super().__init__(socket_path)
        known = self.accounts.me

        async def me() -> Me:
            return replace(await known(), account="admin", os_user="pacs")

        self.accounts.me = me  # type: ignore[method-assign]

    async def stream(self, interval: float = 1.0) -> AsyncIterator[View]:
        async for view in super().stream(interval):
            node = replace(view.status.node, user="pacs")
            yield replace(view, status=replace(view.status, node=node))


def worth_seeing(view: View, busy: int) -> bool:
    """Return whether enough goes on: many send at once, somebody was refused, the plots are full."""
    sending = sum(row.doing == "stores" and row.rate > 0 for row in view.associations)
    return sending >= busy and bool(view.refusals) and view.status.node.uptime_s >= FILL_S


async def take(socket: Path, picture: Picture) -> str:
    """Attach a console and return its picture as soon as there is something to be seen."""
    app = ConsoleApp(Client(socket), theme_kind="full")
    end = time.monotonic() + PATIENCE_S
    async with app.run_test(size=picture.size) as pilot:
        while True:
            await pilot.pause(0.25)
            if app.view is not None and worth_seeing(app.view, picture.busy):
                break
            if time.monotonic() > end:
                raise SystemExit(f"{picture.name}: nothing worth a picture within {PATIENCE_S:.0f} s")
        if picture.key:
            await pilot.press(picture.key)
            await pilot.pause(3.0)
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        size = "x".join(map(str, picture.size))
        return draw(strips, picture.size, f"{picture.shows} of pacstui at {size}, while the demo runs", layout(app))


def main() -> None:
    """Start the demo, take the pictures, end the demo."""
    with tempfile.TemporaryDirectory(prefix="pacstui-pictures-") as scratch:
        kept = Path(scratch) / "demo"
        command = [sys.executable, "-m", "pacstui", "demo", "--headless", "--seed", "7", "--pace", PACE]
        demo = subprocess.Popen([*command, "--keep", str(kept)])
        try:
            socket = kept / "data" / "control.sock"
            end = time.monotonic() + START_S
            while not socket.exists():
                if demo.poll() is not None or time.monotonic() > end:
                    raise SystemExit("the demo did not start")
                time.sleep(0.1)
            FOLDER.mkdir(exist_ok=True)
            for picture in (*PICTURES, *SCREENS):
                drawn = asyncio.run(take(socket, picture))
                (FOLDER / f"{picture.name}.svg").write_text(drawn, encoding="utf-8")
                print(f"{picture.name}.svg, {len(drawn):,} bytes")
        finally:
            demo.terminate()
            demo.wait()


if __name__ == "__main__":
    main()
