"""All files that pydicom brings: through ``pacstui import`` and over the network, each with a clear result."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from pacstui.dicom.net.requestor import associate
from tests.interop import dcmtk
from tests.interop.kept import kept
from tests.interop.relay import Relay
from tests.interop.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, NOT_TAKEN, STORESCU_OPTIONS, bundled
from tests.running import NodeProcess, running_node

CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True)
class Import:
    """What ``pacstui import --json`` printed."""

    code: int
    results: dict[Path, dict[str, Any]]
    summary: dict[str, Any]


def run_import(folder: Path, paths: Iterable[Path], *more: str) -> Import:
    """Import into the archive of the node in ``folder``."""
    command = [sys.executable, "-m", "pacstui", "--config", str(folder / "pacstui.toml"), "import", "--json", *more]
    ran = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stderr == ""
    *lines, last = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len({line["path"] for line in lines}) == len(lines), "a file has two results"
    return Import(ran.returncode, {Path(line["path"]): line for line in lines}, last["summary"])


def data_set_of(path: Path) -> bytes:
    """Return a file's data set: what stands after preamble, prefix and file meta information."""
    whole = path.read_bytes()
    if whole[128:132] != b"DICM":
        return whole
    at = 132
    while whole[at : at + 2] == b"\x02\0":
        long = whole[at + 4 : at + 6] in (b"OB", b"UN")
        size, head = (whole[at + 8 : at + 12], 12) if long else (whole[at + 6 : at + 8], 8)
        at += head + int.from_bytes(size, "little")
    return whole[at:]


