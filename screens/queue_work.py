"""What is done about what goes out, from all lists and pages alike.

Everything acts on ids, or on a destination by name; what is about more than one sending says to how many, and asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pacstui.contract.queue import Changed, DestinationRow, ErrorRow, SendingRow
from pacstui.contract.studies import SeriesRow, StudyRow
from pacstui.text import count, plural, safe, size
from screens import doing, keymap
from screens.doing import Done
from screens.modals.choose import Choose, Way
from screens.modals.form import Form, Values
from screens.queue_cells import status_of
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

KEYS = (
    keymap.acts("queue.retry", "retry", weight=0),
    keymap.acts("queue.hold", "hold"),
    keymap.acts("queue.release", "release"),
    keymap.acts("queue.cancel", "cancel"),
    keymap.acts("queue.priority", "priority", weight=3),
    keymap.acts("queue.redirect", "redirect", weight=2),
)
PAUSE = (keymap.acts("queue.pause", "pause", weight=2), keymap.acts("queue.resume", "pause", weight=4, key="z"))
SEND = keymap.acts("queue.send", "send", weight=1)
PRIORITIES = (
    ("high", "before everything else that waits for the destination"), ("medium", "in its turn"),
    ("low", "when nothing else waits"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an action is about: some sendings by their ids, or all of a destination; with ``error`` only what has it.

    The counts are those that were shown when it was chosen; ``what`` says in words what it is.
    """

    what: str
    ids: tuple[int, ...] = ()
    destination: str = ""
    error: str = ""
    sendings: int = 0
    waiting: int = 0
    failed: int = 0
    held: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        """What the node is told."""
        return {"ids": self.ids} if self.ids else {"destination": self.destination}

    @property
    def many(self) -> bool:
        """Whether it is more than one sending."""
        return self.sendings != 1


def of_rows(rows: Iterable[SendingRow], destination: str = "") -> Chosen:
    """Return some sendings, of one destination if that is named, as what an action is about."""
    rows = list(rows)
    what = f"the sending to {safe(rows[0].destination, 64)}" if len(rows) == 1 else plural(len(rows), "marked sending")
    return Chosen(
        what, tuple(row.id for row in rows), destination, "", len(rows), sum(row.waiting for row in rows),
        sum(row.failed for row in rows), sum(row.waiting for row in rows if row.state == "held"),
    )  # fmt: skip


def of_destination(row: DestinationRow) -> Chosen:
    """Return all of a destination as what an action is about."""
    what = f"everything for {safe(row.destination, 64)}"
    return Chosen(what, (), row.destination, "", 0, row.waiting, row.failed, row.held)


def of_error(row: ErrorRow) -> Chosen:
    """Return all that failed for a reason as what an action is about."""
    what = f"all of this error at {safe(row.destination, 64)}"
    return Chosen(what, (), row.destination, row.error, row.sendings, row.waiting, row.failed)


def _tells(did: str, none: str) -> Callable[[Changed], str]:
    def said(changed: Changed) -> str:
        if not changed.objects and not changed.sendings:
            return none
        return f"{did}: {plural(changed.objects, 'object')} of {plural(changed.sendings, 'sending')}"

    return said


def _act(
    app: ConsoleApp, name: str, chosen: Chosen, number: int, call: Callable[[], Awaitable[Any]], *, asks: bool,
    title: str, text: str, choices: tuple[str, str], said: Callable[[Changed], str], done: Done,
) -> None:  # fmt: skip
    """Do something at once, or after a question; where nothing is to be done, say so."""
    if not app.allowed(name):
        return
    if not number:
        app.say(said(Changed(0, 0)))
        return
    begun = f"{plural(number, 'object')}: under way" if number > 1000 else ""

    def go() -> None:
        doing.run(app, call, said, done, begun)

    if asks:
        doing.sure(app, title, text, choices, go)
    else:
        go()


def _amount(number: int, chosen: Chosen) -> str:
    of = f" of {plural(chosen.sendings, 'sending')}" if chosen.sendings else ""
    return f"{plural(number, 'object')}{of}"


def retry(app: ConsoleApp, chosen: Chosen, done: Done) -> None:
    """Try again now."""
    number = chosen.waiting + chosen.failed
    more = f", {count(chosen.failed)} of which failed" if chosen.failed else ""
    arguments = {"destination": chosen.destination, "error": chosen.error} if chosen.error else chosen.arguments
    _act(app, "queue.retry", chosen, number, lambda: app.client.queue.retry(**arguments), asks=chosen.many,
         title=f"Try {chosen.what} again?", text=f"{_amount(number, chosen)}{more}: tried again now.",
         choices=("leave it", f"retry {count(number)}"),
         said=_tells("tried again now", "nothing of it failed or waits"), done=done)  # fmt: skip


