"""What is done about an account, from the list and from its page alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pacstui.contract.accounts import AccountRow, RoleRow, Secret
from pacstui.errors import PacsError
from pacstui.text import count, plural, safe
from screens import keymap
from screens.modals.ask import Ask, Choice
from screens.modals.form import Form, Values, type_the_name
from screens.modals.told import Told
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]
STATES = {
    "active": ("active", "good"), "disabled": ("- disabled", "dim"), "expired": ("x expired", "warn"),
    "locked": ("! locked", "warn"), "refused": ("x refused", "warn"),
}  # fmt: skip
KINDS = (("person", "signs in here"), ("service", "a program, with a passcode"))
KEYS = (
    keymap.acts("accounts.edit", "edit"),
    keymap.acts("accounts.reset_password", "reset"),
    keymap.acts("accounts.disable", "disable"),
    keymap.acts("accounts.enable", "enable", key="d"),
    keymap.acts("accounts.unlock", "unlock", weight=2),
    keymap.acts("accounts.reset_totp", "reset_totp", weight=2),
    keymap.acts("accounts.delete", "delete", weight=2),
)


def state(row: AccountRow) -> tuple[str, str]:
    """Return an account's state as a word and its role."""
    return STATES.get(row.state, (safe(row.state, 20), "warn"))


def expiry(at: datetime | None) -> str:
    """Return an expiry as the node takes it: the last day, or a moment."""
    if at is None:
        return ""
    here = at.astimezone()
    if (here.hour, here.minute, here.second) == (0, 0, 0):
        return f"{here - timedelta(days=1):%Y-%m-%d}"
    return here.isoformat(timespec="seconds")


def told(app: ConsoleApp, secret: Secret, what: str = "a password", *, copied: bool = False) -> None:
    """Show a secret once; without one say what is instead."""
    if secret.secret:
        app.push_screen(Told(f"{safe(secret.account, 64)}: {what}", [secret], copied=copied))
    else:
        app.say(f"{secret.account}: {secret.text}")


def _fields(roles: tuple[RoleRow, ...], row: AccountRow | None) -> list[Field]:
    choices = tuple((role.name, safe(role.label, 200)) for role in roles)
    known = [name for name, _ in choices]
    role = row.role if row is not None else "viewer"
    if role not in known:
        choices = ((role, "this role is gone"), *choices) if row is not None else choices
    os_user = "of this machine, who is recognised without password; empty: signs in with one"
    kept = "follows the directory: it is changed there" if row is not None and row.origin == "directory" else ""
    fields = [
        Field("full_name", "full name", row.full_name if row else "", fixed=kept),
        Field("role", "role", role if row is not None or role in known else known[0], choices=choices, fixed=kept),
        Field("os_user", "OS user", row.os_user if row else "", note=os_user),
        Field("email", "e-mail", row.email if row else "", fixed=kept),
        Field("expires", "last day", expiry(row.expires) if row else "", note="as 2026-12-31; empty: never expires"),
        Field("notes", "notes", row.notes if row else ""),
    ]
    if row is None:
        fields.insert(0, Field("name", "name", note="letters, digits and . _ @ -"))
        fields.insert(3, Field("kind", "kind", "person", choices=KINDS))
    return fields


async def _roles(app: ConsoleApp) -> tuple[RoleRow, ...]:
    view = await app.fetch(app.client.accounts.roles())
    return tuple(view.roles) if view is not None else ()


def unfit(row: AccountRow | None, action: str) -> str:
    """Return in words why an action is none for this account, empty if it is one."""
    if row is None:
        return ""
    if action == "accounts.reset_password" and row.origin == "directory":
        return f"the password of {safe(row.name, 64)} is the directory's: it is reset there"
    if action == "accounts.reset_totp" and not row.second_factor:
        return f"{safe(row.name, 64)} has no second factor"
    if action in ("accounts.create_token", "accounts.revoke_token") and row.kind != "service":
        return f"{safe(row.name, 64)} is a person, who signs in: tokens are for services"
    return ""


def create(app: ConsoleApp, done: Done) -> None:
    """Open the form for a new account."""

    async def send(values: Values) -> Secret:
        secret: Secret = await app.client.accounts.create(**values)
        return secret

    def made(secret: Secret | None) -> None:
        if secret is not None:
            done()
            told(app, secret, "a passcode" if secret.until is None else "a password")

    async def open_form() -> None:
        roles = await _roles(app)
        if roles:
            intro = "Without OS user the account gets a one-time password, which is told once."
            app.push_screen(Form("A new account", _fields(roles, None), send, intro=intro), made)

    if app.allowed("accounts.create"):
        app.keep(open_form())


def edit(app: ConsoleApp, row: AccountRow, done: Done) -> None:
    """Open the form of an account that is there; only what was changed is sent."""

    async def open_form() -> None:
        roles = await _roles(app)
        if not roles:
            return
        fields = _fields(roles, row)
        before = {field.name: field.value for field in fields}

        async def send(values: Values) -> bool:
            changes = {name: value for name, value in values.items() if value != before[name]}
            if changes:
                await app.client.accounts.edit(name=row.name, **changes)
            return bool(changes)

        def changed(any_change: bool | None) -> None:
            if any_change:
                app.say(f"{row.name} is changed")
                done()

        app.push_screen(Form(f"Edit {safe(row.name, 64)}", fields, send), changed)

    if app.allowed("accounts.edit"):
        app.keep(open_form())


