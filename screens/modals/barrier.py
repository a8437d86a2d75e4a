"""Pages that nobody passes without being somebody: signing in, a new password, the lock.

They stand in a mode of their own, so that nothing of the other screens is behind them or can be reached from them.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from pacstui.errors import CodeNeeded, PacsError
from pacstui.text import safe
from screens.modals.form import FormPage, Send, Values
from screens.widgets.form import CODE, Field

if TYPE_CHECKING:
    from pacstui.contract.accounts import Me
    from screens.door import Door


def known_as(me: Me) -> str:
    """Return an account and its role."""
    return f"{safe(me.account, 64)} ({safe(me.role, 32)})"


class Barrier(FormPage):
    """Base of these pages. They are left by what the door does, not by themselves; while one ``holds``, not even so."""

    holds = False

    def __init__(self, door: Door, title: str, intro: str, fields: list[Field], foot: str, send: Send) -> None:
        super().__init__(title, intro, fields, foot, send)
        self.door = door

    def done(self, answer: Any) -> None:
        """The door has opened."""

    def say(self, intro: str) -> None:
        """Say something else; what was typed stays."""
        if intro != self.panel.intro:
            self.panel.intro = intro
            if self.is_attached:
                self.panel.renew()

    def action_cancel(self) -> None:
        """Nothing to go back to."""


class Closed(Barrier):
    """For somebody without account or session: why, and the way in."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave_twice", show=False),
        Binding("ctrl+c,ctrl+q", "leave", show=False),
        Binding("ctrl+o", "as_os_user", show=False),
    ]

    def __init__(self, door: Door, intro: str, os_user: str) -> None:
        fields = [Field("name", "name"), Field("password", "password", secret=True)]
        foot = "Enter signs in, tab next, esc leaves"
        if os_user:
            foot = f"Enter signs in, esc leaves, ctrl+o as {safe(os_user, 20)}"
        super().__init__(door, "Sign in", intro, fields, foot, self._enter)
        self._asked = False

    async def _enter(self, values: Values) -> None:
        try:
            await self.door.sign_in(values["name"], values["password"], values.get(CODE, ""))
        except CodeNeeded:
            raise
        except PacsError:
            self._forget()
            raise

    def _forget(self) -> None:
        """A password, or where one is asked for a code, is typed anew; a name is not."""
        self.panel.fields[-1].value = ""
        self.panel.caret = len(self.panel.fields[self.panel.at].value)

    def action_leave_twice(self) -> None:
        """Leave at the second time: this page may come while one presses escape for something else."""
        if self._asked:
            self.action_leave()
        self._asked = True
        self.panel.foot = "esc again leaves the console"
        self.panel.redraw()

    def action_leave(self) -> None:
        """Leave the console."""
        self.console_app.leave(0)

    def action_as_os_user(self) -> None:
        """Go on as the OS user, without a sign-in."""
        self.console_app.keep(self.door.as_os_user())


class NewPassword(Barrier):
    """A one-time password is good for choosing another."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "sign_out", show=False)]

    def __init__(self, door: Door, me: Me, old: str) -> None:
        fields = [] if old else [Field("old", "one-time password", secret=True)]
        fields += [Field("new", "new password", secret=True), Field("again", "once more", secret=True)]
        intro = (
            f"Welcome, {known_as(me)}. This password was good for one sign-in. Now choose your own: several words are "
            "easy to remember and hard to guess."
        )
        foot = "Enter keeps it, tab next, esc signs out"
        super().__init__(door, "A new password", intro, fields, foot, self._change)
        self._old = old

    async def _change(self, values: Values) -> None:
        same(values)
        await self.door.set_password(values.get("old", self._old), values["new"], values.get(CODE, ""))

    def action_sign_out(self) -> None:
        """Be nobody again."""
        self.console_app.keep(self.door.sign_out())


class Locked(Barrier):
    """Locked: the password opens it, or somebody else signs in. It cannot be left."""

    def __init__(self, door: Door, me: Me, since: datetime, why: str) -> None:
        name = Field("name", "name", me.account, note="another name signs somebody else in")
        fields = [name, Field("password", "password", secret=True)]
        who = f"{safe(me.full_name, 64)}, " if me.full_name else ""
        intro = f"{who}{known_as(me)}: locked since {since:%H:%M}{why}. The node goes on."
        foot = "Enter unlocks, tab for another name"
        super().__init__(door, "Locked", intro, fields, foot, self._unlock)
        self.panel.at = 1
        self.panel.caret = 0
        self.panel.cursor = "password"

    async def _unlock(self, values: Values) -> None:
        password, self.panel.fields[1].value = values["password"], ""
        code, self.panel.fields[-1].value = values.get(CODE, ""), ""
        self.panel.caret = len(self.panel.fields[self.panel.at].value)
        try:
            await self.door.unlock(values["name"].strip(), password, code)
        except CodeNeeded:
            self.panel.fields[1].value = password
            raise


def same(values: Values) -> None:
    """See that a new password was typed twice alike.

    Raises
    ------
    PacsError
        When it was not.
    """
    if values["new"] != values["again"]:
        raise PacsError("these are two different passwords", "type the new one twice")