def hold(app: ConsoleApp, chosen: Chosen, done: Done) -> None:
    """Keep from being sent."""
    number = chosen.waiting - chosen.held
    text = f"{_amount(number, chosen)}: not sent until released (l). What is on its way now arrives."
    _act(app, "queue.hold", chosen, number, lambda: app.client.queue.hold(**chosen.arguments), asks=chosen.many,
         title=f"Hold {chosen.what}?", text=text, choices=("leave it", f"hold {count(number)}"),
         said=_tells("held until released (l)", "nothing of it waits, or all of it is held"), done=done)  # fmt: skip


def release(app: ConsoleApp, chosen: Chosen, done: Done) -> None:
    """Let what is held be sent."""
    text = f"{_amount(chosen.held, chosen)}: sent in turn."
    _act(app, "queue.release", chosen, chosen.held, lambda: app.client.queue.release(**chosen.arguments),
         asks=chosen.many, title=f"Release {chosen.what}?", text=text,
         choices=("leave it", f"release {count(chosen.held)}"), said=_tells("released", "nothing of it is held"),
         done=done)  # fmt: skip


def cancel(app: ConsoleApp, chosen: Chosen, done: Done) -> None:
    """Do not send what waits or failed, after a question."""
    number = chosen.waiting + chosen.failed
    arguments = {"destination": chosen.destination, "error": chosen.error} if chosen.error else chosen.arguments
    text = (
        f"{_amount(number, chosen)} ({count(chosen.waiting)} waiting, {count(chosen.failed)} failed) will not be sent. "
        "The objects stay in the archive; s on the studies screen sends them later."
    )
    _act(app, "queue.cancel", chosen, number, lambda: app.client.queue.cancel(**arguments), asks=True,
         title=f"Cancel {chosen.what}?", text=text, choices=("leave it", f"cancel {count(number)}"),
         said=_tells("cancelled", "nothing of it waits or failed"), done=done)  # fmt: skip


def priority(app: ConsoleApp, chosen: Chosen, done: Done) -> None:
    """Choose what goes first."""
    if not app.allowed("queue.priority"):
        return

    def choose(value: str) -> None:
        call = lambda: app.client.queue.priority(value=value, **chosen.arguments)  # noqa: E731
        doing.run(app, call, _tells(f"{value} priority", "nothing of it waits"), done)

    ways = [Way(value, value, does) for value, does in PRIORITIES]
    intro = [f"{_amount(chosen.waiting, chosen)} of {chosen.what} wait."]
    app.push_screen(Choose("Priority", intro, ways, choose))


def redirect(app: ConsoleApp, chosen: Chosen, done: Done) -> None:
    """Choose another destination, then ask."""
    number = chosen.waiting + chosen.failed
    if not app.allowed("queue.redirect"):
        return
    if not number:
        app.say("nothing of it waits or failed")
        return

    def go(to: str) -> None:
        text = (
            f"{_amount(number, chosen)} go to {safe(to, 64)} instead. What was sent already stays where it is; routes "
            "stay as they are."
        )
        call = lambda: app.client.queue.redirect(to=to, **chosen.arguments)  # noqa: E731
        begun = f"{plural(number, 'object')}: under way" if number > 1000 else ""
        said = _tells(f"redirected to {to}", "nothing of it waits or failed")
        doing.sure(
            app, f"Redirect {chosen.what}?", text, ("leave it", f"redirect {count(number)}"),
            lambda: doing.run(app, call, said, done, begun),
        )  # fmt: skip

    async def ask() -> None:
        ways = await destinations(app, other_than=chosen.destination)
        if ways:
            app.push_screen(Choose("Redirect to", [f"{_amount(number, chosen)}: where to instead?"], ways, go))

    app.keep(ask())


async def destinations(app: ConsoleApp, other_than: str = "") -> list[Way]:
    """Return what can be sent to, each with its state; say so where there is nothing."""
    names: Sequence[str] | None = await app.fetch(app.client.routes.destinations())
    if names is None:
        return []
    known = {row.destination: row for row in app.view.queue.outgoing} if app.view is not None else {}
    ways = [Way(name, safe(name, 64), _standing(known.get(name))) for name in names if name != other_than]
    if not ways:
        other = "other " if other_than else ""
        app.say(f"there is no {other}destination: add a peer, or [[destinations]] in the configuration", "warn")
    return ways


