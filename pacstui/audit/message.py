"""Entries as DICOM audit messages: the schema of PS3.15 A.5.1, filled in as the tables of A.5.3 say.

Codes are those of PS3.16 CID 400 (events), 401 and 403 (their types), 402 (roles), 404 and 405. What the trail does not
hold is not made up.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

from pacstui.audit.chain import ID, Entry

Code = tuple[str, str]

ACTIVITY: Final = ("110100", "Application Activity")
LOG_USED: Final = ("110101", "Audit Log Used")
ACCESSED: Final = ("110103", "DICOM Instances Accessed")
TRANSFERRED: Final = ("110104", "DICOM Instances Transferred")
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
_ATTRIBUTES = ("110137", "User Security Attributes Changed")
_APPLICATION, _LAUNCHER = ("110150", "Application"), ("110151", "Application Launcher")
_DESTINATION, _SOURCE = ("110152", "Destination Role ID"), ("110153", "Source Role ID")
_TO_MEDIA, _FROM_MEDIA = ("110154", "Destination Media"), ("110155", "Source Media")
_STUDY, _NODE_ID, _URI_MEDIA = ("110180", "Study Instance UID"), ("110182", "Node ID"), ("110037", "URI")
_PATIENT, _CRITERIA, _URI = ("2", "Patient Number"), ("10", "Search Criteria"), ("12", "URI")

_OUTCOMES = {"ok": "0", "denied": "4", "failed": "4"}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TO = re.compile(r"\bto=(.+)$")
_UID = re.compile(r"(?:^|\bstudy=)([0-2](?:\.[0-9]+)+)(?=$|,)")
_PEER = re.compile(r"^peer=([^,]+)")


@dataclass(frozen=True, slots=True)
class Teller:
    """Who tells: ``source`` is the Audit Source ID, ``host`` the node's own name for itself on the network."""

    source: str
    ae_title: str
    host: str


def classified(entry: Entry) -> tuple[Code, Code | None, str]:
    """Return event, event type and action code (C create, R read, E execute) of an entry."""
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
        case "import":
            return IMPORT, None, "C"
        case "export":
            if entry.how == "DICOM":
                return TRANSFERRED, None, "C"
            return (LOG_USED if noun == "audit" else EXPORT), None, "R"
        case "patients seen":
            if noun == "audit":
                return LOG_USED, None, "R"
            return (ACCESSED, None, "R") if _study(entry) else (QUERY, None, "E")
    if noun == "accounts":
        return ALERT, _ROLES if "role" in method else _ATTRIBUTES, "E"
    if entry.kind == "configuration":
        return ALERT, _SOFTWARE if noun == "node" else _SECURITY, "E"
    return (ACTIVITY, _STOP, "E") if entry.action == "node.stop" else (ALERT, _RESTRICTED, "E")


def _study(entry: Entry) -> str:
    """Return the Study Instance UID that an entry is about, empty if about none."""
    found = _UID.search(entry.target)
    return found[1] if found else ""


def whom(entry: Entry) -> tuple[str, list[str]]:
    """Return what was searched for, and the IDs of the patients that an entry names."""
    if entry.patient.startswith(ID):
        return "", entry.patient.removeprefix(ID).split(", ")
    search, mark, named = entry.patient.partition(f"; {ID}")
    return search, named.split(", ") if mark else []


