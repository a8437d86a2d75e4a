"""How an action is declared: once, on the method of a contract noun.

From the declaration come the server's permission check and the audit entry, the console's key hints, palette entries,
greyed-out state and confirm dialog, the command line's commands and the help page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Danger(StrEnum):
    """How much asking an action takes before it is done."""

    NONE = "none"
    CONFIRM = "confirm"
    TYPE_NAME = "type-the-name"


@dataclass(frozen=True, slots=True)
class Action:
    """What is declared of an action.

    ``verb`` is the word on a key hint, ``label`` the sentence in palette and help. ``permission`` names what an account
    needs. ``key`` is the console's usual key for it, empty if it has none. ``audited`` actions leave an entry.
    """

    noun: str
    method: str
    verb: str
    label: str
    permission: str
    danger: Danger
    audited: bool
    key: str

    @property
    def name(self) -> str:
        """The action's full name, ``noun.method``."""
        return f"{self.noun}.{self.method}"


def action(
    verb: str,
    label: str,
    *,
    permission: str,
    danger: Danger = Danger.NONE,
    audited: bool = False,
    key: str = "",
) -> Callable[[F], F]:
    """Declare the method below as an action of its noun."""

    def declare(method: F) -> F:
        noun = method.__module__.rpartition(".")[2]
        declared = Action(noun, method.__name__, verb, label, permission, danger, audited, key)
        method.__action__ = declared  # type: ignore[attr-defined]
        return method

    return declare


def actions_of(noun: type) -> dict[str, Action]:
    """Return the actions that a noun declares, by method name, in order of declaration."""
    found: dict[str, Action] = {}
    for name, member in vars(noun).items():
        declared = getattr(member, "__action__", None)
        if isinstance(declared, Action):
            found[name] = declared
    return found
