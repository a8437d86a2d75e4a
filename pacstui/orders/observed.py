"""What segments beside PID say of a patient that modalities want to know: AL1, OBX, PV1-15 (PS3.3 C.2.2 to C.2.4)."""

from __future__ import annotations

from typing import Any, Final

from pacstui.hl7v2.message import NULL, Message
from pacstui.orders import coding

_WEIGHT: Final = frozenset(("29463-7", "3141-9", "3142-7"))
_SIZE: Final = frozenset(("8302-2", "3137-7", "3138-5"))
_PREGNANCY: Final = frozenset(("82810-3", "11449-6"))
"""Codes of LOINC."""
_KILOGRAMS: Final = {"": 1.0, "KG": 1.0, "G": 0.001, "LB": 0.45359237, "[LB_AV]": 0.45359237}
_METRES: Final = {"": 0.01, "CM": 0.01, "M": 1.0, "MM": 0.001, "IN": 0.0254, "[IN_I]": 0.0254}
_STATUS: Final = {"LA15173-0": 3, "77386006": 3, "Y": 3, "LA26683-5": 1, "60001007": 1, "N": 1, "LA4489-6": 4, "U": 4}
"""Pregnancy Status (PS3.3 C.2.2.4): 1 not pregnant, 3 definitely pregnant, 4 unknown."""


def observe(message: Message, body: dict[str, Any]) -> None:
    """Write into a patient's ``body`` what a message says: allergies, contraindications, weight, size, pregnancy."""
    _allergies(message, body)
    visit = message.first("PV1")
    if visit is not None and visit.raw(15):  # ambulatory status, table 0009: B6 is pregnant
        codes = [visit.value(15, 1, 1, repetition) for repetition in range(1, visit.repetitions(15) + 1)]
        if "B6" in codes:
            body["pregnancy"] = 3
        elif codes == [NULL]:
            body.pop("pregnancy", None)
    for each in message.all("OBX"):
        code, value = each.value(3), each.value(5)
        for key, codes_of, units in (("weight_kg", _WEIGHT, _KILOGRAMS), ("size_m", _SIZE, _METRES)):
            if code in codes_of:
                _measure(body, key, value, units.get(each.value(6).upper()))
        if code in _PREGNANCY:
            status = _STATUS.get(value.upper())
            if status is not None:
                body["pregnancy"] = status
            elif value == NULL:
                body.pop("pregnancy", None)


def _allergies(message: Message, body: dict[str, Any]) -> None:
    """Take AL1: all of them are the list of now. Type MC is a contraindication (table 0127)."""
    said = [each for each in message.all("AL1") if each.raw(3)]
    if not said:
        return
    lists: dict[str, list[str]] = {"allergies": [], "alerts": []}
    for each in said:
        text = coding.plain(each.value(3, 2) or each.value(3))
        if text:
            lists["alerts" if each.value(2).upper() == "MC" else "allergies"].append(text)
    for key, texts in lists.items():
        if texts:
            body[key] = texts
        else:
            body.pop(key, None)


def _measure(body: dict[str, Any], key: str, value: str, factor: float | None) -> None:
    if value == NULL:
        body.pop(key, None)
        return
    try:
        number = float(value) * (factor or 0.0)
    except ValueError:
        return
    if 0.0 < number < 1000.0:
        body[key] = f"{number:.4g}"
