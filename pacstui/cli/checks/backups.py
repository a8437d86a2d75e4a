"""Backups: is there a target, and what would keep its jobs from running?"""

from __future__ import annotations

import os
from collections.abc import Iterator

from pacstui.cli.checks.finding import Finding, Patient
from pacstui.errors import PacsError
from pacstui.settings import Settings
from pacstui.text import plural


def target_faults(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Return what would keep a target's jobs from running: its name, what is wrong, what mends it."""
    from pacstui.backups.keys import Keys
    from pacstui.jobs.schedule import schedule_of

    for target in settings.backups.targets:
        for key, text in (("schedule", target.schedule), ("drill", target.drill)):
            try:
                schedule_of(text)
            except PacsError as error:
                yield target.name, f"{key}: {error.message}", error.hint
        try:
            Keys(target.encrypt_to, target.identity_file, target.passphrase_file)
        except (ValueError, PacsError) as error:
            yield target.name, f"encrypt_to or identity_file: {error}", "make one with age-keygen"
        for path in (target.identity_file, target.passphrase_file, target.secret_key_file):
            if path and not os.access(path, os.R_OK):
                yield target.name, f"the file {path} cannot be read", "correct the path or its rights"


def backups(patient: Patient) -> Iterator[Finding]:
    """Is anything backed up? How it goes, the node's own problems tell."""
    targets = patient.settings.backups.targets
    if not targets:
        yield Finding(
            "backups", "warn", "nothing is backed up: there is no target",
            "write [[backups.targets]] with name and url; docs/backup-restore.md",
        )  # fmt: skip
        return
    for name, text, remedy in target_faults(patient.settings):
        yield Finding(f"backup {name}", "fail", text, remedy)
    told = (patient.status or {}).get("backups") or {}
    age = told.get("age_s", -1)
    what = f"{plural(len(targets), 'target')}: {', '.join(target.name for target in targets)}"
    if not told:
        yield Finding("backups", "ok", what)
    elif age < 0:
        yield Finding("backups", "warn", f"{what}; no snapshot yet", "make the first: pacstui backup run")
    else:
        yield Finding("backups", "ok", f"{what}; {told['unsaved']:,} instances since the newest snapshot")
