"""Orthanc sends on to a node, as an old archive does when a new one takes over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.interop.kept import kept
from tests.interop.relay import Relay
from tests.interop.samples import sample
from tests.running import NodeProcess, free_port, until

pytestmark = pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")

FILES = (
    "CT_small.dcm",
    "US1_J2KR.dcm",
    "rtplan.dcm",
    "liver_expb.dcm",
    "image_dfl.dcm",
    "JPEG-LL.dcm",
    "waveform_ecg.dcm",
)


class Orthanc:
    """A running Orthanc, asked over its REST interface."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, body: bytes = b"") -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)

    @property
    def answers(self) -> bool:
        try:
            return bool(self.ask("GET", "/system"))
        except OSError:
            return False


@contextmanager
def running_orthanc(folder: Path, node_port: int) -> Iterator[Orthanc]:
    """Run Orthanc, which knows the node as ``pacs``."""
    http = free_port()
    folder.mkdir()
    config = folder / "orthanc.json"
    config.write_text(json.dumps({
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": http,
        "DicomServerEnabled": False, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False, "Plugins": [],
        "DicomModalities": {"pacs": {"AET": "PACS", "Host": "127.0.0.1", "Port": node_port}},
    }))  # fmt: skip
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            ["Orthanc", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "TCP_NODELAY": "1"}, start_new_session=True,
        )  # fmt: skip
    try:
        orthanc = Orthanc(http)
        until(lambda: orthanc.answers or process.poll() is not None)
        yield orthanc
    finally:
        process.terminate()
        process.wait(20)


def test_orthanc_echoes_and_sends_everything_as_it_has_it(node: NodeProcess, relay: Relay, tmp_path: Path) -> None:
    with running_orthanc(tmp_path / "orthanc", relay.port) as orthanc:
        orthanc.ask("POST", "/modalities/pacs/echo")
        ids = [orthanc.ask("POST", "/instances", sample(name).read_bytes())["ID"] for name in FILES]
        done = orthanc.ask("POST", "/modalities/pacs/store", json.dumps(ids).encode())
        assert (done["InstancesCount"], done["FailedInstancesCount"]) == (len(FILES), 0)
        for study in orthanc.ask("GET", "/studies"):  # once more, each study in an association of its own
            done = orthanc.ask("POST", "/modalities/pacs/store", study.encode())
            assert done["FailedInstancesCount"] == 0
    sent = relay.sent()
    assert len(sent) == 2 * len(FILES)
    there = {each.instance: each for each in kept(node)}
    assert set(there) == {each.instance for each in sent}
    for each in sent:
        assert (there[each.instance].digest, there[each.instance].syntax) == (each.digest, each.syntax)
        assert there[each.instance].calling == "ORTHANC"
    assert {each.syntax for each in sent} >= {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.70"}
    assert node.call("node", "status")["archive"]["quarantined"] == 0
