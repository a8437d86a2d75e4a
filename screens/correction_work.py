"""What is corrected from a study's page: a small form for each, then the preview; and what is done afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pacstui.contract.corrections import CorrectionRow, Preview
from pacstui.contract.studies import SeriesRow, StudyDetail, StudyRow
from pacstui.errors import PacsError
from pacstui.text import plural, safe
from screens import keymap
from screens.correction_preview import PreviewPage, learn, preview, word_for
from screens.modals.ask import Ask, Choice
from screens.modals.choose import Choose, Way
from screens.modals.form import Form, Values
from screens.studies import day
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]
KEYS = (
    keymap.acts("corrections.assign", "assign", weight=2),
    keymap.acts("corrections.edit", "edit", weight=1),
    keymap.acts("corrections.split", "split", weight=3),
    keymap.acts("corrections.merge", "merge", weight=3),
    keymap.acts("corrections.move", "move_series", weight=3),
    keymap.acts("corrections.reject", "reject", weight=2),
)
LISTED = (keymap.acts("corrections.undo", "undo"), keymap.acts("corrections.tell", "tell"))
_STUDY = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "AccessionNumber",
          "StudyDescription")  # fmt: skip
_SERIES = ("SeriesDescription", "SeriesNumber", "BodyPartExamined", "Laterality", "ProtocolName")
_NOTES = {
    "PatientName": "as DOE^JANE: family name, given name", "PatientBirthDate": "as 19700131",
    "PatientSex": "M, F or O", "Laterality": "L or R", "BodyPartExamined": "capitals, as KNEE",
}  # fmt: skip
EMPTIED = "-"
REASONS = (
    Way("quality", "quality (113001)", "not fit for diagnosis: blurred, cut off, wrong position"),
    Way("safety", "patient safety (113037)", "would endanger the patient if it were used"),
    Way("worklist", "wrong worklist entry (113038)", "made under another patient's or order's entry"),
    Way("expired", "retention expired (113039)", "kept longer than the rules ask for"),
)


def _send(app: ConsoleApp, title: str, intro: str, fields: Sequence[Field], ask: Callable[[Values], Awaitable[Preview]],
          done: Done, yes: str) -> None:  # fmt: skip
    """Show a form; what the node answers to it is shown before it is done."""

    def applied(row: CorrectionRow | None) -> None:
        if row is not None:
            app.say(f"correction {row.id} is done; C lists corrections, z there undoes it")
            done()

    def asked(found: Preview | None) -> None:
        if found is not None:
            learn(app, found)
            app.push_screen(PreviewPage(found, yes), applied)

    async def send(values: Values) -> Preview:
        return await ask(values)

    foot = "Enter shows what it would do, tab next field, esc back"
    app.push_screen(Form(title, fields, send, intro=intro, foot=foot), asked)


async def _order(app: ConsoleApp, text: str) -> int:
    """Return the order that has an accession number, 0 for none typed."""
    said = text.strip()
    if not said:
        return 0
    page: Any = await app.client.worklist.steps(day="all", search=said, limit=200)
    found = {each.order for each in page.rows if each.accession.casefold() == said.casefold()}
    if not found and said.isdecimal() and said.isascii():
        return int(said)  # the node's own number, as the command line shows it
    if not found:
        raise PacsError(f"no order has the accession number {safe(said, 20)}", "W, then / finds orders by name or ID")
    if len(found) > 1:
        raise PacsError(
            f"{plural(len(found), 'order')} have the accession number {safe(said, 20)}",
            "in exceptions (X) each of them is shown beside the study",
        )
    return int(found.pop())


def assign(app: ConsoleApp, row: StudyRow, done: Done) -> None:
    """Give a study to an order or a patient."""
    if not app.allowed("corrections.assign"):
        return

    async def ask(values: Values) -> Preview:
        order = await _order(app, values["order"])
        found: Preview = await app.client.corrections.assign(
            study=row.study, order=order, patient_id=values["patient"].strip(),
            issuer=values["issuer"].strip(),
        )  # fmt: skip
        return found

    fields = [
        Field("order", "order", note="its accession number; empty for a patient without order"),
        Field("patient", "patient ID", note="of a patient that the RIS or this archive knows"),
        Field("issuer", "issuer", note="who gave that ID; only where several have it"),
    ]
    intro = "It gets patient and order data from there. The objects stay as they came; what leaves, leaves corrected."
    _send(app, f"Assign the study of {app.privacy.name(row.patient_name)}", intro, fields, ask, done, "assign it")


def edit(app: ConsoleApp, detail: StudyDetail, picked: Sequence[SeriesRow], done: Done) -> None:
    """Change what a study says, or series that are picked."""
    if not app.allowed("corrections.edit"):
        return
    row = detail.row
    names: tuple[str, ...]
    if picked:
        one = picked[0] if len(picked) == 1 else None
        known = {"SeriesDescription": one.description, "SeriesNumber": one.number} if one is not None else {}
        names, title = _SERIES, f"Edit {plural(len(picked), 'series', 'series')}"
    else:
        known = {
            "PatientName": row.patient_name, "PatientID": row.patient_id, "IssuerOfPatientID": row.issuer,
            "PatientBirthDate": row.birth_date, "PatientSex": row.sex, "AccessionNumber": row.accession,
            "StudyDescription": row.description,
        }  # fmt: skip
        names, title = _STUDY, "Edit the study"
    hide = app.privacy.on and not picked
    # What is hidden on the screen stands in no field either.
    start = {} if hide else known

    async def ask(values: Values) -> Preview:
        changes = {}
        for name, value in values.items():
            text = value.strip()
            if text == EMPTIED:
                changes[name] = ""
            elif (text or name in start) and text != start.get(name, "").strip():
                changes[name] = text
        found: Preview = await app.client.corrections.edit(
            study=row.study, changes=changes, series=tuple(each.series for each in picked)
        )
        return found

    fields = [Field(name, word_for(name), start.get(name, ""), note=_NOTES.get(name, "")) for name in names]
    intro = "Only what you change is changed." if start else f"What is left blank stays; {EMPTIED} empties it."
    _send(app, title, intro, fields, ask, done, "change it")


def split(app: ConsoleApp, row: StudyRow, picked: Sequence[SeriesRow], done: Done) -> None:
    """Take series out into a study of their own."""
    if not app.allowed("corrections.split") or not _some(app, picked, "split off"):
        return

    async def ask(values: Values) -> Preview:
        order = await _order(app, values["order"])
        found: Preview = await app.client.corrections.split(
            study=row.study, series=tuple(each.series for each in picked), order=order
        )
        return found

    fields = [Field("order", "for order", note="its accession number; empty: the same patient, a study of its own")]
    one = len(picked) == 1
    told = f"{plural(len(picked), 'series', 'series')} {'becomes' if one else 'become'} a study of its own."
    _send(app, "Split the study", told, fields, ask, done, "split it")


def _some(app: ConsoleApp, picked: Sequence[SeriesRow], verb: str) -> bool:
    if not picked:
        app.say(f"pick the series to be {verb} first: space on each", "warn")
    return bool(picked)


def merge(app: ConsoleApp, row: StudyRow, done: Done) -> None:
    """Put a study into another one of the patient."""
    if app.allowed("corrections.merge"):
        call = app.client.corrections.merge
        title = "Merge this study into which one?"
        _into(app, row, title, "merge it", lambda into: call(study=row.study, into=into), done)


def move(app: ConsoleApp, row: StudyRow, picked: Sequence[SeriesRow], done: Done) -> None:
    """Move series into another study."""
    if app.allowed("corrections.move") and _some(app, picked, "moved"):
        call, series = app.client.corrections.move, tuple(each.series for each in picked)
        title = f"Move {plural(len(picked), 'series', 'series')} into which study?"
        _into(app, row, title, "move them", lambda into: call(study=row.study, series=series, into=into), done)


def _into(app: ConsoleApp, row: StudyRow, title: str, yes: str, call: Callable[[str], Awaitable[Preview]], done: Done
          ) -> None:  # fmt: skip
    """Choose another study: of the same patient, or by its UID."""

    def typed() -> None:
        fields = [Field("into", "study UID", note="Study Instance UID of the other study; y on its page copies it")]
        _send(app, title, "", fields, lambda values: call(values["into"].strip()), done, yes)

    def chosen(uid: str) -> None:
        if uid == "other":
            typed()
        else:
            preview(app, call(uid), lambda _: done(), yes)

    async def work() -> None:
        found: Any = (
            await app.fetch(app.client.studies.list(search=row.patient_id, limit=50)) if row.patient_id else None
        )
        same = [
            each for each in (found.rows if found is not None else ())
            if each.patient_id == row.patient_id and each.issuer == row.issuer and each.study != row.study
        ]  # fmt: skip
        ways = [
            Way(each.study, f"{day(each.date) or '(no date)'}  {safe(each.description, 40) or '(no description)'}",
                f"{plural(each.series, 'series', 'series')}, {plural(each.instances, 'image')}, "
                f"{'/'.join(safe(m, 16) for m in each.modalities)}")
            for each in same[:12]
        ]  # fmt: skip
        ways.append(Way("other", "another one, by its UID"))
        intro = ["Other studies of the patient:" if same else "The patient has no other study here."]
        app.push_screen(Choose(title, intro, ways, chosen))

    app.keep(work())


def reject(app: ConsoleApp, row: StudyRow, picked: Sequence[SeriesRow], done: Done) -> None:
    """Reject a study, or series that are picked."""
    if not app.allowed("corrections.reject"):
        return
    series = tuple(each.series for each in picked)
    what = plural(len(picked), "series", "series") if picked else "the whole study"

    def chosen(reason: str) -> None:
        call = app.client.corrections.reject(study=row.study, reason=reason, series=series)
        preview(app, call, lambda _: done(), "reject it")

    intro = ["A rejection note is made; n on the list of corrections sends it to those who got it."]
    app.push_screen(Choose(f"Reject {what}: why?", intro, REASONS, chosen))


def undo(app: ConsoleApp, row: CorrectionRow, done: Done) -> None:
    """Undo a correction, with a reason."""
    if not app.allowed("corrections.undo"):
        return
    if row.irreversible:
        app.say(f"correction {row.id} cannot be undone: {row.irreversible}", "warn")
        return

    async def send(values: Values) -> CorrectionRow:
        found: CorrectionRow = await app.client.corrections.undo(id=row.id, why=values["why"].strip())
        return found

    def undone(found: CorrectionRow | None) -> None:
        if found is not None:
            app.say(f"correction {found.id} is undone")
            done()

    intro = f"{app.privacy.sentence(row.sentence)}. Undone, all of it is as it was; what came since goes back with it."
    fields = [Field("why", "why", note="a few words, no names of patients")]
    foot = "Enter undoes it, esc leaves it as it is"
    app.push_screen(Form(f"Undo correction {row.id}", fields, send, intro=intro, foot=foot), undone)


def tell(app: ConsoleApp, row: CorrectionRow, done: Done) -> None:
    """Send those who have the wrong copy the note and the right one."""
    if not app.allowed("corrections.tell"):
        return
    if not row.downstream:
        app.say("nobody was sent it, as far as the queue remembers", "warn")
        return
    names = ", ".join(
        f"{safe(each.destination, 32)} ({plural(each.instances, 'image')}{', told' if each.told else ''})"
        for each in row.downstream
    )
    wanted = tuple(each.destination for each in row.downstream if not each.told)
    wanted = wanted or tuple(each.destination for each in row.downstream)

    async def work() -> None:
        found = await app.fetch(app.client.corrections.tell(id=row.id, destinations=wanted))
        if found is not None:
            app.say(f"queued for {plural(len(wanted), 'destination')}: 3 shows how it goes")
            done()

    def answered(answer: str | None) -> None:
        if answer == "yes":
            app.keep(work())

    text = (
        f"They have the wrong copy: {names}. The rejection note, where there is one, goes first, then the right copy."
    )
    choices = [Choice("no", "leave it", safe=True), Choice("yes", f"send to {plural(len(wanted), 'destination')}")]
    app.push_screen(Ask(f"Tell about correction {row.id}?", [text], choices), answered)
