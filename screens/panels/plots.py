"""Throughput, for those who would rather look than read."""

from __future__ import annotations

from collections.abc import Sequence

from pacstui.contract.overview import View
from screens.panels.live import LivePanel
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section
from screens.widgets.plot import chart


class PlotsPanel(LivePanel):
    """Throughput of the last two minutes: instances and bytes per second."""

    heading = "Throughput"
    can_focus = False

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        half = (width - 3) // 2
        numbers = [float(v) for v in view.rates.instances]
        mb = [value / 1e6 for value in view.rates.bytes]
        wide = width >= 100
        span = min(len(numbers), (half if wide else width) - 6)
        each = height - 1 if wide else max(2, (height - 2) // 2)
        left = [Line("instances/s", "dim").add(f"  now {view.rates.in_per_s:.0f}", "plot-2")]
        left += chart(numbers, half if wide else width, each, lambda v: f"{v:.0f}", "plot-2", 5)
        right = [Line("MB/s", "dim").add(f"  now {view.rates.in_bytes_per_s / 1e6:.1f}", "plot")]
        right += chart(mb, half if wide else width, each, lambda v: f"{v:.0f}", "plot", 5)
        lines = [a.pad(half + 3).extend(b) for a, b in zip(left, right, strict=True)] if wide else left + right
        return [Section(Line("Throughput", "title").add(f" last {span} s", "dim"), [Item(lines)])]
