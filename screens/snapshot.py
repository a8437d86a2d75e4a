"""A snapshot by study, and how two snapshots differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract import privacy
from pacstui.contract.backups import Change, Changes, SavedPage, SavedStudy, SnapshotRow
from pacstui.contract.overview import View
from pacstui.text import count, plural, safe, size
from screens import keymap
from screens.backup_words import stamp
from screens.backup_work import node_time
from screens.base import ConsoleScreen
from screens.searching import SearchingScreen
from screens.studies import day
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
PAGE = 200
COLUMNS = (
    C("study date", 10, rank=1),
    C("patient", 14, grow=3, most=40, role="strong"),
    C("ID", 8, grow=1, rank=3, most=20),
    C("mod", 5),
    C("description", 12, grow=4, most=64),
    C("accession", 9, grow=1, rank=5, most=18),
    C("series", 6, align=">", rank=4),
    C("images", 6, align=">"),
    C("size", 8, align=">", rank=6),
    C("here", 6, align=">"),
)
CHANGES = (
    C("what", 9),
    C("study date", 10, rank=1),
    C("patient", 14, grow=3, most=40, role="strong"),
    C("description", 12, grow=4, most=64),
    C("before", 7, align=">"),
    C("after", 7, align=">"),
    C("study UID", 20, grow=1, rank=2, most=64, role="dim"),
)
_WHAT = {"added": ("+ added", "good"), "removed": ("- removed", "warn"), "changed": ("~ changed", "accent")}


class SnapshotScreen(SearchingScreen):
    """The studies of a snapshot."""

    TITLE_WORDS = "Snapshot"
    SEARCHES = "of the whole snapshot"
    ABOUT = (
        "What a snapshot holds, by study, newest received first. Here: how many of its images this archive has now. "
        "/ looks in name, ID, accession number and description, over the whole snapshot. Enter on a study offers to "
        "bring it back, or all of its patient; r restores other things from this snapshot."
    )
    KEYS = (
        keymap.acts("backups.restore", "restore", weight=0),
        keymap.Key("a", "refresh", "Fetch the list anew", "refresh", weight=2),
    )

    def __init__(self, target: str, row: SnapshotRow) -> None:
        super().__init__()
        self._target, self._row = target, row
        self._turn = 0
        self._next: int | None = 0
        self._begun = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[SavedStudy] = RowTable(COLUMNS, self._cells, lambda r: r.study, lambda r: "", id="saved")
        table.bounded = False
        table.empty = ["asking the node"]
        yield table

    def on_mount(self) -> None:
        """Say what this is."""
        self._entitle(self._row.studies)
        super().on_mount()

    def _cells(self, row: SavedStudy) -> Sequence[cols.Cell]:
        hidden = self.console_app.privacy
        here: cols.Cell = ("-", "warn-text")
        if row.here:
            whole = row.here >= row.instances
            here = ("= all", "good") if whole else (count(row.here), "warn")
        return (
            day(row.date),
            hidden.name(row.patient_name),
            hidden.ident(row.patient_id, "(none)"),
            "/".join(safe(m, 4) for m in row.modalities[:2]) + ("+" if len(row.modalities) > 2 else ""),
            safe(row.description, 128) or ("(no description)", "dim"),
            hidden.ident(row.accession),
            count(row.series),
            count(row.instances),
            size(row.bytes),
            here,
        )

    @property
    def _table(self) -> RowTable[SavedStudy]:
        return self.query_one(RowTable)

    def show(self, view: View) -> None:
        if not self._begun:
            self._begun = True
            self.action_refresh()
        self._table.redraw()

    def _entitle(self, total: int) -> None:
        row, table = self._row, self._table
        table.title = Line(f"{safe(self._target, 64)}, {row.at.astimezone():%Y-%m-%d %H:%M}  ", "title")
        table.title.add(plural(total, "study", "studies"), "strong")
        table.title.add(f" found for {safe(self.search, 40)}" if self.search else "")
        if row.missing:
            table.title.add(f"  ! {count(row.missing)} instances missing", "warn")
        if row.doubted:
            table.title.add(f"  x not trusted: {safe(row.signature, 80)}", "fail")
        table.note = Line("Enter brings one back", "dim")
        table.redraw()

    def action_refresh(self) -> None:
        """Begin at the newest."""
        self._turn += 1
        self._next = 0
        self._table.cursor = None
        self._table.top = 0
        self.console_app.keep(self._load(self._turn, 0))

    @on(RowTable.Wanted)
    def _more(self, event: RowTable.Wanted) -> None:
        if not event.before and self._next is not None and self._table.held:
            self.console_app.keep(self._load(self._turn, self._next))

    @on(RowTable.EdgeWanted)
    def _edge(self, event: RowTable.EdgeWanted) -> None:
        if event.last:
            self._table.go_on_to_the_end()

    async def _load(self, turn: int, after: int) -> None:
        app, table = self.console_app, self._table
        page: SavedPage | None = await app.fetch(
            app.client.backups.studies(
                target=self._target, snapshot=self._row.id, search=self.search, limit=PAGE, after=after
            )
        )
        if page is not None:
            app.privacy.learn(t for r in page.rows for t in (r.patient_name, r.patient_id, r.accession))
        if not self.is_attached or turn != self._turn:
            return
        if page is None:
            table.empty = ["The node did not give it; the line below says why. a tries again."]
            table.not_given()
            if not after:
                table.show([])
            return
        self._next = page.next
        table.empty = (
            [f'Nothing is found for "{safe(self.search, 60)}". esc shows all.'] if self.search
            else ["This snapshot has no studies."]
        )  # fmt: skip
        self._entitle(page.total)
        if after:
            table.extend(page.rows, more=page.next is not None, total=page.total)
        else:
            table.show(page.rows, more=page.next is not None, total=page.total)

    def filter_changed(self, text: str) -> None:
        """Search; what is found of the same words stays, as a snapshot takes a while to read."""
        if text.strip() != self.search:
            super().filter_changed(text)

    def anew(self) -> None:
        """Begin at the first of what is searched for."""
        self.action_refresh()

    @on(RowTable.Chosen)
    def _open(self, event: RowTable.Chosen) -> None:
        row = self._table.selected
        if row is not None:
            from screens.restore import offer

            offer(self.console_app, self._target, self._row, row)

    def action_restore(self) -> None:
        """Restore from this snapshot."""
        if self.console_app.allowed("backups.restore"):
            from screens.restore import begin

            begin(self.console_app, self._target, self._row)


class ChangesScreen(ConsoleScreen):
    """How two snapshots differ."""

    TITLE_WORDS = "Changes"
    ABOUT = (
        "What came, went and changed from the older of two snapshots to the newer one, by study; before and after are "
        "numbers of images. - removed: the newer one does not have it any more. / filters."
    )
    KEYS = ()

    def __init__(self, target: str, before: SnapshotRow, after: SnapshotRow) -> None:
        super().__init__()
        self._target, self._before, self._after = target, before, after
        self._begun = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[Change] = RowTable(CHANGES, self._cells, lambda r: (r.what, r.study), self._words, id="changes")
        table.title = Line(f"{safe(self._target, 64)}: {self._span}", "title")
        table.empty = ["comparing"]
        yield table

    @property
    def _span(self) -> str:
        now = node_time(self.console_app)
        return f"{stamp(self._before.at, now)} to {stamp(self._after.at, now)}"

    def _words(self, row: Change) -> str:
        hidden = self.console_app.privacy.on or self.console_app.door.lacks(privacy.PERMISSION)
        return f"{row.what} {row.description} {row.study} {'' if hidden else row.patient_name}"

    def _cells(self, row: Change) -> Sequence[cols.Cell]:
        return (
            _WHAT.get(row.what, (safe(row.what, 16), "text")),
            day(row.date),
            self.console_app.privacy.name(row.patient_name),
            safe(row.description, 128) or ("(no description)", "dim"),
            count(row.before) if row.before else ("-", "dim"),
            count(row.after) if row.after else ("-", "dim"),
            safe(row.study, 64),
        )

    def show(self, view: View) -> None:
        if not self._begun:
            self._begun = True
            self.console_app.keep(self._load())
        self.query_one(RowTable).redraw()

    async def _load(self) -> None:
        app, table = self.console_app, self.query_one(RowTable)
        found: Changes | None = await app.fetch(
            app.client.backups.compare(target=self._target, before=self._before.id, after=self._after.id)
        )
        if found is not None:
            app.privacy.learn(row.patient_name for row in found.studies)
        if not self.is_attached:
            return
        if found is None:
            table.empty = ["The node did not compare them; the line below says why. esc goes back."]
            table.redraw()
            return
        table.title = Line(f"{safe(self._target, 64)}: {self._span}  ", "title")
        for number, word, role in (
            (found.added, "+", "good"), (found.removed, "-", "warn"), (found.changed, "~", "accent"),
        ):  # fmt: skip
            table.title.add(f"{word}{count(number)} ", role if number else "dim")
        table.title.add("images")
        table.title.add(f"  ! first {count(len(found.studies))}" if found.more else "", "warn")
        table.empty = ["= The same in both."]
        table.show(found.studies)
