"""What keys do on every screen."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from textual.screen import Screen

from screens import clipboard
from screens.keys_in_turn import KeysInTurnApp
from screens.pages import open_page
from screens.privacy import Privacy


class CommonKeysApp(KeysInTurnApp):
    """Goes from screen to screen, and does what all of them have."""

    frozen: bool
    privacy: Privacy

    def keep(self, work: Awaitable[None]) -> Any:
        """Run ``work`` beside the screens."""
        raise NotImplementedError

    def show_view(self) -> None:
        """Show the screen in sight what is known."""
        raise NotImplementedError

    def catch_up(self) -> None:
        """Take the newest view and show it, unless the screen is frozen."""
        raise NotImplementedError

    def redraw_all(self) -> None:
        """Draw every cell again, after output was lost or garbled."""
        self.screen.refresh()

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

        self.typing_begins()

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
            self.redraw_chrome()
        else:
            self.catch_up()

    def action_privacy(self) -> None:
        """Hide or show names and IDs."""
        self.privacy.on = not self.privacy.on
        self.show_view()
        self.say("patients' names and IDs are hidden: P shows them" if self.privacy.on else "names and IDs are shown")

    def action_read_only(self) -> None:
        """Hold back actions that change something, or allow them again."""
        self.read_only = not self.read_only
        self.say("read-only until R: nothing can be changed from here" if self.read_only else "actions are allowed")

    def action_page(self, module: str) -> None:
        """Open a page that has no number."""
        open_page(self, module)

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
