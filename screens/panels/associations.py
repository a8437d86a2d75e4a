"""Who is connected, doing what, at which rate; who was refused and why."""

from __future__ import annotations

from collections.abc import Sequence

from pacstui.contract.associations import AssociationRow
from pacstui.contract.overview import View
from pacstui.text import count, duration, safe, size
from screens.panels.live import LivePanel
from screens.panels.slots import Slots
from screens.widgets import columns as cols
from screens.widgets.association_cells import moved, rate, refusal, who
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section, words

LINGER = 4
"""Views for which an association that has ended keeps its row, so that the others do not jump."""

C = cols.Column


class AssociationsPanel(LivePanel):
    """Who is connected, doing what, at which rate; and who was refused today."""

    heading = "Associations"
    COLUMNS = (
        C("peer", 8, grow=3, most=20),
        C("doing", 7),
        C("mod", 3, rank=2),
        C("images", 7, align=">"),
        C("rate", 6, align=">"),
        C("MB/s", 7, align=">", rank=5),
        C("bytes", 8, align=">", rank=4),
        C("time", 5, align=">", rank=1),
        C("from", 15, grow=1, rank=3, most=24, role="dim"),
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._slots: dict[int, tuple[AssociationRow, int]] = {}
        self._last: View | None = None
        self._places: Slots[int] = Slots()

    def _keep_places(self, view: View) -> None:
        if view is self._last:
            return
        self._last = view
        here = {row.id: row for row in view.associations}
        ended = {row.id: row for row in view.ended}
        for ident, (row, gone) in list(self._slots.items()):
            if ident in here:
                self._slots[ident] = (here[ident], 0)
            elif gone >= LINGER:
                del self._slots[ident]
            else:
                self._slots[ident] = (ended.get(ident, row), gone + 1)
        for ident, row in here.items():
            self._slots.setdefault(ident, (row, 0))

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        self._keep_places(view)
        refused = self._refused(view, width, height)
        below = sum(len(item.lines) for item in refused.items) + 1
        room = max(1, height - below)
        gap = 1 if width < 60 else 2
        widths = cols.share(self.COLUMNS, width, gap)
        items: list[Item] = []
        if width >= 60 and room > 3:
            items.append(Item([cols.heads(self.COLUMNS, widths, gap)]))
            room -= 1
        moving = {ident for ident, (_, gone) in self._slots.items() if not gone}
        if self.has_focus and isinstance(self.cursor, tuple):
            moving.add(self.cursor[1])
        shown = self._places.arrange(list(self._slots), moving, room)
        for ident in shown:
            row, gone = self._slots[ident]
            items.append(Item([cols.row(self.COLUMNS, widths, self._cells(row, gone), gap)], ("association", row.id)))
        if not shown:
            items.append(
                Item(
                    words(
                        "Nobody is connected. A modality shows here while it sends, asks or echoes to "
                        f"{safe(view.status.node.ae_title)} at {safe(view.status.node.dicom)}.",
                        width,
                        "dim",
                    )
                )
            )
        items.extend(Item([Line()]) for _ in range(room - sum(len(i.lines) for i in items) + (1 if width >= 60 else 0)))
        limit = view.status.associations.limit
        title = Line("Associations ", "title").add(count(len(view.associations)), "strong")
        hidden = len(view.associations) - sum(not self._slots[ident][1] for ident in shown)
        note = Line(f"{hidden} more: 2", "accent") if hidden > 0 else None
        if sum(not row.outgoing for row in view.associations) >= limit:
            note = Line(f"! limit is {limit}", "warn")
        return [Section(title, items, note), refused]

    def _cells(self, row: AssociationRow, gone: int) -> Sequence[cols.Cell]:
        role = "dim" if gone else "text"
        doing = "ended" if gone else safe(row.doing or row.state)
        return (
            (who(row), "dim" if gone else "strong"),
            (doing, "dim" if gone or row.doing == "idle" else "text"),
            (safe(row.modality, 8), role),
            (count(row.stored) if row.stored or row.doing in ("stores", "sends") else "-", role),
            (rate(0 if gone else row.rate), "dim" if gone or not row.rate else "accent"),
            (f"{moved(row) / row.seconds / 1e6:.1f}" if row.seconds > 1 else "-", role),
            (size(moved(row)), role),
            (duration(row.seconds), role),
            safe(row.address, 46),
        )

    def _refused(self, view: View, width: int, height: int) -> Section:
        total = sum(row.count for row in view.refusals)
        title = Line("refused today ", "title").add(count(total), "fail" if total else "dim")
        if not view.refusals:
            return Section(title, [Item([Line("nobody", "dim")])])
        most = max(2, height // 2 - 1)
        items: list[Item] = []
        used = 0
        for row in sorted(view.refusals, key=lambda r: r.last, reverse=True):
            times = f" \u00d7{row.count}" if row.count > 1 else ""
            first = Line("x ", "fail").add(f"{row.last.astimezone():%H:%M} ", "dim")
            lines = words(f"{refusal(row)}{times}", width, "text", 8, first)
            if len(lines) > 2:
                lines[1] = lines[1].cut(width - 2).add(" \u2026", "dim")
                lines = lines[:2]
            if used + len(lines) > most:
                break
            used += len(lines)
            items.append(Item(lines, ("association", row.id)))
        left = len(view.refusals) - len(items)
        note = Line("Enter: what mends it", "dim") if not left else Line(f"{left} more: 2", "dim")
        return Section(title, items, note)
