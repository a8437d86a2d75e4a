"""What every test gets: no configuration and no data directory of the person who runs the tests."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacstui.processors import let_go

# Started in the background of a script: what we start would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent

_COMPILED = "TESTS_COMPILED"


def pytest_xdist_auto_num_workers() -> int:
    """Two workers for a core: many tests wait for a socket, a process or a screen, and leave the core to another."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    """Let processes that tests start share what they compile, also where nothing is to be written beside the sources.

    Each would compile the whole package anew: a fifth of a second, hundreds of times.
    """
    if not sys.dont_write_bytecode:
        return
    if not hasattr(config, "workerinput"):
        os.environ[_COMPILED] = tempfile.mkdtemp(prefix="pacstui-compiled-")
        os.chmod(os.environ[_COMPILED], 0o755)
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = os.environ[_COMPILED]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what was compiled."""
    if not hasattr(config, "workerinput") and _COMPILED in os.environ:
        shutil.rmtree(os.environ.pop(_COMPILED), ignore_errors=True)


@pytest.fixture(autouse=True)
def anywhere() -> Iterator[None]:
    """Let the next test run on any processor, also after one whose archive is as a crash left it."""
    yield
    let_go()


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
