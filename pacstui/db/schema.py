"""Brings a database to the schema that this version knows.

Alembic costs 30 MB and half a second, so the node does without it where nothing is to be migrated: a new database is
made from ``schema.sql``, which holds what the migrations lead to (a test compares the two), and one that is at
``HEAD`` is left alone. Only an older one is migrated, by a process of its own, after a copy was taken.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from pacstui.errors import PacsError, Unavailable
from pacstui.processors import start_program

HEAD = "0024"
"""Revision of the newest migration."""


async def ensure(path: Path) -> None:
    """Make or migrate the database at ``path``.

    Raises
    ------
    Unavailable
        When a migration failed or the database is of a later version; it is as it was.
    """
    found = await asyncio.to_thread(revision, path)
    if found == HEAD:
        return
    if found is None:
        await asyncio.to_thread(create, path)
        return
    if found > HEAD:
        raise Unavailable(
            f"The database {path} was made by a later version (schema {found}, this version knows {HEAD})",
            "Install that version, or restore an older backup",
        )
    await asyncio.to_thread(copy, path, found)
    process = await start_program(
        sys.executable, "-P", "-m", "pacstui.db.migrate", str(path), stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await process.communicate()
    if process.returncode:
        last = complaint_of(stderr.decode("utf-8", "replace"))
        raise Unavailable(f"The database {path} could not be migrated: {last}", "A copy from before is beside it")


def migrations() -> tuple[str, ...]:
    """Return the revisions of all migrations in their order."""
    there = files("pacstui.db.migrations").joinpath("versions").iterdir()
    return tuple(sorted(each.name[:4] for each in there if each.name[:4].isdigit() and each.name.endswith(".py")))


def complaint_of(stderr: str) -> str:
    """Return what a migration that failed complained of, out of all that it printed."""
    lines = [line.strip() for line in stderr.splitlines()]
    told = [line for line in lines if line.startswith(("sqlite3.", "sqlalchemy.exc."))]
    return (told or lines or ["nothing was said"])[-1].rpartition("sqlalchemy.exc.")[2]


def revision(path: Path) -> str | None:
    """Return the revision of the database at ``path``, None where there is none or it is empty."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA busy_timeout=5000")
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchone()[0]
        if not tables:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if row is None:
            raise PacsError(f"{path} holds tables but no version", "It is no database of this program; move it away")
        return str(row[0])


def create(path: Path) -> None:
    """Make the tables in a new database, all or nothing."""
    script = files("pacstui.db").joinpath("schema.sql").read_text("utf-8")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(f"BEGIN;\n{script}\nINSERT INTO alembic_version VALUES ('{HEAD}');\nCOMMIT;")


def copy(path: Path, found: str) -> Path:
    """Copy the database beside itself before it is migrated; return where to."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.stem}.before-{HEAD}-{found}-{stamp}.db")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as destination:
        source.backup(destination)
    target.chmod(0o600)
    return target
