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
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widget import AwaitMount

from pacstui.errors import Denied, PacsError
from screens import keymap, theme
from screens.bridge import Bridge
from screens.common_keys import CommonKeysApp
from screens.confirming import Confirming
from screens.door import Door
from screens.frames import narrow
from screens.keys_in_turn import TYPED_IN
from screens.privacy import Privacy

if TYPE_CHECKING:
    from pacstui.contract.feed import FeedRow
    from pacstui.contract.overview import View

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


class ConsoleApp(CommonKeysApp):
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
        self.crash: str = ""
        self.parting = ""
        self.start_node = start_node
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
        """The bridge has something new."""
        self.catch_up()

    def catch_up(self) -> None:
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
            self.show_view()
        else:
            self.redraw_chrome()

    def show_view(self) -> None:
        """Show the screen in sight what is known."""
        page = self.page()
        if page is not None and page.is_mounted:
            if self.view is not None and self.screen is page:
                page.show(self.view)
            page.chrome()

    def _tick(self) -> None:
        self.door.tick()
        self.redraw_chrome()

    # who is there

    async def on_event(self, event: events.Event) -> None:
        """Take keys and the mouse, unless they come so late that they only find the lock."""
        if isinstance(event, events.InputEvent) and not event.is_forwarded and self.door.stirred():
            return
        await super().on_event(event)

    def bar(self, page: Screen[Any]) -> None:
        """Show ``page`` in place of everything else."""
        self.forget_typed()
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
        self.show_view()

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
        elif isinstance(screen, Screen) and screen.AUTO_FOCUS in TYPED_IN:
            self.typing_begins()
        return super().push_screen(screen, *args, **kwargs)

    def switch_mode(self, mode: str) -> AwaitMount:
        """Go to a mode; to none while a page stands before everything."""
        return AwaitMount(self.screen, []) if self.door.barred else super().switch_mode(mode)

    def now(self) -> datetime:
        """Return local time."""
        return datetime.now(UTC).astimezone()
