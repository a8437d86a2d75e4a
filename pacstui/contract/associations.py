"""The noun ``associations``: who is connected and doing what, and who was refused and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.privacy import PatientText


@dataclass(frozen=True, slots=True)
class AssociationRow:
    """One association, open or ended.

    ``peer`` is the name we know the other side by, empty if unknown. ``state`` is open, released, aborted, lost,
    refused, and failed for one that this node asked for and did not get. ``doing`` is a word: connects, idle, echoes,
    stores, queries, moves, gets, and on ``outgoing`` ones sends, fetches, commits. ``stored`` counts instances that
    were stored here, on an outgoing one there as well; ``rate`` is how many per second over the last five seconds.
    """

    id: int
    peer: str
    calling: str
    called: str
    address: str
    state: str
    doing: str
    modality: str
    stored: int
    failed: int
    rate: float
    received_bytes: int
    opened: datetime
    seconds: float
    sent_bytes: int = 0
    outgoing: bool = False


@dataclass(frozen=True, slots=True)
class ContextRow:
    """A proposed presentation context: names in words, ``result`` 0 to 4 (PS3.8 9.3.3.2), -1 where the association was
    refused before contexts were judged."""

    id: int
    abstract_syntax: str
    abstract_name: str
    proposed: tuple[str, ...]
    accepted: str
    result: int


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of an association's timeline."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class KeyText:
    """One key of a query and the value that was asked for: in ``patient`` where it points at one, else in ``value``."""

    keyword: str
    value: str
    patient: PatientText = ""


@dataclass(frozen=True, slots=True)
class QueryText:
    """A query that came: of which information model and level, with which keys, and how it ended.

    ``told`` counts the keys without a value: what is only to be told. ``answers`` is how many there were so far;
    ``outcome`` is empty while it is being answered, "done", or says what it ended with.
    """

    at: datetime
    model: str
    level: str
    keys: tuple[KeyText, ...]
    told: int
    answers: int
    outcome: str


@dataclass(frozen=True, slots=True)
class AssociationDetail:
    """All that is known of one association, ended ones included while they are remembered.

    ``title``, ``answer`` and ``remedies`` are sentences for a person; ``answer`` holds the codes as well.
    ``queries`` are those that came, the last ones, newest last.
    """

    row: AssociationRow
    title: str
    answer: str
    remedies: tuple[str, ...]
    implementation: str
    max_pdu: int
    user: str
    contexts: tuple[ContextRow, ...]
    timeline: tuple[Moment, ...]
    messages: dict[str, int]
    receiving: str
    receiving_bytes: int
    refused_today: int
    queries: tuple[QueryText, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """Refusals of one caller for one reason, gathered: how often, first and last, and what mends it."""

    id: int
    calling: str
    called: str
    address: str
    text: str
    hint: str
    count: int
    first: datetime
    last: datetime


class Associations(Protocol):
    """Associations with this node, and those that it asks others for."""

    @action("list", "List open associations, and the ended ones that are remembered", permission="associations.view")
    async def list(self, ended: bool = False) -> tuple[AssociationRow, ...]: ...

    @action("show", "Show an association: contexts, bytes, messages, timeline", permission="associations.view")
    async def show(self, id: int) -> AssociationDetail: ...

    @action("refusals", "List who was refused, how often, why and what mends it", permission="associations.view")
    async def refusals(self) -> tuple[RefusalRow, ...]: ...

    @action(
        "abort",
        "Abort an association: the object being received is not kept, earlier ones are",
        permission="associations.abort",
        danger=Danger.CONFIRM,
        audited=True,
        key="x",
    )
    async def abort(self, id: int) -> None: ...
