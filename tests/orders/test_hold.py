"""An order on hold is seen as that, by whom and why: in the list, by its filter, on the day; and it is released."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pacstui.errors import BadRequest
from pacstui.orders.holding import hold_of
from tests.orders.test_room import today
from tests.orders.ward import orc, orm
from tests.running import NodeProcess, free_port, running_node
from tests.services.test_worklist import ask, asking, ids


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("hold"), f"[hl7]\nport = {port}\n") as running:
        yield running


def call(node: NodeProcess, method: str, **arguments: Any) -> Any:
    return node.call("worklist", method, **arguments)


def test_by_hand_it_needs_a_reason_is_told_to_no_modality_and_is_not_late(node: NodeProcess) -> None:
    row = call(node, "add", patient_id="H1", patient_name="Muster, Erika", modality="CT", time="00:01")
    assert row["held"] == "" and call(node, "steps")["rows"][0]["late_min"] >= 0
    with pytest.raises(BadRequest, match="why"):
        call(node, "set_state", id=row["id"], state="on hold")
    held = call(node, "set_state", id=row["id"], state="on hold", why="creatinine is missing")
    assert (held["state"], held["held_why"], held["late_min"]) == ("on hold", "creatinine is missing", 0)
    assert "since " in held["held"] and not held["held"].startswith("since")
    assert ids(ask(node, asking(PatientID="H1"))) == []
    assert [each["id"] for each in call(node, "steps", state="on hold")["rows"]] == [row["id"]]
    assert call(node, "steps", state="scheduled")["rows"] == []
    assert call(node, "day", day=today())["standing"][0]["counts"] == {"on hold": 1}
    assert node.call("node", "status")["worklist"]["late"] == 0
    with pytest.raises(BadRequest, match="already"):
        call(node, "set_state", id=row["id"], state="on hold", why="again")
    back = call(node, "set_state", id=row["id"], state="scheduled", why="it came")
    assert (back["state"], back["held"], back["held_why"]) == ("scheduled", "", "")
    assert len(ids(ask(node, asking(PatientID="H1")))) == 1
    told = call(node, "step", id=row["id"])["history"]
    assert "on hold: creatinine is missing, by" in told[-2] and "released, scheduled: it came" in told[-1]
    call(node, "cancel", id=row["id"], why="over")


def test_the_ris_says_who_and_why(node: NodeProcess, port: int) -> None:
    from pacstui.hl7v2.client import send_all
    from tests.orders.ward import order

    for text in (order("1", "7"), orm("1", orc("HD", "7", f16="ALLERGY^contrast allergy^LOCAL"))):
        assert all(answer.good for answer in send_all(text.encode(), "127.0.0.1", port, 20))
    (row,) = call(node, "steps", day="all", state="on hold")["rows"]
    assert row["held"].startswith("RIS, since ") and row["held_why"] == "contrast allergy"
    assert all(a.good for a in send_all(orm("1", orc("RL", "7")).encode(), "127.0.0.1", port, 20))
    assert call(node, "steps", day="all", state="on hold")["rows"] == []


@pytest.mark.parametrize(
    ("history", "by", "why"),
    [("2026-11-28 14:02 on hold by RIS", "RIS", ""), ("2026-11-28 14:02 on hold: no slot, by op1", "op1", "no slot")],
)
def test_of_orders_that_were_held_before_the_history_says_who(history: str, by: str, why: str) -> None:
    hold = hold_of(f'{{"held":true,"history":["2026-11-28 08:00 ordered by RIS","{history}"]}}')
    assert hold is not None and (hold.by, hold.at, hold.why) == (by, "2026-11-28 14:02", why)
    assert hold_of("") is None and hold_of("{}") is None
