"""Prints what checks find."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import typer

from pacstui.cli.checks.finding import Finding
from pacstui.cli.out import say, say_json
from pacstui.text import plural


def summary(findings: list[Finding]) -> str:
    """Return the last line: how many of each level."""
    fails, warns = (sum(f.level == level for f in findings) for level in ("fail", "warn"))
    return f"{plural(fails, 'failure')}, {plural(warns, 'warning')}, {plural(len(findings), 'check')}"


def tell(findings: Iterable[Finding], *, as_json: bool) -> NoReturn:
    """Print what was found, each as soon as it is; leave with 0, or 1 where something failed."""
    found = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            say(f"{finding.level:<4}  {finding.check}: {finding.text}")
            if finding.advice and finding.level != "ok":
                say(f"      {finding.advice}")
    failed = any(finding.level == "fail" for finding in found)
    if as_json:
        say_json({"ok": not failed, "checks": [finding.as_json() for finding in found]})
    else:
        say(summary(found))
    raise typer.Exit(1 if failed else 0)
