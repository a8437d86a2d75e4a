"""How fast queries are answered, side by side with other archives in one run: ``python -m benchmarks.find``.

Every archive gets the same studies, then is asked the same on one association by the same client. The table shows
milliseconds to the last answer (median of the repetitions) and how many times longer each peer takes than pacstui.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import client, sender
from benchmarks.peers import available, receiver

STUDIES, IMAGES, LARGE = 300, 4, 500
_STUDY = dict.fromkeys(
    ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription",
     "ModalitiesInStudy", "NumberOfStudyRelatedInstances"), "",
)  # fmt: skip
CASES: tuple[tuple[str, int, dict[str, str]], ...] = (
    ("study by Study Instance UID", 1, {"level": "STUDY", **_STUDY, "StudyInstanceUID": sender.study_of(7)}),
    ("study by Patient ID", 1, {"level": "STUDY", **_STUDY, "PatientID": sender.patient_of(7)}),
    ("studies by a day", STUDIES, {"level": "STUDY", **_STUDY, "StudyDate": "20260105"}),
    ("studies by the beginning of a name", STUDIES, {"level": "STUDY", **_STUDY, "PatientName": "BENCH*"}),
    (
        "images of a series", LARGE,
        {"level": "IMAGE", "StudyInstanceUID": sender.study_of(1), "SeriesInstanceUID": f"{sender.study_of(1)}.0",
         "SOPInstanceUID": "", "InstanceNumber": "", "SOPClassUID": ""},
    ),
)  # fmt: skip


def fill(port: int) -> None:
    """Store the studies, the first with more images than the others."""
    for seed in range(1, STUDIES + 1):
        count = LARGE if seed == 1 else IMAGES
        subprocess.run(
            [sys.executable, "-m", "benchmarks.sender", str(port), "BENCH", str(count), "1024", str(seed)],
            check=True, capture_output=True,
        )  # fmt: skip


def measure(name: str, folder: Path, times: int) -> list[float]:
    """Return seconds for each case."""
    found = []
    with receiver(name, folder / name) as port:
        fill(port)
        for what, count, keys in CASES:
            asyncio.run(client.find(port, 3, **keys))
            answers, seconds = asyncio.run(client.find(port, times, **keys))
            if answers != count:
                raise RuntimeError(f"{name}: {answers} answers for {what}, {count} were expected")
            found.append(seconds)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--peers", default="pacstui,orthanc,dcmqrscp")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the scratch folders go")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = [name for name in options.peers.split(",") if available(name)]
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as scratch:
        spent = {name: measure(name, Path(scratch), options.times) for name in names}
    table = []
    for at, (what, count, _) in enumerate(CASES):
        row: dict[str, float | str] = {"query": what, "answers": count}
        for name in names:
            row[f"{name} ms"] = round(spent[name][at] * 1000, 2)
            if name != "pacstui" and "pacstui" in spent:
                row[f"{name} takes"] = f"{spent[name][at] / spent['pacstui'][at]:.2f} times"
        table.append(row)
        if not options.json:
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.json:
        print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
