"""What is done about a route: its form, which says while one types what the route would have sent, and the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.timer import Timer

from pacstui.contract.routes import RouteRow, RouteTrial
from pacstui.errors import PacsError
from pacstui.text import plural, safe
from screens import keymap
from screens.modals.ask import Ask, Choice
from screens.modals.form import Form, Send, Values
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]
KEYS = (
    keymap.acts("routes.trial", "trial"),
    keymap.acts("routes.create", "create"),
    keymap.acts("routes.edit", "edit"),
    keymap.acts("routes.disable", "disable"),
    keymap.acts("routes.enable", "disable", key="d", weight=4),
    keymap.acts("routes.delete", "delete", weight=2),
)
LISTS = ("to", "modality", "calling", "called", "description")
_CONDITIONS = (*LISTS, "where", "hours")
_PREVIEW_S = 0.4
_SENDS = (
    ("instance", "each object as it comes"), ("series", "each series when nothing of it came for some time"),
    ("study", "when nothing of the study came for some time"),
    ("performed", "when the modality says that it is done, and all is here"),
)  # fmt: skip
_PRIORITIES = (("high", "before everything else"), ("medium", ""), ("low", "when nothing else waits"))
_WHERE = (
    "more conditions, separated by ;  as BodyPartExamined = CHEST | ABDOMEN; NumberOfFrames > 1; InstitutionName != "
    "Example*; AccessionNumber present. Keywords are those of the standard (PS3.6)"
)
_STARS = "several: separated by commas; * stands for anything, ? for one character"


def _run(app: ConsoleApp, call: Callable[[], Awaitable[Any]], said: str, done: Done) -> None:
    async def work() -> None:
        try:
            await call()
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        app.say(said)
        done()

    app.keep(work())


def _ask(app: ConsoleApp, title: str, text: str, yes: str, go: Done) -> None:
    choices = [Choice("no", "leave it", safe=True), Choice("yes", yes)]
    app.push_screen(Ask(title, [text], choices), lambda answer: go() if answer == "yes" else None)


def disable(app: ConsoleApp, row: RouteRow, done: Done) -> None:
    """Use a route no more, after a question; use one again that is off."""
    name = safe(row.name, 64)
    if not row.enabled:
        if app.allowed("routes.enable"):
            said = f"{row.name} is on: what comes from now on is sent"
            _run(app, lambda: app.client.routes.enable(name=row.name), said, done)
        return
    if app.allowed("routes.disable"):
        waits = f" {plural(row.waiting, 'object')} that it queued are still sent." if row.waiting else ""
        text = f"It sends {safe(row.text, 200)} to {', '.join(safe(to, 64) for to in row.to)}. What comes, is not sent "
        text += f"by it any more until d switches it on again.{waits}"
        call = lambda: app.client.routes.disable(name=row.name)  # noqa: E731
        _ask(app, f"Switch off {name}?", text, "switch it off", lambda: _run(app, call, f"{row.name} is off", done))


def delete(app: ConsoleApp, row: RouteRow, done: Done) -> None:
    """Delete a route after a question."""
    name = safe(row.name, 64)
    if row.source != "console":
        app.say(f"{row.name} stands in the configuration file: remove it there; d switches it off here", "warn")
    elif app.allowed("routes.delete"):
        waits = f"{plural(row.waiting, 'object')} that it queued are still sent. " if row.waiting else ""
        text = f"It sends {safe(row.text, 200)}. {waits}d only switches it off."
        call = lambda: app.client.routes.delete(name=row.name)  # noqa: E731
        _ask(app, f"Delete {name}?", text, f"delete {name}", lambda: _run(app, call, f"{row.name} is deleted", done))


def trial(app: ConsoleApp, row: RouteRow) -> None:
    """Show what a route would have sent."""
    if app.allowed("routes.trial"):
        from screens.route_trial import TrialScreen

        app.go(TrialScreen(row.name, lambda hours: app.client.routes.trial(name=row.name, hours=hours)))


# the form


def given(values: Values) -> dict[str, Any]:
    """Return a form's values as the node takes them.

    Raises
    ------
    PacsError
        When a number is none.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in LISTS:
            found[name] = tuple(part.strip() for part in value.split(",") if part.strip())
        elif name == "where":
            found[name] = tuple(part.strip() for part in value.split(";") if part.strip())
        elif name in ("send_back", "last"):
            found[name] = value == "yes"
        elif name == "stable_s":
            try:
                found[name] = float(value.strip() or 60)
            except ValueError:
                raise PacsError(f"{safe(value, 20)} is no number of seconds", "digits only") from None
        elif name == "transform":
            found[name] = "" if value == "none" else value
        else:
            found[name] = value.strip()
    return found


def summary(found: RouteTrial) -> str:
    """Say in a sentence what a dry run came to."""
    number = sum(row.instances for row in found.rows)
    looked = f"the {plural(found.studies, 'study', 'studies')} of the last day"
    if not found.studies:
        return "nothing came in the last day, so there is nothing to try it on"
    if not found.rows:
        return f"of {looked} it would have sent nothing"
    more = "at least " if found.cut else ""
    to = sorted({name for row in found.rows for name in row.to})
    what = f"{more}{plural(number, 'object')} of {plural(len(found.rows), 'study', 'studies')}"
    return f"of {looked} it would have sent {what} to {', '.join(safe(name, 64) for name in to)}"


