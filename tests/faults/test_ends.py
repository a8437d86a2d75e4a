"""How a node ends: in order, in time, with nothing left behind (cases 122, 145)."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import NodeProcess, Sender, running_node, until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_node_ends_at_once_with_zero(tmp_path: Path, number: int) -> None:
    node = NodeProcess(tmp_path / "node", plainly=True)
    node.start()
    node.signal(number)
    assert node.process is not None
    assert node.process.wait(5) == 0
    assert not (node.data_dir / "control.sock").exists()
    assert not (node.data_dir / "index.db-wal").exists()


def test_a_node_under_load_ends_within_ten_seconds_and_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", plainly=True)
    node.start()
    senders = [Sender(node.port, n, 100_000, 20_000) for n in range(4)]
    for sender in senders:
        sender.start()
    until(lambda: all(len(sender.acknowledged) > 5 for sender in senders))
    assert node.stop(10) == 0
    stored: dict[str, str] = node.stored()
    for sender in senders:
        sender.join(10)
        assert sender.acknowledged.items() <= stored.items()
    assert not list((node.data_dir / "incoming").iterdir())


def test_silent_and_stalled_peers_do_not_keep_a_node_from_ending(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", plainly=True)
    node.start()
    silent = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(5)]
    assert node.stop(10) == 0
    for sock in silent:
        sock.close()


def test_a_port_that_is_taken_and_a_data_directory_in_use_are_named(tmp_path: Path) -> None:
    with running_node(tmp_path / "one", plainly=True) as node:
        same_port = NodeProcess(tmp_path / "two", plainly=True, port=node.port)
        with pytest.raises(AssertionError, match=f"{node.port}.*taken"):
            same_port.start()
        command = [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), "serve"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert second.returncode == 1
        assert node.process is not None
        assert str(node.process.pid) in second.stderr
        assert "Traceback" not in second.stderr
        assert "Traceback" not in node.log
        assert node.call("node", "status")["health"] == "ok"


def test_sighup_reloads_peers_and_a_broken_configuration_changes_nothing(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", plainly=True) as node:
        toml = node.folder / "pacstui.toml"
        before = toml.read_text()
        toml.write_text(before + '[[peers]]\nname = "CT one"\nae_title = "CT1"\nhost = "127.0.0.1"\nport = 104\n')
        node.signal(signal.SIGHUP)
        until(lambda: [peer["name"] for peer in node.call("peers", "list")] == ["CT one"])
        toml.write_text(before + "[dicom.nonsense\n")
        node.signal(signal.SIGHUP)
        until(lambda: "not reloaded" in node.log)
        assert [peer["name"] for peer in node.call("peers", "list")] == ["CT one"]


def test_a_reload_names_what_waits_for_the_next_start(tmp_path: Path) -> None:
    with running_node(tmp_path / "node", plainly=True) as node:
        toml = node.folder / "pacstui.toml"
        before = toml.read_text()
        toml.write_text(before.replace("[dicom]", "[dicom]\nartim_s = 7\nmax_pdu = 16384\naliases = ['OTHER']", 1))
        node.signal(signal.SIGHUP)
        until(lambda: "configuration reloaded" in node.log)
        assert "reloaded; only at the next start: [dicom] max_pdu, [dicom] artim_s\n" in node.log
        toml.write_text(before)
        node.signal(signal.SIGHUP)
        until(lambda: node.log.count("configuration reloaded") == 2)


def test_the_console_asks_the_node_to_stop(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", plainly=True)
    node.start()
    node.call("node", "stop")
    assert node.process is not None
    assert node.process.wait(10) == 0
    assert "operator" in node.log


def test_a_closed_standard_error_does_not_hurt_the_node(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", preamble=("sh", "-c", 'exec "$@" 2>&-', "sh"))
    node.start()
    try:
        socket.create_connection(("127.0.0.1", node.port)).close()
        assert node.call("node", "status")["health"] == "ok"
    finally:
        assert node.stop() == 0
