"""The archive's disk in full: space, days, speed, and what was set aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.space import PurgePlan, SpaceView, TrashRow
from pacstui.contract.storage import MissingRow, QuarantineRow
from pacstui.text import count, safe, size
from screens import keymap, space_sections, space_work
from screens.base import ConsoleScreen
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.plot import bar

LISTED = 100
EVERY_S = 5.0
MISSING = "objects-missing"
"""The name of the problem that tells of objects without file."""


class StoragePage(Panel):
    """The page."""

    def __init__(self) -> None:
        super().__init__(id="page")
        self.aside: tuple[QuarantineRow, ...] = ()
        self.missing: tuple[MissingRow, ...] = ()
        self.space: SpaceView | None = None
        self.trash: tuple[TrashRow, ...] = ()
        self.plan: PurgePlan | None = None

    @property
    def chosen(self) -> TrashRow | None:
        """The entry of the trash that the cursor is on."""
        return next((row for row in self.trash if ("trash", row.id) == self.cursor), None)

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self.console_app.view
        if view is None:
            return [Section(Line("Storage", "title"), [Item([Line("waiting for the node", "dim")])])]
        store = view.storage
        used = max(0, store.total_bytes - store.free_bytes)
        part = used / max(1, store.total_bytes)
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            lines.extend(words(text, width, role, 11, Line(fit(label, 11), "dim")))

        space = Line(fit("space", 11), "dim").add(f"{size(used)} of {size(store.total_bytes)} ", "strong")
        percent = f" {part * 100:.0f}%"
        lines.append(space.extend(bar(part, max(4, width - space.width - len(percent)))).add(percent))
        if not store.accepting:
            fact("state", f"x objects are refused with A700 (out of resources): {safe(store.detail, 300)}", "fail")
        else:
            fact("state", "takes objects" + (f"; {safe(store.detail, 300)}" if store.detail else ""), "good")
        fact(
            "free",
            f"{size(store.free_bytes)}; below {size(store.reserve_bytes)} objects are refused, not kept by halves",
        )
        fact(
            "archive",
            f"{size(store.archive_bytes)} in {count(view.status.archive.instances)} instances at "
            f"{safe(store.path, 300)}",
        )
        if store.full_on is not None:
            days = (store.full_on - view.at.astimezone().date()).days
            fact(
                "full",
                f"in {days:,} days ({store.full_on:%-d %B %Y}) at {size(store.growth_bytes_per_day)} a day",
                "warn" if days < 30 else "text",
            )
        else:
            grows = store.growth_bytes_per_day
            fact("full", f"not within ten years at {size(grows)} a day" if grows else "nothing grows")
        if self.space is not None:
            lines += space_sections.room(self.space, width)
        fact(
            "disk",
            f"files durable in {store.sync_ms:.1f} ms, rows committed in {store.commit_ms:.1f} ms (medians)"
            if store.sync_ms
            else "not measured yet: nothing was written since the start",
        )
        return [
            Section(Line("Storage", "title"), [Item(lines)]),
            *self._missing(width),
            *self._space(view, width),
            Section(
                Line("Set aside  ", "title").add(count(view.status.archive.quarantined), "strong"), self._aside(width)
            ),
            Section(Line("Received by day", "title"), [Item(self._days(view, width))]),
        ]

    def _space(self, view: View, width: int) -> list[Section]:
        if self.space is None:
            return []
        return [
            space_sections.trash(self.space, self.trash, width, self.console_app.privacy, view.at),
            space_sections.rules(self.space, self.plan, width),
        ]

    def _missing(self, width: int) -> list[Section]:
        if not self.missing:
            return []
        found = len(self.missing)
        title = Line("Without file  ", "fail").add(count(found) + ("" if found < LISTED else " or more"), "strong")
        told = "x The index has these, their files are gone or damaged. m gets them from a backup; or send them again."
        items = [Item(words(told, width, "fail-text", 2))]
        for row in self.missing:
            first = Line(f"{row.at.astimezone():%d %b %H:%M} ", "dim")
            first.add(fit(safe(row.calling, 32), 9), "strong").add(" ")
            lines = [first.add(safe(row.sop_instance, 64), "text").cut(width)]
            lines.append(Line(" " * 13).add(f"{safe(row.path, 200)}  {size(row.bytes)}", "dim").cut(width))
            items.append(Item(lines, ("missing", row.study, row.sop_instance)))
        return [Section(title, items, Line("Enter: the study", "dim"))]

    def _aside(self, width: int) -> list[Item]:
        if not self.aside:
            return [
                Item(
                    words(
                        "Nothing. Objects whose UID is taken by another content, and files that cannot be read, are "
                        "kept here instead of being lost.",
                        width,
                        "dim",
                    )
                )
            ]
        items = []
        for row in self.aside:
            first = (
                Line(f"{row.at.astimezone():%d %b %H:%M} ", "dim").add(fit(safe(row.calling, 32), 9), "strong").add(" ")
            )
            lines = words(safe(row.reason, 200), width, "warn", first.width, first)
            lines.append(Line(" " * 13).add(f"{safe(row.path, 200)}  {size(row.bytes)}", "dim").cut(width))
            items.append(Item(lines, row.id))
        return items

    def _days(self, view: View, width: int) -> list[Line]:
        days = sorted(view.storage.days, key=lambda d: d.day, reverse=True)
        peak = max((d.bytes for d in days), default=0)
        lines = []
        for entry in days:
            line = Line(f"{entry.day:%a %d %b}  ", "dim").add(f"{size(entry.bytes):>8}  ")
            line.add(f"{count(entry.instances):>9} instances  ", "dim")
            room = width - line.width
            lines.append(line.extend(bar(entry.bytes / peak if peak else 0.0, room, "plot")) if room > 3 else line)
        return lines or [Line("Nothing was received yet.", "dim")]


class StorageScreen(ConsoleScreen):
    """The archive's disk."""

    TITLE_WORDS = "Storage"
    ABOUT = (
        "Space and growth of the volume that holds the archive, how long it takes to make files durable, what came on "
        "each day, objects that were set aside with the reason and where their bytes are, and objects whose file is "
        "gone: Enter shows their study. The trash has what was deleted or purged: u brings the chosen entry back, E "
        "removes it, or all, for good. v shows what the rules would purge, m repairs objects from backups and peers."
    )
    KEYS = (*space_work.KEYS, keymap.Key("r", "refresh", "Ask anew", "refresh"))

    def __init__(self) -> None:
        super().__init__()
        self._known: tuple[object, ...] = ()
        self._busy = False
        self._loaded = float("-inf")

    def body(self) -> Iterable[Widget]:
        yield StoragePage()

    def show(self, view: View) -> None:
        page = self.query_one(StoragePage)
        now = (view.status.archive.quarantined, *(a.text for a in view.status.alerts if a.name == MISSING))
        late = self.console_app.door.clock() - self._loaded >= EVERY_S
        if (now != self._known or late) and not self._busy:
            self._busy = True
            self.console_app.keep(self._load(page, now))
        page.redraw()

    def action_refresh(self) -> None:
        """Ask for everything again."""
        page = self.query_one(StoragePage)
        page.plan = None
        self._loaded = float("-inf")
        if self.console_app.view is not None:
            self.show(self.console_app.view)

    async def _load(self, page: StoragePage, now: tuple[object, ...]) -> None:
        app = self.console_app
        aside = await app.fetch(app.client.storage.quarantine(limit=LISTED))
        missing = await app.fetch(app.client.storage.missing(limit=LISTED))
        space = await app.fetch(app.client.space.show())
        trash = await app.fetch(app.client.space.trash(limit=LISTED)) if space is not None else None
        if space is not None and space.rules and page.plan is None:
            page.plan = await app.fetch(app.client.space.plan(limit=1))
        self._busy = False
        self._loaded = app.door.clock()
        self._known = now
        if space is not None and trash is not None:
            app.privacy.learn(t for row in trash for t in (row.patient_name, row.patient_id, row.accession))
            page.space, page.trash = space, trash
        if aside is not None:
            page.aside = aside
        if missing is not None:
            page.missing = missing
        page.redraw()

    @on(Panel.Chosen)
    async def _open(self, event: Panel.Chosen) -> None:
        from screens.ways import follow

        match event.id:
            case ("missing", str(study), _):
                await follow(self.console_app, ("study", study))
            case ("trash", _):
                self.action_undo()
            case _:
                pass

    def action_undo(self) -> None:
        """Bring back the chosen entry of the trash."""
        row = self.query_one(StoragePage).chosen
        if row is None:
            self.console_app.say("choose an entry of the trash first: up and down")
        else:
            space_work.undo(self.console_app, row, self.action_refresh)

    def action_empty(self) -> None:
        """Remove the chosen entry of the trash, or all of it."""
        page = self.query_one(StoragePage)
        if page.space is not None:
            space = page.space
            space_work.empty(self.console_app, page.chosen, space.trash_entries, space.trash_bytes, self.action_refresh)

    def action_plan(self) -> None:
        """Show what the rules would purge now."""
        if self.console_app.allowed("space.plan"):
            from screens.purge_plan import PlanScreen

            self.console_app.go(PlanScreen())

    def action_purge(self) -> None:
        """Start a purge."""
        told = space_sections.summary(self.query_one(StoragePage).plan)
        space_work.purge(self.console_app, told, self.action_refresh)

    def action_repair(self) -> None:
        """Start a repair."""
        space = self.query_one(StoragePage).space
        if space is not None:
            space_work.repair(self.console_app, space.broken, self.action_refresh)
