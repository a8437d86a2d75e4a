"""The noun ``audit``: who did what, kept so that a change to it is found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import action
from pacstui.contract.privacy import PatientText


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry.

    ``kind`` is action, sign-in, sign-out, denied, patients seen, export, import, association refused, configuration,
    node or recovery; ``outcome`` is ok, failed or denied. ``who`` is the account, or who was there instead; ``how`` and
    ``origin`` tell how the node knows and from where. ``action`` is an action's full name, ``target`` what it was done
    to. ``patient`` is what of that points at one: the words of a search,
    and after ``ID`` the Patient IDs that were shown or sent.
    """

    id: int
    at: datetime
    kind: str
    outcome: str
    who: str
    how: str
    origin: str
    action: str
    target: str
    patient: PatientText
    detail: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first; ``next`` is the cursor of the following page, none at the end."""

    rows: tuple[AuditRow, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Flaw:
    """A place where the chain does not hold: from entry ``first`` to ``last``."""

    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the chain found; no ``flaws`` means that every entry is as it was written."""

    entries: int
    first: int
    last: int
    flaws: tuple[Flaw, ...]
    text: str


@dataclass(frozen=True, slots=True)
class AuditState:
    """How the trail does: entries kept, what waits to be written, and what waits for the syslog server, since when."""

    entries: int
    oldest: datetime | None
    unwritten: int
    server: str
    unsent: int
    problem: str
    unsent_since: datetime | None = None


class Audit(Protocol):
    """The audit trail."""

    @action("list", "List audit entries, newest first", permission="audit.view")
    async def list(
        self, search: str = "", who: str = "", kind: str = "", since: str = "", until: str = "",
        limit: int = 100, before: int | None = None,
    ) -> AuditPage: ...  # fmt: skip

    @action("verify", "Check that no entry was changed, removed or put in", permission="audit.view")
    async def verify(self) -> Verdict: ...

    @action("export", "Write audit entries as CSV", permission="audit.view", audited=True)
    async def export_csv(self, since: str = "", until: str = "") -> str: ...

    @action("state", "Show how the audit trail does", permission="audit.view")
    async def state(self) -> AuditState: ...
