"""Queries put to the index find exactly what the rules of matching say, whatever way the database takes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacstui.db import Database
from pacstui.dicom.header import Header
from pacstui.dicom.matching import Match, comparison, match_of
from pacstui.index.attributes import ATTRIBUTES, IMAGE, PATIENT, SERIES, STUDY
from pacstui.index.entry import Place, entry_of
from pacstui.index.find import PAGE, Query, find
from pacstui.index.ingest import IndexWriter

NAME, ID, DATE, TIME, ACCESSION, DESCRIPTION = 0x00100010, 0x00100020, 0x00080020, 0x00080030, 0x00080050, 0x00081030
STUDY_UID, SERIES_UID, SOP_UID, MODALITY, MODALITIES = 0x0020000D, 0x0020000E, 0x00080018, 0x00080060, 0x00080061
NUMBER, ROWS, CLASSES = 0x00200013, 0x00280010, 0x00080062

IDEOGRAPHIC = "\u5c71\u7530^\u592a\u90ce"
PHONETIC = "\u3084\u307e\u3060^\u305f\u308d\u3046"
NAMES = [
    "DOE^JANE", "Doe^John", "DOE", "M\u00dcLLER^ERIKA", "MULLER^ERIKA", "DOE^JANE^^DR", f"YAMADA^TAROU={IDEOGRAPHIC}",
    f"YAMADA^TAROU={IDEOGRAPHIC}={PHONETIC}", "O'NEIL^X", "A_B^C%", "[X]^Y*", "", f"={IDEOGRAPHIC}",
]  # fmt: skip
IDS = ["", "P1", "p1", "A_1", "AX1", "A%", "A'1", "A[1]", "A*1", "P1 X"]
DATES = ["", "20250110", "20250111", "20250112", "19991231"]
TIMES = ["", "1030", "103000", "103000.5", "235959", "10"]
TEXTS = ["", "CT THORAX", "CT ABDOMEN", "ct thorax", "MR KNEE", "M\u00dcNSTER"]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "index.db")
    try:
        yield opened
    finally:
        await opened.close()


def header(number: int, **more: str) -> Header:
    """Return what the index is told of object ``number``; three of a series, two series of a study."""
    study, series = number // 6, number // 3
    values = {
        0x00080016: f"1.2.840.{number % 2}", SOP_UID: f"1.{study}.{series}.{number}", STUDY_UID: f"1.{study}",
        SERIES_UID: f"1.{study}.{series}", NAME: NAMES[study % len(NAMES)], ID: IDS[study % len(IDS)],
        DATE: DATES[study % len(DATES)], TIME: TIMES[study % len(TIMES)], ACCESSION: IDS[(study * 3) % len(IDS)],
        DESCRIPTION: TEXTS[study % len(TEXTS)], MODALITY: ("CT", "MR", "US")[series % 3], NUMBER: str(number % 3 + 1),
        ROWS: str(number),
    }  # fmt: skip
    return Header(values)


COUNT = 6 * 130


async def fill(db: Database) -> None:
    def body(connection: sqlite3.Connection) -> None:
        writer = IndexWriter()
        for number in range(COUNT):
            place = Place(bytes(32), bytes(32), 300, 10, f"objects/{number}")
            writer.add(connection, entry_of(header(number), "1.2.840.10008.1.2.1", "CT1"), place, number)
        writer.flush(connection, "2026-01-01", 1)

    await db.write(body)


async def all_of(db: Database, query: Query) -> list[tuple[str, ...]]:
    return [row async for page in find(db, query) for row in page]


def asked(**keys: str) -> dict[int, Match]:
    tags = {
        "name": NAME,
        "id": ID,
        "date": DATE,
        "time": TIME,
        "accession": ACCESSION,
        "description": DESCRIPTION,
        "study": STUDY_UID,
        "series": SERIES_UID,
        "sop": SOP_UID,
        "modality": MODALITY,
        "modalities": MODALITIES,
    }
    return {tags[name]: match_of(ATTRIBUTES[IMAGE][tags[name]].vr, text) for name, text in keys.items()}


async def test_every_level_has_its_rows_and_counts(db: Database) -> None:
    await fill(db)
    for level, tag, count in ((STUDY, STUDY_UID, 130), (SERIES, SERIES_UID, 260), (IMAGE, SOP_UID, 780)):
        rows = await all_of(db, Query(level, {}, (tag,)))
        assert len(rows) == len(set(rows)) == count
    (row,) = await all_of(db, Query(STUDY, asked(study="1.7"), (MODALITIES, CLASSES, 0x00201206, 0x00201208, NAME)))
    assert row == ("CT\\US", "1.2.840.0\\1.2.840.1", "2", "6", NAMES[7])
    (row,) = await all_of(db, Query(SERIES, asked(study="1.7", series="1.7.14"), (MODALITY, 0x00201209, NAME)))
    assert row == ("US", "3", NAMES[7])
    rows = await all_of(db, Query(IMAGE, asked(study="1.7", series="1.7.14"), (NUMBER, ROWS, SOP_UID)))
    assert sorted(rows) == [("1", "42", "1.7.14.42"), ("2", "43", "1.7.14.43"), ("3", "44", "1.7.14.44")]
    patients = await all_of(db, Query(PATIENT, asked(id="p1"), (ID, NAME, 0x00201200, 0x00201202, 0x00201204)))
    assert {row[0] for row in patients} == {"p1"}
    assert [row[2:] for row in patients] == [("13", "26", "78")]


texts = st.sampled_from(
    ["", "*", "DOE*", "doe^jane", "*JAN*", "DOE^J?NE", "\u5c71\u7530*", "*\u592a\u90ce", "\u3084\u307e\u3060*",
     "m\u00fcller*", "YAMADA*=\u5c71\u7530*", "=\u5c71*", "?", "???", "A_1", "A%", "A'1", "A[1]*", "A?1", "[X]*",
     "*\\*", "P1", "p1", "O'*", "CT*", "*THORAX", "ct thorax", "*N*", "DOE", "DOE^", "*^*", "^", "P1 X", "Y*"]
)  # fmt: skip
dates = st.sampled_from(["", "20250111", "20250110-20250112", "-20250111", "20250111-", "x", "2025.01.11"])
times = st.sampled_from(["", "1030", "10-11", "103000", "-1100", "103000.5", "20250111103000-20250111113000"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(name=texts, patient=texts, accession=texts, description=texts, date=dates, time=times)
def test_what_is_found_is_what_matches(
    filled: dict[str, object], name: str, patient: str, accession: str, description: str, date: str, time: str
) -> None:
    keys = asked(name=name, id=patient, accession=accession, description=description, date=date, time=time)
    narrow = sum(not match.is_universal for match in keys.values())
    if narrow > 2:  # with more almost nothing matches
        keys = dict(list(keys.items())[:2])
    tests = {tag: comparison(match) for tag, match in keys.items()}
    studies = [header(6 * number).values for number in range(130)]
    wanted = sorted(each[STUDY_UID] for each in studies if all(test(each[tag]) for tag, test in tests.items()))
    db, loop = filled["db"], filled["loop"]
    assert isinstance(db, Database)
    assert isinstance(loop, asyncio.AbstractEventLoop)
    for level, factor in ((STUDY, 1), (SERIES, 2)):
        rows = loop.run_until_complete(all_of(db, Query(level, keys, (STUDY_UID,))))
        assert sorted(row[0] for row in rows) == sorted(wanted * factor)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> object:
    loop = asyncio.new_event_loop()
    db = loop.run_until_complete(Database.open(tmp_path_factory.mktemp("find") / "index.db"))
    loop.run_until_complete(fill(db))
    yield {"db": db, "loop": loop}
    loop.run_until_complete(db.close())
    loop.close()


async def test_modalities_lists_and_uids(db: Database) -> None:
    await fill(db)
    for key, wanted in (("US", 86), ("CT\\US", 130), ("XX", 0), ("M*", 87)):
        rows = await all_of(db, Query(STUDY, asked(modalities=key), (MODALITIES,)))
        assert len(rows) == wanted
    rows = await all_of(db, Query(STUDY, asked(study="1.3\\1.5\\9.9"), (STUDY_UID,)))
    assert sorted(rows) == [("1.3",), ("1.5",)]
    assert await all_of(db, Query(STUDY, asked(study="1.?"), (STUDY_UID,))) == []


async def test_date_and_time_together_or_alone(db: Database) -> None:
    await fill(db)
    keys = asked(date="20250110-20250112", time="220000-100000")
    alone = await all_of(db, Query(STUDY, keys, (DATE, TIME)))
    together = await all_of(db, Query(STUDY, keys, (DATE, TIME), together=True))
    assert alone == []
    assert ("20250111", "1030") in together
    assert ("20250110", "1030") not in together
    assert ("20250110", "235959") in together


async def test_fuzzy_names_need_no_delimiters(db: Database) -> None:
    await fill(db)
    plain = await all_of(db, Query(STUDY, asked(name="doe jane"), (NAME,)))
    fuzzy = await all_of(db, Query(STUDY, asked(name="doe jane"), (NAME,), fuzzy=True))
    assert plain == []
    assert set(fuzzy) == {("DOE^JANE",)}


@pytest.mark.parametrize("key", ["muller^erika", "M\u00fcller, Erika", "Mu*^e*", "*LLER*", "m\u00fcl*"])
async def test_fuzzy_names_need_no_accents(db: Database, key: str) -> None:
    await fill(db)
    fuzzy = await all_of(db, Query(STUDY, asked(name=key), (NAME,), fuzzy=True))
    assert set(fuzzy) == {("M\u00dcLLER^ERIKA",), ("MULLER^ERIKA",)}
    plain = await all_of(db, Query(STUDY, asked(name="muller*"), (NAME,)))
    assert set(plain) == {("MULLER^ERIKA",)}, "without it accents count"


async def test_counts_and_classes_are_matched(db: Database) -> None:
    await fill(db)
    series, instances = 0x00201206, 0x00201208
    keys = {series: match_of("IS", "2"), instances: match_of("IS", "6")}
    assert len(await all_of(db, Query(STUDY, keys, (STUDY_UID,)))) == 130
    assert await all_of(db, Query(STUDY, keys | {series: match_of("IS", "1")}, (STUDY_UID,))) == []
    classes = {CLASSES: match_of("UI", "1.2.840.1\\1.2.3"), STUDY_UID: match_of("UI", "1.4\\1.5")}
    assert len(await all_of(db, Query(STUDY, classes, (STUDY_UID,)))) == 2
    assert await all_of(db, Query(STUDY, classes | {CLASSES: match_of("UI", "1.2.3")}, (STUDY_UID,))) == []


async def test_no_wildcards_keep_the_database_busy(db: Database) -> None:
    await fill(db)
    for key in ("*?" * 3000, "*a" * 500 + "*b", "?*" * 30 + "[" * 500, "*N*N*N*N*N*N*"):
        rows = await all_of(db, Query(STUDY, asked(description=key, name="*" + key), (DESCRIPTION,)))
        assert rows == []
    rows = await all_of(db, Query(STUDY, asked(description="*C*T* *T*H*O*R*A*"), (DESCRIPTION,)))
    assert set(rows) == {("CT THORAX",)}


async def test_who_takes_the_first_page_only_leaves_nothing_behind(db: Database) -> None:
    await fill(db)
    pages = find(db, Query(IMAGE, {}, (SOP_UID,)))
    assert len(await anext(pages)) == PAGE
    await pages.aclose()
    assert len(await all_of(db, Query(IMAGE, {}, (SOP_UID,)))) == COUNT
    async with asyncio.timeout(5):
        while len(db._idle) < 2:  # noqa: ASYNC110 - a reader comes back in its own time
            await asyncio.sleep(0)


async def test_rows_that_go_meanwhile_are_left_out(db: Database) -> None:
    await fill(db)
    seen = 0
    async for page in find(db, Query(IMAGE, {}, (SOP_UID,))):
        if not seen:
            await db.write(lambda c: c.execute("DELETE FROM instances WHERE id > 300"))
        seen += len(page)
    assert PAGE <= seen <= 300 + PAGE