def _after(
    app: ConsoleApp, call: Callable[[], Awaitable[Any]], said: str, done: Done, kind: str = "a password"
) -> None:
    async def work() -> None:
        try:
            answer = await call()
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        if isinstance(answer, Secret):
            told(app, answer, kind)
        else:
            app.say(said)
        done()

    app.keep(work())


def ask(
    app: ConsoleApp, title: str, text: str, yes: str, call: Callable[[], Awaitable[Any]], said: str, done: Done,
    kind: str = "a password",
) -> None:  # fmt: skip
    """Do something after a question, whose safe answer has the focus; then say so."""
    choices = [Choice("no", "leave it", safe=True), Choice("yes", yes)]

    def answered(answer: str | None) -> None:
        if answer == "yes":
            _after(app, call, said, done, kind)

    app.push_screen(Ask(title, [text], choices), answered)


def _yours(app: ConsoleApp, row: AccountRow) -> str:
    return "This is the account that you are signed in with. " if app.me and app.me.account == row.name else ""


def reset(app: ConsoleApp, row: AccountRow, done: Done) -> None:
    """Give a one-time password or a new passcode, after a question."""
    if not app.allowed("accounts.reset_password"):
        return
    if why := unfit(row, "accounts.reset_password"):
        app.say(why, "warn")
        return
    name, service = safe(row.name, 64), row.kind == "service"
    what = "passcode" if service else "one-time password"
    text = (
        "The present passcode is good no longer." if service
        else "The present password is good no longer, and sessions that were begun with it end."
    )  # fmt: skip
    call = lambda: app.client.accounts.reset_password(row.name)  # noqa: E731
    ask(app, f"A new {what} for {name}?", f"{text} The new one is told once.", "make it", call, "", done, f"a {what}")


def reset_totp(app: ConsoleApp, row: AccountRow, done: Done) -> None:
    """Take a second factor off after a question."""
    if not app.allowed("accounts.reset_totp"):
        return
    if why := unfit(row, "accounts.reset_totp"):
        app.say(why, "warn")
        return
    name = safe(row.name, 64)
    text = (
        "Its codes and recovery codes are good no longer, and its sessions end. It signs in with the password alone "
        "then, and sets up another one where the settings ask for it."
    )
    call = lambda: app.client.accounts.reset_totp(row.name)  # noqa: E731
    said = f"{name} has no second factor any more"
    ask(app, f"Take the second factor off {name}?", text, "take it off", call, said, done)


def disable(app: ConsoleApp, row: AccountRow, done: Done) -> None:
    """Disable an account after a question; enable one that is disabled."""
    if row.state == "disabled":
        enable(app, row, done)
        return
    if not app.allowed("accounts.disable"):
        return
    name = safe(row.name, 64)
    text = f"It cannot sign in any more; {plural(row.sessions, 'open session')} will end. d enables it again."
    call = lambda: app.client.accounts.disable(row.name)  # noqa: E731
    ask(app, f"Disable {name}?", _yours(app, row) + text, f"disable {name}", call, f"{name} is disabled", done)


def enable(app: ConsoleApp, row: AccountRow, done: Done) -> None:
    """Enable an account again."""
    if row.state != "disabled":
        app.say(f"{row.name} is not disabled")
    elif app.allowed("accounts.enable"):
        _after(app, lambda: app.client.accounts.enable(row.name), f"{row.name} is enabled again", done)


def unlock(app: ConsoleApp, row: AccountRow, done: Done) -> None:
    """Forget an account's wrong passwords."""
    if app.allowed("accounts.unlock"):
        _after(app, lambda: app.client.accounts.unlock(row.name), f"{row.name}: wrong passwords are forgotten", done)


def delete(app: ConsoleApp, row: AccountRow, done: Done) -> None:
    """Delete an account after its name was typed."""
    if not app.allowed("accounts.delete"):
        return
    back = " The directory lets it come back." if row.origin == "directory" else ""
    text = (
        f"{_yours(app, row)}It is gone then, and so are its sessions ({count(row.sessions)} open). What it did stays "
        f"in the audit trail.{back} Disabling it is enough in most cases. To delete it, type {safe(row.name, 64)}"
    )
    call = lambda: app.client.accounts.delete(row.name)  # noqa: E731

    def deleted(yes: bool | None) -> None:
        if yes:
            app.say(f"{row.name} is deleted")
            done()

    app.push_screen(type_the_name(f"Delete {safe(row.name, 64)}", text, row.name, call), deleted)


def end_session(app: ConsoleApp, ident: int, whose: str, done: Done) -> None:
    """End somebody's session after a question."""
    if app.allowed("accounts.end_session"):
        text = "Whoever works there has to sign in again."
        call = lambda: app.client.accounts.end_session(ident)  # noqa: E731
        ask(app, f"End {safe(whose, 64)}'s session {ident}?", text, "end it", call, f"session {ident} has ended", done)
