"""Commands made from the contract: one for each declared action of a noun.

The action's verb is the command's name and its label the help; parameters without a default are arguments, the others
options; an action that is dangerous asks, unless ``--yes`` says that it was thought about.
"""

from __future__ import annotations

import getpass
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import typer

from pacstui.api import plain
from pacstui.cli.doors import door, new_app
from pacstui.cli.out import anything, say, say_json
from pacstui.contract import NOUNS, Action, Danger, actions_of
from pacstui.errors import BadRequest, CodeNeeded, Unconfirmed

View = Callable[[Any], Iterable[str]]
Amount = Callable[[Path, Mapping[str, Any]], str]


def group(
    noun: str,
    help_text: str,
    views: Mapping[str, View],
    *,
    words: Mapping[str, str] = {},
    failed: Callable[[str, Any], bool] = lambda method, value: False,
    leave_out: Iterable[str] = (),
    positional: Iterable[str] = (),
    groups: Mapping[str, str] = {},
    amounts: Mapping[str, Amount] = {},
) -> typer.Typer:
    """Return the command group of a contract noun.

    Parameters
    ----------
    views
        By method, what turns an answer into lines for a person.
    words
        By parameter, its help.
    failed
        Tells from method and answer whether the command failed (exit 1).
    leave_out
        Methods that have a command of another kind.
    positional
        ``method.parameter`` of parameters that are arguments though they have a default.
    groups
        By the first word of verbs of two, what such commands are about.
    amounts
        By method of something dangerous, what says from data directory and arguments to how many it would be done.
    """
    app = new_app(help=help_text, no_args_is_help=True)

    @app.callback()
    def only_a_group() -> None:
        pass

    only_a_group.__doc__ = help_text
    protocol = NOUNS[noun]
    for method, action in actions_of(protocol).items():
        if method not in leave_out:
            bare = frozenset(each.partition(".")[2] for each in positional if each.partition(".")[0] == method)
            command = _command(
                action, getattr(protocol, method), views.get(method, anything), words, failed, bare, amounts.get(method)
            )
            names = action.verb.split()
            told = below(app, action.verb, groups.get(names[0], ""))
            told.command(names[-1], help=f"{action.label}.")(command)
    return app


def below(app: typer.Typer, verb: str, help_text: str = "") -> typer.Typer:
    """Return the group that a command belongs to: ``app``, or for a verb of two words the group of the first."""
    name, _, rest = verb.partition(" ")
    if not rest:
        return app
    for known in app.registered_groups:
        if known.name == name and known.typer_instance is not None:
            return known.typer_instance
    inner = new_app(help=help_text or f"Commands about {name}.", no_args_is_help=True)
    app.add_typer(inner, name=name)
    return inner


def _parameter(
    parameter: inspect.Parameter, hint: Any, words: Mapping[str, str], bare: frozenset[str]
) -> inspect.Parameter:
    text = words.get(parameter.name, "")
    if get_origin(hint) in (Union, UnionType):
        inner = next(part for part in get_args(hint) if part is not NoneType)
        hint = (_several(inner) or inner) | None
    elif several := _several(hint):
        hint = several
        if parameter.default == ():
            parameter = parameter.replace(default=[])
    if parameter.default is inspect.Parameter.empty or parameter.name in bare:
        told: Any = typer.Argument(help=text, show_default=False)
    else:
        name = parameter.name.replace("_", "-")
        both = parameter.default is None and bool in get_args(hint)
        told = typer.Option(f"--{name}/--no-{name}" if both else f"--{name}", help=text)
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[hint, told])


def _several(hint: Any) -> Any:
    """Return the list that the command line takes for a tuple of any length, none for everything else."""
    parts = get_args(hint)
    open_ended = get_origin(hint) is tuple and len(parts) == 2 and parts[1] is Ellipsis
    return types.GenericAlias(list, parts[:1]) if open_ended else None


def _command(
    action: Action,
    method: Callable[..., Any],
    view: View,
    words: Mapping[str, str],
    failed: Callable[[str, Any], bool],
    bare: frozenset[str],
    amount: Amount | None = None,
) -> Callable[..., None]:
    hints = get_type_hints(method)
    own = [
        _parameter(parameter, hints[name], words, bare)
        for name, parameter in inspect.signature(method).parameters.items()
        if name != "self"
    ]

    def run(context: typer.Context, **given: Any) -> None:
        as_json, yes = given.pop("json"), given.pop("yes", False)
        if action.danger is not Danger.NONE and not yes:
            confirm(action, given, amount(door(context).data_dir(), given) if amount and sys.stdin.isatty() else "")
        arguments = {name: value for name, value in given.items() if value is not None}
        answer = _call(door(context).data_dir(), action, arguments)
        if as_json:
            say_json(answer)
        elif answer is None:
            say("done")
        else:
            for line in view(answer):
                say(line)
        if failed(action.method, answer):
            raise typer.Exit(1)

    more = [_flag("json", "Print the answer as JSON.")]
    if action.danger is not Danger.NONE:
        more.append(_flag("yes", "Do not ask."))
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    signature = inspect.Signature([context, *own, *more])
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return run


def _call(data_dir: Path, action: Action, arguments: Mapping[str, Any]) -> Any:
    return call_confirmed(data_dir, action.method, action.noun, **arguments)


def call_confirmed(data_dir: Path, method: str, noun: str = "accounts", **arguments: Any) -> Any:
    """Call an action; where it takes the password once more, ask for it."""
    try:
        return plain.call(data_dir, noun, method, **arguments)
    except Unconfirmed:
        if not sys.stdin.isatty():
            raise
        me = plain.call(data_dir, "accounts", "me")
        only_code = me["second_factor"] and not me["lockable"]
        with_code(data_dir, "confirm", password="" if only_code else getpass.getpass("Your password: "))
        return plain.call(data_dir, noun, method, **arguments)


def with_code(data_dir: Path, method: str, **arguments: Any) -> Any:
    """Call an action of accounts that takes a password; where a code of the second factor is needed, ask for it."""
    try:
        return plain.call(data_dir, "accounts", method, **arguments)
    except CodeNeeded:
        if not sys.stdin.isatty():
            line = sys.stdin.readline().strip()
            if not line:
                raise
            return plain.call(data_dir, "accounts", method, code=line, **arguments)
        return plain.call(data_dir, "accounts", method, code=getpass.getpass("Code: "), **arguments)


def _flag(name: str, text: str) -> inspect.Parameter:
    annotation = Annotated[bool, typer.Option(f"--{name}", help=text)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)


_GROUPS: Final = {"backups": "backup", "reports": "report"}
"""Groups of commands that are not named as their noun."""


def _said(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def confirm(action: Action, arguments: Mapping[str, Any], told: str = "") -> None:
    """Ask before a dangerous action; raise when the answer is no, or nobody can answer.

    An action that wants the name typed is given the first argument's value as the name. ``told`` says to how many it is
    done.
    """
    target = " ".join(map(_said, filter(None, arguments.values())))
    if told:
        target = f"{target} ({told})" if target else told
    if not sys.stdin.isatty():
        command = f"pacstui {_GROUPS.get(action.noun, action.noun)} {action.verb}"
        raise BadRequest(f"{command} asks before it acts, and nobody is there to answer", "give --yes")
    say(f"{action.label}{': ' + target if target else ''}")
    if action.danger is Danger.TYPE_NAME:
        name = str(next(iter(arguments.values()), action.verb))
        if typer.prompt(f"Type {name} to go on") != name:
            raise typer.Exit(1)
    elif not typer.confirm("Go on?", default=False):
        raise typer.Exit(1)
