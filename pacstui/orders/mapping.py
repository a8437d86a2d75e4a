"""Which scheduled procedure steps an ordered procedure becomes: the table [[orders.procedures]]."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from pacstui.settings import OrdersSettings, ProcedureSettings


@dataclass(frozen=True, slots=True)
class Asked:
    """What an order says of its procedure, as far as the table looks at it. ``codes`` are OBR-4.1 and 4.4."""

    codes: tuple[str, ...]
    schemes: tuple[str, ...]
    description: str
    modality: str
    sender: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Planned:
    """A step as the table has it; empty where the order says it. ``after_min`` is when it begins after the first."""

    modality: str = ""
    station_ae: str = ""
    station_name: str = ""
    room: str = ""
    description: str = ""
    codes: tuple[tuple[str, str, str], ...] = ()
    duration_min: int = 0
    after_min: int = 0
    shared: bool = False


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text), re.IGNORECASE)


def _fits(patterns: Sequence[str], values: Sequence[str]) -> bool:
    return not patterns or any(_pattern(pattern).match(value) for pattern in patterns for value in values if value)


class Procedures:
    """The table."""

    def __init__(self, settings: OrdersSettings) -> None:
        groups: list[list[ProcedureSettings]] = []
        for entry in settings.procedures:
            if entry.also and groups:
                groups[-1].append(entry)
            else:
                groups.append([entry])
        self._groups = tuple((group[0], _steps(group)) for group in groups)

    def of(self, asked: Asked) -> tuple[Planned, ...]:
        """Return the steps of a procedure; one of which nothing is said where the table has none for it."""
        for entry, steps in self._groups:
            if (
                _fits(entry.code, asked.codes)
                and _fits(entry.scheme, asked.schemes)
                and _fits(entry.description, (asked.description,))
                and _fits(entry.ordered_modality, (asked.modality,))
                and _fits(entry.sender, (asked.sender[0], "|".join(asked.sender)))
            ):
                return steps
        return _NONE


_NONE = (Planned(),)


def _steps(group: Sequence[ProcedureSettings]) -> tuple[Planned, ...]:
    made: list[Planned] = []
    after = 0
    for entry in group:
        codes = tuple(_code(each) for each in entry.protocol)
        stations = "\\".join(entry.station_ae)
        shared = entry.study == "accession"
        made.append(
            Planned(
                entry.modality,
                stations,
                entry.station_name,
                entry.room,
                entry.step,
                codes,
                entry.duration_min,
                after,
                shared,
            )
        )
        after += entry.duration_min
    return tuple(made)


def _code(text: str) -> tuple[str, str, str]:
    code, scheme, meaning = (*(part.strip() for part in text.split("^")), "", "")[:3]
    return code, scheme or "L", meaning or code
