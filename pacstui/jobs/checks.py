"""Whether what is said of a job fits: its name, its kind's parameters, and when it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pacstui.errors import BadRequest, PacsError
from pacstui.jobs.kinds import Kind
from pacstui.jobs.store import OVERLAPS, Job
from pacstui.text import safe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VALUE = 1000


def check_name(name: str) -> None:
    """Raise `BadRequest` for what cannot be the name of a job."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f'"{safe(name, 40)}" cannot be the name of a job',
            "letters, digits and . _ - up to 64, a letter or digit first",
        )


def checked(kind: Kind, given: Mapping[str, str]) -> dict[str, str]:
    """Return all parameters of a kind, with its defaults where nothing is said.

    Raises
    ------
    BadRequest
        For one that it does not know, or a value that does not fit.
    """
    known = {parameter.name: parameter for parameter in kind.parameters}
    for name in given:
        if name not in known:
            told = ", ".join(known) or "none"
            raise BadRequest(f'{kind.name} has no parameter "{safe(name, 40)}"', f"its parameters are: {told}")
    values = {}
    for name, parameter in known.items():
        value = given.get(name) or parameter.default
        if parameter.required and not value.strip():
            raise BadRequest(f"{kind.name} needs {name}", parameter.text)
        if len(value) > _VALUE:
            raise BadRequest(f"{name} is longer than {_VALUE} characters")
        if value and parameter.choices and value not in parameter.choices:
            raise BadRequest(f'{name} cannot be "{safe(value, 40)}"', f"it may be: {', '.join(parameter.choices)}")
        if value and parameter.check is not None:
            try:
                parameter.check(value)
            except (ValueError, TypeError) as fault:
                raise BadRequest(f'{name} cannot be "{safe(value, 40)}": {fault}', parameter.text) from None
        values[name] = value
    return values


def check_numbers(job: Job) -> None:
    """Raise `BadRequest` for numbers that are out of bounds, or a word for overlaps that is none."""
    for name, value, least, most in (
        ("retries", job.retries, 0, 20), ("retry_s", job.retry_ms / 1000, 1, 86_400),
        ("timeout_s", job.timeout_ms / 1000, 0, 30 * 86_400),
    ):  # fmt: skip
        if not least <= value <= most:
            raise BadRequest(f"{name} is from {least:,} to {most:,}")
    if job.overlap not in OVERLAPS:
        raise BadRequest(f'overlap cannot be "{safe(job.overlap, 40)}"', f"it may be: {', '.join(OVERLAPS)}")


def check_following(job: Job, others: Mapping[str, Job]) -> None:
    """Raise `BadRequest` where a job follows one that is not there, or itself by some way."""
    seen = {job.name}
    follows = job.follows
    while follows:
        if follows in seen:
            raise BadRequest(f"{job.name} would follow itself", "let one of the jobs in this circle follow nobody")
        seen.add(follows)
        if follows not in others:
            if follows == job.follows:
                raise BadRequest(f'there is no job "{safe(follows, 64)}" to follow', "pacstui jobs list shows all")
            return
        follows = others[follows].follows


def trouble(job: Job, kind: Kind | None) -> str:
    """Return why a job that is kept cannot run at all, empty if it can; of its schedule nothing is said."""
    if kind is None:
        return f'there is no kind of job "{safe(job.kind, 40)}" (any more)'
    try:
        checked(kind, job.parameters)
    except PacsError as fault:
        return fault.message
    return ""