def told(results: dict[Path, dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return result and words of each file that was not taken."""
    return {
        path.name: (line["result"], line["reason"])
        for path, line in results.items()
        if line["result"] not in ("stored", "duplicate", "set aside")
    }


def assert_all_there(node: NodeProcess, results: dict[Path, dict[str, Any]]) -> None:
    """Check that each file that was taken is stored or set aside with its very bytes, and that each UID has one."""
    there = {each.digest: each for each in kept(node)}
    stored = Counter(each.instance for each in there.values() if not each.set_aside)
    assert set(stored.values()) == {1}
    by_instance = defaultdict(list)
    not_taken = sum(path.name in NOT_TAKEN for path in results)
    for path, line in results.items():
        if line["result"] in ("skipped", "refused"):
            continue
        found = there[sha256(data_set_of(path)).hexdigest()]
        assert found.instance == line["sop_instance"]
        assert found.set_aside == (line["result"] == "set aside") or line["result"] == "duplicate"
        by_instance[line["sop_instance"]].append(line["result"])
    for instance, outcomes in by_instance.items():
        assert outcomes.count("stored") == 1, f"{instance}: {outcomes}"
    assert sum(len(outcomes) for outcomes in by_instance.values()) == len(bundled()) - not_taken


@pytest.fixture(params=["through a running node", "with no node running"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NodeProcess]:
    """The archive to import into."""
    with running_node(tmp_path / "node") as node:
        if request.param == "with no node running":
            assert node.stop() == 0
        yield node
        if node.process is not None and node.process.poll() is None:
            assert node.stop() == 0
        node.stored()
        assert "Traceback" not in node.log


def test_import_tells_of_every_file_and_keeps_its_bytes(archive: NodeProcess) -> None:
    first = run_import(archive.folder, bundled())
    assert set(first.results) == set(bundled())
    assert told(first.results) == NOT_TAKEN
    assert_all_there(archive, first.results)
    for line in first.results.values():
        if line["result"] == "set aside":
            assert line["reason"] == f"other content is stored under {line['sop_instance']}"
        elif line["result"] in ("stored", "duplicate"):
            assert line["reason"] in ("", "the image has no pixel data"), line
            assert line["bytes"] == len(data_set_of(Path(line["path"])))
    outcomes = Counter(line["result"] for line in first.results.values())
    assert outcomes == {name: number for name, number in first.summary.items() if name in outcomes}
    assert first.summary["files"] == len(bundled())
    assert first.code == 1, "files were refused"

    again = run_import(archive.folder, bundled())
    assert told(again.results) == NOT_TAKEN
    assert again.summary["stored"] == 0
    assert again.summary["duplicate"] == outcomes["stored"] + outcomes["duplicate"]
    assert again.summary["set aside"] == outcomes["set aside"]


def test_exit_code_and_words_for_a_person(archive: NodeProcess) -> None:
    good = [path for path in bundled() if path.name in ("CT_small.dcm", "README.txt")]
    command = [sys.executable, "-m", "pacstui", "--config", str(archive.folder / "pacstui.toml"), "import"]
    ran = subprocess.run([*command, *map(str, good)], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert sorted(line.split()[0] for line in ran.stdout.splitlines()[:-1]) == ["skipped", "skipped", "stored"]
    assert "3 files: 1 stored, 2 skipped;" in ran.stdout
    ran = subprocess.run([*command, "/nowhere"], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "refused    /nowhere: there is no such file or folder" in ran.stdout


def syntax_of(path: Path) -> str:
    """Return the transfer syntax that a file tells, empty if it does not."""
    try:
        return str(dcmread(path, stop_before_pixels=True).file_meta.get("TransferSyntaxUID", ""))
    except InvalidDicomError:
        return ""


NOT_SENT_BY_STORESCU = {
    "explicit_VR-UN.dcm", "rtdose_rle.dcm", "rtdose_rle_1frame.dcm", "SC_rgb_jpeg.dcm",
    *(name for name, (_, words) in NOT_TAKEN.items() if "Study" not in words and name != "bad_sequence.dcm"),
}  # fmt: skip
"""DCMTK cannot read these or finds no SOP class in them."""


@dcmtk.needed
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_storescu_sends_them_all_as_they_are(node: NodeProcess, relay: Relay) -> None:
    results: dict[Path, str] = {}
    for syntax, paths in groupby(sorted(bundled(), key=syntax_of), key=syntax_of):
        option = STORESCU_OPTIONS.get(syntax, STORESCU_OPTIONS[EXPLICIT])
        ran = dcmtk.run("storescu", relay.port, "-nh", "-R", option, "--", *map(str, paths))
        results |= {Path(path): words for path, words in ran.results.items()}
    assert set(results) == set(bundled())
    not_sent = {path.name for path, words in results.items() if words.startswith("missing SOP class")}
    assert not_sent == NOT_SENT_BY_STORESCU
    answers = {path: words for path, words in results.items() if path.name not in not_sent}
    assert {path.name for path, words in answers.items() if words.startswith("Error")} == set(NOT_TAKEN) - not_sent
    assert set(answers.values()) == {
        "Success",
        "Error: DataSetDoesNotMatchSOPClass",  # A900H
        "Warning: CoercionOfDataElements",  # B000H: other content is stored under this UID
        "Warning: DataSetDoesNotMatchSOPClass",  # B007H: an image without pixel data
    }
    sent = relay.sent()
    assert len(sent) == len(answers)
    there = {each.digest: each for each in kept(node)}
    for each, (path, words) in zip(sent, answers.items(), strict=True):
        assert syntax_of(path) in ("", each.syntax), f"storescu has sent {path.name} in another transfer syntax"
        if not words.startswith("Error"):
            assert there[each.digest].instance == each.instance
    stored = {each.instance: each for each in there.values() if not each.set_aside}
    told_so = Counter(each.instance for each, words in zip(sent, answers.values(), strict=True)
                      if words == "Success" or ("DoesNotMatch" in words and words.startswith("Warning")))  # fmt: skip
    assert set(told_so) == set(stored)


def address(path: Path) -> tuple[str, str, str]:
    """Return SOP class, SOP instance and transfer syntax of a file as well as pydicom can tell them."""
    data = dcmread(path, stop_before_pixels=True, force=True)
    implicit, little = data.original_encoding
    guess = IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN
    syntax = data.file_meta.get("TransferSyntaxUID", guess)
    return str(data.get("SOPClassUID", "") or CT), str(data.get("SOPInstanceUID", "") or "2.25.4711"), str(syntax)


def expected_statuses(line: dict[str, Any], data: bytes, first: dict[str, bytes]) -> set[int]:
    """Return the C-STORE statuses that say the same as the result of an import (PS3.4 B.2.3).

    Which of several files under one UID comes first is another matter here than there.
    """
    if line["result"] == "refused":
        return {0xC000 if "ends inside" in line["reason"] else 0xA900}
    if first.setdefault(line["sop_instance"], data) != data:
        return {0xB000}
    if line["result"] == "set aside":
        return {0x0000, 0xB007}
    return {0xB007 if line["reason"] == "the image has no pixel data" else 0x0000}


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_over_the_network_every_file_is_judged_as_in_an_import(tmp_path: Path) -> None:
    """Each file's own bytes, from a requestor that does not look into them, in the order of the import."""
    with running_node(tmp_path / "node") as node:
        imported = run_import(node.folder, bundled())
    wrong = []
    first: dict[str, bytes] = {}
    with running_node(tmp_path / "other") as node:
        for path, line in imported.results.items():
            if line["result"] == "skipped" or path.name == "meta_missing_tsyntax.dcm":
                continue
            sop_class, instance, syntax = address(path)
            data = data_set_of(path)
            async with associate(
                "127.0.0.1", node.port, called="PACS", calling="RAW", contexts=[(sop_class, [syntax])]
            ) as one:
                answer = await one.store(sop_class, instance, syntax, data)
            if answer.status not in expected_statuses(line, data, first):
                wrong.append((path.name, f"{answer.status:04X}H", answer.comment, line["result"], line["reason"]))
        assert wrong == []
        assert node.stop() == 0
        assert len(node.stored()) == imported.summary["stored"] == len(first)
        assert {sha256(data).hexdigest() for data in first.values()} == set(node.stored().values())
        taken = {path for path, line in imported.results.items() if line["result"] not in ("skipped", "refused")}
        assert {sha256(data_set_of(path)).hexdigest() for path in taken} == {each.digest for each in kept(node)}
