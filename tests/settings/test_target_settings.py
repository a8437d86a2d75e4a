"""Backup targets that would protect nothing are mistakes, before a node runs with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.cli import main
from pacstui.configuration import ConfigurationError, load


def written(folder: Path, target: str) -> Path:
    path = folder / "pacstui.toml"
    path.write_text(f'[node]\ndata_dir = "{folder}/up/data"\n[[backups.targets]]\nname = "nas"\n{target}\n')
    return path


@pytest.mark.parametrize(
    ("target", "key", "words"),
    [
        ('url = "{0}/up/data/backup"', "url", "lies in the data directory"),
        ('url = "file:{0}/up/data"', "url", "lies in the data directory"),
        ('url = "{0}/up"', "url", "has the data directory in it"),
        ('url = "nas/pacs"', "url", "write the whole path"),
        ('url = "s3:bucket"', "url", "s3://bucket/folder"),
        ('url = "/mnt/a"\ninclude = ["secrets"]', "include", "encrypted targets only"),
        ('url = "/mnt/a"\npassphrase_file = "/p"\nencrypt_to = ["age1"]', "passphrase_file", "one of them is enough"),
    ],
)
def test_a_target_that_protects_nothing_is_a_mistake(tmp_path: Path, target: str, key: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(written(tmp_path, target.format(tmp_path)))
    assert [mistake.key for mistake in caught.value.mistakes] == [f"backups.targets[0].{key}"]
    assert words in caught.value.mistakes[0].text


@pytest.mark.parametrize("url", ["/mnt/nas/pacs", "file:///mnt/nas/pacs", "~/copies", "s3://bucket/folder", "s3://b"])
def test_usual_targets_are_none(tmp_path: Path, url: str) -> None:
    assert load(written(tmp_path, f'url = "{url}"')).notes == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('schedule = "weekday 22:30"', '"weekday 22:30" is no schedule'),
        ('drill = "sometimes"', '"sometimes" is no schedule'),
        ('encrypt_to = ["age1xyz"]', "no recipient of age"),
        ('passphrase_file = "/not/there"', "/not/there cannot be read"),
    ],
)
def test_what_would_stop_its_jobs_is_noted(
    tmp_path: Path, line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, f'url = "/mnt/nas/pacs"\n{line}')
    with pytest.raises(SystemExit):
        main(["--config", str(path), "check-config"])
    told = capsys.readouterr().out
    assert "note: backup target nas: " in told
    assert words in told


@pytest.mark.parametrize("section", ["space", "reports"])
def test_a_schedule_that_is_none_is_noted(tmp_path: Path, section: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pacstui.toml"
    path.write_text(f'[{section}]\nschedule = "now and then"\n')
    with pytest.raises(SystemExit):
        main(["--config", str(path), "check-config"])
    assert f'note: [{section}] schedule: "now and then" is no schedule' in capsys.readouterr().out
