"""How fast objects are taken, side by side with other receivers in one run: ``python -m benchmarks.ingest``.

Every receiver gets the same bytes from the same sender, in turn, several rounds, each on an empty scratch folder of the
same disk. The table shows instances per second (median of the rounds) and pacstui's rate as a multiple of each peer's,
pair by pair within a round. pacstui answers when object and index survive a power loss; Orthanc syncs the file and
indexes; storescp and the pynetdicom receiver only write files. TCP_NODELAY is set at both ends.

Where a machine is lent its memory page by page, as many virtual ones are, a page of the cache costs ten times as much
when it is used for the first time, for every receiver. Quote pairs, and let the runs share a control group with a
memory limit that they have filled once.

Nothing is deleted before the end: ext4 passes over the inodes of files deleted within the last minutes, one by one,
and a new file costs twenty times as much then.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers import available, receiver

CASES = ((10_240, 1, 1500), (10_240, 4, 600), (524_288, 1, 400), (524_288, 4, 100))


def measure(name: str, folder: Path, size: int, associations: int, count: int) -> float:
    """Return instances per second over all associations."""
    with receiver(name, folder / name) as port:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.sender", str(port), "BENCH", "20", str(size), "99"],
            check=True,
            capture_output=True,
        )
        os.sync()  # what the one before left in the cache would be written out now
        senders = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.sender", str(port), "BENCH", str(count), str(size), str(seed)],
                stdout=subprocess.PIPE,
            )
            for seed in range(1, associations + 1)
        ]
        results = [json.loads(sender.communicate(timeout=300)[0]) for sender in senders]
    good = sum(result["good"] for result in results)
    if good != count * associations:
        raise RuntimeError(f"{name} acknowledged {good} of {count * associations}")
    return float(good / max(result["seconds"] for result in results))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="pacstui,orthanc,storescp,pynetdicom")
    parser.add_argument(
        "--folder", type=Path, default=Path.cwd(), help="where the scratch folders go (the disk counts)"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = [name for name in options.peers.split(",") if available(name)]
    table = []
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as scratch:
        for size, associations, count in CASES:
            rates: dict[str, list[float]] = {name: [] for name in names}
            for turn in range(options.rounds):
                folder = Path(scratch) / f"{size}-{associations}-{turn}"
                for name in names:
                    rates[name].append(measure(name, folder, size, associations, count))
            row: dict[str, float] = {"size": size, "associations": associations}
            for name in names:
                row[name] = round(statistics.median(rates[name]))
                if name != "pacstui" and "pacstui" in rates:
                    pairs = [ours / theirs for ours, theirs in zip(rates["pacstui"], rates[name], strict=True)]
                    row[f"times {name}"] = round(statistics.median(pairs), 2)
            table.append(row)
            if not options.json:
                print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.json:
        print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
