"""``pacstui queue`` and ``pacstui routes``: what they ask of the node, print, refuse, and how they end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pacstui.contract.queue import Changed, DestinationRow, ErrorRow, OutboxRow, QueueView, SendingRow, SendingsPage
from pacstui.contract.queue import SendingView as View
from pacstui.contract.routes import PlannedSending, RouteRow, RouteTrial
from tests.cli.samples import AT, NASTY

ERROR = "VNA answered A700H: it has no room or no resources"
ROW = SendingRow(
    7, "VNA", "night", "", "1.2.3", "", "instance", "DOE^JANE", "P1", "20260301", "CT", NASTY, "failed", "medium", "",
    3, 398, 0, 11, 0, 0, 1_500_000, 199_000_000, 4, AT, AT, None, 0xA700, ERROR, "free space at the receiver",
)  # fmt: skip
OBJECT = OutboxRow(1, "1.2.3.4", 524_288, "failed", 4, None, 0xA700, ERROR, "free space at the receiver", AT)
DOWN = DestinationRow(
    "VNA", 1158, 0, 12, AT, 0.0, "nothing listens at 10.0.9.7:104; asked again in 0:41", "peer", "down",
    hint="check the port",
)  # fmt: skip
ROUTE = RouteRow(
    "night", "CT, coming 20:00-06:00", "console", True, "there is no destination GONE", "add it", ("VNA", "GONE"),
    ("CT",), (), (), (), (), "20:00-06:00", "instance", 60.0, "medium", "", False, False, 3, 9_000, 11, AT, "op1",
)  # fmt: skip
PLANNED = PlannedSending("1.2.3", "DOE^JANE", "P1", "20260301", "CT", NASTY, AT, "CT1", 30, 40, 15_000_000, ("VNA",))

CASES: list[tuple[tuple[str, ...], str, Any, dict[str, Any], tuple[str, ...]]] = [
    (("queue", "list"), "queue.list", QueueView((), (DOWN,), 0), {},
     ("x down", "1,158", "nothing listens", "VNA: check the port")),
    (("queue", "sendings", "--state", "failed", "--destination", "VNA"), "queue.sendings", SendingsPage((ROW,), True),
     {"state": "failed", "destination": "VNA"}, ("x failed", "398", "412", "A700H", "--before 7", "DOE, JANE")),
    (("queue", "show", "7"), "queue.sending", View(ROW, (OBJECT,)), {"id": 7},
     ("398 of 412 objects sent, 3 wait, 11 failed", "route night", "free space at the receiver", "and 411 more")),
    (("queue", "errors"), "queue.errors", (ErrorRow("VNA", ERROR, "free space", 0xA700, 11, 3, 1, AT),), {},
     ("A700H", "VNA: free space")),
    (("queue", "retry", "7", "8"), "queue.retry", Changed(2, 14), {"ids": [7, 8]},
     ("tried again now: 14 objects of 2 sendings",)),
    (("queue", "retry", "--destination", "VNA", "--error", ERROR), "queue.retry", Changed(0, 0),
     {"destination": "VNA", "error": ERROR}, ("nothing to do",)),
    (("queue", "cancel", "--destination", "VNA", "--yes"), "queue.cancel", Changed(1, 14), {"destination": "VNA"},
     ("cancelled: 14 objects of 1 sending",)),
    (("queue", "redirect", "OTHER", "7", "--yes"), "queue.redirect", Changed(1, 14), {"to": "OTHER", "ids": [7]},
     ("redirected: 14 objects",)),
    (("queue", "priority", "high", "7"), "queue.priority", Changed(1, 3), {"value": "high", "ids": [7]}, ("changed",)),
    (("queue", "pause", "VNA", "--why", "moving", "--yes"), "queue.pause", None,
     {"destination": "VNA", "why": "moving"}, ("done",)),
    (("queue", "send", "1.2.3", "VNA", "--priority", "high"), "queue.send", ROW,
     {"study": "1.2.3", "to": "VNA", "priority": "high"}, ("3 objects queued for VNA; pacstui queue show 7",)),
    (("routes", "list"), "routes.list", (ROUTE,), {},
     ("x broken", "VNA, GONE", "night sends nothing: there is no destination GONE", "add it")),
    (("routes", "create", "night", "VNA", "GONE", "--modality", "CT", "--where", "NumberOfFrames > 1"),
     "routes.create", ROUTE,
     {"name": "night", "to": ["VNA", "GONE"], "modality": ["CT"], "where": ["NumberOfFrames > 1"], "last": False},
     ("night: x broken",)),
    (("routes", "edit", "night", "--no-last", "--hours", ""), "routes.edit", ROUTE,
     {"name": "night", "last": False, "hours": ""}, ("to VNA, GONE",)),
    (("routes", "try", "night", "--hours", "1"), "routes.trial", RouteTrial(AT, AT, 40, 4000, (PLANNED,), True),
     {"name": "night", "hours": 1.0},
     ("of 40 studies", "it would have sent 30 objects of 1 study", "nothing was sent now", "there is more than")),
    (("routes", "try-new", "VNA", "--modality", "CT"), "routes.trial_of", RouteTrial(AT, AT, 40, 4000, (), False),
     {"to": ["VNA"], "modality": ["CT"]}, ("0 objects of 0 studies",)),
    (("routes", "destinations"), "routes.destinations", ("VNA", "AI"), {}, ("VNA\nAI",)),
    (("routes", "transforms"), "routes.transforms", (), {}, ("none",)),
    (("routes", "disable", "night", "--yes"), "routes.disable", None, {"name": "night"}, ("done",)),
]  # fmt: skip


@pytest.mark.parametrize(("words", "name", "value", "arguments", "shown"), CASES, ids=[" ".join(c[0]) for c in CASES])
def test_each_command_asks_and_shows(
    fake_node: Any, run: Callable[..., Any], words: tuple[str, ...], name: str, value: Any, arguments: dict[str, Any],
    shown: tuple[str, ...],
) -> None:  # fmt: skip
    fake_node.will_answer(name, value)
    told = run(*words)
    assert (told.code, told.err) == (0, "")
    called, given = fake_node.calls[-1]
    assert called == name
    assert {key: given[key] for key in arguments} == arguments
    for text in shown:
        assert text in told.out
    assert "\x1b" not in told.out
    assert "\u202e" not in told.out


def test_what_was_not_given_is_not_changed(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("routes.edit", ROUTE)
    run("routes", "edit", "night", "--modality", "MR")
    given = {key: value for key, value in fake_node.calls[-1][1].items() if value is not None}
    assert given == {"name": "night", "modality": ["MR"]}


def test_nobody_cancels_by_accident(fake_node: Any, run: Callable[..., Any]) -> None:
    told = run("queue", "cancel", "--destination", "VNA")
    assert told.code == 1
    assert "give --yes" in told.err
    assert fake_node.calls == []


@pytest.mark.parametrize(("sent", "code"), [(412, 0), (398, 1)])
def test_a_sending_that_is_waited_for_ends_as_it_went(
    fake_node: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, sent: int, code: int
) -> None:
    monkeypatch.setattr("pacstui.cli.queue._PACE_S", 0.0)
    fake_node.will_answer("queue.send", replace(ROW, waiting=412, sent=0, failed=0, state="waiting"))
    over = replace(ROW, waiting=0, sent=sent, failed=412 - sent, state="sent" if sent == 412 else "failed")
    fake_node.will_answer("queue.sending", View(over, ()))
    told = run("queue", "send", "1.2.3", "VNA", "--wait")
    assert told.code == code
    assert f"{sent} of 412 objects sent" in told.out


def test_the_list_is_exported(fake_node: Any, run: Callable[..., Any], tmp_path: Path) -> None:
    fake_node.will_answer("queue.sendings", SendingsPage((replace(ROW, description="=cmd()"),), False))
    told = run("queue", "export", "--state", "failed")
    (row,) = csv.DictReader(io.StringIO(told.out))
    assert (row["id"], row["status"], row["description"], row["due"]) == ("7", "A700H", "'=cmd()", "")
    assert fake_node.calls[-1][1]["state"] == "failed"
    assert "1 line written" in run("queue", "export", str(tmp_path / "q.json")).out
    assert json.loads((tmp_path / "q.json").read_text())[0]["destination"] == "VNA"
    again = run("queue", "export", str(tmp_path / "q.json"))
    assert again.code == 1
    assert "is there already" in again.err
