"""Modalities that work by orders, against a worklist and MPPS SCP of pynetdicom, and the node's own receiver."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from pacstui.practice.booked import Booked, ByHand, patient_of
from pacstui.practice.devices import Habits, Site
from pacstui.practice.headers import MPPS, Equipment
from pacstui.practice.hospital import Hospital
from pacstui.practice.messages import Ordered, Who
from pacstui.practice.patients import register
from pacstui.practice.talking import WORKLIST, Item, Speaker, Unheard
from pacstui.practice.told import told
from tests.practice.conftest import Receiver

QUICK = {"first": 0.0, "gap": 0.0, "rest": (0.0, 0.0), "linger": 0.0}


def item(number: int, minutes: int = 0, **more: str) -> Dataset:
    """Return an answer of a worklist: an ultrasound of somebody, some minutes from now."""
    step = Dataset()
    start = datetime.now() + timedelta(minutes=minutes)
    step.ScheduledStationAETitle, step.Modality = "US4", "US"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = f"{start:%Y%m%d}", f"{start:%H%M%S}"
    step.ScheduledProcedureStepDescription, step.ScheduledProcedureStepID = "US RENAL", f"SPS{number}"
    answer = Dataset()
    answer.SpecificCharacterSet = "ISO_IR 192"
    answer.PatientName, answer.PatientID, answer.IssuerOfPatientID = more.get("name", "TESTER^ALPHA"), f"P{number}", "X"
    answer.PatientBirthDate, answer.PatientSex = "19700102", "F"
    answer.AccessionNumber, answer.StudyInstanceUID = f"A{number}", f"2.25.{number}"
    answer.RequestedProcedureID, answer.RequestedProcedureDescription = f"RP{number}", "US RENAL"
    answer.ReferringPhysicianName = "REFERRER^ONE"
    answer.ScheduledProcedureStepSequence = [step]
    return answer


class Desk:
    """Answers worklist queries and takes performed steps, as the archive does."""

    def __init__(self) -> None:
        self.items: list[Dataset] = []
        self.queries: list[Dataset] = []
        self.steps: dict[str, list[Dataset]] = {}
        self.fails = 0x0000
        self.port = 0

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.queries.append(event.identifier)
        for answer in self.items:
            yield 0xFF00, answer
        if self.fails:
            yield self.fails, None

    def create(self, event: evt.Event) -> tuple[int, Dataset]:
        self.steps[event.request.AffectedSOPInstanceUID] = [event.attribute_list]
        return self.fails, event.attribute_list

    def set(self, event: evt.Event) -> tuple[int, Dataset]:
        self.steps[event.request.RequestedSOPInstanceUID].append(event.modification_list)
        return self.fails, event.modification_list


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context(WORKLIST)
    entity.add_supported_context(MPPS)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False,
        evt_handlers=[(evt.EVT_C_FIND, made.find), (evt.EVT_N_CREATE, made.create), (evt.EVT_N_SET, made.set)],
    )  # fmt: skip
    made.port = server.server_address[1]
    yield made
    server.shutdown()


class Paper:
    """As much of a RIS as modalities see."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.sheets: list[Ordered] = []

    def begun(self, accession: str) -> None:
        self.began.append(accession)

    def on_paper(self, station: str) -> Ordered | None:
        return self.sheets.pop(0) if self.sheets else None

    def stranger(self) -> Who:
        return Who("TMP00001", "UNKNOWN^EMERGENCY 1", None, "O", "EMERGENCY")


def made_by(title: str, modality: str) -> Equipment:
    return Equipment(title, "PRACTICE", "M", "1", "1", title, f"OP^{modality}")


@contextmanager
def asked_elsewhere(device: Booked, port: int) -> Iterator[None]:
    """Let worklist and MPPS go to another port than the images."""
    title = device.equipment.ae_title
    device._speaker = lambda site: Speaker(title, "127.0.0.1", port, "ARCHIVE")  # type: ignore[method-assign]
    yield


async def worked(receiver: Receiver, device: Any, paper: Paper, enough: Any) -> Hospital:
    house = Hospital("127.0.0.1", receiver.port, "ARCHIVE", pace=50.0, seed=3, devices=(device,))
    site: Site = house._site
    object.__setattr__(site, "ris", paper)

    async def watch() -> None:
        while not enough(house):  # noqa: ASYNC110 - what is waited for happens in threads
            await asyncio.sleep(0.01)
        house.stop()

    watcher = asyncio.create_task(watch())
    try:
        await asyncio.wait_for(house.run(), 40)
    finally:
        watcher.cancel()
    return house