class RouteForm(Form):
    """A route's form; at each condition stands what the route as it is now would have sent of the last day."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+t", "trial", show=False)]

    def __init__(self, title: str, fields: Sequence[Field], send: Send) -> None:
        foot = "Enter saves, tab next, ctrl+t dry run, esc back"
        super().__init__(title, fields, send, foot=foot)
        self._timer: Timer | None = None
        self._seen: tuple[str, ...] = ()
        self._tried: tuple[str, ...] = ()
        self._asking = False

    def on_mount(self) -> None:
        """Begin to look at what is typed."""
        self._timer = self.set_interval(_PREVIEW_S, self._look)

    def _look(self) -> None:
        """Try the route once typing has paused."""
        values = self.panel.values
        wanted = tuple(values[name].strip() for name in _CONDITIONS)
        still, self._seen = wanted == self._seen, wanted
        if still and wanted != self._tried and not self._asking and not self.panel.busy:
            self._tried, self._asking = wanted, True
            self.console_app.keep(self._preview())

    def _arguments(self) -> dict[str, Any]:
        values = self.panel.values
        return given({name: values[name] for name in _CONDITIONS})

    async def _preview(self) -> None:
        told = ""
        try:
            arguments = self._arguments()
            if arguments["to"]:
                told = f"now: {summary(await self.console_app.client.routes.trial_of(**arguments))}"
            else:
                told = "now: it goes nowhere yet"
        except PacsError as fault:
            told = f"x {fault.message}{': ' if fault.hint else ''}{fault.hint}"
        except (OSError, TimeoutError):
            told = "the node did not answer"
        finally:
            self._asking = False
        if self.is_attached:
            for field in self.panel.fields:
                if field.name in _CONDITIONS:
                    field.told = safe(told, 600)
            self.panel.renew()

    def action_trial(self) -> None:
        """Show what the route, as it is in the form, would have sent."""
        from screens.route_trial import TrialScreen

        try:
            arguments = self._arguments()
        except PacsError as fault:
            self.failed(f"{fault.message}: {fault.hint}")
            return
        app = self.console_app
        name = self.panel.values.get("name", "") or "the new route"
        app.go(TrialScreen(name, lambda hours: app.client.routes.trial_of(past_hours=hours, **arguments)))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _fields(row: RouteRow | None, destinations: Sequence[str], transforms: Sequence[str]) -> list[Field]:
    there = ", ".join(safe(name, 64) for name in destinations) or "none yet: add a peer first"
    to = ", ".join(row.to) if row else destinations[0] if len(destinations) == 1 else ""
    of: Callable[[str], str] = lambda name: ", ".join(getattr(row, name)) if row else ""  # noqa: E731
    changes = (("none", ""), *((name, "the copy goes through it") for name in transforms))
    none = row.transform if row and row.transform else "none"
    if none not in [name for name, _ in changes]:
        changes = (*changes, (none, "there is no such transformation (any more)"))
    name = (
        Field("name", "name", note="letters, digits and . _ -") if row is None
        else Field("name", "name", row.name, fixed="a route keeps its name")
    )  # fmt: skip
    return [
        name,
        Field("to", "to", to, note=f"one or more, separated by commas: {there}"),
        Field("modality", "modality", of("modality"), note=f"as CT, MR; empty: all; {_STARS}"),
        Field("calling", "sent by", of("calling"), note=f"AE titles that it came from; empty: all; {_STARS}"),
        Field("called", "sent to", of("called"), note=f"our AE titles that it was sent to; empty: all; {_STARS}"),
        Field("description", "description", of("description"), note=f"of the study, as *CHEST*; empty: all; {_STARS}"),
        Field("where", "where", "; ".join(row.where) if row else "", note=_WHERE),
        Field("hours", "hours", row.hours if row else "", note="as 20:00-06:00 or weekdays 07:00-18:00; empty: always"),
        Field("send", "send", row.send if row else "instance", choices=_SENDS),
        Field("stable_s", "complete after", f"{row.stable_s:g}" if row else "60",
              note="seconds without a further object, for series and study"),
        Field("priority", "priority", row.priority if row else "medium", choices=_PRIORITIES),
        Field("transform", "changed by", none, choices=changes),
        Field("send_back", "send back", _yes(row.send_back) if row else "no",
              choices=(("no", ""), ("yes", "also to where the object came from"))),
        Field("last", "last", _yes(row.last) if row else "no",
              choices=(("no", ""), ("yes", "later routes are not looked at for what this one takes"))),
    ]  # fmt: skip


def edit(app: ConsoleApp, row: RouteRow | None, done: Done) -> None:
    """Open the form of a route, or of a new one; of one that is there only what was changed is sent."""
    if row is not None and row.source != "console":
        app.say(f"{row.name} stands in the configuration file: change it there; d switches it off and on here", "warn")
        return
    if not app.allowed("routes.edit" if row is not None else "routes.create"):
        return

    async def open_form() -> None:
        destinations = await app.fetch(app.client.routes.destinations())
        transforms = await app.fetch(app.client.routes.transforms())
        if destinations is None or transforms is None:
            return
        fields = _fields(row, destinations, transforms)
        before = {field.name: field.value for field in fields}

        async def send(values: Values) -> str:
            if row is None:
                await app.client.routes.create(**given(values))
                return f"{values['name'].strip()} is made: what comes from now on is sent"
            changed = given({name: value for name, value in values.items() if value != before[name]})
            if not changed:
                return "nothing was changed"
            await app.client.routes.edit(name=row.name, **changed)
            return f"{row.name} is changed"

        def saved(told: str | None) -> None:
            if told:
                app.say(told)
                done()

        app.push_screen(RouteForm(f"Edit {safe(row.name, 64)}" if row else "A new route", fields, send), saved)

    app.keep(open_form())
