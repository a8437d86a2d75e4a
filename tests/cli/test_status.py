"""``pacstui status``: what it prints and how it exits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pacstui.contract.node import ArchivePart, AssociationsPart, NodePart, QueuePart, Status
from pacstui.errors import Denied, PacsError
from tests.cli import samples


@pytest.mark.parametrize(("health", "code"), [("ok", 0), ("degraded", 1), ("down", 2)])
def test_health_is_the_exit_code(fake_node: Any, run: Callable[..., Any], health: str, code: int) -> None:
    fake_node.will_answer("node.status", samples.status(health, samples.PROBLEM))
    told = run("status")
    assert told.code == code
    assert f"PACS on 127.0.0.1:11112: {health}" in told.out
    assert "x no room for objects" in told.out
    assert "make room" in told.out


def test_the_page_has_the_numbers(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("node.status", samples.status())
    lines = run("status").out.splitlines()
    assert lines[1] == "node          version 0.1.0, pid 4711, up 1:02:05, /data"
    assert lines[2] == "associations  2 open of at most 100; since start 1,204 accepted, 3 refused"
    assert lines[3] == "archive       7 patients, 9 studies, 21 series, 12,345 instances"
    assert lines[4] == "              6.4 GB stored, 85.0 GB free, 1 set aside"
    assert max(map(len, lines)) <= 80


def test_json_is_the_nodes_answer(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("node.status", samples.status("degraded", samples.PROBLEM))
    told = run("status", "--json")
    assert told.code == 1
    assert told.json["archive"]["instances"] == 12345
    assert list(told.json) == [field.name for field in fields(Status)]


def test_no_node_is_down_with_the_same_keys(run: Callable[..., Any], data_dir: Path) -> None:
    told = run("status", "--json")
    assert told.code == 2
    assert told.err == ""
    assert list(told.json) == [field.name for field in fields(Status)]
    for name, part in {
        "node": NodePart,
        "associations": AssociationsPart,
        "archive": ArchivePart,
        "queue": QueuePart,
    }.items():
        assert list(told.json[name]) == [field.name for field in fields(part)]
    assert told.json["health"] == "down"
    assert told.json["archive"]["instances"] is None
    assert told.json["alerts"][0]["name"] == "not-running"
    page = run("status")
    assert page.code == 2
    assert f"no node is running for {data_dir}" in page.out
    assert "pacstui serve" in page.out


def test_the_way_to_start_it_names_the_configuration_that_was_given(run: Callable[..., Any], tmp_path: Path) -> None:
    config = tmp_path / "second node.toml"
    config.write_text(f'[node]\ndata_dir = "{tmp_path}/data"\n')
    assert f"start one with: pacstui --config '{config}' serve" in run("--config", str(config), "status").out
    assert "start one with: pacstui serve" in run("status").out


def test_a_node_that_fails_at_it_counts_as_down(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("node.status", PacsError("it failed", ""))
    told = run("status", "--json")
    assert told.code == 2
    assert told.json["alerts"][0]["text"] == "it failed"


def test_a_node_that_is_there_and_does_not_tell_is_not_down(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("node.status", Denied("not for you", "be somebody else"))
    told = run("status", "--json")
    assert told.code == 1
    assert "not for you" in told.err
    assert told.out == ""


def test_status_needs_no_valid_configuration_but_for_the_data_dir(
    fake_node: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    fake_node.will_answer("node.status", samples.status())
    (tmp_path / "pacstui.toml").write_text('[dicom]\nport = "broken"\n')
    assert run("status").code == 0
    assert run("status", "--config", str(tmp_path / "pacstui.toml")).code == 0


def test_watch_goes_on_until_it_is_interrupted(fake_node: Any) -> None:
    fake_node.will_answer("node.status", samples.status())
    with subprocess.Popen(
        [sys.executable, "-m", "pacstui", "status", "--watch", "--interval", "0.2", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert first == second
        assert process.stderr.read() == ""
