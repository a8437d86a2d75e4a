"""The noun ``peers``: the equipment register, how each peer answers, and who else called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from pacstui.contract.action import Danger, action

ROLES = ("modality", "workstation", "archive", "router", "ai", "ris", "printer", "other")
"""What a peer may be."""

TLS = ("off", "on", "name", "certificate", "nothing")
"""How a peer is called: without TLS; with, as [tls] says; and what of its certificate is checked otherwise."""

FIELDS = (
    "name",
    "ae_title",
    "host",
    "port",
    "tls",
    "certificate",
    "key",
    "ca",
    "roles",
    "allow",
    "probe",
    "limit",
    "vendor",
    "model",
    "software",
    "serial",
    "location",
    "contact",
    "notes",
)
"""What is known of a peer, as the columns of a CSV file."""

BESIDE = ("roles", "probe", "limit", "vendor", "model", "software", "serial", "location", "contact", "notes")
"""What can be changed of a peer that stands in the configuration."""


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One known peer. ``seen`` is when it last called us; ``echo`` is ok, failed or never; times in milliseconds.

    ``allow`` is what it may ask for, none for everything. ``called`` is when we last reached it. ``silent_since`` is
    when it began not to answer, ``uptime`` the part of the last 30 days (0 to 1) in which it answered, none where that
    is not known. ``rtt_ms`` is the median round trip of an echo of the last days, ``tls_until`` how long the
    certificate is valid that it showed. ``configured`` peers stand in the configuration. ``flaws`` are sentences.
    ``failed`` is when something at it failed for us last, where it was neither reached nor answered an echo since;
    ``failed_detail`` says what.
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
    configured: bool = True
    tls: str = "off"
    roles: tuple[str, ...] = ()
    probe: bool = True
    called: datetime | None = None
    silent_since: datetime | None = None
    uptime: float | None = None
    rtt_ms: float | None = None
    tls_until: datetime | None = None
    flaws: tuple[str, ...] = ()
    failed: datetime | None = None
    failed_detail: str = ""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What was negotiated for one SOP class: ``accepted`` transfer syntaxes in words, or why it was not."""

    abstract_syntax: str
    name: str
    accepted: tuple[str, ...]
    refused: str


@dataclass(frozen=True, slots=True)
class EndRow:
    """One direction: ``in`` where the peer calls us, ``out`` where we call it. ``max_pdu`` is what the peer takes, in
    bytes, 0 for any size."""

    way: str
    last: datetime | None
    associations: int
    address: str
    implementation: str
    max_pdu: int
    contexts: tuple[Negotiated, ...]


@dataclass(frozen=True, slots=True)
class FaultRow:
    """Something that went wrong between a peer and us; ``way`` as in `EndRow`."""

    at: datetime
    way: str
    text: str
    hint: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class PeerDetail:
    """All that is known of one peer. ``fields`` are the values of `FIELDS` as text; ``routes`` name it."""

    row: PeerRow
    fields: dict[str, str]
    routes: tuple[str, ...]
    ends: tuple[EndRow, ...]
    faults: tuple[FaultRow, ...]
    tls: str
    changed: datetime | None
    changed_by: str


@dataclass(frozen=True, slots=True)
class DayRow:
    """Echoes of one day, or of one month: how many were sent and answered, seconds in which it is known to have
    answered and not to have, round trip in milliseconds (of a month: median of its days' medians)."""

    day: date
    asked: int
    answered: int
    up_s: float
    down_s: float
    min_ms: float
    median_ms: float
    max_ms: float
    calls_in: int
    calls_out: int


@dataclass(frozen=True, slots=True)
class EchoSample:
    """One echo."""

    at: datetime
    ok: bool
    milliseconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class PeerHistory:
    """How a peer answered: by day and by month, oldest first, and the last echoes, newest first."""

    name: str
    days: tuple[DayRow, ...]
    months: tuple[DayRow, ...]
    echoes: tuple[EchoSample, ...]


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


