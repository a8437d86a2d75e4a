"""The noun ``routes``: which objects are sent on, where, when and how changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.privacy import PatientId, PatientText


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route; the fields from ``to`` to ``last`` are its settings (see [[routes]] in the configuration).

    ``text`` says in words what it is for. ``source`` is configuration or console: the one of the configuration can only
    be switched on and off here. ``problem`` says why it cannot be used, empty if it can. ``sent`` and ``waiting`` count
    objects that it queued and that are still in the list.
    """

    name: str
    text: str
    source: str
    enabled: bool
    problem: str
    hint: str
    to: tuple[str, ...]
    modality: tuple[str, ...]
    calling: tuple[str, ...]
    called: tuple[str, ...]
    description: tuple[str, ...]
    where: tuple[str, ...]
    hours: str
    send: str
    stable_s: float
    priority: str
    transform: str
    send_back: bool
    last: bool
    waiting: int
    sent: int
    failed: int
    changed: datetime | None
    changed_by: str


@dataclass(frozen=True, slots=True)
class PlannedSending:
    """What a route would have sent of one study: ``instances`` of the ``of`` that it has, to whom."""

    study: str
    patient_name: PatientText
    patient_id: PatientId
    date: str
    modalities: str
    description: str
    received: datetime
    calling: str
    instances: int
    of: int
    bytes: int
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RouteTrial:
    """A dry run over what came between two times: how many objects of how many studies were looked at, and what the
    route would have sent. ``cut`` tells that there was more than can be looked at at once."""

    since: datetime
    until: datetime
    studies: int
    instances: int
    rows: tuple[PlannedSending, ...]
    cut: bool


class Routes(Protocol):
    """Where studies flow on to."""

    @action("list", "List routes in their order", permission="routes.view")
    async def list(self) -> tuple[RouteRow, ...]: ...

    @action("destinations", "List everything that a route can send to", permission="routes.view")
    async def destinations(self) -> tuple[str, ...]: ...

    @action("transforms", "List the transformations that a copy can go through", permission="routes.view")
    async def transforms(self) -> tuple[str, ...]: ...

    @action("create", "Make a route", permission="routes.edit", audited=True, key="n")
    async def create(
        self, name: str, to: tuple[str, ...], modality: tuple[str, ...] = (), calling: tuple[str, ...] = (),
        called: tuple[str, ...] = (), description: tuple[str, ...] = (), where: tuple[str, ...] = (), hours: str = "",
        send: str = "instance", stable_s: float = 60.0, priority: str = "medium", transform: str = "",
        send_back: bool = False, last: bool = False,
    ) -> RouteRow: ...  # fmt: skip

    @action("edit", "Change a route", permission="routes.edit", audited=True, key="e")
    async def edit(
        self, name: str, to: tuple[str, ...] | None = None, modality: tuple[str, ...] | None = None,
        calling: tuple[str, ...] | None = None, called: tuple[str, ...] | None = None,
        description: tuple[str, ...] | None = None, where: tuple[str, ...] | None = None, hours: str | None = None,
        send: str | None = None, stable_s: float | None = None, priority: str | None = None,
        transform: str | None = None, send_back: bool | None = None, last: bool | None = None,
    ) -> RouteRow: ...  # fmt: skip

    @action("enable", "Use a route again", permission="routes.edit", audited=True)
    async def enable(self, name: str) -> None: ...

    @action("disable", "Do not use a route; what it queued is still sent", permission="routes.edit",
            danger=Danger.CONFIRM, audited=True, key="d")  # fmt: skip
    async def disable(self, name: str) -> None: ...

    @action("delete", "Delete a route; what it queued is still sent", permission="routes.edit",
            danger=Danger.CONFIRM, audited=True, key="D")  # fmt: skip
    async def delete(self, name: str) -> None: ...

    @action("try", "Show what a route would have sent of what came lately", permission="routes.view", key="t")
    async def trial(self, name: str, hours: float = 24.0) -> RouteTrial: ...

    @action("try-new", "Show what a route that is not made yet would have sent", permission="routes.view")
    async def trial_of(
        self, to: tuple[str, ...], modality: tuple[str, ...] = (), calling: tuple[str, ...] = (),
        called: tuple[str, ...] = (), description: tuple[str, ...] = (), where: tuple[str, ...] = (), hours: str = "",
        past_hours: float = 24.0,
    ) -> RouteTrial: ...  # fmt: skip
