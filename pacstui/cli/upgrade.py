"""``pacstui upgrade --check``: whether this version can take over an archive, before anything is done to it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pacstui import __version__
from pacstui.api import plain
from pacstui.archive.paths import DATABASE
from pacstui.cli.checks.finding import Finding
from pacstui.cli.checks.telling import tell
from pacstui.cli.doors import door, new_app
from pacstui.configuration import load
from pacstui.db import schema
from pacstui.errors import NotRunning, PacsError, SettingsError
from pacstui.text import ago, plural, size

_OLD_BACKUP_H = 26.0
_COPIES = 2.5
_REPORT = "do not upgrade; report it with this line"

app = new_app()


def findings(config: Path | None, rehearse: bool) -> Iterator[Finding]:
    """Yield what there is to say, in the order in which it matters."""
    try:
        loaded = load(config)
    except SettingsError as fault:
        for problem in fault.problems:
            yield Finding("configuration", "fail", problem, "correct it; this version will not start with it")
        return
    yield Finding("configuration", "ok", str(loaded.source) if loaded.source else "defaults, no file")
    data_dir = loaded.settings.node.data_dir
    path = data_dir / DATABASE
    try:
        found = schema.revision(path)
    except (PacsError, sqlite3.Error) as fault:
        yield Finding("schema", "fail", f"{path} cannot be read: {fault}", "pacstui doctor says more")
        return
    if found is None:
        yield Finding("schema", "ok", "there is no archive yet: it will be made")
        return
    yield from _node(data_dir)
    if found > schema.HEAD:
        yield Finding(
            "schema", "fail", f"the archive is of a later version (schema {found}, this one knows {schema.HEAD})",
            "install that version, or restore a backup from before",
        )  # fmt: skip
        return
    pending = [number for number in schema.migrations() if number > found]
    if not pending:
        yield Finding("schema", "ok", f"nothing to migrate: the archive is at {found}, as {__version__} wants it")
        return
    names = f"{plural(len(pending), 'migration')} pending: {found} to {pending[-1]}"
    yield Finding("schema", "ok", f"{names}; the node copies the database beside itself before")
    room = _space(path)
    yield room
    if rehearse and room.level != "fail":
        yield _rehearsal(path)


def _node(data_dir: Path) -> Iterator[Finding]:
    """Say how the node that runs stands, and how old its backups are."""
    try:
        status = plain.call(data_dir, "node", "status")
    except NotRunning:
        yield Finding("node", "ok", "it does not run")
        yield Finding("backups", "warn", "how old they are, only a running node says", "start it and look once more")
        return
    except PacsError as fault:
        yield Finding("node", "warn", f"it does not say how it stands: {fault.message}", fault.hint)
        return
    version = status["node"]["version"]
    yield Finding(
        "node", "ok", f"version {version} runs" + ("" if version == __version__ else f", this is {__version__}")
    )
    active, waiting = status["associations"]["active"], status["queue"]["pending"]
    if active:
        told = f"{plural(active, 'association')} run"
        yield Finding("associations", "warn", told, "pacstui maintenance drain, and wait until they have ended")
    if waiting:
        told = f"{plural(waiting, 'object')} wait to be sent on"
        yield Finding("queue", "ok", f"{told}: they survive an upgrade")
    yield _backups(data_dir)


def _backups(data_dir: Path) -> Finding:
    try:
        targets: list[dict[str, Any]] = plain.call(data_dir, "backups", "show")["targets"]
    except (PacsError, KeyError, TypeError) as fault:
        return Finding("backups", "warn", f"nothing is known of them: {fault}", "pacstui backup targets")
    last = [datetime.fromisoformat(each["last_good"]) for each in targets if each.get("last_good")]
    if not last:
        return Finding("backups", "fail", "there is no good one", "pacstui backup run --target NAME, before you go on")
    newest, now = max(last), datetime.now(UTC)
    told = f"the newest good one is from {ago(newest, now)}"
    if (now - newest).total_seconds() > _OLD_BACKUP_H * 3600:
        return Finding("backups", "warn", told, "pacstui backup run --target NAME, before you go on")
    return Finding("backups", "ok", told)


def _space(path: Path) -> Finding:
    taken = sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*") if each.is_file())
    needed, free = int(taken * _COPIES), shutil.disk_usage(path.parent).free
    told = f"a migration needs up to {size(needed)} more, {size(free)} are free"
    return Finding("space", "ok", told) if free > needed else Finding("space", "fail", told, "make room first")


def _rehearsal(path: Path) -> Finding:
    """Migrate a copy, and say how long that took."""
    with tempfile.TemporaryDirectory(prefix=".upgrade-", dir=path.parent) as folder:
        copy = Path(folder) / DATABASE
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source:
                with closing(sqlite3.connect(copy)) as target:
                    source.backup(target)
            began = time.monotonic()
            migrate = [sys.executable, "-P", "-m", "pacstui.db.migrate", str(copy)]
            done = subprocess.run(migrate, capture_output=True, text=True, check=False)
            took = time.monotonic() - began
            if done.returncode:
                told = schema.complaint_of(done.stderr)
                return Finding(
                    "rehearsal", "fail", f"a copy could not be migrated: {told}", "do not upgrade; report it"
                )
            with closing(sqlite3.connect(copy)) as target:
                verdict = target.execute("PRAGMA integrity_check").fetchone()[0]
                found = target.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        except sqlite3.Error as error:
            return Finding("rehearsal", "fail", f"a copy could not be made: {error}", "pacstui doctor says more")
    if verdict != "ok" or found != schema.HEAD:
        return Finding(
            "rehearsal", "fail", f"the migrated copy is not in order: {verdict}", "do not upgrade; report it"
        )
    return Finding("rehearsal", "ok", f"a copy was migrated in {took:.1f} s and is in order")


@app.command()
def upgrade(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Only look; this is what the command does.")] = True,
    rehearse: Annotated[bool, typer.Option(help="Migrate a copy of the database to see that it works.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """See whether this version can take over the archive: configuration, schema, space, backups, and a migration of a
    copy. Changes nothing: the node migrates when it starts. Exit 0, or 1 when it should not be started yet."""
    del check
    tell(findings(door(context).config, rehearse), as_json=json)
