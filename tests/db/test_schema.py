"""Migrations: the packaged script is what they lead to, and an older database is copied and migrated."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from pacstui.db import Database, schema
from pacstui.db.migrate import upgrade
from pacstui.errors import PacsError, Unavailable
from pacstui.index.fold import name_keys
from pacstui.index.tables import metadata

migrated = import_module("pacstui.db.migrations.versions.0015_accents")


def shape(path: Path) -> dict[str, Any]:
    """Return tables, columns and indexes as SQLite sees them."""
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {
            name: (
                connection.execute(f"PRAGMA table_info({name})").fetchall(),
                connection.execute(f"PRAGMA foreign_key_list({name})").fetchall(),
                sorted(
                    (index[1], index[2], index[4], tuple(connection.execute(f"PRAGMA index_info('{index[1]}')")))
                    for index in connection.execute(f"PRAGMA index_list({name})")
                ),
                sorted(
                    " ".join(row[0].split())
                    for row in connection.execute(
                        "SELECT sql FROM sqlite_master WHERE type='trigger' AND tbl_name=?", (name,)
                    )
                ),
                "AUTOINCREMENT"
                in str(connection.execute("SELECT sql FROM sqlite_master WHERE name=?", (name,)).fetchone()),
            )
            for name in names
        }
    finally:
        connection.close()


def test_the_script_is_what_the_migrations_lead_to(tmp_path: Path) -> None:
    schema.create(tmp_path / "script.db")
    upgrade(tmp_path / "migrated.db")
    assert shape(tmp_path / "script.db") == shape(tmp_path / "migrated.db")
    assert schema.revision(tmp_path / "migrated.db") == schema.HEAD == schema.revision(tmp_path / "script.db")


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "pacstui.db:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_the_tables_are_those_of_the_code(tmp_path: Path) -> None:
    schema.create(tmp_path / "script.db")
    with create_engine(f"sqlite:///{tmp_path / 'script.db'}").connect() as connection:
        ours = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        assert compare_metadata(MigrationContext.configure(connection, opts=ours), metadata) == []


async def test_an_older_database_is_copied_and_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.execute("INSERT INTO alembic_version VALUES ('0000')")
    connection.execute("CREATE TABLE keepsake (x)")
    connection.commit()
    connection.close()
    seen: list[tuple[str, ...]] = []

    class Process:
        returncode = 0

        async def communicate(self) -> tuple[bytes, bytes]:
            return b"", b""

    async def start(*command: str, **_: Any) -> Process:
        seen.append(command)
        return Process()

    monkeypatch.setattr("asyncio.create_subprocess_exec", start)
    await schema.ensure(path)
    assert seen == [(sys.executable, "-P", "-m", "pacstui.db.migrate", str(path))]
    (copy,) = tmp_path.glob("index.before-*.db")
    assert sqlite3.connect(copy).execute("SELECT name FROM sqlite_master WHERE name='keepsake'").fetchone()


async def test_a_migration_that_fails_is_said(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    schema.create(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num='0000'")
    with pytest.raises(Unavailable, match="could not be migrated"):
        await Database.open(path)


async def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    schema.create(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num='9999'")
    with pytest.raises(Unavailable, match="later version"):
        await Database.open(path)


async def test_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(PacsError):
        await Database.open(path)


def test_a_node_needs_no_alembic_numpy_or_pydicom(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from pacstui.archive import Archive\n"
        "async def main():\n"
        "    archive = await Archive.open(Path(sys.argv[1])); await archive.index.studies('x'); await archive.close()\n"
        "asyncio.run(main())\n"
        "print([name for name in ('alembic', 'numpy', 'pydicom') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_that_were_folded_before_lose_their_accents(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    upgrade(path, "0014")
    with sqlite3.connect(path) as connection:
        names = ("M\u00dcLLER^ZO\u00cb", "DOE^JANE", "YAMADA^TAROU=\u5c71\u7530^\u592a\u90ce")
        for number, name in enumerate(names, 1):
            connection.execute("INSERT INTO patients (id, patient_id, name, name_key) VALUES (?,?,?,'old')",
                               (number, f"P{number}", name))  # fmt: skip
            connection.execute(
                "INSERT INTO studies (patient, study, patient_name, name_key, description, search)"
                " VALUES (?,?,?,?,?,?)",
                (number, f"1.{number}", name, "old", "TH\u00d8RAX" if number == 1 else "HEAD", "old"),
            )
    connection.close()
    upgrade(path)
    with sqlite3.connect(path) as connection:
        studies = connection.execute("SELECT name_key, other_name_key, search FROM studies ORDER BY id").fetchall()
        patients = connection.execute("SELECT name_key FROM patients ORDER BY id").fetchall()
    connection.close()
    japanese = ("yamada tarou", "\u5c71\u7530 \u592a\u90ce", "yamada tarou \u5c71\u7530 \u592a\u90ce\n\n\nhead")
    assert studies == [("muller zoe", "", "muller zoe\n\n\nthorax"), ("old", "", "old"), japanese]
    assert patients == [("muller zoe",), ("old",), ("yamada tarou",)]
    for name in ("M\u00dcLLER^ZO\u00cb=\u304c\u3053=\uae40^\uac15", "\u0141\u00f3d\u017a"):
        assert migrated._names(name) == name_keys(name), "the migration folds like the index"


def test_instances_keep_their_numbers_and_none_is_given_twice_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    upgrade(path, "0007")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("INSERT INTO patients (patient_id) VALUES ('P1')")
    connection.execute("INSERT INTO studies (patient, study) VALUES (1, '1.2')")
    connection.execute("INSERT INTO series (study, series) VALUES (1, '1.2.3')")
    insert = "INSERT INTO instances (series, sop_instance, digest, meta_digest, more, path) VALUES (1, ?, ?, ?, ?, ?)"
    for number in (4, 5, 6):
        connection.execute(insert, (f"1.2.3.{number}", b"d", b"m", f"m{number}", f"p{number}"))
    connection.execute("DELETE FROM instances WHERE sop_instance = '1.2.3.4'")
    before = connection.execute("SELECT id, sop_instance, digest, more, path FROM instances").fetchall()
    connection.close()
    upgrade(path)
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute("SELECT id, sop_instance, digest, more, path FROM instances").fetchall() == before
    connection.execute("DELETE FROM instances WHERE sop_instance = '1.2.3.6'")
    connection.execute(insert, ("1.2.3.7", b"d", b"m", "", "p7"))
    assert connection.execute("SELECT max(id) FROM instances").fetchone() == (4,)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_what_was_kept_of_corrected_and_rejected_objects_is_known_by_uid_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    upgrade(path, "0023")
    connection = sqlite3.connect(path, isolation_level=None)
    run = connection.execute
    run("INSERT INTO patients (id, patient_id, hidden) VALUES (4, 'P1', 0)")
    run("INSERT INTO studies (id, patient, study, hidden) VALUES (7, 4, '1.2', 0), (8, 4, '1.9', 1)")
    run("INSERT INTO series (id, study, series, body_part, corrected) VALUES (5, 7, '1.2.3', 'HAND', '{}'),"
        " (6, 8, '1.2.3', '', '')")  # fmt: skip
    insert = "INSERT INTO instances (id, series, sop_instance, digest, meta_digest) VALUES (?, ?, ?, x'', x'')"
    for row in ((11, 5, "2.1"), (12, 6, "2.2")):
        run(insert, row)
    series, gone = {"id": 9, "series": "1.5.1", "corrected": '{"Laterality": "L"}'}, {"id": 3, "study": "1.5"}
    body = {
        "rows": {"instances 11": {"number": ["1", "2"]}, "series 5": {}}, "made": [["series", 6]], "gone": [],
        "images": [[12, 5]], "of_images": [12], "of_series": [5],
    }  # fmt: skip
    run("INSERT INTO corrections (id, state, body, study, note_uid) VALUES (2, 'on', ?, '1.2', '2.9')",
        (json.dumps(body),))  # fmt: skip
    run("INSERT INTO corrections (id, state, body, study) VALUES (3, 'on', '{}', '1.5')")
    run("INSERT INTO renamed_instances (old, new, correction) VALUES ('2.0', '2.1', 3)")
    run("INSERT INTO corrected_studies (correction, study) VALUES (2, '1.2'), (2, '1.9'), (3, '1.5'), (3, '1.6')")
    told = json.dumps({"patient": {"id": 1}, "study": {"id": 2, "study": "1.6"}})
    run("INSERT INTO state (name, value) VALUES ('corrected study 1.6', ?), ('session', 'x')", (told,))
    run("INSERT INTO trash (study, rows) VALUES ('1.5', ?), ('1.7', '{}')",
        (json.dumps({"patient": {"id": 1}, "study": gone, "series": [series]}),))  # fmt: skip
    run('INSERT INTO trash (id, study, rows) VALUES (9, \'1.9\', \'{"study": {"hidden": 1, "id": 8}}\')')
    run("INSERT INTO trashed (trash, series_uid, sop_instance, digest, meta_digest) VALUES"
        " (9, '1.2.4', '2.4', x'', x''), (9, '1.2.8', '2.9', x'', x'')")  # fmt: skip
    connection.close()
    upgrade(path)
    connection = sqlite3.connect(path, isolation_level=None)
    run = connection.execute
    assert run("SELECT id, patient_id FROM patients").fetchall() == [(4, "P1")]
    assert run("SELECT id, study, series, body_part, corrected FROM series").fetchall() == [
        (5, 7, "1.2.3", "HAND", "{}"), (6, 8, "1.2.3", "", ""),
    ]  # fmt: skip
    now = json.loads(run("SELECT body FROM corrections WHERE id=2").fetchone()[0])
    assert now["rows"] == {"instances 2.0": {"number": ["1", "2"]}, "series 5": {}}
    assert now["of_images"] == ["2.2"] and now["of_series"] == [5]
    assert run(
        "SELECT sop_instance, correction, study, series, to_study, awaited FROM rejected_instances"
    ).fetchall() == [("2.2", 2, "1.2", "1.2.3", "1.9", 0), ("2.4", 2, "1.2", "1.2.4", "1.9", 0)]
    assert {tuple(row) for row in run("SELECT study, series FROM away")} == {("1.5", ""), ("1.5", "1.5.1"), ("1.6", "")}
    assert json.loads(run("SELECT body FROM away WHERE series='1.5.1'").fetchone()[0]) == {"series": series}
    assert run("SELECT name FROM state").fetchall() == [("session",)]
    numbers = dict(run("SELECT name, seq FROM sqlite_sequence WHERE name IN ('series', 'patients')").fetchall())
    assert numbers == {"series": 6, "patients": 4}
    assert run("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
