"""A copy of an archive that is only tried out sends nothing of what waited in it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.running import NodeProcess, Sender, free_port, until


def connected(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


def test_what_waited_stays_until_it_is_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    config = f'[[peers]]\nname = "VNA"\nae_title = "VNA"\nhost = "127.0.0.1"\nport = {port}\n'
    config += '[[routes]]\nname = "all"\nto = ["VNA"]\n'
    config += '[[destinations]]\nname = "VNA"\nretry_s = 1\n'
    node = NodeProcess(tmp_path / "node", config=config)
    node.start()
    try:
        sender = Sender(node.port, 1, 3)
        sender.start()
        sender.join(30)
        until(lambda: node.call("node", "status")["queue"]["pending"] == 3)
        node.stop()
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(0)
            monkeypatch.setenv("PACSTUI_NODE__REHEARSAL", "true")
            node.start()
            until(lambda: "rehearsal" in node.call("queue", "list")["outgoing"][0]["state"])
            status = node.call("node", "status")
            assert status["queue"]["pending"] == 3
            assert "rehearsal" in [each["name"] for each in status["alerts"]]
            assert node.stop() == 0
            with pytest.raises(BlockingIOError):
                listener.accept()
            monkeypatch.delenv("PACSTUI_NODE__REHEARSAL")
            listener.settimeout(1)
            node.start()
            until(lambda: connected(listener))
    finally:
        node.stop()
