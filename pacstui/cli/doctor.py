"""``pacstui doctor``: looks at everything around the node and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pacstui.cli.checks.backups import backups
from pacstui.cli.checks.finding import Check, Finding, examine
from pacstui.cli.checks.machine import certificates, clock, data_directory, database, disk, limits
from pacstui.cli.checks.node import association, control_socket, hl7_port, node, port
from pacstui.cli.checks.peers import hl7_receivers, peers
from pacstui.cli.checks.servers import audit_server, directory
from pacstui.cli.checks.telling import tell
from pacstui.cli.doors import door, new_app
from pacstui.configuration import load
from pacstui.errors import SettingsError

CHECKS: tuple[Check, ...] = (
    node, data_directory, disk, port, hl7_port, association, control_socket, certificates, directory,
    audit_server, clock, limits, database, peers, hl7_receivers, backups,
)  # fmt: skip
"""Every check, in the order in which they are told."""

app = new_app()


def findings(config: Path | None) -> Iterator[Finding]:
    """Yield what every check finds; a configuration with mistakes ends it, since the rest depends on it."""
    try:
        loaded = load(config)
    except SettingsError as fault:
        for problem in fault.problems:
            yield Finding("configuration", "fail", problem, "correct it; pacstui check-config tells when it is right")
        return
    yield Finding("configuration", "ok", str(loaded.source) if loaded.source else "defaults, no file")
    for note in loaded.notes:
        yield Finding("configuration", "warn", note)
    patient = examine(loaded.settings)
    for check in CHECKS:
        try:
            yield from check(patient)
        except OSError as fault:
            yield Finding(check.__name__.replace("_", " "), "fail", f"could not be checked: {fault}")


@app.command()
def doctor(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check configuration, disk, ports, clock, database and peers; say what to do. Exit 0, or 1 when a check fails."""
    tell(findings(door(context).config), as_json=json)
