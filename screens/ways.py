"""From a symptom to its cause: what Enter opens."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from pacstui.text import safe
from screens import keymap

if TYPE_CHECKING:
    from screens.app import ConsoleApp


async def follow(app: ConsoleApp, target: Hashable | None) -> None:
    """Open what ``target`` names: an association, a study, a destination, the storage, an event, a mode."""
    match target:
        case ("association", int(ident)) if ident:
            from screens.association import AssociationScreen

            app.go(AssociationScreen(ident))
        case ("study", str(uid)):
            from screens.study import StudyScreen

            app.go(StudyScreen(uid))
        case ("storage", _):
            from screens.storage import StorageScreen

            app.go(StorageScreen())
        case ("event", int(ident)):
            await _event(app, ident)
        case ("destination", str(name)):
            await app.action_mode("queue")
            if app.may_see("queue"):
                from screens.destination import DestinationScreen

                app.go(DestinationScreen(name))
        case ("routes" | "exceptions" | "worklist" | "maintenance" | "hl7" | "corrections" as page, _):
            app.action_page(page)
        case ("exception", str(uid)):
            from screens.exceptions_beside import BesideScreen

            app.go(BesideScreen(uid))
        case ("step", int(ident)):
            from screens.step import StepScreen

            app.go(StepScreen(ident))
        case ("hl7-errors", _):
            from screens.hl7_errors import Hl7ErrorsScreen

            if app.allowed("hl7.messages"):
                app.go(Hl7ErrorsScreen())
        case ("hl7-out", str(name)):
            from screens.hl7_outgoing import Hl7OutgoingScreen

            if app.allowed("hl7.receivers"):
                app.go(Hl7OutgoingScreen(name))
        case ("hl7-message", int(ident)):
            from screens.hl7_message import Hl7MessageScreen

            if app.allowed("hl7.message"):
                app.go(Hl7MessageScreen(ident))
        case ("mode", str(mode)):
            await app.action_mode(mode)
        case _:
            pass


async def _event(app: ConsoleApp, ident: int) -> None:
    row = next((r for r in app.feed if r.line == ident), None)
    if row is None:
        app.say("this event is not remembered any more")
    elif row.screen:
        await problem(app, row.screen)
    elif row.association and not row.instance:
        await follow(app, ("association", row.association))
    else:
        from screens.modals.event import EventPage

        app.push_screen(EventPage(row))


def place(screen: str) -> str:
    """Return in words where :func:`problem` goes, empty if nowhere."""
    kind, _, name = screen.partition(":")
    if name and kind in ("studies", "queue"):
        return "the studies" if kind == "studies" else f"what waits for {safe(name, 64)}"
    if kind == "hl7-out":
        return f"the HL7 messages for {safe(name, 64)}" if name else "HL7 messages that go out"
    if kind == "hl7-message":
        return "the message"
    modes = {mode: does.partition(":")[0] for _, mode, _, does in keymap.MODES}
    own = {"storage": "Storage", "routes": "Routes", "maintenance": "Maintenance", "exceptions": "Exceptions",
           "corrections": "Corrections", "worklist": "Worklist", "hl7": "HL7", "hl7-errors": "HL7 errors"}  # fmt: skip
    return (own | modes).get(screen, "")


async def problem(app: ConsoleApp, screen: str) -> None:
    """Go to the screen that shows more of a problem."""
    if screen == "storage":
        await follow(app, ("storage", 0))
    elif screen in ("routes", "maintenance", "exceptions", "corrections", "worklist", "hl7", "hl7-errors"):
        await follow(app, (screen, 0))
    elif screen.startswith(("hl7-out:", "hl7-message:")):
        kind, _, name = screen.partition(":")
        await follow(app, (kind, int(name) if kind == "hl7-message" and name.isdecimal() else name))
    elif screen.startswith("queue:"):
        await follow(app, ("destination", screen.partition(":")[2]))
    elif screen.startswith("studies:"):
        from screens.studies import StudiesScreen

        await app.action_mode("studies")
        if isinstance(app.screen, StudiesScreen):
            app.screen.limit_to(screen.partition(":")[2])
    elif screen in app.MODES:
        await app.action_mode(screen)
