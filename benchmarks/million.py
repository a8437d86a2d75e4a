"""How fast queries are at a million studies: ``python -m benchmarks.million``.

A generator writes the index, no objects. The table shows milliseconds to the first answers and to the last one, or to
the first 20,000.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from pacstui.db import Database, schema
from pacstui.dicom.matching import match_of
from pacstui.index.find import Query, find
from pacstui.index.fold import fold, name_keys

_LAST = (
    "DOE", "MUSTER", "EXAMPLE", "SAMPLE", "PHANTOM", "TEST", "MANNEQUIN", "DUMMY", "ECHANTILLON", "MIHON",
    "PLACEHOLDER", "SIHEOM",
)  # fmt: skip
_FIRST = ("JANE", "JOHN", "ERIKA", "ANNA", "PETER", "OTTO", "MARIA", "ZOE", "HANAKO", "TARO", "UNA", "ROMEO")
_MODALITIES = ("CT", "MR", "CR", "US", "MG")
_WANTED = (0x00080020, 0x00080030, 0x00080050, 0x00080061, 0x00100010, 0x00100020, 0x0020000D, 0x00201208)
_MOST = 20_000
CASES = (
    ("Patient ID", 0x00100020, "LO", "P0012345"),
    ("a day", 0x00080020, "DA", "20200214"),
    ("a month", 0x00080020, "DA", "20200201-20200229"),
    ("beginning of a name", 0x00100010, "PN", "MUSTER12*"),
    ("whole name", 0x00100010, "PN", "DOE17^JANE"),
    ("middle of a name", 0x00100010, "PN", "*STER39*"),
    ("accession number", 0x00080050, "SH", "A00005000"),
    ("Study Instance UID", 0x0020000D, "UI", "1.2.3.777"),
)


def generate(path: Path, count: int) -> None:
    """Write an index of ``count`` studies with a series and an instance each."""
    schema.create(path)
    rng = random.Random(5)
    with sqlite3.connect(path) as index:
        index.execute("PRAGMA synchronous=OFF")
        for key in range(1, count + 1):
            name = f"{rng.choice(_LAST)}{rng.randrange(4000)}^{rng.choice(_FIRST)}"
            patient, accession = f"P{key:07d}", f"A{key:08d}"
            day = f"{2010 + rng.randrange(16)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
            modality = rng.choice(_MODALITIES)
            text = f"{modality} EXAM {rng.randrange(100)}"
            search = "\n".join((fold(name), fold(patient), fold(accession), fold(text)))
            index.execute(
                "INSERT INTO patients (id, patient_id, name, name_key) VALUES (?,?,?,?)",
                (key, patient, name, fold(name)),
            )
            index.execute(
                "INSERT INTO studies (id, patient, study, patient_name, name_key, other_name_key, patient_id,"
                " patient_id_key, date, time, accession, accession_key, description, search, modalities, series,"
                " instances, bytes) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,1,1,500000)",
                (key, key, f"1.2.3.{key}", name, *name_keys(name), patient, fold(patient), day, "120000", accession,
                 fold(accession), text, search, modality),
            )  # fmt: skip
            index.execute(
                "INSERT INTO series (id, study, series, number, modality, instances) VALUES (?,?,?,'1',?,1)",
                (key, key, f"1.2.3.{key}.1", modality),
            )
            index.execute(
                "INSERT INTO instances (id, series, sop_instance, digest, meta_digest) VALUES (?,?,?,?,?)",
                (key, key, f"1.2.3.{key}.1.1", bytes(32), bytes(32)),
            )


async def measure(path: Path, times: int) -> None:
    """Ask, and print."""
    database = await Database.open(path)
    for what, tag, vr, text in CASES:
        query = Query("STUDY", {tag: match_of(vr, text)}, _WANTED)
        firsts, lasts, count = [], [], 0
        for _ in range(times):
            begun, first, count = time.perf_counter(), 0.0, 0
            async for rows in find(database, query):
                first = first or time.perf_counter() - begun
                count += len(rows)
                if count >= _MOST:
                    break
            lasts.append(time.perf_counter() - begun)
            firsts.append(first or lasts[-1])
        first_ms, last_ms = statistics.median(firsts) * 1000, statistics.median(lasts) * 1000
        print(f"{what:<22} {count:>6} answers  first {first_ms:7.1f} ms  last {last_ms:8.1f} ms", flush=True)
    await database.close()


def main() -> None:
    """Generate and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the scratch folder goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=options.folder) as scratch:
        path = Path(scratch) / "index.db"
        generate(path, options.studies)
        asyncio.run(measure(path, options.times))


if __name__ == "__main__":
    main()
