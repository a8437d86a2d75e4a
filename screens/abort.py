"""Aborting an association: ask first, by id, and say what becomes of its objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pacstui.contract import all_actions
from pacstui.contract.associations import AssociationRow
from pacstui.errors import PacsError
from pacstui.text import count, safe
from screens.modals.ask import Ask, Choice

if TYPE_CHECKING:
    from screens.app import ConsoleApp

NAME = "associations.abort"


def abort(app: ConsoleApp, row: AssociationRow) -> None:
    """Ask whether to abort ``row``, and do it."""
    if row.state != "open":
        app.say(f"association {row.id} has ended already: {safe(row.state)}")
        return
    if not app.allowed(NAME):
        return
    caller = safe(row.peer or row.calling, 32)
    if row.outgoing:
        kept = f"{count(row.stored)} images sent so far.", "What was sent is kept there, the rest is not sent."
        text = (f"To {caller} at {safe(row.address, 46)}, {kept[0]}", kept[1])
    else:
        text = (
            f"{caller} from {safe(row.address, 46)}, {count(row.stored)} images stored so far.",
            all_actions()[NAME].label.partition(": ")[2].capitalize() + ".",
        )
    choices = [Choice("keep", "keep it", safe=True), Choice("abort", f"abort {row.id}")]

    def answered(answer: str | None) -> None:
        if answer == "abort":
            app.keep(_abort(app, row.id, caller))

    app.push_screen(Ask(f"Abort association {row.id}?", text, choices), answered)


async def _abort(app: ConsoleApp, ident: int, caller: str) -> None:
    try:
        await app.client.associations.abort(ident)
    except PacsError as error:
        app.say(error, "fail")
    else:
        app.say(f"aborted association {ident} with {caller}")
