"""Bringing something back from a backup, step by step: what, whereto, then what it would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from textual import on

from pacstui.contract import privacy
from pacstui.contract.backups import RestorePlan, SavedStudy, SnapshotRow
from pacstui.contract.jobs import RunRow
from pacstui.errors import PacsError
from pacstui.text import ago, count, plural, safe, size
from screens import backup_words
from screens import backup_work as work
from screens.modals.choose import Choose, Way
from screens.modals.form import Form, Values, type_the_name
from screens.modals.page import Page
from screens.widgets.form import Field
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

if TYPE_CHECKING:
    from screens.app import ConsoleApp

WAYS = (
    Way("all", "everything, into a folder", "images and index; the archive that runs is not touched"),
    Way("index", "the index only, into a folder", "for when the images are whole and the database is not"),
    Way("missing", "what is missing, back into the archive", "what is there already stays as it is"),
    Way("patient", "one patient, back into the archive", "by the patient's ID"),
    Way("study", "one study, back into the archive", "by its Study Instance UID; or Enter on a study of a snapshot"),
    Way("instance", "one image, back into the archive", "by its SOP Instance UID"),
    Way("snapshot", "from another snapshot", "choose which"),
)
KEYS = {"patient": "patient ID", "study": "Study Instance UID", "instance": "SOP Instance UID"}
NAMES = {
    "all": "everything", "index": "the index", "patient": "one patient", "study": "one study", "instance": "one image",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be brought back. ``to`` is a folder, or empty for the running archive."""

    target: str
    snapshot: str = "latest"
    at: datetime | None = None
    what: str = "all"
    key: str = ""
    to: str = ""

    @property
    def arguments(self) -> dict[str, str]:
        """What the node takes."""
        given = {"target": self.target, "snapshot": self.snapshot, "what": self.what}
        return given | ({"key": self.key} if self.key else {}) | ({"to": self.to} if self.to else {})


def _which(wish: Wish) -> str:
    return f"of {wish.at.astimezone():%Y-%m-%d %H:%M}" if wish.at is not None else "the latest"


def begin(app: ConsoleApp, target: str, snapshot: SnapshotRow | None) -> None:
    """Ask what is to be brought back."""
    wish = Wish(target) if snapshot is None else Wish(target, snapshot.id, snapshot.at)
    _choose(app, wish)


def _choose(app: ConsoleApp, wish: Wish) -> None:
    def chosen(what: str) -> None:
        if what == "snapshot":
            app.keep(_other_snapshot(app, wish))
        elif what in ("all", "index"):
            _folder(app, replace(wish, what=what))
        elif what == "missing":
            app.keep(_show(app, replace(wish, what="all")))
        else:
            _key(app, replace(wish, what=what))

    intro = [f"Snapshot: {_which(wish)}. Nothing is done before you have seen what it would do."]
    app.push_screen(Choose(f"Restore from {safe(wish.target, 64)}", intro, WAYS, chosen))


async def _other_snapshot(app: ConsoleApp, wish: Wish) -> None:
    rows: tuple[SnapshotRow, ...] | None = await app.fetch(app.client.backups.snapshots(target=wish.target))
    if rows is None:
        return
    by_id = {row.id: row for row in rows}
    ways = []
    for row in rows:
        lacks = f", ! {count(row.missing)} missing" if row.missing else ""
        holds = f"{plural(row.studies, 'study', 'studies')}, {size(row.bytes)}{lacks}"
        ways.append(Way(row.id, f"{row.at.astimezone():%Y-%m-%d %H:%M}  {holds}"))

    def chosen(ident: str) -> None:
        _choose(app, replace(wish, snapshot=ident, at=by_id[ident].at))

    app.push_screen(Choose(f"Which snapshot of {safe(wish.target, 64)}?", [], ways, chosen))


def _folder(app: ConsoleApp, wish: Wish) -> None:
    async def send(values: Values) -> tuple[Wish, RestorePlan]:
        if not values["to"].strip():
            raise PacsError("no folder is named", "type its path on the node's machine")
        full = replace(wish, to=values["to"].strip())
        return full, await app.client.backups.plan(**full.arguments)

    intro = f"Snapshot: {_which(wish)}. It goes into a folder on the node's machine: not on the broken disk."
    field = Field("to", "folder", note="new or empty, with its full path, as /srv/restored")
    foot = "Enter shows what it would do, esc back"
    app.push_screen(
        Form(f"Restore {NAMES[wish.what]} into a folder", [field], send, intro=intro, foot=foot),
        lambda answer: _preview(app, *answer) if answer else None,
    )


def _key(app: ConsoleApp, wish: Wish) -> None:
    if app.lacks(privacy.PERMISSION, f"naming {NAMES[wish.what]}"):
        return

    async def send(values: Values) -> tuple[Wish, RestorePlan]:
        if not values["key"].strip():
            raise PacsError(f"no {KEYS[wish.what]} was typed")
        full = replace(wish, key=values["key"].strip())
        return full, await app.client.backups.plan(**full.arguments)

    intro = f"Snapshot: {_which(wish)}. What the archive has already stays as it is."
    foot = "Enter shows what it would do, esc back"
    app.push_screen(
        Form(f"Restore {NAMES[wish.what]}", [Field("key", KEYS[wish.what])], send, intro=intro, foot=foot),
        lambda answer: _preview(app, *answer) if answer else None,
    )


