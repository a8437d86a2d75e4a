"""The access review: who may do what, and does not use it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.accounts import Review, ReviewRow
from pacstui.contract.overview import View
from pacstui.text import ago, count, plural, safe
from screens import account_work as work
from screens import keymap
from screens.base import ConsoleScreen
from screens.modals.page import Page
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
DAYS = (90, 180, 365, 30)
COLUMNS = (
    C("account", 10, grow=2, most=32, role="strong"),
    C("role", 13, grow=1, rank=1, most=24),
    C("state", 10, rank=4),
    C("last sign-in", 12, rank=2),
    C("may", 4, align=">", rank=5),
    C("unused", 6, align=">", rank=3),
    C("look at", 20, grow=6, most=120),
)


class ReviewScreen(ConsoleScreen):
    """Who has which access, and what is to be looked at."""

    TITLE_WORDS = "Access review"
    ABOUT = (
        "Every account with what is to be looked at: who has not signed in for long, cannot sign in, can manage "
        "accounts, expires soon; may is the number of permissions, unused how many of them were never used. Accounts "
        "with findings come first. Enter says all of one account; t takes another number of days. pacstui accounts "
        "review --json gives it to be kept."
    )
    KEYS = (
        keymap.Key("t", "days", "Take another number of days: 90, 180, 365, 30", "days", weight=1),
        keymap.Key("r", "refresh", "Make it anew", "refresh"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._days = DAYS[0]
        self._begun = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[ReviewRow] = RowTable(
            COLUMNS, self._cells, lambda r: r.account.name,
            lambda r: " ".join((r.account.name, r.account.full_name, r.account.role, r.account.state, *r.findings)),
            id="review",
        )  # fmt: skip
        table.title = Line("Access review", "title")
        table.empty = ["asking the node"]
        yield table

    @property
    def _table(self) -> RowTable[ReviewRow]:
        return self.query_one(RowTable)

    def _cells(self, row: ReviewRow) -> Sequence[cols.Cell]:
        account = row.account
        last = account.last_sign_in
        return (
            safe(account.name, 64),
            safe(account.role, 32),
            work.state(account),
            ago(last, self.console_app.now()) if last else ("never", "dim"),
            count(row.held),
            (count(len(row.unused)), "text" if row.unused else "dim"),
            ("! " + safe("; ".join(row.findings), 300), "warn-text") if row.findings else ("-", "dim"),
        )

    def show(self, view: View) -> None:
        if not self._begun:
            self._begun = True
            self.action_refresh()

    def action_refresh(self) -> None:
        """Ask for it."""
        self.console_app.keep(self._load(self._days))

    def action_days(self) -> None:
        """Take another number of days."""
        self._days = DAYS[(DAYS.index(self._days) + 1) % len(DAYS)]
        self.action_refresh()

    async def _load(self, days: int) -> None:
        app = self.console_app
        review: Review | None = await app.fetch(app.client.accounts.review(days=days))
        if not self.is_attached or days != self._days:
            return
        table = self._table
        if review is None:
            table.empty = ["The node did not answer: r tries again."]
            table.redraw()
            return
        rows = sorted(review.rows, key=lambda row: not row.findings)
        found = sum(bool(row.findings) for row in rows)
        table.title = Line("Access review  ", "title").add(plural(len(rows), "account"), "strong")
        table.title.add(f"  {count(found)} to look at", "warn" if found else "dim")
        table.note = Line(f"not signed in for {days} days: t", "dim")
        table.empty = ["No account."]
        table.show(rows)

    @on(RowTable.Chosen)
    def _open(self, event: RowTable.Chosen) -> None:
        row = self._table.selected
        if row is not None:
            self.console_app.push_screen(ReviewPage(row))


class ReviewPage(Page):
    """One account's findings and unused permissions."""

    FOOT = "y copy, esc back"

    def __init__(self, row: ReviewRow) -> None:
        super().__init__()
        self._row = row

    def sections(self, width: int) -> Sequence[Section]:
        row = self._row
        found = [line for each in row.findings for line in words(safe(each, 300), width, "text", 2, Line("! ", "warn"))]
        unused = words(", ".join(safe(name, 64) for name in row.unused) or "none", width)
        title = Line(safe(row.account.name, 64), "focus-title").add(f"  {safe(row.account.role, 32)}", "dim")
        return [
            Section(title, [Item(found or [Line("nothing to look at", "dim")])]),
            Section(Line(f"Never used: {len(row.unused)} of {row.held}", "title"), [Item(unused)]),
        ]
