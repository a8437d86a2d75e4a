"""Servers that the node asks or tells: the directory, and the syslog server of the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pacstui.api import plain
from pacstui.cli.checks.finding import Finding, Patient
from pacstui.errors import PacsError
from pacstui.text import ago, plural

_LONG_S = 3600.0


def directory(patient: Patient) -> Iterator[Finding]:
    """Can the directory be asked?"""
    settings = patient.settings.directory
    if not settings.servers:
        return
    from pacstui.directory.steps import steps

    for step in steps(settings):
        yield Finding(f"directory, {step.step}", step.level, step.text, step.hint)
    if settings.password_file:
        try:
            mode = Path(settings.password_file).stat().st_mode
        except OSError:
            return  # the step before says so
        if mode & 0o077:
            yield Finding("directory", "warn", f"{settings.password_file} is open to other users",
                          f"chmod 600 {settings.password_file}")  # fmt: skip


def audit_server(patient: Patient) -> Iterator[Finding]:
    """Does the syslog server take audit messages, and how many wait for it since when?"""
    settings = patient.settings
    if not settings.audit.server:
        return
    from pacstui.audit.probe import look

    for level, text, advice in look(settings.audit, settings.tls):
        yield Finding("audit server", level, text, advice)
    if patient.status is None:
        return
    try:
        state: dict[str, Any] = plain.call(patient.data_dir, "audit", "state", timeout=10)
    except PacsError as fault:
        yield Finding("audit server", "warn", f"what waits for it is not told: {fault.message}", fault.hint)
        return
    if not state["server"]:
        yield Finding("audit server", "warn", "the running node knows of none", "restart it to take the setting")
    elif not state["unsent"]:
        yield Finding("audit server", "ok", "it has every entry")
    else:
        since, now = datetime.fromisoformat(state["unsent_since"]), datetime.now(UTC)
        level = "fail" if (now - since).total_seconds() > _LONG_S else "warn"
        waiting = f"{plural(state['unsent'], 'entry waits', 'entries wait')} for it, the oldest from {ago(since, now)}"
        problem = f": {state['problem']}" if state["problem"] else ""
        yield Finding("audit server", level, waiting + problem, "they are kept, and sent once it takes them")
