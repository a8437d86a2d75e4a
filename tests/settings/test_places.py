"""Whose a data directory is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pacstui.errors import Unavailable
from pacstui.places import claim, owner_of


def test_a_new_data_directory_is_its_owners_alone(tmp_path: Path) -> None:
    claim(tmp_path / "some" / "data")
    assert (tmp_path / "some" / "data").stat().st_mode & 0o777 == 0o700
    claim(tmp_path / "some" / "data")


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(Unavailable, match="data_dir"):
        claim(tmp_path / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("exists", [True, False])
def test_root_leaves_nothing_in_another_users_data_directory(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    data_dir = folder / "share" / "data"
    if exists:
        data_dir.mkdir(parents=True)
        os.chown(data_dir, 65534, 65534)
    else:
        os.chown(folder, 65534, 65534)
    assert owner_of(data_dir) == 65534
    with pytest.raises(Unavailable, match="belongs to nobody") as caught:
        claim(data_dir)
    assert caught.value.hint == "Do it as that user: sudo -u nobody pacstui ..."
    assert data_dir.exists() is exists
