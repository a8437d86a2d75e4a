"""How fast HL7 messages are taken, side by side with python-hl7's own MLLP server: ``python -m benchmarks.hl7``.

One connection sends ADT^A08 and ORM^O01 by turns, each with its own control ID and order. ``pipelined``: all of
them are written, and the answers are read beside; ``one by one``: each waits for the answer before it. The clock
stops when the last answer is there; each must be AA. pacstui answers when the message is durable and acted on;
python-hl7's server reads and parses it, answers, and keeps nothing. The table shows messages a second (median of the
rounds), the processor time that the server took for each pipelined one, which other programs disturb least, and ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.peers import free_port

ADT = (
    "MSH|^~\\&|RIS|LAB|PACS|NODE|20260102030405||ADT^A08^ADT_A01|{n}|P|2.5\rEVN|A08|20260102030405\r"
    "PID|1||P{p}^^^LAB^PI||DOE{p}^JANE^M||19700101|F|||12 MAIN ST^^TOWN^^12345||0123456789|||M\r"
    "PV1|1|I|WARD^2^1||||D1^HOUSE^GREG|||||||||||V{p}\r"
)
ORM = (
    "MSH|^~\\&|RIS|LAB|PACS|NODE|20260102030405||ORM^O01^ORM_O01|{n}|P|2.5\r"
    "PID|1||P{p}^^^LAB^PI||DOE{p}^JANE^M||19700101|F\rPV1|1|O|RAD\r"
    "ORC|NW|O{n}|F{n}||SC||^^^20260102140000^^R\r"
    "OBR|1|O{n}|F{n}|CTHEAD^CT head^L|||||||||||||||A{n}|RP{n}|SP{n}|||CT|||^^^20260102140000^^R\r"
    "ZDS|1.2.826.0.1.3680043.8.498.{p}^PACS^Application^DICOM\r"
)
_SERVER = """
import asyncio, sys
import hl7.mllp
async def serve(reader, writer):
    while not writer.is_closing():
        try:
            message = await reader.readmessage()
        except asyncio.IncompleteReadError:
            break
        writer.writemessage(message.create_ack())
        await writer.drain()
async def main():
    async with await hl7.mllp.start_hl7_server(serve, host="127.0.0.1", port=int(sys.argv[1])) as server:
        await server.serve_forever()
asyncio.run(main())
"""


def messages(count: int, first: int) -> list[bytes]:
    """Return framed messages, each other than the others."""
    return [
        b"\x0b" + (ADT if n % 2 else ORM).format(n=n, p=n // 2).encode() + b"\x1c\r"
        for n in range(first, first + count)
    ]


@contextlib.contextmanager
def server(name: str, folder: Path, port: int) -> Iterator[int]:
    """Run a server on a port; yield its process ID."""
    if name == "pacstui":
        config = folder / "pacstui.toml"
        config.write_text(
            f'[node]\ndata_dir = "{folder}/data"\nlog_level = "warning"\n[dicom]\nport = 0\n[hl7]\nport = {port}\n'
        )
        command = [sys.executable, "-m", "pacstui", "--config", str(config), "serve"]
    else:
        command = [sys.executable, "-c", _SERVER, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        connect_when_ready(port).close()
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def connect_when_ready(port: int) -> socket.socket:
    """Return a connection, as soon as somebody listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock


def run(port: int, blocks: list[bytes], pipelined: bool) -> float:
    """Return messages a second."""
    with connect_when_ready(port) as sock:
        start = time.perf_counter()
        if pipelined:
            writer = threading.Thread(target=sock.sendall, args=(b"".join(blocks),), daemon=True)
            writer.start()
            _read(sock, len(blocks))
            writer.join()
        else:
            for block in blocks:
                sock.sendall(block)
                _read(sock, 1)
        return len(blocks) / (time.perf_counter() - start)


def _read(sock: socket.socket, count: int) -> None:
    ends = good = 0
    tail = b""
    while ends < count:
        data = sock.recv(1 << 16)
        if not data:
            raise ConnectionError("the server ended the connection")
        ends += data.count(b"\x1c")
        whole = tail + data
        good += whole.count(b"MSA|AA") - tail.count(b"MSA|AA")
        tail = whole[-6:]
    if good != count:
        raise AssertionError(f"{good} of {count} were answered AA")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    names = [given.only] if given.only else ["pacstui", "python-hl7"]
    speeds: dict[tuple[str, bool], list[float]] = {}
    used: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        running = {}
        for name in names:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pacstui-hl7-")))
            port = free_port()
            running[name] = port, psutil.Process(stack.enter_context(server(name, folder, port)))
        first = 1
        for _ in range(given.rounds):
            for name in names:
                port, process = running[name]
                for pipelined in (True, False):
                    count = given.count if pipelined else max(1, given.count // 5)
                    before = process.cpu_times()
                    speed = run(port, messages(count, first), pipelined)
                    after = process.cpu_times()
                    first += count
                    speeds.setdefault((name, pipelined), []).append(speed)
                    if pipelined:
                        spent = after.user + after.system - before.user - before.system
                        used.setdefault(name, []).append(spent / count * 1e6)
    print(f"{'':12}{'pipelined':>12}{'one by one':>12}{'us of processor':>18}")
    medians = {key: statistics.median(found) for key, found in speeds.items()}
    spent_of = {name: statistics.median(found) for name, found in used.items()}
    for name in names:
        print(f"{name:12}{medians[name, True]:>12,.0f}{medians[name, False]:>12,.0f}{spent_of[name]:>18,.0f}")
    if len(names) == 2:
        ratios = [medians["pacstui", p] / medians["python-hl7", p] for p in (True, False)]
        share = spent_of["pacstui"] / spent_of["python-hl7"]
        print(f"{'ratio':12}{ratios[0]:>12.2f}{ratios[1]:>12.2f}{share:>18.2f}")


if __name__ == "__main__":
    main()
