"""A scheduled procedure step as modalities are told of it: rows of steps, orders and persons as one item (PS3.4 Table
K.6-1), text by tag and sequences as lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pacstui.orders import keys

Item = Mapping[str, Any]
COLUMNS: Final = (
    "s.id, s.step_id, s.modality, s.station_ae, s.station_name, s.room, s.date, s.time, s.description, s.codes,"
    " s.physician, s.state, o.accession, o.procedure_id, o.study, o.priority, o.code, o.scheme, o.description,"
    " o.referring, o.requesting, o.reason, o.placer, o.filler, o.body, p.patient_id, p.issuer, p.name, p.birth_date,"
    " p.sex, p.body"
)
FROM: Final = ' FROM steps s JOIN orders o ON o.id = s."order" JOIN persons p ON p.id = o.person'


def item_of(row: tuple[Any, ...]) -> Item:
    """Return the item for a row of ``COLUMNS``."""
    (
        _id, step_id, modality, station_ae, station_name, room, date, time, description, codes, physician, state,
        accession, procedure_id, study, priority, code, scheme, procedure, referring, requesting, reason, placer,
        filler, order_body, patient_id, issuer, name, birth_date, sex, person_body,
    ) = row  # fmt: skip
    step = {
        "00080060": modality, "00400001": station_ae, "00400002": date, "00400003": time, "00400006": physician,
        "00400007": description or procedure, "00400008": codes_of(codes), "00400009": step_id,
        "00400010": station_name, "00400011": room, "00400020": keys.TERMS.get(state, ""),
    }  # fmt: skip
    return {
        "00080050": accession, "00080090": referring, "00100010": name, "00100020": patient_id, "00100021": issuer,
        "00100030": birth_date, "00100040": sex, "0020000D": study, "00321032": requesting,
        "00321060": procedure or description, "00321064": code_of(code, scheme, procedure), "00401001": procedure_id,
        "00401002": reason, "00401003": priority, "00402016": placer, "00402017": filler, "00400100": [step],
        **_of_person(person_body), **_of_order(order_body),
    }  # fmt: skip


def _of_person(text: str) -> dict[str, Any]:
    """Return what the body of a person has for modalities."""
    body = _json(text)
    if not body:
        return {}
    visit = body.get("visit")
    visit = visit if isinstance(visit, dict) else {}
    others = [each for each in body.get("other_ids") or () if isinstance(each, list) and len(each) > 1 and each[0]]
    return {
        "00101002": [{"00100020": str(each[0]), "00100021": str(each[1]), "00100022": "TEXT"} for each in others],
        "00101040": _text(body, "address"), "00102154": _text(body, "phone"), "00102000": _text(body, "alerts"),
        "00102110": _text(body, "allergies"), "001021C0": _text(body, "pregnancy"),
        "00101030": _text(body, "weight_kg"), "00101020": _text(body, "size_m"),
        "00380010": _text(visit, "number"), "00380300": _text(visit, "location"),
    }  # fmt: skip


def _of_order(text: str) -> dict[str, Any]:
    """Return what the body of an order has for modalities."""
    body = _json(text)
    return {
        tag: _text(body, name)
        for tag, name in (
            ("00401400", "comments"), ("00081080", "diagnoses"), ("001021B0", "information"), ("00401004", "transport"),
            ("00380500", "danger"),
        )
        if name in body
    }  # fmt: skip


def _text(body: Mapping[str, Any], name: str) -> str:
    """Return a value of a body as text, several ones after each other."""
    value = body.get(name, "")
    if isinstance(value, list):
        return "; ".join(str(each) for each in value if each)
    return "" if value is None or isinstance(value, dict) else str(value)


def _json(text: str) -> dict[str, Any]:
    if text == "{}":
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def codes_of(text: str) -> list[dict[str, str]]:
    """Return the items of a code sequence for the JSON of a step: lists of code, scheme and meaning."""
    if text == "[]":
        return []
    try:
        found: Iterable[Any] = json.loads(text)
    except ValueError:
        return []
    lists = (each for each in found if isinstance(each, list))
    return [one for each in lists for one in code_of(*(str(part) for part in [*each, "", "", ""][:3]))]


def code_of(value: str, scheme: str, meaning: str) -> list[dict[str, str]]:
    """Return the items of a sequence with one code, none where there is none (PS3.3 8.8)."""
    if not value:
        return []
    return [{"00080100": value, "00080102": scheme or "L", "00080104": meaning or value}]
