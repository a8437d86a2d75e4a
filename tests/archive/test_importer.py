"""Files and folders into the archive: each with a clear result."""

from __future__ import annotations

import os
import shutil
import struct
from collections import Counter
from pathlib import Path

import pytest
from pydicom.data import get_charset_files, get_testdata_file, get_testdata_files

from pacstui.archive import Archive, part10
from pacstui.archive.importer import FileResult, import_file, import_paths

from .conftest import files
from .objects import BIG_ENDIAN, EXPLICIT, IMPLICIT, JPEG, Object, element, encapsulated

OUTCOMES = {"stored", "duplicate", "set aside", "refused", "skipped"}


def part10_of(thing: Object, syntax: str = EXPLICIT) -> bytes:
    return part10.encode(thing.text(0x00080016), thing.sop, syntax, "OTHER", bytes(32)) + thing.encode(syntax)


async def outcome(archive: Archive, tmp_path: Path, content: bytes) -> FileResult:
    path = tmp_path / "file"
    path.write_bytes(content)
    return await import_file(archive, path)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("head", ["whole", "no preamble", "no meta", "no transfer syntax", "preamble only"])
async def test_case_039_heads_that_lack_something(archive: Archive, tmp_path: Path, syntax: str, head: str) -> None:
    thing = Object()
    data = thing.encode(syntax)
    uid_only = element(0x00020003, "UI", thing.sop)
    content = {
        "whole": part10_of(thing, syntax),
        "no preamble": part10_of(thing, syntax)[128:],
        "no meta": data,
        "no transfer syntax": bytes(128) + b"DICM" + uid_only + data,
        "preamble only": bytes(128) + b"DICM" + data,
    }[head]
    result = await outcome(archive, tmp_path, content)
    assert (result.outcome, result.reason) == ("stored", "")
    known = await archive.index.instance(thing.sop)
    assert known is not None
    assert known.transfer_syntax == syntax
    assert archive.path_of(known.path).read_bytes()[known.data_offset :] == data


async def test_case_039_a_folder_with_odd_files(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(7):
        (folder / "deep" / f"good{number}").write_bytes(part10_of(Object()))
    for name in ("no_meta.dcm", "meta_missing_tsyntax.dcm", "ExplVR_BigEndNoMeta.dcm"):
        found = get_testdata_file(name)
        assert found is not None
        shutil.copy(found, folder / "deep" / "er" / name)
    results: list[FileResult] = []
    counts = await import_paths(archive, [folder], results.append)
    assert sum(counts.values()) == len(results) == 10
    assert counts["stored"] >= 7
    assert all(result.outcome == "stored" or result.reason for result in results)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello world, this is a text", "no DICOM"),
        (b"%PDF-1.7\n" + bytes(500), "PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "PNG"),
        (b"PK\x03\x04" + bytes(500), "ZIP"),
        (bytes(1000), "no DICOM"),
        (struct.pack("<HH2sHI", 2, 1, b"OB", 0, 0x7FFFFFFF) + bytes(500), "no sense"),
    ],
)
async def test_other_files_are_skipped_with_a_word(archive: Archive, tmp_path: Path, content: bytes, word: str) -> None:
    result = await outcome(archive, tmp_path, content)
    assert result.outcome == "skipped"
    assert word in result.reason
    assert files(archive) == []


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (bytes(128) + b"DICM", "transfer syntax"),
        (b"DICM" + bytes(500), "transfer syntax"),
        (bytes(128) + b"DICM" + element(0x00020003, "UI", "1.2.3")[:-2], "ends inside its file meta information"),
        (bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 1, b"OB", 0, 0x7FFFFFFF), "no sense"),
    ],
)
async def test_a_damaged_dicom_file_is_refused_so_that_nobody_takes_it_for_stored(
    archive: Archive, tmp_path: Path, content: bytes, word: str
) -> None:
    result = await outcome(archive, tmp_path, content)
    assert result.outcome == "refused"
    assert word in result.reason
    assert files(archive) == []


async def test_a_directory_file_is_skipped_with_a_word(archive: Archive) -> None:
    found = get_testdata_file("DICOMDIR")
    assert found is not None
    result = await import_file(archive, Path(found))
    assert (result.outcome, "DICOMDIR" in result.reason) == ("skipped", True)


async def test_what_cannot_be_taken_is_refused_with_a_reason(archive: Archive, tmp_path: Path) -> None:
    cut = part10_of(Object())[:-10]
    without = Object({0x0020000D: None})
    compressed = Object({0x7FE00010: ("raw", encapsulated([bytes(100)], delimiter=False))})
    for content in (cut, part10_of(without), part10_of(compressed, JPEG)):
        result = await outcome(archive, tmp_path, content)
        assert result.outcome == "refused"
        assert result.reason
    missing = await import_file(archive, tmp_path / "nowhere")
    assert missing.outcome == "refused"
    results: list[FileResult] = []
    assert await import_paths(archive, [tmp_path / "nowhere"], results.append) == {"refused": 1}


async def test_repeats_and_other_content_are_told(archive: Archive, tmp_path: Path) -> None:
    thing = Object()
    outcomes = [
        (await outcome(archive, tmp_path, part10_of(each))).outcome
        for each in (thing, thing, thing.copy(description="OTHER"))
    ]
    assert outcomes == ["stored", "duplicate", "set aside"]


async def test_a_large_file_is_streamed(archive: Archive, tmp_path: Path) -> None:
    thing = Object(pixels=os.urandom(5 << 20))
    result = await outcome(archive, tmp_path, part10_of(thing))
    assert result.outcome == "stored"
    known = await archive.index.instance(thing.sop)
    assert known is not None
    assert archive.path_of(known.path).read_bytes()[known.data_offset :] == thing.encode()
    assert files(archive, "incoming") == []


async def test_every_file_that_pydicom_brings_has_a_clear_result(archive: Archive) -> None:
    paths = sorted({Path(str(each)) for each in (*get_testdata_files(), *get_charset_files())})
    paths = [path for path in paths if path.is_file()]
    results: list[FileResult] = []
    await import_paths(archive, paths, results.append)
    assert {Path(result.path) for result in results} == set(paths)
    by_outcome = Counter(result.outcome for result in results)
    assert set(by_outcome) <= OUTCOMES
    assert by_outcome["stored"] > 100
    for result in results:
        assert result.outcome in ("stored", "duplicate") or result.reason, result
    refused = {os.path.basename(result.path): result.reason for result in results if result.outcome == "refused"}
    assert {"MR_truncated.dcm", "rtplan_truncated.dcm"} <= set(refused)
    words = ("UID", "ends inside", "transfer syntax")
    assert all(any(word in reason for word in words) for reason in refused.values()), refused
    skipped = [result for result in results if result.outcome == "skipped"]
    assert all(result.reason.startswith("it ") for result in skipped)
    counts = await archive.index.counts()
    assert counts.instances == by_outcome["stored"] == len(files(archive))
    report = await archive.reconcile()
    assert (report.adopted, report.missing, report.unreadable) == (0, 0, 0)
