"""JPEG Lossless objects fetched from a node by receivers that take nothing compressed, and what cannot be decoded."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, build_role
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET  # type: ignore[attr-defined]

from pacstui.dicom.syntaxes import EXPLICIT
from tests.imaging.encoded import ANY_ORDER, FIRST_ORDER, object_of, saved, stream
from tests.interop import dcmtk
from tests.interop.samples import sample
from tests.running import NodeProcess, free_port, running_node, until

pytestmark = dcmtk.needed
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PICTURES = [np.random.default_rng(seed).integers(0, 4096, (40, 60)) for seed in range(3)]
COLOUR = np.random.default_rng(5).integers(0, 256, (31, 33, 3))
REAL = ("JPEG-LL.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm", "SC_rgb_jpeg_gdcm.dcm")


def made(uid: str, streams: list[bytes], picture: Any, bits: int, study: str = "2.25.1", **more: Any) -> Dataset:
    allocated = 8 if bits <= 8 else 16
    return object_of(streams, picture, bits, allocated, SOPInstanceUID=uid, StudyInstanceUID=study, **more)


def good(uid: str, study: str = "2.25.1") -> Dataset:
    return made(uid, [stream(PICTURES[0], 12, 4)], PICTURES[0], 12, study)


def damaged(uid: str, study: str) -> Dataset:
    coded = stream(PICTURES[0], 12)
    return made(uid, [coded[: len(coded) // 2]], PICTURES[0], 12, study)


def store(node: NodeProcess, folder: Path, *objects: Dataset) -> None:
    entity = AE("SENDER")
    entity.add_requested_context(CAPTURE, ANY_ORDER)
    association = entity.associate("127.0.0.1", node.port, ae_title="PACS")
    assert association.is_established
    for found in objects:
        assert association.send_c_store(saved(found, folder / "sent.dcm")).Status == 0
    association.release()


def fetch(node: NodeProcess, folder: Path, study: str, *options: str) -> tuple[dcmtk.Ran, dict[str, Dataset]]:
    """Return what getscu said and got."""
    folder.mkdir(exist_ok=True)
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
    ran = dcmtk.run("getscu", node.port, "-S", "-aet", "ASKER", "-od", str(folder), *options, *keys)
    return ran, {str(each.SOPInstanceUID): each for each in map(dcmread, folder.iterdir())}


def workers(node: NodeProcess) -> list[psutil.Process]:
    assert node.process is not None
    found = []
    for child in psutil.Process(node.process.pid).children():
        with contextlib.suppress(psutil.Error):
            if "pacstui.imaging.worker" in child.cmdline():
                found.append(child)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, int]]:
    folder, port = tmp_path_factory.mktemp("decoding"), free_port()
    peers = f'[[peers]]\nname = "workstation"\nae_title = "WS1"\nhost = "127.0.0.1"\nport = {port}\n'
    with running_node(folder / "node", peers, plainly=True) as node:
        for name in REAL:
            ran = dcmtk.run("storescu", node.port, "-xs", "--", str(sample(name)))
            assert ran.code == 0, ran.out
        frames = made("2.25.12", [stream(each, 12, 6, rows_between=2) for each in PICTURES], PICTURES[0], 12)
        colour = made("2.25.13", [stream(COLOUR, 8, interleaved=False)], COLOUR, 8)
        signed = made("2.25.14", [stream(PICTURES[1], 16, 7)], PICTURES[1], 16, PixelRepresentation=1)
        store(node, folder, good("2.25.11"), frames, colour, signed)
        yield node, port


WANTED = {
    "2.25.11": PICTURES[0].astype("<u2").tobytes(),
    "2.25.12": b"".join(each.astype("<u2").tobytes() for each in PICTURES),
    "2.25.13": COLOUR.astype("u1").tobytes() + b"\0",
    "2.25.14": PICTURES[1].astype("<i2").tobytes(),
}


@pytest.mark.parametrize("option", ["+xe", "+xi"])
def test_getscu_gets_the_samples_that_were_recorded(
    place: tuple[NodeProcess, int], tmp_path: Path, option: str
) -> None:
    ran, got = fetch(place[0], tmp_path / "got", "2.25.1", option)
    assert ran.code == 0, ran.out
    assert {uid: each.PixelData for uid, each in got.items()} == WANTED
    assert all(not each.file_meta.TransferSyntaxUID.is_compressed for each in got.values())
    assert got["2.25.12"].NumberOfFrames == 3
    assert (got["2.25.13"].PhotometricInterpretation, got["2.25.13"].PlanarConfiguration) == ("RGB", 0)
    assert all("LossyImageCompression" not in each for each in got.values())


@pytest.mark.parametrize("name", REAL)
def test_movescu_brings_real_objects_as_dcmtk_itself_decodes_them(
    place: tuple[NodeProcess, int], tmp_path: Path, name: str
) -> None:
    node, port = place
    stored = dcmread(sample(name))
    (tmp_path / "got").mkdir()
    ran = dcmtk.run(
        "movescu", node.port, "-S", "-aet", "WS1", "-aem", "WS1", "+P", str(port), "+xi", "-od", str(tmp_path / "got"),
        "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={stored.StudyInstanceUID}",
    )  # fmt: skip
    assert ran.code == 0, ran.out
    got = {str(each.SOPInstanceUID): each for each in map(dcmread, (tmp_path / "got").iterdir())}
    there = got[stored.SOPInstanceUID]
    subprocess.run([dcmtk.program("dcmdjpeg"), "+px", str(sample(name)), str(tmp_path / "other.dcm")], check=True)
    assert there.PixelData == dcmread(tmp_path / "other.dcm").PixelData
    assert there.PhotometricInterpretation == stored.PhotometricInterpretation


def test_who_takes_jpeg_lossless_gets_it_as_it_was_stored(place: tuple[NodeProcess, int], tmp_path: Path) -> None:
    stored = dcmread(sample("JPEG-LL.dcm"))
    ran, got = fetch(place[0], tmp_path / "got", stored.StudyInstanceUID, "+xs", "+B")
    assert ran.code == 0, ran.out
    assert got[stored.SOPInstanceUID].file_meta.TransferSyntaxUID == FIRST_ORDER
    assert got[stored.SOPInstanceUID].PixelData == stored.PixelData


def test_the_node_loads_no_decoder(place: tuple[NodeProcess, int], tmp_path: Path) -> None:
    assert fetch(place[0], tmp_path / "got", "2.25.1")[0].code == 0
    (worker,) = workers(place[0])
    assert place[0].process is not None
    loaded = Path(f"/proc/{place[0].process.pid}/maps").read_text()
    assert not any(each in loaded for each in ("openjpeg", "jpeg_ls", "numpy", "/rle/"))
    assert "openjpeg" in Path(f"/proc/{worker.pid}/maps").read_text()
    own = {each.laddr.port for each in psutil.Process(place[0].process.pid).net_connections("inet")}
    assert own
    assert not worker.net_connections("inet")


def test_a_damaged_object_fails_alone_and_says_why(place: tuple[NodeProcess, int], tmp_path: Path) -> None:
    node, _ = place
    study = "2.25.2"
    store(node, tmp_path, good("2.25.21", study), damaged("2.25.22", study), good("2.25.23", study))
    ran, got = fetch(node, tmp_path / "got", study)
    assert set(got) == {"2.25.21", "2.25.23"}
    assert "Failed Suboperations    : 1" in ran.out
    told = [row for row in node.call("feed", "list") if "2.25.22" in row["text"] + row.get("hint", "")]
    assert any("JPEG Lossless (14) cannot be decoded: " in row["text"] for row in told), told


def test_a_decoder_that_is_killed_costs_one_object_and_nobody_else_notices(tmp_path: Path) -> None:
    big = np.random.default_rng(9).integers(0, 4096, (3000, 3000)).astype("<u2")  # some seconds of work
    plain = made("2.25.31", [b"none"], big, 12)
    plain.PixelData = big.tobytes()
    plain["PixelData"].VR, plain["PixelData"].is_undefined_length = "OW", False
    saved(plain, tmp_path / "plain.dcm", EXPLICIT)
    subprocess.run([dcmtk.program("dcmcjpeg"), "+e1", "plain.dcm", "coded.dcm"], cwd=tmp_path, check=True)
    with running_node(tmp_path / "node") as node:
        assert node.process is not None
        assert dcmtk.run("storescu", node.port, "-xs", "--", str(tmp_path / "coded.dcm")).code == 0
        entity = AE("OTHER")
        entity.add_requested_context("1.2.840.10008.1.1")
        other = entity.associate("127.0.0.1", node.port, ae_title="PACS")
        assert other.is_established
        killing = threading.Thread(target=lambda: until(lambda: workers(node))[0].kill())
        killing.start()
        ran, got = fetch(node, tmp_path / "first", "2.25.1")
        killing.join()
        assert got == {}
        assert "Failed Suboperations    : 1" in ran.out
        told = next(row for row in node.call("feed", "list") if "2.25.31" in row["text"])
        assert "its decoder ended suddenly (signal 9); instance 2.25.31" in told["text"]
        ran, got = fetch(node, tmp_path / "second", "2.25.1")
        assert ran.code == 0, ran.out
        assert got["2.25.31"].PixelData == big.tobytes()
        assert other.send_c_echo().Status == 0
        other.release()
        assert node.process.poll() is None


@pytest.mark.slow
def test_a_cancel_waits_for_no_decoder(tmp_path: Path) -> None:
    """It is answered some seconds later at the latest, also while a decoder hangs (PS3.4 C.4.3.3)."""
    with running_node(tmp_path / "node") as node:
        store(node, tmp_path, good("2.25.51"))
        assert fetch(node, tmp_path / "got", "2.25.1")[0].code == 0
        (hanging,) = workers(node)
        hanging.suspend()
        entity = AE("ASKER")
        entity.add_requested_context(GET)
        entity.add_requested_context(CAPTURE, EXPLICIT)
        association = entity.associate(
            "127.0.0.1", node.port, ae_title="PACS", ext_neg=[build_role(CAPTURE, scp_role=True)]
        )
        assert association.is_established
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", "2.25.1"
        statuses = []
        for status, _ in association.send_c_get(identifier, GET, msg_id=7):
            if not statuses:
                association.send_c_cancel(7, query_model=GET)
            statuses.append(status.Status)
        association.release()
        assert statuses[0] == 0xFF00
        assert statuses[-1] != 0xFF00
        until(lambda: not hanging.is_running() or hanging.status() == psutil.STATUS_ZOMBIE)


def test_a_decoder_ends_with_its_node(tmp_path: Path) -> None:
    with running_node(tmp_path / "node") as node:
        store(node, tmp_path, good("2.25.41"))
        assert fetch(node, tmp_path / "got", "2.25.1")[0].code == 0
        (worker,) = workers(node)
        node.kill()
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
        node.start()
        assert fetch(node, tmp_path / "got", "2.25.1")[0].code == 0
        (worker,) = workers(node)
        assert node.stop() == 0
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
