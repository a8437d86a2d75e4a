"""Keys one after another: each goes where the one before it has led.

Textual hands a key to what has the focus when it arrives, and does what the key is bound to later. Keys that come in
one piece, as over a slow line, would otherwise go past the line that the first of them opens: after ``/`` the letters
of a name would be commands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from textual import events
from textual.message import Message

from screens.allowing import AllowingApp

TYPED_IN = ("Input", "FormPanel")
"""Widgets that take text, by the names that screens focus them by."""

PATIENCE_S = 1.0
"""How long further keys wait at most, should what handles one hang or vanish."""


class KeyHandled(Message):
    """Follows a key on its way through the widgets, and is told when that is at its end."""

    def __init__(self, turn: int) -> None:
        super().__init__()
        self.turn = turn


class KeysInTurnApp(AllowingApp):
    """Hands on a key when the one before it was acted on; where that opens a line to type in, once it is there."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._typed: deque[events.Key | events.Paste] = deque()
        self._turn = 0
        self._busy = False
        self._opening = False
        self._limit: asyncio.TimerHandle | None = None

    async def on_event(self, event: events.Event) -> None:
        """Take keys and pasted text in turn, everything else at once."""
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
            await super().on_event(event)
        elif self._busy:
            self._typed.append(event)
        else:
            await self._hand_on(event)

    async def _hand_on(self, event: events.Key | events.Paste) -> None:
        self._busy, self._turn = True, self._turn + 1
        self._limit = asyncio.get_running_loop().call_later(PATIENCE_S, self.post_message, KeyHandled(-self._turn))
        way = self.focused or self.screen
        await super().on_event(event)
        way.post_message(KeyHandled(self._turn))

    async def on_key_handled(self, message: KeyHandled) -> None:
        """Go on with the next key; a negative turn is one that took too long.

        What was typed for a line that does not come is dropped, lest it be taken for commands.
        """
        message.stop()
        if abs(message.turn) != self._turn or (self._opening and message.turn > 0):
            return
        if self._opening:
            self.forget_typed()
        await self._go_on()

    async def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Go on when the line that was opened is there."""
        if self._opening and any(kind.__name__ in TYPED_IN for kind in type(event.widget).__mro__):
            await self._go_on()

    async def _go_on(self) -> None:
        self._busy = self._opening = False
        if self._limit is not None:
            self._limit.cancel()
        if self._typed:
            await self._hand_on(self._typed.popleft())

    def typing_begins(self) -> None:
        """Let further keys wait for a line to type in, which is being opened."""
        self._opening = self._busy

    def forget_typed(self) -> None:
        """Drop keys that wait: they were not meant for what comes now."""
        self._typed.clear()
