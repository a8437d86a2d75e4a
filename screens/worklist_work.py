"""What is done about a step of the worklist: entering and changing it, setting where it stands, cancelling it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from textual.timer import Timer

from pacstui.contract.studies import StudyRow
from pacstui.contract.worklist import StepRow
from pacstui.errors import PacsError
from pacstui.text import safe
from screens import keymap
from screens.modals.form import Form, Send, Values
from screens.widgets.form import Field
from screens.worklist_cells import clock

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]
NEW = keymap.acts("worklist.add", "create")
KEYS = (
    keymap.acts("worklist.change", "edit"),
    keymap.acts("worklist.set_state", "set_state"),
    keymap.acts("worklist.cancel", "cancel"),
    NEW,
)
_PRIORITIES = (
    ("ROUTINE", ""), ("MEDIUM", ""), ("HIGH", "before routine ones"), ("STAT", "at once"), ("LOW", ""),
)  # fmt: skip
_SEXES = (("unknown", ""), ("F", ""), ("M", ""), ("O", ""))
_TO_SET = (
    ("arrived", "the patient is here and waits"),
    ("scheduled", "it is still to come: modalities see it again"),
    ("on hold", "it is not to be done now: no modality is told of it"),
    ("completed", "it is done, though the modality did not report it"),
    ("discontinued", "it was begun and broken off"),
)
_MODALITIES = (
    " AR AU BI BMD CR CT DG DMS DX ECG EEG EMG EOG EPS ES GM HC HD IO IVOCT IVUS KER LEN LS MG MR NM OAM OCT OP OPM "
    "OPT OPTBSV OPTENF OPV OSS OT PA POS PT PX RF RG SM SRF TG US VA XA XC "
)
"""Modalities that acquire (PS3.3 C.7.3.1.1.1); another one is taken, and told."""
_LOOK_S = 0.25
_ISO = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_CLOCK = re.compile(r"(\d{1,2}):?(\d{2})(?::?(\d{2}))?")
_DATE_NOTE = "today, tomorrow, +3 or 2026-12-24"
_STATION_NOTE = "AE title of the modality that is to see it; empty: each one of this modality"


def parse_day(text: str, today: date) -> str:
    """Return what a person typed for a day as a DA value.

    Raises
    ------
    PacsError
        When it is no day.
    """
    said = text.strip().casefold()
    near = {"": 0, "today": 0, "tomorrow": 1, "yesterday": -1}
    if said in near:
        return f"{today + timedelta(days=near[said]):%Y%m%d}"
    if re.fullmatch(r"[+-]\d{1,3}", said):
        return f"{today + timedelta(days=int(said)):%Y%m%d}"
    found = _ISO.fullmatch(said)
    try:
        if found is not None:
            return f"{date(*map(int, found.groups())):%Y%m%d}"
    except ValueError:
        raise PacsError(f"there is no day {safe(text.strip(), 20)}", "look at month and day") from None
    raise PacsError(f"{safe(text.strip(), 20)} is no day", f"write {_DATE_NOTE}")


def parse_time(text: str, now: datetime) -> str:
    """Return what a person typed for a time of day as a TM value.

    Raises
    ------
    PacsError
        When it is none.
    """
    said = text.strip().casefold()
    if said in ("", "now"):
        return f"{now:%H%M}00"
    found = _CLOCK.fullmatch(said)
    if found is not None:
        hour, minute, second = (int(part or 0) for part in found.groups())
        if hour < 24 and minute < 60 and second < 60:
            return f"{hour:02}{minute:02}{second:02}"
    raise PacsError(f"{safe(text.strip(), 20)} is no time of day", "write 14:30, or now")


def _birth(text: str, today: date) -> str:
    if not text.strip():
        return ""
    if _ISO.fullmatch(text.strip()) is None:
        raise PacsError(f"{safe(text.strip(), 20)} is no birth date", "write 1970-12-24")
    found = parse_day(text, today)
    if found > f"{today:%Y%m%d}":
        raise PacsError("this birth date is still to come", "look at the year")
    return found


def pn(text: str) -> str:
    """Return a name as people type it in DICOM's form: ``Tester, Alpha B`` becomes ``Tester^Alpha^B``."""
    if "^" in text or "=" in text:
        return text.strip()
    family, comma, rest = text.partition(",")
    given = rest.split()
    return (
        "^".join([family.strip(), *given[:1], *([" ".join(given[1:])] if given[1:] else [])])
        if comma
        else family.strip()
    )


