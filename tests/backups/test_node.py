"""Backups of a running node, from outside: the command line, the socket, the archive's own folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacstui.errors import NotFound, Unavailable
from tests.backups.conftest import contents
from tests.running import NodeProcess, Sender, running_node, until

SMALL = 3000


def config(folder: Path) -> str:
    return (
        '[archive]\nreserve_bytes = 0\n'
        f'[[backups.targets]]\nname = "disk"\nurl = "{folder / "disk"}"\nschedule = ""\n'
        f'[[backups.targets]]\nname = "away"\nurl = "{folder / "not" / "there"}"\nschedule = ""\n'
    )  # fmt: skip


def slow(folder: Path) -> str:
    """Return a configuration with which a backup takes its time."""
    return config(folder).replace('name = "disk"', 'name = "disk"\nmax_mb_per_s = 0.05')


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("backed-up")
    with running_node(folder / "node", config(folder)) as made:
        yield made


def store(node: NodeProcess, count: int, seed: int) -> dict[str, str]:
    sender = Sender(node.port, seed, count, SMALL)
    sender.start()
    sender.join(60)
    assert sender.error is None
    assert len(sender.acknowledged) == count
    return sender.acknowledged


def command(node: NodeProcess, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), *words],
        capture_output=True, text=True, timeout=120, env=dict(os.environ), check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def target(node: NodeProcess, name: str = "disk") -> dict[str, Any]:
    view = node.call("backups", "show")
    return next(row for row in view["targets"] if row["name"] == name)


def settled(node: NodeProcess) -> None:
    """Wait until nothing runs any more: a verification and a prune follow each backup."""
    until(lambda: not node.call("jobs", "list")["running"], 60)
    until(lambda: not target(node)["run"], 10)


def test_what_is_not_safe_is_counted_and_a_backup_makes_it_safe(node: NodeProcess) -> None:
    before = node.call("node", "status")["archive"]["instances"]
    store(node, 12, seed=1)
    until(lambda: target(node)["unsaved"] >= 12)
    told = json.loads(command(node, "backup", "run", "--target", "disk", "--json"))
    assert (told["state"], told["kind"]) == ("done", "backup")
    assert f"{before + 12} instances" in told["text"]
    row = target(node)
    assert (row["state"], row["unsaved"]) == ("good", 0)
    assert node.call("node", "status")["backups"]["unsaved"] == 0
    store(node, 3, seed=2)
    until(lambda: target(node)["unsaved"] == 3)
    loss = node.call("backups", "show")["loss"]
    assert (loss["instances"], loss["target"]) == (3, "disk")
    settled(node)
    assert target(node)["checked_ok"] is True


def test_a_target_that_is_away_is_a_problem_with_its_remedy(node: NodeProcess) -> None:
    row = until(lambda: (found := target(node, "away"))["state"] == "away" and found)
    assert "not there" in row["problem"]
    assert "mounted" in row["hint"]
    alerts = node.call("node", "status")["alerts"]
    assert any(alert["name"] == "backup away" and alert["screen"] == "backups" for alert in alerts)
    told = json.loads(command(node, "backup", "run", "--target", "away", "--json", code=1))
    assert told["state"] == "failed"


def test_the_commands_tell_what_there_is(node: NodeProcess) -> None:
    for seed in (11, 12):
        store(node, 2, seed)
        command(node, "backup", "run", "--target", "disk")
        settled(node)
    assert "disk" in command(node, "backup", "targets", code=1)  # the other one is away
    assert "kept as" in command(node, "backup", "list", "--target", "disk")
    assert "0 differences" in command(node, "backup", "verify", "--target", "disk", "--full")
    page = json.loads(command(node, "backup", "studies", "--target", "disk", "--json"))
    assert page["rows"][0]["here"] == page["rows"][0]["instances"]
    assert "nobody works" in command(node, "backup", "lock", "--target", "disk")
    shown = command(node, "backup", "show", "--target", "disk")
    assert "last good" in shown
    assert "_" not in "".join(line[:10] for line in shown.splitlines())
    signer = json.loads(command(node, "backup", "key", "--json"))
    by_address = ("backup", "list", "--url", target(node)["url"], "--json")
    for more, state in (((), "unknown"), (("--signed-by", signer["fingerprint"]), "signed")):
        assert {row["signed"] for row in json.loads(command(node, *by_address, *more))} == {state}
    first, *_, last = (row["id"] for row in reversed(node.call("backups", "snapshots", target="disk")))
    found = json.loads(command(node, "backup", "compare", first, last, "--target", "disk", "--json"))
    assert found["added"] > 0
    assert found["removed"] == found["changed"] == 0
    with pytest.raises(NotFound, match="no target"):
        node.call("backups", "run", target="nobody")


def test_a_study_comes_back_from_a_snapshot(node: NodeProcess) -> None:
    mine = store(node, 4, seed=7)
    command(node, "backup", "run", "--target", "disk")
    settled(node)
    study = node.call("studies", "list", limit=1)["rows"][0]["study"]
    folder = next((node.data_dir / "objects").glob(f"*/{study}"))
    shutil.rmtree(folder)
    plan = node.call("backups", "plan", target="disk", what="study", key=study)
    assert (plan["instances"], plan["problems"]) == (4, [])
    told = json.loads(command(node, "backup", "restore", "--target", "disk", "--study", study, "--yes", "--json"))
    assert told["state"] == "done", told
    assert len(list(folder.iterdir())) == 4
    assert not list((node.data_dir / "backups").rglob("restore-*"))
    with pytest.raises(Unavailable, match="no such study"):
        node.call("backups", "restore", target="disk", what="study", key="1.2.3")
    assert mine


def test_all_that_the_archive_lacks_or_has_damaged_comes_back(node: NodeProcess) -> None:
    store(node, 12, seed=11)
    command(node, "backup", "run", "--target", "disk")
    settled(node)
    before = contents(node.data_dir)
    gone, damaged, *_ = sorted((node.data_dir / "objects").rglob("*.dcm"))
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    command(node, "jobs", "create", "everything", "integrity", "--set", "percent=100")
    command(node, "jobs", "start", "everything", "--wait", code=1)
    found = json.loads(command(node, "backup", "studies", "--target", "disk", "--json"))["rows"]
    assert sum(each["instances"] - each["here"] for each in found) == 2
    told = command(node, "backup", "plan", "--target", "disk", "--lacking")
    assert "2 instances of" in told and "0 are there already" in told
    told = command(node, "backup", "restore", "--target", "disk", "--lacking", "--yes")
    assert "2 instances brought back" in told
    assert node.call("storage", "missing") == []
    found = json.loads(command(node, "backup", "studies", "--target", "disk", "--json"))["rows"]
    assert all(each["instances"] == each["here"] for each in found)
    now = contents(node.data_dir).values()
    assert all(each in now for each in before.values())
    command(node, "backup", "restore", "--target", "disk", "--yes", code=1)
    command(node, "backup", "plan", "--target", "disk", code=1)


def test_a_restore_is_not_done_unasked(node: NodeProcess, tmp_path: Path) -> None:
    command(node, "backup", "restore", "--target", "disk", "--to", str(tmp_path / "back"), code=1)
    assert not (tmp_path / "back").exists()


def test_everything_comes_back_when_the_archive_is_lost(tmp_path: Path) -> None:
    made = NodeProcess(tmp_path / "node", config=config(tmp_path))
    made.start()
    kept = store(made, 20, seed=3)
    command(made, "backup", "run", "--target", "disk")
    settled(made)
    before = contents(made.data_dir)
    made.stop()
    shutil.rmtree(made.data_dir)
    listed = json.loads(command(made, "backup", "list", "--url", str(tmp_path / "disk"), "--json"))
    assert listed[0]["instances"] == 20
    command(made, "backup", "restore", "--target", "disk", "--snapshot", "latest", "--to", str(made.data_dir), "--yes")
    assert contents(made.data_dir) == before
    made.start()
    try:
        assert made.call("node", "status")["archive"]["instances"] == 20
        until(lambda: target(made)["state"] == "good")
        assert made.call("audit", "verify")["flaws"] == []
    finally:
        made.stop()
    assert made.stored() == kept


def test_an_archive_is_replaced_by_a_snapshot_and_the_old_one_stays(tmp_path: Path) -> None:
    made = NodeProcess(tmp_path / "node", config=config(tmp_path))
    made.start()
    first = store(made, 5, seed=4)
    command(made, "backup", "run", "--target", "disk")
    settled(made)
    store(made, 5, seed=5)
    words = ("backup", "restore", "--target", "disk", "--in-place", "--yes")
    assert "Another node uses" in _refused(made, *words)
    made.stop()
    command(made, *words)
    assert made.stored() == first
    before = list(made.folder.glob("data.before-*"))
    assert len(before) == 1
    assert len(contents(before[0])) == 10
    made.start()
    assert made.call("node", "status")["archive"]["instances"] == 5
    made.stop()


def _refused(node: NodeProcess, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stderr


def test_a_node_that_is_killed_in_a_backup_goes_on_with_it(tmp_path: Path) -> None:
    made = NodeProcess(tmp_path / "node", config=slow(tmp_path))
    made.start()
    store(made, 60, seed=6)
    row = made.call("backups", "run", target="disk")
    until(lambda: (tmp_path / "disk").is_dir() and any((tmp_path / "disk").rglob("lock.json")))
    made.kill()
    made.config = made.config.replace("max_mb_per_s = 0.05", "max_mb_per_s = 0")
    made.start()
    try:
        assert made.call("jobs", "run", id=row["id"])["state"] == "interrupted"
        done = until(
            lambda: [run for run in made.call("jobs", "history", job="backup disk") if run["state"] == "done"], 60
        )
        assert done[0]["started_by"] == "restart"
        assert target(made)["unsaved"] == 0
    finally:
        made.stop()


def test_a_stop_does_not_wait_for_a_backup(tmp_path: Path) -> None:
    made = NodeProcess(tmp_path / "node", config=slow(tmp_path))
    made.start()
    store(made, 60, seed=8)
    made.call("backups", "run", target="disk")
    until(lambda: (tmp_path / "disk").is_dir() and any((tmp_path / "disk").rglob("lock.json")))
    assert made.stop(10) == 0
