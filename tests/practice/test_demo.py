from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pacstui.archive import Archive
from pacstui.archive.trash import Which
from pacstui.errors import PacsError
from pacstui.practice.demo import run_demo
from pacstui.practice.proof import prove

KEYS = {
    "sent", "acknowledged", "found", "refused_associations", "dropped", "studies", "bytes", "seconds",
    "instances_per_s", "differences", "routed", "arrived", "messages", "messages_found", "orders", "orders_found",
    "corrected", "worklist_queries", "worklist_answers", "performed", "performed_found",
}  # fmt: skip


@contextmanager
def demo(place: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``pacstui demo --headless --json`` with its scratch directory below ``place``."""
    command = [sys.executable, "-m", "pacstui", "demo", "--headless", "--json", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place), **environment},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def wait_for(place: Path, pattern: str) -> Path:
    """Return the first file that matches, once there is one."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = next(place.glob(pattern), None)
        if found is not None:
            return found
        time.sleep(0.01)
    raise AssertionError(f"nothing like {pattern}")


def processes_in(place: Path) -> list[psutil.Process]:
    """Return the processes that have ``place`` in their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(place) in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A demo that ran for some seconds and left its archive: the directory and what it printed."""
    place = tmp_path_factory.mktemp("demo")
    with demo(place, "--seconds", "4", "--pace", "3", "--seed", "7", "--keep", str(place / "kept")) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = out.splitlines()
    assert len(lines) == 1
    return place / "kept", json.loads(lines[0])


def test_what_was_routed_arrived_at_the_good_destination(kept: tuple[Path, dict[str, Any]]) -> None:
    place, told = kept
    assert told["routed"] == told["arrived"] == told["acknowledged"]
    report = json.loads((place / "ledger.json").read_text())
    assert set(report["received"]) == {"VNA", "TELERAD", "AI-CHEST", "OLDPACS"}
    assert report["received"]["OLDPACS"] == {}


async def test_what_the_archive_only_says_it_sent_is_named(kept: tuple[Path, dict[str, Any]]) -> None:
    place, told = kept
    report = json.loads((place / "ledger.json").read_text())
    gone, other = list(report["received"]["VNA"])[:2]
    del report["received"]["VNA"][gone]
    report["received"]["VNA"][other] = report["received_pixels"]["VNA"][other] = "00"
    proof = await prove(place / "data", report)
    assert proof.arrived == told["arrived"] - 2
    assert sorted(proof.differences) == sorted(
        (
            f"{gone}: said to be sent to VNA, which does not have it",
            f"{other}: arrived at VNA with other bytes than were acknowledged",
        )
    )


def test_what_the_ris_and_the_modalities_told_is_found(kept: tuple[Path, dict[str, Any]]) -> None:
    place, told = kept
    assert told["messages_found"] == told["messages"] > 30
    assert told["orders_found"] == told["orders"] > 15
    assert told["performed_found"] == told["performed"] >= 2
    assert told["worklist_answers"] >= told["worklist_queries"] > 0
    report = json.loads((place / "ledger.json").read_text())
    answers = {each["answer"] for each in report["ris"]["messages"].values()}
    assert answers == {"AA", "AE"}
    assert report["emergencies"] + report["typed_by_hand"] > 0


async def test_what_the_node_forgot_of_the_ris_is_named(kept: tuple[Path, dict[str, Any]]) -> None:
    place, told = kept
    report = json.loads((place / "ledger.json").read_text())
    report["ris"]["messages"]["PRA999999"] = {"kind": "ADT^A08", "answer": "AA"}
    report["ris"]["orders"]["A-NONE"] = "ordered"
    report["performed"]["2.25.4711"] = "COMPLETED"
    proof = await prove(place / "data", report)
    assert sorted(proof.differences) == [
        "message PRA999999: answered with AA, but not kept",
        "order A-NONE: accepted, but not there",
        "performed step 2.25.4711: COMPLETED, but not there",
    ]
    assert (proof.messages, proof.orders) == (told["messages"], told["orders"])


def test_everything_acknowledged_is_found(kept: tuple[Path, dict[str, Any]]) -> None:
    _, told = kept
    assert set(told) >= KEYS
    assert told["sent"] == told["acknowledged"] == told["found"] > 20
    assert told["differences"] == []
    assert told["refused_associations"] >= 1
    assert told["dropped"] >= 1
    assert told["studies"] >= 4
    assert told["bytes"] > 1_000_000


@pytest.mark.parametrize("harm", ["deleted", "altered", "shortened"])
async def test_a_harmed_object_is_named(kept: tuple[Path, dict[str, Any]], tmp_path: Path, harm: str) -> None:
    place, told = kept
    shutil.copytree(place / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.sock"))
    report = json.loads((place / "ledger.json").read_text())
    victim = next(path for path in sorted((tmp_path / "data" / "objects").rglob("*")) if path.is_file())
    data = victim.read_bytes()
    if harm == "deleted":
        victim.unlink()
    else:
        victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if harm == "altered" else data[:-100])
    proof = await prove(tmp_path / "data", report)
    assert proof.found == told["found"] - 1
    assert len(proof.differences) == 1


async def test_what_somebody_deleted_counts_as_kept_while_the_trash_has_it(
    kept: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    place, told = kept
    shutil.copytree(place / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.sock"))
    report = json.loads((place / "ledger.json").read_text())
    archive = await Archive.open(tmp_path / "data")
    await archive.trash.delete(Which(report["instances"][0]["study"]), by="eve")
    await archive.close()
    assert (await prove(tmp_path / "data", report)).found == told["found"]
    next(path for path in (tmp_path / "data" / "trash").rglob("*.dcm")).write_bytes(b"")
    assert len((await prove(tmp_path / "data", report)).differences) == 1


async def test_instances_that_the_archive_never_had_are_named(kept: tuple[Path, dict[str, Any]]) -> None:
    place, told = kept
    report = json.loads((place / "ledger.json").read_text())
    report["instances"].append({"sop_instance": "2.25.4711", "study": "2.25.1", "sha256": "00", "size": 1})
    report["duplicates"] = [{"sop_instance": "2.25.4711", "sha256": "11", "size": 1, "status": "0000"}]
    proof = await prove(place / "data", report)
    assert proof.found == told["found"]
    assert [line.partition(":")[0] for line in proof.differences] == ["2.25.4711"] * 2


def test_a_file_that_is_deleted_behind_its_back_makes_it_fail(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        wait_for(tmp_path, "pacstui-demo-*/data/objects/*/*/*").unlink()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    told = json.loads(out)
    assert process.returncode == 1
    assert told["found"] == told["acknowledged"] - 1
    assert len(told["differences"]) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    with demo(tmp_path, "--seconds", "60") as process:
        wait_for(tmp_path, "pacstui-demo-*/data/objects/*/*/*")
        others = [each for each in psutil.Process(process.pid).children(recursive=True) if each.is_running()]
        assert len(others) >= 3
        process.send_signal(signal.Signals[name])
        process.communicate(timeout=60)
    assert process.returncode != 0
    _, alive = psutil.wait_procs(others, timeout=20)
    assert alive == []
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def test_a_node_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "60") as process:
        wait_for(tmp_path, "pacstui-demo-*/data/objects/*/*/*")
        node = next(each for each in processes_in(tmp_path) if "serve" in each.cmdline())
        node.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the node ended with -9" in err
    assert "RADNODE1 listens" in err
    told = json.loads(out)
    assert told["found"] == told["acknowledged"]
    assert list(tmp_path.iterdir()) == []


def test_the_persons_own_settings_and_archive_are_left_alone(tmp_path: Path) -> None:
    mine, scratch = tmp_path / "mine", tmp_path / "scratch"
    scratch.mkdir()
    with demo(scratch, "--seconds", "1", PACSTUI_NODE__DATA_DIR=str(mine), PACSTUI_DICOM__PORT="1") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["found"] > 0
    assert not mine.exists()


def test_a_directory_in_use_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(PacsError, match="not empty"):
        run_demo(headless=True, seconds=1.0, keep=tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_signals_are_as_before_afterwards(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(PacsError):
        run_demo(headless=True, seconds=1.0, keep=tmp_path)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert asyncio.run(asyncio.sleep(0, True))
