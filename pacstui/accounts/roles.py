"""Roles: named sets of permissions, said as patterns so that a new action is covered by the roles it is meant for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pacstui.contract import permissions
from pacstui.contract.privacy import PERMISSION as PATIENTS

ADMINISTRATOR = "administrator"
MANAGE = "accounts.manage"
"""Who holds it can give others what they hold themselves."""
_WATCH = ("*.view", f"!{PATIENTS}", "!accounts.view", "!audit.view")
_GRAVE = ("!*.purge", "!*.restore", "!*.delete")
"""What destroys or replaces is not given by being declared."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role. A pattern is a permission with ``*`` for anything; one that begins with ``!`` takes away."""

    name: str
    label: str
    patterns: tuple[str, ...]
    built_in: bool = False

    @property
    def permissions(self) -> frozenset[str]:
        """What the patterns come to, with the permissions that there are now."""
        return expand(self.patterns)


def expand(patterns: Iterable[str], known: Iterable[str] = ()) -> frozenset[str]:
    """Return the permissions that ``patterns`` stand for; later patterns overrule earlier ones."""
    chosen: set[str] = set()
    everything = tuple(known) or permissions()
    for pattern in patterns:
        meant = {name for name in everything if fnmatchcase(name, pattern.lstrip("!"))}
        chosen = chosen - meant if pattern.startswith("!") else chosen | meant
    return frozenset(chosen)


BUILT_IN: dict[str, Role] = {
    role.name: role
    for role in (
        Role("viewer", "Sees how the node does; no patients", _WATCH, True),
        Role(
            "operator", "Keeps the node going: echoes, aborts, jobs, backups; no patients",
            (*_WATCH, "peers.*", "associations.*", "commitments.*", "queue.*", "jobs.run", "backups.*", "storage.*",
             "hl7.*", "worklist.*",
             *_GRAVE),
            True,
        ),
        Role(
            "technologist", "Works with studies and modalities",
            (*_WATCH, PATIENTS, "peers.echo", "remote.*", "commitments.ask", "storage.import", "worklist.*",
             "qc.*"), True,
        ),
        Role("radiologist", "Looks for studies, here and at other archives", (*_WATCH, PATIENTS, "remote.*"), True),
        Role(ADMINISTRATOR, "Everything", ("*",), True),
        Role(
            "auditor", "Sees who did what and who may do what; no patients",
            (*_WATCH, "accounts.view", "audit.*"), True,
        ),
    )
}  # fmt: skip
