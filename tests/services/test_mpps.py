"""Performed procedure steps as modalities tell them: pynetdicom talks to a node (PS3.4 F.7, F.8)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
)

from pacstui.dicom import dataset as codec
from pacstui.dicom.dataset import DataSet, DataSetError, Element
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.syntaxes import BIG_ENDIAN, EXPLICIT, IMPLICIT
from pacstui.orders import reading
from pacstui.orders.reading import WrongStep
from tests.orders.rows import schedule
from tests.running import NodeProcess, running_node, until

MPPS, RETRIEVE = ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("mpps")) as running:
        yield running


def begun(study: str = "", **more: Any) -> Dataset:
    """Return what a modality says when it begins."""
    item = Dataset()
    item.StudyInstanceUID = study or generate_uid()
    item.AccessionNumber = item.RequestedProcedureID = item.ScheduledProcedureStepID = ""
    item.ReferencedStudySequence = item.ScheduledProtocolCodeSequence = []
    ds = Dataset()
    ds.ScheduledStepAttributesSequence = [item]
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "TEST^NUMBER 1", "P1", "", ""
    ds.PerformedProcedureStepID, ds.PerformedStationAETitle, ds.Modality = "PPS1", "CT1", "CT"
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = "20250111", "120000"
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    ds.PerformedProcedureStepEndDate = ds.PerformedProcedureStepEndTime = ""
    ds.PerformedSeriesSequence = ds.PerformedProtocolCodeSequence = []
    for keyword, value in more.items():
        target = item if keyword in ("AccessionNumber", "ScheduledProcedureStepID", "RequestedProcedureID") else ds
        setattr(target, keyword, value)
    return ds


def ended(images: int = 3, state: str = "COMPLETED", **more: Any) -> Dataset:
    """Return what it says when it has done."""
    series = Dataset()
    series.SeriesInstanceUID, series.ProtocolName = generate_uid(), "THORAX"
    series.ReferencedImageSequence = []
    for _ in range(images):
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
        series.ReferencedImageSequence.append(one)
    ds = Dataset()
    ds.PerformedProcedureStepStatus = state
    ds.PerformedProcedureStepEndDate, ds.PerformedProcedureStepEndTime = "20250111", "121500"
    ds.PerformedSeriesSequence = [series]
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def without(ds: Dataset, keyword: str) -> Dataset:
    delattr(ds, keyword)
    return ds


class Modality:
    """An association of a modality; the statuses of what it says come back, ``answer`` is the last whole one."""

    def __init__(self, node: NodeProcess, calling: str = "CT1", syntax: str = EXPLICIT) -> None:
        entity = AE(calling)
        entity.add_requested_context(MPPS, syntax)
        entity.add_requested_context(RETRIEVE, syntax)
        self.answer = Dataset()
        handlers = [(evt.EVT_DIMSE_RECV, lambda event: setattr(self, "answer", event.message.command_set))]
        self.association = entity.associate("127.0.0.1", node.port, ae_title="PACS", evt_handlers=handlers)
        assert self.association.is_established

    def create(self, ds: Dataset | None, uid: str | None = None) -> Dataset:
        self._ready()
        return self.association.send_n_create(ds, MPPS, uid)[0]

    def set(self, ds: Dataset | None, uid: str) -> Dataset:
        self._ready()
        return self.association.send_n_set(ds, MPPS, uid)[0]

    def get(self, uid: str, tags: list[int]) -> tuple[Dataset, Dataset | None]:
        self._ready()
        return self.association.send_n_get(tags, RETRIEVE, uid)

    def _ready(self) -> None:
        """Wait until pynetdicom's reactor goes on after the request before: it would take the answer for itself."""
        until(lambda: not self.association._is_paused, step=0.001)

    def close(self) -> None:
        self.association.release()


@pytest.fixture
def modality(node: NodeProcess) -> Iterator[Modality]:
    one = Modality(node)
    yield one
    one.close()


def kept(node: NodeProcess, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(node.data_dir / "index.db", timeout=20)) as connection:
        return connection.execute(query, values).fetchall()