async def test_an_examination_from_the_worklist_to_the_end(receiver: Receiver, desk: Desk) -> None:
    desk.items = [item(1, name="MÜSTER^ÄNNE"), item(2, minutes=300)]
    device, paper = Booked(made_by("US4", "US"), Habits("US", **QUICK), 3), Paper()
    with asked_elsewhere(device, desk.port):
        house = await worked(receiver, device, paper, lambda h: "COMPLETED" in h.ledger.performed.values())
    query = desk.queries[0].ScheduledProcedureStepSequence[0]
    assert (query.ScheduledStationAETitle, query.Modality) == ("US4", "US")
    assert query.ScheduledProcedureStepStartDate == f"{datetime.now().date():%Y%m%d}"
    (steps,) = desk.steps.values()
    begun, ended = steps
    assert begun.PerformedProcedureStepStatus == "IN PROGRESS"
    assert str(begun.PatientName) == "MÜSTER^ÄNNE"
    scheduled = begun.ScheduledStepAttributesSequence[0]
    assert (scheduled.AccessionNumber, scheduled.ScheduledProcedureStepID) == ("A1", "SPS1")
    assert scheduled.StudyInstanceUID == "2.25.1"
    images = [i.ReferencedSOPInstanceUID for s in ended.PerformedSeriesSequence for i in s.ReferencedImageSequence]
    assert sorted(images) == sorted(uid for uid, _ in receiver.got)
    assert paper.began == ["A1"]
    report = house.report()
    assert report["faults"] == []
    assert report["answered_accessions"] == ["A1", "A2"]
    assert {entry["study"] for entry in report["instances"]} == {"2.25.1"}


async def test_a_lost_image_is_named_but_never_sent(receiver: Receiver, desk: Desk) -> None:
    desk.items = [item(1)]
    device = Booked(made_by("US4", "US"), Habits("US", **QUICK, loses_every=1), 3)
    with asked_elsewhere(device, desk.port):
        house = await worked(receiver, device, Paper(), lambda h: "COMPLETED" in h.ledger.performed.values())
    ((_, ended),) = desk.steps.values()
    named = [i.ReferencedSOPInstanceUID for s in ended.PerformedSeriesSequence for i in s.ReferencedImageSequence]
    assert len(named) == len(receiver.got) + 1
    assert house.report()["images_lost_at_the_modality"] == 1
    assert house.report()["sent"] == len(receiver.got)


async def test_a_patient_who_refuses_ends_it_with_a_reason(receiver: Receiver, desk: Desk) -> None:
    desk.items = [item(1)]
    device = Booked(made_by("US4", "US"), Habits("US", **QUICK, breaks_off_every=1), 3)
    with asked_elsewhere(device, desk.port):
        await worked(receiver, device, Paper(), lambda h: "DISCONTINUED" in h.ledger.performed.values())
    ((_, ended),) = desk.steps.values()
    assert ended.PerformedProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "110505"
    assert len(receiver.got) == 1


async def test_an_emergency_has_no_order(receiver: Receiver, desk: Desk) -> None:
    device, paper = Booked(made_by("CR3", "CR"), Habits("CR", **QUICK, emergency_every=1), 3), Paper()
    with asked_elsewhere(device, desk.port):
        house = await worked(receiver, device, paper, lambda h: "COMPLETED" in h.ledger.performed.values())
    begun = next(iter(desk.steps.values()))[0]
    assert begun.PatientID == "TMP00001"
    assert not begun.ScheduledStepAttributesSequence[0].AccessionNumber
    assert desk.queries == []
    assert house.report()["emergencies"] >= 1
    assert paper.began == []


def test_an_archive_without_these_services_says_so() -> None:
    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context("1.2.840.10008.1.1")
    server = entity.start_server(("127.0.0.1", 0), block=False)
    try:
        with pytest.raises(Unheard, match=r"offers no such service|rejected|not reached"):
            Speaker("US4", "127.0.0.1", server.server_address[1], "ARCHIVE").worklist("US", "20261128")
    finally:
        server.shutdown()


async def test_an_archive_that_fails_is_a_fault_of_the_modality(receiver: Receiver, desk: Desk) -> None:
    desk.fails = 0xA700
    device = Booked(made_by("US4", "US"), Habits("US", **QUICK), 3)
    with asked_elsewhere(device, desk.port):
        house = await worked(receiver, device, Paper(), lambda h: bool(h.ledger.report(1.0)["faults"]))
    assert house.report()["faults"][0]["text"] == "the worklist query was answered with A700"
    assert receiver.got == []


def test_a_failure_of_the_worklist_is_told_with_its_status(desk: Desk) -> None:
    desk.fails = 0xA700
    with pytest.raises(Unheard, match="answered with A700"):
        Speaker("US4", "127.0.0.1", desk.port, "ARCHIVE").worklist("US", "20261128")
    with pytest.raises(Unheard, match="not reached"):
        Speaker("US4", "127.0.0.1", 1, "ARCHIVE").worklist("US", "20261128")


