"""What a user gets: the wheel, installed into an environment that has nothing else, used far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pacstui.cli.doors import COMMANDS
from tests.conftest import ROOT
from tests.running import free_port, until
from tests.terminal.on_a_node import Console

pytestmark = pytest.mark.slow

PACKAGES = ("pacstui", "screens")
NO_REGISTRY = (
    "No matching distribution found for hatchling",
    "Failed to establish a new connection",
    "NewConnectionError",
    "Temporary failure in name resolution",
    "ProxyError",
    "ReadTimeoutError",
)


def pip(*arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run pip as it is configured here."""
    return subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True, text=True, timeout=600, check=False, cwd=ROOT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    built = pip("wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT))
    if built.returncode and any(words in built.stderr for words in NO_REGISTRY):
        pytest.skip(f"no package index answers: {built.stderr.strip().splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (made,) = folder.iterdir()
    return made


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it, and a place to work that is not the checkout."""

    folder: Path
    program: Path

    def environment(self, home: Path) -> dict[str, str]:
        """Return variables as a fresh account has them."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
        return {**kept, "HOME": str(home), "TMPDIR": str(home / "tmp")}

    def run(self, home: Path, *arguments: str, seconds: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
        """Run ``pacstui`` with an own home folder."""
        (home / "tmp").mkdir(exist_ok=True)
        return subprocess.run(
            [str(self.program), *arguments],
            capture_output=True, text=True, timeout=seconds, check=False, cwd=home / "tmp",
            env=self.environment(home) | more,
        )  # fmt: skip


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in a clean environment, with the versions of constraints.txt."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    got = pip("install", "-q", "--no-compile", "-c", "constraints.txt", str(wheel), python=str(python))
    assert got.returncode == 0, got.stderr
    checked = pip("check", python=str(python))
    assert checked.returncode == 0, checked.stdout
    return Installed(folder, folder / "bin" / "pacstui")


@pytest.fixture
def home(nobodys_home: Path) -> Callable[[], set[str]]:
    """What lies in the home folder, beside the folder for temporary files."""
    return lambda: {path.name for path in nobodys_home.iterdir()} - {"tmp"}


def test_the_wheel_has_both_packages_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    ours = {name for name in names if ".dist-info/" not in name}
    there = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours == there
    assert {name.partition("/")[0] for name in ours} == set(PACKAGES)
    for needed in ("pacstui/db/schema.sql", "screens/styles/console.tcss", "pacstui/db/migrations/env.py",
                   "pacstui/py.typed", "screens/py.typed"):  # fmt: skip
        assert needed in ours
    assert any(name.startswith("pacstui/db/migrations/versions/0001") for name in ours)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_nothing_but_what_it_needs_is_installed(installed: Installed) -> None:
    listed = pip("list", "--format=json", python=str(installed.folder / "bin" / "python"))
    names = {each["name"].lower() for each in json.loads(listed.stdout)}
    assert {"pacstui", "pydicom", "textual"} <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "pydicom-data"}


def test_version(installed: Installed, nobodys_home: Path, wheel: Path) -> None:
    ran = installed.run(nobodys_home, "--version")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip() == f"pacstui {wheel.name.split('-')[1]}"


def test_status_without_a_node_says_down_and_what_to_do(
    installed: Installed, nobodys_home: Path, home: Callable[[], set[str]]
) -> None:
    ran = installed.run(nobodys_home, "status")
    assert (ran.returncode, ran.stderr) == (2, "")
    assert ran.stdout.startswith("down: no node is running")
    assert "pacstui serve" in ran.stdout
    ran = installed.run(nobodys_home, "status", "--json")
    assert ran.returncode == 2
    assert json.loads(ran.stdout)["health"] == "down"
    assert home() == set(), "a look must not leave anything behind"


def test_check_config_without_a_file(installed: Installed, nobodys_home: Path, home: Callable[[], set[str]]) -> None:
    ran = installed.run(nobodys_home, "check-config")
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert "defaults" in ran.stdout
    assert home() == set()


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_its_help(installed: Installed, nobodys_home: Path, command: str) -> None:
    ran = installed.run(nobodys_home, *command.split(), "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Usage: pacstui" in ran.stdout


def test_a_headless_demo(installed: Installed, nobodys_home: Path, home: Callable[[], set[str]]) -> None:
    ran = installed.run(nobodys_home, "demo", "--headless", "--seconds", "5", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["sent"] == told["acknowledged"] == told["found"] > 20
    assert told["differences"] == []
    assert list((nobodys_home / "tmp").iterdir()) == []
    assert home() == set()


def test_a_node_serves_with_its_database_and_is_stopped(installed: Installed, nobodys_home: Path) -> None:
    (nobodys_home / "tmp").mkdir()
    environment = installed.environment(nobodys_home) | {"PACSTUI_DICOM__PORT": str(free_port())}
    node = subprocess.Popen(
        [str(installed.program), "serve"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", env=environment
    )
    try:
        until(lambda: installed.run(nobodys_home, "status").returncode == 0 or node.poll() is not None)
        told = json.loads(installed.run(nobodys_home, "status", "--json").stdout)
        assert told["health"] == "ok"
        assert told["node"]["data_dir"] == str(nobodys_home / ".local/share/pacstui")
    finally:
        node.terminate()
        _, log = node.communicate(timeout=15)
    assert node.returncode == 0, log
    assert b"Traceback" not in log


def test_the_demos_console_opens_at_80x24_and_leaves_nothing(
    installed: Installed, nobodys_home: Path, home: Callable[[], set[str]], tmp_path: Path
) -> None:
    """README's first command, in a terminal: modalities send within seconds, and quitting cleans up."""
    temporary = nobodys_home / "tmp"
    temporary.mkdir()
    console = Console([str(installed.program), "demo"], tmp_path, 80, 24, TMPDIR=str(temporary))
    try:
        text = console.until(lambda text: "Storage" in text and " stores " in text, 30)
        assert len(text.splitlines()) == 24
        console.type("q")
        assert console.end(30) == 0, console.screen.text
        console.sane()
        after = console.seen[console.seen.rfind("\x1b[?1049l") :]
        assert "acknowledged" in after
        assert "Traceback" not in after
    finally:
        console.close()
    assert list(temporary.iterdir()) == []
    assert home() == set()
