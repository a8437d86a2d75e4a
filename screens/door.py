"""Who is at this console: what the node takes them for, what they may do, signing in and out, and the lock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pacstui.contract import privacy
from pacstui.errors import Denied, PacsError
from pacstui.text import duration, safe
from screens.modals.barrier import Barrier, Closed, Locked, NewPassword, known_as
from screens.modals.form import Form, Values
from screens.modals.second_factor import SetUp
from screens.widgets.form import CODE, Field

if TYPE_CHECKING:
    from pacstui.contract.accounts import Me
    from screens.app import ConsoleApp

ASK_S = 30.0
"""So often the node is asked whether the account may do other things now."""
HOW = {"OS user": "by the machine", "password": "by password", "directory": "by the directory",
       "token": "by a token"}  # fmt: skip


def boot_time() -> float:
    """Return seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Door:
    """Knows the account, and puts a page before everything while there is none or it is locked.

    Parameters
    ----------
    client
        The client itself, not the one that the screens have.
    """

    def __init__(self, app: ConsoleApp, client: Any, clock: Callable[[], float] = boot_time) -> None:
        self._app = app
        self._client = client
        self.clock = clock
        self.me: Me | None = None
        self.barrier: Barrier | None = None
        self.behind = app.DEFAULT_MODE
        self._touched = clock()
        self._asked = clock()
        self._asking = False
        self._again = False
        self._shut: PacsError | None = None
        self._signed_out = False
        self._seen: Me | None = None
        self._one_time = ""
        self._begun = False
        client.idle_s = lambda: self.clock() - self._touched

    # who

    @property
    def barred(self) -> bool:
        """Whether a page stands before everything."""
        return self.barrier is not None

    @property
    def name(self) -> str:
        """Account and role in words, empty while nobody is known."""
        return known_as(self.me) if self.me is not None and self.me.account else ""

    def lacks(self, permission: str) -> bool:
        """Return whether the account lacks a permission, as far as is known."""
        return bool(permission and self.me is not None and self.me.account and permission not in self.me.permissions)

    async def ask(self) -> None:
        """Ask the node who it takes us for, and open or close accordingly."""
        if self._asking:
            self._again = True
            return
        self._asking = True
        try:
            while True:
                self._again = False
                self._asked = self.clock()
                await self._ask()
                if not self._again:
                    return
        finally:
            self._asking = False

    async def _ask(self) -> None:
        try:
            me = await self._client.accounts.me()
            if not self._begun and not me.account and self._client.token:
                self._client.token = ""  # a sign-in that the command line has kept, and that has ended
                self._app.bridge.renew()
                me = await self._client.accounts.me()
        except Denied as error:
            self._shut = error
            page = self._closed(error.message, error.hint, "")
            self._bar(Closed, lambda: page)
            return
        except (PacsError, OSError, TimeoutError):
            return  # the head line says that the node is away
        self._begun = True
        self._settle(me)

    def doubt(self) -> None:
        """Something was denied: what the account may do may have changed."""
        self._app.keep(self.ask())

    def shut(self, reason: PacsError) -> None:
        """The node shows nothing to us, for a reason."""
        self._shut = reason
        self._app.keep(self.ask())

    def shows(self, back: bool) -> None:
        """The node shows something; ``back`` after it was away."""
        shut, self._shut = self._shut, None
        if back or self.me is None or shut is not None:
            self._app.keep(self.ask())

    # open or closed

    def _settle(self, me: Me, *, through: bool = False) -> None:
        """Open or close; ``through`` when a lock is passed now."""
        self.me = me
        if self.barrier is not None and self.barrier.holds:
            return
        if isinstance(self.barrier, Locked) and not through:
            if not me.account:
                self.barrier.say(f"Locked, and {safe(me.text, 300)}. Who has a password signs in here.")
            return
        os_user = me.os_user if self._client.token or self._signed_out else ""
        if self._signed_out:
            self._bar(Closed, lambda: self._closed("You are signed out", "", os_user))
        elif not me.account:
            self._bar(Closed, lambda: self._closed(me.text, "", os_user))
        elif me.must_change:
            self._bar(NewPassword, lambda: NewPassword(self, me, self._one_time))
        elif me.must_set_up:
            self._bar(SetUp, lambda: SetUp(self, me))
        elif self._shut is not None:
            shut = self._shut
            self._bar(Closed, lambda: self._closed(f"{known_as(me)}: {shut.message}", shut.hint, os_user))
        else:
            self._open()

    def _closed(self, message: str, hint: str, os_user: str) -> Closed:
        told = ". ".join(safe(part, 400) for part in (message, hint) if part)
        return Closed(self, f"{told}. Who has a password signs in here.", os_user)

    def _bar(self, kind: type[Barrier], make: Callable[[], Barrier]) -> None:
        """Put a page before everything; one of this kind that is there says what the new one would."""
        fresh = make()
        if type(self.barrier) is kind:
            self.barrier.say(fresh.panel.intro)
            self.barrier.panel.foot = fresh.panel.foot
            return
        if self.barrier is None:
            self.behind = self._app.current_mode
        self.barrier = fresh
        self._app.bar(fresh)

    def _open(self) -> None:
        me, seen = self.me, self._seen
        assert me is not None
        blinded = seen is not None and privacy.PERMISSION in seen.permissions and self.lacks(privacy.PERMISSION)
        other = blinded or (seen is not None and seen.account != me.account)
        self._seen, self._one_time = me, ""
        if self.barred:
            self._touched = self.clock()
        if other:
            self.barrier = None
            self._app.begin_anew()
        elif self.barrier is not None:
            self.barrier = None
            self._app.unbar(self.behind)
        else:
            self._app.redraw_chrome()

    # signing in and out

    async def sign_in(self, name: str, password: str, code: str = "") -> None:
        """Become somebody; whoever was signed in here before is signed out."""
        signed = await self._client.accounts.sign_in(name.strip(), password, code)
        await self._end_session()
        self._client.token = signed.token
        self._one_time = password if signed.me.must_change else ""
        self._became(signed.me)
        if signed.me.text and not self.barred:
            self._app.say(signed.me.text, "warn")

    def _became(self, me: Me) -> None:
        self._shut, self._signed_out, self._begun = None, False, True
        if self.barrier is not None:
            self.barrier.panel.busy = ""
        self._app.bridge.renew()
        self._settle(me, through=True)

    async def _end_session(self) -> None:
        if self._client.token:
            try:
                await self._client.accounts.sign_out()
            except (PacsError, OSError, TimeoutError):
                pass  # it has ended already, or ends by itself
            self._client.token = ""

    async def sign_out(self) -> None:
        """Be nobody."""
        if not self._client.token:
            self._app.say("the machine tells the node who you are: there is nothing to sign out of", "warn")
            return
        await self._end_session()
        self._signed_out = True
        self._app.forget_view()
        await self.ask()

    async def set_up(self) -> None:
        """Go on, after a second factor was set up."""
        self._became(await self._client.accounts.me())

    @property
    def accounts(self) -> Any:
        """The noun, without what the screens have before it."""
        return self._client.accounts

    async def as_os_user(self) -> None:
        """Go on without a sign-in, as who the machine says we are."""
        self._client.token = ""
        me = await self._app.fetch(self._client.accounts.me())
        if me is not None:
            self._became(me)

    async def set_password(self, old: str, new: str, code: str = "") -> None:
        """Choose another password, and be let in with it."""
        await self._client.accounts.set_password(old, new, code)
        self._became(await self._client.accounts.me())

    def switch(self) -> None:
        """Let somebody else sign in here."""

        async def send(values: Values) -> bool:
            await self.sign_in(values["name"], values["password"], values.get(CODE, ""))
            return True

        fields = [Field("name", "name"), Field("password", "password", secret=True)]
        intro = f"You are {self.name}. Whoever signs in now takes your place." if self.name else ""
        self._app.push_screen(Form("Sign in", fields, send, intro=intro, foot="Enter signs in, tab next, esc stays"))

    # the password once more

    async def confirm(self, why: str) -> bool:
        """Ask for the password; return whether it was said."""

        async def send(values: Values) -> bool:
            await self._client.accounts.confirm(values.get("password", ""), values.get(CODE, ""))
            return True

        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.me is not None and self.me.second_factor and not self.me.lockable:
            title, fields = "A code of your second factor", [Field(CODE, "code")]
        else:
            title, fields = "Your password once more", [Field("password", "password", secret=True)]
        form = Form(
            title, fields, send,
            intro=f"{safe(why, 200)}. It is good for the next minutes.", foot="Enter confirms, esc does nothing",
        )  # fmt: skip

        def closed(said: object) -> None:
            if not answered.done():
                answered.set_result(bool(said))

        self._app.push_screen(form, closed)
        return await answered

    # the lock

    def stirred(self) -> bool:
        """Note a key or the mouse; return whether it came too late and only finds the lock."""
        before = self.barred
        self.tick()
        self._touched = self.clock()
        return self.barred and not before

    def tick(self) -> None:
        """Lock, if nobody has touched anything for long; now and then ask what the account may do."""
        me = self.me
        idle = self.clock() - self._touched
        if me is not None and me.account and me.lockable and 0 < me.lock_s <= idle and not self.barred:
            self.lock(f" after {duration(idle)} without a key")
        if self.clock() - self._asked >= ASK_S and self._app.away_since is None and self._begun:
            self._app.keep(self.ask())

    def lock(self, why: str = "") -> None:
        """Cover everything until the password is said."""
        me = self.me
        if me is None or not me.account or self.barred:
            return
        if not me.lockable:
            self._app.say("without a password nothing could unlock this: A, then p sets one", "warn")
            return
        self._bar(Locked, lambda: Locked(self, me, self._now(), why))

    def _now(self) -> datetime:
        return self._app.now()

    async def unlock(self, name: str, password: str, code: str = "") -> None:
        """Open again for the same account, or let another one in."""
        me = self.me
        if me is None or name.casefold() != me.account.casefold():
            await self.sign_in(name, password, code)
            return
        try:
            await self._client.accounts.confirm(password, code)
        except Denied:
            self.me = me = await self._client.accounts.me()
            if me.account:
                raise
            await self.sign_in(name, password, code)  # the session has ended meanwhile
            return
        self._settle(await self._client.accounts.me(), through=True)
