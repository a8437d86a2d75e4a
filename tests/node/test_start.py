"""A node as a person starts it: with nothing configured, beside another one, on a port that is taken."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.running import NodeProcess, Sender, free_port, running_node, until

KEYS = {
    "node": {"version", "pid", "uptime_s"},
    "associations": {"active", "accepted_total", "rejected_total"},
    "archive": {"patients", "studies", "series", "instances", "bytes", "free_bytes"},
    "queue": {"pending", "sending", "failed", "sent_total"},
}


def pacstui(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "pacstui", *arguments],
        capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@contextmanager
def serve(log: Path, usual: bool = False, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``pacstui serve`` without a configuration file, until it is healthy, and end it."""
    if not usual:
        environment.setdefault("PACSTUI_HL7__PORT", "0")
    with open(log, "wb") as stream:
        node = subprocess.Popen(
            [sys.executable, "-m", "pacstui", "serve"],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd="/", env={**os.environ, **environment},
        )  # fmt: skip
    try:
        until(lambda: pacstui("status", **environment).returncode == 0 or node.poll() is not None)
        yield node
    finally:
        if node.poll() is None:
            node.terminate()
        assert node.wait(10) == 0, log.read_text()


def taken(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_with_no_configuration_at_all_everything_works(nobodys_home: Path, tmp_path: Path) -> None:
    usual = {"PACSTUI_DICOM__PORT": 11112, "PACSTUI_HL7__PORT": 2575}
    environment = {name: str(free_port()) for name, port in usual.items() if taken(port)}
    ports = {int(environment.get(name, str(port))) for name, port in usual.items()}
    assert pacstui("status", **environment).returncode == 2
    assert list(nobodys_home.iterdir()) == [], "a look must not make an archive"
    with serve(tmp_path / "log", usual=True, **environment) as node:
        told = json.loads(pacstui("status", "--json", **environment).stdout)
        data_dir = nobodys_home / ".local" / "share" / "pacstui"
        assert told["health"] == "ok"
        assert told["node"]["data_dir"] == str(data_dir)
        assert told["node"]["pid"] == node.pid
        assert told["node"]["ae_title"] == "PACSTUI"
        port = int(environment.get("PACSTUI_DICOM__PORT", "11112"))
        listens = {each.laddr for each in psutil.Process(node.pid).net_connections() if each.status == "LISTEN"}
        assert listens == {("127.0.0.1", each) for each in ports}, "on loopback only"
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in data_dir.rglob("*")} == {0}
        sender = Sender(port, 1, 3, called="PACSTUI")
        sender.start()
        sender.join(20)
        assert sender.statuses == [0, 0, 0]
        assert json.loads(pacstui("status", "--json", **environment).stdout)["archive"]["instances"] == 3
        doctor = pacstui("doctor", **environment)
        assert doctor.returncode == 0
        assert "ok    association: pynetdicom associates, its echo is answered" in doctor.stdout
    assert pacstui("status", **environment).returncode == 2
    assert {path.name for path in nobodys_home.iterdir()} == {".local"}


def kinds(value: Any) -> Any:
    """Return the type of each value of a JSON object, for a comparison of shapes."""
    return {key: kinds(each) if isinstance(each, dict) else type(each).__name__ for key, each in value.items()}


