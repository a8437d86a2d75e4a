from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pacstui.dicom.syntaxes import EXPLICIT, IMPLICIT, JPEG_LOSSLESS
from pacstui.practice.devices import Device, Habits, Misconfigured, Modality, Workstation, equipment
from pacstui.practice.headers import Equipment
from pacstui.practice.hospital import Hospital, arguments
from tests.practice.conftest import Receiver

QUICK = Habits("CR", 0.0, 0.0, (0.0, 0.0), linger=0.0)


def device(title: str, habits: Habits = QUICK, syntax: str = EXPLICIT) -> Modality:
    return Modality(Equipment(title, "PRACTICE", "M", "1", "1", title, "OP^ONE", syntax), habits, seed=3)


def hospital(receiver: Receiver, *devices: Device, budget: int = 10**9) -> Hospital:
    return Hospital("127.0.0.1", receiver.port, "ARCHIVE", pace=50.0, seed=3, devices=devices, budget=budget)


async def until(receiver: Receiver, house: Hospital, enough: int) -> dict[str, object]:
    """Let the hospital work until the receiver got ``enough`` instances; return the ledger's report."""
    receiver.watchers.append(lambda: house.stop() if len(receiver.got) >= enough else None)
    await asyncio.wait_for(house.run(), 30)
    return house.ledger.report(house.seconds)


async def test_the_ledger_is_what_the_receiver_got(receiver: Receiver) -> None:
    us = Habits("US", 0.0, 0.0, (0.0, 0.0), linger=0.0)
    report = await until(receiver, hospital(receiver, device("CR3"), device("US4", us)), 12)
    instances = report["instances"]
    assert isinstance(instances, list)
    assert {(entry["sop_instance"], entry["sha256"]) for entry in instances} == set(receiver.got)
    assert report["sent"] == report["acknowledged"] == len(receiver.got)
    assert report["refused"] == report["unanswered"] == report["faults"] == []
    assert {caller for caller, _ in receiver.ends} == {"CR3", "US4"}
    assert {how for _, how in receiver.ends} == {"released"}


async def test_refused_and_warned_instances_are_told_apart(receiver: Receiver) -> None:
    receiver.status = lambda number: {2: 0xA700, 3: 0xB000}.get(number, 0)
    report = await until(receiver, hospital(receiver, device("CR3")), 5)
    refused = report["refused"]
    assert isinstance(refused, list)
    assert refused == [{"sop_instance": receiver.got[1][0], "status": "A700", "comment": "as told"}]
    assert report["sent"] == report["acknowledged"] + 1 == len(receiver.got)  # type: ignore[operator]


async def test_a_device_that_hangs_up_in_an_object_sends_the_study_again(receiver: Receiver) -> None:
    habits = Habits("MR", 0.0, 0.0, (0.0, 0.0), linger=0.0, drops_every=1000)
    report = await until(receiver, hospital(receiver, device("OLDCT7", habits)), 45)
    assert report["dropped"] == 1
    assert receiver.abandoned == 1
    assert ("OLDCT7", "lost") in receiver.ends
    assert report["sent"] == report["acknowledged"] == len(dict(receiver.got))
    assert report["repeats"] == len(receiver.got) - len(dict(receiver.got)) > 0


async def test_a_duplicate_with_other_content_is_kept_apart_from_the_first(receiver: Receiver) -> None:
    habits = Habits("CR", 0.0, 0.0, (0.0, 0.0), linger=0.0, alters_every=1)
    report = await until(receiver, hospital(receiver, device("MR2", habits)), 6)
    duplicates, instances = report["duplicates"], report["instances"]
    assert isinstance(duplicates, list)
    assert isinstance(instances, list)
    first = {entry["sop_instance"]: entry["sha256"] for entry in instances}
    assert duplicates
    assert all(first[entry["sop_instance"]] != entry["sha256"] for entry in duplicates)
    assert report["sent"] == report["acknowledged"] == len(first)


