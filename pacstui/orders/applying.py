"""Acts on HL7 messages: ADT changes patients, order messages make and change orders."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.db import Database
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outcome import UNSUPPORTED_EVENT, UNSUPPORTED_TYPE, Fault, Outcome, Refused
from pacstui.index import identities
from pacstui.orders import coding
from pacstui.orders.adt import Admitting
from pacstui.orders.mapping import Procedures
from pacstui.orders.ordering import Ordering
from pacstui.orders.requests import Request, requests
from pacstui.settings import OrdersSettings

ORDERS: Final = {"ORM": ("O01",), "OMG": ("O19",), "OMI": ("O23",)}
"""Order messages: type and trigger event."""
KEPT: Final = frozenset(("ORU", "MDM"))
"""Reports: they can be looked up among the messages."""


class Applying:
    """Acts on each message inside the transaction that keeps it: the `Applier` of the HL7 intake.

    ``forget_index`` drops what the writer of the index remembers of rows; it is called on the writer lane.
    """

    def __init__(
        self, settings: Callable[[], OrdersSettings], bus: Bus, clock: Clock, forget_index: Callable[[], None]
    ) -> None:
        self._settings_now = settings
        self._settings = settings()
        self._procedures = Procedures(self._settings)
        self._bus = bus
        self._clock = clock
        self._forget_index = forget_index
        self._persons: set[int] = set()
        self._orders: set[int] = set()
        self._studies = False
        self._durable: deque[tuple[set[int], set[int], bool]] = deque()

    async def begin(self, db: Database) -> None:
        """Let the index know the local issuer before the first message comes."""
        await db.write(lambda connection: identities.set_local_issuer(connection, self._settings.local_issuer))

    def _renew(self, connection: sqlite3.Connection) -> None:
        """Take the settings of now."""
        settings = self._settings_now()
        if settings is self._settings:
            return
        if settings.local_issuer != self._settings.local_issuer:
            identities.set_local_issuer(connection, settings.local_issuer)
        self._settings, self._procedures = settings, Procedures(settings)

    def apply(self, connection: sqlite3.Connection, message: Message, at: int) -> Outcome:
        """Act on a message that arrived at ``at`` (microseconds since 1970).

        Raises
        ------
        Refused
            When it cannot be acted on: what was done of it is to be rolled back.
        """
        self._renew(connection)
        told: list[Fault] = []
        admitting = Admitting(connection, self._settings, message, at, told)
        accession = ""
        if message.kind == "ADT":
            result = admitting.act()
        elif message.kind in ORDERS:
            if message.trigger and message.trigger not in ORDERS[message.kind]:
                raise Refused(
                    Fault(
                        "MSH", 9, UNSUPPORTED_EVENT, f"{message.kind}^{message.trigger} is not supported", component=2
                    ),
                    code="AR",
                )
            accession = self._order(connection, message, at, told, admitting)
            result = admitting.result
        elif message.kind in KEPT:
            return Outcome(done="kept; nothing here acts on it", patient=coding.plain(message.value("PID", 3)))
        else:
            raise Refused(
                Fault("MSH", 9, UNSUPPORTED_TYPE, f"messages of type {message.kind or 'none'} are not acted on",
                      "Send ADT, ORM^O01, OMG^O19 or OMI^O23", component=1),
                code="AR",
            )  # fmt: skip
        if result.indexed:
            self._forget_index()
            self._studies = True
        self._persons |= result.persons
        self._orders |= result.orders
        done = "; ".join([*result.said, *result.unchanged])
        return Outcome(done=done, patient=result.patient, accession=accession, faults=tuple(told))

    def _order(
        self, connection: sqlite3.Connection, message: Message, at: int, told: list[Fault], admitting: Admitting
    ) -> str:
        """Act on an order message; return its first Accession Number."""
        result = admitting.result
        asked = requests(message, told)
        segment = message.first("PID")
        person = admitting.tell(segment) if segment is not None else None
        ordering = Ordering(connection, self._settings, self._procedures, message.sender, at, told)
        accession = ""
        for request in asked:
            before = len(told)
            try:
                dones = ordering.act(request, person)
            except Refused as refused:
                faults = [_placed(fault, request) for fault in refused.faults]
                patient = refused.patient or result.patient
                raise Refused(*faults, code=refused.code, patient=patient, accession=request.accession) from refused
            told[before:] = [_placed(fault, request) for fault in told[before:]]
            for done in dones:
                if done.changed:
                    result.orders.add(done.order.id)
                result.said.append(done.said)
                accession = accession or done.order.accession
        return accession

    def kept(self) -> None:
        """What was done so far is durable. On the writer lane's thread."""
        if self._persons or self._orders or self._studies:
            self._durable.append((self._persons, self._orders, self._studies))
            self._persons, self._orders, self._studies = set(), set(), False

    def committed(self) -> None:
        """Tell the others what changed and is durable. On the event loop."""
        persons: set[int] = set()
        orders: set[int] = set()
        studies = False
        while self._durable:
            of_persons, of_orders, of_studies = self._durable.popleft()
            persons |= of_persons
            orders |= of_orders
            studies |= of_studies
        if persons or studies:
            self._bus.publish(events.PatientChanged(self._clock.now(), tuple(sorted(persons)), studies))
        if orders:
            self._bus.publish(events.OrderChanged(self._clock.now(), tuple(sorted(orders))))

    def forget(self) -> None:
        """Drop what a transaction that was rolled back would have told. On the writer lane's thread."""
        self._persons.clear()
        self._orders.clear()
        self._studies = False


def _placed(fault: Fault, request: Request) -> Fault:
    """Return a fault that says which ORC or OBR of its message it is about."""
    return replace(fault, occurrence=request.where.get(fault.segment, 1) or 1)
