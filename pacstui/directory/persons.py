"""Who somebody is in the directory, and what that gives here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pacstui.directory.names import first_value, same_dn
from pacstui.settings import DirectorySettings
from pacstui.text import plural, safe


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the directory. ``state`` says why they may not come in, empty if they may."""

    name: str
    dn: str
    id: str
    full_name: str
    email: str
    groups: tuple[str, ...]
    state: str = ""


def role_by(settings: DirectorySettings, groups: Iterable[str]) -> tuple[str, str]:
    """Return the role that groups give, and by which of them; both empty if none gives one. The first entry counts."""
    held = {same_dn(group) for group in groups}
    for each in settings.roles:
        if same_dn(each.group) in held:
            return each.role, each.group
    return "", ""


def groups_in_words(groups: tuple[str, ...]) -> str:
    """Return what a person's groups are called."""
    if not groups:
        return "no group"
    named = ", ".join(safe(first_value(group), 40) for group in groups[:5])
    return f"{plural(len(groups), 'group')}: {named}" + (", ..." if len(groups) > 5 else "")
