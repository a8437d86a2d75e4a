"""Throughput in pictures: the last two minutes second by second, the last hours minute by minute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from pacstui.contract.node import HistoryPoint
from pacstui.contract.overview import View
from pacstui.text import count
from screens.base import ConsoleScreen
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section
from screens.widgets.plot import chart

MINUTES = 180


class ThroughputPage(Panel):
    """Two charts of now, two of the last hours."""

    def __init__(self) -> None:
        super().__init__(id="page")
        self.points: tuple[HistoryPoint, ...] = ()

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self.console_app.view
        if view is None:
            return [Section(Line("Throughput", "title"), [Item([Line("waiting for the node", "dim")])])]
        rates = view.rates
        half = (width - 3) // 2
        upper = max(3, (height - 3) // 2)
        lower = max(3, height - 3 - upper)
        span = min(120, half - 6)
        now = self._pair(
            ("instances/s", f"now {rates.in_per_s:.0f}", [float(v) for v in rates.instances], "plot-2"),
            ("MB/s", f"now {rates.in_bytes_per_s / 1e6:.1f}", [v / 1e6 for v in rates.bytes], "plot"),
            half,
            upper,
        )
        shown = self.points
        step = max(1, -(-len(shown) // max(1, half - 8)))
        groups = [shown[max(0, end - step) : end] for end in range(len(shown), 0, -step)][::-1]
        title = Line("Last hours", "title")
        if shown:
            title.add(f"  since {shown[0].at.astimezone():%H:%M}, one column for {step} min", "dim")
        refused = sum(point.refused for point in shown)
        note = Line(f"x {count(refused)} refused", "fail") if refused else Line("none refused", "dim")
        past = self._pair(
            ("instances/min", self._peak(shown), [sum(p.instances for p in g) / len(g) for g in groups], "plot-2"),
            ("associations at once", "", [float(max(p.associations for p in g)) for g in groups], "plot"),
            half,
            lower,
        )
        return [
            Section(Line("Now", "title").add(f"  last {span} s", "dim"), [Item(now)]),
            Section(title, [Item(past)], note),
        ]

    def _peak(self, points: Sequence[HistoryPoint]) -> str:
        if not points:
            return ""
        best = max(points, key=lambda point: point.instances)
        return f"most {count(best.instances)} at {best.at.astimezone():%H:%M}"

    def _pair(
        self,
        left: tuple[str, str, list[float], str],
        right: tuple[str, str, list[float], str],
        half: int,
        height: int,
    ) -> list[Line]:
        columns = []
        for name, note, values, role in (left, right):
            head = Line(name, "dim").add(f"  {note}", role)
            columns.append([head, *chart(values, half, height, lambda v: f"{v:g}", role, 4)])
        return [a.cut(half).pad(half + 3).extend(b) for a, b in zip(*columns, strict=True)]


class ThroughputScreen(ConsoleScreen):
    """Throughput in pictures."""

    TITLE_WORDS = "Throughput"
    ABOUT = (
        "Above, the last seconds, one column each. Below, the last hours: instances received a minute, and the most "
        "associations at once. The newest is at the right."
    )

    def __init__(self) -> None:
        super().__init__()
        self._minute = -1
        self._busy = False

    def body(self) -> Iterable[Widget]:
        yield ThroughputPage()

    def show(self, view: View) -> None:
        page = self.query_one(ThroughputPage)
        if view.at.minute != self._minute and not self._busy and self.console_app.away_since is None:
            self._busy = True
            self.console_app.keep(self._load(page, view.at.minute))
        page.redraw()

    async def _load(self, page: ThroughputPage, minute: int) -> None:
        history = await self.console_app.fetch(self.console_app.client.node.history(minutes=MINUTES))
        self._busy, self._minute = False, minute
        if history is not None:
            page.points = history.points
            page.redraw()
