"""DCMTK's echoscu and storescu at work on a node: what they send is what is kept, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.interop import dcmtk
from tests.interop.kept import kept
from tests.interop.relay import Relay, Sent
from tests.interop.samples import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    RLE,
    STORESCU_OPTIONS,
    bundled,
    sample,
)
from tests.running import NodeProcess

pytestmark = dcmtk.needed

ONE_OF_EACH = {
    IMPLICIT: "rtplan.dcm",
    EXPLICIT: "MR2_UNCR.dcm",
    BIG_ENDIAN: "liver_expb.dcm",
    DEFLATED: "image_dfl.dcm",
    RLE: "SC_rgb_rle_2frame.dcm",
    JPEG + "50": "SC_rgb_jpeg_dcmtk.dcm",
    JPEG + "51": "JPEG-lossy.dcm",
    JPEG + "70": "JPEG-LL.dcm",
    JPEG + "80": "emri_small_jpeg_ls_lossless.dcm",
    JPEG + "90": "US1_J2KR.dcm",
    JPEG + "91": "RG3_J2KI.dcm",
}


def counts(node: NodeProcess) -> dict[str, int]:
    status = node.call("node", "status")
    return {**status["archive"], **{name: status["associations"][name] for name in ("accepted_total", "active")}}


def assert_kept(node: NodeProcess, sent: list[Sent]) -> None:
    """Check that each data set that was sent is stored under its UID, in its transfer syntax, as it was sent."""
    there = {each.instance: each for each in kept(node) if not each.set_aside}
    for each in sent:
        assert there[each.instance].data == each.data, f"{each.instance} differs from what was sent"
        assert there[each.instance].syntax == each.syntax


def test_echoscu_is_answered(node: NodeProcess) -> None:
    ran = dcmtk.run("echoscu", node.port)
    assert (ran.code, "Received Echo Response (Success)" in ran.out) == (0, True), ran.out


def test_echoscu_repeats_on_one_association(node: NodeProcess) -> None:
    before = counts(node)["accepted_total"]
    ran = dcmtk.run("echoscu", node.port, "--repeat", "20")
    assert ran.code == 0, ran.out
    assert ran.out.count("Received Echo Response (Success)") == 20
    assert counts(node)["accepted_total"] == before + 1


def test_a_wrong_called_title_is_refused_in_words_on_both_sides(node: NodeProcess) -> None:
    ran = dcmtk.run("echoscu", node.port, "-aet", "MRI7", called="PACZ")
    assert ran.code != 0
    assert "Called AE Title Not Recognized" in ran.out
    refusal = node.call("associations", "refusals")[0]
    assert refusal["calling"] == "MRI7"
    assert '"PACZ"' in refusal["text"]
    assert "set the called AE title to PACS" in refusal["hint"]


def test_one_file(node: NodeProcess, relay: Relay) -> None:
    path = sample("CT_small.dcm")
    ran = dcmtk.run("storescu", relay.port, "-aet", "CT1", "--", str(path))
    assert (ran.code, ran.answers) == (0, ["Success"]), ran.out
    sent = relay.sent()
    assert_kept(node, sent)
    stored = next(each for each in kept(node) if each.instance == sent[0].instance)
    assert stored.calling == "CT1"
    assert dcmread(path).PixelData in stored.data


def test_a_folder_on_one_association(node: NodeProcess, relay: Relay) -> None:
    folder = sample("dicomdirtests/98892003/MR700/4678").parent
    before = counts(node)
    ran = dcmtk.run("storescu", relay.port, "+sd", "--", str(folder))
    assert (ran.code, ran.answers) == (0, ["Success"] * 7), ran.out
    sent = relay.sent()
    assert len({each.instance for each in sent}) == 7
    assert len(relay.lines) == 1
    assert_kept(node, sent)
    after = counts(node)
    assert after["instances"] == before["instances"] + 7
    assert after["studies"] == before["studies"] + 1


def test_a_repeat_succeeds_and_changes_nothing(node: NodeProcess, relay: Relay) -> None:
    before = counts(node)
    ran = dcmtk.run("storescu", relay.port, "--repeat", "10", "--", str(sample("examples_overlay.dcm")))
    assert (ran.code, ran.answers) == (0, ["Success"] * 10), ran.out
    sent = relay.sent()
    assert len(sent) == 10
    assert_kept(node, sent)
    after = counts(node)
    assert (after["instances"], after["quarantined"]) == (before["instances"] + 1, before["quarantined"])


@pytest.mark.parametrize("syntax", sorted(ONE_OF_EACH), ids=lambda syntax: syntax.removeprefix("1.2.840.10008.1.2"))
def test_every_transfer_syntax_is_kept_as_it_comes(node: NodeProcess, relay: Relay, syntax: str) -> None:
    path = sample(ONE_OF_EACH[syntax])
    original = dcmread(path)
    assert original.file_meta.TransferSyntaxUID == syntax, "the sample is not what this test needs"
    ran = dcmtk.run("storescu", relay.port, "-R", STORESCU_OPTIONS[syntax], "--", str(path))
    assert (ran.code, ran.answers) == (0, ["Success"]), ran.out
    (sent,) = relay.sent()
    assert sent.syntax == syntax, "storescu has sent it in another transfer syntax"
    assert_kept(node, [sent])
    if syntax != DEFLATED and "PixelData" in original:
        assert original.PixelData in sent.data


def test_eight_at_once(node: NodeProcess, relay: Relay, tmp_path: Path) -> None:
    before = counts(node)
    files = [shutil.copy(sample(name), tmp_path / name) for name in ("CT_small.dcm", "US1_UNCI.dcm", "rtdose.dcm")]
    running = [
        dcmtk.start("storescu", relay.port, "-aet", f"MOD{n}", "+II", "--repeat", "10", "--", *map(str, files))
        for n in range(8)
    ]
    for process in running:
        ran = dcmtk.finish(process)
        assert (ran.code, ran.answers) == (0, ["Success"] * 30), ran.out
    sent = relay.sent()
    assert len({each.instance for each in sent}) == len(sent) == 240
    assert {each.association for each in sent} == set(range(8))
    assert_kept(node, sent)
    after = counts(node)
    assert after["instances"] == before["instances"] + 240
    assert after["accepted_total"] == before["accepted_total"] + 8
    assert after["quarantined"] == before["quarantined"]


def test_an_abort_of_storescu_keeps_what_was_answered(node: NodeProcess, relay: Relay) -> None:
    ran = dcmtk.run("storescu", relay.port, "--abort", "+II", "--repeat", "3", "--", str(sample("CT_small.dcm")))
    assert ran.answers == ["Success"] * 3, ran.out
    assert_kept(node, relay.sent())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_transfer_syntax_that_storescu_knows_and_pydicom_brings_is_among_them() -> None:
    found = {str(dcmread(path, stop_before_pixels=True, force=True).file_meta.get("TransferSyntaxUID", ""))
             for path in bundled() if path.suffix == ".dcm"}  # fmt: skip
    assert (found & set(STORESCU_OPTIONS)) - set(ONE_OF_EACH) == {JPEG + "81"}  # those lack a Study Instance UID
