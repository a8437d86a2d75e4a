"""How contract calls travel: ``POST /v1/<noun>/<method>`` with a JSON object of arguments, answered with JSON.

Server and client build the same table of methods from the contract, so neither knows an action by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from pacstui import errors
from pacstui.contract import NOUNS, Action, actions_of, privacy


def _usable(value: Any) -> bool:
    """Return whether a database can keep a value: whole numbers of 64 bits, finite ones, text that is Unicode."""
    if isinstance(value, str):
        return not any("\ud800" <= each <= "\udfff" for each in value) if not value.isascii() else True
    if isinstance(value, float):
        return abs(value) < 1e15
    if isinstance(value, int):
        return abs(value) < 1 << 63
    if isinstance(value, dict):
        return all(_usable(each) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(_usable(each) for each in value)
    return True


@dataclass(frozen=True, slots=True)
class Method:
    """One action as it travels: how to check its arguments, and how to write and read its result.

    ``patients`` tells that its result can say who a patient is; ``looks`` are the arguments that look for a patient,
    ``secrets`` those that are written down nowhere.
    """

    action: Action
    parameters: dict[str, TypeAdapter[Any]]
    required: frozenset[str]
    result: TypeAdapter[Any]
    patients: bool = False
    looks: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()

    def target(self, arguments: dict[str, Any]) -> str:
        """Return in words what a call is about, without what is secret or points at a patient."""
        hidden = self.secrets.union(self.looks)
        shown = {n: v for n, v in arguments.items() if n not in hidden and v not in (None, "", ())}
        shown = {n: privacy.without(v) if isinstance(v, dict) else v for n, v in shown.items()}
        if len(shown) == 1 and len(self.parameters) == 1:
            return str(next(iter(shown.values())))
        return ", ".join(f"{name}={value}" for name, value in shown.items())

    def patient(self, arguments: dict[str, Any]) -> str:
        """Return in words which patients a call looks for, empty if for none."""
        given = [arguments.get(each) or "" for each in self.looks]
        words = [" ".join(map(str, each.values())) if isinstance(each, dict) else str(each) for each in given]
        return " ".join(each for each in words if each.strip())

    def arguments(self, given: object) -> dict[str, Any]:
        """Return checked keyword arguments; raise `BadRequest` that names what does not fit."""
        if not isinstance(given, dict):
            raise errors.BadRequest(f"{self.action.name} takes a JSON object of arguments")
        unknown = sorted(set(given) - set(self.parameters))
        missing = sorted(self.required - set(given))
        if unknown or missing:
            wrong = [f"does not take {', '.join(map(str, unknown))}"] if unknown else []
            wrong += [f"needs {', '.join(missing)}"] if missing else []
            raise errors.BadRequest(f"{self.action.name} {' and '.join(wrong)}")
        checked = {}
        for name, value in given.items():
            try:
                checked[name] = self.parameters[name].validate_python(value)
            except ValidationError as fault:
                raise errors.BadRequest(f"{self.action.name}: {name}: {fault.errors()[0]['msg']}") from None
            if not _usable(checked[name]):
                raise errors.BadRequest(f"{self.action.name}: {name}: a number that is too large, or text that is none")
        return checked


def _method(action: Action, function: Callable[..., Any]) -> Method:
    hints = get_type_hints(function)
    told = get_type_hints(function, include_extras=True)
    parameters = {n: p for n, p in inspect.signature(function).parameters.items() if n != "self"}
    return Method(
        action,
        {name: TypeAdapter(hints[name]) for name in parameters},
        frozenset(name for name, p in parameters.items() if p.default is inspect.Parameter.empty),
        TypeAdapter(hints["return"]),
        privacy.carries(told["return"]),
        tuple(name for name in parameters if privacy.carries(told[name])),
        frozenset(name for name in parameters if privacy.secret(told[name])),
    )


@cache
def methods(noun: str) -> dict[str, Method]:
    """Return the methods of a noun by name; empty for a noun that there is not."""
    declared = NOUNS.get(noun)
    if declared is None:
        return {}
    return {name: _method(action, getattr(declared, name)) for name, action in actions_of(declared).items()}


IDLE = "Pacstui-Idle"
"""Header with the seconds for which nobody has touched a console."""


def idle_s(headers: Mapping[str, str]) -> float:
    """Return for how long nobody has touched what calls; 0 for a command, and for what is no number."""
    told = headers.get(IDLE, "")
    return float(told) if told.isascii() and told.isdecimal() and len(told) < 9 else 0.0


_HTTP_STATUS = {
    "not-found": 404, "denied": 403, "unconfirmed": 403, "code-needed": 403,
    "bad-request": 400, "stale": 409, "unavailable": 503, "storage-full": 507,
}  # fmt: skip


def error_status(fault: errors.PacsError) -> int:
    """Return the HTTP status that stands for ``fault``."""
    return _HTTP_STATUS.get(fault.code, 500)


def error_body(fault: errors.PacsError) -> dict[str, dict[str, str]]:
    """Return the JSON body that stands for ``fault``."""
    return {"error": {"code": fault.code, "message": fault.message, "hint": fault.hint}}
