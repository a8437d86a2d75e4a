"""What a modality asks and tells beside its images: its worklist, and the steps that it performs, by pynetdicom.

The archive's own stack sends the images; here another implementation speaks to it, as real modalities do.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE

from pacstui.practice.headers import MPPS, da, tm
from pacstui.practice.modalities import Recipe

TIMEOUT_S = 10
WORKLIST = "1.2.840.10008.5.1.4.31"
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


class Unheard(Exception):
    """The archive was not reached, rejected the association, or answered with a failure; the text says which."""


@dataclass(frozen=True, slots=True)
class Item:
    """One answer to a worklist query, as far as a modality uses it."""

    patient_name: str
    patient_id: str
    issuer: str
    born: str
    sex: str
    accession: str
    study: str
    procedure_id: str
    description: str
    step_id: str
    start: str
    referrer: str


class Speaker:
    """A modality's side of worklist and performed procedure steps. Its methods block: call them from a thread."""

    def __init__(self, title: str, host: str, port: int, called: str) -> None:
        self._title, self._host, self._port, self._called = title, host, port, called

    def worklist(self, modality: str, day: str) -> list[Item]:
        """Ask for what is scheduled on this station on a day (PS3.4 K).

        Raises
        ------
        Unheard
            When there was no whole answer.
        """
        step = Dataset()
        step.ScheduledStationAETitle, step.Modality = self._title, modality
        step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = day, ""
        step.ScheduledProcedureStepDescription = step.ScheduledProcedureStepID = ""
        query = Dataset()
        for keyword in ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
                        "AccessionNumber", "StudyInstanceUID", "RequestedProcedureID",
                        "RequestedProcedureDescription", "ReferringPhysicianName"):  # fmt: skip
            setattr(query, keyword, "")
        query.ScheduledProcedureStepSequence = [step]
        found: list[Item] = []
        with _Association(self, WORKLIST) as association:
            last = None
            for status, answer in association.send_c_find(query, WORKLIST):
                last = getattr(status, "Status", None)
                if last in (0xFF00, 0xFF01) and answer is not None:
                    found.append(_item(answer))
            if last != 0x0000:
                raise Unheard(_failed("the worklist query", last))
        return found

    def began(self, instance: str, step: Dataset) -> None:
        """Report that a step has begun (N-CREATE, PS3.4 F.7.2.1).

        Raises
        ------
        Unheard
            When that was not taken.
        """
        with _Association(self, MPPS) as association:
            status, _ = association.send_n_create(step, MPPS, instance)
            _check("the begin of a performed step", status)

    def ended(self, instance: str, step: Dataset) -> None:
        """Report how a step ended (N-SET, PS3.4 F.7.2.2).

        Raises
        ------
        Unheard
            When that was not taken.
        """
        with _Association(self, MPPS) as association:
            status, _ = association.send_n_set(step, MPPS, instance)
            _check("the end of a performed step", status)


