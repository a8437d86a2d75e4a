"""Corrections of what belongs together: splitting, merging, moving series, and rejecting (IHE RAD TF-3 4.66)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from pacstui.contract.corrections import ChangeText
from pacstui.errors import BadRequest
from pacstui.index.redirects import followed, new_uid
from pacstui.qc import saying
from pacstui.qc.ledger import Ledger, Row
from pacstui.qc.plans import (
    Plan,
    Policy,
    Request,
    counted,
    doubts_of,
    images_of,
    renaming,
    sent_to,
    series_of,
    uids_of,
    visible,
    who,
)
from pacstui.qc.saying import COLUMNS, KEYWORDS, order_of, say_study, strange
from pacstui.text import person, plural, safe

REASONS: Final = {
    "quality": ("113001", "Rejected for Quality Reasons"),
    "safety": ("113037", "Rejected for Patient Safety Reasons"),
    "worklist": ("113038", "Incorrect Modality Worklist Entry"),
    "expired": ("113039", "Data Retention Policy Expired"),
}
"""Why something is rejected: our word, and the code of the note's document title (PS3.16 CID 7011)."""
QUALITY: Final = "quality"


def reason_of(word: str) -> str:
    """Return our word for a reason that is given by it, or by its code."""
    for known, (code, _) in REASONS.items():
        if word.strip().casefold() in (known, code):
            return known
    raise BadRequest(
        f"{safe(word, 32) or 'nothing'} is no reason to reject",
        "there are: " + ", ".join(f"{known} ({code} {name})" for known, (code, name) in REASONS.items()),
    )


def assign(connection: sqlite3.Connection, request: Request, policy: Policy) -> Plan:
    """Plan giving a study to an order, or to a patient; it gets the order's Study Instance UID where that is set."""
    plan = saying.assign(connection, request, policy)
    study = plan.study
    uid = saying.uid_of_order(connection, request, policy, study)
    if not uid:
        return plan
    plan.changes.append(ChangeText("study", "StudyInstanceUID", study["study"], uid))
    plan.new_uids = renaming(policy, True, False, plan.downstream)
    chosen = series_of(connection, study)
    new, paths = plan.says

    def steps(ledger: Ledger) -> None:
        made = beside(ledger, study, uid)
        ledger.redirect(study["study"], "", uid, "", plan.new_uids)
        ledger.redirect_away(study["study"], made, plan.new_uids, _told(study, made))
        _move_all(ledger, study, chosen, made, plan.new_uids)
        say_study(ledger, made["id"], new, paths)
        ledger.recount(study["id"])
        ledger.recount(made["id"])

    plan.steps = steps
    return plan


def split(connection: sqlite3.Connection, request: Request, policy: Policy) -> Plan:
    """Plan taking series out of a study into one of their own."""
    study = visible(connection, request.study)
    chosen = _chosen(connection, study, request)
    if len(chosen) == study["series"]:
        raise BadRequest("these are all series of the study", "assign or edit the study instead")
    new: dict[str, str] = {}
    paths: dict[str, str] = {}
    uid: str = ""
    to = "a study of its own"
    doubts: list[str] = []
    if request.order:
        order, owner = order_of(connection, request.order)
        now = {name: str(owner["name" if name == "patient_name" else name]) for name in COLUMNS}
        new = {KEYWORDS[name]: value for name, value in now.items()}
        for keyword, column in (("AccessionNumber", "accession"), ("StudyDescription", "description"),
                                ("ReferringPhysicianName", "referring")):  # fmt: skip
            new[keyword] = order[column]
        if order["procedure_id"]:
            paths["RequestAttributesSequence[0].RequestedProcedureID"] = order["procedure_id"]
        taken = connection.execute("SELECT 1 FROM studies WHERE study=?", (order["study"],)).fetchone()
        if order["study"] and taken is not None:
            raise BadRequest("the order has a study already", "move the series into that one")
        uid = str(order["study"])
        to = f"a study of {person(now['patient_name'])} ({safe(now['patient_id'], 64)}) for the order "
        to += safe(order["accession"] or str(order["id"]), 64)
        doubts = strange(now, study)
    plan = _moved(connection, request, policy, study, chosen, None)
    plan.sentence = f"Takes {counted(plan.series, plan.instances)} of {who(study)} out into {to}"
    plan.changes = [ChangeText("study", "StudyInstanceUID", study["study"], uid or "(a new one)")]
    for keyword, value in new.items():
        own = {"AccessionNumber": "accession", "StudyDescription": "description",
               "ReferringPhysicianName": "referring"}.get(keyword, "")  # fmt: skip
        old = str(study[own or next(name for name, known in KEYWORDS.items() if known == keyword)])
        if old != value:
            level = "study" if own else "patient"
            plan.changes.append(ChangeText(level, keyword, safe(old, 200), safe(value, 200)))
    plan.doubts += doubts
    plan.salient = [plan.salient, uid, sorted(new.items())]

    def steps(ledger: Ledger) -> None:
        made = beside(ledger, study, uid or new_uid())
        _move_all(ledger, study, chosen, made, plan.new_uids)
        if new or paths:
            say_study(ledger, made["id"], new, paths)
        ledger.recount(study["id"])
        ledger.recount(made["id"])

    plan.steps = steps
    return plan