def test_a_step_goes_from_in_progress_to_its_end_and_stays_there(node: NodeProcess, modality: Modality) -> None:
    uid = generate_uid()
    assert modality.create(begun(), uid).Status == 0
    change = Dataset()
    change.PerformedProcedureStepDescription = "half done"
    assert modality.set(change, uid).Status == 0
    assert modality.set(ended(), uid).Status == 0
    for again in (ended(), ended(state="DISCONTINUED"), change):
        status = modality.set(again, uid)
        assert (status.Status, status.ErrorID) == (0x0110, 0xA710)
    assert kept(node, "SELECT state, images, started, ended FROM performed WHERE sop_instance = ?", uid) == [
        ("COMPLETED", 3, "20250111120000", "20250111121500")
    ]
    assert len(kept(node, "SELECT 1 FROM performed_messages m JOIN performed p ON p.id = m.performed"
                          " WHERE p.sop_instance = ?", uid)) == 3  # fmt: skip


def test_what_comes_twice_or_too_early_is_told_so(modality: Modality) -> None:
    uid = generate_uid()
    assert modality.set(ended(), uid).Status == 0x0112
    assert modality.create(begun(), uid).Status == 0
    assert modality.create(begun(), uid).Status == 0x0111
    assert modality.set(ended(), uid).Status == 0


def test_a_step_without_a_uid_gets_one(modality: Modality) -> None:
    assert modality.create(begun()).Status == 0
    assert modality.set(ended(), modality.answer.AffectedSOPInstanceUID).Status == 0


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (begun(PerformedProcedureStepStatus="COMPLETED"), 0x0106),
        (begun(PerformedProcedureStepStatus="DONE"), 0x0106),
        (begun(PerformedProcedureStepStartDate="yesterday"), 0x0106),
        (begun(PerformedProcedureStepID=""), 0x0121),
        (begun(ScheduledStepAttributesSequence=[]), 0x0121),
        (begun(ScheduledStepAttributesSequence=[Dataset()]), 0x0120),
        (without(begun(), "PerformedStationAETitle"), 0x0120),
        (without(begun(), "Modality"), 0x0120),
        (without(begun(), "ScheduledStepAttributesSequence"), 0x0120),
        (None, 0x0120),
    ],
)
def test_what_a_new_step_lacks_is_named(modality: Modality, data: Dataset | None, status: int) -> None:
    assert modality.create(data, generate_uid()).Status == status
    assert modality.answer.AttributeIdentifierList


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (ended(state="DONE"), 0x0106),
        (ended(PerformedProcedureStepEndTime="noon"), 0x0106),
        (without(ended(), "PerformedProcedureStepEndDate"), 0x0121),
        (ended(PerformedSeriesSequence=[]), 0x0121),
    ],
)
def test_what_the_end_lacks_is_named_and_the_step_goes_on(modality: Modality, data: Dataset, status: int) -> None:
    uid = generate_uid()
    modality.create(begun(), uid)
    assert modality.set(data, uid).Status == status
    assert modality.set(ended(), uid).Status == 0


def test_who_the_patient_is_cannot_be_changed_afterwards(modality: Modality) -> None:
    uid = generate_uid()
    modality.create(begun(), uid)
    status = modality.set(ended(PatientID="P2", PatientName="TEST^NUMBER 1"), uid)
    assert (status.Status, status.AttributeIdentifierList) == (0x0107, 0x00100020)
    status, told = modality.get(uid, [0x00100020, 0x00400252])
    assert told is not None
    assert (told.PatientID, told.PerformedProcedureStepStatus) == ("P1", "COMPLETED")


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_a_step_can_be_asked_for(node: NodeProcess, syntax: str) -> None:
    one = Modality(node, syntax=syntax)
    uid = generate_uid()
    one.create(begun(PatientName="MÜLLER^ZOË", SpecificCharacterSet="ISO_IR 100"), uid)
    one.set(ended(PerformedProcedureStepDescription="胸部", SpecificCharacterSet="ISO_IR 192"), uid)
    status, told = one.get(uid, [])
    assert status.Status == 0 and told is not None
    assert (told.PatientName, told.PerformedProcedureStepDescription) == ("MÜLLER^ZOË", "胸部")
    assert len(told.PerformedSeriesSequence[0].ReferencedImageSequence) == 3
    assert one.get(generate_uid(), [])[0].Status == 0x0112
    one.close()


