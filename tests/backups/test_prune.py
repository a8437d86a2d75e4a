"""Which snapshots stay, and that none that stays is harmed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.archive import Archive
from pacstui.backups import prune, retention
from pacstui.backups.layout import FileRef, Manifest
from pacstui.backups.retention import kept
from pacstui.errors import Corrupt
from pacstui.jobs.kinds import Cancelled
from tests.backups.conftest import Place, contents, fill

LATER = datetime(2100, 1, 1, tzinfo=UTC)
START = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)


def manifest(at: datetime, missing: int = 0) -> Manifest:
    file = FileRef("index.db.gz", 1, "")
    return Manifest(
        f"{at:%Y%m%dT%H%M%SZ}", at.isoformat(), "", "", "", "", "", False, 0, 0, 0, 0, 0, 0, 0, 0.0, file, "", 0, None,
        (), (), missing,
    )  # fmt: skip


def stays(keep: dict[str, int], *moments: datetime) -> list[datetime]:
    found = kept([manifest(at) for at in moments], keep, UTC, now=LATER)
    return [at for at in moments if found[manifest(at).id]]


def test_the_newest_of_each_day_week_month_and_year_stays() -> None:
    days = [START + timedelta(days=n) for n in range(400)]
    twice = [at + timedelta(hours=6) for at in days]
    left = stays({"last": 1, "daily": 7, "weekly": 4, "monthly": 12, "yearly": 5}, *days, *twice)
    assert all(at in twice for at in left)
    newest = twice[-1]
    assert [at for at in left if newest - at < timedelta(days=7)] == twice[-7:]
    assert datetime(2026, 12, 31, 8, 0, tzinfo=UTC) in left  # of the year, and of the month
    assert len(left) < 7 + 4 + 12 + 2


def test_the_newest_stays_whatever_the_rules_say() -> None:
    assert stays({}, START, START + timedelta(days=1)) == [START + timedelta(days=1)]


def test_the_newest_that_has_everything_stays_too() -> None:
    whole, lacking = manifest(START), manifest(START + timedelta(days=1), missing=3)
    found = kept([whole, lacking], {"last": 1}, now=LATER)
    assert found == {lacking.id: ["last"], whole.id: ["complete"]}


@given(
    st.lists(st.integers(0, 40_000_000), min_size=1, max_size=60, unique=True),
    st.fixed_dictionaries({rule: st.integers(0, 6) for rule in retention.RULES}),
)
def test_pruning_again_removes_nothing_more(seconds: list[int], keep: dict[str, int]) -> None:
    moments = [START + timedelta(seconds=each) for each in seconds]
    left = stays(keep, *moments)
    assert left
    assert max(moments) in left
    assert stays(keep, *left) == left


def run(place: Place, **keep: int) -> prune.Pruned:
    target = place.target(keep=keep)
    target.open()
    try:
        return prune.prune(target, "tester", place.watch())
    finally:
        target.close()


async def several(archive: Archive, place: Place) -> list[str]:
    """Take three snapshots, each with objects of its own; the archive loses the first ones in between."""
    ids = []
    for _ in range(3):
        things = await fill(archive, 2)
        ids.append(place.take().manifest.id)
        study = things[0].study

        def forget(db: Any, study: str = study) -> None:
            rows = db.execute("SELECT id FROM studies WHERE study=?", (study,)).fetchone()
            series = db.execute("SELECT id FROM series WHERE study=?", rows).fetchone()
            db.execute("DELETE FROM instances WHERE series=?", series)

        await archive.db.write(forget)
    return ids


async def test_only_what_no_kept_snapshot_needs_goes(archive: Archive, place: Place, tmp_path: Any) -> None:
    await several(archive, place)
    assert len(place.packs()) == 3
    done = run(place, last=1)
    assert (done.snapshots, done.packs) == (2, 2)
    assert len(place.packs()) == len(place.files(".list")) == 1
    assert place.verify(fresh=True).ok
    assert place.restore(tmp_path / "back").failed_total == 0
    assert len(contents(tmp_path / "back")) == 2


async def test_what_an_interrupted_run_brought_is_not_pruned(
    archive: Archive, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(archive, 2)
    place.take()
    await fill(archive, 2)
    watch = place.watch()

    def stopping(*_: Any) -> Any:
        raise Cancelled("stopped before the manifest")

    monkeypatch.setattr("pacstui.backups.take.Taking._manifest", stopping)
    with pytest.raises(Cancelled):
        place.take(watch)
    monkeypatch.undo()
    assert run(place, last=1).packs == 0
    assert place.take().manifest.new_instances == 0


async def test_nothing_goes_while_a_manifest_cannot_be_read(archive: Archive, place: Place) -> None:
    await fill(archive, 2)
    place.take()
    place.take()
    victim = place.manifests()[0]
    victim.write_bytes(victim.read_bytes().replace(b"PACS", b"PACZ"))
    before = place.files()
    with pytest.raises(Corrupt, match="nothing is removed"):
        run(place, last=1)
    assert [path for path in place.files() if path.name != "lock.json"] == before


async def test_a_snapshot_of_a_wrong_clock_takes_no_other_ones_place(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    taken = place.take().manifest
    now = taken.moment
    later = replace(taken, id="later", at=(now + timedelta(days=3650)).isoformat())
    before = replace(taken, id="before", at=(now - timedelta(days=1)).isoformat())
    rules = retention.kept([later, taken, before], {"last": 1, "daily": 2}, now=now)
    assert rules == {"later": ["future"], taken.id: ["last", "daily"], "before": ["daily"]}
