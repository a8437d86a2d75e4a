"""The dashboard: associations, storage, queue, throughput and events in one look."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from textual import on
from textual.containers import Container, Horizontal
from textual.widget import Widget

from pacstui.contract.associations import AssociationRow
from pacstui.contract.overview import View
from pacstui.text import count, duration, plural, safe, size
from screens import keymap
from screens.base import ConsoleScreen
from screens.widgets import columns as cols
from screens.widgets.association_cells import rate, refusal, who
from screens.widgets.feed_lines import feed_line
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.plot import bar, chart, spark

LINGER = 4
"""Views for which an association that has ended keeps its row, so that the others do not jump."""

C = cols.Column


class LivePanel(Panel):
    """A panel that draws from the application's view."""

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        """Return the sections for a view."""
        raise NotImplementedError

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self.console_app.view
        if view is None:
            return [Section(Line(self.heading, "title"), [Item([Line("waiting for the node", "dim")])])]
        return self.live(view, width, height)

    heading = ""


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
        C("received", 8, align=">", rank=4),
        C("time", 5, align=">", rank=1),
        C("from", 15, grow=1, rank=3, most=24, role="dim"),
    )

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._slots: dict[int, tuple[AssociationRow, int]] = {}
        self._last: View | None = None

    def _keep_places(self, view: View) -> None:
        if view is self._last:
            return
        self._last = view
        here = {row.id: row for row in view.associations}
        for ident, (row, gone) in list(self._slots.items()):
            if ident in here:
                self._slots[ident] = (here[ident], 0)
            elif gone >= LINGER:
                del self._slots[ident]
            else:
                self._slots[ident] = (row, gone + 1)
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
        slots = list(self._slots.values())
        shown = slots if len(slots) <= room else slots[: max(0, room - 1)]
        for row, gone in shown:
            items.append(Item([cols.row(self.COLUMNS, widths, self._cells(row, gone), gap)], ("association", row.id)))
        if len(shown) < len(slots):
            items.append(
                Item([Line(f"and {len(slots) - len(shown)} more: 2 shows all", "dim")], ("mode", "associations"))
            )
        if not slots:
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
        note = Line(f"! limit is {limit}", "warn") if len(view.associations) >= limit else None
        return [Section(title, items, note), refused]

    def _cells(self, row: AssociationRow, gone: int) -> Sequence[cols.Cell]:
        role = "dim" if gone else "text"
        doing = "ended" if gone else safe(row.doing or row.state)
        return (
            (who(row), "dim" if gone else "strong"),
            (doing, "dim" if gone or row.doing == "idle" else "text"),
            (safe(row.modality, 8), role),
            (count(row.stored) if row.stored or row.doing == "stores" else "-", role),
            (rate(0 if gone else row.rate), "dim" if gone or not row.rate else "accent"),
            (f"{row.received_bytes / row.seconds / 1e6:.1f}" if row.seconds > 1 else "-", role),
            (size(row.received_bytes), role),
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


class StoragePanel(LivePanel):
    """Space, growth, forecast, speed of the disk, and what comes in."""

    heading = "Storage"

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        store = view.storage
        used = max(0, store.total_bytes - store.free_bytes)
        part = used / store.total_bytes if store.total_bytes else 0.0
        role = "fail" if not store.accepting else "warn" if part > 0.9 else "bar"
        left = Line(size(used), "strong").add(" of ", "dim").add(size(store.total_bytes)).add(" ")
        percent = f"{part * 100:3.0f}%" + (" !" if part > 0.9 else "")
        room = width - left.width - len(percent) - 1
        space = left.extend(bar(part, room, role)) if room >= 4 else left
        lines = [space.add(" ").add(percent, "text" if role == "bar" else role)]
        if not store.accepting:
            lines.extend(words(f"x refuses objects (A700): {safe(store.detail, 200)}", width, "fail", 2)[:2])
        narrow = width < 40

        def pair(label: str, text: str, role: str = "text") -> None:
            lines.append(Line(f"{label:<7}", "dim").add(text, role))

        pair("today", f"+{size(store.today_bytes)}" + ("" if narrow else f", {plural(self._today(view), 'instance')}"))
        if store.full_on is not None:
            days = (store.full_on - view.at.astimezone().date()).days
            near = days < 30
            day = f"{store.full_on:%-d %b}" if narrow else f"{store.full_on:%-d %b %Y}"
            when = f"{'! ' if near else ''}in {plural(days, 'day')} ({day})" if days > 0 else "! now"
            pair("full", when, "warn" if near else "text")
            if not narrow or height > 8:
                pair("growth", f"{size(store.growth_bytes_per_day)} a day")
        else:
            pair("full", "not in sight: nothing grows", "dim")
        slow = store.sync_ms > 50 or store.commit_ms > 50
        pair(
            "sync",
            f"{store.sync_ms:.1f} ms"
            + ("" if narrow else " to disk")
            + f"  commit {store.commit_ms:.1f} ms"
            + (" ! slow" if slow else ""),
            "warn" if slow else "text",
        )
        pair(
            "holds",
            f"{count(view.status.archive.studies)} studies"
            + ("" if narrow else f", {count(view.status.archive.instances)} instances"),
        )
        aside = view.status.archive.quarantined
        lines_left = height - len(lines)
        if aside and lines_left > 1:
            pair("aside", f"! {plural(aside, 'object')}: Enter", "warn")
        rest = height - len(lines)
        if rest > 0:
            mb = [value / 1e6 for value in view.rates.bytes]
            lines.append(Line("MB/s   ", "dim").add(spark(mb, width - 7), "plot"))
            if rest > 1:
                numbers = [float(v) for v in view.rates.instances]
                lines.append(Line("inst/s ", "dim").add(spark(numbers, width - 7), "plot-2"))
        return [
            Section(
                Line("Storage", "title"),
                [Item([line], ("storage", 0) if n == 0 else None) for n, line in enumerate(lines)],
            )
        ]

    def _today(self, view: View) -> int:
        today = view.at.astimezone().date()
        return sum(day.instances for day in view.storage.days if day.day == today)


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
        C("", 1),
        C("to", 12, grow=1, most=24),
        C("wait", 7, align=">"),
        C("failed", 6, align=">", rank=2),
        C("oldest", 6, align=">", rank=1),
        C("rate", 6, align=">"),
        C("what is happening", 18, grow=6, most=80),
    )

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        queue, privacy = view.queue, self.console_app.privacy
        title = Line("Queue  ", "title").add(count(sum(r.state == "receiving" for r in queue.receiving)), "strong")
        title.add(" arriving").add("  ").add(count(view.status.queue.pending), "strong").add(" wait to go out")
        if view.status.queue.failed:
            title.add(f"  x {count(view.status.queue.failed)} failed", "fail")
        note = Line(f"{queue.writing} being written", "dim") if queue.writing else None
        tight = height < 8
        out = self._outgoing(view, width, tight)
        room = height - (len(out) + (not tight) if out else 0)
        widths = cols.share(self.IN, width)
        items = [Item([cols.heads(self.IN, widths)])]
        for row in queue.receiving:
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
                Item(
                    words(
                        "Nothing arrives. A study shows here, image by image, while a modality sends it.", width, "dim"
                    )
                )
            ]
        if len(items) > room > 1 and not self.has_focus:
            more = len(items) - room + 1
            items = [*items[: room - 1], Item([Line(f"and {more} more: 3 shows all", "dim")], ("mode", "queue"))]
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
        for row in rows[:2] if tight else rows:
            mark = ("!", "warn") if row.failed else (">", "good") if row.sending else (" ", "dim")
            oldest = duration((view.at - row.oldest).total_seconds()) if row.oldest else "-"
            cells: Sequence[cols.Cell] = (
                mark,
                safe(row.destination, 64),
                count(row.waiting),
                (count(row.failed), "fail" if row.failed else "dim"),
                oldest,
                (rate(row.rate), "accent"),
                safe(row.state, 200),
            )
            items.append(Item([cols.row(self.OUT, widths, cells)], ("mode", "queue")))
        return items


