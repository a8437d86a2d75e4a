"""The noun ``studies``: what the archive holds, newest first, in pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import action
from pacstui.contract.privacy import PatientId, PatientText


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study. Text is as the index has it (decoded, else with replacement characters and ``marked`` true).

    ``date`` and ``time`` are DICOM DA and TM as normalised for the index, empty if unknown. ``key`` orders the list.
    ``received`` is when the first object came, ``changed`` when the last one did.
    ``conflict`` says which other patient's objects came under this study, empty if none did. ``pinned`` says by whom
    it is kept whatever rules say, and why, empty if it is not. ``match`` says how it fits its order (matched, probable,
    unmatched, conflicting, not expected; empty where nobody has looked, or somebody took it as it is); ``misfit``, of
    one that is shown in detail, what does not fit.
    """

    key: int
    study: str
    patient_name: PatientText
    patient_id: PatientId
    issuer: PatientText
    birth_date: PatientText
    sex: str
    date: str
    time: str
    modalities: tuple[str, ...]
    description: str
    accession: PatientText
    series: int
    instances: int
    bytes: int
    received: datetime
    marked: bool
    changed: datetime
    conflict: PatientText = ""
    pinned: PatientText = ""
    match: str = ""
    misfit: PatientText = ""


@dataclass(frozen=True, slots=True)
class StudyPage:
    """A page of studies; ``next`` is the cursor of the following page, none at the end."""

    rows: tuple[StudyRow, ...]
    next: int | None
    total: int


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of a study."""

    series: str
    number: str
    modality: str
    description: str
    station: str
    instances: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """A study with its series. ``missing`` counts objects without file."""

    row: StudyRow
    series: tuple[SeriesRow, ...]
    calling: tuple[str, ...]
    missing: int = 0


class Studies(Protocol):
    """The archive's content."""

    @action(
        "list",
        "List studies, newest first; a word filters by name, ID, accession or description",
        permission="studies.view",
    )
    async def list(
        self, search: PatientText = "", limit: int = 100, before: int | None = None, only: str = "",
        after: int | None = None,
    ) -> StudyPage: ...  # fmt: skip

    @action("show", "Show a study and its series", permission="studies.view")
    async def show(self, study: str) -> StudyDetail: ...
