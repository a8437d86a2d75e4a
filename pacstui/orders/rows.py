"""Rows of ``orders`` and ``steps``. Everything here runs on the writer lane, in a transaction.

What ``orders.body`` may hold: ``history`` (sentences, oldest first), ``held`` (true while the order is on hold),
``hold`` (by whom, when, why), ``placer_issuer``, ``filler_issuer``, ``comments``, ``diagnoses``, ``information``,
``danger``, ``transport``, ``site``, ``other_code`` (list of code, scheme, meaning), ``priority`` (as it was sent),
``parent`` (placer's number).

What ``steps.body`` may hold: ``duration_min``, ``number`` (which step of its order, from 1), ``made`` (values that
nobody sent: "date", "step_id").
``steps.codes`` is a list of lists: code, scheme, meaning. ``steps.station_ae`` has \\ between several.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pacstui.index.fold import fold

SCHEDULED, ARRIVED, IN_PROGRESS, COMPLETED, DISCONTINUED, CANCELLED = (
    "scheduled", "arrived", "in progress", "completed", "discontinued", "cancelled"
)  # fmt: skip
OPEN: Final = (SCHEDULED, ARRIVED)
"""States in which a step can still be changed by an order."""
HISTORY: Final = 200
"""Most sentences of an order's history."""

_ORDER: Final = (
    "person", "placer", "filler", "accession", "accession_key", "procedure_id", "study", "state", "priority", "code",
    "scheme", "description", "referring", "requesting", "reason", "body", "source",
)  # fmt: skip
_STEP: Final = (
    "step_id", "modality", "station_ae", "station_name", "room", "date", "time", "description", "codes", "physician",
    "state", "performed", "body",
)  # fmt: skip
_ORDER_LIST: Final = ", ".join(_ORDER)
_STEP_LIST: Final = ", ".join(_STEP)
_SET_ORDER: Final = ", ".join(f"{column}=?" for column in _ORDER)
_SET_STEP: Final = ", ".join(f"{column}=?" for column in _STEP)


@dataclass(frozen=True, slots=True)
class Order:
    """A requested procedure. ``id`` is 0 for one that has no row yet."""

    id: int = 0
    person: int = 0
    placer: str = ""
    filler: str = ""
    accession: str = ""
    procedure_id: str = ""
    study: str = ""
    state: str = SCHEDULED
    priority: str = ""
    code: str = ""
    scheme: str = ""
    description: str = ""
    referring: str = ""
    requesting: str = ""
    reason: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.accession or self.placer or self.filler or f"number {self.id}"

    def said(self, sentence: str) -> Order:
        """Return it with one sentence more in its history."""
        return replace(self, body={**self.body, "history": [*self.body.get("history", ()), sentence][-HISTORY:]})


@dataclass(frozen=True, slots=True)
class Step:
    """A scheduled procedure step of an order."""

    id: int = 0
    order: int = 0
    step_id: str = ""
    modality: str = ""
    station_ae: str = ""
    station_name: str = ""
    room: str = ""
    date: str = ""
    time: str = ""
    description: str = ""
    codes: tuple[tuple[str, str, str], ...] = ()
    physician: str = ""
    state: str = SCHEDULED
    performed: str = ""
    body: dict[str, Any] = field(default_factory=dict)


def _order(row: Sequence[Any]) -> Order:
    (id, person, placer, filler, accession, _, procedure_id, study, state, priority, code, scheme, description,
     referring, requesting, reason, body, source) = row  # fmt: skip
    return Order(
        id, person, placer, filler, accession, procedure_id, study, state, priority, code, scheme, description,
        referring, requesting, reason, json.loads(body), source,
    )  # fmt: skip


def _order_values(order: Order) -> tuple[Any, ...]:
    return (
        order.person, order.placer, order.filler, order.accession, fold(order.accession), order.procedure_id,
        order.study, order.state, order.priority, order.code, order.scheme, order.description, order.referring,
        order.requesting, order.reason, _json(order.body), order.source,
    )  # fmt: skip


def _step(row: Sequence[Any]) -> Step:
    (id, order, step_id, modality, station_ae, station_name, room, date, time, description, codes, physician, state,
     performed, body) = row  # fmt: skip
    read = tuple((code, scheme, meaning) for code, scheme, meaning in json.loads(codes))
    return Step(
        id, order, step_id, modality, station_ae, station_name, room, date, time, description, read, physician, state,
        performed, json.loads(body),
    )  # fmt: skip


def _step_values(step: Step) -> tuple[Any, ...]:
    return (
        step.step_id, step.modality, step.station_ae, step.station_name, step.room, step.date, step.time,
        step.description, _json(step.codes), step.physician, step.state, step.performed, _json(step.body),
    )  # fmt: skip


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def orders(connection: sqlite3.Connection, condition: str, values: Iterable[Any]) -> list[Order]:
    """Return orders that fulfil a condition of this package, oldest first."""
    rows = connection.execute(f"SELECT id, {_ORDER_LIST} FROM orders WHERE {condition} ORDER BY id", tuple(values))  # noqa: S608
    return [_order(row) for row in rows.fetchall()]


def steps(connection: sqlite3.Connection, order: int) -> list[Step]:
    """Return the steps of an order, in their order."""
    rows = connection.execute(f'SELECT id, "order", {_STEP_LIST} FROM steps WHERE "order"=? ORDER BY id', (order,))  # noqa: S608
    return [_step(row) for row in rows.fetchall()]


def save_order(connection: sqlite3.Connection, order: Order, at: int) -> Order:
    """Write an order's row, make it if it has none; return it with its number."""
    if order.id:
        connection.execute(
            f"UPDATE orders SET {_SET_ORDER}, changed=? WHERE id=?",  # noqa: S608 - constants
            (*_order_values(order), at, order.id),
        )
        return order
    marks = ",".join("?" * (len(_ORDER) + 2))
    cursor = connection.execute(
        f"INSERT INTO orders ({_ORDER_LIST}, created, changed) VALUES ({marks})",  # noqa: S608
        (*_order_values(order), at, at),
    )
    assert cursor.lastrowid is not None
    return replace(order, id=cursor.lastrowid)


def save_step(connection: sqlite3.Connection, step: Step, at: int) -> Step:
    """Write a step's row, make it if it has none; return it with its number."""
    if step.id:
        connection.execute(
            f"UPDATE steps SET {_SET_STEP}, changed=? WHERE id=?",  # noqa: S608
            (*_step_values(step), at, step.id),
        )
        return step
    marks = ",".join("?" * (len(_STEP) + 3))
    cursor = connection.execute(
        f'INSERT INTO steps ("order", {_STEP_LIST}, created, changed) VALUES ({marks})',  # noqa: S608
        (step.order, *_step_values(step), at, at),
    )
    assert cursor.lastrowid is not None
    return replace(step, id=cursor.lastrowid)


def state_of(states: Iterable[str]) -> str:
    """Return where an order stands whose steps stand so."""
    there = set(states)
    if there - {CANCELLED}:
        there.discard(CANCELLED)
    if not there:
        return SCHEDULED
    if len(there) == 1:
        return next(iter(there))
    if IN_PROGRESS in there or (there & {COMPLETED} and there & {SCHEDULED, ARRIVED}):
        return IN_PROGRESS
    if there <= {COMPLETED, DISCONTINUED}:
        return COMPLETED
    return ARRIVED if ARRIVED in there else SCHEDULED
