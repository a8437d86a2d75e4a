"""The receivers that are measured side by side, each started on a scratch folder and a free port."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PYNETDICOM_SCP = """
import sys
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pydicom.uid import AllTransferSyntaxes

def keep(event):
    with open(sys.argv[2] + "/" + event.request.AffectedSOPInstanceUID + ".dcm", "wb") as out:
        out.write(event.encoded_dataset())
    return 0

ae = AE("BENCH")
for context in AllStoragePresentationContexts[:120]:
    ae.add_supported_context(context.abstract_syntax, AllTransferSyntaxes)
ae.maximum_pdu_size = 131072
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, keep)])
"""


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _command(name: str, port: int, folder: Path, destination: int) -> list[str]:
    if name == "pacstui":
        config = folder / "pacstui.toml"
        config.write_text(
            f'[node]\ndata_dir = "{folder}/data"\nlog_level = "warning"\n[dicom]\nae_title = "BENCH"\nport = {port}\n'
            f'[hl7]\nenabled = false\n[[peers]]\nname = "dest"\n'
            f'ae_title = "DEST"\nhost = "127.0.0.1"\nport = {destination}\n'
        )
        return [sys.executable, "-m", "pacstui", "--config", str(config), "serve"]
    if name == "orthanc":
        config = folder / "orthanc.json"
        config.write_text(
            json.dumps(
                {
                    "Name": "bench",
                    "StorageDirectory": f"{folder}/db",
                    "IndexDirectory": f"{folder}/db",
                    "HttpServerEnabled": False,
                    "DicomAet": "BENCH",
                    "DicomPort": port,
                    "DicomAlwaysAllowStore": True,
                    "DicomAlwaysAllowFind": True,
                    "DicomAlwaysAllowGet": True,
                    "DicomAlwaysAllowMove": True,
                    "DicomModalities": {"dest": ["DEST", "127.0.0.1", destination]},
                    "DicomThreadsCount": 8,
                    "Plugins": [],
                }
            )
        )
        return ["Orthanc", str(config)]
    if name == "storescp":
        return ["storescp", "--fork", "-aet", "BENCH", "-od", str(folder), str(port)]
    if name == "dcmqrscp":
        config = folder / "dcmqrscp.cfg"
        config.write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
            f"HostTable BEGIN\ndest = (DEST, 127.0.0.1, {destination})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nBENCH {folder} RW (10000, 1024mb) ANY\nAETable END\n"
        )
        return ["dcmqrscp", "-c", str(config)]
    if name == "pynetdicom":
        return [sys.executable, "-c", PYNETDICOM_SCP, str(port), str(folder)]
    raise ValueError(name)


def available(name: str) -> bool:
    """Return whether a receiver can be started here."""
    program = {"orthanc": "Orthanc", "storescp": "storescp", "dcmqrscp": "dcmqrscp"}.get(name)
    return program is None or shutil.which(program) is not None


@contextlib.contextmanager
def receiver(name: str, folder: Path, destination: int = 104) -> Iterator[int]:
    """Run one receiver and yield its port; it is ended by its process id, with its children.

    It knows the peer DEST at port ``destination`` of this machine.
    """
    port = free_port()
    folder.mkdir(parents=True)
    with open(folder.parent / f"{name}.log", "ab") as log:
        process = subprocess.Popen(
            _command(name, port, folder, destination),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"TCP_NODELAY": "1"},
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} did not start; see {folder.parent / name}.log") from None
                time.sleep(0.05)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
