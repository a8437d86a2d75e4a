"""What is done about studies and the trash, from the lists and pages alike; each thing that is grave asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pacstui.contract.space import TrashRow, UndoResult
from pacstui.contract.studies import SeriesRow, StudyRow
from pacstui.errors import PacsError
from pacstui.text import count, plural, safe, size
from screens import keymap
from screens.modals.ask import Ask, Choice
from screens.modals.form import Form, Values
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]
DELETE = keymap.acts("space.delete", "delete", weight=2)
PIN = keymap.acts("space.pin", "pin", weight=2)
KEYS = (
    keymap.acts("space.undo", "undo"),
    keymap.acts("space.empty", "empty", weight=2),
    keymap.acts("space.plan", "plan"),
    keymap.acts("space.purge", "purge", weight=2),
    keymap.acts("space.repair", "repair", weight=2),
)
_END = 8


def word_for(app: ConsoleApp, row: StudyRow) -> str:
    """Return what is typed to delete a study: its accession number, or the end of its UID."""
    accession = safe(row.accession.strip(), 64)
    plain = accession.isascii() and accession.isprintable() and accession == row.accession.strip()
    return accession if accession and plain and not app.privacy.on else row.study[-_END:]


def delete_study(app: ConsoleApp, row: StudyRow, done: Done) -> None:
    """Move a study to the trash after its accession number, or the end of its UID, was typed."""
    if app.allowed("space.delete"):
        told = f"{plural(row.series, 'series', 'series')}, {plural(row.instances, 'image')}, {size(row.bytes)}"
        _delete(app, f"Delete the study of {app.privacy.name(row.patient_name)}", told, word_for(app, row), done,
                study=row.study)  # fmt: skip


def delete_part(app: ConsoleApp, row: StudyRow, series: SeriesRow | None, done: Done) -> None:
    """Ask whether the study or its chosen series goes, then for its name."""
    if not app.allowed("space.delete"):
        return
    if series is None or row.series < 2:
        delete_study(app, row, done)
        return
    one = series
    choices = [
        Choice("no", "leave it", safe=True), Choice("series", f"series {safe(one.number, 8) or '(no number)'}"),
        Choice("study", "the whole study"),
    ]  # fmt: skip

    def answered(answer: str | None) -> None:
        if answer == "study":
            delete_study(app, row, done)
        elif answer == "series":
            told = f"{safe(one.modality, 16)} {safe(one.description, 64)}, {plural(one.instances, 'image')}"
            _delete(app, f"Delete series {safe(one.number, 8)}", f"{told}, {size(one.bytes)}", one.series[-_END:],
                    done, study=row.study, series=one.series)  # fmt: skip

    text = f"The series with {plural(one.instances, 'image')}, or the study with {plural(row.instances, 'image')}?"
    app.push_screen(Ask("What goes to the trash?", [text], choices), answered)


def _delete(app: ConsoleApp, title: str, told: str, word: str, done: Done, **what: str) -> None:
    intro = (
        f"{told}: goes to the trash, is not found any more at once, and can be brought back for some days "
        f"(Storage, u). To delete it, type {word}"
    )

    async def send(values: Values) -> TrashRow:
        if values["name"].strip() != word:
            raise PacsError(f"type {word} to do it", "capitals matter; esc leaves everything as it is")
        row: TrashRow = await app.client.space.delete(why=values["why"].strip(), **what)
        return row

    def deleted(row: TrashRow | None) -> None:
        if row is not None:
            app.say(f"{row.level} of {plural(row.instances, 'image')} is in the trash: Storage, u brings it back")
            done()

    fields = [Field("name", "its name"), Field("why", "why", note="for the list and the audit trail; may be empty")]
    foot = "Enter does it, tab next field, esc leaves it as it is"
    app.push_screen(Form(title, fields, send, intro=intro, foot=foot), deleted)


def pin(app: ConsoleApp, row: StudyRow, done: Done) -> None:
    """Pin a study after asking why; take the pin off one that has it."""
    name = app.privacy.name(row.patient_name)
    if row.pinned:
        _unpin(app, row, name, done)
        return
    if not app.allowed("space.pin"):
        return

    async def send(values: Values) -> Any:
        return await app.client.space.pin(study=row.study, why=values["why"].strip())

    def pinned(found: Any) -> None:
        if found is not None:
            app.say("the study is pinned: no rule purges it; p takes it off")
            done()

    intro = "No rule purges a pinned study, however old it is and however full the volume; p takes the pin off."
    fields = [Field("why", "why", note="for others who wonder; may be empty, no names of patients")]
    app.push_screen(Form(f"Pin the study of {name}", fields, send, intro=intro, foot="Enter pins, esc back"), pinned)


def _unpin(app: ConsoleApp, row: StudyRow, name: str, done: Done) -> None:
    if not app.allowed("space.unpin"):
        return

    async def work() -> None:
        try:
            await app.client.space.unpin(study=row.study)
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        app.say("the pin is off: rules may purge it again")
        done()

    def answered(answer: str | None) -> None:
        if answer == "yes":
            app.keep(work())

    told = f"It is {app.privacy.sentence(row.pinned)}. Without the pin rules may purge it."
    choices = [Choice("no", "leave it", safe=True), Choice("yes", "take it off")]
    app.push_screen(Ask(f"Take the pin off the study of {name}?", [told], choices), answered)


def undo(app: ConsoleApp, row: TrashRow, done: Done) -> None:
    """Bring an entry of the trash back."""

    async def work() -> None:
        found: UndoResult | None = await app.fetch(app.client.space.undo(row.id))
        if found is None:
            return
        if found.refused:
            uid, why = found.refused[0]
            app.say(f"{count(len(found.refused))} could not come back: {safe(uid, 64)}: {safe(why, 200)}", "warn")
        else:
            there = f", {count(found.there)} were there" if found.there else ""
            app.say(f"{plural(found.instances, 'image')} brought back{there}")
        done()

    if app.allowed("space.undo"):
        app.keep(work())


def empty(app: ConsoleApp, row: TrashRow | None, entries: int, amount: int, done: Done) -> None:
    """Remove an entry, or all of the trash, for good, after its number or ``all`` was typed."""
    if not app.allowed("space.empty") or not entries:
        return
    one = f"{row.level} of {plural(row.instances, 'image')}, {size(row.bytes)}" if row is not None else ""
    everything = f"all for the whole trash ({plural(entries, 'entry', 'entries')}, {size(amount)})"
    only = f"Type {row.id} for the chosen one ({one}), or {everything}." if row is not None else f"Type {everything}."
    intro = f"What is removed from the trash is gone for good; only backups may still have it. {only}"

    async def send(values: Values) -> Any:
        typed = values["name"].strip()
        if typed not in ("all", str(row.id) if row is not None else "all"):
            raise PacsError("that is neither its number nor all", "esc leaves everything as it is")
        return await app.client.space.empty(typed)

    def emptied(found: Any) -> None:
        if found is not None:
            failed = f"; not removed: {safe(found.failed[0], 200)}" if found.failed else ""
            gone = plural(found.entries, "entry", "entries")
            app.say(f"{gone} gone for good, {size(found.bytes)} free again{failed}")
            done()

    foot = "Enter does it, esc leaves it as it is"
    app.push_screen(Form("Empty the trash", [Field("name", "which")], send, intro=intro, foot=foot), emptied)


def purge(app: ConsoleApp, told: str, done: Done) -> None:
    """Start a purge by all rules after ``all`` was typed."""
    if not app.allowed("space.purge"):
        return
    intro = f"{told} They go to the trash, and are removed for good at once only where space is needed. Type all"

    async def send(values: Values) -> Any:
        if values["name"].strip() != "all":
            raise PacsError("type all to do it", "esc leaves everything as it is")
        return await app.client.space.purge("all")

    def begun(run: Any) -> None:
        if run is not None:
            app.say(f"the purge has begun (run {run.id}); how it goes: Jobs")
            done()

    foot = "Enter does it, esc leaves it as it is"
    app.push_screen(Form("Purge by all rules", [Field("name", "rules")], send, intro=intro, foot=foot), begun)


def repair(app: ConsoleApp, broken: int, done: Done) -> None:
    """Start a repair after a question."""
    if not app.allowed("space.repair"):
        return
    choices = [Choice("no", "leave it", safe=True), Choice("yes", "repair")]
    text = (
        f"{plural(broken, 'object')} known to be missing or damaged: each is looked at again, and fetched from a "
        "backup, or from a peer that has the same bytes. A damaged file is set aside, not deleted."
    )

    async def work() -> None:
        run = await app.fetch(app.client.space.repair())
        if run is not None:
            app.say(f"the repair has begun (run {run.id}); how it goes: Jobs")
            done()

    def answered(answer: str | None) -> None:
        if answer == "yes":
            app.keep(work())

    app.push_screen(Ask("Repair objects?", [text], choices), answered)
