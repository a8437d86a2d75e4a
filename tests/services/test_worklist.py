"""The modality worklist as modalities see it: pynetdicom and findscu ask a node (PS3.4 K)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]

from pacstui.dicom import dataset as codec
from pacstui.dicom.dataset import DataSet, DataSetError, Element
from pacstui.dicom.syntaxes import BIG_ENDIAN, EXPLICIT, IMPLICIT
from pacstui.orders import keys
from pacstui.services.models import WrongIdentifier
from pacstui.services.worklist import answer, understand
from tests.interop import dcmtk
from tests.orders.rows import schedule
from tests.running import NodeProcess, running_node

TODAY = datetime.now().strftime("%Y%m%d")
LATER = (datetime.now() + timedelta(days=5)).strftime("%Y%m%d")

STEPS: tuple[dict[str, Any], ...] = (
    {"date": TODAY, "time": "080000", "p_name": "MÜLLER^ZOË", "codes": [["C1", "LOCAL", "CT thorax"]],
     "physician": "PERFORMER^ANY", "station_name": "ROOM A", "room": "R 101"},
    {"date": TODAY, "time": "1030", "modality": "MR", "station_ae": "MR1", "p_name": "Muster^Erika",
     "p_body": {"other_ids": [["OLD7", "ELSEWHERE", "MR"]], "allergies": ["latex"], "pregnancy": 4, "weight_kg": 70}},
    {"date": TODAY, "time": "113000", "modality": "MR", "station_ae": "", "o_study": "2.25.77"},
    {"date": TODAY, "time": "123000", "state": "completed"},
    {"date": TODAY, "time": "130000", "state": "cancelled"},
    {"date": TODAY, "time": "140000", "state": "in progress"},
    {"date": LATER, "time": "090000", "modality": "US", "station_ae": "US1\\US2", "p_patient_id": "P7"},
    {"date": "20250105", "time": "230000", "modality": "XA", "station_ae": "XA1"},
    {"date": "20250106", "time": "010000", "modality": "XA", "station_ae": "XA1"},
    {"date": "20250106", "time": "120000", "modality": "XA", "station_ae": "XA1"},
    {"date": "20250107", "time": "170000", "modality": "XA", "station_ae": "XA1"},
    {"date": "20250107", "time": "190000", "modality": "XA", "station_ae": "XA1"},
)  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("worklist"), 'unknown_allow = ["worklist", "echo"]\n') as running:
        schedule(running.data_dir, *STEPS)
        yield running


def asking(step: dict[str, Any] | None = None, **more: Any) -> Dataset:
    """Return an identifier with the usual return keys."""
    inner = Dataset()
    for keyword in ("Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate",
                    "ScheduledProcedureStepStartTime", "ScheduledPerformingPhysicianName",
                    "ScheduledProcedureStepDescription", "ScheduledProcedureStepID",
                    "ScheduledProcedureStepStatus"):  # fmt: skip
        setattr(inner, keyword, "")
    for keyword, value in (step or {}).items():
        setattr(inner, keyword, value)
    whole = Dataset()
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber", "RequestedProcedureID"):
        setattr(whole, keyword, "")
    whole.ScheduledProcedureStepSequence = [inner]
    for keyword, value in more.items():
        setattr(whole, keyword, value)
    return whole


def ask(node: NodeProcess, identifier: Dataset, calling: str = "CT1", syntax: str = EXPLICIT) -> list[Dataset]:
    """Return the answers; fails unless the end is success."""
    answers, statuses = found(node, identifier, calling, syntax)
    assert statuses[-1] == 0
    return answers


def found(
    node: NodeProcess, identifier: Dataset, calling: str = "CT1", syntax: str = EXPLICIT
) -> tuple[list[Dataset], list[int]]:
    entity = AE(calling)
    entity.add_requested_context(ModalityWorklistInformationFind, syntax)
    association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
    assert association.is_established
    answers, statuses = [], []
    for status, one in association.send_c_find(identifier, ModalityWorklistInformationFind):
        statuses.append(status.Status)
        if one is not None:
            answers.append(one)
    association.release()
    return answers, statuses


def ids(answers: list[Dataset]) -> list[str]:
    return [each.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID for each in answers]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_an_answer_has_what_was_asked_for_and_the_step_inside_its_sequence(node: NodeProcess, syntax: str) -> None:
    (row,) = ask(node, asking({"Modality": "CT", "ScheduledProcedureStepStatus": ""}, PatientName="müller*",
                              SpecificCharacterSet="ISO_IR 100"), syntax=syntax)  # fmt: skip
    (step,) = row.ScheduledProcedureStepSequence
    assert (row.PatientName, row.PatientID, row.AccessionNumber) == ("MÜLLER^ZOË", "P1", "A1")
    assert row.SpecificCharacterSet == "ISO_IR 100"
    assert row.StudyInstanceUID.startswith("2.25.")
    assert (step.Modality, step.ScheduledStationAETitle, step.ScheduledProcedureStepStartDate) == ("CT", "CT1", TODAY)
    assert (step.ScheduledProcedureStepStartTime, step.ScheduledPerformingPhysicianName) == ("080000", "PERFORMER^ANY")
    assert (step.ScheduledProcedureStepDescription, step.ScheduledProcedureStepStatus) == ("CT THORAX", "SCHEDULED")
    assert "Modality" not in row


def test_finished_steps_and_other_days_are_told_only_to_those_who_ask(node: NodeProcess) -> None:
    assert ids(ask(node, asking())) == ["S1", "S2", "S3", "S6"]
    assert ids(ask(node, asking({"ScheduledProcedureStepStatus": "COMPLETED"}))) == ["S4"]
    assert ids(ask(node, asking({"ScheduledProcedureStepStartDate": LATER}))) == ["S7"]
    assert ids(ask(node, asking(PatientID="P7"))) == ["S7"]


@pytest.mark.parametrize(
    ("inside", "outside", "expected"),
    [
        ({"Modality": "MR"}, {}, "S2 S3"),
        ({"ScheduledStationAETitle": "MR1"}, {}, "S2 S3"),
        ({"ScheduledStationAETitle": "US2", "ScheduledProcedureStepStartDate": LATER}, {}, "S7"),
        ({"ScheduledStationAETitle": "M*"}, {}, "S2 S3"),
        ({"ScheduledProcedureStepStartDate": TODAY, "ScheduledProcedureStepStartTime": "103000"}, {}, "S2"),
        ({"ScheduledProcedureStepStartTime": "1000-1200"}, {}, "S2 S3"),
        ({"ScheduledProcedureStepStartDate": "20250106"}, {}, "S9 S10"),
        ({"ScheduledProcedureStepStartDate": "20250106-20250107"}, {}, "S9 S10 S11 S12"),
        ({"ScheduledProcedureStepStartDate": "-20250106"}, {}, "S8 S9 S10"),
        # One period: from the first date's first time to the last date's last (K.6.1.2.2).
        ({"ScheduledProcedureStepStartDate": "20250105-20250107", "ScheduledProcedureStepStartTime": "100000-180000"},
         {}, "S8 S9 S10 S11"),
        ({"ScheduledProcedureStepStartDate": "20250107", "ScheduledProcedureStepStartTime": "100000-180000"}, {},
         "S11"),
        ({"ScheduledPerformingPhysicianName": "performer*"}, {}, "S1"),
        ({"ScheduledProcedureStepID": "S12"}, {}, "S12"),
        ({}, {"PatientName": "muster^erika"}, "S2"),
        ({}, {"PatientName": "*erik?"}, "S2"),
        ({}, {"PatientID": "p2"}, ""),
        ({}, {"PatientID": "P2", "IssuerOfPatientID": "TESTLAB"}, "S2"),
        ({}, {"PatientID": "P2", "IssuerOfPatientID": "OTHER"}, ""),
        ({}, {"AccessionNumber": "A3"}, "S3"),
        ({}, {"AccessionNumber": "A?"}, "S1 S2 S3 S6 S7"),
        ({}, {"AccessionNumber": "A9"}, "S9"),
        ({}, {"StudyInstanceUID": ["2.25.77", "2.25.78"]}, "S3"),
        ({}, {"RequestedProcedureID": "RP2"}, "S2"),
        ({}, {"PlacerOrderNumberImagingServiceRequest": "PL1"}, "S1"),
        ({"Modality": "NONE"}, {}, ""),
    ],
)  # fmt: skip
def test_every_key_matches(node: NodeProcess, inside: dict[str, Any], outside: dict[str, Any], expected: str) -> None:
    assert ids(ask(node, asking(inside, **outside))) == expected.split()


def test_keys_in_sequences_and_what_the_patient_has(node: NodeProcess) -> None:
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID = "OLD7", ""
    (row,) = ask(node, asking(OtherPatientIDsSequence=[other], Allergies="", PregnancyStatus=None, PatientWeight="",
                              MedicalAlerts="", RequestedProcedureCodeSequence=[]))  # fmt: skip
    assert row.PatientID == "P2"
    assert row.OtherPatientIDsSequence[0].IssuerOfPatientID == "ELSEWHERE"
    assert (row.Allergies, row.PregnancyStatus, str(row.PatientWeight)) == ("latex", 4, "70")
    assert "MedicalAlerts" in row and not row.MedicalAlerts
    assert row.RequestedProcedureCodeSequence[0].CodeMeaning == "THORAX"


def test_a_sequence_without_an_item_gets_all_that_is_known(node: NodeProcess) -> None:
    whole = asking(StudyInstanceUID="2.25.77")
    whole.ScheduledProcedureStepSequence = []
    (row,) = ask(node, whole)
    (step,) = row.ScheduledProcedureStepSequence
    assert (step.Modality, step.ScheduledProcedureStepID) == ("MR", "S3")


def test_keys_that_are_not_supported_are_told_by_the_status(node: NodeProcess) -> None:
    answers, statuses = found(node, asking({"AcquisitionProtocolDescription": ""}, PatientID="P1", PatientAge=""))
    assert statuses == [0xFF01, 0]
    assert "PatientAge" not in answers[0]


def test_what_can_be_done_anywhere_is_told_as_for_the_station_that_asks(node: NodeProcess) -> None:
    def stations(asked: str, calling: str) -> list[str]:
        rows = ask(node, asking({"ScheduledStationAETitle": asked}, StudyInstanceUID="2.25.77"), calling)
        return [row.ScheduledProcedureStepSequence[0].ScheduledStationAETitle for row in rows]

    assert (stations("", "MR9"), stations("MR1", "MR9"), stations("MR?", "MR8")) == (["MR9"], ["MR1"], ["MR8"])


def test_an_order_on_hold_is_not_told(node: NodeProcess) -> None:
    schedule(node.data_dir, {"date": TODAY, "o_body": '{"held":true}', "o_study": "2.25.78"}, first=300)
    schedule(node.data_dir, {"date": TODAY, "o_body": {"comments": ['"held":true']}, "o_study": "2.25.79"}, first=301)
    assert ids(ask(node, asking(StudyInstanceUID=["2.25.78", "2.25.79"]))) == ["S301"]


def test_two_items_in_a_key_are_refused(node: NodeProcess) -> None:
    whole = asking()
    whole.ScheduledProcedureStepSequence = [Dataset(), Dataset()]
    assert found(node, whole)[1] == [0xA900]


@dcmtk.needed
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["PatientName=*", "(0040,0100)[0].Modality=MR"], ["Muster^Erika", "TEST^NUMBER 3"]),
        (["SpecificCharacterSet=ISO_IR 192", "PatientName=m*"], ["Muster^Erika", "MÜLLER^ZOË"]),
        (["PatientName", "(0040,0100)[0].ScheduledProcedureStepStartDate=19990101-20000101"], []),
    ],
)
def test_findscu_gets_its_worklist(node: NodeProcess, keys: list[str], expected: list[str]) -> None:
    asked = [word for key in keys for word in ("-k", key)]
    ran = dcmtk.run("findscu", node.port, "-aet", "MR1", "-W", *asked)
    assert ran.code == 0
    names = [name.strip() for name in re.findall(r"PN \[([^\]]*\^[^\]]*)\]", ran.out)]
    assert sorted(names) == sorted(expected)


def test_a_caller_sees_its_own_station_where_that_is_wanted(tmp_path: Path) -> None:
    with running_node(tmp_path, "[worklist]\nonly_own_station = true\nhide = []\nmax_answers = 2\n") as own:
        schedule(own.data_dir, *STEPS)
        assert ids(ask(own, asking(), "MR1")) == ["S2", "S3"]
        assert ids(ask(own, asking({"ScheduledProcedureStepStartDate": LATER}), "US2")) == ["S7"]
        assert ids(ask(own, asking({"ScheduledProcedureStepStartDate": LATER}), "US")) == []
        answers, statuses = found(own, asking(), "CT1")
        assert len(answers) == 2
        assert statuses == [0xFF00, 0xFF00, 0xA700]


def test_a_cancelled_query_ends_as_cancelled(tmp_path: Path) -> None:
    with running_node(tmp_path) as own:
        schedule(own.data_dir, *({"date": TODAY} for _ in range(3000)))
        entity = AE("CT1")
        entity.add_requested_context(ModalityWorklistInformationFind)
        association = entity.associate("127.0.0.1", own.port, ae_title="PACS")
        answers = association.send_c_find(asking(), ModalityWorklistInformationFind, msg_id=7)
        next(iter(answers))
        threading.Thread(target=association.send_c_cancel, args=(7, None, ModalityWorklistInformationFind)).start()
        statuses = [status.Status for status, _ in answers]
        association.release()
        assert statuses[-1] in (0xFE00, 0)
        assert len(statuses) < 3001


ELEMENTS = st.tuples(
    st.one_of(st.sampled_from([*keys.KEYS, *keys.STEP_KEYS]), st.integers(0, 0xFFFFFFFF)),
    st.sampled_from(["SH", "LO", "PN", "DA", "TM", "UI", "CS", "AE", "US", "UN", "SQ"]),
    st.binary(max_size=40),
)


def built(elements: list[tuple[int, str, bytes]], inner: list[tuple[int, str, bytes]]) -> DataSet:
    made = DataSet({tag: Element(vr, value) for tag, vr, value in elements if vr != "SQ"})
    made.put_items(keys.STEP, [DataSet({tag: Element(vr, value) for tag, vr, value in inner if vr != "SQ"})])
    return made


@settings(max_examples=200, deadline=None)
@given(st.lists(ELEMENTS, max_size=8), st.lists(ELEMENTS, max_size=8))
def test_any_identifier_is_understood_or_refused(
    elements: list[tuple[int, str, bytes]], inner: list[tuple[int, str, bytes]]
) -> None:
    asked = understand(built(elements, inner))
    item = {"00100010": "ANY^ÖNE", "00400100": [{"00080060": "CT", "00400008": [{"00080100": "X"}]}]}
    for syntax in (EXPLICIT, IMPLICIT):
        codec.decode(answer(asked, item, syntax), syntax)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_understood_or_refused(data: bytes) -> None:
    try:
        understand(codec.decode(data, IMPLICIT))
    except (DataSetError, WrongIdentifier):
        pass
