"""Audit messages keep to the schema of PS3.15 A.5.1 and to the tables of A.5.3, and carry any text."""

from __future__ import annotations

import re
from base64 import b64decode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes

from pacstui.audit.chain import Entry
from pacstui.audit.message import Teller, message
from pacstui.contract import IMPORT, all_actions

TELLER = Teller("Archive 1", "PACS", "pacs01")
FIELDS = ("kind", "outcome", "who", "how", "origin", "action", "target", "patient", "detail")

# The schema, transcribed: children in their order with how often, attributes with their values; ! is mandatory.
TOKEN, BOOLEAN, BASE64 = ".*", "true|false", r"[A-Za-z0-9+/]*={0,2}"
CODED = {"csd-code!": TOKEN, "codeSystemName!": TOKEN, "displayName": TOKEN, "originalText!": TOKEN}
SCHEMA: dict[str, tuple[str, dict[str, str]]] = {
    "AuditMessage": (
        "EventIdentification (ActiveParticipant )+AuditSourceIdentification (ParticipantObjectIdentification )*", {}
    ),
    "EventIdentification": (
        "EventID (EventTypeCode )*(EventOutcomeDescription )?",
        {"EventActionCode": "[CRUDE]", "EventOutcomeIndicator!": "0|4|8|12",
         "EventDateTime!": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"},
    ),
    "ActiveParticipant": (
        "(RoleIDCode )*(MediaIdentifier )?",
        {"UserID!": TOKEN, "AlternativeUserID": TOKEN, "UserName": TOKEN, "UserIsRequestor!": BOOLEAN,
         "NetworkAccessPointID": TOKEN, "NetworkAccessPointTypeCode": "[1-5]"},
    ),
    "MediaIdentifier": ("MediaType ", {}),
    "AuditSourceIdentification": (
        "(AuditSourceTypeCode )*", {"AuditEnterpriseSiteID": TOKEN, "AuditSourceID!": TOKEN}
    ),
    "AuditSourceTypeCode": ("", {"csd-code!": "[1-9]"}),
    "ParticipantObjectIdentification": (
        "ParticipantObjectIDTypeCode (ParticipantObjectName |ParticipantObjectQuery )(ParticipantObjectDetail )*",
        {"ParticipantObjectID!": TOKEN, "ParticipantObjectTypeCode": "[1-4]",
         "ParticipantObjectTypeCodeRole": "[1-9]|1[0-9]|2[0-6]"},
    ),
    "ParticipantObjectDetail": ("", {"type!": TOKEN, "value!": BASE64}),
    "EventID": ("", CODED),
    "EventTypeCode": ("", CODED),
    "RoleIDCode": ("", CODED),
    "MediaType": ("", CODED),
    "ParticipantObjectIDTypeCode": ("", CODED),
    "EventOutcomeDescription": ("", {}),
    "ParticipantObjectName": ("", {}),
    "ParticipantObjectQuery": ("", {}),
}  # fmt: skip


def check(element: ET.Element) -> None:
    """See that an element is as the schema says."""
    children, attributes = SCHEMA[element.tag]
    found = "".join(f"{child.tag} " for child in element)
    assert re.fullmatch(children, found), (element.tag, found)
    known = {name.rstrip("!"): (values, name.endswith("!")) for name, values in attributes.items()}
    assert set(element.attrib) <= set(known), (element.tag, element.attrib)
    for name, (values, mandatory) in known.items():
        value = element.get(name)
        assert value is not None or not mandatory, (element.tag, name)
        assert value is None or re.fullmatch(values, value, re.DOTALL), (element.tag, name, value)
    if element.tag == "ParticipantObjectQuery":
        assert re.fullmatch(BASE64, element.text or "")
    for child in element:
        check(child)


def entry(**given: str) -> Entry:
    usual = {"kind": "action", "outcome": "ok", "who": "eva", "how": "OS user", "origin": "eva, process 7"}
    values = dict.fromkeys(FIELDS, "") | usual | given
    return Entry(7, 1_767_225_600_000_000, **values)


def told(entry: Entry) -> ET.Element:
    root = ET.fromstring(message(entry, TELLER))
    check(root)
    return root


def codes_of(element: ET.Element, name: str) -> list[str]:
    return [each.get("csd-code", "") for each in element.iter(name)]


def participants(root: ET.Element) -> list[tuple[str, str, list[str]]]:
    return [
        (each.get("UserID", ""), each.get("UserIsRequestor", ""), codes_of(each, "RoleIDCode"))
        for each in root.iter("ActiveParticipant")
    ]


def objects(root: ET.Element) -> list[tuple[str, str, str, str]]:
    """Return type, role, kind of ID and ID of each."""
    return [
        (each.get("ParticipantObjectTypeCode", ""), each.get("ParticipantObjectTypeCodeRole", ""),
         *codes_of(each, "ParticipantObjectIDTypeCode"), each.get("ParticipantObjectID", ""))
        for each in root.iter("ParticipantObjectIdentification")
    ]  # type: ignore[misc]  # fmt: skip


def details(root: ET.Element) -> dict[str, str]:
    return {
        each.get("type", ""): b64decode(each.get("value", "")).decode()
        for each in root.iter("ParticipantObjectDetail")
    }  # fmt: skip


KINDS: list[tuple[dict[str, str], str, str, str, str]] = [
    ({"kind": "node", "action": "node.start", "who": "node", "how": ""}, "110100", "110120", "E", "0"),
    ({"kind": "node", "action": "node.stop", "who": "node", "how": ""}, "110100", "110121", "E", "0"),
    ({"action": "node.stop"}, "110100", "110121", "E", "0"),
    ({"kind": "sign-in"}, "110114", "110122", "E", "0"),
    ({"kind": "sign-in", "outcome": "failed", "detail": "wrong name or password"}, "110114", "110122", "E", "4"),
    ({"kind": "sign-in", "who": "scanner", "how": "DICOM", "origin": "192.0.2.7"}, "110114", "110122", "E", "0"),
    ({"kind": "sign-out"}, "110114", "110123", "E", "0"),
    ({"kind": "patients seen", "action": "studies.list", "target": "limit=100"}, "110112", "", "E", "0"),
    ({"kind": "patients seen", "action": "studies.show", "target": "1.2.840.1"}, "110103", "", "R", "0"),
    ({"kind": "patients seen", "action": "remote.compare", "target": "peer=B, study=1.2.3"}, "110103", "", "R", "0"),
    ({"kind": "patients seen", "action": "remote.find", "target": "peer=B, limit=9"}, "110112", "", "E", "0"),
    ({"kind": "patients seen", "action": "audit.list", "target": "limit=100"}, "110101", "", "R", "0"),
    ({"kind": "export", "how": "DICOM", "action": "dicom.C-GET", "target": "study=1.2.3, to=WS3"},
     "110104", "", "C", "0"),
    ({"kind": "export", "action": "audit.export_csv"}, "110101", "", "R", "0"),
    ({"kind": "export", "action": "accounts.export_csv"}, "110106", "", "R", "0"),
    ({"kind": "import", "action": "storage.import", "target": "/media/cd 1"}, "110107", "", "C", "0"),
    ({"action": "accounts.create", "target": "name=otto, role=viewer"}, "110113", "110137", "E", "0"),
    ({"action": "accounts.save_role", "target": "name=night"}, "110113", "110136", "E", "0"),
    ({"action": "accounts.delete", "outcome": "failed", "detail": "the last one"}, "110113", "110137", "E", "4"),
    ({"action": "peers.echo", "target": "CT 1"}, "110113", "110132", "E", "0"),
    ({"kind": "configuration", "action": "node.reload", "who": "node", "how": ""}, "110113", "110131", "E", "0"),
    ({"kind": "configuration", "action": "audit.retention", "who": "node", "how": ""}, "110113", "110129", "E", "0"),
    ({"kind": "denied", "outcome": "denied", "action": "node.stop"}, "110113", "110132", "E", "4"),
    ({"kind": "recovery", "action": "accounts.recover", "target": "eva"}, "110113", "110127", "E", "0"),
    ({"kind": "association refused", "outcome": "denied", "who": "CT1", "how": "DICOM", "origin": "192.0.2.7",
      "target": "PACS", "detail": "unknown caller"}, "110113", "110126", "E", "4"),
    ({"kind": "association refused", "outcome": "denied", "who": "CT1", "how": "DICOM", "origin": "",
      "target": "storage", "detail": "not allowed"}, "110113", "110126", "E", "4"),
    ({"kind": "of a later version", "outcome": "unheard of"}, "110113", "110132", "E", "8"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "event", "kind", "action", "outcome"), KINDS)
def test_each_kind_of_entry_is_an_event_of_the_standard(
    given: dict[str, str], event: str, kind: str, action: str, outcome: str
) -> None:
    root = told(entry(**given))
    about = root[0]
    assert codes_of(about, "EventID") == [event]
    assert codes_of(about, "EventTypeCode") == ([kind] if kind else [])
    assert (about.get("EventActionCode"), about.get("EventOutcomeIndicator")) == (action, outcome)
    assert about.get("EventDateTime") == "2026-01-01T00:00:00.000+00:00"
    assert [each[1] for each in participants(root)].count("true") == 1  # A.5.2: one requestor at most
    assert root.find("AuditSourceIdentification").attrib == {"AuditSourceID": "Archive 1"}  # type: ignore[union-attr]
    for each in root.iter("ActiveParticipant"):
        assert ("NetworkAccessPointID" in each.attrib) == ("NetworkAccessPointTypeCode" in each.attrib)


def test_every_code_is_one_of_the_standard_with_its_own_meaning() -> None:
    known = {
        "EventID": codes.cid400, "EventTypeCode": codes.cid403, "RoleIDCode": codes.cid402, "MediaType": codes.cid405,
        "ParticipantObjectIDTypeCode": codes.cid404,
    }  # fmt: skip
    found = set()
    for example, *_ in KINDS:
        for name, group in known.items():
            meanings = {code.value: code.meaning for code in group.concepts.values()}
            for each in told(entry(**example)).iter(name):
                if each.get("codeSystemName") == "DCM":
                    found.add(each.get("csd-code"))
                    assert meanings[each.get("csd-code", "")] == each.get("originalText")
                else:  # the values of A.5.1.2.4
                    expected = {"2": "Patient Number", "10": "Search Criteria", "12": "URI"}
                    assert (each.get("codeSystemName"), each.get("originalText")) == (
                        "RFC-3881", expected[each.get("csd-code", "")]
                    )  # fmt: skip
    assert len(found) > 20


@pytest.mark.parametrize("action", [*all_actions().values(), IMPORT], ids=lambda action: action.name)
def test_every_action_makes_a_valid_message(action: object) -> None:
    for kind in ("action", "patients seen", "denied"):
        told(entry(kind=kind, action=action.name, target="1.2.3", patient="müller"))  # type: ignore[attr-defined]


def test_who_did_it_and_the_node_take_part() -> None:
    root = told(entry(action="peers.echo", target="CT 1"))
    person, node = root.findall("ActiveParticipant")
    assert person.attrib == {
        "UserID": "eva@pacs01", "AlternativeUserID": "eva", "UserName": "eva (OS user, eva, process 7)",
        "UserIsRequestor": "true", "NetworkAccessPointID": "pacs01", "NetworkAccessPointTypeCode": "1",
    }  # fmt: skip
    assert node.attrib == {
        "UserID": "Archive 1", "AlternativeUserID": "AETITLES=PACS", "UserName": "pacstui",
        "UserIsRequestor": "false", "NetworkAccessPointID": "pacs01", "NetworkAccessPointTypeCode": "1",
    }  # fmt: skip
    assert codes_of(node, "RoleIDCode") == ["110150"]


def test_application_activity_has_the_application_and_who_stopped_it() -> None:
    own = told(entry(kind="node", action="node.stop", who="node", how="", detail="signal SIGTERM"))
    assert participants(own) == [("Archive 1", "true", ["110150"])]
    assert objects(own) == []
    assert own.findtext("EventIdentification/EventOutcomeDescription") == "node.stop; signal SIGTERM"
    by = told(entry(action="node.stop"))
    assert participants(by) == [("eva@pacs01", "true", ["110151"]), ("Archive 1", "false", ["110150"])]


def test_a_query_has_its_source_its_destination_and_its_words() -> None:
    root = told(entry(kind="patients seen", action="studies.list", target="limit=9", patient="müller & söhne"))
    assert participants(root) == [
        ("eva@pacs01", "true", ["110153"]), ("Archive 1", "false", ["110152", "110150"]),
    ]  # fmt: skip
    assert objects(root) == [("2", "3", "10", "studies.list")]
    assert details(root) == {}
    named = told(entry(kind="patients seen", action="studies.list", target="limit=9", patient="doe; ID P1, P2"))
    assert b64decode(named.findtext(".//ParticipantObjectQuery", "")).decode() == "doe; limit=9"
    assert details(named) == {"Patients": "P1, P2"}
    assert b64decode(root.findtext(".//ParticipantObjectQuery", "")).decode() == "müller & söhne; limit=9"
    remote = told(entry(kind="patients seen", action="remote.find", target="peer=ARCHIVE B, limit=9"))
    assert participants(remote) == [
        ("eva@pacs01", "true", []), ("Archive 1", "false", ["110153", "110150"]), ("ARCHIVE B", "false", ["110152"]),
    ]  # fmt: skip


def test_a_study_that_was_looked_at_is_named_by_its_uid() -> None:
    root = told(entry(kind="patients seen", action="studies.show", target="1.2.840.5"))
    assert objects(root) == [("2", "3", "110180", "1.2.840.5"), ("1", "1", "2", "(not recorded)")]
    root = told(entry(kind="patients seen", action="studies.show", target="1.2.840.5", patient="GRID; ID 7"))
    assert objects(root) == [("2", "3", "110180", "1.2.840.5"), ("1", "1", "2", "7")]
    root = told(entry(kind="patients seen", action="studies.show", target="1.2.840.5", patient="ID GRID 7"))
    assert objects(root)[1] == ("1", "1", "2", "GRID 7")


def test_what_a_device_fetched_names_study_patient_and_who_has_it_now() -> None:
    root = told(entry(kind="export", how="DICOM", who="WS3", origin="192.0.2.7", action="dicom.C-MOVE",
                      target="study=1.2.840.5, to=WS4", patient="ID P7"))  # fmt: skip
    assert objects(root) == [("2", "3", "110180", "1.2.840.5"), ("1", "1", "2", "P7")]
    assert participants(root) == [
        ("WS3@pacs01", "true", []), ("Archive 1", "false", ["110153", "110150"]), ("WS4", "false", ["110152"]),
    ]  # fmt: skip


def test_use_of_the_audit_log_names_the_log_and_what_was_looked_for() -> None:
    root = told(entry(kind="patients seen", action="audit.list", target="search=otto, limit=9"))
    assert objects(root) == [("2", "13", "12", "pacstui:audit")]
    assert root.findtext(".//ParticipantObjectName") == "Security Audit Log"
    assert details(root) == {"Target": "search=otto, limit=9"}


def test_export_and_import_have_their_media() -> None:
    root = told(entry(kind="export", action="accounts.export_csv"))
    assert participants(root) == [
        ("eva@pacs01", "true", ["110153"]), ("Archive 1", "false", ["110153", "110150"]),
        ("CSV file of accounts", "false", ["110154"]),
    ]  # fmt: skip
    root = told(entry(kind="import", action="storage.import", target="/media/cd 1"))
    assert participants(root) == [
        ("eva@pacs01", "true", ["110152"]), ("Archive 1", "false", ["110152", "110150"]),
        ("file:///media/cd%201", "false", ["110155"]),
    ]  # fmt: skip
    assert codes_of(root, "MediaType") == ["110037"]


def test_an_alert_about_a_caller_comes_from_the_node_and_is_about_the_caller() -> None:
    root = told(entry(kind="association refused", outcome="denied", who="CT1", how="DICOM", origin="192.0.2.7",
                      target="PACS", detail="unknown caller"))  # fmt: skip
    caller = root.find("ActiveParticipant")
    assert caller is not None
    assert caller.attrib == {
        "UserID": "CT1", "AlternativeUserID": "AETITLES=CT1", "UserIsRequestor": "false",
        "NetworkAccessPointID": "192.0.2.7", "NetworkAccessPointTypeCode": "2",
    }  # fmt: skip
    assert participants(root)[1] == ("Archive 1", "true", ["110150"])
    assert objects(root) == [("2", "13", "110182", "192.0.2.7")]
    assert details(root) == {"Alert Description": "PACS; unknown caller"}


def test_a_service_account_comes_from_its_address() -> None:
    root = told(entry(kind="sign-in", who="scanner", how="DICOM", origin="192.0.2.7", detail="as CT1"))
    account = root.find("ActiveParticipant")
    assert account is not None
    assert account.attrib == {
        "UserID": "scanner@pacs01", "UserName": "scanner (DICOM, 192.0.2.7)", "UserIsRequestor": "true",
        "NetworkAccessPointID": "192.0.2.7", "NetworkAccessPointTypeCode": "2",
    }  # fmt: skip
    assert root.findtext("EventIdentification/EventOutcomeDescription") == "as CT1"


def test_an_alert_about_an_action_names_its_object() -> None:
    root = told(entry(action="accounts.create", target="name=otto"))
    assert objects(root) == [("2", "13", "12", "pacstui:accounts/name%3Dotto")]
    assert root.findtext(".//ParticipantObjectName") == "name=otto"
    assert details(root) == {"Alert Description": "accounts.create; name=otto"}


def as_carried(text: str) -> str:
    """Return what XML 1.0 2.2 can carry of a text."""
    return "".join(c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd"
                   for c in text)  # fmt: skip


TEXT = st.text(max_size=40) | st.sampled_from(
    ["\r", "\r\n", "a\rb", "\t", " x ", "]]>", "&amp;", "<!--", "\x00\x1b[0m", "\ufffe\uffff", "\ud800", "\u2028",
     "\U0001f9d1"]
)  # fmt: skip


@given(given=st.fixed_dictionaries({name: TEXT for name in FIELDS if name != "kind"}),
       kind=st.sampled_from(sorted({example.get("kind", "action") for example, *_ in KINDS})))  # fmt: skip
def test_any_text_is_carried_as_far_as_xml_can(given: dict[str, str], kind: str) -> None:
    root = told(entry(**given, kind=kind))
    assert root.find("ActiveParticipant").get("UserID", "").startswith(as_carried(given["who"]))  # type: ignore[union-attr]
    assert all(each.get("UserID") for each in root.iter("ActiveParticipant"))
    description = root.findtext("EventIdentification/EventOutcomeDescription", "")
    assert description.endswith(as_carried(given["detail"]))
    named = root.findtext(".//ParticipantObjectName", "")
    if kind == "action" and given["target"]:
        assert named == as_carried(given["target"])
        whole = details(root)["Alert Description"].encode("utf-8", "replace")
        assert given["target"].encode("utf-8", "replace") in whole  # nothing is lost in here


@pytest.mark.parametrize("at", [-(1 << 62), 1 << 62, 0])
def test_a_time_that_is_none_keeps_no_message_back(at: int) -> None:
    root = ET.fromstring(message(Entry(1, at, *[""] * 9), TELLER))
    assert root[0].get("EventDateTime") == "1970-01-01T00:00:00.000+00:00"
