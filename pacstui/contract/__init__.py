"""The words that both wings speak: frozen models, and each action declared once.

``NOUNS`` maps the name of each noun to its Protocol; the server dispatches by it, the client is built from it.
"""

from __future__ import annotations

from pacstui.contract.action import Action, Danger, actions_of
from pacstui.contract.associations import Associations
from pacstui.contract.commitments import Commitments
from pacstui.contract.feed import Feed
from pacstui.contract.node import Node
from pacstui.contract.overview import Overview
from pacstui.contract.peers import Peers
from pacstui.contract.queue import Queue
from pacstui.contract.remote import Remote
from pacstui.contract.storage import Storage
from pacstui.contract.studies import Studies

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
}


def all_actions() -> dict[str, Action]:
    """Return every declared action by its full name, ``noun.method``."""
    return {a.name: a for noun in NOUNS.values() for a in actions_of(noun).values()}


__all__ = ["NOUNS", "Action", "Danger", "all_actions", "actions_of", "Node", "Overview", "Associations", "Queue",
           "Storage", "Peers", "Studies", "Feed", "Commitments", "Remote"]
