"""What is done about a job, from the list and from its page alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual.timer import Timer

from pacstui.contract.jobs import JobRow, KindRow, RunRow
from pacstui.errors import PacsError
from pacstui.text import safe
from screens import doing, keymap
from screens.doing import Done
from screens.job_cells import amount
from screens.modals.form import Form, Values, type_the_name
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

KEYS = (
    keymap.acts("jobs.start", "run"),
    keymap.acts("jobs.cancel", "cancel"),
    keymap.acts("jobs.disable", "disable"),
    keymap.acts("jobs.enable", "enable", key="d"),
    keymap.acts("jobs.edit", "edit"),
    keymap.acts("jobs.delete", "delete", weight=3),
)
OVERLAPS = (
    ("skip", "the new run is left out"), ("queue", "the new run waits for it"),
    ("cancel-old", "the old run is cancelled"),
)  # fmt: skip
_PREVIEW_S = 0.3
_TIMES = ("schedule", "window", "zone")


def start(app: ConsoleApp, row: JobRow, done: Done) -> None:
    """Start a run now."""
    if app.allowed("jobs.start"):
        doing.run(app, lambda: app.client.jobs.start(row.name), f"{row.name} is started", done)


def cancel(app: ConsoleApp, run: RunRow | None, name: str, done: Done) -> None:
    """Cancel a run after a question."""
    if run is None:
        app.say(f"{name} does not run now")
        return
    if not app.allowed("jobs.cancel"):
        return
    so_far = f" So far: {amount(run)}." if amount(run) else ""
    text = f"Run {run.id} ends at its next safe point; what it has done stays done.{so_far}"
    call = lambda: app.client.jobs.cancel(run.id)  # noqa: E731
    doing.sure(
        app, f"Cancel {safe(run.job, 64)}?", text, ("let it run", "cancel it"),
        lambda: doing.run(app, call, f"run {run.id} of {run.job} is to end", done),
    )  # fmt: skip


def disable(app: ConsoleApp, row: JobRow, done: Done) -> None:
    """Disable a job after a question; enable one that is disabled."""
    if not row.enabled:
        enable(app, row, done)
        return
    if not app.allowed("jobs.disable"):
        return
    name = safe(row.name, 64)
    text = (
        f"It runs {safe(row.schedule_text, 100)}. It will not, until d enables it again; by hand it can be started all "
        "the same."
    )
    call = lambda: app.client.jobs.disable(row.name)  # noqa: E731
    doing.sure(
        app, f"Disable {name}?", text, ("leave it", f"disable {name}"),
        lambda: doing.run(app, call, f"{row.name} is disabled", done),
    )  # fmt: skip


def enable(app: ConsoleApp, row: JobRow, done: Done) -> None:
    """Enable a job again."""
    if row.enabled:
        app.say(f"{row.name} is not disabled")
    elif app.allowed("jobs.enable"):
        doing.run(app, lambda: app.client.jobs.enable(row.name), f"{row.name} runs by its schedule again", done)


def pause(app: ConsoleApp, paused: bool, done: Done) -> None:
    """Pause all jobs after a question; resume them where they are paused."""
    if paused:
        if app.allowed("jobs.resume"):
            doing.run(app, app.client.jobs.resume, "jobs begin by their schedules again; what was due begins now", done)
        return
    if not app.allowed("jobs.pause"):
        return
    text = "No job begins by its schedule until p resumes them, also after a restart. What runs now runs on."
    doing.sure(
        app, "Pause all jobs?", text, ("leave them", "pause all"),
        lambda: doing.run(app, app.client.jobs.pause, "all jobs are paused", done),
    )  # fmt: skip


def delete(app: ConsoleApp, row: JobRow, done: Done) -> None:
    """Delete a job after its name was typed."""
    if row.builtin:
        app.say(f"{row.name} was made by the node, which would make it again: d disables it", "warn")
        return
    if not app.allowed("jobs.delete"):
        return
    text = f"Its history stays. Disabling it is enough in most cases. To delete it, type {safe(row.name, 64)}"

    def deleted(yes: bool | None) -> None:
        if yes:
            app.say(f"{row.name} is deleted")
            done()

    call = lambda: app.client.jobs.delete(row.name)  # noqa: E731
    app.push_screen(type_the_name(f"Delete {safe(row.name, 64)}", text, row.name, call), deleted)


# forms


class JobForm(Form):
    """A job's form; below its schedule stand the next times, as the node works them out while one types."""

    _timer: Timer | None = None
    _asked: tuple[str, ...] = ()
    _asking = False

    def on_mount(self) -> None:
        """Begin to look at what is typed."""
        self._timer = self.set_interval(_PREVIEW_S, self._look)
        self._look()

    def _look(self) -> None:
        values = self.panel.values
        wanted = tuple(values.get(name, "").strip() for name in _TIMES)
        if wanted != self._asked and not self._asking and not self.panel.busy:
            self._asked, self._asking = wanted, True
            self.console_app.keep(self._preview(wanted))

    async def _preview(self, wanted: tuple[str, ...]) -> None:
        try:
            schedule, window, zone = wanted
            times = await self.console_app.client.jobs.preview(schedule=schedule, window=window, zone=zone, count=5)
            here = [at.astimezone() for at in times]
            told = ", ".join(f"{at:%a} {at.day} {at:%b %H:%M}" for at in here)
            told = f"next here: {told}" if told else "it runs by hand only, or after another job"
        except PacsError as fault:
            told = f"{fault.message}: {fault.hint}"
        except (OSError, TimeoutError):
            told = "the node did not answer"
        finally:
            self._asking = False
        if self.is_attached:
            for field in self.panel.fields:
                if field.name in _TIMES:
                    field.note = safe(told, 400)
            self.panel.renew()


