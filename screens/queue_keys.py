"""The keys that act on what goes out, wherever sendings are shown."""

from __future__ import annotations

from collections.abc import Callable

from screens import queue_work as work
from screens.base import ConsoleScreen


class QueueKeys(ConsoleScreen):
    """Does what `queue_work.KEYS` say about the sendings that are chosen."""

    def sendings(self) -> work.Chosen | None:
        """Return what an action is about; none where nothing is chosen."""
        raise NotImplementedError

    def done(self) -> None:
        """Show what has become of it."""
        raise NotImplementedError

    def _do(self, do: Callable[..., None]) -> None:
        chosen = self.sendings()
        if chosen is not None:
            do(self.console_app, chosen, self.done)

    def action_retry(self) -> None:
        """Try again now."""
        self._do(work.retry)

    def action_hold(self) -> None:
        """Hold it."""
        self._do(work.hold)

    def action_release(self) -> None:
        """Let it go."""
        self._do(work.release)

    def action_cancel(self) -> None:
        """Do not send it."""
        self._do(work.cancel)

    def action_priority(self) -> None:
        """Change what goes first."""
        self._do(work.priority)

    def action_redirect(self) -> None:
        """Send it elsewhere."""
        self._do(work.redirect)