def _standing(row: DestinationRow | None) -> str:
    if row is None:
        return "nothing waits"
    word, _ = status_of(row)
    return f"{word}; {count(row.waiting)} wait" + (f"; {safe(row.why, 200)}" if row.why else "")


def pause(app: ConsoleApp, row: DestinationRow | None, name: str, done: Done) -> None:
    """Send nothing to a destination until resumed, after a question and with a reason; resume where it is paused."""
    shown = safe(name, 64)
    if row is not None and row.status == "paused":
        if app.allowed("queue.resume"):
            call = lambda: app.client.queue.resume(destination=name)  # noqa: E731
            doing.run(app, call, lambda _: f"{name} is sent to again", done)
        return
    if not app.allowed("queue.pause"):
        return
    waiting = f"{plural(row.waiting, 'object')} wait" if row is not None and row.waiting else "Nothing waits now"
    intro = f"Nothing is sent to {shown} until z resumes it, also after a restart. {waiting}; what comes, waits too."

    async def send(values: Values) -> bool:
        await app.client.queue.pause(destination=name, why=values["why"].strip())
        return True

    def paused(yes: bool | None) -> None:
        if yes:
            app.say(f"{name} is paused: z resumes it")
            done()

    fields = [Field("why", "why", note="for whoever looks next; may be empty")]
    app.push_screen(
        Form(f"Pause {shown}", fields, send, intro=intro, foot="Enter pauses it, esc leaves it as it is"), paused
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A study, or a series of it, that is to be sent, and in words how much it is."""

    study: str
    series: str = ""
    what: str = ""


def send_study(app: ConsoleApp, row: StudyRow) -> None:
    """Ask where a study goes."""
    name = app.privacy.name(row.patient_name)
    told = f"the study of {name} ({plural(row.series, 'series', 'series')}, {plural(row.instances, 'image')}, "
    send(app, Part(row.study, "", f"{told}{size(row.bytes)})"))


def send_part(app: ConsoleApp, row: StudyRow, series: SeriesRow | None) -> None:
    """Ask whether the study or its chosen series is meant, then where it goes."""
    if series is None or row.series < 2:
        send_study(app, row)
        return
    number = safe(series.number, 8) or "(no number)"
    told = f"series {number} ({safe(series.modality, 16)} {safe(series.description, 64)}, "
    part = Part(row.study, series.series, f"{told}{plural(series.instances, 'image')}, {size(series.bytes)})")
    ways = [Way("study", "the whole study", plural(row.instances, "image")), Way("series", part.what)]
    intro = ["Sent is a copy; here nothing changes."]
    app.push_screen(
        Choose("What is sent?", intro, ways, lambda what: send(app, part) if what == "series" else send_study(app, row))
    )


def send(app: ConsoleApp, part: Part) -> None:
    """Ask where a study or series goes, and how; then lead to the sending."""
    if not app.allowed("queue.send"):
        return

    async def ask() -> None:
        ways = await destinations(app)
        if not ways:
            return
        changes: Sequence[str] = await app.fetch(app.client.routes.transforms()) or ()
        fields = [
            Field("to", "to", ways[0].id, choices=tuple((way.id, way.does) for way in ways)),
            Field("priority", "priority", "medium", choices=PRIORITIES),
        ]
        if changes:
            none = ("none", "sent as it was received")
            fields.append(Field("transform", "changed by", "none", choices=(none, *((each, "") for each in changes))))

        async def go(values: Values) -> SendingRow:
            transform = values.get("transform", "none")
            row: SendingRow = await app.client.queue.send(
                study=part.study, to=values["to"], series=part.series, priority=values["priority"],
                transform="" if transform == "none" else transform,
            )  # fmt: skip
            return row

        foot = "Enter sends it, left/right choose, tab next field, esc back"
        app.push_screen(Form("Send to", fields, go, intro=f"{part.what}: a copy goes to", foot=foot), sent)

    def sent(row: SendingRow | None) -> None:
        if row is not None:
            from screens.sending import SendingScreen

            app.go(SendingScreen(row.id))
            app.say(f"{plural(row.waiting, 'object')} queued for {row.destination}; this page follows them")

    app.keep(ask())
