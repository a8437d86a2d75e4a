"""The archive's content, newest first, in pages that are asked for as one scrolls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.studies import StudyPage, StudyRow
from pacstui.text import count, safe, size
from screens import keymap, queue_work, space_work
from screens.searching import SearchingScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
PAGE = 200
FEW = 2_000
"""So many rows are loaded one page after the other on the way to the last study; over more it is a leap."""
COUNTED = 1_000
"""How far the node counts what a search finds."""
ONLY = {
    "conflicts": "Studies with objects of two patients",
    "missing": "Studies with objects that have no file",
    "exceptions": "Studies that do not fit order or patient",
}
FITS = {
    "matched": ("= yes", "dim"), "probable": ("~ slip", "accent"), "unmatched": ("! none", "warn"),
    "conflicting": ("x wrong", "fail"),
}  # fmt: skip
"""How a study fits its order, in a column."""
COLUMNS = (
    C("received", 12, rank=1, role="dim"),
    C("patient", 16, grow=3, most=40, role="strong"),
    C("ID", 8, grow=1, rank=2, most=20),
    C("born", 10, rank=10),
    C("sex", 3, rank=11),
    C("study date", 10, rank=5),
    C("mod", 5),
    C("description", 13, grow=4, most=64),
    C("accession", 9, grow=1, rank=6, most=18),
    C("order", 7, rank=9),
    C("series", 6, align=">", rank=8),
    C("images", 6, align=">"),
    C("size", 7, align=">", rank=7),
)


def day(text: str) -> str:
    """Return a normalised DA as people write it."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else safe(text, 16)


