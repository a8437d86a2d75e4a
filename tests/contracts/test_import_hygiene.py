"""What is imported when: quick commands stay quick."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "textual",
    "rich",
    "pydicom",
    "pynetdicom",
    "sqlalchemy",
    "alembic",
    "aiohttp",
    "numpy",
    "structlog",
    "asyncio",
)


def imported(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after ``statement``."""
    script = f"import sys\n{statement}\nprint('\\n' + ' '.join(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(run.stdout.splitlines()[-1].split())


def _command(*words: str) -> str:
    return f"from pacstui.cli import main\ntry:\n    main({list(words)!r})\nexcept SystemExit:\n    pass"


def test_status_imports_nothing_heavy() -> None:
    loaded = imported(_command("status", "--json"))
    assert loaded.isdisjoint(HEAVY)
    assert "screens" not in loaded


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("check-config",)])
def test_other_quick_commands_import_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported(_command(*words)).isdisjoint(HEAVY)


def test_the_contract_needs_the_standard_library_only() -> None:
    assert imported("import pacstui.contract").isdisjoint((*HEAVY, "pydantic", "typer"))


def test_a_node_without_directory_does_without_ldap() -> None:
    assert imported("import pacstui.node").isdisjoint(("ldap3", "pyasn1", "segno"))


def test_the_node_needs_no_screen() -> None:
    assert imported("import pacstui.node").isdisjoint(("textual", "screens", "typer"))


def test_the_process_of_a_backup_starts_light() -> None:
    heavy = ("sqlalchemy", "pydantic", "aiohttp", "structlog", "pynetdicom", "pydicom", "numpy")
    assert imported("import pacstui.backups.worker").isdisjoint(heavy)
