"""Every setting is documented, and the documents are those that the schema makes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pacstui import configuration_docs
from pacstui.configuration import load
from pacstui.configuration_docs import Entry, Table, tables
from pacstui.settings import Settings

ALL = [(table, entry) for table in tables() for entry in table.entries]


@pytest.mark.parametrize(("table", "entry"), ALL, ids=[f"{t.path}.{e.key}" for t, e in ALL])
def test_each_setting_says_what_it_means(table: Table, entry: Entry) -> None:
    assert len(entry.text) > 15
    assert entry.text[0].isupper()
    assert entry.text.endswith(".")
    assert entry.expected not in ("", "a value")
    assert table.text.endswith(".")


@pytest.mark.parametrize("name", list(configuration_docs.files()))
def test_what_is_written_from_the_schema_is_up_to_date(project: Path, name: str) -> None:
    written = (project / name).read_text(encoding="utf-8")
    assert written == configuration_docs.files()[name], "run python -m pacstui.configuration_docs"


def test_the_example_has_every_setting_and_equals_the_defaults(project: Path) -> None:
    loaded = load(project / "config.example.toml")
    assert loaded.settings == Settings()
    assert loaded.notes == []
    values = tomllib.loads((project / "config.example.toml").read_text(encoding="utf-8"))
    for table, entry in ALL:
        if not table.many:
            assert entry.key in values[table.path]


def test_the_examples_commented_tables_are_valid_too(project: Path, tmp_path: Path) -> None:
    lines = (project / "config.example.toml").read_text(encoding="utf-8").splitlines()
    live = [
        line.removeprefix("# ") if line.startswith("# [[") or (line.startswith("# ") and " = " in line[:14]) else line
        for line in lines
    ]
    file = tmp_path / "full.toml"
    file.write_text("\n".join(live).replace('to = ["WS1"]', 'to = ["CT1"]'), encoding="utf-8")
    found = load(file).settings
    assert (len(found.peers), len(found.routes), len(found.backups.targets)) == (1, 1, 1)


def test_the_writer_writes_below_the_folder_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["configuration_docs", str(tmp_path)])
    configuration_docs.main()
    assert sorted(str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*.*") if f.is_file()) == [
        "config.example.toml",
        "docs/configuration.md",
    ]
