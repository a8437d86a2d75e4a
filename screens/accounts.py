"""Who may do what: the accounts of this node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract import Action
from pacstui.contract.accounts import AccountRow
from pacstui.text import ago, count, safe
from screens import account_work as work
from screens import files, keymap
from screens.asking import AskingScreen
from screens.modals.form import Form, Values
from screens.widgets import columns as cols
from screens.widgets.form import Field
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("name", 10, grow=2, most=32, role="strong"),
    C("full name", 12, grow=3, rank=2, most=40),
    C("role", 13, grow=1, most=24),
    C("state", 10),
    C("OS user", 8, grow=1, rank=6, most=20),
    C("password", 9, rank=5),
    C("2nd", 3, rank=4),
    C("last sign-in", 12, rank=1),
    C("sess", 4, align=">", rank=3),
    C("expires", 10, rank=7),
    C("kind", 7, rank=8, role="dim"),
    C("e-mail", 16, grow=1, rank=9, most=40, role="dim"),
    C("notes", 10, grow=2, rank=10, most=60, role="dim"),
)


class AccountsScreen(AskingScreen):
    """All accounts."""

    TITLE_WORDS = "Accounts"
    MODE = "accounts"
    EVERY_S = 3.0
    ABOUT = (
        "Who may sign in, and as what. Enter shows an account's sessions, what it may do and when it last did. An "
        "account is bound to an OS user of this machine, who is recognised without password, or has a password; a new "
        "one gets a one-time password, which is told once. p gives another one. t takes a second factor off, where the "
        "device is lost. What follows the directory is changed there. d disables, and enables again. After wrong "
        "passwords an account is locked for a while: u unlocks it. m shows what each role permits, v the access "
        "review: who may do what and does not use it. i takes a CSV file after showing what it would do, x writes one."
    )
    KEYS = (
        keymap.acts("accounts.create", "create"),
        *work.KEYS,
        keymap.acts("accounts.review", "review", weight=2, key="v"),
        keymap.acts("accounts.roles", "roles", weight=2, key="m"),
        keymap.acts("accounts.import_csv", "import", weight=3, key="i"),
        keymap.acts("accounts.export_csv", "export", weight=3, key="x"),
    )

    def body(self) -> Iterable[Widget]:
        table: RowTable[AccountRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.name,
            lambda r: f"{r.name} {r.full_name} {r.email} {r.kind} {r.role} {r.os_user} {r.state} {r.origin} {r.notes}",
            id="accounts-list",
        )
        table.title = Line("Accounts", "title")
        table.empty = ["asking the node"]
        yield table

    def _cells(self, row: AccountRow) -> Sequence[cols.Cell]:
        now = self.console_app.now()
        return (
            safe(row.name, 64),
            safe(row.full_name, 128),
            safe(row.role, 32),
            work.state(row),
            safe(row.os_user, 32) or ("-", "dim"),
            (row.password, "warn-text" if row.password == "one-time" else "text"),  # noqa: S105
            ("yes", "good") if row.second_factor else ("-", "dim"),
            ago(row.last_sign_in, now) if row.last_sign_in else ("never", "dim"),
            (count(row.sessions), "good") if row.sessions else ("-", "dim"),
            work.expiry(row.expires)[:10] or ("never", "dim"),
            safe(row.kind, 16),
            safe(row.email, 254),
            safe(row.notes, 500),
        )

    @property
    def _table(self) -> RowTable[AccountRow]:
        return self.query_one(RowTable)

    async def ask(self) -> Any:
        app = self.console_app
        return await app.fetch(app.client.accounts.list())

    async def took(self, found: Any) -> None:
        rows: Sequence[AccountRow] | None = found
        table = self._table
        if rows is None:
            table.empty = ["The node did not answer; it is asked again."]
            table.redraw()
            return
        signed_in = sum(row.sessions for row in rows)
        locked = sum(row.state == "locked" for row in rows)
        table.title = Line("Accounts  ", "title").add(count(len(rows)), "strong")
        table.title.add(f"  {count(signed_in)} open " + ("session" if signed_in == 1 else "sessions"), "dim")
        if locked:
            table.title.add(f"  ! {count(locked)} locked", "warn")
        table.empty = ["No account. n makes one."]
        table.show(rows)

    @on(RowTable.Chosen)
    def _open(self, event: RowTable.Chosen) -> None:
        from screens.account import AccountScreen

        self.console_app.go(AccountScreen(str(event.id)))

    def _chosen(self, do: Callable[..., None]) -> None:
        row = self._table.selected
        if row is not None:
            do(self.console_app, row, self.renew)

    def action_create(self) -> None:
        """Make an account."""
        work.create(self.console_app, self.renew)

    def action_edit(self) -> None:
        """Change the chosen account."""
        self._chosen(work.edit)

    def action_reset(self) -> None:
        """Give the chosen account a one-time password."""
        self._chosen(work.reset)

    def action_reset_totp(self) -> None:
        """Take the second factor off the chosen account."""
        self._chosen(work.reset_totp)

    def unfit(self, action: Action) -> str:
        return work.unfit(self._table.selected, action.name)

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.chrome()

    def action_disable(self) -> None:
        """Disable the chosen account, or enable it again."""
        self._chosen(work.disable)

    def action_enable(self) -> None:
        """Enable the chosen account again."""
        self._chosen(work.enable)

    def action_unlock(self) -> None:
        """Unlock the chosen account."""
        self._chosen(work.unlock)

    def action_delete(self) -> None:
        """Delete the chosen account."""
        self._chosen(work.delete)

    def action_review(self) -> None:
        """Open the access review."""
        if self.console_app.allowed("accounts.review"):
            from screens.access_review import ReviewScreen

            self.console_app.go(ReviewScreen())

    def action_roles(self) -> None:
        """Open the matrix of roles."""
        if self.console_app.allowed("accounts.roles"):
            from screens.roles import RolesScreen

            self.console_app.go(RolesScreen())

    def action_import(self) -> None:
        """Ask for a CSV file and show what it would do."""
        if self.console_app.allowed("accounts.import_csv"):
            from screens.account_import import ask_for_file

            ask_for_file(self.console_app, self.renew)

    def action_export(self) -> None:
        """Write all accounts to a file."""
        app = self.console_app
        if not app.allowed("accounts.export_csv"):
            return

        async def send(values: Values) -> str:
            path = files.free(values["path"])
            await files.write_new(path, await app.client.accounts.export_csv())
            return str(path)

        name = f"accounts-{app.now():%Y-%m-%d}.csv"
        note = "without passwords; a relative path begins where the console was started"
        form = Form("Write all accounts as CSV", [Field("path", "file", name, note=note)], send)
        app.push_screen(form, lambda path: app.say(f"written to {path}") if path else None)
