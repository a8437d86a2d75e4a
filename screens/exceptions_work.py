"""What is done about an exception: assigned, edited, rejected, taken as it is, undone; each previewed first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pacstui.contract import all_actions
from pacstui.contract.corrections import CorrectionRow, Preview
from pacstui.contract.exceptions import Candidate, ExceptionRow
from pacstui.contract.worklist import StepRow
from pacstui.errors import BadRequest, PacsError
from pacstui.text import safe
from screens import keymap, worklist_work
from screens.correction_preview import preview
from screens.modals.form import Form, Values
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp
    from screens.privacy import Privacy

Done = Callable[[], None]
Corrected = Callable[[CorrectionRow], None]
STATES = {
    "conflicting": ("x conflicting", "fail"),
    "unmatched": ("! unmatched", "warn"),
    "probable": ("~ probable", "accent"),
    "matched": ("= matched", "good"),
    "not expected": ("\u00b7 not expected", "dim"),
}
"""What stands for a state: symbol and word, and the role."""
REASONS = (
    ("worklist", "113038 Incorrect Modality Worklist Entry: they are of another patient or order than they say"),
    ("quality", "113001 Rejected for Quality Reasons: they are no good, and may still be looked at by setting"),
    ("safety", "113037 Rejected for Patient Safety Reasons: nobody may see them"),
    ("expired", "113039 Data Retention Policy Expired: they are no longer to be kept"),
)
"""Reasons of a rejection note (PS3.16 CID 7011; IHE RAD TF-3 4.66)."""


NOTHING = "says all of that already"
"""What the node says where a correction would change nothing."""


def key_of(name: str, key: str, verb: str, does: str, run: str, weight: int = 1) -> keymap.Key:
    """Return the key of a contract action with words of this screen."""
    return keymap.Key(key, verb, does, run, all_actions().get(name), weight)


def on_hold(row: ExceptionRow | Candidate, privacy: Privacy) -> str:
    """Return in words who put an order on hold, and why."""
    why = f": {privacy.sentence(row.held_why)}" if row.held_why else ", no reason was given"
    return f"its order is on hold by {safe(row.held, 100)}{why}; W, then s on it releases it"


def _may(app: ConsoleApp, name: str) -> bool:
    if name not in all_actions():
        app.say("this node does not correct studies", "fail")
        return False
    return app.allowed(name)


def assign(app: ConsoleApp, row: ExceptionRow, candidate: Candidate, done: Corrected) -> None:
    """Give a study to an order, or to a patient who has none."""
    if not _may(app, "corrections.assign"):
        return
    if candidate.order:
        ask = lambda: app.client.corrections.assign(study=row.study, order=candidate.order)  # noqa: E731
    else:
        ask = lambda: app.client.corrections.assign(  # noqa: E731
            study=row.study, patient_id=candidate.patient_id, issuer=candidate.issuer
        )
    app.keep(_assign(app, row, ask, done))


def order(app: ConsoleApp, row: ExceptionRow, done: Corrected) -> None:
    """Enter the order that there should have been, as done, and give the study to it."""
    if not _may(app, "corrections.assign"):
        return

    def made(step: StepRow) -> None:
        ask = lambda: app.client.corrections.assign(study=row.study, order=step.order)  # noqa: E731
        app.keep(_assign(app, row, ask, done))

    async def look() -> None:
        detail = await app.fetch(app.client.studies.show(row.study))
        if detail is not None:
            worklist_work.afterwards(app, detail.row, row.modality.split("\\")[0], made)

    app.keep(look())


async def _assign(app: ConsoleApp, row: ExceptionRow, ask: Callable[[], Awaitable[Preview]], done: Corrected) -> None:
    try:
        found = await ask()
    except BadRequest as error:
        if NOTHING not in error.message:
            app.say(error, "fail")
            return
        take(app, row, lambda: None, "The index says all of that already; only the images say it otherwise. ")
        return
    except (PacsError, OSError, TimeoutError) as error:
        app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
        return

    async def have() -> Preview:
        return found

    preview(app, have(), done, "assign it")


_EDITED = (
    ("PatientName", "name", "patient_name"), ("PatientID", "ID", "patient_id"),
    ("IssuerOfPatientID", "issuer", "issuer"), ("PatientBirthDate", "born", "birth_date"), ("PatientSex", "sex", "sex"),
    ("AccessionNumber", "accession", "accession"), ("StudyDescription", "description", "description"),
)  # fmt: skip


def edit(app: ConsoleApp, row: ExceptionRow, done: Corrected) -> None:
    """Change what a study says."""
    if not _may(app, "corrections.edit"):
        return
    if app.privacy.on:
        app.say("names and IDs are hidden: P shows them, then e edits")
        return

    async def look() -> None:
        detail = await app.fetch(app.client.studies.show(row.study))
        if detail is None:
            return
        fields = [Field(keyword, label, getattr(detail.row, name)) for keyword, label, name in _EDITED]
        fields[0].note, fields[3].note = "family^given^middle", "YYYYMMDD"
        before = {field.name: field.value for field in fields}

        async def send(values: Values) -> dict[str, str]:
            changed = {name: value.strip() for name, value in values.items() if value.strip() != before[name].strip()}
            if not changed:
                raise PacsError("nothing was changed", "esc leaves it as it is")
            return changed

        def typed(changed: dict[str, str] | None) -> None:
            if changed:
                preview(app, app.client.corrections.edit(study=row.study, changes=changed), done, "change it")

        intro = "What the study says of itself from now on. The originals are kept."
        foot = "Enter shows what it would do, tab next field, esc back"
        app.push_screen(Form("Edit this study", fields, send, intro=intro, foot=foot), typed)

    app.keep(look())


def reject(app: ConsoleApp, row: ExceptionRow, done: Corrected) -> None:
    """Ask for which reason, and reject a study."""
    if not _may(app, "corrections.reject"):
        return

    async def send(values: Values) -> str:
        return values["reason"]

    def chosen(reason: str | None) -> None:
        if reason:
            preview(app, app.client.corrections.reject(study=row.study, reason=reason), done, "reject it")

    field = Field("reason", "reason", REASONS[0][0], choices=REASONS)
    intro = "A rejection note is made, by which other archives hide it too (IHE IOCM). The images are kept."
    foot = "left/right choose, Enter shows what it would do, esc back"
    app.push_screen(Form("Reject this study", [field], send, intro=intro, foot=foot), chosen)


def take(app: ConsoleApp, row: ExceptionRow, done: Done, first: str = "") -> None:
    """Take a study as it is, with a reason."""
    if not app.allowed("exceptions.settle"):
        return
    if row.state in ("matched", "not expected"):
        app.say(f"this study is {row.state}: there is nothing to settle")
        return

    async def send(values: Values) -> bool:
        await app.client.exceptions.settle(study=row.study, why=values["why"])
        return True

    def over(answer: bool | None) -> None:
        if answer:
            app.say("taken as it is, and off the list")
            done()

    intro = f"{first}It stays as it is and leaves the list, until it fits its order or patient in another way."
    field = Field("why", "why", note="a few words; who looks later will ask")
    foot = "Enter takes it, esc leaves it on the list"
    app.push_screen(Form("Take this study as it is", [field], send, intro=intro, foot=foot), over)


def undo(app: ConsoleApp, row: ExceptionRow, done: Done) -> None:
    """Put a study back on the list that was taken as it is; else undo its last correction that still holds."""
    if row.settled:
        if app.allowed("exceptions.reopen"):
            app.keep(_reopen(app, row, done))
        return
    if not _may(app, "corrections.undo"):
        return
    study = row.study

    async def look() -> None:
        page = await app.fetch(app.client.corrections.list_all(study=study))
        if page is None:
            return
        held = [each for each in page.rows if each.state == "on"]
        if not held:
            app.say("nothing was corrected here that could be undone")
        elif held[0].irreversible:
            app.say(f"this cannot be undone any more: {safe(held[0].irreversible, 200)}", "warn")
        else:
            _ask_undo(app, held[0], done)

    app.keep(look())


async def _reopen(app: ConsoleApp, row: ExceptionRow, done: Done) -> None:
    if await app.fetch(app.client.exceptions.reopen(study=row.study)) is not None:
        app.say("it is on the list again")
        done()


def _ask_undo(app: ConsoleApp, row: CorrectionRow, done: Done) -> None:
    async def send(values: Values) -> bool:
        if not values["why"].strip():
            raise BadRequest("why?", "a few words; others will ask")
        await app.client.corrections.undo(id=row.id, why=values["why"])
        return True

    def over(answer: Any) -> None:
        if answer:
            app.say("undone: the study is as it was")
            done()

    intro = f"{app.privacy.sentence(row.sentence)} ({safe(row.by, 64)}, {row.at.astimezone():%H:%M})."
    field = Field("why", "why", note="a few words; others will ask")
    foot = "Enter undoes it, esc leaves it"
    app.push_screen(Form("Undo this correction", [field], send, intro=intro, foot=foot), over)