def merge(connection: sqlite3.Connection, request: Request, policy: Policy) -> Plan:
    """Plan putting a study into another one of the same patient."""
    study, into = _two(connection, request)
    chosen = series_of(connection, study)
    plan = _moved(connection, request, policy, study, chosen, into)
    described = f" ({safe(into['description'], 64)})" if into["description"] else ""
    plan.sentence = (
        f"Puts the study of {who(study)} with {counted(plan.series, plan.instances)} into the one{described} with "
        f"{counted(into['series'], into['instances'])}"
    )
    plan.changes += _differences(study, into)

    def steps(ledger: Ledger) -> None:
        to = ledger.row("studies", into["id"])
        ledger.redirect(study["study"], "", into["study"], "", plan.new_uids)
        ledger.redirect_away(study["study"], to, plan.new_uids, _told(study, to))
        _move_all(ledger, study, chosen, to, plan.new_uids)
        ledger.pin_as(into["study"], study["study"])
        ledger.recount(into["id"])
        ledger.recount(study["id"])

    plan.steps = steps
    return plan


def move(connection: sqlite3.Connection, request: Request, policy: Policy) -> Plan:
    """Plan moving series into another study."""
    study, into = _two(connection, request, whole=False)
    chosen = _chosen(connection, study, request)
    if len(chosen) == study["series"]:
        raise BadRequest("these are all series of the study", "merge the study instead")
    plan = _moved(connection, request, policy, study, chosen, into)
    plan.sentence = (
        f"Moves {counted(plan.series, plan.instances)} of {who(study)} into the study of {who(into)} with "
        f"{counted(into['series'], into['instances'])}"
    )
    plan.changes += _differences(study, into)
    plan.doubts += strange({name: into[name] for name in COLUMNS}, study) if _whose(study) != _whose(into) else []

    def steps(ledger: Ledger) -> None:
        to = ledger.row("studies", into["id"])
        _move_all(ledger, study, chosen, to, plan.new_uids)
        ledger.recount(study["id"])
        ledger.recount(into["id"])

    plan.steps = steps
    return plan


