"""The console as an application: bridge, modes, what all screens share, and leaving cleanly whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from textual._compositor import ChopsUpdate
from textual.app import App
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from pacstui.contract import all_actions
from pacstui.errors import PacsError
from pacstui.text import safe
from screens import clipboard, keymap, theme
from screens.base import ConsoleScreen
from screens.bridge import Bridge
from screens.frames import narrow
from screens.privacy import Privacy

if TYPE_CHECKING:
    from pacstui.contract.feed import FeedRow
    from pacstui.contract.overview import View

NOTICE_S = 6.0


class ConsoleValues(Protocol):
    """What of the settings the console uses; ``settings.ConsoleSettings`` fits."""

    @property
    def refresh_s(self) -> float:
        """Seconds between views."""
        ...

    @property
    def theme(self) -> str:
        """auto, terminal or full."""
        ...


def _mode(module: str, name: str) -> Callable[[], Screen[Any]]:
    def make() -> Screen[Any]:
        from importlib import import_module

        made: Screen[Any] = getattr(import_module(f"screens.{module}"), name)()
        return made

    return make


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
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        *keymap.bindings(*keymap.COMMON),
        *keymap.bindings(*(keymap.Key(key, word, does, f"mode('{mode}')") for key, mode, word, does in keymap.MODES)),
        *keymap.bindings(keymap.Key("S", "start", "Start a node", "start_node")),
    ]

    def __init__(
        self,
        client: Any,
        *,
        refresh_s: float = 1.0,
        theme_kind: str = "full",
        owned: bool = False,
        start_node: Callable[[], None] | None = None,
        driver_class: Any = None,
    ) -> None:
        self.ink = theme.Ink(theme_kind, colour="NO_COLOR" not in os.environ)
        super().__init__(driver_class=driver_class)
        self.client = client
        self.owned = owned
        self.view: View | None = None
        self.latest: View | None = None
        self.feed: Sequence[FeedRow] = ()
        self.away_since: datetime | None = None
        self.away_because: PacsError | None = None
        self.frozen = False
        self.read_only = False
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
        self.latest = self.bridge.taken()
        self.away_since, self.away_because = self.bridge.away_since, self.bridge.away_because
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
        self._chrome()

    def now(self) -> datetime:
        """Return local time."""
        return datetime.now(UTC).astimezone()

    def redraw_all(self) -> None:
        """Draw every cell again, after output was lost or garbled."""
        self.screen.refresh()

    # keys of all screens

    async def action_mode(self, mode: str) -> None:
        """Go to a mode; its stack is as it was left."""
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
            await self.switch_mode("studies")
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

    def allowed(self, name: str) -> bool:
        """Return whether an action may be done now; say why if it may not."""
        action = all_actions()[name]
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


def run_console(socket: Path, *, start_node: Callable[[], None] | None, owned: bool, settings: ConsoleValues) -> int:
    """Open the console on the node behind ``socket`` and return the exit code.

    Parameters
    ----------
    start_node
        Starts a node in a session of its own; offered while none answers.
    owned
        Whether the caller has just started the node for this console.
    """
    from screens.launch import run_app, tell
    from screens.terminal import Terminal

    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        tell("the console needs a terminal; without one there is: pacstui status")
        return 2
    from pacstui.api.client import ApiClient

    app = ConsoleApp(
        ApiClient(socket),
        refresh_s=settings.refresh_s,
        theme_kind=theme.choose(settings.theme),
        owned=owned,
        start_node=start_node,
        driver_class=Terminal,
    )
    return run_app(app)
