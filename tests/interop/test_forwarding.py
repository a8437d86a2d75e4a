"""What is received goes on to DCMTK's storescp, which is killed, restarted, slowed, and made to refuse and abort."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.interop import dcmtk
from tests.running import NodeProcess, Sender, free_port, running_node, until

pytestmark = dcmtk.needed
_PEER = '[[peers]]\nname = "{0}"\nae_title = "{0}"\nhost = "127.0.0.1"\nport = {1}\n'


@contextmanager
def storescp(port: int, folder: Path, *options: str) -> Iterator[Path]:
    """Run DCMTK's receiver; yield the folder that it writes to."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [dcmtk.program("storescp"), *options, "-od", str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    until(lambda: _listens(port))
    try:
        yield folder
    finally:
        process.kill()
        process.wait(10)


def _listens(port: int) -> bool:
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True
    return False


def outgoing(node: NodeProcess) -> dict[str, dict[str, Any]]:
    return {row["destination"]: row for row in node.call("queue", "list")["outgoing"]}


def files(folder: Path) -> int:
    return sum(1 for path in folder.iterdir() if path.is_file())


def test_each_destination_keeps_to_itself_whatever_it_does(tmp_path: Path) -> None:
    names = ("GOOD", "REFUSES", "ABORTS", "SLOW", "KILLED")
    ports = {name: free_port() for name in names}
    config = "".join(_PEER.format(name, port) for name, port in ports.items())
    config += f'[[routes]]\nname = "all"\nto = {json.dumps(names)}\n'
    config += '[[destinations]]\nname = "ABORTS"\nretries = 1\nretry_s = 1\n'
    with ExitStack() as stack:
        good = stack.enter_context(storescp(ports["GOOD"], tmp_path / "good"))
        stack.enter_context(storescp(ports["REFUSES"], tmp_path / "refuses", "--refuse"))
        stack.enter_context(storescp(ports["ABORTS"], tmp_path / "aborts", "--abort-after"))
        stack.enter_context(storescp(ports["SLOW"], tmp_path / "slow", "--sleep-during", "1"))
        node = stack.enter_context(running_node(tmp_path / "node", config))
        with storescp(ports["KILLED"], tmp_path / "killed"):
            sender = Sender(node.port, 1, 40)
            sender.start()
            until(lambda: len(sender.acknowledged) >= 10)
        sender.join(30)
        assert len(sender.acknowledged) == 40
        until(lambda: files(good) == 40)  # nobody held it up
        rows = until(
            lambda: (
                outgoing(node)
                if all(outgoing(node).get(name, {}).get("status") == "down" for name in ("REFUSES", "ABORTS", "KILLED"))
                else None
            )
        )
        assert "rejected" in rows["REFUSES"]["why"] or "refus" in rows["REFUSES"]["why"], rows["REFUSES"]
        assert "aborted" in rows["ABORTS"]["why"]
        assert f"127.0.0.1:{ports['KILLED']}" in rows["KILLED"]["why"]
        until(lambda: outgoing(node)["SLOW"]["status"] == "sending")
        until(lambda: outgoing(node)["REFUSES"]["waiting"] == 40)
        assert node.call("node", "status")["health"] == "degraded"
        waited = outgoing(node)["KILLED"]["waiting"]
        assert waited > 0
        killed = stack.enter_context(storescp(ports["KILLED"], tmp_path / "killed"))
        node.call("queue", "retry", destination="KILLED")
        until(lambda: outgoing(node)["KILLED"]["waiting"] == 0)
        assert files(killed) == 40
        assert node.call("queue", "cancel", destination="REFUSES")["objects"] == 40
        assert node.call("queue", "redirect", destination="SLOW", to="GOOD")["objects"] > 30
        until(lambda: outgoing(node)["GOOD"]["waiting"] == 0)
        assert files(good) == 40  # they came a second time, and are the same
