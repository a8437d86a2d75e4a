"""The words that both wings speak: frozen models, and each action declared once.

``NOUNS`` maps the name of each noun to its Protocol; the server dispatches by it, the client is built from it.
"""

from __future__ import annotations

from functools import cache

from pacstui.contract import privacy
from pacstui.contract.accounts import Accounts
from pacstui.contract.action import Action, Danger, actions_of
from pacstui.contract.associations import Associations
from pacstui.contract.audit import Audit
from pacstui.contract.backups import Backups
from pacstui.contract.commitments import Commitments
from pacstui.contract.corrections import Corrections
from pacstui.contract.exceptions import Exceptions
from pacstui.contract.feed import Feed
from pacstui.contract.hl7 import Hl7
from pacstui.contract.jobs import Jobs
from pacstui.contract.maintenance import Maintenance
from pacstui.contract.merges import Merges
from pacstui.contract.node import Node
from pacstui.contract.overview import Overview
from pacstui.contract.peers import Peers
from pacstui.contract.queue import Queue
from pacstui.contract.remote import Remote
from pacstui.contract.reports import Reports
from pacstui.contract.routes import Routes
from pacstui.contract.space import Space
from pacstui.contract.storage import Storage
from pacstui.contract.studies import Studies
from pacstui.contract.worklist import Worklist

NOUNS: dict[str, type] = {
    "node": Node,
    "overview": Overview,
    "associations": Associations,
    "queue": Queue,
    "storage": Storage,
    "peers": Peers,
    "studies": Studies,
    "feed": Feed,
    "commitments": Commitments,
    "remote": Remote,
    "accounts": Accounts,
    "audit": Audit,
    "jobs": Jobs,
    "backups": Backups,
    "space": Space,
    "routes": Routes,
    "maintenance": Maintenance,
    "reports": Reports,
    "hl7": Hl7,
    "exceptions": Exceptions,
    "worklist": Worklist,
    "corrections": Corrections,
    "merges": Merges,
}


def all_actions() -> dict[str, Action]:
    """Return every declared action by its full name, ``noun.method``."""
    return {a.name: a for noun in NOUNS.values() for a in actions_of(noun).values()}


IMPORT = Action("storage", "import", "import", "Take files into the archive", "storage.import", Danger.NONE, True, "")
"""The one thing that is done by a stream of its own and not by a call."""


@cache
def permissions() -> tuple[str, ...]:
    """Return every permission that there is: those that actions declare, and the one to see who patients are."""
    declared = {a.permission for a in (*all_actions().values(), IMPORT) if a.permission}
    return tuple(sorted(declared | {privacy.PERMISSION}))


__all__ = [
    "IMPORT",
    "NOUNS",
    "Action",
    "Danger",
    "all_actions",
    "actions_of",
    "permissions",
    "Node",
    "Overview",
    "Associations",
    "Queue",
    "Storage",
    "Peers",
    "Studies",
    "Feed",
    "Commitments",
    "Remote",
    "Accounts",
    "Audit",
    "Jobs",
    "Backups",
    "Space",
    "Routes",
    "Maintenance",
    "Reports",
    "Hl7",
    "Exceptions",
    "Worklist",
    "Corrections",
    "Merges",
]
