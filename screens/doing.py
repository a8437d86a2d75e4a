"""Something is done at the node, perhaps after a question; what came of it is said in the line below."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pacstui.errors import PacsError
from screens.modals.ask import Ask, Choice

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]


def run(
    app: ConsoleApp, call: Callable[[], Awaitable[Any]], said: str | Callable[[Any], str], done: Done, begun: str = ""
) -> None:
    """Do something, say what came of it, and go on; ``begun`` is said meanwhile."""

    async def work() -> None:
        if begun:
            app.say(begun)
        try:
            answer = await call()
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        app.say(said if isinstance(said, str) else said(answer))
        done()

    app.keep(work())


def sure(app: ConsoleApp, title: str, text: str, choices: tuple[str, str], go: Done) -> None:
    """Ask before something is done; the first of the choices leaves it and is the one that Enter takes."""
    no, yes = choices

    def answered(answer: str | None) -> None:
        if answer == "yes":
            go()

    app.push_screen(Ask(title, [text], [Choice("no", no, safe=True), Choice("yes", yes)]), answered)
