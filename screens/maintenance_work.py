"""What is done about maintenance: draining, resuming, and the form of a window."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pacstui.contract.maintenance import MaintenanceView, WindowRow
from pacstui.errors import PacsError
from pacstui.text import plural, safe
from screens import doing, keymap
from screens.doing import Done
from screens.modals.form import Form, Values
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

KEYS = (
    keymap.acts("maintenance.drain", "drain"),
    keymap.acts("maintenance.resume", "resume"),
    keymap.acts("maintenance.plan", "plan"),
    keymap.acts("maintenance.change", "change"),
    keymap.acts("maintenance.cancel", "cancel"),
    keymap.acts("maintenance.changes", "changes"),
)
EFFECTS = {"announce": "people are told", "echo": "only C-ECHO is taken", "drain": "new associations are rejected"}
_EFFECTS = (
    ("announce", "people are told an hour before and meanwhile; nothing else happens"),
    ("echo", "new associations get C-ECHO only, and nothing is sent on"),
    ("drain", "new associations are rejected for now, and nothing is sent on"),
)
_DRAINS = (
    ("drain", "new associations are rejected for now; modalities try again by themselves"),
    ("echo", "new associations get C-ECHO only: for tests of the equipment"),
)


def drain(app: ConsoleApp, view: MaintenanceView, done: Done) -> None:
    """Ask why, and drain."""
    if not app.allowed("maintenance.drain"):
        return
    running = plural(view.associations, "association")
    intro = (
        f"New associations are turned away and nothing is sent on. The {running} that run now end by themselves; what "
        "waits to go out is kept. It ends with r, after the minutes, or with the node."
    )

    async def send(values: Values) -> bool:
        try:
            minutes = int(values["minutes"].strip() or 0)
        except ValueError:
            raise PacsError(f"{safe(values['minutes'], 20)} is no number of minutes", "digits only") from None
        await app.client.maintenance.drain(why=values["why"], effect=values["effect"], minutes=minutes)
        return True

    fields = [
        Field("why", "why", note="a few words; colleagues and callers' administrators see them"),
        Field("effect", "how", "drain", choices=_DRAINS),
        Field("minutes", "for minutes", "", note="it serves again by itself then; empty: until r"),
    ]

    def drained(answer: bool | None) -> None:
        if answer:
            app.say("drained: r serves everybody again", "warn")
            done()

    app.push_screen(Form("Drain this node", fields, send, intro=intro, foot="Enter drains, esc leaves it"), drained)


def resume(app: ConsoleApp, view: MaintenanceView, done: Done) -> None:
    """Serve everybody again."""
    if app.allowed("maintenance.resume"):
        doing.run(app, lambda: app.client.maintenance.resume(), "the node serves everybody again", done)


def edit(app: ConsoleApp, row: WindowRow | None, peers: tuple[str, ...], done: Done) -> None:
    """Open the form of a window, or of a new one."""
    if not app.allowed("maintenance.change" if row is not None else "maintenance.plan"):
        return
    there = ", ".join(safe(name, 64) for name in peers) or "none"
    fields = [
        Field("reason", "reason", row.reason if row else "", note="what is done"),
        Field("start", "from", f"{row.start.astimezone():%Y-%m-%d %H:%M}" if row else "22:00",
              note="2026-12-24 22:00, 22:00, +30 min or +2 h"),
        Field("end", "to", f"{row.end.astimezone():%Y-%m-%d %H:%M}" if row else "+1 h",
              note="the same; with + it counts from the start"),
        Field("owner", "owner", row.owner if row else "", note="who answers for it, and how to reach them"),
        Field("effect", "effect", row.effect if row else "announce", choices=_EFFECTS),
        Field("peers", "about", ", ".join(row.peers) if row else "",
              note=f"empty: this node; or peers, separated by commas, to which nothing is sent meanwhile: {there}"),
    ]  # fmt: skip
    before = {field.name: field.value for field in fields}

    async def send(values: Values) -> str:
        said: dict[str, Any] = dict(values)
        said["peers"] = tuple(part.strip() for part in values["peers"].split(",") if part.strip())
        if row is None:
            await app.client.maintenance.plan(**said)
            return "the maintenance window is planned"
        changed = {name: said[name] for name, value in values.items() if value != before[name]}
        if not changed:
            return "nothing was changed"
        await app.client.maintenance.change(id=row.id, **changed)
        return "the maintenance window is changed"

    def saved(told: str | None) -> None:
        if told:
            app.say(told)
            done()

    app.push_screen(Form("Change a maintenance window" if row else "Plan a maintenance window", fields, send), saved)


def cancel(app: ConsoleApp, row: WindowRow, done: Done) -> None:
    """Cancel a window, or end one that runs."""
    if not app.allowed("maintenance.cancel"):
        return
    running = row.state == "running"
    verb = "End" if running else "Cancel"
    text = f"{safe(row.reason, 200)}, {span(row)}. It stays in the list."
    call = lambda: app.client.maintenance.cancel(id=row.id)  # noqa: E731
    choices = ("leave it", "end it now" if running else "cancel it")
    said = "the window is ended" if running else "the window is cancelled"
    doing.sure(app, f"{verb} this maintenance?", text, choices, lambda: doing.run(app, call, said, done))


def span(row: WindowRow) -> str:
    """Return from when to when in words; the day of the end only where the time alone leaves it open."""
    start, end = row.start.astimezone(), row.end.astimezone()
    last = f"{end:%H:%M}" if end - start < timedelta(days=1) else f"{end:%a %d %b %H:%M}"
    return f"{start:%a %d %b %H:%M} to {last}"