def test_the_status_has_its_keys_and_counts(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", plainly=True) as node:
        config = str(node.folder / "pacstui.toml")
        sender = Sender(node.port, 1, 4)
        sender.start()
        sender.join(20)
        stranger = Sender(node.port, 2, 1, called="NOBODY")
        stranger.start()
        stranger.join(20)
        assert stranger.error is not None
        ran = pacstui("--config", config, "status", "--json")
        told = json.loads(ran.stdout)
        assert ran.returncode == 0
        assert set(told) == {
            "health", "node", "associations", "archive", "queue", "jobs", "backups", "alerts", "hl7", "exceptions",
            "worklist",
        }  # fmt: skip
        for name, keys in KEYS.items():
            assert keys <= set(told[name]), name
            assert all(isinstance(told[name][key], int | float | str) for key in keys)
        assert told["hl7"]["port"]
        assert told["jobs"]["running"] == told["jobs"]["failed"] == told["jobs"]["paused"] == 0
        assert (told["backups"]["targets"], told["backups"]["age_s"]) == (0, -1)
        assert [(alert["name"], alert["level"]) for alert in told["alerts"]] == [("backup none", "note")]
        assert told["node"]["pid"] == node.process.pid if node.process else False
        assert (told["associations"]["accepted_total"], told["associations"]["rejected_total"]) == (1, 1)
        archive = told["archive"]
        assert (archive["patients"], archive["studies"], archive["series"], archive["instances"]) == (1, 1, 1, 4)
        assert 4 * 9_000 < archive["bytes"] < 4 * 12_000
        assert archive["free_bytes"] > 0
    ran = pacstui("--config", config, "status", "--json")
    down = json.loads(ran.stdout)
    assert ran.returncode == 2
    assert down["health"] == "down"
    assert {name: set(value) for name, value in down.items() if isinstance(value, dict)} == {
        name: set(value) for name, value in told.items() if isinstance(value, dict)
    }, "the same keys when nobody answers"


def test_degraded_is_exit_code_1_with_the_reason(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", f"[archive]\nreserve_bytes = {1 << 60}\n") as node:
        sender = Sender(node.port, 1, 1)
        sender.start()
        sender.join(20)
        assert sender.statuses == [0xA700]
        ran = pacstui("--config", str(node.folder / "pacstui.toml"), "status")
        assert ran.returncode == 1
        assert "degraded" in ran.stdout
        assert "A700" in ran.stdout


def test_after_kill_9_the_status_is_down_and_a_start_works(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", plainly=True)
    node.start()
    node.kill()
    config = str(node.folder / "pacstui.toml")
    ran = pacstui("--config", config, "status")
    assert (ran.returncode, ran.stderr) == (2, "")
    assert ran.stdout.startswith("down: no node is running")
    node.start()
    assert pacstui("--config", config, "status").returncode == 0
    assert node.stop() == 0


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def test_a_second_node_on_the_same_data_is_refused_in_words(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", plainly=True) as node:
        assert node.process is not None
        more = {"PACSTUI_NODE__DATA_DIR": str(node.data_dir), "PACSTUI_DICOM__PORT": str(free_port())}
        ran = pacstui("serve", **more)
        assert ran.returncode == 1
        said = last_line(ran.stderr)
        assert f"Another node uses {node.data_dir} (process {node.process.pid})" in said
        assert "Attach to it with pacstui, or stop it first" in said
        assert len(ran.stderr.splitlines()) == 1, "one line is enough"
        assert node.call("node", "status")["health"] == "ok"


@pytest.mark.parametrize(
    ("environment", "words", "hint"),
    [
        ({"PACSTUI_DICOM__HOST": "203.0.113.9"}, "cannot listen on 203.0.113.9", "check [dicom] host"),
        (
            {"PACSTUI_DICOM__HOST": "no-such-host.invalid"},
            "cannot listen on no-such-host.invalid",
            "check [dicom] host",
        ),
        ({"PACSTUI_NODE__DATA_DIR": "/proc/pacstui"}, "/proc/pacstui cannot be used", "[node] data_dir"),
        ({"PACSTUI_DICOM__PORT": "99999"}, "PACSTUI_DICOM__PORT", "from 0 to 65535"),
    ],
    ids=["foreign address", "unknown name", "no such place", "no port"],
)
def test_a_start_that_cannot_be_says_why_and_what_to_correct(
    environment: dict[str, str], words: str, hint: str
) -> None:
    ran = pacstui("serve", **{"PACSTUI_DICOM__PORT": str(free_port()), **environment})
    assert ran.returncode in (1, 2)
    assert words in ran.stderr
    assert hint in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_taken_port_is_named_and_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        more = {"PACSTUI_NODE__DATA_DIR": str(tmp_path / "data"), "PACSTUI_DICOM__PORT": str(port)}
        ran = pacstui("serve", **more)
        assert ran.returncode == 1
        assert f"port {port} on 127.0.0.1 is taken" in last_line(ran.stderr)
        assert "another program has the port" in last_line(ran.stderr)
        assert pacstui("status", **more).returncode == 2
    with serve(tmp_path / "log", **more):
        assert pacstui("status", **more).returncode == 0


def test_an_idle_node_rests(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", plainly=True) as node:
        assert node.process is not None
        process = psutil.Process(node.process.pid)
        until(lambda: process.cpu_percent(0.5) < 5.0)  # it has settled after its start
        assert process.cpu_percent(4.0) < 3.0, "measured: 0.1 % of a core"
        assert process.memory_info().rss < 120_000_000
