"""Many accounts from a CSV file: first what it would do, then, if it is wanted, doing it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pacstui.contract.accounts import ImportPlan
from screens import files
from screens.modals.form import Form, Values
from screens.modals.told import Told
from screens.sheet_import import SheetImportScreen, key
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp


def ask_for_file(app: ConsoleApp, done: Callable[[], None]) -> None:
    """Ask for a file and open what it would do."""

    async def send(values: Values) -> tuple[str, ImportPlan]:
        text = await files.read_text(values["path"])
        return text, await app.client.accounts.preview_import(csv=text)

    def read(answer: tuple[str, ImportPlan] | None) -> None:
        if answer is not None:
            app.go(ImportScreen(*answer, done))

    intro = (
        "The first line names the columns: name, role, full_name, email, os_user, kind, expires, disabled, notes. Only "
        "name is needed. Nothing is done yet: what it would do is shown first."
    )
    note = "a relative path begins where the console was started"
    app.push_screen(Form("Import accounts", [Field("path", "CSV file", note=note)], send, intro=intro), read)


class ImportScreen(SheetImportScreen[ImportPlan]):
    """What a CSV file of accounts would do."""

    TITLE_WORDS = "Import"
    ABOUT = (
        "Each line of the file and what it would do. i does it, all or nothing; with a mistake in any line nothing is "
        "done. One-time passwords of new accounts are told once, afterwards."
    )
    ACTION, WHAT, MADE, MAKES = "accounts.import_csv", "account", "made", "create"
    KEYS = key(ACTION)

    def call(self, text: str) -> Awaitable[ImportPlan]:
        plan: Awaitable[ImportPlan] = self.console_app.client.accounts.import_csv(csv=text)
        return plan

    def done(self, plan: ImportPlan) -> None:
        super().done(plan)
        if plan.secrets:
            self.console_app.push_screen(Told("New accounts", plan.secrets))