async def test_what_is_typed_by_hand_has_no_order_and_a_slip(receiver: Receiver) -> None:
    who = Who("PRA012345", "TESTER^ALPHA", datetime.now().date() - timedelta(days=9000), "F")
    sheet = Ordered(
        who, "PL1", "FI1", "A1", "RP1", "SPS1", "2.25.7", "CTB01", "CT CHEST LOW DOSE", "CT", "OLDCT7", "Annex",
        datetime.now(), "ROUTINE", "",
    )  # fmt: skip
    paper = Paper()
    paper.sheets = [sheet]
    device = ByHand(made_by("OLDCT7", "CT"), Habits("CT", **QUICK), 3)
    house = await worked(receiver, device, paper, lambda h: len(receiver.got) > 10)
    report = house.report()
    assert report["typed_by_hand"] == 1
    assert "2.25.7" not in {entry["study"] for entry in report["instances"]}
    assert report["performed"] == {}


def test_a_patient_is_named_as_the_worklist_says() -> None:
    import random

    patients = register(random.Random(1), datetime.now().date())
    known = next(p for p in patients if p.charset)
    found = Item(known.name, known.patient_id, "", "", "F", "A1", "2.25.1", "", "", "", "", "")
    assert patient_of(found, patients, random.Random(1)).charset == known.charset
    changed = Item("ÄNDERUNG^X", known.patient_id, "", "19700101", "F", "A1", "2.25.1", "", "", "", "", "")
    made = patient_of(changed, patients, random.Random(1))
    assert (made.name, made.charset, made.girth) == ("ÄNDERUNG^X", ("ISO_IR 192",), known.girth)


# what the node kept of it


@pytest.fixture
async def kept() -> AsyncIterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE hl7_messages (control TEXT, answer TEXT, state TEXT);"
        "CREATE TABLE orders (accession TEXT, state TEXT);"
        "CREATE TABLE performed (sop_instance TEXT, state TEXT);"
        "CREATE TABLE persons (id INTEGER, patient_id TEXT, name TEXT, merged_into INTEGER);"
        "INSERT INTO hl7_messages VALUES ('C1', 'AA', 'done'), ('C2', 'AE', 'failed'), ('C1', 'AA', 'repeated');"
        "INSERT INTO orders VALUES ('A1', 'completed'), ('A2', 'cancelled');"
        "INSERT INTO performed VALUES ('2.25.1', 'COMPLETED'), ('2.25.2', 'COMPLETED');"
        "INSERT INTO persons VALUES (1, 'P1', 'TESTER^ALPHA', 0), (2, 'P2', 'OLD^NAME', 1);"
    )
    yield connection
    connection.close()


def ledger(**more: Any) -> dict[str, Any]:
    ris = {
        "messages": {"C1": {"kind": "ADT", "answer": "AA"}, "C2": {"kind": "ORM", "answer": "AE"}},
        "orders": {"A1": "ordered", "A2": "cancelled"}, "merged": {"P2": "P1"},
        "names": {"P1": "TESTER^ALPHA", "P2": "OTHER^NAME"},
    }  # fmt: skip
    report = {"ris": ris, "performed": {"2.25.1": "COMPLETED", "2.25.2": "IN PROGRESS"}, "answered_accessions": ["A1"]}
    for name, value in more.items():
        place = ris if name in ris else report
        place[name] = {**place[name], **value} if isinstance(value, dict) else value
    return report


async def test_a_node_that_kept_everything_has_no_difference(kept: sqlite3.Connection) -> None:
    around = told(kept, ledger())
    assert around.differences == ()
    assert (around.messages, around.orders, around.performed) == (2, 2, 2)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"messages": {"C3": {"kind": "ADT", "answer": "AA"}}}, "message C3: answered with AA, but not kept"),
        ({"messages": {"C2": {"kind": "ADT", "answer": "AA"}}}, "message C2: answered with AA, kept as AE"),
        ({"orders": {"A9": "ordered"}}, "order A9: accepted, but not there"),
        ({"orders": {"A1": "cancelled"}}, "order A1: cancelled, but the node says completed"),
        ({"orders": {"A2": "changed"}}, "order A2: changed, but the node says cancelled"),
        ({"answered_accessions": ["A7"]}, "order A7: on a worklist, but nobody placed it"),
        ({"performed": {"2.25.9": "COMPLETED"}}, "performed step 2.25.9: COMPLETED, but not there"),
        ({"performed": {"2.25.1": "DISCONTINUED"}}, "performed step 2.25.1: DISCONTINUED, but the node says COMPLETED"),
        ({"names": {"P1": "TESTER-TEST^ALPHA"}}, "patient P1: told as TESTER-TEST^ALPHA, kept as TESTER^ALPHA"),
        ({"merged": {"P1": "P5"}}, "patient P1: merged into P5, but the node says nobody"),
    ],
)
async def test_each_difference_is_named(kept: sqlite3.Connection, more: dict[str, Any], words: str) -> None:
    assert words in told(kept, ledger(**more)).differences