def _fields(kind: KindRow | None, row: JobRow | None, others: Sequence[str]) -> list[Field]:
    """Return the fields of a job: when, its kind's parameters, and what else there is to say."""
    fields = [
        Field("schedule", "schedule", row.schedule if row else ""),
        Field("window", "only in hours", row.window if row else ""),
        Field("zone", "time zone", row.zone if row else ""),
    ]
    for each in kind.parameters if kind is not None else ():
        value = (row.parameters.get(each.name) if row else None) or each.default
        choices = tuple((choice, "") for choice in each.choices)
        usual = f" (usually {safe(each.default, 40)})" if each.default and not choices else ""
        fields.append(Field(f"set {each.name}", safe(each.name, 20), value, choices=choices,
                            note=safe(each.text, 200) + usual))  # fmt: skip
    follows = (("", "nobody"), *((safe(name, 64), "begins once that one is done") for name in others))
    fields += [
        Field("after", "follows", row.after if row else "", choices=follows),
        Field("overlap", "if still running", row.overlap if row else "skip", choices=OVERLAPS),
        Field("retries", "more tries", str(row.retries) if row else "0", note="how often a failed run is tried again"),
        Field("retry_s", "tried again in", f"{row.retry_s:g}" if row else "300", note="so many seconds"),
        Field("timeout_s", "time limit", f"{row.timeout_s:g}" if row else "0", note="seconds; 0: none"),
    ]
    return fields


def _given(values: Values) -> dict[str, Any]:
    """Return a form's values as the node takes them."""
    given: dict[str, Any] = {name: values[name].strip() for name in (*_TIMES, "after", "overlap") if name in values}
    for name, kind in (("retries", int), ("retry_s", float), ("timeout_s", float)):
        if name in values:
            try:
                given[name] = kind(values[name].strip() or 0)
            except ValueError:
                raise PacsError(f"{safe(values[name], 20)} is no number", "digits only") from None
    given["parameters"] = {name[4:]: value for name, value in values.items() if name.startswith("set ")}
    return given


async def _kinds(app: ConsoleApp) -> dict[str, KindRow] | None:
    kinds = await app.fetch(app.client.jobs.kinds())
    return None if kinds is None else {kind.name: kind for kind in kinds}


def edit(app: ConsoleApp, row: JobRow, others: Sequence[str], done: Done) -> None:
    """Open the form of a job; only what was changed is sent."""

    async def open_form() -> None:
        kinds = await _kinds(app)
        if kinds is None:
            return
        fields = _fields(kinds.get(row.kind), row, [name for name in others if name != row.name])
        before = {field.name: field.value for field in fields}

        async def send(values: Values) -> bool:
            changed = {name: value for name, value in values.items() if value != before[name]}
            given = _given(changed)
            if not given["parameters"]:
                del given["parameters"]
            if given:
                await app.client.jobs.edit(job=row.name, **given)
            return bool(given)

        def changed(any_change: bool | None) -> None:
            if any_change:
                app.say(f"{row.name} is changed")
                done()

        app.push_screen(JobForm(f"Edit {safe(row.name, 64)}: {safe(row.label, 64)}", fields, send), changed)

    if app.allowed("jobs.edit"):
        app.keep(open_form())


def create(app: ConsoleApp, others: Sequence[str], done: Done) -> None:
    """Ask for name and kind of a new job, then for the rest."""

    async def begin() -> None:
        kinds = await _kinds(app)
        if not kinds:
            return
        choices = tuple((name, safe(kind.text, 200)) for name, kind in kinds.items())

        async def check(values: Values) -> Values:
            if not values["name"].strip() or values["name"].strip() in others:
                raise PacsError("it needs a name that no other job has", "letters, digits and . _ -")
            return values

        def chosen(values: Values | None) -> None:
            if values is not None:
                _create(app, values["name"].strip(), kinds[values["kind"]], others, done)

        fields = [Field("kind", "what it does", choices[0][0], choices=choices),
                  Field("name", "name", note="letters, digits and . _ -")]  # fmt: skip
        app.push_screen(Form("A new job", fields, check, foot="Enter goes on, tab next field, esc back"), chosen)

    if app.allowed("jobs.create"):
        app.keep(begin())


def _create(app: ConsoleApp, name: str, kind: KindRow, others: Sequence[str], done: Done) -> None:
    async def send(values: Values) -> bool:
        await app.client.jobs.create(name=name, kind=kind.name, **_given(values))
        return True

    def made(yes: bool | None) -> None:
        if yes:
            app.say(f"{name} is made")
            done()

    intro = "daily 02:00, weekdays 22:30, mon,thu 04:15, monthly 1 03:00, every 15 min, or cron; empty: by hand."
    title = f"{safe(name, 64)}: {safe(kind.label, 64)}"
    app.push_screen(JobForm(title, _fields(kind, None, others), send, intro=intro), made)
