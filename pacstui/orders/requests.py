"""What an order message asks for, read: ORM^O01, OMG^O19, OMI^O23 (HL7 v2.5 chapter 4).

Values are as they came, unescaped: empty where nothing is said, `NULL` where the value is to be deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pacstui.hl7v2.message import NULL, Message, Segment
from pacstui.hl7v2.outcome import DATA_TYPE, REQUIRED, Fault, Refused
from pacstui.orders import coding

# What ends a group: the segments before the first of them are of the patient.
_BEGIN: Final = ("ORC", "OBR")
# Diagnostic sections of HL7 table 0074 that are one modality, and those that could be any.
_SECTIONS: Final = {"NMR": "MR", "NMS": "NM", "RUS": "US", "CUS": "US", "OUS": "US", "VUS": "US",
                    "RAD": "", "RX": "", "IMG": "", "OTH": ""}  # fmt: skip
Code = tuple[str, str, str]
"""Code, scheme, meaning (CE)."""


@dataclass(frozen=True, slots=True)
class StepAsked:
    """A scheduled procedure step as an OBR or an IPC has it."""

    step_id: str = ""
    modality: str = ""
    station_ae: str = ""
    station_name: str = ""
    room: str = ""
    codes: tuple[Code, ...] = ()
    physician: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A requested procedure as a message has it. ``segment`` is its OBR, or its ORC where there is none; ``why`` is the
    reason of the order's control code (ORC-16); ``shared`` how many requests of the message have the same numbers;
    ``where`` says which ORC and OBR of the message are its."""

    segment: Segment
    control: str
    status: str
    placer: str = ""
    placer_issuer: str = ""
    filler: str = ""
    filler_issuer: str = ""
    accession: str = ""
    procedure_id: str = ""
    study: str = ""
    code: Code = ("", "", "")
    other: Code = ("", "", "")
    start: tuple[str, str] = ("", "")
    priority: str = ""
    referring: str = ""
    requesting: str = ""
    reason: str = ""
    steps: tuple[StepAsked, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    parent: str = ""
    why: str = ""
    shared: int = 1
    where: dict[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it says what is to be done, and not only with which order."""
        return self.segment.name == "OBR"


@dataclass(slots=True)
class _Group:
    orc: Segment | None
    obr: Segment | None = None
    ipcs: list[Segment] = field(default_factory=list)
    rest: list[Segment] = field(default_factory=list)
    where: dict[str, int] = field(default_factory=dict)

    def first(self, name: str) -> Segment | None:
        return next((each for each in self.rest if each.name == name), None)


def _groups(message: Message) -> Iterator[_Group]:
    """Take the message apart: an ORC with its OBR; an OBR without one goes with the ORC before."""
    group: _Group | None = None
    seen = {"ORC": 0, "OBR": 0}
    for segment in message.segments:
        if segment.name in seen:
            seen[segment.name] += 1
        if segment.name == "ORC":
            if group is not None:
                yield group
            group = _Group(segment, where=dict(seen))
        elif segment.name == "OBR":
            if group is None or group.obr is not None:
                orc = group.orc if group is not None else None
                if group is not None:
                    yield group
                group = _Group(orc)
            group.obr = segment
            group.where = dict(seen)
        elif group is not None:
            (group.ipcs if segment.name == "IPC" else group.rest).append(segment)
    if group is not None:
        yield group


def requests(message: Message, told: list[Fault]) -> list[Request]:
    """Return what a message asks for, in its order.

    OBRs with one Requested Procedure ID (OBR-19) are steps of one procedure; IPCs that name several are several. A ZDS
    for the last group alone is for all of them.

    Raises
    ------
    Refused
        When there is no order in it, or one of its values cannot be used.
    """
    found: list[Request] = []
    groups = list(_groups(message))
    if not groups:
        raise Refused(Fault("ORC", 0, REQUIRED, "there is no order in the message", "Send ORC and OBR"))
    with_uid = [group for group in groups if group.first("ZDS") is not None]
    common = with_uid[0].first("ZDS") if len(with_uid) == 1 and with_uid[0] is groups[-1] else None
    attending = message.first("PV1")
    for group in groups:
        for request in _of(group, attending, group.first("ZDS") or common, told):
            same = next((at for at, each in enumerate(found) if _one(each, request)), None)
            if same is None:
                found.append(request)
            else:
                found[same] = replace(found[same], steps=found[same].steps + request.steps)
    if any(request.control == "CH" for request in found):  # the children are done, and their parent by them
        found = [request for request in found if request.control != "PA"]
    counts: dict[tuple[str, str], int] = {}
    for request in found:
        key = (request.placer, request.filler)
        counts[key] = counts.get(key, 0) + 1
    if len(counts) == len(found):
        return found
    return [replace(request, shared=counts[request.placer, request.filler]) for request in found]


def _one(a: Request, b: Request) -> bool:
    return bool(a.procedure_id) and (a.procedure_id, a.accession, a.control) == (b.procedure_id, b.accession, b.control)


def _of(group: _Group, visit: Segment | None, zds: Segment | None, told: list[Fault]) -> Iterator[Request]:
    orc, obr = group.orc, group.obr
    segment = obr if obr is not None else orc
    assert segment is not None
    placer, placer_issuer = _number(obr, orc, 2)
    filler, filler_issuer = _number(obr, orc, 3)
    control = orc.value(1).strip().upper() if orc is not None else ""
    status = orc.value(5).strip().upper() if orc is not None else ""
    values: dict[str, Any] = {
        "placer": placer, "placer_issuer": placer_issuer, "filler": filler, "filler_issuer": filler_issuer,
        "start": _start(group, told), "priority": _priority(group), "requesting": _requesting(obr, orc, told),
        "referring": coding.staff(visit, 8, told) if visit is not None else "", "notes": _notes(group),
        "parent": coding.plain(orc.value(8)) if orc is not None else "", "where": group.where,
        "why": coding.plain(orc.value(16, 2)) or coding.plain(orc.value(16)) if orc is not None else "",
    }  # fmt: skip
    study = _uid(zds, 1, told) if zds is not None else ""
    if obr is None:
        yield Request(segment, control or "NW", status, study=study, **values)
        return
    other = _code(obr, 4, 4)
    values |= {"code": _code(obr, 4, 1), "other": other, "reason": _reason(obr)}
    physician = coding.staff(obr, 34, told)
    alternate = (other,) if other[0] else ()
    plain = StepAsked(obr.value(20), _modality(obr.value(24)), codes=alternate, physician=physician)
    accession, procedure = obr.value(18), obr.value(19)
    if not group.ipcs:
        yield Request(
            segment, control or "NW", status, accession=accession, procedure_id=procedure, study=study, steps=(plain,),
            **values,
        )  # fmt: skip
        return
    by_procedure: dict[tuple[str, str], list[Segment]] = {}
    for ipc in group.ipcs:
        by_procedure.setdefault((ipc.value(2), ipc.value(1)), []).append(ipc)
    for (of_procedure, of_accession), ipcs in by_procedure.items():
        yield Request(
            segment, control or "NW", status, accession=of_accession or accession,
            procedure_id=of_procedure or procedure, study=_uid(ipcs[0], 3, told) or study,
            steps=tuple(_step(ipc, plain) for ipc in ipcs), **values,
        )  # fmt: skip


def _modality(text: str) -> str:
    text = coding.plain(text).upper()
    return _SECTIONS.get(text, text)


def _number(obr: Segment | None, orc: Segment | None, field: int) -> tuple[str, str]:
    for segment in (obr, orc):
        if segment is not None and segment.value(field) not in ("", NULL):
            return coding.plain(segment.value(field)), coding.plain(segment.value(field, 2))
    return "", ""


def _code(segment: Segment, field: int, first: int, repetition: int = 1) -> Code:
    code, meaning, scheme = (segment.value(field, first + n, 1, repetition) for n in range(3))
    return coding.plain(code), coding.plain(scheme), coding.plain(meaning)


def _step(ipc: Segment, plain: StepAsked) -> StepAsked:
    codes = tuple(_code(ipc, 6, 1, r) for r in range(1, ipc.repetitions(6) + 1))
    return StepAsked(
        ipc.value(4) or plain.step_id, _modality(ipc.value(5)) or plain.modality, ipc.value(9),
        ipc.value(7), ipc.value(8, 2) or ipc.value(8), codes or plain.codes, plain.physician,
    )  # fmt: skip


def _uid(segment: Segment, field: int, told: list[Fault]) -> str:
    """Return a Study Instance UID.

    Raises
    ------
    Refused
        When it is none: a modality could do nothing with it.
    """
    text = segment.value(field).strip()
    if text in ("", NULL) or coding.uid(text):
        return "" if text == NULL else text
    raise Refused(
        Fault(
            segment.name,
            field,
            DATA_TYPE,
            f"{text[:30]} is no UID",
            "Digits with dots between, at most 64",
            component=1,
        )
    )


def _start(group: _Group, told: list[Fault]) -> tuple[str, str]:
    """Return when it is to begin: TQ1-7, ORC-7.4, OBR-27.4, OBR-36, OBR-6."""
    places = (
        (group.first("TQ1"), 7, 1), (group.orc, 7, 4), (group.obr, 27, 4), (group.obr, 36, 1), (group.obr, 6, 1),
    )  # fmt: skip
    for segment, number, component in places:
        text = segment.value(number, component) if segment is not None else ""
        if segment is None or text in ("", NULL):
            continue
        read = coding.moment(text)
        if read is not None:
            return read
        told.append(coding.at(segment, number, f"{text[:20]} is no date and time and was left out", component))
    return "", ""


def _priority(group: _Group) -> str:
    places = ((group.first("TQ1"), 9, 1), (group.orc, 7, 6), (group.obr, 27, 6), (group.obr, 5, 1))
    for segment, number, component in places:
        text = segment.value(number, component) if segment is not None else ""
        if text not in ("", NULL):
            return text
    return ""


def _requesting(obr: Segment | None, orc: Segment | None, told: list[Fault]) -> str:
    for segment, number in ((obr, 16), (orc, 12)):
        name = coding.staff(segment, number, told) if segment is not None else ""
        if name:
            return name
    return ""


def _reason(obr: Segment) -> str:
    if obr.value(31) == NULL:
        return NULL
    found = []
    for repetition in range(1, obr.repetitions(31) + 1):
        found.append(coding.plain(obr.value(31, 2, 1, repetition) or obr.value(31, 1, 1, repetition)))
    return "; ".join(each for each in found if each)


def _notes(group: _Group) -> dict[str, str]:
    """Return what else is said: comments (NTE), diagnoses (DG1), relevant information (OBR-13), danger code (OBR-12),
    transport (OBR-30), specimen or body site (OBR-15)."""
    notes = {
        "comments": [part for each in group.rest if each.name == "NTE" for part in _lines(each)],
        "diagnoses": [each.value(3, 2) or each.value(4) or each.value(3) for each in group.rest if each.name == "DG1"],
    }
    made = {key: "\n".join(part for part in parts if part) for key, parts in notes.items()}
    if group.obr is not None:
        for key, number in (("information", 13), ("danger", 12), ("transport", 30), ("site", 15)):
            made[key] = group.obr.value(number, 2) or group.obr.value(number)
    return {key: value for key, value in made.items() if value}


def _lines(segment: Segment) -> list[str]:
    return [segment.whole(3, repetition) for repetition in range(1, segment.repetitions(3) + 1)]
