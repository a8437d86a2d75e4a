"""What a setting expects, in words: one source for the mistakes that are reported and for the documentation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pacstui.settings import Words
from pacstui.text import safe


def _bounds(metadata: Iterable[Any]) -> tuple[Any, Any, Any, Any]:
    low: Any = None
    high: Any = None
    shortest: Any = None
    longest: Any = None
    for entry in metadata:
        low = getattr(entry, "ge", None) if low is None else low
        high = getattr(entry, "le", None) if high is None else high
        shortest = getattr(entry, "min_length", None) if shortest is None else shortest
        longest = getattr(entry, "max_length", None) if longest is None else longest
    return low, high, shortest, longest


def _flat(metadata: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for entry in metadata:
        found += entry.metadata if isinstance(entry, FieldInfo) else [entry]
    return found


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _limited(words: str, low: Any, high: Any) -> str:
    if low is not None and high is not None:
        return f"{words} from {_number(low)} to {_number(high)}"
    if low is not None:
        return f"{words}, {_number(low)} or more"
    return f"{words}, {_number(high)} or less" if high is not None else words


def expectation(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Return what a value of this type has to be: ``a whole number from 1 to 65535``."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return expectation(inner, [*_flat(more), *metadata])
    flat = _flat(metadata)
    for entry in flat:
        if isinstance(entry, Words):
            return entry.text
    low, high, shortest, longest = _bounds(flat)
    origin = get_origin(annotation)
    if origin is Literal:
        return "one of " + ", ".join(f'"{value}"' for value in get_args(annotation))
    if origin in (Union, UnionType):
        return " or ".join(expectation(part) for part in get_args(annotation) if part is not NoneType)
    if origin is tuple:
        each = expectation(get_args(annotation)[0])
        return f"a list, each entry {each}" + ("; not empty" if shortest else "")
    if annotation is bool:
        return "true or false"
    if annotation is int:
        return _limited("a whole number", low, high)
    if annotation is float:
        return _limited("a number", low, high)
    if annotation is Path:
        return "the path of a folder"
    if annotation is str:
        if longest is None:
            return "text"
        return f"text of {shortest} to {longest} characters" if shortest else f"text of at most {longest} characters"
    return "a table" if isinstance(annotation, type) and issubclass(annotation, BaseModel) else "a value"


def _inner(annotation: Any) -> Any:
    """Return the model that stands inside ``annotation``, or the annotation's own type."""
    while get_origin(annotation) in (Annotated, tuple):
        annotation = get_args(annotation)[0]
    return annotation


def model_at(root: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel] | None:
    """Return the model whose table ``loc`` leads to, none if it leads elsewhere."""
    model: Any = root
    for step in loc:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step)
        model = _inner(field.annotation) if field is not None else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def field_at(root: type[BaseModel], loc: Sequence[int | str]) -> FieldInfo | None:
    """Return the field that ``loc`` leads to, none where there is no such setting."""
    names = [step for step in loc if isinstance(step, str)]
    model = model_at(root, names[:-1]) if names else None
    return model.model_fields.get(names[-1]) if model is not None else None


def expected_at(root: type[BaseModel], loc: Sequence[int | str]) -> str:
    """Return what the setting at ``loc`` has to be, empty where there is no such setting."""
    field = field_at(root, loc)
    if field is None:
        return ""
    annotation: Any = field.annotation
    if loc and isinstance(loc[-1], int) and get_origin(annotation) is tuple:
        return expectation(get_args(annotation)[0])
    return expectation(annotation, field.metadata)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a half sentence that offers the known word nearest to ``word``, empty if none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), list(by_lower), n=1, cutoff=0.6)
    return f'; did you mean "{by_lower[near[0]]}"?' if near else ""


def shown(value: Any) -> str:
    """Return a value of the file as it may stand in a sentence: short, safe, quoted as TOML does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{safe(value, 60)}"'
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else safe(value, 60)