def offer(app: ConsoleApp, target: str, snapshot: SnapshotRow, study: SavedStudy) -> None:
    """Offer to bring back a study that was chosen in a snapshot, or all of its patient."""
    if not app.allowed("backups.restore") or app.lacks(privacy.PERMISSION, "naming one study"):
        return
    wish = Wish(target, snapshot.id, snapshot.at)
    here = "all of it is here" if study.here >= study.instances else f"{count(study.here)} of them are here"
    ways = [Way("study", "this study, back into the archive", "what is there already stays as it is")]
    if study.patient_id.strip():
        ways.append(Way("patient", "all of this patient, back into the archive", "every study that the snapshot has"))
    ways.append(Way("other", "something else", "everything, the index, one image, another snapshot"))

    def chosen(what: str) -> None:
        if what == "other":
            _choose(app, wish)
            return
        key = study.study if what == "study" else study.patient_id
        app.keep(_show(app, replace(wish, what=what, key=key)))

    name = app.privacy.name(study.patient_name)
    intro = [f"{name}, {safe(study.description, 100) or 'no description'}: {plural(study.instances, 'image')}, {here}."]
    app.push_screen(Choose("Bring back", intro, ways, chosen))


async def _show(app: ConsoleApp, wish: Wish) -> None:
    plan = await app.fetch(app.client.backups.plan(**wish.arguments))
    if plan is not None:
        _preview(app, wish, plan)


def _preview(app: ConsoleApp, wish: Wish, plan: RestorePlan) -> None:
    app.privacy.learn([wish.key] if wish.what == "patient" else [])
    app.push_screen(PlanPage(wish, plan))


class PlanPage(Page):
    """What a restore would do; Enter leads to the question."""

    FOOT = "Enter goes on, y copy, esc back"

    def __init__(self, wish: Wish, plan: RestorePlan) -> None:
        super().__init__()
        self._wish, self._plan = wish, plan

    def sections(self, width: int) -> Sequence[Section]:
        wish, plan, app = self._wish, self._plan, self.console_app
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            lines.extend(words(text, width, role, 11, Line(fit(label, 11), "dim")))

        now = work.node_time(app)
        key = app.privacy.ident(wish.key)
        named = "what is missing" if plan.what == "all" and not plan.to else NAMES.get(plan.what, safe(plan.what, 20))
        fact("what", f"{named}{f': {key}' if key else ''}", "strong")
        fact("from", f"{safe(plan.target, 64)}, {plan.at.astimezone():%Y-%m-%d %H:%M} ({ago(plan.at, now)})")
        if plan.signature:
            fact("signed", safe(plan.signature, 200), "text" if plan.signed == "signed" else "warn")
        fact("to", safe(plan.to, 300) if plan.to else "the running archive", "strong")
        held = f"{plural(plan.studies, 'study', 'studies')}, {plural(plan.instances, 'instance')}, {size(plan.bytes)}"
        fact("in it", held)
        if plan.there:
            fact("there", f"{plural(plan.there, 'instance')} already: they stay as they are")
        fresh = max(0, plan.instances - plan.there)
        fact("comes", plural(fresh, "instance") if fresh else "nothing: all of it is there", "strong")
        if plan.seconds is None:
            fact("takes", "not known before the first drill (t)", "warn-text")
        else:
            fact("takes", f"about {backup_words.about(plan.seconds)}")
        tight = plan.bytes > plan.free_bytes and not plan.there
        fact("free", f"{'! ' if tight else ''}{size(plan.free_bytes)} there", "warn" if tight else "text")
        end: list[Line] = []
        for text in plan.problems:
            end += words(safe(text, 400), width, "fail", 2, Line("x ", "fail"))
        if plan.problems:
            end += words("It cannot be done so; esc goes back.", width, "strong", 2, Line("> ", "accent"))
        else:
            told = f"Enter goes on; it begins after you have typed {safe(wish.target, 64)}."
            end += words(told, width, "strong", 2, Line("> ", "accent"))
        heading = Line("What stands against it", "fail") if plan.problems else None
        title = Line("What this restore would do", "focus-title")
        return [Section(title, [Item(lines)]), Section(heading, [Item(end)])]

    @on(Panel.Chosen)
    def _go_on(self, event: Panel.Chosen) -> None:
        app, wish, plan = self.console_app, self._wish, self._plan
        if plan.problems:
            app.say("it cannot be done so: the page says why", "fail")
        elif app.allowed("backups.restore"):
            self.dismiss()
            app.call_later(_confirm, app, wish, plan)


def _confirm(app: ConsoleApp, wish: Wish, plan: RestorePlan) -> None:
    begun: list[RunRow] = []

    async def send() -> None:
        begun.append(await app.client.backups.restore(**wish.arguments))

    def done(yes: bool | None) -> None:
        if yes and begun:
            from screens.backup_run import show_run

            app.say("the restore has begun")
            show_run(app, begun[0], f"restore from {safe(wish.target, 64)}")

    fresh = plural(max(0, plan.instances - plan.there), "instance")
    where = f"the folder {safe(plan.to, 200)}" if plan.to else "the running archive"
    text = f"{fresh} come into {where}. To begin, type {safe(wish.target, 64)}"
    app.push_screen(type_the_name(f"Restore from {safe(wish.target, 64)}", text, wish.target, send), done)
