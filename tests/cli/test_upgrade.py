"""``pacstui upgrade --check``: said before anything is done."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pacstui.cli.upgrade import findings
from pacstui.db import schema
from pacstui.db.migrate import upgrade


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    file = tmp_path / "pacstui.toml"
    file.write_text(f'[node]\ndata_dir = "{tmp_path / "data"}"\n')
    return file


def said(config: Path) -> dict[str, tuple[str, str]]:
    return {each.check: (each.level, each.text) for each in findings(config, rehearse=True)}


def test_an_older_archive_is_rehearsed_on_a_copy(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "data" / "index.db"
    upgrade(path, "0009")
    before = path.read_bytes()
    found = said(config)
    newest = schema.migrations()[-1]
    number = sum(each > "0009" for each in schema.migrations())
    assert found["schema"][1].startswith(f"{number} migrations pending: 0009 to {newest}")
    assert found["space"][0] == "ok"
    assert found["rehearsal"][0] == "ok", found
    assert found["rehearsal"][1].startswith("a copy was migrated in ")
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["index.db"]


def test_a_copy_that_cannot_be_migrated_is_a_reason_to_stop(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "data" / "index.db"
    upgrade(path, "0009")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sendings (x)")  # in the way of a later migration
    level, text = said(config)["rehearsal"]
    assert level == "fail"
    assert (
        text
        == "a copy could not be migrated: OperationalError: (sqlite3.OperationalError) table sendings already exists"
    )


def test_nothing_to_do_and_a_later_version(config: Path, tmp_path: Path) -> None:
    assert said(config)["schema"] == ("ok", "there is no archive yet: it will be made")
    path = tmp_path / "data" / "index.db"
    schema.create(path)
    assert said(config)["schema"][1].startswith("nothing to migrate: the archive is at ")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num='9999'")
        connection.commit()
    assert said(config)["schema"][0] == "fail"


def test_a_configuration_with_mistakes_comes_first(config: Path) -> None:
    config.write_text("[dicom]\nport = 'x'\n")
    assert list(said(config)) == ["configuration"]
