"""The noun ``backups``: what is safe elsewhere, what is not, and how it gets back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.jobs import RunRow
from pacstui.contract.privacy import PatientId, PatientText


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One place that backups go to.

    ``kind`` is folder, bucket or sftp. ``state`` is asking (nothing is known yet), good, late (older than
    ``objective_h`` hours), never, away (it cannot be reached) or failed (the last run, or the last verification, or
    somebody else wrote there); ``problem`` says what is wrong and ``hint`` what mends it. ``unsaved`` and
    ``unsaved_bytes`` are instances stored since the newest snapshot. ``growth_bytes_per_day`` is what snapshots added,
    over the last two weeks. ``free_bytes`` is none where the target does not tell. ``checked`` and ``drill`` say in
    words how the last verification and the last restore drill went; ``checked_ok`` and ``drill_ok`` are none while
    there was none. ``run`` is the id of what runs on it now, 0 if nothing does.
    """

    name: str
    url: str
    kind: str
    state: str
    problem: str
    hint: str
    last_good: datetime | None
    objective_h: float
    unsaved: int
    unsaved_bytes: int
    growth_bytes_per_day: float
    snapshots: int
    kept: str
    bytes: int
    free_bytes: int | None
    encrypted: bool
    checked: str
    checked_at: datetime | None
    checked_ok: bool | None
    drill: str
    drill_at: datetime | None
    drill_ok: bool | None
    next_run: datetime | None
    run: int


@dataclass(frozen=True, slots=True)
class Loss:
    """What would be lost if the archive's disk died now: received since the newest good snapshot of any target.

    ``since`` is none where there is no snapshot at all; everything is lost then. ``restore_s`` is how long bringing
    all back would take at the rate that the last drill measured, none before the first one.
    """

    instances: int
    studies: int
    bytes: int
    since: datetime | None
    target: str
    restore_s: float | None
    rate_bytes_per_s: float
    measured_at: datetime | None