def _name(text: str) -> str:
    if text.strip() and not text.strip(" ,^"):
        raise PacsError("a name is needed", "Family, Given; of somebody unknown: UNKNOWN, EMERGENCY 3")
    return pn(text)


def _filled(what: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text.strip():
            raise PacsError(f"{what} is needed", "it is what the modality asks for")
        if "\\" in text:
            raise PacsError(f"{what} may not have a backslash", "DICOM separates values by it")
        return text.strip()

    return check


def _modality(text: str) -> str:
    said = text.strip().upper()
    if not re.fullmatch(r"[A-Z]{2,6}", said):
        raise PacsError(
            f"{safe(text.strip(), 20) or 'nothing'} is no modality", "write CT, MR, CR, DX, US, MG, XA, NM, PT"
        )
    return said


def _station(text: str) -> str:
    if len(text.strip()) > 16:
        raise PacsError("an AE title has at most 16 characters", "it stands on the modality's network page")
    return text.strip()


class StepForm(Form):
    """A form that says beneath a field, while one types, how the node will understand it or what is wrong with it."""

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        send: Send,
        checks: Mapping[str, Callable[[str], str]],
        intro: str = "",
    ) -> None:
        super().__init__(title, fields, send, intro=intro, foot="Enter saves, tab next field, esc back")
        self._checks = checks
        self._seen: dict[str, str] = {}
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        """Begin to look at what is typed."""
        self._timer = self.set_interval(_LOOK_S, self.look)

    def look(self) -> None:
        """Say what is wrong with what was typed since."""
        values = self.panel.values
        if values == self._seen:
            return
        changed = False
        for field in self.panel.fields:
            check = self._checks.get(field.name)
            if check is None or (field.name not in self._seen and not field.value):
                continue
            told = ""
            if self._seen.get(field.name) != field.value:
                try:
                    found = check(field.value)
                    told = _heard(field.name, found)
                except PacsError as fault:
                    told = f"x {fault.message}: {fault.hint}"
                changed, field.told = changed or told != field.told, told
        self._seen = values
        if changed:
            self.panel.renew()

    def first_wrong(self) -> str:
        """Put the cursor on the first field that is wrong; return its name, empty if none is."""
        for number, field in enumerate(self.panel.fields):
            check = self._checks.get(field.name)
            if check is None or field.fixed:
                continue
            try:
                check(field.value)
            except PacsError as fault:
                field.told = f"x {fault.message}: {fault.hint}"
                self.panel.whole = self.panel.whole or number != self.panel.at
                self.panel.at, self.panel.caret, self.panel.cursor = number, len(field.value), field.name
                self.panel.renew()
                return field.name
        return ""


def _heard(name: str, found: str) -> str:
    if name == "modality" and f" {found} " not in _MODALITIES:
        return f"{found} is none that DICOM names: modalities ask for CT, MR, CR, DX, US, MG, ..."
    if name == "date":
        return f"{datetime.strptime(found, '%Y%m%d'):%A, %-d %B %Y}"  # noqa: DTZ007 - a day has no zone
    if name == "patient_name" and "^" in found:
        family, given, *_ = found.split("=")[0].split("^")
        return f"family name {safe(family, 64) or '(none)'}, given name {safe(given, 64) or '(none)'}"
    return ""


def _open(app: ConsoleApp, form: StepForm, done: Done) -> None:
    def saved(told: str | None) -> None:
        if told:
            app.say(told)
            done()

    app.push_screen(form, saved)


def _sender(app: ConsoleApp, checks: Mapping[str, Callable[[str], str]], send: Callable[[Values], Any]) -> Send:
    async def checked(values: Values) -> Any:
        form = app.screen
        if isinstance(form, StepForm) and form.first_wrong():
            raise PacsError("something is missing or wrong", "look at the field with the mark")
        return await send({name: checks[name](value) if name in checks else value for name, value in values.items()})

    return checked


