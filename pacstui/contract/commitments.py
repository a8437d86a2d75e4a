"""The noun ``commitments``: who asked whether objects are kept, and whether the answer was delivered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import action


@dataclass(frozen=True, slots=True)
class CommitmentRow:
    """One storage commitment transaction (PS3.4 J).

    ``objects`` were asked about, ``failed`` of them are not committed. ``state`` is waiting (to be looked at),
    reporting (the answer is to be delivered), told, or given up. ``problem`` is why the last delivery failed.
    """

    id: int
    transaction: str
    calling: str
    received: datetime
    objects: int
    failed: int
    state: str
    attempts: int
    next_try: datetime
    problem: str


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A commitment that this node asked a peer for: does it keep the instances of a study?

    ``state`` is asked (the answer is to come), committed, not committed (``missing`` says which are not, at most 1000),
    or failed: ``problem`` says why the peer could not be asked.
    """

    id: int
    transaction: str
    peer: str
    study: str
    objects: int
    committed: int
    missing: tuple[str, ...]
    state: str
    sent: datetime
    answered: datetime | None
    problem: str


class Commitments(Protocol):
    """Storage commitments that were asked for."""

    @action("list", "List storage commitments, newest first", permission="commitments.view")
    async def list(self, limit: int = 50) -> tuple[CommitmentRow, ...]: ...

    @action("retry", "Deliver the answer to a storage commitment again", permission="commitments.retry", audited=True)
    async def retry(self, id: int) -> None: ...

    @action("ask", "Ask a peer whether it keeps a study", permission="commitments.ask", audited=True)
    async def ask(self, peer: str, study: str) -> AskedRow: ...

    @action("asked", "List commitments that peers were asked for, newest first", permission="commitments.view")
    async def asked(self, limit: int = 50) -> tuple[AskedRow, ...]: ...