@dataclass(frozen=True, slots=True)
class TestStep:
    """One step of a test: ``state`` is waits, runs, ok, warn, fail or skipped."""

    __test__ = False

    name: str
    state: str
    milliseconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class TestView:
    """A test of a peer, while it runs and afterwards.

    ``failed`` names the step that failed, ``meaning`` says what that means, ``letter`` is the text for the
    administrator of the other side. ``takes`` is what the peer accepted, by SOP class.
    """

    __test__ = False

    peer: str
    running: bool
    started: datetime | None
    steps: tuple[TestStep, ...]
    failed: str
    meaning: str
    letter: str
    takes: tuple[Negotiated, ...]


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a peer would break: routes and jobs that name it."""

    name: str
    breaks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeerLine:
    """What one line of a CSV file would do: ``what`` is create, change, nothing or mistake; ``text`` says more."""

    line: int
    name: str
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class PeerPlan:
    """What a CSV file would do, or did."""

    lines: tuple[PeerLine, ...]
    mistakes: int
    changes: int


@dataclass(frozen=True, slots=True)
class CallerRow:
    """Somebody who called and is no peer, or was refused: how often, when, what for, and what mends it.

    ``what`` is let in, refused or may not. ``titles`` is more than 1 where one row stands for so many AE titles of an
    address. ``contexts`` are the last proposal: SOP class and transfer syntaxes in words. ``host`` is the address.
    """

    id: int
    calling: str
    called: str
    host: str
    what: str
    text: str
    hint: str
    count: int
    titles: int
    first: datetime
    last: datetime
    implementation: str
    contexts: tuple[str, ...]
    peer: str
    ignored: bool


@dataclass(frozen=True, slots=True)
class CallersView:
    """Who called: the rows, how many are ignored, and how many were dropped because there were too many."""

    rows: tuple[CallerRow, ...]
    ignored: int
    dropped: int


class Peers(Protocol):
    """The equipment around us."""

    @action("list", "List the known peers", permission="peers.view")
    async def list(self) -> tuple[PeerRow, ...]: ...

    @action("show", "Show a peer: what it is, what it may, what it negotiates", permission="peers.view")
    async def show(self, name: str) -> PeerDetail: ...

    @action("history", "Show how a peer answered by day and month", permission="peers.view")
    async def history(self, name: str, days: int = 31) -> PeerHistory: ...

    @action("echo", "Send a C-ECHO to a peer and show each step", permission="peers.echo", audited=True, key="e")
    async def echo(self, name: str) -> EchoResult: ...

    @action(
        "test",
        "Test a peer step by step, from its name to what it accepts",
        permission="peers.echo",
        audited=True,
        key="t",
    )
    async def test(self, name: str) -> TestView: ...

    @action(
        "test-object",
        "Test a peer, and store a test object there that is marked as such",
        permission="peers.edit",
        danger=Danger.CONFIRM,
        audited=True,
        key="o",
    )
    async def test_object(self, name: str) -> TestView: ...

    @action("tested", "Show how far the test of a peer is", permission="peers.view")
    async def tested(self, name: str) -> TestView: ...

    @action("add", "Add a peer", permission="peers.edit", audited=True, key="a")
    async def add(
        self,
        name: str,
        ae_title: str,
        host: str,
        port: int = 104,
        tls: str = "",
        certificate: str = "",
        key: str = "",
        ca: str = "",
        roles: str = "",
        allow: str | None = None,
        probe: str = "",
        limit: int = 0,
        vendor: str = "",
        model: str = "",
        software: str = "",
        serial: str = "",
        location: str = "",
        contact: str = "",
        notes: str = "",
    ) -> PeerRow: ...

    @action("edit", "Change what is known of a peer", permission="peers.edit", audited=True, key="E")
    async def edit(
        self,
        name: str,
        ae_title: str | None = None,
        host: str | None = None,
        port: int | None = None,
        tls: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
        ca: str | None = None,
        roles: str | None = None,
        allow: str | None = None,
        probe: str | None = None,
        limit: int | None = None,
        vendor: str | None = None,
        model: str | None = None,
        software: str | None = None,
        serial: str | None = None,
        location: str | None = None,
        contact: str | None = None,
        notes: str | None = None,
    ) -> PeerRow: ...

    @action(
        "rename",
        "Give a peer another name; its history, the routes and what waits for it follow",
        permission="peers.edit",
        audited=True,
    )
    async def rename(self, name: str, to: str) -> PeerRow: ...

    @action("removal", "Show what removing a peer would break", permission="peers.view")
    async def removal(self, name: str) -> Removal: ...

    @action(
        "remove",
        "Remove a peer: it may not call any more, and nothing is sent to it",
        permission="peers.edit",
        danger=Danger.CONFIRM,
        audited=True,
        key="D",
    )
    async def remove(self, name: str) -> None: ...

    @action("preview-import", "Show what a CSV file of peers would do", permission="peers.edit")
    async def preview_import(self, csv: str) -> PeerPlan: ...

    @action(
        "import",
        "Add and change peers from a CSV file",
        permission="peers.edit",
        danger=Danger.CONFIRM,
        audited=True,
        key="i",
    )
    async def import_csv(self, csv: str) -> PeerPlan: ...

    @action("export", "Write all peers as CSV", permission="peers.view", key="x")
    async def export_csv(self) -> str: ...

    @action("callers", "List who called and is no peer, or was refused, and why", permission="peers.view", key="c")
    async def callers(self, ignored: bool = False) -> CallersView: ...

    @action(
        "ignore",
        "Ignore a caller: it is counted on, and not shown as new",
        permission="peers.edit",
        audited=True,
        key="i",
    )
    async def ignore(self, id: int) -> None: ...

    @action("notice", "Show a caller again that was ignored", permission="peers.edit", audited=True, key="n")
    async def notice(self, id: int) -> None: ...
