"""Entries as DICOM audit messages (PS3.15 A.5; codes of PS3.16 CID 400, 401, 402)."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

from pacstui.audit.chain import Entry

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Code = tuple[str, str]

ACTIVITY: Final = ("110100", "Application Activity")
LOG_USED: Final = ("110101", "Audit Log Used")
ACCESSED: Final = ("110103", "DICOM Instances Accessed")
EXPORT: Final = ("110106", "Export")
IMPORT: Final = ("110107", "Import")
QUERY: Final = ("110112", "Query")
ALERT: Final = ("110113", "Security Alert")
AUTHENTICATION: Final = ("110114", "User Authentication")

_START, _STOP = ("110120", "Application Start"), ("110121", "Application Stop")
_LOGIN, _LOGOUT = ("110122", "Login"), ("110123", "Logout")
_NODE, _OVERRIDE = ("110126", "Node Authentication"), ("110127", "Emergency Override Started")
_SECURITY, _SOFTWARE = ("110129", "Security Configuration"), ("110131", "Software Configuration")
_RESTRICTED, _ROLES = ("110132", "Use of Restricted Function"), ("110136", "Security Roles Changed")
_ATTRIBUTES = ("110137", "User security Attributes Changed")
_APPLICATION = ("110150", "Application")
_OUTCOMES = {"ok": "0", "denied": "4", "failed": "4"}


def classified(entry: Entry) -> tuple[Code, Code | None, str]:
    """Return event, event type and action code (C create, R read, U update, D delete, E execute) of an entry."""
    noun, _, method = entry.action.partition(".")
    match entry.kind:
        case "node":
            return ACTIVITY, _STOP if method == "stop" else _START, "E"
        case "sign-in":
            return AUTHENTICATION, _LOGIN, "E"
        case "sign-out":
            return AUTHENTICATION, _LOGOUT, "E"
        case "association refused":
            return ALERT, _NODE, "E"
        case "denied":
            return ALERT, _RESTRICTED, "E"
        case "recovery":
            return ALERT, _OVERRIDE, "E"
        case "configuration":
            return ALERT, _ATTRIBUTES if noun == "accounts" else _SECURITY, "U"
        case "import":
            return IMPORT, None, "C"
        case "export":
            return (LOG_USED if noun == "audit" else EXPORT), None, "R"
        case "patients seen":
            if noun == "audit":
                return LOG_USED, None, "R"
            return (ACCESSED, None, "R") if method == "show" else (QUERY, None, "E")
    if noun == "accounts":
        return ALERT, _ROLES if "role" in method else _ATTRIBUTES, "U"
    if entry.action == "node.stop":
        return ACTIVITY, _STOP, "E"
    return ALERT, _SOFTWARE if noun in ("node", "storage") else _RESTRICTED, "E"


def _clean(text: str) -> str:
    """Return text without what XML 1.0 cannot carry."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _code(parent: ET.Element, name: str, code: Code, system: str = "DCM") -> None:
    ET.SubElement(parent, name, {"csd-code": code[0], "codeSystemName": system, "originalText": code[1]})


def _attributes(**given: str) -> dict[str, str]:
    return {name: _clean(value) for name, value in given.items() if value}


def message(entry: Entry, source: str, host: str, pid: int) -> bytes:
    """Return an entry as the XML of an audit message, in UTF-8 without declaration.

    Parameters
    ----------
    source
        Audit Source ID; ``host`` and ``pid`` are the node's own.
    """
    event, kind, action = classified(entry)
    root = ET.Element("AuditMessage")
    at = datetime.fromtimestamp(entry.at / 1e6, UTC).isoformat(timespec="milliseconds")
    about = ET.SubElement(
        root, "EventIdentification",
        {"EventActionCode": action, "EventDateTime": at, "EventOutcomeIndicator": _OUTCOMES.get(entry.outcome, "8")},
    )  # fmt: skip
    _code(about, "EventID", event)
    if kind is not None:
        _code(about, "EventTypeCode", kind)
    told = "; ".join(text for text in (entry.action, entry.detail) if text)
    if told:
        ET.SubElement(about, "EventOutcomeDescription").text = _clean(told)
    own = event is ACTIVITY and entry.who == "node"
    if not own:
        where, network = entry.origin, entry.kind == "association refused"
        who = ET.SubElement(
            root, "ActiveParticipant",
            _attributes(
                UserID=entry.who or "(unknown)", AlternativeUserID="" if network else entry.origin,
                UserIsRequestor="true",
                NetworkAccessPointID=where if network else host, NetworkAccessPointTypeCode="2" if network else "1",
            ),
        )  # fmt: skip
        if entry.how:
            who.set("UserName", _clean(f"{entry.who} ({entry.how})"))
    node = ET.SubElement(
        root, "ActiveParticipant",
        _attributes(
            UserID=source, AlternativeUserID=str(pid), UserIsRequestor="true" if own else "false",
            NetworkAccessPointID=host, NetworkAccessPointTypeCode="1",
        ),
    )  # fmt: skip
    _code(node, "RoleIDCode", _APPLICATION)
    ET.SubElement(root, "AuditSourceIdentification", _attributes(AuditSourceID=source))
    if entry.target:
        thing = ET.SubElement(
            root, "ParticipantObjectIdentification",
            {**_attributes(ParticipantObjectID=entry.target), "ParticipantObjectTypeCode": "2",
             "ParticipantObjectTypeCodeRole": "3" if event is ACCESSED else "13"},
        )  # fmt: skip
        if event is ACCESSED:
            _code(thing, "ParticipantObjectIDTypeCode", ("110180", "Study Instance UID"))
        else:
            _code(thing, "ParticipantObjectIDTypeCode", ("12", "URI"), "RFC-3881")
        ET.SubElement(thing, "ParticipantObjectName").text = _clean(entry.target)
    if entry.patient:
        asked = ET.SubElement(
            root, "ParticipantObjectIdentification",
            {**_attributes(ParticipantObjectID=entry.action or "query"), "ParticipantObjectTypeCode": "2",
             "ParticipantObjectTypeCodeRole": "24"},
        )  # fmt: skip
        _code(asked, "ParticipantObjectIDTypeCode", ("10", "Search Criteria"), "RFC-3881")
        ET.SubElement(asked, "ParticipantObjectQuery").text = b64encode(entry.patient.encode("utf-8")).decode("ascii")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=False))
