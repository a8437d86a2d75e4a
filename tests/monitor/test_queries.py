"""What a caller asked, and how many answers it got, is kept with its association: of worklists and of the archive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as STUDY_ROOT

from pacstui.dicom.dimse import Command, Status
from pacstui.monitor.queries import KEPT, Queries
from tests.archive.objects import Object
from tests.orders.rows import schedule
from tests.orders.test_room import today
from tests.running import NodeProcess, running_node, until
from tests.services.test_query import keep
from tests.services.test_worklist import ask, asking


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("queries")) as running:
        yield running


def queries(node: NodeProcess, calling: str) -> Any:
    def ended() -> Any:
        rows = [row for row in node.call("associations", "list", ended=True) if row["calling"] == calling]
        return rows[0]["id"] if rows and rows[0]["state"] != "open" else 0

    return node.call("associations", "show", id=until(ended))["queries"]


def keys(query: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["keyword"]: (each["value"], each["patient"]) for each in query["keys"]}


def test_a_worklist_query_says_its_keys_those_of_the_step_too_and_the_number_of_answers(node: NodeProcess) -> None:
    schedule(node.data_dir, {"date": today(), "time": "235900", "modality": "US"})
    ask(node, asking({"Modality": "US", "ScheduledProcedureStepStartDate": today()}, PatientName="TEST*"), "US7")
    (query,) = queries(node, "US7")
    assert keys(query) == {
        "Modality": ("US", ""), "ScheduledProcedureStepStartDate": (today(), ""), "PatientName": ("", "TEST*"),
    }  # fmt: skip
    assert (query["answers"], query["outcome"]) == (1, "done")
    assert "Worklist" in query["model"] and query["told"] > 5


def test_a_query_of_the_archive_says_its_level_and_one_that_is_wrong_how_it_ended(node: NodeProcess) -> None:
    thing = Object(patient="P77")
    keep(node, thing)
    entity = AE("WS7")
    entity.add_requested_context(STUDY_ROOT)
    association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
    assert association.is_established
    for level in ("STUDY", "NOWHERE"):
        asked = Dataset()
        asked.QueryRetrieveLevel, asked.PatientID, asked.StudyInstanceUID = level, "P77", ""
        assert list(association.send_c_find(asked, STUDY_ROOT))
    association.release()
    good, bad = queries(node, "WS7")
    assert (good["level"], good["answers"], good["outcome"], keys(good)) == (
        "STUDY", 1, "done", {"PatientID": ("", "P77")}
    )  # fmt: skip
    assert bad["level"] == "NOWHERE" and bad["answers"] == 0 and "ended with" in bad["outcome"]


def test_only_the_last_ones_are_kept_and_each_answer_is_counted_where_it_belongs() -> None:
    held = Queries()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    commands = []
    for number in range(KEPT + 5):
        command = Command.__new__(Command)
        command.elements, command.message_id = {}, number + 1
        commands.append(command)
        held.asked(at, command, [(0x00100020, str(number))])
    held.answered(commands[0], Status.PENDING)  # it is not kept any more
    held.answered(commands[-2], Status.PENDING)
    held.answered(commands[-1], Status.CANCEL)
    shown = held.shown()
    assert len(shown) == KEPT and shown[0].keys[0].patient == "5"
    assert [(each.answers, each.outcome) for each in shown[-2:]] == [(1, ""), (0, "cancelled by the caller")]
