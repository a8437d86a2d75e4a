"""Keys, declared once: Textual's bindings, the footer, the help page and the palette are all made from these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from textual.binding import Binding, BindingType

from pacstui.contract import Action, Danger, all_actions


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a screen.

    ``verb`` stands in the footer, ``does`` in help and palette. ``run`` is the Textual action. ``action`` is the
    contract's declaration behind it, if any. ``weight`` 0 is never left out of the footer, higher goes first.
    """

    key: str
    verb: str
    does: str
    run: str
    action: Action | None = None
    weight: int = 1
    shown: str = ""
    palette: bool = True

    @property
    def face(self) -> str:
        """The key as people write it."""
        return self.shown or self.key.split(",")[0]


@cache
def _actions() -> dict[str, Action]:
    return all_actions()


def acts(name: str, run: str, weight: int = 1, key: str = "") -> Key:
    """Return the key of a contract action; key, verb and label come from its declaration."""
    action = _actions()[name]
    return Key(key or action.key, action.verb, action.label, run, action, weight)


def bindings(*keys: Key) -> list[BindingType]:
    """Return Textual's bindings for ``keys``."""
    return [Binding(k.key, k.run, k.verb, show=False, key_display=k.face) for k in keys]


def changes_something(action: Action | None) -> bool:
    """Return whether an action does more than look, so that the read-only mode holds it back."""
    return action is not None and (action.audited or action.danger is not Danger.NONE)


MODES: tuple[tuple[str, str, str, str], ...] = (
    ("1", "dashboard", "Dash", "Dashboard: everything at one look"),
    ("2", "associations", "Assoc", "Associations: who is and was connected"),
    ("3", "queue", "Queue", "Queue: what arrives and what waits to go out"),
    ("4", "studies", "Study", "Studies: what the archive holds"),
    ("5", "peers", "Peers", "Peers: the equipment around this node"),
    ("6", "jobs", "Jobs", "Jobs: what the node does by itself, and when"),
    ("7", "backups", "Backup", "Backups: what is safe elsewhere, and how it gets back"),
    ("8", "accounts", "Accts", "Accounts: who may do what"),
    ("9", "audit", "Audit", "Audit: who did what"),
    ("0", "events", "Events", "Events: what happened"),
)
"""Key, mode, word in the footer, sentence in help and palette. A later mode is one more line here and in app.py."""

MODE_NEEDS = {
    "dashboard": "overview.show", "associations": "associations.list", "queue": "queue.list", "studies": "studies.list",
    "peers": "peers.list", "events": "feed.list", "accounts": "accounts.list", "audit": "audit.list",
    "jobs": "jobs.list", "backups": "backups.show",
}  # fmt: skip
"""The action by which a mode gets what it shows; who may not do it does not see the screen."""


def mode_keys() -> tuple[Key, ...]:
    """Return the keys that lead to the modes."""
    known = _actions()
    return tuple(
        Key(key, word, does, f"mode('{mode}')", known.get(MODE_NEEDS.get(mode, ""))) for key, mode, word, does in MODES
    )


ROUTES = Key("O", "routes", "Routes: where studies are sent on", "app.page('routes')", _actions().get("routes.list"))
"""The way to the routes, which have no number."""

MAINTENANCE = Key(
    "M", "maintenance", "Maintenance: drain the node, plan windows, what was changed", "app.page('maintenance')",
    _actions().get("maintenance.show"), 3,
)  # fmt: skip
"""The way to maintenance, which has no number either."""

WORKLIST = Key(
    "W", "worklist", "Worklist: what is scheduled today, where it stands, what was performed", "app.page('worklist')",
    _actions().get("worklist.day"), 2,
)  # fmt: skip
"""The way to the worklist, which has no number either."""

EXCEPTIONS = Key(
    "X", "exceptions", "Exceptions: studies that do not fit an order or patient", "app.page('exceptions')",
    _actions().get("exceptions.list_all"), 2,
)  # fmt: skip
"""The way to the exceptions, which have no number either."""

HL7 = Key(
    "H", "HL7", "HL7: messages of the RIS, what became of them, errors, what goes out", "app.page('hl7')",
    _actions().get("hl7.show"), 2,
)  # fmt: skip
"""The way to HL7, which has no number either."""

CORRECTIONS = Key(
    "C", "corrections", "Corrections and merges: what was put right, undoing it, telling who has the wrong copy",
    "app.page('corrections')", _actions().get("corrections.list_all"), 3,
)  # fmt: skip
"""The way to corrections, which have no number either."""

COMMON: tuple[Key, ...] = (
    Key("slash", "find", "Filter what is shown; a leading ! shows the others", "find", shown="/", weight=1),
    Key("question_mark", "help", "Show this screen's keys and what it shows", "help", shown="?", weight=0),
    Key("escape", "back", "Go back", "back", shown="esc", weight=0, palette=False),
    Key("exclamation_mark", "problems", "Show what is wrong now, and what mends it", "problems", shown="!"),
    Key("space", "freeze", "Freeze what is shown, or follow again", "freeze", shown="space"),
    Key("y", "copy", "Copy the chosen row or page to your clipboard", "copy"),
    Key("P", "privacy", "Hide or show patients' names and IDs", "privacy"),
    Key("R", "read-only", "Hold back every action that changes something", "read_only"),
    WORKLIST,
    EXCEPTIONS,
    ROUTES,
    MAINTENANCE,
    HL7,
    CORRECTIONS,
    Key("A", "account", "Who you are; sign in as somebody else, change your password, sign out", "account"),
    Key("L", "lock", "Lock this console now, until your password is said", "lock"),
    Key("colon,ctrl+p", "commands", "Find an action or a screen by its name", "palette", shown=":", palette=False),
    Key("tab", "next panel", "Go to the next panel", "app.focus_next", palette=False),
    Key("ctrl+l", "redraw", "Draw the whole screen again", "redraw"),
    Key("ctrl+z", "suspend", "Go back to the shell for a while; fg returns", "app.suspend_process"),
    Key("q,ctrl+c,ctrl+q", "quit", "Leave the console", "quit_console", shown="q"),
)


def hints(keys: Iterable[Key], width: int) -> list[Key]:
    """Return the keys whose hints fit into ``width`` cells, least needed left out first, order kept."""
    chosen = list(keys)
    while chosen and sum(len(k.face) + len(k.verb) + 3 for k in chosen) - 2 > width:
        worst = max(range(len(chosen)), key=lambda at: (chosen[at].weight, at))
        chosen.pop(worst)
    return chosen
