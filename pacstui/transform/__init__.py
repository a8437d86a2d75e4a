"""Changes outgoing copies: attributes by rules, and de-identification by PS3.15 Annex E.

What is archived stays as it is. Knows the encoding of objects only: no archive, no database, no network.
"""

from __future__ import annotations

from pacstui.transform.faults import Refused, TransformError
from pacstui.transform.plan import Fault, Outcome, Plan, compile, examine
from pacstui.transform.pseudonyms import KEY, Person, find_back, read_key
from pacstui.transform.templates import Context

__all__ = [
    "KEY", "Context", "Fault", "Outcome", "Person", "Plan", "Refused", "TransformError", "compile", "examine",
    "find_back", "read_key",
]  # fmt: skip
