"""The noun ``peers``: the Application Entities that this node knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import action


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One known peer. ``seen`` is when it last called us; ``echo`` is ok, failed or never; times in milliseconds.

    ``allow`` is what it may ask for, none for everything.
    """

    name: str
    ae_title: str
    host: str
    port: int
    notes: str
    seen: datetime | None
    stored: int
    echo: str
    echo_at: datetime | None
    echo_ms: float
    echo_detail: str
    allow: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class EchoStep:
    """One step of reaching a peer: name, TCP, association, echo; ``ok`` and how long it took."""

    name: str
    ok: bool
    milliseconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class EchoResult:
    """How a C-ECHO went, step by step, and what to ask the other side to change where it failed."""

    peer: str
    ok: bool
    milliseconds: float
    steps: tuple[EchoStep, ...]
    hint: str


class Peers(Protocol):
    """The equipment around us."""

    @action("list", "List the known peers", permission="peers.view")
    async def list(self) -> tuple[PeerRow, ...]: ...

    @action("echo", "Send a C-ECHO to a peer and show each step", permission="peers.echo", audited=True, key="e")
    async def echo(self, name: str) -> EchoResult: ...
