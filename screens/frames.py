"""Frames for the terminal with only those cells that changed.

Textual sends a changed line from its widget's left edge on; over a slow line that is most of the traffic.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate


class NarrowUpdate(ChopsUpdate):
    """A partial update that leaves out what stands left of a change."""

    def render_segments(self, console: Console) -> str:
        """Return the raw text for the terminal."""
        out: list[str] = []
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= x2 or end <= x1:
                    continue
                start, stop = max(x, x1), min(end, x2)
                out.append(Control.move_to(start, y).segment.text)
                out.append(strip.crop(start - x, stop - x).render(console))
        return "".join(out)


def narrow(update: ChopsUpdate) -> NarrowUpdate:
    """Return ``update`` as one that sends less."""
    return NarrowUpdate(update.chops, update.spans, update.chop_ends)
