"""The environment's overrides (``PACSTUI_DICOM__PORT=11113``), laid over what the file says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import BaseModel, SecretStr

from pacstui.configuration.file import CONFIG_VARIABLE, PREFIX
from pacstui.configuration.mistakes import Mistake
from pacstui.configuration.words import did_you_mean, field_at

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(slots=True)
class Overrides:
    """What the environment says: the variable of each setting that it gives, mistakes, and remarks."""

    variables: dict[tuple[str, ...], str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def lay_over(values: dict[str, Any], environ: Mapping[str, str], schema: type[BaseModel]) -> Overrides:
    """Lay the environment's overrides over the file's ``values``."""
    found = Overrides()
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name != CONFIG_VARIABLE):
        steps = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        setting = field_at(schema, steps)
        if setting is None:
            if len(steps) > 1:
                offer = did_you_mean(variable, [_variable(loc) for loc in _leaves(schema)])
                found.mistakes.append(Mistake(variable, 0, "", f"there is no such setting{offer}"))
            else:
                found.notes += _nearly(variable, schema)
            continue
        table = values
        for step in steps[:-1]:
            inner = table.setdefault(step, {})
            if not isinstance(inner, dict):
                table[step] = inner = {}
            table = inner
        table[steps[-1]] = _value(environ[variable], setting.annotation)
        found.variables[steps] = variable
    return found


def _nearly(variable: str, schema: type[BaseModel]) -> Iterator[str]:
    for loc in _leaves(schema):
        if variable == PREFIX + "_".join(loc).upper():
            yield f"{variable} is not read; the setting's variable is {_variable(loc)}"


def _variable(loc: tuple[str, ...]) -> str:
    return PREFIX + "__".join(loc).upper()


def _leaves(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the place of each setting that has an environment variable."""
    for name, setting in model.model_fields.items():
        kind = setting.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, (*before, name))
        else:
            yield (*before, name)


def _value(text: str, annotation: Any) -> Any:
    """Return an environment variable's text as the TOML value that it stands for."""
    if annotation in (str, Path, SecretStr) or get_origin(annotation) is Literal:
        return text
    if annotation is bool:
        lower = text.strip().lower()
        return lower in _TRUE if lower in (*_TRUE, *_FALSE) else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
