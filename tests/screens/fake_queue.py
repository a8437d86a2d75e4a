"""The nouns ``queue`` and ``routes`` of the node that is not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pacstui.contract.queue import (
    Changed,
    DestinationRow,
    ErrorRow,
    OutboxRow,
    QueueView,
    SendingRow,
    SendingsPage,
    SendingView,
)
from pacstui.contract.routes import PlannedSending, RouteRow, RouteTrial
from pacstui.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from tests.screens.fake_client import FakeClient

REFUSED = "TELERAD answered A700H: it has no room or no resources (disk full [/])"
TESTS = {
    "": lambda row: True, "all": lambda row: True, "unsent": lambda row: row.waiting or row.failed,
    "trouble": lambda row: row.failed or (row.waiting and row.error), "failed": lambda row: row.failed,
    "held": lambda row: row.state == "held", "sent": lambda row: row.state == "sent",
    "warning": lambda row: row.warning, "filtered": lambda row: row.filtered, "cancelled": lambda row: row.cancelled,
}  # fmt: skip


def sending_row(world: FakeClient, ident: int, state: str = "waiting", **more: Any) -> SendingRow:
    """Return a sending of ten objects."""
    counts = {"waiting": 0, "sent": 0, "failed": 0}
    counts[{"held": "waiting", "retrying": "waiting", "sending": "waiting"}.get(state, state)] = 10
    bad = state in ("failed", "retrying")
    row = SendingRow(
        ident, "TELERAD", "night", "", f"1.2.3.{ident}", "", "instance", "[/]^A" if ident % 7 == 0 else "DOE^JANE",
        f"P{ident}", "20261125", "CT", "CT CHEST \x1b[2J", state, "medium", "", counts["waiting"], counts["sent"], 0,
        counts["failed"], 0, 0, 5_000_000, 0, 3 if bad else 0, world.at - timedelta(minutes=ident % 60), world.at,
        world.at + timedelta(minutes=5) if state == "retrying" else None, 0xA700 if bad else None,
        REFUSED if bad else "", "free space at the receiver" if bad else "",
    )  # fmt: skip
    return replace(row, **more)


class FakeQueue:
    """Answers as the room does; ``rows`` and ``destinations`` are what tests put there."""

    def __init__(self, world: FakeClient, call: Any) -> None:
        self.commitment: tuple[str, str, datetime | None] = ("", "", None)
        self._world = world
        self._call = call
        self.destinations: list[DestinationRow] = []
        self.rows: list[SendingRow] = []
        self.said: list[ErrorRow] = []

    def trouble(self, number: int = 30) -> None:
        """Let one destination be down, one have failed objects, one be well."""
        at = self._world.at
        self.destinations = [
            DestinationRow(
                "TELERAD", 1158, 0, 12, at - timedelta(hours=3, minutes=12), 0.0,
                "nothing listens at 10.0.9.7:104; asked again in 0:41", "peer", "down", 0, 580_000_000, 40, None,
                at - timedelta(hours=3), "nothing listens at 10.0.9.7:104",
                "check the port, and that the peer's DICOM service is started",
            ),
            DestinationRow("AI-CHEST", 0, 0, 12, None, 0.0, "12 objects failed; nothing else waits", "peer", "idle"),
            DestinationRow("[/]\x1b[2J", 312, 2, 0, at - timedelta(seconds=2), 29.0, "sending", "peer", "sending", 0,
                           150_000_000, 9_000, at),
        ]  # fmt: skip
        states = ("waiting", "failed", "retrying", "held", "sent")
        self.rows = [sending_row(self._world, n, states[n % 5]) for n in range(number, 0, -1)]
        self.said = [
            ErrorRow("TELERAD", REFUSED, "free space at the receiver", 0xA700, 60, 60, 12, at),
            ErrorRow("AI-CHEST", "AI-CHEST takes no JPEG Lossless", "enable that transfer syntax", None, 12, 0, 1, at),
        ]

    async def list(self) -> QueueView:
        return self._call("queue.list").queue_view()  # type: ignore[no-any-return]

    async def sendings(
        self, destination: str = "", state: str = "", search: str = "", study: str = "", before: int = 0,
        limit: int = 100,
    ) -> SendingsPage:  # fmt: skip
        self._call("queue.sendings", (destination, state, search, before))
        words = search.casefold().split()
        found = [
            row for row in self.rows
            if destination in ("", row.destination) and TESTS[state](row) and (not before or row.id < before)
            and all(word in f"{row.patient_name} {row.patient_id} {row.error}".casefold() for word in words)
        ]  # fmt: skip
        page: SendingsPage = self._world.fit(SendingsPage(tuple(found[:limit]), len(found) > limit))
        return page

    async def sending(self, id: int) -> SendingView:
        self._call("queue.sending", id)
        row = next((row for row in self.rows if row.id == id), None)
        if row is None:
            raise NotFound(f"there is no sending {id} in the list (any more)", "what was sent leaves it")
        objects = tuple(
            OutboxRow(n, f"1.2.3.{id}.{n}", 524_288, "failed" if row.failed else "waiting", row.attempts, None,
                      row.status, row.error, row.hint, row.changed)
            for n in range(10)
        )  # fmt: skip
        view: SendingView = self._world.fit(SendingView(row, objects, *self.commitment))
        return view

    async def errors(self, destination: str = "") -> tuple[ErrorRow, ...]:
        self._call("queue.errors", destination)
        return tuple(row for row in self.said if destination in ("", row.destination))

    async def send(
        self, study: str, to: str, series: str = "", instance: str = "", priority: str = "medium", transform: str = ""
    ) -> SendingRow:
        self._call("queue.send", (study, to, series, priority, transform))
        row = sending_row(self._world, 10_000, destination=to, route="", asked_by="op1", study=study, series=series)
        self.rows.insert(0, row)
        return row

    def _act(self, name: str, ids: tuple[int, ...], destination: str, what: Any) -> Changed:
        self._call(f"queue.{name}", (ids, destination, what))
        return Changed(len(ids) or 3, 10 * len(ids) or 30)

    async def retry(self, ids: tuple[int, ...] = (), destination: str = "", error: str = "") -> Changed:
        return self._act("retry", ids, destination, error)

    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> Changed:
        return self._act("hold", ids, destination, "")

    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> Changed:
        return self._act("release", ids, destination, "")

    async def cancel(self, ids: tuple[int, ...] = (), destination: str = "", error: str = "") -> Changed:
        return self._act("cancel", ids, destination, error)

    async def priority(self, value: str, ids: tuple[int, ...] = (), destination: str = "") -> Changed:
        return self._act("priority", ids, destination, value)

    async def redirect(self, to: str, ids: tuple[int, ...] = (), destination: str = "") -> Changed:
        return self._act("redirect", ids, destination, to)

    async def pause(self, destination: str, why: str = "") -> None:
        self._call("queue.pause", (destination, why))
        self.destinations = [
            replace(row, status="paused", state=f"paused by op1: {why}") if row.destination == destination else row
            for row in self.destinations
        ]

    async def resume(self, destination: str) -> None:
        self._call("queue.resume", destination)


class FakeRoutes:
    """Answers as the room does; ``rows`` are what tests put there."""

    def __init__(self, world: FakeClient, call: Any) -> None:
        self._world = world
        self._call = call
        self.names: tuple[str, ...] = ("AI-CHEST", "TELERAD", "VNA")
        self.changes: tuple[str, ...] = ()
        self.rows = [
            self._row("everything", "everything", ("VNA",), "configuration"),
            self._row("night", "CT, coming 20:00-06:00", ("TELERAD",), "console", modality=("CT",)),
            self._row("odd", "everything", ("GONE",), "console", problem="there is no destination GONE [/]",
                      hint="add it as a peer or to [[destinations]], or change the route"),
        ]  # fmt: skip

    def _row(self, name: str, text: str, to: tuple[str, ...], source: str, **more: Any) -> RouteRow:
        row = RouteRow(
            name, text, source, True, "", "", to, (), (), (), (), (), "", "instance", 60.0, "medium", "", False, False,
            312, 9_000, 12, self._world.at - timedelta(days=2), "op1",
        )  # fmt: skip
        return replace(row, **more)

    async def list(self) -> tuple[RouteRow, ...]:
        self._call("routes.list")
        return tuple(self.rows)

    async def destinations(self) -> tuple[str, ...]:
        self._call("routes.destinations")
        return self.names

    async def transforms(self) -> tuple[str, ...]:
        self._call("routes.transforms")
        return self.changes

    async def create(self, **given: Any) -> RouteRow:
        self._call("routes.create", given)
        row = self._row(given["name"], "new", given["to"], "console")
        self.rows.append(row)
        return row

    async def edit(self, name: str, **changes: Any) -> RouteRow:
        self._call("routes.edit", (name, changes))
        return next(row for row in self.rows if row.name == name)

    async def enable(self, name: str) -> None:
        self._set(name, True)

    async def disable(self, name: str) -> None:
        self._set(name, False)

    def _set(self, name: str, on: bool) -> None:
        self._call("routes.enable" if on else "routes.disable", name)
        self.rows = [replace(row, enabled=on) if row.name == name else row for row in self.rows]

    async def delete(self, name: str) -> None:
        self._call("routes.delete", name)
        self.rows = [row for row in self.rows if row.name != name]

    async def trial(self, name: str, hours: float = 24.0) -> RouteTrial:
        self._call("routes.trial", (name, hours))
        return self._trial(("VNA",), hours)

    async def trial_of(self, to: tuple[str, ...], past_hours: float = 24.0, **more: Any) -> RouteTrial:
        self._call("routes.trial_of", (to, more))
        if "BodyPart = X" in more["where"]:
            raise BadRequest("BodyPart is no keyword of the standard", "keywords are those of PS3.6")
        return self._trial(to, past_hours)

    def _trial(self, to: tuple[str, ...], hours: float) -> RouteTrial:
        at = self._world.at
        rows = tuple(
            PlannedSending(f"1.2.3.{n}", "[/]^A" if not n else "DOE^JANE", f"P{n}", "20261125", "CT", "CT HEAD \x1b[2J",
                           at - timedelta(minutes=n), "CT1", 30, 40, 15_000_000, to)
            for n in range(7)
        )  # fmt: skip
        trial: RouteTrial = self._world.fit(RouteTrial(at - timedelta(hours=hours), at, 40, 4_000, rows, False))
        return trial