def add(app: ConsoleApp, day: str, done: Done) -> None:
    """Open the form of a new step."""
    if not app.allowed("worklist.add"):
        return
    now = app.now()
    today = now.date()
    fields = [
        Field("patient_id", "patient ID", note="as on the wristband; of somebody unknown a number of your own"),
        Field("issuer", "ID given by", note="assigning authority, where there is more than one; empty: the usual one"),
        Field("patient_name", "name", note="Family, Given; empty if the node knows who has that ID"),
        Field("birth_date", "born", note="1970-12-24; empty if it is not known"),
        Field("sex", "sex", "unknown", choices=_SEXES),
        Field("modality", "modality", note="CT, MR, CR, DX, US, MG, ..."),
        Field("description", "procedure", note="what is to be done, as the technologist shall read it"),
        Field("date", "day", _iso(day), note=_DATE_NOTE),
        Field("time", "time", f"{now:%H:%M}", note="14:30, or now"),
        Field("station_ae", "station", note=_STATION_NOTE),
        Field("room", "room", note="where it is done"),
        Field("accession", "accession", note="empty: the node gives one"),
        Field("priority", "priority", "ROUTINE", choices=_PRIORITIES),
        Field("referring", "referring", note="Family, Given of the physician"),
    ]
    checks: dict[str, Callable[[str], str]] = {
        "patient_id": _filled("a patient ID"), "patient_name": _name, "birth_date": lambda text: _birth(text, today),
        "modality": _modality, "date": lambda text: parse_day(text, today), "time": lambda text: parse_time(text, now),
        "station_ae": _station, "referring": pn, "sex": lambda text: "" if text == "unknown" else text,
    }  # fmt: skip

    async def send(values: Values) -> str:
        row: StepRow = await app.client.worklist.add(**values)
        when = clock(row.time) if row.date == f"{today:%Y%m%d}" else f"{_iso(row.date)} {clock(row.time)}"
        who = safe(row.station_ae, 16) or f"each {safe(row.modality, 16)}"
        return f"on the worklist for {when}: {who} sees it with the next query for that day"

    _open(app, StepForm("Enter a worklist item", fields, _sender(app, checks, send), checks), done)


def afterwards(app: ConsoleApp, study: StudyRow, modality: str, made: Callable[[StepRow], None]) -> None:
    """Open the form of an order for a study that is here already; no modality sees it. ``made`` gets its step."""
    if not app.allowed("worklist.add"):
        return
    if app.privacy.on:
        app.say("names and IDs are hidden: P shows them, then n enters the order")
        return
    now = app.now()
    today = now.date()
    fields = [
        Field(
            "patient_id", "patient ID", study.patient_id, note="whose it is; the study is corrected to it afterwards"
        ),
        Field("issuer", "ID given by", study.issuer, note="empty: the usual one"),
        Field("patient_name", "name", study.patient_name, note="Family, Given; empty if the node knows that ID"),
        Field("birth_date", "born", _iso(study.birth_date), note="1970-12-24; empty if it is not known"),
        Field("sex", "sex", study.sex if study.sex in ("F", "M", "O") else "unknown", choices=_SEXES),
        Field("modality", "modality", modality),
        Field("description", "procedure", study.description),
        Field("accession", "accession", study.accession, note="empty: the node gives one"),
        Field("referring", "referring", note="Family, Given of the physician"),
    ]
    checks: dict[str, Callable[[str], str]] = {
        "patient_id": _filled("a patient ID"), "patient_name": _name, "birth_date": lambda text: _birth(text, today),
        "modality": _modality, "referring": pn, "sex": lambda text: "" if text == "unknown" else text,
    }  # fmt: skip
    when = study.date or f"{study.received.astimezone():%Y%m%d}"
    rows: list[StepRow] = []

    async def send(values: Values) -> str:
        hour = study.time[:6] if study.date and len(study.time) >= 4 else f"{study.received.astimezone():%H%M%S}"
        rows.append(await app.client.worklist.add(**values, date=when, time=hour, done=True))
        return f"order {safe(rows[-1].accession, 16)} was entered as done"

    intro = f"For the images of {_iso(when)} that are here. Next it is shown what the study gets from it."
    form = StepForm("Enter the order afterwards", fields, _sender(app, checks, send), checks, intro)
    _open(app, form, lambda: made(rows[-1]))