async def test_beyond_the_budget_studies_are_sent_again(receiver: Receiver) -> None:
    report = await until(receiver, hospital(receiver, device("CR3"), budget=1), 8)
    assert report["studies"] == 1
    assert report["repeats"] == len(receiver.got) - report["acknowledged"] > 0  # type: ignore[operator]


@pytest.mark.parametrize("receiver", [(EXPLICIT, IMPLICIT)], indirect=True)
async def test_a_device_falls_back_to_a_plain_transfer_syntax(receiver: Receiver) -> None:
    await until(receiver, hospital(receiver, device("CR3", syntax=JPEG_LOSSLESS)), 1)
    assert receiver.syntaxes == {EXPLICIT}


async def test_compressed_studies_go_out_compressed(receiver: Receiver) -> None:
    await until(receiver, hospital(receiver, device("CR3", syntax=JPEG_LOSSLESS)), 1)
    assert receiver.syntaxes == {JPEG_LOSSLESS}


async def test_the_misconfigured_device_is_refused_and_the_workstation_is_not(receiver: Receiver) -> None:
    house = hospital(
        receiver, Misconfigured("XRAY9", "PACS", 0.0, 1000.0), Workstation("WS-RAD3", 0.0, 1000.0), device("CR3")
    )
    await until(receiver, house, 3)
    report = house.ledger.report(1.0)
    assert report["refused_associations"] == 1
    assert report["refusals"][0]["calling"] == "XRAY9"
    assert "PACS" in report["refusals"][0]["text"]
    assert report["echoes"] == 1
    assert report["faults"] == []


async def test_an_archive_that_is_not_there_is_a_fault_and_no_crash() -> None:
    house = Hospital("127.0.0.1", 1, "ARCHIVE", pace=10.0, devices=(device("CT1"), Workstation("WS-RAD3", 0.0, 9.0)))
    await asyncio.wait_for(house.run(0.3), 10)
    report = house.ledger.report(0.3)
    assert {fault["calling"] for fault in report["faults"]} == {"CT1", "WS-RAD3"}
    assert report["sent"] == 0


async def test_the_whole_staff_is_deterministic_by_seed(receiver: Receiver) -> None:
    studies: list[list[str]] = []
    for _ in range(2):
        receiver.got.clear()
        await until(receiver, hospital(receiver, device("CR3")), 4)
        studies.append([uid for uid, _ in receiver.got[:4]])
    assert studies[0] == studies[1]


def test_the_staff() -> None:
    titles = Counter(each.equipment.ae_title if isinstance(each, Modality) else each.title for each in equipment(1))
    assert set(titles) == {"CT1", "MR2", "CR3", "US4", "MG5", "OLDCT7", "XRAY9", "WS-RAD3"}
    assert set(titles.values()) == {1}


@pytest.mark.parametrize("bad", [["--pace", "0"], ["--pace", "nan"], ["--door", "CT1"], ["--seconds", "-1"]])
def test_arguments_that_make_no_sense_are_refused(bad: list[str]) -> None:
    with pytest.raises(SystemExit):
        arguments().parse_args(["--port", "1", "--called", "X", *bad])


@pytest.mark.parametrize("how", ["SIGTERM", "leash", "seconds"])
async def test_as_a_process_it_ends_when_told_and_writes_its_ledger(
    receiver: Receiver, tmp_path: Path, how: str
) -> None:
    command = [sys.executable, "-m", "pacstui.practice.hospital", "--port", str(receiver.port), "--called", "ARCHIVE"]
    command += ["--report", str(tmp_path / "ledger.json"), "--seed", "5", "--pace", "4", "--leash"]
    if how == "seconds":
        command += ["--seconds", "1.0"]
    got_some = asyncio.Event()
    receiver.watchers.append(got_some.set)
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    await asyncio.wait_for(got_some.wait(), 20)
    if how == "SIGTERM":
        process.send_signal(signal.SIGTERM)
    elif how == "leash":
        process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    report = json.loads((tmp_path / "ledger.json").read_text())
    assert {(entry["sop_instance"], entry["sha256"]) for entry in report["instances"]} == set(receiver.got)
    assert report["sent"] == report["acknowledged"] > 0