class EventsPanel(LivePanel):
    """What happened last, newest first."""

    heading = "Events"

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        app = self.console_app
        most = height if not self.has_focus else 200
        rows = list(app.feed)[-most:][::-1]
        items = [Item([feed_line(row, width, app.privacy)], ("event", row.id)) for row in rows]
        if not items:
            items = [Item([Line("Nothing has happened yet. Studies, refusals and faults are told here.", "dim")])]
        return [Section(Line("Events", "title"), items)]

    def on_blur(self) -> None:
        """Show the newest again."""
        self.cursor = None
        self.top = 0
        super().on_blur()


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


class Dashboard(ConsoleScreen):
    """Everything at one look."""

    MODE = "dashboard"
    ABOUT = (
        "The panels agree with each other: all come from one moment. Tab goes from panel to panel, the arrow keys "
        "choose a row, Enter leads from it to its cause: an association to its timeline, a refusal to what mends it, "
        "a study to its series, an event to the association it came from, storage to its history and to what was set "
        "aside. Marks: > moving, = complete, ! look at it, x failed or refused."
    )
    AUTO_FOCUS = "#associations"
    KEYS = (
        keymap.Key(
            "slash", "find", "Find a study by name, ID, accession number or description", "find", shown="/", weight=1
        ),
    )

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="top"):
            yield AssociationsPanel(id="associations")
            yield StoragePanel(id="storage")
        yield PlotsPanel(id="plots")
        with Container(id="bottom"):
            yield QueuePanel(id="queue")
            yield EventsPanel(id="events")

    def show(self, view: View) -> None:
        for panel in self.query(Panel):
            if panel.display:
                panel.redraw()

    @on(Panel.Chosen)
    def _open(self, event: Panel.Chosen) -> None:
        self.console_app.keep(self.lead(event.id))

    async def lead(self, target: Hashable | None) -> None:
        """Go where a row leads."""
        from screens.ways import follow

        await follow(self.console_app, target)
