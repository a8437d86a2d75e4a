"""How fast what is received goes on, side by side with Orthanc: ``python -m benchmarks.forward``.

Each node gets the same objects from one sender and sends each on to a receiver that drops them: pacstui by a route,
Orthanc by a script that sends every stored instance to the modality. The clock stops when the receiver has them all.
Then the same once more with a second destination at which nothing listens: the table shows instances per second through
the node (median of the rounds), and for ``beside a dead one`` the same for the live destination.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.peers import available, free_port
from pacstui.dicom.dimse import Field, Status
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import EchoService, OpenPolicy, Service

CASES = ((10_240, 500), (524_288, 100))
_LUA = """
function OnStoredInstance(id, tags, metadata)
  SendToModality(id, 'live')
  %s
end
"""


class _Drop:
    """A store service that counts."""

    def __init__(self) -> None:
        self.count = 0

    def begin(self, request: Request) -> _DropSink:
        return _DropSink(self, request)


class _DropSink:
    def __init__(self, drop: _Drop, request: Request) -> None:
        self._drop = drop
        self._request = request

    def write(self, chunk: memoryview) -> None:
        return None

    async def finish(self) -> None:
        self._drop.count += 1
        await self._request.respond(Status.SUCCESS)

    def abandon(self, why: str) -> None:
        pass


def command(name: str, folder: Path, port: int, live: int, dead: int) -> list[str]:
    """Return how a node is started."""
    if name == "pacstui":
        peers = "".join(
            f'[[peers]]\nname = "{peer}"\nae_title = "{peer.upper()}"\nhost = "127.0.0.1"\nport = {at}\n'
            for peer, at in (("live", live), ("dead", dead)) if at
        )  # fmt: skip
        to = '["live", "dead"]' if dead else '["live"]'
        config = folder / "pacstui.toml"
        config.write_text(
            f'[node]\ndata_dir = "{folder}/data"\nlog_level = "warning"\n[dicom]\nae_title = "BENCH"\nport = {port}\n'
            f'{peers}[[routes]]\nname = "all"\nto = {to}\n'
        )
        return [sys.executable, "-m", "pacstui", "--config", str(config), "serve"]
    script = folder / "forward.lua"
    script.write_text(_LUA % ("SendToModality(id, 'dead')" if dead else ""))
    config = folder / "orthanc.json"
    config.write_text(json.dumps({
        "Name": "bench", "StorageDirectory": f"{folder}/db", "IndexDirectory": f"{folder}/db",
        "HttpServerEnabled": False, "DicomAet": "BENCH", "DicomPort": port, "DicomAlwaysAllowStore": True,
        "DicomModalities": {
            "live": ["LIVE", "127.0.0.1", live], "dead": ["DEAD", "127.0.0.1", dead or free_port()],
        },
        "LuaScripts": [str(script)], "DicomAssociationCloseDelay": 5, "Plugins": [],
    }))  # fmt: skip
    return ["Orthanc", str(config)]


def start(name: str, folder: Path, port: int, live: int, dead: int) -> subprocess.Popen[bytes]:
    """Start a node on an empty folder."""
    folder.mkdir(parents=True)
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(
            command(name, folder, port, live, dead), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=os.environ | {"TCP_NODELAY": "1"},
        )  # fmt: skip


async def measure(name: str, folder: Path, size: int, count: int, dead: bool) -> float:
    """Return instances per second from the first sent to the last received."""
    drop = _Drop()
    known: dict[int, Service] = {Field.C_ECHO: EchoService(), Field.C_STORE: drop}
    listener = Listener(OpenPolicy(), lambda _, field: known.get(field))
    live = await listener.start("127.0.0.1", 0)
    port = free_port()
    node = start(name, folder, port, live, free_port() if dead else 0)
    try:
        for _ in range(600):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        began = time.perf_counter()
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.sender", str(port), "BENCH", str(count), str(size), "1",
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(300):
            while drop.count < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        took = time.perf_counter() - began
        await sender.wait()
    finally:
        node.terminate()
        try:
            node.wait(15)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()
        await listener.close()
    return count / took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the scratch folders go")
    options = parser.parse_args()
    names = [name for name in ("pacstui", "orthanc") if available(name)]
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as scratch:
        for size, count in CASES:
            for dead in (False, True):
                rates: dict[str, list[float]] = {name: [] for name in names}
                for turn in range(options.rounds):
                    for name in names:
                        folder = Path(scratch) / f"{name}-{size}-{dead}-{turn}"
                        rates[name].append(asyncio.run(measure(name, folder, size, count, dead)))
                row = {name: round(statistics.median(found)) for name, found in rates.items()}
                told = "  ".join(f"{name} {rate}" for name, rate in row.items())
                print(f"{size} bytes, {'beside a dead one' if dead else 'alone'}:  {told}", flush=True)


if __name__ == "__main__":
    main()
