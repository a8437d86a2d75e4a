"""Values of the contract, as a node might answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from pacstui.contract.associations import AssociationDetail, AssociationRow, ContextRow, Moment, RefusalRow
from pacstui.contract.feed import FeedRow
from pacstui.contract.node import (
    ArchivePart,
    AssociationsPart,
    History,
    HistoryPoint,
    NodePart,
    Problem,
    QueuePart,
    Status,
)
from pacstui.contract.peers import EchoResult, EchoStep, PeerRow
from pacstui.contract.queue import DestinationRow, QueueView, ReceivingRow
from pacstui.contract.storage import DayUse, MissingRow, QuarantineRow, StorageView
from pacstui.contract.studies import SeriesRow, StudyDetail, StudyPage, StudyRow

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NASTY = "A\x1b[2J\x9b31m\u202eB"


def status(health: str = "ok", *problems: Problem) -> Status:
    return Status(
        health,
        NodePart("0.1.0", 4711, 3725.0, "PACS", "127.0.0.1:11112", "/data", "pacs"),
        AssociationsPart(2, 1204, 3, 100),
        ArchivePart(7, 9, 21, 12345, 6_400_000_000, 85_000_000_000, 1),
        QueuePart(0, 0, 0, 0),
        {},
        {},
        {},
        {},
        {},
        problems,
    )


PROBLEM = Problem("storage", "no room for objects", "make room, or lower reserve_bytes", AT, "storage", "fail")
ROW = AssociationRow(
    8, "", "CT1", "PACS", "10.0.0.4:51022", "open", "stores", "CT", 412, 1, 41.0, 216_000_000, AT, 14.0
)
DETAIL = AssociationDetail(
    ROW,
    "stores since 12:00",
    "accepted",
    ("press x",),
    "TEST_1",
    16384,
    "",
    (
        ContextRow(
            1, "1.2.840.10008.1.1", "Verification", ("Implicit VR Little Endian",), "Implicit VR Little Endian", 0
        ),
        ContextRow(3, "1.2.3", "", ("JPEG Baseline",), "", 4),
    ),
    (Moment(AT, "connected"),),
    {"C-STORE-RQ": 413},
    "1.2.3.4",
    1024,
    0,
)
REFUSAL = RefusalRow(
    9, "XRAY9", "PACS2", "10.0.4.17", "calls PACS2, we are PACS", "set its remote AE title to PACS", 3, AT, AT
)
QUEUE = QueueView(
    (
        ReceivingRow(
            "1.2.3",
            "CT1",
            "\u5c71\u7530^\u592a\u90ce",
            "P1",
            "CT",
            "CHEST",
            412,
            0,
            2_000_000,
            41.0,
            AT,
            AT,
            "receiving",
        ),
    ),
    (DestinationRow("WS1", 12, 1, 0, AT, 3.0, "sending"),),
    2,
)
STORAGE = StorageView(
    "/data",
    4_000_000_000_000,
    1_900_000_000_000,
    6_400_000_000,
    268435456,
    18_200_000,
    1e9,
    date(2026, 9, 1),
    0.8,
    0.4,
    False,
    "no space left",
    (DayUse(date(2026, 3, 1), 100, 18_200_000),),
)
MISSING = MissingRow("1.2.3.1.7", "1.2.3.1", "1.2.3", "objects/5a/1.2.3/1.2.3.1.7.dcm", 500_000, "CT1", AT)
QUARANTINE = QuarantineRow(1, AT, "1.2.3.4", "CT1", "other content under a known UID", "quarantine/1.dcm", 5000)
PEERS = (
    PeerRow("CT1", "CT1", "10.0.0.4", 104, "room 2", AT, 412, "ok", AT, 3.0, ""),
    PeerRow("WS1", "WS1", "ws1", 11112, NASTY, None, 0, "never", None, 0.0, ""),
)
ECHO = EchoResult(
    "CT1",
    False,
    12.0,
    (EchoStep("TCP", True, 1.0, ""), EchoStep("association", False, 11.0, "rejected 1/1/7")),
    "ask the other side to know us as PACS",
)
STUDY = StudyRow(
    5,
    "1.2.3",
    "\u5c71\u7530^\u592a\u90ce",
    "P1",
    "",
    "19700101",
    "F",
    "20260301",
    "1200",
    ("CT", "SR"),
    "CHEST",
    "A1",
    2,
    412,
    216_000_000,
    AT,
    False,
    AT,
)
PLAIN_STUDY = StudyRow(4, "1.2.4", "DOE^JANE", "P2", "", "", "", "", "", ("MR",), NASTY, "", 1, 5, 100, AT, True, AT)
STUDIES = StudyPage((STUDY, PLAIN_STUDY), 4, 9)
_WHY = "objects of patient P2 came under a study of P1"
CONFLICTS = StudyPage((replace(PLAIN_STUDY, study="1.2.3", conflict=_WHY),), None, 1)
STUDY_DETAIL = StudyDetail(STUDY, (SeriesRow("1.2.3.1", "1", "CT", "AXIAL", "CT1", 400, 200_000_000),), ("CT1",))
FEED = (
    FeedRow(1, AT, "info", "CT1", "study stored", "", 8, 1),
    FeedRow(2, AT, "warn", "XRAY9", f"refused {NASTY}", "set its AE title", 9, 3),
)
HISTORY = History((HistoryPoint(AT, 100, 5_000_000, 4, 1),))
