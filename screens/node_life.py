"""Starting a node from the console, and what becomes of it when the console is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pacstui.errors import PacsError

if TYPE_CHECKING:
    from screens.app import ConsoleApp


def ask_to_leave(app: ConsoleApp) -> None:
    """Leave at once, unless the node is this console's own: then ask what becomes of it."""
    if not app.owned or app.away_since is not None:
        app.leave(0)
        return
    from screens.modals.ask import Ask, Choice

    text = (
        "This console started the node. Leave it running, and it goes on receiving; stop it, and it lets running "
        "associations finish first."
    )
    choices = [
        Choice("stay", "stay here", safe=True),
        Choice("leave", "leave it running"),
        Choice("stop", "stop the node"),
    ]

    def answered(answer: str | None) -> None:
        if answer == "leave":
            app.leave(0)
        elif answer == "stop":
            app.keep(_stop(app))

    app.push_screen(Ask("Leave the console", [text], choices), answered)


async def _stop(app: ConsoleApp) -> None:
    try:
        await app.client.node.stop()
    except PacsError as error:
        app.say(error, "fail")
        return
    app.leave(0, "the node was asked to stop")


async def start(app: ConsoleApp) -> None:
    """Start a node, where none answers and the console knows how."""
    if app.start_node is None or app.away_since is None:
        return
    app.say("starting a node")
    try:
        await asyncio.get_running_loop().run_in_executor(None, app.start_node)
    except PacsError as error:
        app.say(error, "fail")
        return
    app.owned = True
    app.bridge.again.set()
