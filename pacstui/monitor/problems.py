"""What is wrong now: each problem named once, with what mends it, since when it has been there, until it is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from pacstui.clock import Clock
from pacstui.contract.node import Problem

Check = Callable[[], Iterable[tuple[str, str, str, str, str]]]
_GRAVITY = {"fail": 0, "warn": 1, "note": 2}


class Problems:
    """Asks each registered check when it is looked at; a check yields (name, level, text, hint, screen)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._checks: list[Check] = []
        self._since: dict[str, datetime] = {}

    def watch(self, check: Check) -> None:
        """Ask ``check`` from now on."""
        self._checks.append(check)

    def now(self) -> tuple[Problem, ...]:
        """Return the present problems, gravest first; one that is gone and comes back is new."""
        found = [told for check in self._checks for told in check()]
        moment = self._clock.now()
        self._since = {told[0]: self._since.get(told[0], moment) for told in found}
        listed = [
            Problem(name, text, hint, self._since[name], screen, level) for name, level, text, hint, screen in found
        ]
        return tuple(sorted(listed, key=lambda p: _GRAVITY.get(p.level, 1)))


def health(problems: Iterable[Problem]) -> str:
    """Return ok, or degraded where a problem is more than a note."""
    return "degraded" if any(p.level in ("warn", "fail") for p in problems) else "ok"
