"""C-FIND as others see it: DCMTK's findscu and pynetdicom ask a node (PS3.4 C.4.1)."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    PatientStudyOnlyQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from pacstui.db import Database
from pacstui.dicom import dataset
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.requestor import associate
from pacstui.index.attributes import ATTRIBUTES
from pacstui.index.find import Query
from pacstui.services.query import Answers, Asked, QueryService
from tests.archive.objects import EXPLICIT, Object
from tests.dicom.serving import serving
from tests.index.test_find import fill
from tests.running import NodeProcess, running_node

PATIENT_ROOT = PatientRootQueryRetrieveInformationModelFind
STUDY_ROOT = StudyRootQueryRetrieveInformationModelFind
PATIENT_STUDY = PatientStudyOnlyQueryRetrieveInformationModelFind


def ask(**keys: Any) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = keys.pop("level", "STUDY")
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


class Asking:
    """An association for queries."""

    def __init__(self, port: int, model: str = STUDY_ROOT, syntax: str = EXPLICIT, options: bytes = b"") -> None:
        entity = AE("ASKER")
        entity.add_requested_context(model, syntax)
        more = []
        if options:
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid = model
            item.service_class_application_information = options
            more = [item]
        self.model = model
        self.association = entity.associate("127.0.0.1", port, ae_title="PACS", ext_neg=more)
        assert self.association.is_established

    def find(self, identifier: Dataset) -> tuple[list[Dataset], list[int], Dataset]:
        """Return the answers, their statuses and the last response."""
        answers, statuses = [], []
        last = Dataset()
        for status, answer in self.association.send_c_find(identifier, self.model):
            if status.Status in (0xFF00, 0xFF01):
                answers.append(answer)
                statuses.append(status.Status)
            last = status
        return answers, statuses, last

    def close(self) -> None:
        self.association.release()


@contextlib.contextmanager
def asking(port: int, model: str = STUDY_ROOT, **more: Any) -> Iterator[Asking]:
    opened = Asking(port, model, **more)
    try:
        yield opened
    finally:
        opened.close()


def keep(node: NodeProcess, *things: Object) -> None:
    """Store objects as a modality would."""
    from pydicom import dcmread
    from pydicom.filebase import DicomBytesIO

    entity = AE("CT1")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.7", EXPLICIT)
    association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
    assert association.is_established
    for thing in things:
        ds = dcmread(DicomBytesIO(thing.encode()), force=True)
        ds.file_meta = Dataset()  # type: ignore[assignment]
        ds.file_meta.TransferSyntaxUID = EXPLICIT
        ds.set_original_encoding(False, True)
        assert association.send_c_store(ds).Status == 0
    association.release()


FIRST = Object(patient="P1", name="DOE^JANE", description="CHEST")
SECOND = FIRST.beside(number="2")
OTHER = Object({0x00100030: ("DA", "19700102")}, patient="P2", name="M\u00dcLLER^ERIKA", accession="A2", modality="MR")
JAPANESE = Object(patient="P3", name="YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("query") / "node") as running:
        keep(running, FIRST, SECOND, OTHER, JAPANESE)
        yield running


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_a_study_with_everything_that_is_supported(node: NodeProcess, syntax: str) -> None:
    keys = dict.fromkeys(
        ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription", "PatientName", "PatientBirthDate",
         "PatientSex", "ReferringPhysicianName", "InstitutionName", "ModalitiesInStudy", "SOPClassesInStudy",
         "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "InstanceAvailability", "RetrieveAETitle"), "",
    )  # fmt: skip
    with asking(node.port, syntax=syntax) as caller:
        (answer,), statuses, last = caller.find(ask(StudyInstanceUID=FIRST.study, PatientID="", **keys))
    assert (statuses, last.Status) == ([0xFF00], 0)
    assert {element.keyword for element in answer} == {*keys, "StudyInstanceUID", "PatientID", "QueryRetrieveLevel"}
    assert answer.StudyInstanceUID == FIRST.study
    assert (answer.PatientID, answer.PatientName, answer.StudyDescription) == ("P1", "DOE^JANE", "CHEST")
    assert (answer.NumberOfStudyRelatedSeries, answer.NumberOfStudyRelatedInstances) == (1, 2)
    assert (answer.ModalitiesInStudy, answer.InstanceAvailability, answer.RetrieveAETitle) == ("OT", "ONLINE", "PACS")
    assert answer.SOPClassesInStudy == "1.2.840.10008.5.1.4.1.1.7"
    assert (answer.InstitutionName, answer.PatientSex) == ("", "")


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2.2"], ids=["little endian", "big endian"])
def test_images_and_numbers(node: NodeProcess, syntax: str) -> None:
    with asking(node.port, syntax=syntax) as caller:
        identifier = ask(level="IMAGE", StudyInstanceUID=FIRST.study, SeriesInstanceUID=FIRST.series,
                         InstanceNumber="2", Rows=None, SOPInstanceUID="", AvailableTransferSyntaxUID="")  # fmt: skip
        (answer,), _, _ = caller.find(identifier)
        assert (answer.SOPInstanceUID, answer.InstanceNumber, answer.Rows) == (SECOND.sop, 2, 16)
        assert answer.AvailableTransferSyntaxUID == EXPLICIT
        identifier.Rows = 16
        assert len(caller.find(identifier)[0]) == 1
        identifier.Rows = 17
        assert caller.find(identifier)[0] == []


def test_long_texts_can_be_read_in_explicit_vr() -> None:
    query = Query("STUDY", {}, (0x0020000D, 0x00081190), False, False)  # Retrieve URL has VR UR
    known = {0x0020000D: ATTRIBUTES["STUDY"][0x0020000D], 0x00081190: replace(ATTRIBUTES["STUDY"][0x00081030],
             tag=0x00081190, vr="UR")}  # fmt: skip
    answers = Answers(Asked(query, "", (), ()), "PACS", EXPLICIT, known)
    written = answers.encode(["1.2.3", "http://x"])
    found = dcmread(DicomBytesIO(written), force=True)
    assert (found.StudyInstanceUID, found.RetrieveURL) == ("1.2.3", "http://x")


@pytest.mark.parametrize(
    ("model", "keys", "offending"),
    [
        (STUDY_ROOT, {"level": "PATIENT", "PatientID": ""}, [0x00080052]),
        (STUDY_ROOT, {"level": "STDY", "PatientID": ""}, [0x00080052]),
        (STUDY_ROOT, {"level": "SERIES", "SeriesInstanceUID": ""}, [0x0020000D]),
        (STUDY_ROOT, {"level": "IMAGE", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1\\2"}, [0x0020000E]),
        (STUDY_ROOT, {"level": "IMAGE", "StudyInstanceUID": "*"}, [0x0020000D, 0x0020000E]),
        (PATIENT_ROOT, {"level": "STUDY", "StudyInstanceUID": ""}, [0x00100020]),
        (PATIENT_ROOT, {"level": "STUDY", "PatientID": "P*"}, [0x00100020]),
        (PATIENT_STUDY, {"level": "SERIES", "PatientID": "P1", "StudyInstanceUID": "1.2"}, [0x00080052]),
    ],
)
def test_what_does_not_fit_the_model_is_refused_by_name(
    node: NodeProcess, model: str, keys: dict[str, str], offending: list[int]
) -> None:
    with asking(node.port, model) as caller:
        answers, _, last = caller.find(ask(**keys))
        assert (answers, last.Status) == ([], 0xA900)
        found = last.OffendingElement
        assert [int(tag) for tag in (found if isinstance(found, list) or len(offending) > 1 else [found])] == offending
        assert last.ErrorComment
        assert caller.association.is_established


@pytest.mark.parametrize(
    ("model", "keys", "count"),
    [
        (PATIENT_ROOT, {"level": "PATIENT", "PatientID": "", "NumberOfPatientRelatedInstances": ""}, 3),
        (PATIENT_ROOT, {"level": "STUDY", "PatientID": "P1", "StudyInstanceUID": ""}, 1),
        (PATIENT_STUDY, {"level": "STUDY", "PatientID": "P2"}, 1),
        (PATIENT_ROOT, {"level": "SERIES", "PatientID": "P1", "StudyInstanceUID": FIRST.study}, 1),
        (STUDY_ROOT, {"level": "SERIES", "StudyInstanceUID": FIRST.study, "Modality": "OT"}, 1),
    ],
)
def test_levels_of_the_models(node: NodeProcess, model: str, keys: dict[str, str], count: int) -> None:
    with asking(node.port, model) as caller:
        answers, _, last = caller.find(ask(**keys))
    assert (len(answers), last.Status) == (count, 0)


def test_relational_queries_where_they_were_negotiated(node: NodeProcess) -> None:
    identifier = ask(level="IMAGE", PatientID="P1", SOPInstanceUID="")
    with asking(node.port, options=b"\1\1\0") as caller:
        answers, _, last = caller.find(identifier)
    assert ({answer.SOPInstanceUID for answer in answers}, last.Status) == ({FIRST.sop, SECOND.sop}, 0)
    with asking(node.port, options=b"\0\1\0") as caller:
        assert caller.find(identifier)[2].Status == 0xA900


def test_names_in_other_character_sets(node: NodeProcess) -> None:
    with asking(node.port) as caller:
        for terms, name in (("ISO_IR 100", "m\u00fcller*"), ("ISO_IR 192", "M\u00dcLLER^ERIKA")):
            identifier = ask(SpecificCharacterSet=terms, PatientName=name, StudyInstanceUID="")
            (answer,), _, _ = caller.find(identifier)
            assert (answer.SpecificCharacterSet, answer.PatientName) == (terms, "M\u00dcLLER^ERIKA")
        for terms in (["", "ISO 2022 IR 87"], "GB18030", "ISO_IR 192"):
            identifier = ask(SpecificCharacterSet=terms, PatientName="\u5c71\u7530*", StudyInstanceUID="")
            (answer,), _, _ = caller.find(identifier)
            assert answer.PatientName == "YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce"
            assert answer.SpecificCharacterSet == terms
        (answer,), _, _ = caller.find(ask(PatientName="YAMADA*", StudyInstanceUID=""))
        assert answer.SpecificCharacterSet == "ISO_IR 192"
        assert answer.PatientName.ideographic == "\u5c71\u7530^\u592a\u90ce"
        (answer,), _, _ = caller.find(ask(PatientName="DOE*", StudyInstanceUID=""))
        assert "SpecificCharacterSet" not in answer


def test_unsupported_keys_are_named_and_left_out(node: NodeProcess) -> None:
    with asking(node.port) as caller:
        (answer,), statuses, last = caller.find(ask(StudyInstanceUID=FIRST.study, SliceThickness=None))
    assert (statuses, last.Status) == ([0xFF01], 0)
    assert "SliceThickness" not in answer


def test_odd_identifiers_get_an_answer(node: NodeProcess) -> None:
    with asking(node.port) as caller:
        without = ask(PatientName="X")
        del without.QueryRetrieveLevel
        assert caller.find(without)[2].Status == 0xA900
        long = ask(StudyInstanceUID="\\".join(f"1.2.{n}" for n in range(5000)))
        assert caller.find(long)[2].Status == 0
        nothing = ask(StudyTime="20250111220000-20250111235959", StudyInstanceUID="")
        answers, _, last = caller.find(nothing)
        assert (answers, last.Status) == ([], 0)
        assert caller.association.is_established


def test_more_than_the_limit_is_said(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", "[query]\nmax_answers = 3\n") as node:
        keep(node, *(Object(patient=f"P{n}") for n in range(4)))
        with asking(node.port) as caller:
            answers, _, last = caller.find(ask(StudyInstanceUID=""))
            assert (len(answers), last.Status) == (3, 0xA700)
            assert "more than 3" in last.ErrorComment
            answers, _, last = caller.find(ask(StudyInstanceUID="", PatientID="P1"))
            assert (len(answers), last.Status) == (1, 0)


async def test_a_cancel_ends_the_answers(tmp_path: Path) -> None:
    """Seen from inside: over the network all answers may be under way before the C-CANCEL-RQ comes."""
    db = await Database.open(tmp_path / "index.db")
    await fill(db)
    statuses: list[int] = []

    class Cancelled:
        context = SimpleNamespace(abstract_syntax=STUDY_ROOT, transfer_syntax=EXPLICIT)
        command = SimpleNamespace(has_data_set=True)
        association = SimpleNamespace(rq=None)
        cancelled = False

        def tell_keys(self, keys: Any) -> None:
            assert dict(keys)[0x00080052] == "STUDY"

        async def until_withdrawn(self) -> None:
            await asyncio.Event().wait()

        async def respond(self, status: int, **more: Any) -> None:
            statuses.append(status)
            self.cancelled = len(statuses) == 3

    sink = QueryService(db, "PACS").begin(Cancelled())  # type: ignore[arg-type]
    identifier = dataset.DataSet()
    identifier.put(0x00080052, "STUDY")
    sink.write(memoryview(dataset.encode(identifier, EXPLICIT)))
    await sink.finish()
    assert statuses == [0xFF00, 0xFF00, 0xFF00, 0xFE00]
    await db.close()


@pytest.mark.parametrize("how", ["cancelled", "gone"])
async def test_a_statement_that_runs_long_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A search that has found nothing yet ends when who asked cancels or is gone, and its reader is free again."""
    db = await Database.open(tmp_path / "index.db")
    begun = threading.Event()

    def endless(self: object, connection: sqlite3.Connection) -> None:
        begun.set()
        connection.execute("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n")

    monkeypatch.setattr("pacstui.index.find._Search.run", endless)
    identifier = dataset.DataSet()
    identifier.put(0x00080052, "STUDY")
    service = QueryService(db, "PACS")
    async with serving(services={Field.C_FIND: service}) as served:
        contexts = [(STUDY_ROOT, [EXPLICIT])]
        async with associate("127.0.0.1", served.port, called="PACS", calling="ASKER", contexts=contexts) as caller:
            data = dataset.encode(identifier, EXPLICIT)
            exchange = await caller.request(STUDY_ROOT, Field.C_FIND, data, affected_sop_class=STUDY_ROOT)
            await asyncio.to_thread(begun.wait, 5)
            if how == "cancelled":
                await exchange.cancel()
                assert (await exchange.final()).status == 0xFE00
            else:
                caller.abort("gone")
            async with asyncio.timeout(5):
                while len(db._idle) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0)
    await db.close()


def test_many_ask_at_once(node: NodeProcess) -> None:
    counts: list[int] = []

    def one() -> None:
        with asking(node.port) as caller:
            counts.extend(len(caller.find(ask(StudyInstanceUID="", PatientName="*"))[0]) for _ in range(10))

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert counts == [3] * 60
