"""Storage commitment as modalities ask for it (PS3.4 J)."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, build_role, evt

from pacstui.errors import PacsError
from tests.archive.objects import Object
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.test_query import keep

COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def request(transaction: str, *things: tuple[str, str]) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = transaction
    items = []
    for sop_class, instance in things:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        items.append(item)
    ds.ReferencedSOPSequence = Sequence(items)
    return ds


class Modality:
    """Asks for commitment, and takes answers on the same association or on one that the node opens."""

    def __init__(self, node: NodeProcess, port: int = 0, title: str = "CT1") -> None:
        self.node, self.title = node, title
        self.reports: list[tuple[int, Dataset]] = []
        self.came = threading.Event()
        self.status = 0
        self.gone: threading.Event | None = None
        self.server: Any = None
        if port:
            entity = AE(title)
            entity.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
            self.server = entity.start_server(
                ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)]
            )

    def _report(self, event: Any) -> tuple[int, None]:
        if self.gone is not None:  # it answers nothing until it is switched off
            self.gone.wait(20)
            return 0x0110, None
        self.reports.append((event.event_type, event.event_information))
        self.came.set()
        return self.status, None

    def ask(self, ds: Dataset, *, stay: bool = False, action: int = 1, instance: str = INSTANCE) -> int:
        entity = AE(self.title)
        entity.add_requested_context(COMMITMENT)
        association = entity.associate(
            "127.0.0.1", self.node.port, ae_title="PACS", evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)]
        )
        assert association.is_established
        answer, _ = association.send_n_action(ds, action, COMMITMENT, instance)
        if stay:
            assert self.came.wait(20)
        association.release()
        return int(answer.Status)

    def ask_and_vanish(self, ds: Dataset) -> None:
        """Ask, and be switched off before an answer can be taken."""
        self.gone = threading.Event()
        entity = AE(self.title)
        entity.add_requested_context(COMMITMENT)
        association = entity.associate(
            "127.0.0.1", self.node.port, ae_title="PACS", evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)]
        )
        answer, _ = association.send_n_action(ds, 1, COMMITMENT, INSTANCE)
        assert answer.Status == 0
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
        self.gone.set()
        association.abort()

    def answer(self) -> tuple[int, Dataset]:
        assert self.came.wait(20)
        return self.reports[-1]

    def close(self) -> None:
        if self.server is not None:
            self.server.shutdown()


@contextmanager
def place(folder: Path, port: int) -> Iterator[NodeProcess]:
    config = f'[[peers]]\nname = "scanner"\nae_title = "CT1"\nhost = "127.0.0.1"\nport = {port}\n'
    with running_node(folder, config) as node:
        yield node


def reasons(ds: Dataset) -> dict[str, int]:
    return {item.ReferencedSOPInstanceUID: item.FailureReason for item in ds.get("FailedSOPSequence", [])}


def kept(ds: Dataset) -> set[str]:
    return {item.ReferencedSOPInstanceUID for item in ds.get("ReferencedSOPSequence", [])}


@pytest.mark.parametrize("stay", [True, False], ids=["same association", "own association"])
def test_what_is_kept_is_committed(tmp_path: Path, stay: bool) -> None:
    port = free_port()
    with place(tmp_path / "node", port) as node:
        first = Object()
        second = first.beside()
        keep(node, first, second)
        modality = Modality(node, 0 if stay else port)
        try:
            asked = request("1.2.3.1", (CAPTURE, first.sop), (CAPTURE, second.sop))
            assert modality.ask(asked, stay=stay) == 0
            kind, answer = modality.answer()
            assert (kind, answer.TransactionUID, answer.RetrieveAETitle) == (1, "1.2.3.1", "PACS")
            assert (kept(answer), reasons(answer)) == ({first.sop, second.sop}, {})
            until(lambda: node.call("commitments", "list")[0]["state"] == "told")
            (row,) = node.call("commitments", "list")
            assert (row["objects"], row["failed"], row["problem"]) == (2, 0, "")
        finally:
            modality.close()


def test_what_is_not_kept_has_its_reason(tmp_path: Path) -> None:
    with place(tmp_path / "node", free_port()) as node:
        good, lost, damaged, other = (Object() for _ in range(4))
        keep(node, good, lost, damaged, other)
        (path,) = node.data_dir.glob(f"objects/*/{lost.study}/*.dcm")
        path.unlink()
        (path,) = node.data_dir.glob(f"objects/*/{damaged.study}/*.dcm")
        path.write_bytes(path.read_bytes()[:-4] + b"oops")
        modality = Modality(node)
        asked = request(
            "1.2.3.2", (CAPTURE, good.sop), (CAPTURE, lost.sop), (CAPTURE, damaged.sop), ("1.2.3", other.sop),
            (CAPTURE, "1.2.3.4.5"),
        )  # fmt: skip
        assert modality.ask(asked, stay=True) == 0
        kind, answer = modality.answer()
        assert (kind, kept(answer)) == (2, {good.sop})
        assert reasons(answer) == {lost.sop: 0x0112, damaged.sop: 0x0110, other.sop: 0x0119, "1.2.3.4.5": 0x0112}


def test_an_answer_survives_a_kill_and_is_delivered_later(tmp_path: Path) -> None:
    port = free_port()
    with place(tmp_path / "node", port) as node:
        thing = Object()
        keep(node, thing)
        modality = Modality(node)
        modality.ask_and_vanish(request("1.2.3.3", (CAPTURE, thing.sop)))
        until(lambda: node.call("commitments", "list")[0]["attempts"] == 1)
        (row,) = node.call("commitments", "list")
        assert row["state"] == "reporting"
        assert "nothing listens" in row["problem"]
        node.kill()
        listening = Modality(node, port)
        try:
            node.start()
            node.call("commitments", "retry", id=row["id"])
            kind, answer = listening.answer()
            assert (kind, kept(answer)) == (1, {thing.sop})
            until(lambda: node.call("commitments", "list")[0]["state"] == "told")
        finally:
            listening.close()


def test_a_caller_that_is_no_peer_is_named_with_what_mends_it(tmp_path: Path) -> None:
    with place(tmp_path / "node", free_port()) as node:
        thing = Object()
        keep(node, thing)
        Modality(node, title="STRANGER").ask_and_vanish(request("1.2.3.4", (CAPTURE, thing.sop)))
        row = until(lambda: [r for r in node.call("feed", "list") if "commitment" in r["text"]])[0]
        assert "no known peer" in row["text"]
        assert '[[peers]] name = "STRANGER"' in row["hint"]


def test_a_transaction_uid_stands_for_one_request(tmp_path: Path) -> None:
    with place(tmp_path / "node", free_port()) as node:
        first, second = Object(), Object()
        keep(node, first, second)
        for _ in range(2):  # asked again, answered again
            modality = Modality(node)
            modality.ask(request("1.2.3.5", (CAPTURE, first.sop)), stay=True)
            assert kept(modality.answer()[1]) == {first.sop}
        modality = Modality(node)
        modality.ask(request("1.2.3.5", (CAPTURE, second.sop)), stay=True)
        assert reasons(modality.answer()[1]) == {second.sop: 0x0131}


def test_a_transaction_uid_that_somebody_else_uses_stays_good_for_who_used_it_first(tmp_path: Path) -> None:
    with place(tmp_path / "node", free_port()) as node:
        thing = Object()
        keep(node, thing)
        for title, reason in (("CT1", None), ("OTHER", 0x0131), ("CT1", None)):
            modality = Modality(node, title=title)
            modality.ask(request("1.2.3.7", (CAPTURE, thing.sop)), stay=True)
            answer = modality.answer()[1]
            assert (kept(answer), reasons(answer)) == (
                ({thing.sop}, {}) if reason is None else (set(), {thing.sop: reason})
            )


def test_requests_that_make_no_sense_are_answered(tmp_path: Path) -> None:
    with place(tmp_path / "node", free_port()) as node:
        modality = Modality(node)
        assert modality.ask(request("1.2.3.6", (CAPTURE, "1.2")), action=2) == 0x0123
        assert modality.ask(request("1.2.3.6", (CAPTURE, "1.2")), instance="1.2.3") == 0x0112
        assert modality.ask(request("1.2.3.6")) == 0x0115
        assert node.call("commitments", "list") == []


@pytest.mark.parametrize("named", [0, 1], ids=["an empty answer", "one of two"])
def test_what_an_answer_leaves_out_is_not_committed(tmp_path: Path, named: int) -> None:
    port = free_port()
    with place(tmp_path / "node", port) as node:
        first = Object()
        second = first.beside()
        keep(node, first, second)
        transaction = "1.2.3.8"
        asked_for = json.dumps([[CAPTURE, first.sop], [CAPTURE, second.sop]])
        with closing(sqlite3.connect(node.data_dir / "index.db")) as index:
            index.execute(
                "INSERT INTO asked_commitments (transaction_uid, peer, study, asked, state, sent) VALUES (?,?,?,?,?,1)",
                (transaction, "scanner", first.study, asked_for, "asked"),
            )
            index.commit()
        entity = AE("CT1")
        entity.add_requested_context(COMMITMENT)
        role = build_role(COMMITMENT, scp_role=True)
        association = entity.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=[role])
        told = request(transaction, *[(CAPTURE, first.sop)] * named)
        answer, _ = association.send_n_event_report(told, 1, COMMITMENT, INSTANCE)
        association.release()
        assert answer.Status == 0
        row = asked(node)
        assert (row["state"], row["committed"]) == ("not committed", named)
        assert row["missing"] == [first.sop, second.sop][named:]


@contextmanager
def two_nodes(folder: Path, *, known: bool = True) -> Iterator[tuple[NodeProcess, NodeProcess]]:
    """A node that asks, and the archive that it asks; ``known`` tells whether that one knows it as a peer."""
    here, there = free_port(), free_port()
    back = f'[[peers]]\nname = "here"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {here}\n' if known else ""
    out = f'[[peers]]\nname = "archive"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {there}\n'
    with running_node(folder / "there", back, port=there) as archive:
        with running_node(folder / "here", out, port=here) as node:
            yield node, archive


def asked(node: NodeProcess) -> dict[str, Any]:
    return until(lambda: next((r for r in node.call("commitments", "asked") if r["state"] != "asked"), None))


def test_a_peer_is_asked_for_what_it_keeps(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as (node, archive):
        first = Object()
        second = first.beside()
        keep(node, first, second)
        keep(archive, first)
        row = node.call("commitments", "ask", peer="archive", study=first.study)
        assert (row["state"], row["objects"]) == ("asked", 2)
        row = asked(node)
        assert (row["state"], row["committed"], row["missing"]) == ("not committed", 1, [second.sop])
        keep(archive, second)
        node.call("commitments", "ask", peer="archive", study=first.study)
        until(lambda: node.call("commitments", "asked")[0]["state"] == "committed")
        texts = [r["text"] for r in node.call("feed", "list") if r["source"] == "archive"]
        assert "storage commitment: 2 instances committed" in texts


def test_an_answer_on_the_peers_own_association_is_taken(tmp_path: Path) -> None:
    """The archive is slow, and the one who asked was killed meanwhile."""
    with two_nodes(tmp_path) as (node, archive):
        thing = Object()
        keep(node, thing)
        keep(archive, thing)
        transaction = "1.2.3.99"
        with closing(sqlite3.connect(node.data_dir / "index.db")) as index:
            index.execute(
                "INSERT INTO asked_commitments (transaction_uid, peer, study, asked, state, sent) VALUES (?,?,?,?,?,1)",
                (transaction, "archive", thing.study, f'[["{CAPTURE}", "{thing.sop}"]]', "asked"),
            )
            index.commit()
        node.kill()
        modality = Modality(archive, title="PACS")
        modality.ask_and_vanish(request(transaction, (CAPTURE, thing.sop)))
        until(lambda: archive.call("commitments", "list")[0]["attempts"] > 0)
        node.start()
        archive.call("commitments", "retry", id=archive.call("commitments", "list")[0]["id"])
        assert asked(node)["state"] == "committed"
        until(lambda: archive.call("commitments", "list")[0]["state"] == "told")


def test_a_peer_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    port = free_port()
    with place(tmp_path / "node", port) as node:
        thing = Object()
        keep(node, thing)
        node.call("commitments", "ask", peer="scanner", study=thing.study)
        row = asked(node)
        assert row["state"] == "failed"
        assert "nothing listens" in row["problem"]
        with pytest.raises(PacsError, match="there is no peer"):
            node.call("commitments", "ask", peer="nobody", study=thing.study)
        with pytest.raises(PacsError, match="has no study"):
            node.call("commitments", "ask", peer="scanner", study="1.2.3")
