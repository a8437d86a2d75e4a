"""How fast objects come back, side by side with other archives in one run: ``python -m benchmarks.retrieve``.

Every archive gets the same objects, then is asked by the same client, in turn with the others, for all of them by C-GET
and by C-MOVE to the same receiver, which drops them. The table shows instances per second (median of the rounds) and
pacstui's rate as a multiple of each peer's, pair by pair within a round. pacstui compares each object with its digest
before it is sent, but not again within ten minutes: the first round is the slowest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
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


def measure(
    names: Sequence[str], folder: Path, size: int, count: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return instances per second, by C-GET and by C-MOVE, of each archive in each round."""
    rates: dict[str, dict[str, list[float]]] = {verb: {name: [] for name in names} for verb in ("C-GET", "C-MOVE")}
    study = {"level": "STUDY", "StudyInstanceUID": sender.study_of(1)}
    with ExitStack() as stack:
        places = {}
        for name in names:
            destination = free_port()
            places[name] = stack.enter_context(receiver(name, folder / name, destination)), destination
            fill(places[name][0], size, count)
        for _ in range(rounds):
            for verb, found in rates.items():
                for name, (port, destination) in places.items():
                    work = client.get(port, **study) if verb == "C-GET" else client.move(port, destination, **study)
                    got, seconds = asyncio.run(work)
                    if got != count:
                        raise RuntimeError(f"{name}: {verb} brought {got} of {count}")
                    found[name].append(count / seconds)
    return rates


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default="pacstui,orthanc,dcmqrscp")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the scratch folders go")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = [name for name in options.peers.split(",") if available(name)]
    table = []
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as scratch:
        for size, count in CASES:
            for verb, found in measure(names, Path(scratch) / str(size), size, count, options.rounds).items():
                row: dict[str, float | str] = {"verb": verb, "size": size, "count": count}
                for name in names:
                    row[name] = round(statistics.median(found[name]))
                    if name != "pacstui" and "pacstui" in found:
                        pairs = [ours / theirs for ours, theirs in zip(found["pacstui"], found[name], strict=True)]
                        row[f"times {name}"] = round(statistics.median(pairs), 2)
                table.append(row)
                if not options.json:
                    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.json:
        print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
