"""Messages go on from a real node, whatever becomes of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE

from pacstui.hl7v2.client import send_all
from pacstui.hl7v2.message import Message
from tests.hl7v2.receivers import ack, message
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.test_mpps import MPPS, begun, ended


class Listening(threading.Thread):
    """A receiver that accepts so many messages (none: all), and is silent then."""

    def __init__(self, port: int, most: int = 1 << 30) -> None:
        super().__init__(daemon=True)
        self.most = most
        self.got: list[str] = []
        self.accepted: list[str] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.start()

    def run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        data = b""
        while True:
            try:
                more = sock.recv(65536)
            except OSError:
                return
            if not more:
                return
            data += more
            while b"\x1c\r" in data:
                block, _, data = data.partition(b"\x1c\r")
                text = block.lstrip(b"\x0b").decode("utf-8", "replace")
                self.got.append(text)
                if len(self.accepted) < self.most:
                    self.accepted.append(Message(text).control)
                    sock.sendall(ack(self.accepted[-1]))

    def close(self) -> None:
        """Stop listening, and hang up."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            sock.close()


def config(hl7: int, out: int, more: str = "") -> str:
    return (
        f"[hl7]\nport = {hl7}\n"
        f'[[hl7.receivers]]\nname = "EMR"\nhost = "127.0.0.1"\nport = {out}\nretry_s = 0.1\nretry_most_s = 0.2\n'
        f'answer_s = 20\n[[hl7.forward]]\nname = "all"\nto = ["EMR"]\noutcome = "all"\n{more}'
    )


@contextmanager
def listening(port: int, most: int = 1 << 30) -> Iterator[Listening]:
    made = Listening(port, most)
    try:
        yield made
    finally:
        made.close()


def start(node: NodeProcess) -> None:
    node.start()
    until(lambda: node.call("hl7", "show")["listening"])


def rows(node: NodeProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = node.call("hl7", "outgoing", limit=500)["rows"]
    return found[::-1]


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_what_was_queued_outlives_the_node_and_arrives_in_order(tmp_path: Path, how: str) -> None:
    hl7, out = free_port(), free_port()
    node = NodeProcess(tmp_path / "node", config=config(hl7, out))
    wanted = [f"M{number}" for number in range(30)]
    with listening(out, most=7) as first:
        start(node)
        answers = send_all("".join(map(message, wanted)).encode(), "127.0.0.1", hl7, 20)
        assert [answer.control for answer in answers] == wanted
        until(lambda: len(first.got) >= 8)  # the eighth is on its way, and not answered
        node.kill() if how == "kill" else node.stop(20)
    with listening(out) as second:
        start(node)
        try:
            until(lambda: {row["state"] for row in rows(node)} == {"sent"})
            controls = [Message(text).control for text in second.got]
            assert controls[-22:] == wanted[8:]
            assert controls[0] in (wanted[6], wanted[7])  # the last answer may not have been written down
            assert [row["control"] for row in rows(node)] == wanted
            assert all(row["answer"] == "AA" for row in rows(node))
        finally:
            node.stop()


def test_of_what_a_killed_node_calls_sent_each_was_accepted(tmp_path: Path) -> None:
    hl7, out = free_port(), free_port()
    node = NodeProcess(tmp_path / "node", config=config(hl7, out))
    with listening(out, most=5) as receiver:
        start(node)
        list(send_all("".join(message(f"M{n}") for n in range(12)).encode(), "127.0.0.1", hl7, 20))
        until(lambda: len(receiver.got) >= 6)
        node.kill()
        accepted = set(receiver.accepted)
    start(node)
    try:
        assert {row["control"] for row in rows(node) if row["state"] == "sent"} <= accepted
        down = until(lambda: [r for r in node.call("hl7", "receivers") if r["status"] == "down"])
        assert "refuses the connection" in down[0]["why"]
        until(lambda: any(a["screen"] == "hl7-out:EMR" for a in node.call("node", "status")["alerts"]), 20)
    finally:
        node.stop()


def test_what_a_modality_says_is_told_the_ris(tmp_path: Path) -> None:
    hl7, out = free_port(), free_port()
    more = (
        '[[hl7.notifications]]\nname = "status"\non = "order status"\nmessage = "OMG^O19"\nto = ["EMR"]\n'
        '[[orders.procedures]]\nmodality = "CT"\nstation_ae = ["CT1"]\n'
    )
    order = (
        "MSH|^~\\&|RIS|H|PACS||20260101||ORM^O01|O1|P|2.5\rPID|1||P1^^^H||DOE^JANE||19700101|F\rPV1|1|O\r"
        "ORC|NW|PL1|FL1||SC\rOBR|1|PL1|FL1|CTCH^CT chest^L||||||||||||||ACC7||||||CT\r"
    )
    with listening(out) as ris, running_node(tmp_path / "node", config(hl7, out, more)) as node:
        until(lambda: node.call("hl7", "show")["listening"])
        (answer,) = send_all(order.encode(), "127.0.0.1", hl7, 20)
        assert answer.good, answer
        ae = AE("CT1")
        ae.add_requested_context(MPPS)
        association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
        assert association.is_established
        study = begun(AccessionNumber="ACC7", PatientID="P1", PatientName="DOE^JANE")
        status, _ = association.send_n_create(study, MPPS, "1.2.3.9")
        assert status.Status == 0
        until(lambda: any("|IP|" in text for text in ris.got))
        status, _ = association.send_n_set(ended(), MPPS, "1.2.3.9")
        assert status.Status == 0
        association.release()
        until(lambda: any("|CM|" in text for text in ris.got))
        said = [Message(text) for text in ris.got if "OMG^O19" in text]
        assert [each.value("ORC", 5) for each in said] == ["IP", "CM"]
        assert {each.value("ORC", 2) for each in said} == {"PL1"}
        assert {each.value("OBR", 18) for each in said} == {"ACC7"}
        assert said[1].value("OBR", 7) == "20250111120000"
        assert said[1].value("OBR", 8) == "20250111121500"
