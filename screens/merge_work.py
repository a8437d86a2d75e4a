"""Patients that the RIS merged, from a message, a study or the list of corrections: in words, and taken apart again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pacstui.contract.corrections import Preview
from pacstui.contract.hl7 import MessageRow
from pacstui.contract.merges import MergeRow
from pacstui.errors import PacsError
from pacstui.text import plural, safe
from screens import keymap
from screens.correction_preview import Deed, PreviewPage, learn

if TYPE_CHECKING:
    from screens.app import ConsoleApp
    from screens.privacy import Privacy

_LIST = keymap.acts("merges.list_all", "merges")
UNDO = keymap.acts("merges.undo", "undo", weight=0)
_MERGING = ("A18", "A34", "A36", "A39", "A40", "A46", "A47", "A49")
"""Events that merge patients or change an ID (HL7 v2.5 3.3)."""


def listed(weight: int) -> keymap.Key:
    """Return the key that shows merges, on pages that are about something else."""
    does = "Patients that messages of the RIS merged, and undoing that"
    return keymap.Key(_LIST.key, "merges", does, "merges", _LIST.action, weight)


def who(privacy: Privacy, name: str, ident: str, issuer: str) -> str:
    """Return a patient in words."""
    return f"{privacy.name(name)} ({privacy.ident(ident)}{', ' + safe(issuer, 32) if issuer else ''})"


def told(row: MergeRow, privacy: Privacy) -> str:
    """Return in words what a merge did, and whether it was undone."""
    prior = who(privacy, row.prior_name, row.prior_id, row.prior_issuer)
    survivor = who(privacy, row.survivor_name, row.survivor_id, row.survivor_issuer)
    along = f"{plural(row.studies, 'study', 'studies')}, {plural(row.orders, 'order')} went along"
    end = f"; undone by {safe(row.undone_by, 32) or '?'}" if row.undone else "" if row.irreversible else "; u undoes it"
    verb = "into" if row.kind == "merge" else "is now"
    return f"{prior} {verb} {survivor}: {along}{end}"


async def of_message(app: ConsoleApp, row: MessageRow) -> tuple[MergeRow, ...]:
    """Return what a message merged; nothing where it is no such message, or that may not be seen."""
    event = row.kind.split("^")[1:2]
    if row.state not in ("done", "resolved") or not set(event) & set(_MERGING) or app.door.lacks("qc.view"):
        return ()
    try:
        page: Any = await app.client.merges.list_all(message=row.id)
    except (PacsError, OSError, TimeoutError):
        return ()  # the page is about the message; what it merged comes at the next turn
    rows: tuple[MergeRow, ...] = page.rows
    remember(app, rows)
    return rows


def remember(app: ConsoleApp, rows: tuple[MergeRow, ...]) -> None:
    """Let the privacy mode know whom rows name."""
    app.privacy.learn(t for r in rows for t in (r.prior_name, r.prior_id, r.survivor_name, r.survivor_id))


def open_list(app: ConsoleApp, study: str = "", message: int = 0) -> None:
    """Show the list of merges: all, those of a study's patient, or those of a message."""
    if app.allowed("merges.list_all"):
        from screens.merges import MergesScreen

        app.go(MergesScreen(study, message))


def undo(app: ConsoleApp, row: MergeRow, done: Callable[[], None]) -> None:
    """Show what would go back, and take two patients apart with a reason."""
    if not app.allowed("merges.undo"):
        return
    if row.irreversible:
        app.say(f"this cannot be undone: {row.irreversible}", "warn")
        return

    async def again(token: str) -> Preview:
        found: Preview = await app.client.merges.show(id=row.id)
        return replace(found, since=("other studies or orders would go back than those that were shown",))

    def undone(answer: MergeRow | None) -> None:
        if answer is not None:
            app.say(f"merge {answer.id} is undone: two patients again")
            done()

    async def work() -> None:
        found = await app.fetch(app.client.merges.show(id=row.id))
        if found is not None:
            learn(app, found)
            deed = Deed(
                "merges.undo", lambda token, why: app.client.merges.undo(id=row.id, why=why, token=token), again
            )
            app.push_screen(PreviewPage(found, "undo it", deed), undone)

    app.keep(work())