def reject(connection: sqlite3.Connection, request: Request, policy: Policy) -> Plan:
    """Plan rejecting a study, some of its series, or some of its images."""
    study = visible(connection, request.study)
    reason = reason_of(request.reason)
    code, title = REASONS[reason]
    images = images_of(connection, study, request.images) if request.images else []
    chosen = series_of(connection, study, request.series)
    note = images_of(connection, study, (request.note,)) if request.note else []
    if images:
        whole = {row["series"] for row in images}
        chosen = [row for row in chosen if row["id"] in whole]
        if all(_whole(row, images) for row in chosen) and not request.exact:
            images = []  # all images of these series
    if not images and request.awaited:
        chosen = []
    plan = _moved(connection, request, policy, study, chosen, None, images)
    stays = reason == QUALITY and policy.show_rejected
    plan.new_uids = False
    plan.changes = []
    later = len(request.awaited)
    what = plural(len(images) or later, "image") if images or later else counted(plan.series, plan.instances)
    if not images and chosen and len(chosen) == study["series"]:
        what = f"the whole study, {what},"
    shown = "they stay in lists beside the note" if stays else "nobody finds or retrieves them any more until undone"
    when = ", when they come" if later and not images else ""
    plan.sentence = f"Rejects {what} of {who(study)}{when}: {title.lower()} ({code}); {shown}"
    if images and later:
        plan.sentence += f"; {later} more of the note had not come, and are rejected when they do"
    plan.rejects, plan.stays = reason, stays
    plan.salient = [plan.salient, reason, stays, [row["id"] for row in images]]

    def steps(ledger: Ledger) -> None:
        ledger.studies.add(study["study"])
        if stays:
            return
        made = beside(ledger, study, new_uid(), hidden=1)
        moved = [row for row in chosen if not images or (_whole(row, images) and not request.exact)]
        some = [each for each in images if each["series"] not in {row["id"] for row in moved}]
        for each in note:
            of = ledger.row("series", each["series"])
            if of["instances"] == 1:
                moved.append(of)
            else:
                some.append(each)
        if len(moved) == study["series"] and reason != QUALITY and not request.exact:
            ledger.redirect(study["study"], "", made["study"], "", False)
            ledger.redirect_away(study["study"], made, False, {})
        for row in moved:
            ledger.move(row, study, made, False, hide=True)
        for ident in dict.fromkeys(each["series"] for each in some):
            of_series = [each for each in some if each["series"] == ident]
            ledger.reject_images(of_series, study, ledger.row("series", ident), made)
        _await(ledger, request, study, made)
        patient = study["patient"]
        ledger.studies.add(made["study"])
        ledger.recount(made["id"])
        ledger.recount(study["id"])
        if ledger.connection.execute("SELECT 1 FROM patients WHERE id=?", (patient,)).fetchone():
            ledger.settle_patient(patient)

    plan.steps = steps
    return plan


def _await(ledger: Ledger, request: Request, study: Row, made: Row) -> None:
    """Let what a note names be rejected when it comes: each study's objects will lie in a hidden study of their own."""
    hidden = {study["study"]: str(made["study"])}
    for each in request.awaited:
        of = followed(ledger.connection, each.study, each.series).study
        aside = hidden.get(of) or hidden.setdefault(of, new_uid())
        ledger.await_image(each.sop_instance, of, each.series, aside, made["study"])
    ledger.studies |= set(hidden) | {each.study for each in request.awaited}


def _whole(series: Row, images: Sequence[Row]) -> bool:
    return bool(sum(each["series"] == series["id"] for each in images) == series["instances"])


def _whose(study: Row) -> tuple[str, str]:
    return study["patient_id"], study["issuer"]


def _chosen(connection: sqlite3.Connection, study: Row, request: Request) -> list[Row]:
    if not request.series:
        raise BadRequest("which series?", "choose some series of the study")
    return series_of(connection, study, request.series)


def _two(connection: sqlite3.Connection, request: Request, whole: bool = True) -> tuple[Row, Row]:
    study = visible(connection, request.study)
    if not request.into.strip():
        raise BadRequest("into which study?", "give the Study Instance UID of the other one")
    into = visible(connection, request.into.strip())
    if study["id"] == into["id"]:
        raise BadRequest("that is the same study", "give the Study Instance UID of the other one")
    if whole and (_whose(study) != _whose(into) or not study["patient_id"]):
        raise BadRequest(
            f"they are of different patients: {who(study)} and {who(into)}", "assign it to the right patient first"
        )
    return study, into


