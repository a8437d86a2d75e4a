"""What is said of targets: which snapshot counts, and what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pacstui.archive import Archive
from pacstui.backups.standing import Standings
from pacstui.clock import FakeClock
from pacstui.contract.jobs import JobRow, RunRow
from pacstui.settings import TargetSettings
from screens.backup_words import in_keys
from tests.backups.conftest import Place, fill
from tests.backups.test_hostile import ask


class NoJobs:
    def row(self, name: str) -> JobRow | None:
        return None

    async def begin(self, job: str, parameters: dict[str, str]) -> RunRow:
        raise NotImplementedError

    async def run(self, id: int) -> RunRow:
        raise NotImplementedError


NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def row(at: datetime, last_row: int, **more: Any) -> dict[str, Any]:
    """Return a snapshot as surveys have it."""
    return {
        "id": f"{at:%Y%m%dT%H%M%SZ}-00000000", "at": at.isoformat(), "last_row": last_row, "missing": 0, "bytes": 1,
        "new_bytes": 1, "signed": "signed", "signature": "", **more,
    }  # fmt: skip


def standings(archive: Archive, **snapshots: list[dict[str, Any]]) -> Standings:
    """Return what is known of targets that have these snapshots, newest first."""
    targets = [TargetSettings(name=name, url=f"/srv/{name}") for name in snapshots]
    made = Standings(archive, NoJobs(), FakeClock(NOW), targets)
    for name, rows in snapshots.items():
        made.learn(made.get(name), {"snapshots": rows, "check": None, "drill": None})
        made.get(name).told = True
    return made


async def test_a_snapshot_of_a_time_to_come_counts_for_nothing(archive: Archive) -> None:
    true, ahead = row(NOW - timedelta(hours=3), 7), row(NOW + timedelta(days=400), 99)
    made = standings(archive, nas=[ahead, true], usb=[row(NOW - timedelta(hours=5), 3)])
    assert made.safe_upto() == 7
    assert made.safe_upto(2) == 3
    best = made.best()
    assert best is not None
    assert best.spec.name == "nas"
    assert made.part()["age_s"] == 3 * 3600
    assert made.row("nas", made.get("nas")).last_good == NOW - timedelta(hours=3)


async def test_only_snapshots_of_a_time_to_come_are_told_as_late(archive: Archive) -> None:
    made = standings(archive, nas=[row(NOW + timedelta(days=400), 99)])
    assert made.state(made.get("nas"))[0] == "late"
    assert (made.safe_upto(), made.part()["age_s"]) == (0, -1)


async def test_a_snapshot_of_somebody_else_counts_for_nothing_and_is_a_fault(archive: Archive) -> None:
    forged = row(NOW - timedelta(hours=1), 99, signed="foreign", signature="signed by somebody else")
    made = standings(archive, nas=[forged, row(NOW - timedelta(hours=3), 7)])
    assert made.safe_upto() == 7
    state, problem, hint = made.state(made.get("nas"))
    assert state == "failed"
    assert "somebody else" in problem
    assert "who else" in hint


async def test_hints_name_the_command(archive: Archive) -> None:
    made = standings(archive, **{"the nas": []})
    assert made.state(made.get("the nas"))[2] == "back up now: pacstui backup run --target 'the nas'"


async def test_a_target_on_the_archives_own_volume_is_told_without_looking_from_here(
    archive: Archive, place: Place
) -> None:
    await fill(archive, 1)
    place.take()
    assert ask(place, "survey")["same_volume"]
    made = standings(archive, nas=[row(NOW, 7)])
    survey = made.get("nas").survey
    assert survey is not None
    survey["same_volume"] = True
    assert "own volume" in made.state(made.get("nas"))[1]


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("back up now: pacstui backup run --target nas; then verify: pacstui backup verify --full --target nas",
         "back up now: b; then verify: v"),
        ("rehearse: pacstui backup drill --target 'the nas'", "rehearse: t"),
        ("pacstui backup unlock", "pacstui backup unlock"),
    ],
)  # fmt: skip
def test_the_console_names_keys_instead(hint: str, shown: str) -> None:
    assert in_keys(hint) == shown
