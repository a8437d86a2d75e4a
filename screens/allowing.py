"""What the console says in its foot line, and whether something may be done now; if not, why."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from textual.app import App

from pacstui.contract import all_actions
from pacstui.errors import PacsError
from pacstui.text import safe
from screens import keymap
from screens.base import ConsoleScreen

if TYPE_CHECKING:
    from pacstui.contract import Action
    from pacstui.contract.accounts import Me
    from screens.door import Door

NOTICE_S = 6.0


class AllowingApp(App[int]):
    """Knows who is there by ``door``, and since when the node is away; ``notice`` is what is said, with its role."""

    door: Door
    read_only: bool
    away_since: datetime | None
    notice: tuple[str, str] | None = None
    _notices = 0

    def page(self) -> ConsoleScreen | None:
        """Return the screen in sight, or the one under the questions that lie over it."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ConsoleScreen):
                return screen
        return None

    def redraw_chrome(self) -> None:
        """Draw head and foot again."""
        page = self.page()
        if page is not None and page.is_mounted:
            page.chrome()

    @property
    def me(self) -> Me | None:
        """Who the node takes us for; none before it has said."""
        return self.door.me

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
                self.redraw_chrome()

        self.set_timer(NOTICE_S, over)
        self.redraw_chrome()

    def held_back(self, action: Action | None) -> str:
        """Return in words why an action is not to be had now, empty if it is."""
        if action is not None and self.door.lacks(action.permission):
            return f"takes {action.permission}"
        if self.read_only and keymap.changes_something(action):
            return "held back: read-only"
        page = self.page()
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
