"""C-MOVE and C-GET as others see them: DCMTK and pynetdicom fetch from a node (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.archive.objects import EXPLICIT, Object
from tests.interop import dcmtk
from tests.interop.kept import data_set_of, kept
from tests.interop.samples import STORESCU_OPTIONS, sample
from tests.running import NodeProcess, free_port, running_node
from tests.services.test_query import ask, keep

MOVE, GET = StudyRootQueryRetrieveInformationModelMove, StudyRootQueryRetrieveInformationModelGet
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


class Receiver:
    """A peer that takes what is moved to it, by pynetdicom."""

    def __init__(self, port: int, syntaxes: list[str], title: str = "WS1") -> None:
        self.got: list[tuple[str, str, bytes]] = []
        self.asked: list[Any] = []
        self.status = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.associations = 0
        entity = AE(title)
        entity.maximum_associations = 20
        for sop_class in (CAPTURE, "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.6.1"):
            entity.add_supported_context(sop_class, syntaxes)
        self.server = entity.start_server(
            ("127.0.0.1", port), block=False,
            evt_handlers=[(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)],
        )  # fmt: skip

    def _accepted(self, event: Any) -> None:
        self.associations += 1

    def _store(self, event: Any) -> int:
        self.go_on.wait(20)
        self.asked.append(event.request)
        if not self.status:
            data = event.request.DataSet.getvalue()
            self.got.append((event.request.AffectedSOPInstanceUID, event.context.transfer_syntax, data))
        return self.status

    def close(self) -> None:
        self.go_on.set()
        self.server.shutdown()


@contextlib.contextmanager
def receiver(port: int, *syntaxes: str) -> Iterator[Receiver]:
    opened = Receiver(port, list(syntaxes or (EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.5")))
    try:
        yield opened
    finally:
        opened.close()


class Place:
    """A node and the port at which its peer WS1 listens."""

    def __init__(self, node: NodeProcess, peer: int) -> None:
        self.node, self.peer = node, peer

    def events(self, level: str = "warn") -> list[dict[str, Any]]:
        return [row for row in self.node.call("feed", "list") if row["level"] == level]

    def move(
        self, identifier: Dataset, to: str = "WS1", after_first: Callable[[Any], None] | None = None
    ) -> tuple[list[Any], Any, Dataset | None]:
        """Return pending statuses, the final one, and its identifier."""
        entity = AE("ASKER")
        entity.add_requested_context(MOVE)
        association = entity.associate("127.0.0.1", self.node.port, ae_title="PACS")
        assert association.is_established
        pending, final, listed = [], None, None
        for status, answer in association.send_c_move(identifier, to, MOVE, msg_id=7, priority=1):
            if status.Status == 0xFF00:
                pending.append(status)
                if after_first is not None and len(pending) == 1:
                    after_first(association)
            else:
                final, listed = status, answer
        association.release()
        return pending, final, listed

    def get(self, identifier: Dataset, *syntaxes: str) -> tuple[list[tuple[str, str, bytes]], Any, Dataset | None]:
        """Return what came (UID, transfer syntax, data set), the final status, and its identifier."""
        got: list[tuple[str, str, bytes]] = []

        def store(event: Any) -> int:
            got.append(
                (event.request.AffectedSOPInstanceUID, event.context.transfer_syntax, event.request.DataSet.getvalue())
            )
            return 0

        entity = AE("ASKER")
        entity.add_requested_context(GET)
        roles = []
        for sop_class in (CAPTURE, "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.6.1"):
            for syntax in syntaxes or (EXPLICIT,):
                entity.add_requested_context(sop_class, syntax)
            roles.append(build_role(sop_class, scp_role=True))
        association = entity.associate(
            "127.0.0.1", self.node.port, ae_title="PACS", ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)]
        )
        assert association.is_established
        final, listed = None, None
        for status, answer in association.send_c_get(identifier, GET):
            if status.Status != 0xFF00:
                final, listed = status, answer
        association.release()
        return got, final, listed


@contextlib.contextmanager
def place(folder: Path, more: str = "") -> Iterator[Place]:
    port = free_port()
    config = f'{more}[[peers]]\nname = "workstation"\nae_title = "WS1"\nhost = "127.0.0.1"\nport = {port}\n'
    with running_node(folder, config) as node:
        yield Place(node, port)


FIRST = Object(patient="P1")
SECOND, THIRD = FIRST.beside(), FIRST.beside(pixels=bytes(3_000_000))
OTHER = Object(patient="P2")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("retrieve") / "node") as found:
        keep(found.node, FIRST, SECOND, THIRD, OTHER)
        for name in ("MR_small_RLE.dcm", "MR_small_bigendian.dcm", "US1_J2KR.dcm"):
            syntax = str(dcmread(sample(name), stop_before_pixels=True).file_meta.TransferSyntaxUID)
            ran = dcmtk.run("storescu", found.node.port, STORESCU_OPTIONS[syntax], "--", str(sample(name)))
            assert ran.code == 0, ran.out
        yield found


STUDY = {FIRST.sop: FIRST, SECOND.sop: SECOND, THIRD.sop: THIRD}


def test_a_study_is_moved_as_it_was_stored(here: Place) -> None:
    with receiver(here.peer) as peer:
        _, final, listed = here.move(ask(StudyInstanceUID=FIRST.study))
    assert (final.Status, listed) == (0, None)
    counts = (final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations)
    assert counts == (3, 0)
    assert {uid: data for uid, _, data in peer.got} == {uid: thing.encode() for uid, thing in STUDY.items()}
    sent = [e for e in here.node.call("audit", "list", kind="export")["rows"] if e["action"] == "dicom.C-MOVE"]
    assert [(e["who"], e["origin"], e["patient"]) for e in sent if f"study={FIRST.study}, to=WS1" == e["target"]] == [
        ("ASKER", "127.0.0.1", "ID P1"),
    ]  # fmt: skip
    asked = peer.asked[0]
    assert (asked.MoveOriginatorApplicationEntityTitle, asked.MoveOriginatorMessageID) == ("ASKER", 7)
    assert asked.Priority == 1
    assert peer.associations == 1


def test_a_study_is_fetched_as_it_was_stored(here: Place) -> None:
    got, final, _ = here.get(ask(StudyInstanceUID=FIRST.study))
    assert final.Status == 0
    assert {uid: data for uid, _, data in got} == {uid: thing.encode() for uid, thing in STUDY.items()}


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"level": "SERIES", "StudyInstanceUID": FIRST.study, "SeriesInstanceUID": FIRST.series}, set(STUDY)),
        (
            {"level": "IMAGE", "StudyInstanceUID": FIRST.study, "SeriesInstanceUID": FIRST.series,
             "SOPInstanceUID": [FIRST.sop, SECOND.sop, "1.2.3"]},
            {FIRST.sop, SECOND.sop},
        ),
        ({"StudyInstanceUID": [FIRST.study, OTHER.study]}, {*STUDY, OTHER.sop}),
        ({"StudyInstanceUID": "1.2.3.4"}, set()),
    ],
)  # fmt: skip
def test_levels_and_lists_of_uids(here: Place, keys: dict[str, Any], wanted: set[str]) -> None:
    got, final, _ = here.get(ask(**keys))
    assert (final.Status, {uid for uid, _, _ in got}) == (0, wanted)


@pytest.mark.parametrize(
    ("keys", "offending"),
    [
        ({"StudyInstanceUID": ""}, 0x0020000D),
        ({"StudyInstanceUID": "*"}, 0x0020000D),
        ({"level": "SERIES", "SeriesInstanceUID": "1.2"}, 0x0020000D),
        ({"level": "SERIES", "StudyInstanceUID": "1.2"}, 0x0020000E),
        ({"level": "PATIENT", "PatientID": "P1"}, 0x00080052),
    ],
)
def test_what_does_not_fit_is_refused_by_name(here: Place, keys: dict[str, str], offending: int) -> None:
    _, final, _ = here.get(ask(**keys))
    assert (final.Status, int(final.OffendingElement)) == (0xA900, offending)


def test_an_unknown_destination_is_told_to_both_sides(here: Place) -> None:
    _, final, _ = here.move(ask(StudyInstanceUID=FIRST.study), to="NOWHERE")
    assert final.Status == 0xA801
    assert "NOWHERE" in final.ErrorComment
    row = here.events()[-1]
    assert "NOWHERE is not known here" in row["text"]
    assert '[[peers]] name = "NOWHERE"' in row["hint"]


def test_a_destination_that_is_off_is_told_to_both_sides(here: Place) -> None:
    _, final, listed = here.move(ask(StudyInstanceUID=FIRST.study))
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xA702, 3)
    assert listed is not None
    assert set(listed.FailedSOPInstanceUIDList) == set(STUDY)
    assert "nothing listens at 127.0.0.1" in here.events()[-1]["text"]


def test_a_destination_that_refuses_is_told_to_both_sides(here: Place) -> None:
    with receiver(here.peer) as peer:
        peer.status = 0xA700
        _, final, _ = here.move(ask(StudyInstanceUID=FIRST.study))
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xA702, 3)
    assert "WS1 answered A700H" in here.events()[-1]["text"]


def test_others_get_what_they_can_read(here: Place) -> None:
    mr, us = dcmread(sample("MR_small_RLE.dcm")), dcmread(sample("US1_J2KR.dcm"))
    got, final, _ = here.get(ask(StudyInstanceUID=mr.StudyInstanceUID), "1.2.840.10008.1.2.5")
    assert final.Status == 0
    by_syntax = {syntax: data for _, syntax, data in got}
    stored = {each.instance: each.data for each in kept(here.node) if not each.set_aside}
    assert by_syntax["1.2.840.10008.1.2.5"] == stored[mr.SOPInstanceUID]
    got, final, _ = here.get(ask(StudyInstanceUID=mr.StudyInstanceUID), "1.2.840.10008.1.2")
    assert final.Status == 0
    assert {syntax for _, syntax, _ in got} == {"1.2.840.10008.1.2"}
    got, final, listed = here.get(ask(StudyInstanceUID=us.StudyInstanceUID), "1.2.840.10008.1.2.4.50")
    assert (got, final.Status) == ([], 0xA702)
    assert listed is not None
    assert listed.FailedSOPInstanceUIDList == us.SOPInstanceUID
    row = here.events()[-1]
    assert "ASKER takes JPEG Baseline, the instance is" in row["text"]
    assert "JPEG 2000 Lossless" in row["text"]


def test_without_the_storage_role_nothing_is_sent(here: Place) -> None:
    entity = AE("ASKER")
    entity.add_requested_context(GET)
    entity.add_requested_context(CAPTURE, EXPLICIT)
    association = entity.associate("127.0.0.1", here.node.port, ae_title="PACS")
    *_, (final, _) = association.send_c_get(ask(StudyInstanceUID=FIRST.study), GET)
    association.release()
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xA702, 3)


@pytest.mark.parametrize("how", ["gone", "cut", "changed"])
def test_a_lost_or_damaged_file_fails_alone_and_is_named(tmp_path: Path, how: str) -> None:
    with place(tmp_path / "node") as here:
        keep(here.node, FIRST, SECOND, THIRD)
        (path,) = here.node.data_dir.glob(f"objects/*/{FIRST.study}/{SECOND.sop}.dcm")
        whole = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(whole[:-8] if how == "cut" else whole[:-8] + b"tampered")
        got, final, listed = here.get(ask(StudyInstanceUID=FIRST.study))
        assert {uid for uid, _, _ in got} == {FIRST.sop, THIRD.sop}
        assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 2, 1)
        assert listed is not None
        assert listed.FailedSOPInstanceUIDList == SECOND.sop
        (row,) = here.events("fail")
        assert row["instance"] == SECOND.sop
        assert ("is not there" if how == "gone" else "differs from what was stored") in row["text"]


def test_a_cancel_ends_a_move(here: Place) -> None:
    with receiver(here.peer) as peer:
        peer.go_on.clear()

        def cancel(association: Any) -> None:
            association.send_c_cancel(7, query_model=MOVE)
            threading.Timer(0.2, peer.go_on.set).start()

        pending, final, _ = here.move(ask(StudyInstanceUID=FIRST.study), after_first=cancel)
    assert pending[0].NumberOfRemainingSuboperations == 3
    assert (final.Status, final.NumberOfRemainingSuboperations) == (0xFE00, 2)
    assert final.NumberOfCompletedSuboperations == 1


def test_several_associations_at_once_by_setting(tmp_path: Path) -> None:
    with place(tmp_path / "node", "[retrieve]\nparallel = 3\n") as here:
        things = [FIRST, *(FIRST.beside() for _ in range(29))]
        keep(here.node, *things)
        with receiver(here.peer) as peer:
            _, final, _ = here.move(ask(StudyInstanceUID=FIRST.study))
        assert (final.Status, final.NumberOfCompletedSuboperations) == (0, 30)
        assert peer.associations == 3
        assert sorted(uid for uid, _, _ in peer.got) == sorted(thing.sop for thing in things)


@dcmtk.needed
def test_dcmtk_finds_moves_and_gets(here: Place, tmp_path: Path) -> None:
    found = dcmtk.run("findscu", here.node.port, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=P1",
                      "-k", "StudyInstanceUID")  # fmt: skip
    assert (found.code, FIRST.study in found.out) == (0, True), found.out
    (tmp_path / "got").mkdir()
    got = dcmtk.run("getscu", here.node.port, "-S", "-od", str(tmp_path / "got"), "-k", "QueryRetrieveLevel=STUDY",
                    "-k", f"StudyInstanceUID={FIRST.study}")  # fmt: skip
    assert got.code == 0, got.out
    stored = {each.instance: each.data for each in kept(here.node)}
    for path in (tmp_path / "got").iterdir():
        assert data_set_of(path) == stored[str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)]
    assert len(list((tmp_path / "got").iterdir())) == 3
    (tmp_path / "moved").mkdir()
    moved = dcmtk.run("movescu", here.node.port, "-S", "-aem", "WS1", "-aet", "WS1", "--port", str(here.peer), "-od",
                      str(tmp_path / "moved"), "-k", "QueryRetrieveLevel=STUDY", "-k",
                      f"StudyInstanceUID={FIRST.study}")  # fmt: skip
    assert moved.code == 0, moved.out
    assert len(list((tmp_path / "moved").iterdir())) == 3
