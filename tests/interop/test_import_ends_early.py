"""An import that something cuts short: what it called stored is kept, and it says how far it came."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from benchmarks import sender
from tests.running import NodeProcess

COUNT = 1200


def fill(folder: Path) -> dict[str, str]:
    """Write `COUNT` DICOM files; return the SHA-256 of each data set by SOP Instance UID."""
    folder.mkdir()
    written = {}
    syntax = sender.EXPLICIT + b"\0"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    head = bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta
    for number in range(COUNT):
        instance = f"2.25.99.{number}"
        data = sender.data_set("2.25.99", "2.25.99.0", instance, number, 1500)
        (folder / f"{number:04}.dcm").write_bytes(head + data)
        written[instance] = sha256(data).hexdigest()
    return written


def start(node: NodeProcess, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), "import", "--json",
         str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(importing: subprocess.Popen[str], first: list[str]) -> tuple[list[dict[str, Any]], str]:
    """Return what was printed, line by line, and standard error. One reader reads: another would miss what it holds."""
    assert importing.stdout is not None
    assert importing.stderr is not None
    lines = [*first, *importing.stdout.readlines()]
    err = importing.stderr.read()
    importing.wait(60)
    return [json.loads(line) for line in lines], err


@pytest.mark.parametrize("how", ["node killed", "interrupted", "interrupted without a node", "killed without a node"])
def test_what_was_called_stored_is_kept(tmp_path: Path, how: str) -> None:
    written = fill(tmp_path / "files")
    node = NodeProcess(tmp_path / "node")
    node.start()
    if "without" in how:
        assert node.stop() == 0
    importing = start(node, tmp_path / "files")
    assert importing.stdout is not None
    first = [importing.stdout.readline() for _ in range(50)]
    if how == "node killed":
        node.kill()
    else:
        importing.send_signal(signal.SIGKILL if "killed" in how else signal.SIGINT)
    lines, err = finish(importing, first)
    assert "Traceback" not in err
    if "killed without" not in how:
        last = lines.pop()
        assert importing.returncode == (1 if how == "node killed" else 130)
        counts = Counter(line["result"] for line in lines)
        assert last["summary"]["files"] == len(lines), "how far it came"
        assert {name: last["summary"][name] for name in counts} == counts
    if how == "node killed":
        assert "the node" in err or "no node is running" in err
    assert 50 <= len(lines) < COUNT
    unknown = {line["path"] for line in lines if line["result"] == "unknown"}
    assert (0 < len(unknown) <= 5) if how == "node killed" else not unknown
    lines = [line for line in lines if line["path"] not in unknown]
    assert {line["result"] for line in lines} == {"stored"}
    if node.process is None or node.process.poll() is not None:
        node.start()
    assert node.stop() == 0
    stored = node.stored()
    assert {line["sop_instance"] for line in lines} <= set(stored)
    assert stored.items() <= written.items()

    again = start(node, tmp_path / "files")
    lines, err = finish(again, [])
    assert (again.returncode, err) == (0, "")
    summary = lines[-1]["summary"]
    assert (summary["stored"], summary["duplicate"]) == (COUNT - len(stored), len(stored))
    node.start()
    assert node.stop() == 0
    assert node.stored() == written
