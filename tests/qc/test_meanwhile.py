"""What changes while a retrieval is under way reaches every object that has not left yet."""

from __future__ import annotations

import socket
import sqlite3
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

from tests.archive.objects import EXPLICIT
from tests.qc.test_leaving import do, send
from tests.qc.ward import study_of, with_meta
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.test_retrieve import CAPTURE, GET, MOVE, Receiver

HERE = "127.0.0.1"
RENAMED = "ADT^A08^ADT_A01|{n}|P|2.5\rEVN|A08\rPID|1||P1||DOE^JANETTE||19700101|F\r"
KNOWN = "ADT^A28^ADT_A05|{n}|P|2.5\rEVN|A28\rPID|1||P7||ROE^JANE||19700101|F\r"
MERGED = "ADT^A40^ADT_A39|{n}|P|2.5\rEVN|A40\rPID|1||P7||ROE^JANE||19700101|F\rMRG|P1\r"


class Waiting(Receiver):
    """A receiver that says when the first object is there, before it answers."""

    def __init__(self, port: int, syntaxes: list[str]) -> None:
        self.begun = threading.Event()
        super().__init__(port, syntaxes)

    def _store(self, event: Any) -> int:
        self.begun.set()
        return super()._store(event)


def tell(port: int, text: str, number: int) -> None:
    """Send an HL7 message and wait for its answer."""
    with socket.create_connection((HERE, port), timeout=20) as sock:
        message = "MSH|^~\\&|RIS|LAB|PACS|NODE|20260101120000||" + text.format(n=f"C{number}")
        sock.sendall(b"\x0b" + message.encode() + b"\x1c\r")
        got = b""
        while not got.endswith(b"\x1c\r"):
            got += sock.recv(4096)
    assert b"|AA|" in got or b"|CA|" in got, got


def wanted(study: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study
    return identifier


def got_of(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(with_meta(data, EXPLICIT)), force=True)


def change(node: NodeProcess, hl7: int, kind: str, study: str) -> None:
    if kind == "name":
        tell(hl7, RENAMED, 3)
    elif kind == "merge":
        tell(hl7, MERGED, 4)
    elif kind == "edit":
        do(node, "edit", study=study, changes={"PatientName": "DOE^JANETTE"})
    else:
        do(node, "reject", study=study, reason="quality")


CHANGES = {"name": ("P1", "DOE^JANETTE"), "merge": ("P7", "ROE^JANE"), "edit": ("P1", "DOE^JANETTE"), "reject": None}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_in_the_middle_of_a_move_reaches_all_that_has_not_left(tmp_path: Path, kind: str) -> None:
    port, hl7 = free_port(), free_port()
    config = f'[hl7]\nport = {hl7}\n[[peers]]\nname = "WS1"\nae_title = "WS1"\nhost = "{HERE}"\nport = {port}\n'
    peer = Waiting(port, [EXPLICIT])
    try:
        with running_node(tmp_path / "node", config) as node:
            objects = study_of(series=1, images=6, sop_class=CAPTURE)
            send(node, tmp_path / "in", objects)
            tell(hl7, KNOWN, 1)
            peer.go_on.clear()
            entity = AE("ANY")
            entity.add_requested_context(MOVE)
            association = entity.associate(HERE, node.port, ae_title="PACS")
            answers = association.send_c_move(wanted(objects[0].study), "WS1", MOVE)
            assert peer.begun.wait(20)
            change(node, hl7, kind, objects[0].study)
            peer.go_on.set()
            list(answers)
            association.release()
            found = [got_of(data) for _, _, data in peer.got]
    finally:
        peer.server.shutdown()
    _see(kind, found, objects)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_in_the_middle_of_a_get_reaches_all_that_has_not_left(tmp_path: Path, kind: str) -> None:
    hl7 = free_port()
    found: list[Any] = []
    with running_node(tmp_path / "node", f"[hl7]\nport = {hl7}\n") as node:
        objects = study_of(series=1, images=6, sop_class=CAPTURE)
        send(node, tmp_path / "in", objects)
        tell(hl7, KNOWN, 1)

        def store(event: Any) -> int:
            if not found:
                change(node, hl7, kind, objects[0].study)
            found.append(got_of(event.request.DataSet.getvalue()))
            return 0

        entity = AE("ANY")
        entity.add_requested_context(GET)
        entity.add_requested_context(CAPTURE, EXPLICIT)
        association = entity.associate(
            HERE, node.port, ae_title="PACS", ext_neg=[build_role(CAPTURE, scp_role=True)],
            evt_handlers=[(evt.EVT_C_STORE, store)],
        )  # fmt: skip
        list(association.send_c_get(wanted(objects[0].study), GET))
        association.release()
    _see(kind, found, objects)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_while_a_route_sends_reaches_all_that_has_not_left(tmp_path: Path, kind: str) -> None:
    port, hl7 = free_port(), free_port()
    config = (
        f'[hl7]\nport = {hl7}\n[[peers]]\nname = "WS1"\nae_title = "WS1"\nhost = "{HERE}"\nport = {port}\n'
        '[[routes]]\nname = "all"\nto = ["WS1"]\n'
    )
    peer = Waiting(port, [EXPLICIT])
    peer.go_on.clear()
    try:
        with running_node(tmp_path / "node", config) as node:
            tell(hl7, KNOWN, 1)
            objects = study_of(series=1, images=6, sop_class=CAPTURE)
            send(node, tmp_path / "in", objects)
            assert peer.begun.wait(20)
            change(node, hl7, kind, objects[0].study)
            peer.go_on.set()
            until(lambda: not _queued(node, "waiting"))
            found = [got_of(data) for _, _, data in peer.got]
            assert len(found) + _queued(node, "cancelled") == 6
    finally:
        peer.server.shutdown()
    _see(kind, found, objects)


def _queued(node: NodeProcess, state: str) -> int:
    with sqlite3.connect(node.data_dir / "index.db") as connection:
        row = connection.execute("SELECT count(*) FROM outbox WHERE state=?", (state,)).fetchone()
        return int(row[0])


def _see(kind: str, found: list[Any], objects: list[Any]) -> None:
    first, *others = found
    assert (first.PatientID, str(first.PatientName)) == ("P1", "DOE^JANE")  # it had left
    right = CHANGES[kind]
    if right is None:
        assert others == []
        return
    assert {(each.PatientID, str(each.PatientName)) for each in others} == {right}
    assert {each.SOPInstanceUID for each in found} == {each.sop for each in objects}