def states(node: NodeProcess, *steps: int) -> list[str]:
    marks = ",".join("?" * len(steps))
    return [row[0] for row in kept(node, f"SELECT state FROM steps WHERE id IN ({marks}) ORDER BY id", *steps)]


def test_the_scheduled_step_and_its_order_follow(node: NodeProcess, modality: Modality) -> None:
    study = generate_uid()
    (step,) = schedule(node.data_dir, {"o_study": study}, first=100)
    uid = generate_uid()
    modality.create(begun(study), uid)
    assert states(node, step) == ["in progress"]
    modality.set(ended(), uid)
    assert states(node, step) == ["completed"]
    ((state, body),) = kept(
        node, 'SELECT o.state, o.body FROM orders o JOIN steps s ON s."order" = o.id WHERE s.id = ?', step
    )
    assert state == "completed"
    assert "begun, says CT1" in body and "completed, says CT1" in body


def test_one_performed_step_may_be_of_several_scheduled_ones(node: NodeProcess, modality: Modality) -> None:
    study, other = generate_uid(), generate_uid()
    first, second = schedule(node.data_dir, {"o_study": study}, {"o_study": other}, first=110)
    ds = begun(study)
    more = Dataset()
    more.StudyInstanceUID, more.ScheduledProcedureStepID = other, "S111"
    ds.ScheduledStepAttributesSequence.append(more)
    uid = generate_uid()
    modality.create(ds, uid)
    assert states(node, first, second) == ["in progress", "in progress"]
    modality.set(ended(state="DISCONTINUED"), uid)
    assert states(node, first, second) == ["discontinued", "discontinued"]


def test_a_step_done_in_two_parts_is_completed_when_the_last_ends(node: NodeProcess, modality: Modality) -> None:
    study = generate_uid()
    (step,) = schedule(node.data_dir, {"o_study": study}, first=120)
    first, second = generate_uid(), generate_uid()
    modality.create(begun(study), first)
    modality.set(ended(state="DISCONTINUED"), first)
    assert states(node, step) == ["discontinued"]
    modality.create(begun(study), second)
    assert states(node, step) == ["in progress"]
    modality.set(ended(), second)
    assert states(node, step) == ["completed"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"AccessionNumber": "A130", "PatientID": "P130"}, "in progress"),
        ({"AccessionNumber": "A130", "PatientID": "P1"}, "scheduled"),
        ({"ScheduledProcedureStepID": "S130", "PatientID": "P130"}, "in progress"),
        ({"ScheduledProcedureStepID": "S130", "PatientID": "P1"}, "scheduled"),
    ],
)
def test_without_the_ordered_study_the_same_patient_has_to_be_meant(
    tmp_path: Path, more: dict[str, str], expected: str
) -> None:
    with running_node(tmp_path) as own:
        (step,) = schedule(own.data_dir, {}, first=130)
        one = Modality(own)
        assert one.create(begun(**more), generate_uid()).Status == 0
        one.close()
        assert states(own, step) == [expected]


def test_what_was_acknowledged_is_there_after_a_crash(tmp_path: Path) -> None:
    own = NodeProcess(tmp_path)
    own.start()
    one = Modality(own)
    uid = generate_uid()
    assert one.create(begun(), uid).Status == 0
    own.kill()
    own.start()
    two = Modality(own)
    assert two.set(ended(), uid).Status == 0
    two.close()
    own.stop()


def test_ten_thousand_references_are_taken(node: NodeProcess, modality: Modality) -> None:
    uid = generate_uid()
    modality.create(begun(), uid)
    assert modality.set(ended(10_000), uid).Status == 0
    assert kept(node, "SELECT images FROM performed WHERE sop_instance = ?", uid) == [(10_000,)]