class StudiesScreen(SearchingScreen):
    """What the archive holds."""

    TITLE_WORDS = "Studies"
    MODE = "studies"
    SEARCHES = "of the whole archive"
    ABOUT = (
        "Newest received first. Rows are fetched as you scroll, so a million studies open as fast as a hundred. "
        "/ looks in name, ID, accession number and description, over the whole archive. Enter shows a study's series. "
        "~ behind a name: some of its text could not be decoded; ! before it: objects of another patient came under "
        "this study; ^: it is pinned, no rule purges it. p pins the chosen study, or takes its pin off. r fetches the "
        "list anew; the upper edge says when there is something new. d shows only the "
        "studies of which something has to be found out. In wide terminals, whether a study fits its order: = yes, "
        "~ but for a slip, ! there is none, x it is somebody else's; X has those that do not. s sends the chosen study "
        "somewhere; D moves it to the trash, "
        "from which Storage brings it back."
    )
    KEYS = (
        keymap.Key("r", "refresh", "Fetch the list anew, all studies, newest first", "refresh"),
        keymap.Key(
            "d",
            "doubtful",
            "Only studies of two patients; again: those with files gone; again: those that fit no order; again: all",
            "doubtful",
            weight=2,
        ),
        queue_work.SEND,
        space_work.PIN,
        space_work.DELETE,
    )

    def __init__(self) -> None:
        super().__init__()
        self._total = 0
        self._uncounted = False
        self._only = ""
        self._turn = 0
        self._loaded_total = -1
        self._loading = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[StudyRow] = RowTable(COLUMNS, self._cells, lambda r: r.study, lambda r: "", id="studies-list")
        table.title = Line("Studies", "title")
        table.empty = ["asking the node"]
        yield table

    def _whose(self, row: StudyRow) -> str:
        marks = ("! " if row.conflict else "") + ("^ " if row.pinned else "")
        return marks + self.console_app.privacy.name(row.patient_name) + (" ~" if row.marked else "")

    def _cells(self, row: StudyRow) -> Sequence[cols.Cell]:
        privacy = self.console_app.privacy
        return (
            f"{row.received.astimezone():%d %b %H:%M}",
            (self._whose(row), "warn" if row.conflict else "strong"),
            privacy.ident(row.patient_id, "(none)"),
            privacy.ident(day(row.birth_date)),
            safe(row.sex, 4),
            day(row.date),
            "/".join(safe(m, 4) for m in row.modalities[:2]) + ("+" if len(row.modalities) > 2 else ""),
            safe(row.description, 128) or ("(no description)", "dim"),
            privacy.ident(row.accession),
            FITS.get(row.match, ""),
            count(row.series),
            count(row.instances),
            size(row.bytes),
        )

    @property
    def _table(self) -> RowTable[StudyRow]:
        return self.query_one(RowTable)

    def show(self, view: View) -> None:
        if self._loaded_total < 0 and not self._loading:
            self.action_refresh()
            return
        news = view.status.archive.studies - self._loaded_total
        if not self._table.shown and news > 0 and not self.search and not self._only and not self._loading:
            self.action_refresh()
            return
        self._entitle(news if not self.search and not self._only else 0)
        self._table.redraw()

    def _entitle(self, news: int = 0) -> None:
        table = self._table
        name = ONLY.get(self._only, "Studies")
        number = f"more than {count(self._total - 1)}" if self._uncounted else count(self._total)
        table.title = Line(f"{name}  ", "title").add(number, "strong")
        table.title.add(f" found for {safe(self.search, 40)}" if self.search else "")
        table.note = Line(f"\u2191 {count(news)} new: r", "accent") if news > 0 else None

    def limit_to(self, only: str) -> None:
        """Show only the studies with a problem of a kind, until r or esc."""
        self._only = only
        self.anew()

    def action_refresh(self) -> None:
        """Begin at the newest, with all studies."""
        self._only = ""
        self._fetch()

    def action_back(self) -> None:
        """Show all studies again, else go back."""
        if self._only and not self.search:
            self.action_refresh()
        else:
            super().action_back()

    def _fetch(self) -> None:
        self._turn += 1
        self.console_app.keep(self._load(None, self._turn))

    def action_doubtful(self) -> None:
        """Show only one kind of doubtful studies, then the other, then all again."""
        kinds = ["", *ONLY]
        self.limit_to(kinds[(kinds.index(self._only) + 1) % len(kinds)])

    @on(RowTable.Wanted)
    def _more(self, event: RowTable.Wanted) -> None:
        held = self._table.held
        if held and event.before:
            self.console_app.keep(self._load_before(held[0].key, self._turn))
        elif held:
            self.console_app.keep(self._load(held[-1].key, self._turn))

    @on(RowTable.EdgeWanted)
    def _edge(self, event: RowTable.EdgeWanted) -> None:
        table = self._table
        left = self._total - table.above - len(table.held)
        if not event.last:
            self.anew()
        elif self.search or self._only or left <= FEW:
            table.go_on_to_the_end()
        else:
            self._turn += 1
            self.console_app.keep(self._leap(self._turn))

    async def _ask(self, limit: int, before: int | None = None, after: int | None = None) -> StudyPage | None:
        app = self.console_app
        call = app.client.studies.list(search=self.search, limit=limit, before=before, only=self._only, after=after)
        page: StudyPage | None = await app.fetch(call)
        if page is not None:
            app.privacy.learn(t for r in page.rows for t in (r.patient_name, r.patient_id, r.accession))
        return page

    async def _load(self, before: int | None, turn: int) -> None:
        view = self.console_app.view
        holds = view.status.archive.studies if view else 0
        self._loading = True
        page = await self._ask(PAGE, before)
        self._loading = False
        if not self.is_attached:
            return
        table = self._table
        if page is None:
            self._loaded_total = max(0, self._loaded_total)
            table.empty = ["the node did not answer: r tries again"]
            table.not_given()
            if before is None:
                table.redraw()
            return
        if turn != self._turn:
            return
        limited = bool(self.search or self._only)
        known = table.above + len(table.held) if limited and before is not None else 0
        self._total = known + page.total
        self._uncounted = limited and page.total > COUNTED
        if before is not None:
            table.extend(page.rows, more=page.next is not None, total=self._total)
            self._entitle()
            return
        self._loaded_total = holds
        table.bounded = not limited
        table.empty = (
            [
                f'Nothing is found for "{safe(self.search, 60)}".',
                "Names match by their beginning or any part; esc clears.",
            ]
            if self.search
            else [f"{ONLY[self._only]}: there are none. r shows all."]
            if self._only
            else ["The archive is empty. Send a study to this node, or import files:", "  pacstui import PATH"]
        )
        self._entitle()
        table.show(page.rows, more=page.next is not None, total=self._total)

    async def _load_before(self, key: int, turn: int) -> None:
        page = await self._ask(PAGE, after=key)
        if turn != self._turn or not self.is_attached:
            return
        if page is None:
            self._table.not_given()
        else:
            self._table.precede(page.rows)

    async def _leap(self, turn: int) -> None:
        """Show the oldest studies."""
        page = await self._ask(PAGE, after=0)
        if turn != self._turn or not self.is_attached:
            return
        table = self._table
        table.not_given()
        if page is not None and page.rows:
            self._total = page.total
            table.cursor = None
            table.show(page.rows, total=page.total, above=max(1, page.total - len(page.rows)))
            table.action_edge(1)

    def anew(self) -> None:
        """Begin at the newest of what is searched for."""
        self._table.cursor = None
        self._table.top = 0
        self._fetch()

    def action_send(self) -> None:
        """Send the chosen study to a destination."""
        row = self._table.selected
        if row is not None:
            queue_work.send_study(self.console_app, row)

    def action_delete(self) -> None:
        """Move the chosen study to the trash."""
        row = self._table.selected
        if row is not None:
            space_work.delete_study(self.console_app, row, self.anew)

    def action_pin(self) -> None:
        """Pin the chosen study, or take its pin off."""
        row = self._table.selected
        if row is not None:
            space_work.pin(self.console_app, row, self.anew)

    @on(RowTable.Chosen)
    def _open(self, event: RowTable.Chosen) -> None:
        from screens.study import StudyScreen

        self.console_app.go(StudyScreen(str(event.id)))
