"""Which texts tell who a patient is, declared on the models themselves, and hiding them.

A field or a parameter of type :data:`PatientText` holds a patient's name, an ID or whatever else points at one person.
The node shows it only to accounts with the permission ``patients.view``, and takes it as a search only from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

PERMISSION = "patients.view"
MASK = "\u2022" * 6
"""Stands for a name or an ID; always as long, so that it tells nothing."""


class _Patient:
    def __repr__(self) -> str:
        return "patient"


PATIENT = _Patient()
PatientText = Annotated[str, PATIENT]
"""Text that points at a patient."""

PatientTexts = Annotated[tuple[str, ...], PATIENT]
"""Several such texts."""


class _Id:
    def __repr__(self) -> str:
        return "patient id"


PATIENT_ID = _Id()
PatientId = Annotated[str, PATIENT, PATIENT_ID]
"""A Patient ID: the audit trail says by it whom somebody has looked at."""
KEYS = frozenset({"patients"})
"""Keys of free parameters (``dict[str, str]``) whose values point at patients; ``key`` does too where ``what`` is
patient."""


class _Secret:
    def __repr__(self) -> str:
        return "secret"


SECRET = _Secret()
SecretText = Annotated[str, SECRET]
"""An argument that is written down nowhere: a password, the content of a file."""


def secret(hint: Any) -> bool:
    """Return whether a type is declared as one that is written down nowhere."""
    return get_origin(hint) is Annotated and SECRET in hint.__metadata__


def marked(hint: Any) -> bool:
    """Return whether a type is declared as one that points at a patient; one that may be none, too."""
    if get_origin(hint) in (Union, UnionType):
        return any(marked(each) for each in get_args(hint))
    return get_origin(hint) is Annotated and PATIENT in hint.__metadata__


def without(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return free parameters with the values hidden that point at patients; blank stays blank."""
    hidden = KEYS | {"key"} if parameters.get("what") == "patient" else KEYS
    return {name: MASK if name in hidden and value else value for name, value in parameters.items()}


@cache
def _plan(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the fields of a model that point at a patient, and those that may hold such a model."""
    hints = get_type_hints(kind, include_extras=True)
    own = tuple(f.name for f in fields(kind) if marked(hints[f.name]))
    nested = tuple(f.name for f in fields(kind) if f.name not in own and carries(hints[f.name]))
    return own, nested


@cache
def _ids_of(kind: type) -> tuple[str, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(f.name for f in fields(kind) if marked(hints[f.name]) and PATIENT_ID in hints[f.name].__metadata__)


def ids(value: Any) -> tuple[str, ...]:
    """Return the Patient IDs that a value tells, each once, in their order."""
    return tuple(dict.fromkeys(_ids(value)))


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        for each in value:
            yield from _ids(each)
    elif is_dataclass(value) and not isinstance(value, type):
        _, nested = _plan(type(value))
        yield from (getattr(value, name) for name in _ids_of(type(value)) if getattr(value, name).strip())
        for name in nested:
            yield from _ids(getattr(value, name))


def carries(hint: Any) -> bool:
    """Return whether values of a type can hold text that points at a patient."""
    return _carries(hint, frozenset())


def _carries(hint: Any, above: frozenset[Any]) -> bool:
    if marked(hint):
        return True
    if isinstance(hint, type) and is_dataclass(hint):
        if hint in above:
            return False
        hints = get_type_hints(hint, include_extras=True)
        return any(_carries(each, above | {hint}) for each in hints.values())
    return any(_carries(each, above) for each in get_args(hint))


def told(text: str | tuple[str, ...]) -> bool:
    """Return whether a text, or one of several, is not blank."""
    return any(each.strip() for each in text) if isinstance(text, tuple) else bool(text.strip())


def _hidden(text: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return tuple(MASK for _ in text) if isinstance(text, tuple) else MASK


def masked(value: Any) -> Any:
    """Return a model, or a tuple or dictionary of them, with all that points at a patient hidden; blank stays blank."""
    if isinstance(value, (tuple, list)):
        return type(value)(masked(each) for each in value)
    if isinstance(value, dict):
        return {key: masked(each) for key, each in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    own, nested = _plan(type(value))
    if not own and not nested:
        return value
    changes: dict[str, Any] = {name: _hidden(getattr(value, name)) for name in own if told(getattr(value, name))}
    changes |= {name: masked(getattr(value, name)) for name in nested}
    return replace(value, **changes)


def present(value: Any) -> bool:
    """Return whether a value tells who some patient is."""
    if isinstance(value, (tuple, list)):
        return any(present(each) for each in value)
    if isinstance(value, dict):
        return any(present(each) for each in value.values())
    if not is_dataclass(value) or isinstance(value, type):
        return False
    own, nested = _plan(type(value))
    return any(told(getattr(value, name)) for name in own) or any(present(getattr(value, name)) for name in nested)
