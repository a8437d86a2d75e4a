"""A peer gets another name: what names it follows, and what cannot follow is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.errors import BadRequest
from tests.running import Sender, free_port, running_node, until


def test_queue_routes_history_and_windows_follow_a_name(tmp_path: Path) -> None:
    dead = free_port()
    with running_node(tmp_path / "node") as node:
        node.call("peers", "add", name="Reading", ae_title="WS1", host="127.0.0.1", port=dead)
        node.call("routes", "create", name="all", to=["Reading"])
        node.call("maintenance", "plan", start="+2 h", end="+2 h", reason="new disks", peers=["Reading"])
        node.call("peers", "echo", name="Reading")
        sender = Sender(node.port, 1, 3)
        sender.start()
        sender.join(10)
        until(lambda: node.call("queue", "sendings")["rows"])
        node.call("queue", "pause", destination="Reading", why="moves house")

        assert node.call("peers", "rename", name="Reading", to="Reading room 2")["name"] == "Reading room 2"

        assert [row["name"] for row in node.call("peers", "list")] == ["Reading room 2"]
        assert node.call("routes", "list")[0]["to"] == ["Reading room 2"]
        assert node.call("routes", "list")[0]["problem"] == ""
        rows = node.call("queue", "sendings")["rows"]
        assert {row["destination"] for row in rows} == {"Reading room 2"}
        (out,) = node.call("queue", "list")["outgoing"]
        assert (out["destination"], out["status"], out["waiting"]) == ("Reading room 2", "paused", 3)
        assert [e["detail"] for e in node.call("peers", "history", name="Reading room 2")["echoes"]] != []
        assert node.call("maintenance", "show")["windows"][0]["peers"] == ["Reading room 2"]
        sender = Sender(node.port, 2, 2)  # what comes later goes to the new name as well
        sender.start()
        sender.join(10)
        until(lambda: sum(row["waiting"] for row in node.call("queue", "sendings")["rows"]) == 5)
        assert {row["destination"] for row in node.call("queue", "sendings")["rows"]} == {"Reading room 2"}
        told = [row["detail"] for row in node.call("audit", "list")["rows"] if row["action"] == "peers.rename"]
        assert "name: Reading -> Reading room 2" in told
        node.stop()
        node.start()
        assert [row["name"] for row in node.call("peers", "list")] == ["Reading room 2"]
        assert node.call("queue", "list")["outgoing"][0]["status"] == "paused"


def test_what_the_configuration_names_keeps_its_name(tmp_path: Path) -> None:
    config = (
        '[[peers]]\nname = "CT"\nae_title = "CT1"\nhost = "127.0.0.1"\n'
        '[[destinations]]\nname = "WS"\nretries = 3\n[[routes]]\nname = "r"\nto = ["WS"]\n'
    )
    with running_node(tmp_path / "node", config) as node:
        node.call("peers", "add", name="WS", ae_title="WS1", host="127.0.0.1", port=free_port())
        with pytest.raises(BadRequest, match=r"the route r of the configuration .*\[\[destinations\]\]"):
            node.call("peers", "rename", name="WS", to="WS 2")
        with pytest.raises(BadRequest, match="CT stands in the configuration"):
            node.call("peers", "rename", name="CT", to="CT 2")
        node.call("peers", "add", name="MR", ae_title="MR1", host="127.0.0.1")
        with pytest.raises(BadRequest, match="there is a peer WS already"):
            node.call("peers", "rename", name="MR", to="ws")
        with pytest.raises(BadRequest, match="name"):
            node.call("peers", "rename", name="MR", to=" ")
        assert node.call("peers", "rename", name="MR", to="mr")["name"] == "mr"