def _iso(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 else day


def edit(app: ConsoleApp, row: StepRow, done: Done) -> None:
    """Open the form of a step; only what was changed is sent."""
    if not app.allowed("worklist.change"):
        return
    if row.state in ("completed", "no images yet", "discontinued", "cancelled"):
        app.say(f"it is {row.state}: s sets where it stands; images under a wrong name are put right by X", "warn")
        return
    now = app.now()
    today = now.date()
    fixed = "patients are changed by the RIS (ADT); images by X"
    fields = [
        Field("patient", "patient", app.privacy.name(row.patient_name), fixed=fixed),
        Field("modality", "modality", row.modality),
        Field("description", "procedure", row.description),
        Field("date", "day", _iso(row.date), note=_DATE_NOTE),
        Field("time", "time", clock(row.time), note="14:30, or now"),
        Field("station_ae", "station", row.station_ae, note=_STATION_NOTE),
        Field("room", "room", row.room),
        Field("accession", "accession", row.accession),
        Field("priority", "priority", row.priority.upper() or "ROUTINE", choices=_PRIORITIES),
    ]
    before = {field.name: field.value for field in fields}
    checks: dict[str, Callable[[str], str]] = {
        "modality": _modality, "date": lambda text: parse_day(text, today), "time": lambda text: parse_time(text, now),
        "station_ae": _station,
    }  # fmt: skip
    known = {name: checks[name](value) if value and name in checks else value for name, value in before.items()}

    async def send(values: Values) -> str:
        changed = {name: value for name, value in values.items() if name != "patient" and value != known[name]}
        if not changed:
            return "nothing was changed"
        await app.client.worklist.change(id=row.id, **changed)
        return "changed: modalities see it with the next query"

    title = f"Change {safe(row.description, 40) or 'a worklist item'}"
    _open(app, StepForm(title, fields, _sender(app, checks, send), checks), done)


def set_state(app: ConsoleApp, row: StepRow, done: Done) -> None:
    """Ask where a step stands, and why that is set by hand."""
    if not app.allowed("worklist.set_state"):
        return
    here = row.state if row.state != "no images yet" else "completed"
    offered = [(name, does) for name, does in _TO_SET if name != here]
    fields = [
        Field("state", "it is", offered[0][0], choices=tuple(offered)),
        Field("why", "why", note="a few words; they stand in the history of the order"),
    ]
    intro = f"{safe(row.description, 80) or 'The step'} at {clock(row.time) or 'no time'} is {row.state} now."

    async def send(values: Values) -> str:
        await app.client.worklist.set_state(id=row.id, state=values["state"], why=values["why"])
        return f"it is {values['state']} now"

    _open(app, StepForm("Set where it stands", fields, send, {}, intro), done)


def cancel(app: ConsoleApp, row: StepRow, done: Done) -> None:
    """Ask why, and cancel a step."""
    if not app.allowed("worklist.cancel"):
        return
    if row.state in ("cancelled", "discontinued"):
        app.say(f"it is {row.state} already: s sets it to scheduled again", "warn")
        return
    intro = (
        f"{safe(row.description, 80) or 'The step'} of {app.privacy.name(row.patient_name)}: modalities do not see it "
        "any more. It stays in the list, and s brings it back."
    )

    def need(text: str) -> str:
        if not text.strip():
            raise PacsError("a reason is needed", "a few words; they stand in the history of the order")
        return text.strip()

    checks = {"why": need}
    fields = [Field("why", "why", note="a few words; they stand in the history of the order")]

    async def send(values: Values) -> str:
        await app.client.worklist.cancel(id=row.id, **values)
        return "cancelled: no modality sees it any more"

    form = StepForm("Cancel a worklist item", fields, _sender(app, checks, send), checks, intro)
    form.panel.foot = "Enter cancels it, esc leaves it as it is"
    _open(app, form, done)
