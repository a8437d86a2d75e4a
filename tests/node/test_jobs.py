"""Jobs of a real node: what it makes by itself, a run that kill -9 cuts off, and a stop that does not wait for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.running import NodeProcess, Sender, until


def pacstui(node: NodeProcess, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PACSTUI_NODE__DATA_DIR": str(node.data_dir)}
    command = [sys.executable, "-m", "pacstui", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def runs(node: NodeProcess, job: str) -> list[tuple[str, str]]:
    return [(run["state"], run["started_by"]) for run in node.call("jobs", "history", job=job)][::-1]


def row(node: NodeProcess, job: str) -> dict[str, Any]:
    return next(each for each in node.call("jobs", "list")["jobs"] if each["name"] == job)


def test_a_run_goes_on_after_kill_9_and_a_stop_is_quick(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    node.start()
    sender = Sender(node.port, 1, 120)
    sender.start()
    sender.join(60)
    assert len(sender.acknowledged) == 120
    node.call("jobs", "edit", job="integrity", parameters={"percent": "100", "rate": "0.1"})
    node.call("jobs", "pause")
    node.call("jobs", "resume")
    node.call("jobs", "start", job="integrity")
    until(lambda: node.call("jobs", "list")["running"][0]["done"] >= 50)
    assert node.call("node", "status")["jobs"]["running"] == 1
    node.kill()

    node.start()
    until(lambda: len(runs(node, "integrity")) == 2)
    (cut, who), (again, by) = runs(node, "integrity")
    assert (cut, again, by) == ("interrupted", "running", "restart")
    assert who != "schedule"
    assert node.stop(8) == 0, "a run does not hold up the node"

    node.start()
    until(lambda: len(runs(node, "integrity")) == 3)
    assert [state for state, _ in runs(node, "integrity")] == ["interrupted", "interrupted", "running"]
    ident = node.call("jobs", "list")["running"][0]["id"]
    assert pacstui(node, "jobs", "cancel", str(ident), "--yes").returncode == 0
    until(lambda: not node.call("jobs", "list")["running"])
    told = [each["text"] for each in node.call("feed", "list") if each["source"] == "integrity"]
    assert any(text.startswith("cancelled") for text in told)

    node.call("jobs", "edit", job="integrity", parameters={"percent": "100", "rate": "0"})
    done = pacstui(node, "jobs", "start", "integrity", "--wait")
    assert (done.returncode, "120 objects read back" in done.stdout) == (0, True), done.stdout + done.stderr
    entries = node.call("audit", "list", limit=1000)["rows"]
    told_of = {(each["who"], each["action"]) for each in entries}
    assert ("schedule", "jobs.start") in told_of  # the two that went on by themselves
    assert {action for _, action in told_of} >= {"jobs.start", "jobs.cancel", "jobs.edit", "jobs.pause", "jobs.resume"}
    assert node.stop() == 0
    assert "Traceback" not in node.log


def test_commands_and_the_reindex_action(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    node.start()
    view = json.loads(pacstui(node, "jobs", "list", "--json").stdout)
    assert {"paused", "jobs", "running", "recent", "planned"} <= set(view)
    names = {each["name"] for each in view["jobs"]}
    assert names == {"audit-verify", "database", "integrity", "purge", "reconcile", "reindex", "repair", "report"}
    node.call("storage", "reindex")
    until(lambda: row(node, "reindex")["last"])
    assert row(node, "reindex")["last"]["state"] == "done"
    made = pacstui(node, "jobs", "create", "full", "integrity", "--schedule", "sat 03:00", "--set", "percent=100")
    assert "Saturday at 03:00" in made.stdout
    wrong = pacstui(node, "jobs", "edit", "full", "--schedule", "now and then")
    assert (wrong.returncode, "is no schedule" in wrong.stderr, "daily 02:00" in wrong.stderr) == (1, True, True)
    assert pacstui(node, "jobs", "delete", "full", "--yes").returncode == 0
    refused = pacstui(node, "jobs", "delete", "reindex", "--yes")
    assert "pacstui jobs disable reindex" in refused.stderr
    assert node.stop() == 0
