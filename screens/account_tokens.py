"""What is done about the tokens of a service account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacstui.contract.accounts import AccountRow, Secret, TokenRow
from pacstui.text import plural, safe
from screens import account_work as work
from screens.modals.form import Form, Values
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp


def create(app: ConsoleApp, row: AccountRow, done: work.Done) -> None:
    """Open the form for a token, and tell it once."""
    if not app.allowed("accounts.create_token"):
        return
    if why := work.unfit(row, "accounts.create_token"):
        app.say(why, "warn")
        return

    async def send(values: Values) -> Secret:
        patterns = tuple(values["permissions"].replace(",", " ").split())
        secret: Secret = await app.client.accounts.create_token(
            row.name, values["label"], permissions=patterns, expires=values["expires"]
        )
        return secret

    def made(secret: Secret | None) -> None:
        if secret is not None:
            done()
            work.told(app, secret, "a token", copied=True)

    fields = [
        Field("label", "used in", note="where it will be: grafana, interface engine"),
        Field("permissions", "for", note=f"as *.view; empty: all that {safe(row.role, 32)} may"),
        Field("expires", "last day", note="as 2026-12-31, or never; empty: in a year"),
    ]
    intro = f"Whoever has it is {safe(row.name, 64)} at this node. It is told once."
    app.push_screen(Form(f"A token for {safe(row.name, 64)}", fields, send, intro=intro), made)


def revoke(app: ConsoleApp, token: TokenRow, done: work.Done) -> None:
    """Make a token good no longer, after a question."""
    if not app.allowed("accounts.revoke_token"):
        return
    label = safe(token.label, 64)
    used = f"It was used {plural(token.uses, 'time')}, last from {safe(token.origin, 80)}." if token.last else ""
    text = f"{used} What shows it is let in no more, at once.".strip()
    call = lambda: app.client.accounts.revoke_token(token.id)  # noqa: E731
    work.ask(app, f"Revoke the token {label}?", text, "revoke it", call, f"the token {label} is revoked", done)
