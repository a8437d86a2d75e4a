"""The noun ``worklist`` of a node: what people see of a day, and what they change of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid

from pacstui.errors import BadRequest, NotFound
from pacstui.orders.days import day_of, days_of, minutes_late
from tests.archive.objects import Object
from tests.orders.rows import schedule
from tests.running import NodeProcess, running_node
from tests.services.test_mpps import Modality, begun, ended
from tests.services.test_query import keep
from tests.services.test_worklist import ask, asking, ids


def today() -> str:
    """Return the day that the node goes by; asked for when a test runs, as it may end before."""
    return datetime.now().strftime("%Y%m%d")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("desk"), "[hl7]\nenabled = false\n") as running:
        yield running


def call(node: NodeProcess, method: str, **arguments: Any) -> Any:
    return node.call("worklist", method, **arguments)


def test_an_item_entered_by_hand_is_told_to_modalities(node: NodeProcess) -> None:
    row = call(node, "add", patient_id="H1", patient_name="Muster, Erika", modality="ct", time="14:30", sex="f",
               birth_date="1970-01-02", description="CT THORAX", station_ae="CT1", room="R 101")  # fmt: skip
    assert (row["state"], row["date"], row["time"], row["patient_name"]) == (
        "scheduled", today(), "143000", "Muster^Erika"
    )  # fmt: skip
    assert row["accession"].startswith("M")
    (told,) = ask(node, asking(PatientID="H1"))
    step = told.ScheduledProcedureStepSequence[0]
    assert (told.AccessionNumber, told.StudyInstanceUID) == (row["accession"], row["study"])
    assert (step.ScheduledProcedureStepID, step.Modality) == (row["step_id"], "CT")
    assert told.RequestedProcedureID
    again = call(node, "add", patient_id="H1", patient_name="", modality="MR")
    assert (again["patient_name"], again["accession"] != row["accession"]) == ("Muster^Erika", True)
    assert "entered" in call(node, "step", id=row["id"])["history"][0]


def test_an_order_that_is_entered_afterwards_is_told_to_nobody(node: NodeProcess) -> None:
    row = call(node, "add", patient_id="E77", patient_name="Notfall, Otto", modality="CR", done=True)
    assert row["state"] in ("completed", "no images yet")
    assert ask(node, asking(PatientID="E77")) == []
    assert "done already" in call(node, "step", id=row["id"])["history"][0]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"patient_id": ""}, "needs a Patient ID"),
        ({"patient_name": ""}, "needs a name"),
        ({"modality": "C/T"}, "no modality"),
        ({"date": "2026-02-30"}, "no day"),
        ({"time": "25:00"}, "no time"),
        ({"sex": "X"}, "no sex"),
        ({"priority": "NOW"}, "no priority"),
        ({"station_ae": "A" * 17}, "more than 16"),
        ({"patient_name": "A\x1b[2J"}, "control characters"),
    ],
)
def test_what_cannot_be_entered_is_told_with_a_remedy(node: NodeProcess, more: dict[str, str], told: str) -> None:
    good = {"patient_id": "H9", "patient_name": "ANY^ONE", "modality": "CT"}
    with pytest.raises(BadRequest, match=told):
        call(node, "add", **(good | more))


def test_an_id_that_is_somebody_elses_is_refused(node: NodeProcess) -> None:
    call(node, "add", patient_id="H2", patient_name="ANY^ONE", modality="CT", birth_date="19700102")
    with pytest.raises(BadRequest, match="another name"):
        call(node, "add", patient_id="H2", patient_name="OTHER^ONE", modality="CT")
    with pytest.raises(BadRequest, match="another birth date"):
        call(node, "add", patient_id="H2", patient_name="any^one", modality="CT", birth_date="19700103")


def test_an_item_is_changed_set_and_cancelled(node: NodeProcess) -> None:
    row = call(node, "add", patient_id="H3", patient_name="ANY^THREE", modality="CT")
    row = call(node, "change", id=row["id"], modality="MR", time="1615", station_ae="MR1, MR2", accession="ACC3")
    assert (row["modality"], row["time"], row["station_ae"], row["accession"]) == ("MR", "161500", "MR1\\MR2", "ACC3")
    assert ids(ask(node, asking({"ScheduledStationAETitle": "MR2"}, AccessionNumber="ACC3"))) == [row["step_id"]]
    with pytest.raises(BadRequest, match="nothing is changed"):
        call(node, "change", id=row["id"], modality="MR")
    assert call(node, "set_state", id=row["id"], state="arrived")["state"] == "arrived"
    with pytest.raises(BadRequest, match="already"):
        call(node, "set_state", id=row["id"], state="arrived")
    with pytest.raises(BadRequest, match="by hand"):
        call(node, "set_state", id=row["id"], state="in progress")
    with pytest.raises(BadRequest, match="why"):
        call(node, "cancel", id=row["id"], why=" ")
    assert call(node, "cancel", id=row["id"], why="patient went home")["state"] == "cancelled"
    assert ids(ask(node, asking(AccessionNumber="ACC3"))) == []
    with pytest.raises(BadRequest, match="cancelled"):
        call(node, "change", id=row["id"], modality="CT")
    history = call(node, "step", id=row["id"])["history"]
    for word in ("entered", "MR1\\MR2", "arrived", "went home"):
        assert any(word in line for line in history), word
    with pytest.raises(NotFound):
        call(node, "cancel", id=999999, why="any")


def test_the_day_tells_where_steps_stand_and_which_studies_have_no_order(tmp_path: Path) -> None:
    with running_node(tmp_path) as own:
        study = generate_uid()
        first, *_ = schedule(own.data_dir, {"date": today(), "time": "000100", "o_study": study, "room": "R1"},
                             {"date": today(), "time": "235900", "modality": "MR", "state": "arrived"},
                             {"date": today(), "time": "100000", "modality": "MR", "state": "cancelled"})  # fmt: skip
        one = Modality(own)
        uid = generate_uid()
        one.create(begun(study), uid)
        done = ended(2)
        one.set(done, uid)
        one.close()
        view = call(own, "day")
        assert [(s["modality"], s["room"], s["counts"]) for s in view["standing"]] == [
            ("CT", "R1", {"no images yet": 1}), ("MR", "", {"arrived": 1, "cancelled": 1})
        ]  # fmt: skip
        row = call(own, "steps", state="no images yet")["rows"][0]
        assert (row["id"], row["expected"], row["received"]) == (first, 2, 0)
        series = done.PerformedSeriesSequence[0].SeriesInstanceUID
        keep(own, Object({0x00080020: ("DA", today()), 0x0020000E: ("UI", series)}, study=study, accession=""))
        keep(own, Object({0x00080020: ("DA", today())}, accession=""))
        assert call(own, "steps", state="completed")["rows"][0]["received"] == 1
        (performed,) = call(own, "performed", day="2025-01-11")
        assert (performed["expected"], performed["received"], performed["step"]) == (2, 1, first)
        assert call(own, "day")["unordered"] == 1
        (unordered,) = call(own, "unordered")
        assert unordered["study"] != study


def test_steps_are_listed_by_pages_and_found_by_words(tmp_path: Path) -> None:
    with running_node(tmp_path) as own:
        schedule(own.data_dir, *({"date": today(), "time": f"{10 + n // 60}{n % 60:02}00"} for n in range(25)))
        page = call(own, "steps", limit=10)
        seen = [row["id"] for row in page["rows"]]
        while page["next"]:
            page = call(own, "steps", limit=10, after=page["next"])
            seen += [row["id"] for row in page["rows"]]
        assert len(seen) == len(set(seen)) == 25
        assert [row["patient_id"] for row in call(own, "steps", search="number 17")["rows"]] == ["P17"]
        assert [row["patient_id"] for row in call(own, "steps", search="a12", day="all")["rows"]] == ["P12"]
        assert call(own, "steps", modality="mr")["rows"] == []
        assert call(own, "steps", day="2020-01-01..yesterday")["rows"] == []


def test_days_are_understood_as_people_write_them() -> None:
    now = datetime(2026, 11, 28, 12).astimezone()
    assert [day_of(text, now) for text in ("", "tomorrow", "-1", "2026-12-24", "20261224")] == [
        "20261128", "20261129", "20261127", "20261224", "20261224"
    ]  # fmt: skip
    assert days_of("2026-11-01..+1", now) == ("20261101", "20261129")
    for wrong in ("soon", "20261301", "+99999999", "2026"):
        with pytest.raises(BadRequest):
            day_of(wrong, now)
    assert minutes_late("20261128", "113000", now) == 30
    assert minutes_late("20261128", "123000", now - timedelta()) == 0
    assert minutes_late("", "x", now) == 0
