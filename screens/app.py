"""The console as an application: bridge, modes, what all screens share, and leaving cleanly whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import traceback
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widget import AwaitMount

from pacstui.contract import all_actions
from pacstui.errors import Denied, PacsError
from pacstui.text import safe
from screens import clipboard, keymap, theme
from screens.base import ConsoleScreen
from screens.bridge import Bridge
from screens.confirming import Confirming
from screens.door import Door
from screens.frames import narrow
from screens.pages import open_page
from screens.privacy import Privacy

if TYPE_CHECKING:
    from pacstui.contract import Action
    from pacstui.contract.accounts import Me
    from pacstui.contract.feed import FeedRow
    from pacstui.contract.overview import View

NOTICE_S = 6.0
ENTRY = "entry"
"""The mode of the pages that stand before everything; it has no number and nothing in it but them."""


def _mode(module: str, name: str) -> Callable[[], Screen[Any]]:
    def make() -> Screen[Any]:
        from importlib import import_module

        made: Screen[Any] = getattr(import_module(f"screens.{module}"), name)()
        return made

    return make


class Entry(Screen[None]):
    """Nothing."""


class Fresh(Message):
    """The bridge has something new."""


class ConsoleApp(App[int]):
    """The console.

    Parameters
    ----------
    client
        An ApiClient: an attribute for each noun of the contract, and ``stream``.
    owned
        Whether this console started the node; then leaving asks whether to stop it.
    start_node
        Starts a node when there is none; offered while it is away.
    """

    TITLE = "pacstui"
    CSS_PATH = "styles/console.tcss"
    ENABLE_COMMAND_PALETTE = False
    INLINE_PADDING = 0
    DEFAULT_MODE = "dashboard"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "dashboard": _mode("dashboard", "Dashboard"),
        "associations": _mode("associations", "AssociationsScreen"),
        "queue": _mode("queue", "QueueScreen"),
        "studies": _mode("studies", "StudiesScreen"),
        "peers": _mode("peers", "PeersScreen"),
        "events": _mode("events", "EventsScreen"),
        "jobs": _mode("jobs", "JobsScreen"),
        "backups": _mode("backups", "BackupsScreen"),
        "accounts": _mode("accounts", "AccountsScreen"),
        "audit": _mode("audit", "AuditScreen"),
        ENTRY: Entry,
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        *keymap.bindings(*keymap.COMMON),
        *keymap.bindings(*keymap.mode_keys()),
        *keymap.bindings(keymap.Key("S", "start", "Start a node", "start_node")),
    ]

    def __init__(
        self,
        client: Any,
        *,
        refresh_s: float = 1.0,
        theme_kind: str = "full",
        owned: bool = False,
        read_only: bool = False,
        start_node: Callable[[], None] | None = None,
        driver_class: Any = None,
    ) -> None:
        self.ink = theme.Ink(theme_kind, colour="NO_COLOR" not in os.environ)
        super().__init__(driver_class=driver_class)
        self.door = Door(self, client)
        self.client = Confirming(client, self.door)
        self.owned = owned
        self.view: View | None = None
        self.latest: View | None = None
        self.feed: Sequence[FeedRow] = ()
        self.away_since: datetime | None = None
        self.away_because: PacsError | None = None
        self.frozen = False
        self.read_only = read_only
        self.privacy = Privacy()
        self.notice: tuple[str, str] | None = None
        self.crash: str = ""
        self.parting = ""
        self.start_node = start_node
        self._notices = 0
        self._ticking = False
        self.bridge = Bridge(client, refresh_s, self._wake)
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_ready: Callable[[], None] | None = None
        self.register_theme(theme.TERMINAL_THEME)
        self.register_theme(theme.FULL_THEME)
        self.theme = theme.TERMINAL_THEME.name if theme_kind == "terminal" else theme.FULL_THEME.name

    # life

    def on_mount(self) -> None:
        """Begin to listen."""
        if self.on_ready is not None:
            self.on_ready()
        self.animation_level = "none"
        self.keep(self.door.ask())
        self.keep(self.bridge.run())
        self.set_interval(1.0, self._tick)

    def keep(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Run ``work`` beside the screens; its faults end the console like any other."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - the same end as for a fault in a screen: written down, said, left
                self._handle_exception(error)

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def on_unmount(self) -> None:
        """Hang up."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(PacsError, OSError):
            await self.client.close()

    def leave(self, code: int, parting: str = "") -> None:
        """End the console, and nothing else."""
        self.parting = parting
        self.exit(code, return_code=code)

    def _handle_exception(self, error: Exception) -> None:
        if not self.crash:
            self.crash = "".join(traceback.format_exception(error))
            self._exception = error
            self._exception_event.set()
        self._return_code = 1
        self._close_messages_no_wait()

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        super()._display(screen, narrow(renderable) if type(renderable) is ChopsUpdate else renderable)

    def panic(self, *renderables: Any) -> None:
        """End after a fault outside of any message; what is known of it is written down."""
        self.crash = self.crash or "\n".join(str(getattr(r, "trace", r)) for r in renderables)
        self._return_code = 1
        self._close_messages_no_wait()

    # views

    def _wake(self) -> None:
        self.post_message(Fresh())

    def on_fresh(self) -> None:
        """Take the newest view and show it, unless the screen is frozen."""
        away = self.away_since is not None
        self.latest = self.bridge.taken()
        self.away_since, self.away_because = self.bridge.away_since, self.bridge.away_because
        if isinstance(self.away_because, Denied):
            self.door.shut(self.away_because)
        elif self.latest is not None and self.away_since is None:
            self.door.shows(back=away)
        if self.latest is not None:
            self.privacy.learn(t for r in self.latest.queue.receiving for t in (r.patient_name, r.patient_id))
        if not self.frozen:
            self.view = self.latest
            self.feed = self.bridge.feed
            self._show()
        else:
            self._chrome()

    def page(self) -> ConsoleScreen | None:
        """Return the screen in sight, or the one under the questions that lie over it."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ConsoleScreen):
                return screen
        return None

    def _show(self) -> None:
        page = self.page()
        if page is not None and page.is_mounted:
            if self.view is not None and self.screen is page:
                page.show(self.view)
            page.chrome()

    def _chrome(self) -> None:
        page = self.page()
        if page is not None and page.is_mounted:
            page.chrome()

    def _tick(self) -> None:
        self.door.tick()
        self._chrome()

    def redraw_chrome(self) -> None:
        """Draw head and foot again."""
        self._chrome()

    # who is there

    @property
    def me(self) -> Me | None:
        """Who the node takes us for; none before it has said."""
        return self.door.me

    async def on_event(self, event: events.Event) -> None:
        """Take keys and the mouse, unless they come so late that they only find the lock."""
        if isinstance(event, events.InputEvent) and not event.is_forwarded and self.door.stirred():
            return
        await super().on_event(event)

    def bar(self, page: Screen[Any]) -> None:
        """Show ``page`` in place of everything else."""
        if self.current_mode != ENTRY:
            super().switch_mode(ENTRY)
        else:
            self.screen.dismiss()
        super().push_screen(page)

    def unbar(self, mode: str) -> None:
        """Show the screens again."""
        super().switch_mode(mode)
        self.remove_mode(ENTRY)
        self.add_mode(ENTRY, Entry)
        self._show()

    def begin_anew(self) -> None:
        """Show nothing of what was there for somebody else."""
        self.forget_view()
        self.frozen = False
        self.bridge.renew()
        super().switch_mode(ENTRY)
        for mode, make in self.MODES.items():
            if mode != ENTRY:
                self.remove_mode(mode)
                self.add_mode(mode, make)
        self.unbar(self.DEFAULT_MODE)

    def forget_view(self) -> None:
        """Forget what was heard from the node."""
        self.view = self.latest = None
        self.feed = ()
        self.privacy = Privacy()

    def push_screen(self, screen: Any, *args: Any, **kwargs: Any) -> Any:
        """Lay a screen over the present one; while a page stands before everything, over the one behind it."""
        if self.door.barred:
            kwargs["mode"] = self.door.behind
        return super().push_screen(screen, *args, **kwargs)

    def switch_mode(self, mode: str) -> AwaitMount:
        """Go to a mode; to none while a page stands before everything."""
        return AwaitMount(self.screen, []) if self.door.barred else super().switch_mode(mode)

    def now(self) -> datetime:
        """Return local time."""
        return datetime.now(UTC).astimezone()

    def redraw_all(self) -> None:
        """Draw every cell again, after output was lost or garbled."""
        self.screen.refresh()

    # keys of all screens

    async def action_mode(self, mode: str) -> None:
        """Go to a mode; its stack is as it was left."""
        if not self.may_see(mode):
            return
        if self.current_mode != mode:
            await self.switch_mode(mode)
        elif len(self.screen_stack) > 1:
            while len(self.screen_stack) > 1:
                await self.pop_screen()

    def go(self, screen: Screen[Any]) -> None:
        """Open a page over the present one."""
        self.push_screen(screen)

    def back(self) -> None:
        """Close this page; from a mode's own page go to the dashboard."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
        elif self.current_mode != "dashboard":
            self.switch_mode("dashboard")

    async def action_back(self) -> None:
        """Go back."""
        page = self.page()
        if page is not None:
            page.action_back()

    def action_find(self) -> None:
        """Filter this screen."""
        page = self.page()
        if page is not None:
            page.action_find()

    def find_study(self) -> None:
        """Look for a study from a screen that has nothing to filter."""

        async def look() -> None:
            await self.action_mode("studies")
            page = self.page()
            if page is not None and page.filtered() is not None:
                page.action_find()

        self.keep(look())

    def action_freeze(self) -> None:
        """Hold what is shown, or follow again."""
        self.frozen = not self.frozen
        if self.frozen:
            self._chrome()
        else:
            self.on_fresh()

    def action_privacy(self) -> None:
        """Hide or show names and IDs."""
        self.privacy.on = not self.privacy.on
        self._show()
        self.say("patients' names and IDs are hidden: P shows them" if self.privacy.on else "names and IDs are shown")

    def action_read_only(self) -> None:
        """Hold back actions that change something, or allow them again."""
        self.read_only = not self.read_only
        self.say("read-only until R: nothing can be changed from here" if self.read_only else "actions are allowed")

    def action_routes(self) -> None:
        """Show where studies are sent on."""
        open_page(self, "routes")

    def action_worklist(self) -> None:
        """Show today's worklist."""
        open_page(self, "worklist")

    def action_exceptions(self) -> None:
        """Show studies that do not fit."""
        open_page(self, "exceptions")

    def action_corrections(self) -> None:
        """Show corrections."""
        open_page(self, "corrections")

    def action_maintenance(self) -> None:
        """Show maintenance."""
        open_page(self, "maintenance")

    def action_hl7(self) -> None:
        """Show HL7."""
        open_page(self, "hl7")

    def action_account(self) -> None:
        """Open the menu of the account."""
        from screens.modals.account_menu import AccountMenu

        if not self.door.barred:
            self.push_screen(AccountMenu())

    def action_lock(self) -> None:
        """Lock now."""
        self.door.lock()

    def action_copy(self) -> None:
        """Copy."""
        page = self.page()
        self.copy(page.copied() if page is not None else "")

    def copy(self, text: str) -> None:
        """Hand ``text`` to the terminal's clipboard."""
        if not text:
            self.say("nothing to copy here")
            return
        if self._driver is not None:
            self._driver.write(clipboard.osc52(text))
        self._clipboard = text
        lines = text.count("\n") + 1
        self.say(f"copied: {text}" if lines == 1 else f"copied {lines} lines")

    def action_redraw(self) -> None:
        """Draw all of it again."""
        self.redraw_all()

    def action_help(self) -> None:
        """Open help for this screen."""
        from screens.modals.help import Help

        page = self.page()
        if page is not None:
            self.push_screen(Help(page))

    def action_palette(self) -> None:
        """Open the palette."""
        from screens.palette import open_palette

        page = self.page()
        if page is not None:
            open_palette(self, page)

    def action_problems(self) -> None:
        """Open the list of problems."""
        from screens.modals.problems import Problems

        self.push_screen(Problems())

    def action_quit_console(self) -> None:
        """Leave; with a node of our own, ask what becomes of it."""
        from screens.node_life import ask_to_leave

        ask_to_leave(self)

    @property
    def can_start(self) -> bool:
        """Whether this console knows how to start a node."""
        return self.start_node is not None

    async def action_start_node(self) -> None:
        """Start a node where none answers."""
        from screens.node_life import start

        await start(self)

    # actions of the contract

    def say(self, text: str | PacsError, role: str = "accent") -> None:
        """Show a notice in the foot line for a moment."""
        if isinstance(text, PacsError):
            text = f"{text.message}{': ' if text.hint else ''}{text.hint}"
        mark = "x " if role == "fail" else ""
        self.notice = (mark + safe(text, 400), role)
        self._notices += 1
        mine = self._notices

        def over() -> None:
            if mine == self._notices:
                self.notice = None
                self._chrome()

        self.set_timer(NOTICE_S, over)
        self._chrome()

    def held_back(self, action: Action | None) -> str:
        """Return in words why an action is not to be had now, empty if it is."""
        if action is not None and self.door.lacks(action.permission):
            return f"takes {action.permission}"
        if self.read_only and keymap.changes_something(action):
            return "held back: read-only"
        page = next((each for each in reversed(self.screen_stack) if isinstance(each, ConsoleScreen)), None)
        return page.unfit(action) if page is not None and action is not None else ""

    def lacks(self, permission: str, what: str) -> bool:
        """Return whether the account lacks a permission that ``what`` takes; say so if it does."""
        if not self.door.lacks(permission):
            return False
        assert self.me is not None
        self.say(f"{what} takes the permission {permission}; {self.me.account} lacks it", "warn")
        return True

    def may_see(self, mode: str) -> bool:
        """Return whether the account may see a mode's screen; say why if it may not."""
        action = all_actions().get(keymap.MODE_NEEDS.get(mode, ""))
        return action is None or not self.lacks(action.permission, f"the screen {mode.capitalize()}")

    def allowed(self, name: str) -> bool:
        """Return whether an action may be done now; say why if it may not."""
        action = all_actions()[name]
        if self.door.barred or self.lacks(action.permission, action.verb):
            return False
        if self.read_only and keymap.changes_something(action):
            self.say(f"read-only: {action.verb} is held back; R allows actions again", "warn")
            return False
        if self.away_since is not None:
            self.say(f"the node is not reached: {action.verb} is not possible now", "fail")
            return False
        return True

    async def fetch(self, call: Awaitable[Any]) -> Any:
        """Await a call to the node; a fault becomes a notice and none."""
        try:
            return await call
        except PacsError as error:
            self.say(error, "fail")
        except (OSError, TimeoutError) as error:
            self.say(f"the node did not answer: {error}", "fail")
        return None