def test_a_caller_who_may_not_is_told_why(tmp_path: Path) -> None:
    with running_node(tmp_path, 'unknown_allow = ["echo", "store"]\n') as own:
        entity = AE("CT1")
        entity.add_requested_context(MPPS)
        association = entity.associate("127.0.0.1", own.port, ae_title="PACS")
        assert not association.accepted_contexts
        association.abort()
        told = [row["text"] for row in own.call("feed", "list")]
        assert any("may not tell of performed procedure steps" in text for text in told)


def nested(depth: int) -> Dataset:
    ds = begun()
    inner = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.PerformedProtocolCodeSequence = [inner]
        inner = outer
    ds.PerformedProtocolCodeSequence = [inner]
    return ds


def test_an_attackers_steps_get_an_answer_and_the_node_goes_on(node: NodeProcess, modality: Modality) -> None:
    assert modality.create(nested(200), generate_uid()).Status == 0x0110
    many = begun()
    many.ScheduledStepAttributesSequence = [begun().ScheduledStepAttributesSequence[0] for _ in range(5000)]
    assert modality.create(many, generate_uid()).Status == 0
    series = []
    for _ in range(3000):
        one = Dataset()
        one.SeriesInstanceUID = generate_uid()
        one.ReferencedImageSequence = [Dataset(), Dataset()]
        series.append(one)
    uid = generate_uid()
    modality.create(begun(PatientName="\x1b[2J" + "X" * 60, StudyID="9" * 16), uid)
    assert modality.set(ended(PerformedSeriesSequence=series), uid).Status == 0
    row = node.call("worklist", "performed", day="all")[0]
    assert (row["expected"], row["received"]) == (6000, 0)
    assert "\x1b" not in row["patient_name"]


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\x08\x00\x60\x00CS\xff\xff", bytes(range(256))])
def test_bytes_that_are_no_step_are_refused(node: NodeProcess, data: bytes) -> None:
    async def ask() -> list[int]:
        statuses = []
        async with associate(
            "127.0.0.1", node.port, called="PACS", calling="CT1", contexts=[(MPPS, [EXPLICIT])]
        ) as association:
            uid = generate_uid()
            for field, names in (
                (Field.N_CREATE, {"affected_sop_class": MPPS, "affected_sop_instance": uid}),
                (Field.N_CREATE, {"affected_sop_class": MPPS, "affected_sop_instance": "1.2.x"}),
                (Field.N_SET, {"requested_sop_class": MPPS, "requested_sop_instance": uid}),
                (Field.N_SET, {"requested_sop_class": MPPS}),
                (Field.N_CREATE, {"affected_sop_class": "1.2.3", "affected_sop_instance": uid}),
                (Field.N_ACTION, {"requested_sop_class": MPPS, "requested_sop_instance": uid, "action_type": 1}),
            ):
                exchange = await association.request(MPPS, field, data, **names)
                statuses.append((await exchange.final()).status)
        return statuses

    create, invalid, *rest = asyncio.run(ask())
    assert create in (0x0110, 0x0120)
    assert invalid == 0x0117
    assert rest[1:] == [0x0112, 0x0118, 0x0211]


TAGS = [*reading.NEEDED, *reading.NEEDED_LAST, *reading.FIXED, 0x00080005, 0x00400281, 0x00400280]
VALUES = st.tuples(st.sampled_from(["SH", "LO", "PN", "DA", "TM", "UI", "CS", "US"]), st.binary(max_size=30))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(TAGS), VALUES, max_size=12))
def test_whatever_is_said_is_read_or_refused(elements: dict[int, tuple[str, bytes]]) -> None:
    data = DataSet({tag: Element(vr, value) for tag, (vr, value) in elements.items()})
    for check in (reading.check_new, reading.check_change, reading.check_final):
        try:
            check(data)
        except WrongStep:
            continue
    whole, _ = reading.merged(codec.decode(codec.encode(data, EXPLICIT), EXPLICIT), data)
    reading.read(whole)
    reading.decode(reading.encode(whole, BIG_ENDIAN), BIG_ENDIAN)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = reading.decode(data, IMPLICIT)
    except DataSetError:
        return
    reading.read(found)