class _Association:
    def __init__(self, of: Speaker, sop_class: str) -> None:
        self._of, self._sop_class = of, sop_class

    def __enter__(self) -> Any:
        of = self._of
        entity = AE(ae_title=of._title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = TIMEOUT_S
        entity.add_requested_context(self._sop_class)
        self.association = entity.associate(of._host, of._port, ae_title=of._called)
        if not self.association.is_established:
            raise Unheard("the archive rejected the association" if self.association.is_rejected else
                          "the archive was not reached")  # fmt: skip
        if not self.association.accepted_contexts:
            self.association.release()
            raise Unheard("the archive offers no such service")
        return self.association

    def __exit__(self, *fault: object) -> None:
        if self.association.is_established:
            self.association.release()


def _failed(what: str, status: int | None) -> str:
    return f"{what} was not answered" if status is None else f"{what} was answered with {status:04X}"


def _check(what: str, status: Dataset) -> None:
    code = getattr(status, "Status", None)
    if code is None or (code and code & 0xFF00 != 0xB000 and code not in (0x0001, 0x0107, 0x0116)):
        raise Unheard(_failed(what, code))


def _item(answer: Dataset) -> Item:
    step = answer.ScheduledProcedureStepSequence[0]

    def text(dataset: Dataset, keyword: str) -> str:
        value = dataset.get(keyword)
        return "" if value is None else str(value)

    return Item(
        text(answer, "PatientName"), text(answer, "PatientID"), text(answer, "IssuerOfPatientID"),
        text(answer, "PatientBirthDate"), text(answer, "PatientSex"), text(answer, "AccessionNumber"),
        text(answer, "StudyInstanceUID"), text(answer, "RequestedProcedureID"),
        text(step, "ScheduledProcedureStepDescription") or text(answer, "RequestedProcedureDescription"),
        text(step, "ScheduledProcedureStepID"),
        text(step, "ScheduledProcedureStepStartDate") + text(step, "ScheduledProcedureStepStartTime")[:6],
        text(answer, "ReferringPhysicianName"),
    )  # fmt: skip


# what is told


def begin(
    title: str, modality: str, study: str, study_id: str, when: datetime, item: Item | None, patient: Dataset,
    description: str,
) -> Dataset:  # fmt: skip
    """Return the attributes of an N-CREATE (PS3.4 table F.7.2-1); without ``item`` of a step that nobody scheduled."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID, scheduled.ReferencedStudySequence = study, []
    scheduled.AccessionNumber = item.accession if item else ""
    scheduled.RequestedProcedureID = item.procedure_id if item else ""
    scheduled.RequestedProcedureDescription = item.description if item else ""
    scheduled.ScheduledProcedureStepID = item.step_id if item else ""
    scheduled.ScheduledProcedureStepDescription = item.description if item else ""
    scheduled.ScheduledProtocolCodeSequence = []
    step = Dataset()
    step.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"):
        setattr(step, keyword, patient.get(keyword, ""))
    step.ReferencedPatientSequence = []
    step.PerformedProcedureStepID = f"PPS{study_id}"
    step.PerformedStationAETitle, step.PerformedStationName, step.PerformedLocation = title, title, ""
    step.PerformedProcedureStepStartDate, step.PerformedProcedureStepStartTime = da(when), tm(when)
    step.PerformedProcedureStepEndDate = step.PerformedProcedureStepEndTime = ""
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.PerformedProcedureStepDescription = description
    step.PerformedProcedureTypeDescription = ""
    step.ProcedureCodeSequence = []
    step.Modality, step.StudyID = modality, study_id
    step.PerformedProtocolCodeSequence = []
    step.PerformedSeriesSequence = []
    step.ScheduledStepAttributesSequence = [scheduled]
    return step


def end(
    status: str, when: datetime, made: Sequence[Recipe], first: str, operator: str, protocol: str, reason: str = ""
) -> Dataset:
    """Return the attributes of an N-SET that ends a step, with all that was ``made``, series by series.

    ``first`` is the Series Instance UID that stands there where nothing was made (one item is needed, PS3.4 F.7.2-1).

    ``reason`` is a code of CID 9300 for one that was broken off.
    """
    step = Dataset()
    step.SpecificCharacterSet = "ISO_IR 192"
    step.PerformedProcedureStepStatus = status
    step.PerformedProcedureStepEndDate, step.PerformedProcedureStepEndTime = da(when), tm(when)
    if reason:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator = reason, "DCM"
        code.CodeMeaning = REASONS.get(reason, "Discontinued")
        step.PerformedProcedureStepDiscontinuationReasonCodeSequence = [code]
    series: dict[str, list[Dataset]] = {} if made else {first: []}
    for recipe in made:
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = recipe.sop_class, recipe.sop_instance
        series.setdefault(recipe.series, []).append(image)
    step.PerformedSeriesSequence = []
    for uid, images in series.items():
        one = Dataset()
        one.PerformingPhysicianName, one.OperatorsName = "", operator
        one.ProtocolName, one.SeriesInstanceUID, one.SeriesDescription = protocol, uid, protocol
        one.RetrieveAETitle, one.ReferencedImageSequence = "", images
        one.ReferencedNonImageCompositeSOPInstanceSequence = []
        step.PerformedSeriesSequence.append(one)
    return step


REASONS = {"110505": "Patient refused to continue procedure", "110513": "Discontinued for unspecified reason"}
"""Codes of CID 9300 that the practice hospital uses."""