def _clean(text: str) -> str:
    """Return text without what XML 1.0 cannot carry."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _base64(text: str) -> str:
    return b64encode(text.encode("utf-8", "replace")).decode("ascii")


def _told(entry: Entry, *more: str) -> str:
    return "; ".join(text for text in (entry.action, *more, entry.detail) if text)


def _code(parent: ET.Element, name: str, code: Code) -> None:
    system = "DCM" if len(code[0]) == 6 else "RFC-3881"
    ET.SubElement(parent, name, {"csd-code": code[0], "codeSystemName": system, "originalText": code[1]})


def _participant(root: ET.Element, user: str, *roles: Code, asks: bool = False, media: bool = False,
                 alternative: str = "", name: str = "", where: str = "") -> None:  # fmt: skip
    given = {"UserID": _clean(user), "UserIsRequestor": "true" if asks else "false"}
    for key, value in (("AlternativeUserID", alternative), ("UserName", name), ("NetworkAccessPointID", where)):
        if value:
            given[key] = _clean(value)
    if where:
        given["NetworkAccessPointTypeCode"] = "2" if _is_address(where) else "1"
    element = ET.SubElement(root, "ActiveParticipant", given)
    for role in roles:
        _code(element, "RoleIDCode", role)
    if media:
        _code(ET.SubElement(element, "MediaIdentifier"), "MediaType", _URI_MEDIA)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _object(root: ET.Element, id_: str, kind: Code, role: str, *, type_: str = "2", name: str = "",
            query: str | None = None, **details: str) -> None:  # fmt: skip
    element = ET.SubElement(
        root, "ParticipantObjectIdentification",
        {"ParticipantObjectID": _clean(id_), "ParticipantObjectTypeCode": type_, "ParticipantObjectTypeCodeRole": role},
    )  # fmt: skip
    _code(element, "ParticipantObjectIDTypeCode", kind)
    if query is None:
        ET.SubElement(element, "ParticipantObjectName").text = _clean(name or id_)
    else:
        ET.SubElement(element, "ParticipantObjectQuery").text = _base64(query)
    for what, value in details.items():
        if value:
            about = {"type": what.replace("_", " "), "value": _base64(value)}
            ET.SubElement(element, "ParticipantObjectDetail", about)


def message(entry: Entry, teller: Teller) -> bytes:
    """Return an entry as the XML of an audit message, in UTF-8 without declaration."""
    event, kind, action = classified(entry)
    root = ET.Element("AuditMessage")
    about = ET.SubElement(
        root, "EventIdentification",
        {"EventActionCode": action, "EventDateTime": moment(entry.at).isoformat(timespec="milliseconds"),
         "EventOutcomeIndicator": _OUTCOMES.get(entry.outcome, "8")},
    )  # fmt: skip
    _code(about, "EventID", event)
    if kind is not None:
        _code(about, "EventTypeCode", kind)
    told = _told(entry, entry.target) if event in (ACTIVITY, AUTHENTICATION) else _told(entry)
    if told:
        ET.SubElement(about, "EventOutcomeDescription").text = _clean(told)
    _participants(root, entry, event, teller)
    source = ET.SubElement(root, "AuditSourceIdentification", {"AuditSourceID": _clean(teller.source)})
    ET.SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # application server: A.5.2 names it for a PACS
    _objects(root, entry, event, teller)
    # A carriage return in an element's text is the only character that is written raw and read as another.
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=False)).replace(b"\r", b"&#13;")


def moment(at: int) -> datetime:
    """Return microseconds since 1970 as UTC; 1970 for what is no time."""
    try:
        return datetime.fromtimestamp(at / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _participants(root: ET.Element, entry: Entry, event: Code, teller: Teller) -> None:
    """Add who did it, the node, and media.

    Of an alert about a caller the node is who reports, and the caller must not be the requestor (A.5.3.11); what a
    person was let do is reported by both.
    """
    own = entry.who == "node" and not entry.how
    reported = entry.kind in ("association refused", "denied")
    peer = _PEER.match(entry.target) if event is QUERY and entry.action.startswith("remote.") else None
    role, mine = {
        TRANSFERRED: ((), (_SOURCE,)), ACTIVITY: ((_LAUNCHER,), ()),
        EXPORT: ((_SOURCE,), (_SOURCE,)), IMPORT: ((_DESTINATION,), (_DESTINATION,)),
        QUERY: ((), (_SOURCE,)) if peer else ((_SOURCE,), (_DESTINATION,)),
    }.get(event, ((), ()))  # fmt: skip
    if entry.kind == "association refused":
        _participant(
            root,
            entry.who or "(unknown)",
            *role,
            asks=not reported,
            alternative=f"AETITLES={entry.who}",
            where=entry.origin,
        )
    elif not own:
        who, network = entry.who or "(unknown)", entry.how == "DICOM"  # a service account, by user identity
        _participant(
            root, who if "@" in who else f"{who}@{teller.host}", *role, asks=not reported,
            alternative="" if network else entry.origin.partition(", process ")[0],
            name=f"{who} ({', '.join(text for text in (entry.how, entry.origin) if text)})",
            where=(network and entry.origin) or teller.host,
        )  # fmt: skip
    _participant(
        root, teller.source, *mine, _APPLICATION, asks=own or reported, alternative=f"AETITLES={teller.ae_title}",
        name="pacstui", where=teller.host,
    )  # fmt: skip
    receiver = _TO.search(entry.target) if event is TRANSFERRED else None
    if peer:
        _participant(root, peer[1], _DESTINATION)
    elif event is TRANSFERRED:
        title = receiver[1] if receiver else "(unknown)"
        _participant(root, title, _DESTINATION, alternative=f"AETITLES={title}")
    elif event is EXPORT:
        _participant(root, f"CSV file of {entry.action.partition('.')[0]}", _TO_MEDIA, media=True)
    elif event is IMPORT:
        folder = entry.target or "(unknown)"
        _participant(root, f"file://{_quoted(folder)}" if folder[:1] == "/" else folder, _FROM_MEDIA, media=True)


def _quoted(text: str) -> str:
    return quote(text, errors="replace")


def _objects(root: ET.Element, entry: Entry, event: Code, teller: Teller) -> None:
    noun, study, (search, patients) = entry.action.partition(".")[0], _study(entry), whom(entry)
    if event is LOG_USED:
        _object(
            root, "pacstui:audit", _URI, "13", name="Security Audit Log",
            Target=entry.target, Search=search, Patients=", ".join(patients),
        )  # fmt: skip
    elif event in (ACCESSED, TRANSFERRED):
        _object(root, study or "(not recorded)", _STUDY, "3", Search=search)
        for patient in patients or ["(not recorded)"]:  # one is mandatory, and there are studies without
            _object(root, patient, _PATIENT, "1", type_="1")
    elif event is QUERY:
        query = "; ".join(text for text in (search, entry.target) if text)
        _object(root, entry.action or "(unknown)", _CRITERIA, "3", query=query, Patients=", ".join(patients))
    elif event is ALERT:
        alert = _told(entry, entry.target) or entry.kind
        if entry.kind == "association refused" and entry.origin:
            _object(root, entry.origin, _NODE_ID, "13", name=entry.who, Alert_Description=alert)
        else:
            what = f"pacstui:{_quoted(noun or entry.kind)}" + (f"/{_quoted(entry.target)}" if entry.target else "")
            _object(root, what, _URI, "13", name=entry.target or entry.action or entry.kind, Alert_Description=alert,
                    Search=entry.patient)  # fmt: skip


def shortened(entry: Entry) -> Entry:
    """Return an entry with the longest of its texts cut to half."""
    name = max(("target", "detail", "patient", "origin"), key=lambda each: len(getattr(entry, each)))
    text = getattr(entry, name)
    return replace(entry, **{name: text[: len(text) // 2] + "\N{HORIZONTAL ELLIPSIS}"})
