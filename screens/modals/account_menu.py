"""Who I am at this console, and what can be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from pacstui.text import duration, safe
from screens.door import HOW
from screens.modals.barrier import same
from screens.modals.form import Form, Values
from screens.modals.page import Page
from screens.modals.second_factor import second_factor
from screens.widgets.form import CODE, Field
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words

CHOICES = (
    ("s", "switch", "Sign in as somebody else"),
    ("p", "password", "Change my password"),
    ("t", "second_factor", "My second factor: codes of a device"),
    ("l", "lock", "Lock this console"),
    ("o", "sign_out", "Sign out"),
)


class AccountMenu(Page):
    """A small menu."""

    FOOT = "a letter or Enter does it, esc back"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"do('{what}')", show=False, priority=True) for key, what, _ in CHOICES
    ]

    def sections(self, width: int) -> Sequence[Section]:
        app, me = self.console_app, self.console_app.me
        if me is None or not me.account:
            lines = words("The node has not said yet who you are.", width, "dim")
        else:
            name = f"{safe(me.full_name, 128)}, " if me.full_name else ""
            known = f"known {HOW.get(me.how, safe(me.how, 20))}; OS user {safe(me.os_user, 32)}"
            lines = [*words(f"{name}{app.door.name}", width, "strong"), *words(known, width, "dim")]
            lines += words("with a second factor" if me.second_factor else "without second factor", width, "dim")
            if me.lockable and me.lock_s > 0:
                lines += words(f"locks after {duration(me.lock_s)} without a key", width, "dim")
            may = ", ".join(safe(name, 64) for name in me.permissions) or "nothing"
            lines += words(f"may: {may}", width, "dim")
        items = [Item([Line(f"{key}  ", "key").add(told)], what) for key, what, told in CHOICES]
        return [Section(Line("Account", "focus-title"), [Item(lines)]), Section(None, list(items))]

    @on(Panel.Chosen)
    def _chosen(self, event: Panel.Chosen) -> None:
        if isinstance(event.id, str):
            self.action_do(event.id)

    def action_do(self, what: str) -> None:
        """Do one of the choices."""
        app = self.console_app
        self.dismiss()
        if what == "switch":
            app.door.switch()
        elif what == "lock":
            app.action_lock()
        elif what == "sign_out":
            app.keep(app.door.sign_out())
        elif what == "second_factor":
            second_factor(app)
        elif what == "password" and app.me is not None and app.me.directory:
            app.say("your password is the directory's: change it there", "warn")
        elif what == "password" and app.allowed("accounts.set_password"):
            self._change()

    def _change(self) -> None:
        app, me = self.console_app, self.console_app.me
        has_one = me is not None and me.lockable

        async def send(values: Values) -> bool:
            same(values)
            await app.client.accounts.set_password(values.get("old", ""), values["new"], values.get(CODE, ""))
            await app.door.ask()
            return True

        fields = [Field("old", "present password", secret=True)] if has_one else []
        fields += [Field("new", "new password", secret=True), Field("again", "once more", secret=True)]
        intro = "" if has_one else "So far the machine alone says who you are. A password also unlocks this console."
        form = Form("Change my password", fields, send, intro=intro, foot="Enter changes it, tab next, esc back")
        app.push_screen(form, lambda done: app.say("the password is changed") if done else None)
