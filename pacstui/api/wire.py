"""How contract calls travel: ``POST /v1/<noun>/<method>`` with a JSON object of arguments, answered with JSON.

Server and client build the same table of methods from the contract, so neither knows an action by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from pacstui import errors
from pacstui.contract import NOUNS, Action, actions_of


@dataclass(frozen=True, slots=True)
class Method:
    """One action as it travels: how to check its arguments, and how to write and read its result."""

    action: Action
    parameters: dict[str, TypeAdapter[Any]]
    required: frozenset[str]
    result: TypeAdapter[Any]

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
        return checked


def _method(action: Action, function: Callable[..., Any]) -> Method:
    hints = get_type_hints(function)
    parameters = {n: p for n, p in inspect.signature(function).parameters.items() if n != "self"}
    return Method(
        action,
        {name: TypeAdapter(hints[name]) for name in parameters},
        frozenset(name for name, p in parameters.items() if p.default is inspect.Parameter.empty),
        TypeAdapter(hints["return"]),
    )


@cache
def methods(noun: str) -> dict[str, Method]:
    """Return the methods of a noun by name; empty for a noun that there is not."""
    declared = NOUNS.get(noun)
    if declared is None:
        return {}
    return {name: _method(action, getattr(declared, name)) for name, action in actions_of(declared).items()}


_HTTP_STATUS = {"not-found": 404, "denied": 403, "bad-request": 400, "unavailable": 503, "storage-full": 507}


def error_status(fault: errors.PacsError) -> int:
    """Return the HTTP status that stands for ``fault``."""
    return _HTTP_STATUS.get(fault.code, 500)


def error_body(fault: errors.PacsError) -> dict[str, dict[str, str]]:
    """Return the JSON body that stands for ``fault``."""
    return {"error": {"code": fault.code, "message": fault.message, "hint": fault.hint}}
