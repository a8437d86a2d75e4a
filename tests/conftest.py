"""What every test gets: no configuration and no data directory of the person who runs the tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Started in the background of a script: what we start would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test an empty home folder and an environment without pacstui's own variables."""
    for name in [name for name in os.environ if name.startswith("PACSTUI_") and name != "PACSTUI_LOOP"]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def project() -> Path:
    """The folder of the checkout."""
    return ROOT
