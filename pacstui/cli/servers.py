"""What ``pacstui doctor`` looks at beside the equipment: directory, syslog server of the audit trail, HL7 receivers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pacstui.api import plain
from pacstui.cli.finding import Finding, Patient
from pacstui.errors import PacsError
from pacstui.text import ago, plural

_LONG_S = 3600.0
_TCP_S = 3.0


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


def hl7_receivers(patient: Patient) -> Iterator[Finding]:
    """Can those be reached that HL7 messages are sent to?"""
    for each in patient.settings.hl7.receivers:
        label, where = f"HL7 to {each.name}", f"{each.host}:{each.port}"
        if not each.enabled:
            continue
        try:
            with socket.create_connection((each.host, each.port), timeout=_TCP_S):
                yield Finding(label, "ok", f"{where} takes connections; pacstui hl7 receivers says how it answers")
        except socket.gaierror:
            yield Finding(label, "warn", f"the host {each.host} is not known", "correct its host, or the name service")
        except TimeoutError:
            yield Finding(label, "warn", f"{where} does not answer", "is it switched on, is a firewall between?")
        except OSError as fault:
            text = f"{where} cannot be reached: {fault.strerror or fault}"
            yield Finding(label, "warn", text, "is its HL7 listener running on that port?")


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
