"""How fast objects come back, side by side with other archives in one run: ``python -m benchmarks.retrieve``.

Every archive gets the same objects, then is asked by the same client for all of them by C-GET and by C-MOVE to the same
receiver, which drops them. The table shows instances per second (median of the rounds) and pacstui's rate as a multiple
of each peer's. pacstui compares each object with its digest before
it is sent, but not again within ten minutes: the first round is the slowest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import client, sender
from benchmarks.peers import available, free_port, receiver

CASES = ((524_288, 500), (10_240, 2000))


def fill(port: int, size: int, count: int) -> None:
    """Store one study."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks.sender", str(port), "BENCH", str(count), str(size), "1"],
        check=True, capture_output=True,
    )  # fmt: skip


def measure(name: str, folder: Path, size: int, count: int, rounds: int) -> dict[str, float]:
    """Return instances per second by C-GET and by C-MOVE."""
    rates: dict[str, list[float]] = {"C-GET": [], "C-MOVE": []}
    destination = free_port()
    with receiver(name, folder / name, destination) as port:
        fill(port, size, count)
        study = {"level": "STUDY", "StudyInstanceUID": sender.study_of(1)}
        for _ in range(rounds):
            for verb, work in (
                ("C-GET", client.get(port, **study)), ("C-MOVE", client.move(port, destination, **study)),
            ):  # fmt: skip
                got, seconds = asyncio.run(work)
                if got != count:
                    raise RuntimeError(f"{name}: {verb} brought {got} of {count}")
                rates[verb].append(count / seconds)
    return {verb: statistics.median(found) for verb, found in rates.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="pacstui,orthanc,dcmqrscp")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the scratch folders go")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = [name for name in options.peers.split(",") if available(name)]
    table = []
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as scratch:
        for size, count in CASES:
            found = {name: measure(name, Path(scratch) / str(size), size, count, options.rounds) for name in names}
            for verb in ("C-GET", "C-MOVE"):
                row: dict[str, float | str] = {"verb": verb, "size": size, "count": count}
                for name in names:
                    row[name] = round(found[name][verb])
                    if name != "pacstui" and "pacstui" in found:
                        row[f"times {name}"] = round(found["pacstui"][verb] / found[name][verb], 2)
                table.append(row)
                if not options.json:
                    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.json:
        print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
