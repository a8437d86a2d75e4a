"""Each method of a contract noun is a declared action, and the command line has it."""

from __future__ import annotations

import inspect

import pytest

from pacstui.cli.doors import COMMANDS, root
from pacstui.contract import NOUNS, Action, Danger, actions_of, all_actions

ACTIONS = all_actions()
ELSEWHERE = {
    "node.status": ("status", ()),
    "overview.show": ("status", ("--watch",)),  # what the dashboard streams
    "feed.list": ("events", ()),
}

GROUPS = {"backups": "backup", "reports": "report"}
"""Nouns whose commands have another word."""


OPEN = {
    f"accounts.{name}" for name in (
        "me", "sign_in", "sign_out", "confirm", "set_password", "recover", "begin_totp", "finish_totp", "stop_totp",
        "renew_recovery",
    )
}  # fmt: skip
"""What takes no permission: it is about oneself, or judged by the OS user."""
ASKED = {"accounts.confirm", "accounts.finish_totp"}
"""No commands: the command line asks where it is needed."""


def test_every_method_is_declared() -> None:
    for name, noun in NOUNS.items():
        methods = {key for key, member in vars(noun).items() if inspect.iscoroutinefunction(member)}
        assert methods == set(actions_of(noun)), name


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_declaration_is_complete(action: Action) -> None:
    assert action.noun in NOUNS
    assert action.verb
    assert action.verb == action.verb.lower()
    assert action.label[0].isupper()
    assert not action.label.endswith(".")
    noun, dot, verb = action.permission.partition(".")
    assert (noun and dot and verb) or action.name in OPEN
    if action.danger is not Danger.NONE:
        assert action.audited


@pytest.mark.parametrize("action", [a for a in ACTIONS.values() if a.name not in ASKED], ids=lambda a: a.name)
def test_each_action_has_its_command(action: Action) -> None:
    group, verb = ELSEWHERE.get(action.name, (GROUPS.get(action.noun, action.noun), action.verb))
    command = root().get_command(None, group)
    assert command is not None
    if isinstance(verb, str):
        below = command
        for word in verb.split():
            below = below.commands[word]
        assert action.label in below.help
        options = {option for parameter in below.params for option in parameter.opts}
        # A preview changes nothing, but its command asks whether it is to be done.
        assert ("--yes" in options) == (action.danger is not Danger.NONE or action.label.startswith("Preview "))
    else:
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(verb) <= options


def test_the_documented_commands_are_there() -> None:
    wanted = {"demo", "serve", "status", "doctor", "check-config", "import", "peers", "queue", "studies"}
    assert wanted <= set(COMMANDS)
    for name in COMMANDS:
        command = root().get_command(None, name)
        assert command.name == name
        assert command.help or COMMANDS[name][1]


def test_the_client_has_every_noun() -> None:
    from pathlib import Path

    from pacstui.api.client import ApiClient

    client = ApiClient(Path("nowhere.sock"))
    assert [name for name in NOUNS if not hasattr(client, name)] == []
