"""Space, growth, forecast, speed of the disk, and what comes in."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import timedelta

from pacstui.contract.overview import View
from pacstui.text import ago, count, plural, safe, size
from screens.panels.live import LivePanel
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section, words
from screens.widgets.plot import bar, spark


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value else "-"


def backup(view: View, width: int) -> Line | None:
    """Return how old the newest good snapshot is and what came since; none where nothing is known of backups."""
    known = view.status.backups
    if "targets" not in known:
        return None
    if not known["targets"]:
        return Line("none; see 7", "warn")
    age, unsaved, failed = known.get("age_s", -1), known.get("unsaved", 0), known.get("failed", 0)
    mark, role = ("> ", "good") if known.get("running") else ("", "text")
    if age < 0:
        return Line(f"{mark}! no good snapshot; see 7" if width >= 28 else f"{mark}! none yet; see 7", "warn")
    old = ago(view.at - timedelta(seconds=age), view.at)
    since = f"{count(unsaved)} since" if unsaved else "all saved"
    if failed or known.get("late"):
        wrong = f"x {count(failed)} failed" if failed else f"! {count(known['late'])} late"
        roomy = f", {since}" if width >= 40 else ""
        told = f"{wrong}, {old}{roomy}"
        ways = f"{told}; see 7", f"{told}: 7"
        return Line(next((each for each in ways if len(each) <= width), told), "fail" if failed else "warn").cut(width)
    line = Line(mark, role).add(f"{old}, {since}")
    return line if line.width <= width else Line(mark, role).add(f"{old.removesuffix(' ago')}, {since}").cut(width)


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
        places: dict[int, Hashable] = {0: ("storage", 0)}

        def pair(label: str, text: str, role: str = "text") -> None:
            lines.append(Line(f"{label:<7}", "dim").add(text, role))

        pair("today", f"+{size(store.today_bytes)}" + ("" if narrow else f", {plural(self._today(view), 'instance')}"))
        if store.full_on is not None:
            days = (store.full_on - view.at.astimezone().date()).days
            near = days < 30
            if days > 730:
                when = f"in {days / 365.25:.0f} years ({store.full_on:%Y})"
            else:
                day = f"{store.full_on:%-d %b %Y}"
                if narrow:
                    day = f"{store.full_on:%-d %b}" if days < 300 else f"{store.full_on:%b %Y}"
                when = f"{'! ' if near else ''}in {plural(days, 'day')} ({day})" if days > 0 else "! now"
            pair("full", when, "warn" if near else "text")
            if not narrow or height > 8:
                pair("growth", f"{size(store.growth_bytes_per_day)} a day")
        else:
            grows = store.growth_bytes_per_day
            pace = "" if narrow else f" at {size(grows)} a day"
            pair("full", f"not within 10 years{pace}" if grows else "nothing grows", "dim")
        slow = store.sync_ms > 50 or store.commit_ms > 50
        sync = _ms(store.sync_ms) + ("" if narrow else " to disk")
        pair("sync", f"{sync}  commit {_ms(store.commit_ms)}{' ! slow' if slow else ''}", "warn" if slow else "text")
        saved = backup(view, width - 7)
        if saved is not None:
            places[len(lines)] = ("mode", "backups")
            lines.append(Line("backup ", "dim").extend(saved))
        if store.trash_entries:
            goes = f"{store.trash_until:%-d %b}" if store.trash_until is not None else "-"
            places[len(lines)] = ("storage", 0)
            pair("trash", f"{size(store.trash_bytes)}, from {goes} on it goes" if not narrow else
                 f"{size(store.trash_bytes)} until {goes}")  # fmt: skip
        pair(
            "holds",
            plural(view.status.archive.studies, "study", "studies")
            + ("" if narrow else f", {plural(view.status.archive.instances, 'instance')}"),
        )
        aside = view.status.archive.quarantined
        lines_left = height - len(lines)
        if aside and lines_left > 1:
            pair("aside", f"! {plural(aside, 'object')}: Enter", "warn")
        by_day = self._days(view, width, height - len(lines) - 3)
        rest = height - len(lines) - len(by_day)
        mb = [value / 1e6 for value in view.rates.bytes]
        if rest > 6:  # roomy, and no days yet that could be shown
            counts = view.status.archive
            free = f"{size(store.free_bytes)}, of which {size(store.reserve_bytes)} stay in reserve"
            pair("free", free)
            pair("keeps", f"{size(store.archive_bytes)} of {plural(counts.patients, 'patient')}")
            pair("series", f"{counts.series:,}")
            rest = height - len(lines) - len(by_day)
        if rest > 0:
            lines.append(Line("MB/s   ", "dim").add(spark(mb, width - 7), "plot"))
            if rest > 1:
                numbers = [float(v) for v in view.rates.instances]
                lines.append(Line("inst/s ", "dim").add(spark(numbers, width - 7), "plot-2"))
        lines.extend(by_day)
        return [
            Section(
                Line("Storage", "title"),
                [Item([line], places.get(n)) for n, line in enumerate(lines)],
            )
        ]

    def _days(self, view: View, width: int, room: int) -> list[Line]:
        """Return a bar for each of the last days, where there is room for some."""
        days = sorted(view.storage.days, key=lambda day: day.day, reverse=True)[: max(0, room)]
        if len(days) < 2 or room < 2:
            return []
        peak = max(day.bytes for day in days) or 1
        lines = [Line()]
        for day in days:
            line = Line(f"{day.day:%a %d} ", "dim").add(f"{size(day.bytes):>8} ")
            lines.append(line.extend(bar(day.bytes / peak, max(1, width - line.width), "plot")))
        return lines

    def _today(self, view: View) -> int:
        today = view.at.astimezone().date()
        return sum(day.instances for day in view.storage.days if day.day == today)