def _moved(
    connection: sqlite3.Connection, request: Request, policy: Policy, study: Row, chosen: Sequence[Row],
    into: Row | None, images: Sequence[Row] = (),
) -> Plan:  # fmt: skip
    """Return what the plans of moving have in common."""
    sent = sent_to(connection, study["study"], uids_of(connection, chosen, images))
    instances = len(images) or sum(row["instances"] for row in chosen)
    studies = [study["study"], *([into["study"]] if into is not None else [])]
    changes = []
    if into is not None:
        changes = [ChangeText("study", "StudyInstanceUID", study["study"], into["study"])]
    doubts = doubts_of(connection, study) + (doubts_of(connection, into) if into is not None else [])
    return Plan(
        request, study, "", changes, studies, len(chosen), instances, renaming(policy, True, False, sent), sent,
        list(dict.fromkeys(doubts)), of_series=tuple(row["id"] for row in chosen),
        of_images=tuple(row["sop_instance"] for row in images),
        salient=[[row["id"] for row in chosen], into["id"] if into is not None else 0],
    )  # fmt: skip


def beside(ledger: Ledger, study: Row, uid: str, hidden: int = 0) -> Row:
    """Make a study beside another, of the same patient, with nothing in it yet."""
    row = study | {
        "study": uid, "series": 0, "instances": 0, "bytes": 0, "modalities": "", "hidden": hidden, "conflict": "",
    }  # fmt: skip
    if hidden:
        row |= {"corrected": "", "identity": 0}
    made = ledger.row("studies", ledger.make("studies", row))
    for patient_id, issuer in ledger.connection.execute(
        "SELECT patient_id, issuer FROM former_identities WHERE study=?", (study["study"],)
    ).fetchall():
        ledger.former(uid, patient_id, issuer)
    if hidden:
        ledger.aside = uid
    else:
        ledger.former(uid, study["patient_id"], study["issuer"])
        ledger.pin_as(uid, study["study"])
    return made


def _move_all(ledger: Ledger, study: Row, chosen: Sequence[Row], to: Row, renames: bool) -> None:
    ledger.studies |= {study["study"], to["study"]}
    known = {(to["patient_id"], to["issuer"])}
    former = ledger.connection.execute(
        "SELECT patient_id, issuer FROM former_identities WHERE study=?", (study["study"],)
    ).fetchall()
    for patient_id, issuer in {_whose(study), *((each[0], each[1]) for each in former)} - known:
        ledger.former(to["study"], patient_id, issuer)
    told = _told(study, to)
    for row in chosen:
        ledger.move(row, study, to, renames)
        if told:
            _say(ledger, row["id"], told)
    calling = "\\".join(sorted({*to["calling"].split("\\"), *study["calling"].split("\\")} - {""}))
    if calling != to["calling"]:
        ledger.set("studies", to["id"], calling=calling)


_CARRIED: Final = (
    ("AccessionNumber", "accession"), ("StudyDescription", "description"), ("StudyID", "study_id"),
    ("StudyDate", "date"), ("StudyTime", "time"), ("ReferringPhysicianName", "referring"),
    ("InstitutionName", "institution"),
)  # fmt: skip


def _differences(study: Row, to: Row) -> list[ChangeText]:
    """Return what objects of one study will say otherwise as those of another."""
    pairs = (*((keyword, column) for column, keyword in KEYWORDS.items()), *_CARRIED)
    return [
        ChangeText(
            "patient" if column in KEYWORDS else "study", keyword, safe(study[column], 200), safe(to[column], 200)
        )
        for keyword, column in pairs if study[column] != to[column]
    ]  # fmt: skip


def _told(study: Row, to: Row) -> dict[str, str]:
    """Return what objects of one study have to say as those of another, where the two differ, or where the one says
    something else than its objects."""
    pairs = (*_CARRIED, *((keyword, column) for column, keyword in KEYWORDS.items()))
    said = json.loads(study["corrected"]) if study["corrected"] else {}
    differ = {keyword: str(to[column]) for keyword, column in pairs if study[column] != to[column] or keyword in said}
    if study["identity"]:
        differ |= {keyword: str(to[column]) for column, keyword in KEYWORDS.items()}
    if set(differ) & set(KEYWORDS.values()):
        differ |= {keyword: str(to[column]) for column, keyword in KEYWORDS.items()}
    return differ


def _say(ledger: Ledger, series: int, told: dict[str, str]) -> None:
    row = ledger.row("series", series)
    overlay = (json.loads(row["corrected"]) if row["corrected"] else {}) | told
    ledger.set("series", series, corrected=json.dumps(overlay, ensure_ascii=False))
