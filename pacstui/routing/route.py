"""Routes made ready: which destinations an object is for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pacstui.errors import BadRequest, PacsError
from pacstui.jobs.schedule import window_of, zone_of
from pacstui.routing.conditions import Condition, Patterns, condition_of
from pacstui.settings import RouteSettings

_MODALITY, _DESCRIPTION = 0x00080060, 0x00081030
PRIORITIES = {"high": 0, "medium": 1, "low": 2}
"""As the outbox has them: the smaller goes first."""


class Subject(NamedTuple):
    """An object as routes see it. ``called`` is empty where it is not known; ``at`` is when it came (aware)."""

    values: Callable[[int], str]
    calling: str
    called: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Way:
    """One destination that an object is for, by which route. ``level`` is instance, series or study: what has to be
    complete before anything is sent; ``wait_s`` is how long nothing may have come then. A study that is ``performed``
    is complete when its performed procedure step says so."""

    route: str
    destination: str
    level: str
    wait_s: float
    priority: int
    transform: str
    performed: bool = False


class Route:
    """A route, made ready.

    Raises
    ------
    BadRequest
        When a condition or the hours cannot be understood.
    """

    def __init__(self, settings: RouteSettings) -> None:
        self.settings = settings
        self._conditions: tuple[Condition, ...] = tuple(condition_of(each) for each in settings.where)
        self._modality = Patterns(settings.modality)
        self._calling = Patterns(settings.calling)
        self._called = Patterns(settings.called)
        self._description = Patterns(settings.description)
        self._window = window_of(settings.hours)
        self._zone = zone_of("")
        wait = 0.0 if settings.send == "instance" else settings.stable_s
        performed = settings.send == "performed"
        level = "study" if performed else settings.send
        self.ways = tuple(
            Way(settings.name, to, level, wait, PRIORITIES[settings.priority], settings.transform, performed)
            for to in dict.fromkeys(settings.to)
        )

    @property
    def tags(self) -> frozenset[int]:
        """The attributes that it asks for."""
        found = {condition.tag for condition in self._conditions}
        found |= {_MODALITY} if self.settings.modality else set()
        return frozenset(found | ({_DESCRIPTION} if self.settings.description else set()))

    def meant_for(self, subject: Subject) -> bool:
        """Return whether an object goes this way."""
        settings = self.settings
        if settings.modality and not self._modality.fit(subject.values(_MODALITY)):
            return False
        if settings.calling and not self._calling.fit(subject.calling):
            return False
        if settings.called and subject.called and not self._called.fit(subject.called):
            return False
        if settings.description and not self._description.fit(subject.values(_DESCRIPTION)):
            return False
        if settings.hours and self._window.begin(subject.at, self._zone) != subject.at:
            return False
        return all(condition.holds(subject.values) for condition in self._conditions)


class Routes:
    """All routes in their order. Never changed: others take its place.

    Parameters
    ----------
    routes
        As settings and people made them; those that are switched off are left out.
    titles
        AE titles by name of destination, so that nothing goes back to where it came from.
    """

    def __init__(self, routes: Iterable[RouteSettings] = (), titles: Mapping[str, str] | None = None) -> None:
        self.routes: list[Route] = []
        self.problems: dict[str, PacsError] = {}
        self._titles = dict(titles or {})
        for each in routes:
            if each.enabled:
                try:
                    self.routes.append(Route(each))
                except BadRequest as fault:
                    self.problems[each.name] = fault

    def __bool__(self) -> bool:
        return bool(self.routes)

    def ways(self, subject: Subject) -> Iterator[Way]:
        """Yield where an object goes; to each destination once, by the first route that says so."""
        seen: set[str] = set()
        for route in self.routes:
            if not route.meant_for(subject):
                continue
            for way in route.ways:
                back = self._titles.get(way.destination) == subject.calling and not route.settings.send_back
                if way.destination not in seen and not back:
                    seen.add(way.destination)
                    yield way
            if route.settings.last:
                return


def names_of(routes: Sequence[RouteSettings]) -> frozenset[str]:
    """Return the destinations that routes name."""
    return frozenset(to for route in routes for to in route.to)
