"""What is being received now, and what waits to go out."""

from __future__ import annotations

from collections.abc import Sequence

from pacstui.contract.overview import View
from pacstui.text import count, duration, plural, safe, size
from screens import queue_cells
from screens.panels.live import LivePanel
from screens.panels.slots import Slots
from screens.widgets import columns as cols
from screens.widgets.association_cells import rate
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section, words

C = cols.Column


class QueuePanel(LivePanel):
    """What is being received now, per study, and what waits to go out."""

    heading = "Queue"
    IN = (
        C("", 1),
        C("from", 8, grow=1, most=16),
        C("patient", 12, grow=3, most=32),
        C("mod", 3, rank=3),
        C("study", 13, grow=4, rank=2, most=40),
        C("images", 6, align=">"),
        C("size", 7, align=">", rank=4),
        C("rate", 6, align=">"),
        C("since", 5, align=">", rank=1),
    )
    OUT = (
        C("", 9),
        C("to", 10, grow=1, most=24, role="strong"),
        C("wait", 6, align=">"),
        C("failed", 6, align=">", rank=2),
        C("oldest", 7, align=">", rank=1),
        C("rate", 5, align=">", rank=3),
        C("what is happening", 18, grow=6, most=90),
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._places: Slots[tuple[str, str]] = Slots()
        self._hidden = 0

    def footnote(self) -> Line | None:
        return Line(f"{self._hidden} more: 3 shows all", "dim") if self._hidden > 0 else None

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        queue, privacy = view.queue, self.console_app.privacy
        title = Line("Queue  ", "title").add(count(sum(r.state == "receiving" for r in queue.receiving)), "strong")
        title.add(" arriving").add("  ").add(count(view.status.queue.pending), "strong").add(" wait to go out")
        if view.status.queue.failed:
            title.add(f"  x {count(view.status.queue.failed)} failed", "fail")
        down = [row for row in queue.outgoing if row.status in ("down", "unknown")]
        if down:
            name = safe(down[0].destination, 16) if len(down) == 1 else plural(len(down), "destination")
            title.add(f"  x {name} down", "fail")
        note = Line(f"{queue.writing} being written", "dim") if queue.writing else None
        tight = height < 8
        out = self._outgoing(view, width, tight)
        room = height - (len(out) + (not tight) if out else 0)
        widths = cols.share(self.IN, width)
        items = [Item([cols.heads(self.IN, widths)])]
        known = {(row.study, row.calling): row for row in queue.receiving}
        moving = {key for key, row in known.items() if row.state == "receiving" and row.rate > 0}
        if self.has_focus and isinstance(self.cursor, tuple):
            moving |= {key for key in known if key[0] == self.cursor[1]}
        newest = sorted(known, key=lambda key: known[key].last, reverse=True)
        places = self._places.arrange(newest, moving, max(1, room - 1))
        self._hidden = len(known) - len(places)
        if self.has_focus:
            places += [key for key in newest if key not in places]
        for key in places:
            row = known[key]
            live = row.state == "receiving"
            failed = f" x{row.failed}" if row.failed else ""
            cells: Sequence[cols.Cell] = (
                (">", "good") if live else ("=", "dim"),
                safe(row.calling, 16),
                privacy.name(row.patient_name),
                safe(row.modality, 8),
                safe(row.description, 64) or ("(no description)", "dim"),
                (f"{count(row.instances)}{failed}", "fail" if failed else "strong"),
                size(row.bytes),
                (rate(row.rate), "accent") if live else ("done", "dim"),
                duration((view.at - row.first).total_seconds()),
            )
            items.append(Item([cols.row(self.IN, widths, cells)], ("study", row.study)))
        if not queue.receiving:
            items = [
                Item(words("Nothing arrives. A study shows here, image by image, while it is sent.", width, "dim"))
            ]
        sections = [Section(title, items, note)]
        if tight:
            items.extend(out)
        elif out:
            sections.append(Section(Line("going out", "title"), out))
        if not out and not queue.receiving:
            items.append(Item(words("Nothing waits to go out.", width, "dim")))
        return sections

    def _outgoing(self, view: View, width: int, tight: bool) -> list[Item]:
        rows = view.queue.outgoing
        if not rows:
            return []
        widths = cols.share(self.OUT, width)
        items = [] if tight else [Item([cols.heads(self.OUT, widths)])]
        at = view.at.astimezone()
        for row in rows[:2] if tight else rows:
            oldest = duration((view.at - row.oldest).total_seconds()) if row.oldest else "-"
            told = queue_cells.happening(row, at)
            cells: Sequence[cols.Cell] = (
                queue_cells.status_of(row),
                safe(row.destination, 64),
                count(row.waiting),
                (count(row.failed), "fail-text" if row.failed else "dim"),
                oldest,
                (rate(row.rate), "accent"),
                (told, "fail-text") if row.status in ("down", "unknown") else told,
            )
            items.append(Item([cols.row(self.OUT, widths, cells)], ("destination", row.destination)))
        return items