@dataclass(frozen=True, slots=True)
class BackupsView:
    """All targets, what runs on them, and what would be lost."""

    targets: tuple[TargetRow, ...]
    loss: Loss
    running: tuple[RunRow, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One snapshot. ``missing`` counts instances that it should have and has not, because they could not be read.

    ``new_instances`` and ``new_bytes`` are what had to travel for it. ``by`` is who started it. ``checked`` says in
    words how it was verified last. ``keeps`` names the rules of retention that keep it: last, daily, weekly, ...
    ``signed`` is signed, early (older than the archive's key), unknown (no key to compare with), or, where it may be
    somebody else's, none, foreign or wrong; ``signature`` says the same in words.
    """

    id: str
    target: str
    at: datetime
    patients: int
    studies: int
    instances: int
    bytes: int
    missing: int
    new_instances: int
    new_bytes: int
    seconds: float
    by: str
    version: str
    encrypted: bool
    checked: str
    checked_at: datetime | None
    checked_ok: bool | None
    keeps: tuple[str, ...]
    signed: str = ""
    signature: str = ""

    @property
    def doubted(self) -> bool:
        """Whether it may be somebody else's."""
        return self.signed in ("none", "foreign", "wrong")


@dataclass(frozen=True, slots=True)
class SavedStudy:
    """A study in a snapshot; ``here`` is how many of its instances the archive has now."""

    study: str
    patient_name: PatientText
    patient_id: PatientId
    date: str
    modalities: tuple[str, ...]
    description: str
    accession: PatientText
    series: int
    instances: int
    bytes: int
    here: int


@dataclass(frozen=True, slots=True)
class SavedPage:
    """Studies of a snapshot, newest received first; ``next`` continues, none at the end."""

    snapshot: str
    rows: tuple[SavedStudy, ...]
    total: int
    next: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """How a study differs between two snapshots. ``what`` is added, removed or changed."""

    what: str
    study: str
    patient_name: PatientText
    date: str
    description: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed from one snapshot to a later one: counts of instances and the studies, at most 1000 of them."""

    before: str
    after: str
    added: int
    removed: int
    changed: int
    studies: tuple[Change, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do. ``what`` is all, index, patient, study or instance; ``to`` is a folder, or empty for the
    running archive. ``there`` counts instances that are there already and stay. ``free_bytes`` is of the place that it
    goes to. ``problems`` are reasons why it cannot be done; there must be none. ``signed`` and ``signature`` tell who
    took the snapshot, as those of `SnapshotRow`.
    """

    target: str
    snapshot: str
    at: datetime
    what: str
    to: str
    studies: int
    instances: int
    bytes: int
    there: int
    seconds: float | None
    free_bytes: int
    problems: tuple[str, ...]
    signed: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What pruning would remove: snapshots that no rule keeps, and the bytes that only they need."""

    target: str
    keep: tuple[SnapshotRow, ...]
    remove: tuple[SnapshotRow, ...]
    bytes: int
    rules: str


@dataclass(frozen=True, slots=True)
class LockRow:
    """Who works on a target. ``stale`` says why its holder is taken for gone, empty while it is not."""

    target: str
    holder: str
    what: str
    since: datetime
    seen: datetime
    stale: str


class Backups(Protocol):
    """Copies of the archive elsewhere."""

    @action("targets", "Show all targets, what would be lost and what runs", permission="backups.view")
    async def show(self) -> BackupsView: ...

    @action("list", "List the snapshots of a target, newest first", permission="backups.view")
    async def snapshots(self, target: str, limit: int = 500) -> tuple[SnapshotRow, ...]: ...

    @action("studies", "Browse a snapshot by study", permission="backups.view")
    async def studies(
        self, target: str, snapshot: str = "latest", search: PatientText = "", limit: int = 100, after: int = 0
    ) -> SavedPage: ...

    @action("compare", "Compare two snapshots", permission="backups.view", key="m")
    async def compare(self, target: str, before: str, after: str = "latest") -> Changes: ...

    @action("run", "Back up now", permission="backups.run", audited=True, key="b")
    async def run(self, target: str) -> RunRow: ...

    @action("verify", "Verify what a target has: quick, sample or full", permission="backups.run", audited=True,
            key="v")  # fmt: skip
    async def verify(self, target: str, depth: str = "full", percent: float = 5.0) -> RunRow: ...

    @action("drill", "Rehearse a restore in a scratch folder", permission="backups.run", audited=True, key="t")
    async def drill(self, target: str, snapshot: str = "latest", instances: int = 200) -> RunRow: ...

    @action("plan", "Show what a restore would do", permission="backups.view")
    async def plan(
        self, target: str, snapshot: str = "latest", what: str = "all", key: PatientText = "", to: str = ""
    ) -> RestorePlan: ...

    @action("restore", "Bring back all, or one patient, study or instance", permission="backups.restore",
            danger=Danger.TYPE_NAME, audited=True, key="r")  # fmt: skip
    async def restore(
        self, target: str, snapshot: str = "latest", what: str = "all", key: PatientText = "", to: str = ""
    ) -> RunRow: ...

    @action("prune-plan", "Show what pruning would remove", permission="backups.view")
    async def prune_plan(self, target: str) -> PrunePlan: ...

    @action("prune", "Remove snapshots that no rule keeps", permission="backups.prune", danger=Danger.CONFIRM,
            audited=True, key="p")  # fmt: skip
    async def prune(self, target: str) -> RunRow: ...

    @action("lock", "Show who works on a target", permission="backups.view")
    async def lock(self, target: str) -> LockRow | None: ...

    @action("unlock", "Remove a lock whose holder is gone", permission="backups.run", danger=Danger.CONFIRM,
            audited=True, key="u")  # fmt: skip
    async def unlock(self, target: str) -> None: ...
