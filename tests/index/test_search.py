"""Finding studies: pages, beginnings and parts of words, and characters that SQL would take for something else."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.db import Database
from pacstui.dicom.header import Header
from pacstui.errors import BadRequest, NotFound
from pacstui.index.entry import Place, entry_of
from pacstui.index.fold import fold, name_keys
from pacstui.index.ingest import IndexWriter
from pacstui.index.queries import Index


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "index.db")
    try:
        yield opened
    finally:
        await opened.close()


def add(
    writer: IndexWriter, connection: sqlite3.Connection, number: int, *, name: str = "", patient: str = "",
    accession: str = "", description: str = "", series: int = 1, size: int = 10, day: str = "2026-01-01",
) -> None:  # fmt: skip
    header = Header(
        {
            0x00080016: "1.2.3", 0x00080018: f"1.{number}.{series}.9", 0x0020000D: f"1.{number}",
            0x0020000E: f"1.{number}.{series}", 0x00100010: name, 0x00100020: patient, 0x00080050: accession,
            0x00081030: description, 0x00080060: "CT",
        }
    )  # fmt: skip
    place = Place(bytes(32), bytes(32), 300, size, f"objects/aa/1.{number}/1.{number}.{series}.9.dcm")
    writer.add(connection, entry_of(header, "1.2.840.10008.1.2.1", "CT1"), place, number * 1_000_000)
    writer.flush(connection, day, number * 1_000_000)


async def fill(db: Database, *studies: dict[str, str]) -> Index:
    def body(connection: sqlite3.Connection) -> None:
        writer = IndexWriter()
        for number, study in enumerate(studies, 1):
            add(writer, connection, number, **study)  # type: ignore[arg-type]

    await db.write(body)
    return Index(db)


async def found(index: Index, word: str) -> list[str]:
    return [row.study for row in (await index.studies(word)).rows]


async def test_pages_by_cursor_newest_first(db: Database) -> None:
    index = await fill(db, *({"patient": f"P{number}"} for number in range(25)))
    seen: list[str] = []
    before = None
    while True:
        page = await index.studies(limit=10, before=before)
        assert page.total == 25
        seen += [row.study for row in page.rows]
        before = page.next
        if before is None:
            break
    assert seen == [f"1.{number}" for number in range(25, 0, -1)]


async def test_the_way_back_up_from_any_study(db: Database) -> None:
    def remove(c: sqlite3.Connection) -> None:
        c.execute("PRAGMA defer_foreign_keys = ON")
        c.execute("DELETE FROM instances WHERE series IN (SELECT id FROM series WHERE study IN (3, 4, 9))")
        c.execute("DELETE FROM series WHERE study IN (3, 4, 9)")
        c.execute("DELETE FROM studies WHERE id IN (3, 4, 9)")

    index = await fill(db, *({"patient": f"P{number}"} for number in range(25)))
    await db.write(remove)
    oldest = await index.studies(limit=5, after=0)
    assert [row.key for row in oldest.rows] == [7, 6, 5, 2, 1]
    assert oldest.next is None
    above = await index.studies(limit=5, after=oldest.rows[0].key)
    assert [row.key for row in above.rows] == [13, 12, 11, 10, 8]
    assert above.next == 8
    assert (await index.studies(limit=5, after=23)).rows[0].key == 25
    assert (await index.studies(limit=5, after=25)).rows == ()
    with pytest.raises(BadRequest):
        await index.studies("P1", after=3)


async def test_a_study_that_arrives_while_paging_changes_no_later_page(db: Database) -> None:
    index = await fill(db, *({"patient": f"P{number}"} for number in range(10)))
    first = await index.studies(limit=5)
    await db.write(lambda c: add(IndexWriter(), c, 99, patient="NEW"))
    second = await index.studies(limit=5, before=first.next)
    assert [row.study for row in second.rows] == [f"1.{number}" for number in range(5, 0, -1)]


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("doe", [1]), ("DOE^J", [1]), ("Doe, Jane", [1]), ("jane", [1]), ("a_1", [1]), ("a%", [3]), ("A'1", [4]),
        ("50%", [2]), ("thorax", [1]), ("ACC7", [2]), ("müller", [3]), ("MÜLLER", [3]), ("山田", [4]), ("タロウ", [4]),
        ("%", [2, 3]), ("_", [1]), ("*", []), ("[", []), ("doe\\", []), ("zzz", []), ("ax1", [2]),
    ],
)  # fmt: skip
async def test_case_074_no_character_is_special(db: Database, word: str, wanted: list[int]) -> None:
    index = await fill(
        db,
        {"name": "DOE^JANE", "patient": "A_1", "description": "CT THORAX"},
        {"name": "ROE^R", "patient": "AX1", "accession": "ACC7", "description": "50% dose"},
        {"name": "MÜLLER^K", "patient": "A%"},
        {"name": "YAMADA^TARO=山田^太郎=ﾔﾏﾀﾞ^ﾀﾛｳ", "patient": "A'1"},
    )
    assert sorted(await found(index, word)) == [f"1.{number}" for number in wanted]


async def test_search_pages_and_counts(db: Database) -> None:
    index = await fill(db, *({"name": "DOE^A" if n % 2 else "ROE^B", "description": "X"} for n in range(60)))
    page = await index.studies("doe", limit=20)
    assert (len(page.rows), page.total) == (20, 30)
    rest = await index.studies("doe", limit=20, before=page.next)
    assert (len(rest.rows), rest.next) == (10, None)
    assert {row.patient_name for row in (*page.rows, *rest.rows)} == {"DOE^A"}


async def test_detail_days_and_counts(db: Database) -> None:
    def body(connection: sqlite3.Connection) -> None:
        writer = IndexWriter()
        add(writer, connection, 1, patient="P1", series=1, size=10, day="2026-01-01")
        add(writer, connection, 1, patient="P1", series=2, size=20, day="2026-01-02")

    await db.write(body)
    index = Index(db)
    detail = await index.study("1.1")
    assert [(each.series, each.instances, each.bytes) for each in detail.series] == [("1.1.1", 1, 10), ("1.1.2", 1, 20)]
    assert (detail.row.series, detail.row.instances, detail.row.bytes, detail.calling) == (2, 2, 30, ("CT1",))
    assert [(str(day.day), day.instances, day.bytes) for day in await index.days()] == [
        ("2026-01-01", 1, 10), ("2026-01-02", 1, 20),
    ]  # fmt: skip
    counts = await index.counts()
    assert (counts.patients, counts.studies, counts.series, counts.instances, counts.bytes) == (1, 1, 2, 2, 30)
    assert len(await index.instances("1.1")) == 2
    assert len(await index.instances("1.1", "1.1.2")) == 1
    with pytest.raises(NotFound):
        await index.study("1.2.3.4")


async def test_queries_stay_on_their_indexes(db: Database) -> None:
    from pacstui.index import queries

    def plans(connection: sqlite3.Connection) -> list[str]:
        out = []
        for statement in (*queries._PREFIXES, queries._PAGE, queries._INSTANCE):
            values = {**statement._defaults, **dict.fromkeys(("low", "high", "before", "most", "sop_instance"), 1)}
            out.append(" ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement.sql, values)))
        return out

    for plan in await db.read(plans):
        assert "SCAN studies" not in plan or "INDEX" in plan or "PRIMARY KEY" in plan, plan
        assert "SCAN instances" not in plan


@given(st.text(max_size=40))
def test_folding_is_stable(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    name_keys(text)
