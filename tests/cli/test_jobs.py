"""``pacstui jobs`` against a node that is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pacstui.contract.jobs import JobRow, JobsView, KindRow, ParameterRow, RunLine, RunRow
from pacstui.errors import BadRequest
from tests.cli.conftest import FakeNode, Run

AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
RUN = RunRow(
    7, "nightly", "integrity", "running", "schedule", AT, AT + timedelta(hours=4), None, 14_400.0, 2, 8112, 19_840,
    "objects", 4_100_000_000, 9_900_000_000, 61.0, 31_000_000.0, 187.0, 2, "objects/1\x1b[2J", "", "",
)  # fmt: skip
DONE = replace(RUN, state="done", ended=AT + timedelta(hours=5), text="all is well", errors=0, now="", left_s=None)
FAILED = replace(DONE, state="failed", text="the disk [/]\x1b[2J is full", hint="make room")
JOB = JobRow(
    "nightly", "integrity", "read objects back", {"percent": "2"}, "daily 02:00", "every day at 02:00", "20:00-06:00",
    "Europe/Berlin", True, "", 1, 300.0, 0.0, "skip", "idle", AT, 0, FAILED, 3, "", False,
)  # fmt: skip


def test_jobs_are_listed_with_what_went_wrong(run: Callable[..., Run], fake_node: FakeNode) -> None:
    rows = (JOB, replace(JOB, name="gone", state="broken", problem="there is no kind of job x", last=None))
    fake_node.will_answer("jobs.list", JobsView(True, "op1", rows, (RUN,), ()))
    told = run("jobs", "list")
    assert told.code == 0
    assert "\x1b" not in told.out
    for words in ("PAUSED by op1", "x failed", "x broken", "never ran", "there is no kind of job x",
                  "8,112 of 19,840 objects, 40 %, 4.1 GB of 9.9 GB, 31.0 MB/s, 3:07 left, 2 errors"):  # fmt: skip
        assert words in told.out, words
    assert run("jobs", "list", "--json").json["jobs"][0]["last"]["hint"] == "make room"


def test_a_run_and_its_log(run: Callable[..., Run], fake_node: FakeNode) -> None:
    fake_node.will_answer("jobs.run", FAILED)
    told = run("jobs", "run", "7").out
    for words in ("run 7 of nightly: x failed", "make room", "4:00:00 late", "after 1:00:00", "attempt  2"):
        assert words in told
    fake_node.will_answer("jobs.log", (RunLine(1, AT, "fail", "object 1.2 differs \x1b[2J"),))
    assert "x object 1.2 differs" in run("jobs", "log", "7").out
    fake_node.will_answer("jobs.history", (RUN, FAILED))
    assert "4:00:00" in run("jobs", "history", "--job", "nightly").out
    assert fake_node.calls[-1][1]["job"] == "nightly"
    kinds = (KindRow("integrity", "x", "Reads.", (ParameterRow("depth", "how deep", "quick", ("quick", "full")),)),)
    fake_node.will_answer("jobs.kinds", kinds)
    assert "depth [quick]  how deep (quick, full)" in run("jobs", "kinds").out


@pytest.mark.parametrize(("end", "code"), [(DONE, 0), (FAILED, 1), (replace(DONE, state="warning"), 1)])
def test_start_and_wait(
    run: Callable[..., Run], fake_node: FakeNode, monkeypatch: pytest.MonkeyPatch, end: RunRow, code: int
) -> None:
    monkeypatch.setattr("pacstui.cli.jobs._PACE_S", 0.0)
    fake_node.will_answer("jobs.start", RUN)
    fake_node.will_answer("jobs.run", end)
    assert run("jobs", "start", "nightly").code == 0
    told = run("jobs", "start", "nightly", "--wait")
    assert told.code == code
    assert told.out.startswith(f"run 7 of nightly: {'=' if code == 0 else told.out[18]} {end.state}")
    assert run("jobs", "start", "nightly", "--wait", "--json").json["state"] == end.state


def test_jobs_are_made_and_changed(run: Callable[..., Run], fake_node: FakeNode) -> None:
    fake_node.will_answer("jobs.create", JOB)
    fake_node.will_answer("jobs.edit", JOB)
    sets = ("--set", "percent=2", "--set", "rate=1")
    told = run("jobs", "create", "nightly", "integrity", "--schedule", "daily 02:00", *sets)
    assert told.out.splitlines()[0] == f"nightly: {JOB.label} (percent 2)"
    assert "runs     every day at 02:00" in told.out
    assert "_" not in told.out  # words, not the names of fields
    assert fake_node.calls[-1] == ("jobs.create", {
        "name": "nightly", "kind": "integrity", "schedule": "daily 02:00", "parameters": {"percent": "2", "rate": "1"},
    })  # fmt: skip
    assert run("jobs", "edit", "nightly", "--retries", "2", "--window", "").code == 0
    assert fake_node.calls[-1] == ("jobs.edit", {"job": "nightly", "retries": 2, "window": ""})
    assert "write --set NAME=VALUE" in run("jobs", "edit", "nightly", "--set", "percent").err
    fake_node.will_answer("jobs.edit", BadRequest("no", "daily 02:00"))
    assert run("jobs", "edit", "nightly", "--schedule", "x").code == 1


def test_a_run_is_cancelled_by_its_number_or_by_the_name_of_its_job(
    run: Callable[..., Run], fake_node: FakeNode
) -> None:
    fake_node.will_answer("jobs.cancel", None)
    fake_node.will_answer("jobs.list", JobsView(False, "", (JOB, replace(JOB, name="idle")), (RUN,), ()))
    assert "run 7 is to end" in run("jobs", "cancel", "7", "--yes").out
    assert "run 7 is to end" in run("jobs", "cancel", "nightly", "--yes").out
    assert fake_node.calls[-1] == ("jobs.cancel", {"id": 7})
    told = run("jobs", "cancel", "idle", "--yes")
    assert (told.code, told.err.splitlines()[0]) == (1, "pacstui: idle does not run now")
    told = run("jobs", "cancel", "nobody", "--yes")
    assert 'there is no job "nobody"' in told.err
    assert "under way is: nightly" in told.err
    fake_node.will_answer("jobs.list", JobsView(False, "", (JOB,), (RUN, replace(RUN, id=8)), ()))
    assert "nightly has 2 runs under way: 7, 8" in run("jobs", "cancel", "nightly", "--yes").err


def test_what_is_dangerous_asks(run: Callable[..., Run], fake_node: FakeNode) -> None:
    for words in (("cancel", "7"), ("disable", "nightly"), ("pause",), ("delete", "nightly")):
        fake_node.will_answer(f"jobs.{words[0]}", None)
        assert "give --yes" in run("jobs", *words).err
        assert run("jobs", *words, "--yes").code == 0
