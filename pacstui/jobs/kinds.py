"""What a kind of job is, and what its work is given to speak with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pacstui.errors import PacsError


class Cancelled(PacsError):
    """The work ended at a safe point because somebody cancelled it, its time was up, or the node stops."""

    code = "cancelled"


class Run(Protocol):
    """One run, as its work sees it. All of it is called on the node's event loop."""

    @property
    def id(self) -> int:
        """The run's number."""
        ...

    @property
    def parameters(self) -> Mapping[str, str]:
        """What the job says, with the kind's defaults."""
        ...

    @property
    def started_by(self) -> str:
        """An account, ``schedule``, or the job that it follows."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the work is to end at its next safe point."""
        ...

    def check(self) -> None:
        """Raise `Cancelled` if the work is to end."""
        ...

    async def stopped(self) -> None:
        """Wait until the work is to end; for work that waits for something else beside."""
        ...

    def tell(
        self, *, done: int | None = None, total: int | None = None, unit: str | None = None,
        done_bytes: int | None = None, total_bytes: int | None = None, errors: int | None = None,
        now: str | None = None,
    ) -> None:  # fmt: skip
        """Say how far the work is; what is left out stays. Costs nothing: it may be called for each object."""
        ...

    def note(self, text: str, level: str = "info") -> None:
        """Write a line into the run's log; ``level`` is info, warn or fail."""
        ...

    @property
    def kept(self) -> str:
        """What a run of this job kept last, empty at first: where the next one goes on."""
        ...

    async def keep(self, text: str) -> None:
        """Keep a text with the job, for runs that come after this one; durable when it returns."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended that did its work: one sentence, and whether somebody should look at it."""

    text: str
    warning: bool = False
    hint: str = ""


Work = Callable[[Run], Awaitable[Outcome]]
"""Does the work. Raises `PacsError` when it failed, `Cancelled` (by `Run.check`) when it was told to end."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What can be told to a kind of job. ``choices`` are all values that it may have, none for any text.

    ``check`` raises ValueError for a value that does not fit, with the reason. Without a ``required`` one no job is
    made. One whose name is in `pacstui.contract.privacy.KEYS` points at patients: it is shown to, and taken from, only
    those who may see who they are.
    """

    name: str
    text: str
    default: str = ""
    choices: tuple[str, ...] = ()
    check: Callable[[str], object] | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job.

    ``name`` is one word or two with a hyphen, ``label`` what lists call it, ``text`` a sentence of what it does.
    ``resumes`` tells that a run that was interrupted is begun again at the next start and goes on where it was.
    ``lane`` names what two runs must not use at once (a target, the archive's disk): runs of one lane wait for each
    other; it may have ``{parameter}`` in it; empty for none. Of a ``quiet`` kind only what went wrong is told in the
    event feed. ``permission`` is what it takes to start a job of the kind, and to make or change one, beside
    ``jobs.run`` and ``jobs.edit``; empty for nothing more. ``told_elsewhere``: that one failed is among the problems
    already, told by the room whose work it is.
    """

    name: str
    label: str
    text: str
    work: Work
    parameters: tuple[Parameter, ...] = ()
    resumes: bool = False
    lane: str = ""
    quiet: bool = False
    permission: str = ""
    told_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job that the node makes by itself where there is none of its name; people may change it afterwards."""

    name: str
    kind: str
    parameters: Mapping[str, str]
    schedule: str
    after: str = ""
    retries: int = 0
    retry_s: float = 300.0
    timeout_s: float = 0.0
    enabled: bool = True
