"""``pacstui space``: what it prints, and the name that has to be typed."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pacstui.contract.space import Emptied, PlanRow, PurgePlan, RuleRow, SpaceView, TrashRow, UndoResult

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ROW = TrashRow(
    17, AT, "study", "1.2.3", "1.2.3", "wrong patient\x1b[2J", "", "eve", "DOE^JANE", "P1", "20260101", "A1", ("CT",),
    "CHEST", 412, 216_000_000, AT + timedelta(days=14), "",
)  # fmt: skip
VIEW = SpaceView(
    91.3, 85.0, 90.0, 80.0, 4_000_000_000_000, 348_000_000_000, 1, 412, 216_000_000, 14, AT.date(), "full in 98 days",
    "the trash is emptied early, until 80%", (RuleRow("old", "received more than 30 days ago", "always"),), 2, None,
    "3 studies purged", "1 object repaired", 0,
)  # fmt: skip
PLAN = PurgePlan(
    (
        PlanRow("old", "received 40 days ago", "", "1.2.3", "DOE^JANE", "P1", "20260101", "", ("CT",), "CHEST", 2, 100),
        PlanRow("old", "received 40 days ago", "not in 1 backup yet", "1.2.4", "X^Y", "P2", "20260101", "", ("CT",),
                "KNEE", 2, 100),
    ),
    1, 2, 100, 1, False,
)  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("words", "answer", "seen"),
    [
        (("show",), VIEW, ("91.3% used", "full in 98 days; the trash is emptied early", "BROKEN   2 objects",
                           "old: received more than 30 days ago", "purged   3 studies purged")),
        (("trash",), (ROW,), ("17", "DOE^JANE", "wrong patient", "eve")),
        (("plan",), PLAN, ("1 study of 2 instances would go", "not in 1 backup yet", "1.2.4")),
        (("undo", "17"), UndoResult(17, "1.2.3", 412, 0, ()), ("412 instances brought back",)),
        (("delete", "1.2.3", "--yes"), ROW, ("pacstui space undo 17",)),
        (("empty", "all", "--yes"), Emptied(1, 412, 216_000_000, ()), ("1 entry gone for good",)),
    ],
)  # fmt: skip
def test_it_says_what_it_found_or_did(
    run: Callable[..., Any], fake_node: Any, words: tuple[str, ...], answer: Any, seen: tuple[str, ...]
) -> None:
    fake_node.will_answer(f"space.{words[0]}", answer)
    told = run("space", *words)
    assert told.code == 0
    assert all(each in told.out for each in seen), told.out
    assert "\x1b" not in told.out


def test_what_could_not_come_back_fails(run: Callable[..., Any], fake_node: Any) -> None:
    fake_node.will_answer("space.undo", UndoResult(17, "1.2.3", 1, 0, (("1.2.3.4", "other content came"),)))
    told = run("space", "undo", "17")
    assert told.code == 1
    assert "stays in the trash: 1.2.3.4: other content came" in told.out


@pytest.mark.parametrize(("typed", "done"), [("1.2.3\n", True), ("1.2.3 why\n", False), ("y\n", False), ("\n", False)])
def test_deleting_takes_the_study_s_uid_typed(
    run: Callable[..., Any], fake_node: Any, monkeypatch: pytest.MonkeyPatch, typed: str, done: bool
) -> None:
    fake_node.will_answer("space.delete", replace(ROW, why="why"))
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    told = run("space", "delete", "1.2.3", "--why", "why")
    assert (told.code == 0) == done
    assert bool(fake_node.calls) == done
    assert "Move a study, series or instance to the trash: 1.2.3 why" in told.out
