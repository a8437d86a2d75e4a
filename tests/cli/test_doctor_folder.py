"""What the doctor says of the rights of the data directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.cli.checks.finding import Patient
from pacstui.cli.checks.machine import data_directory
from pacstui.settings import NodeSettings, Settings


@pytest.mark.parametrize(
    ("mode", "level", "text"),
    [
        (0o700, "ok", "readable by its owner only"),
        (0o711, "ok", "others reach the control socket and read nothing else"),
        (0o755, "warn", "is open to other users"),
        (0o750, "warn", "is open to other users"),
    ],
)
def test_a_folder_that_others_may_only_pass_through_is_as_the_node_sets_it(
    tmp_path: Path, mode: int, level: str, text: str
) -> None:
    tmp_path.chmod(mode)
    (found,) = data_directory(Patient(Settings(node=NodeSettings(data_dir=tmp_path)), None, None))
    assert (found.level, text in found.text) == (level, True)
