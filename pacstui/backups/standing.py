"""What is known of each target, how it stands against its goal, and what is not safe yet."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from shlex import quote
from typing import Any, Final, Protocol

from pacstui.archive import Archive
from pacstui.backups.request import SURVEY
from pacstui.backups.retention import rules_told
from pacstui.backups.spec import Spec, work_folder
from pacstui.clock import Clock
from pacstui.contract.backups import SnapshotRow, TargetRow
from pacstui.contract.jobs import JobRow, RunRow
from pacstui.errors import NotFound, PacsError
from pacstui.settings import TargetSettings
from pacstui.text import ago, plural, safe

_AHEAD: Final = timedelta(hours=1)
_GROWTH_DAYS: Final = 14
DOUBTED: Final = ("none", "foreign", "wrong")
_UNSAVED: Final = (
    "SELECT count(*), coalesce(sum(data_offset + size), 0), coalesce(max(id), 0) FROM instances WHERE id > ?"
)


class Jobs(Protocol):
    """What of the jobs room is used here."""

    def row(self, name: str) -> JobRow | None:
        """Return a job as lists show it, none if there is none of that name."""
        ...

    async def begin(self, job: str, parameters: dict[str, str]) -> RunRow:
        """Start a job now, by the present caller, with these parameters instead of its own."""
        ...

    async def run(self, id: int) -> RunRow:
        """Return a run."""
        ...


@dataclass(slots=True)
class Standing:
    """What is known of a target: the last survey, why there is none, and what came since its newest snapshot."""

    spec: Spec
    settings: TargetSettings
    survey: dict[str, Any] | None = None
    problem: PacsError | None = None
    asked: float = float("-inf")
    asking: bool = False
    told: bool = False
    upto: int = 0
    base: int = -1
    unsaved: int = 0
    unsaved_bytes: int = 0
    snapshots: list[dict[str, Any]] = field(default_factory=list)

    def newest(self, now: datetime) -> dict[str, Any] | None:
        """Return the newest snapshot that counts: not one of a time to come, nor one that may be somebody else's."""
        return next((each for each in self.snapshots if _counts(each, now)), None)


def _counts(snapshot: dict[str, Any], now: datetime) -> bool:
    return moment(snapshot["at"]) - now <= _AHEAD and snapshot.get("signed") not in DOUBTED


def _command(known: Standing, words: str) -> str:
    return f"pacstui backup {words} --target {quote(safe(known.spec.name, 64))}"


def _again(known: Standing) -> str:
    return f"back up now: {_command(known, 'run')}"


def spec_of(target: TargetSettings) -> Spec:
    """Return a target's settings as the worker takes them."""
    return Spec(
        target.name, target.url, target.encrypt_to, target.identity_file, target.passphrase_file, target.mounted,
        target.endpoint, target.region, target.access_key, target.secret_key_file, target.max_mb_per_s,
        {
            "last": target.keep_last, "daily": target.keep_daily, "weekly": target.keep_weekly,
            "monthly": target.keep_monthly, "yearly": target.keep_yearly,
        },
        target.include, (), target.lock_days, target.lock_mode, target.key_file,
        target.known_hosts,
    )  # fmt: skip


class Standings:
    """All targets of the settings, by name."""

    def __init__(self, archive: Archive, jobs: Jobs, clock: Clock, targets: Sequence[TargetSettings]) -> None:
        self._archive = archive
        self._jobs = jobs
        self._clock = clock
        self.targets: dict[str, Standing] = {}
        self.replace(targets)

    def replace(self, targets: Sequence[TargetSettings]) -> None:
        """Take other targets; what is known of one that stays is kept."""
        fresh: dict[str, Standing] = {}
        for target in targets:
            spec = spec_of(target)
            old = self.targets.get(target.name)
            if old is not None and old.spec == spec:
                old.settings = target
                fresh[target.name] = old
            else:
                fresh[target.name] = known = Standing(spec, target)
                self._remember(known)
        self.targets = fresh

    def _remember(self, known: Standing) -> None:
        """Take up what the last survey found, also one of an earlier session: the target may be away now."""
        path = work_folder(self._archive.data_dir, known.spec.name) / SURVEY
        with suppress(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
            survey = json.loads(path.read_text("utf-8"))
            _see_survey(survey)
            self.learn(known, survey)

    @staticmethod
    def learn(known: Standing, survey: dict[str, Any]) -> None:
        known.survey = survey
        known.snapshots = list(survey["snapshots"])

    def get(self, name: str) -> Standing:
        known = self.targets.get(name)
        if known is None:
            names = ", ".join(self.targets) or "none: write [[backups.targets]] with name and url into the settings"
            raise NotFound(f"there is no target {safe(name, 64)}", f"targets are: {names}")
        return known

    async def count(self, known: Standing) -> None:
        """Count the instances that the newest snapshot does not have: only those that came since the last look."""
        newest = self.newest(known)
        base = int(newest["last_row"]) if newest is not None else 0
        if known.base != base:
            known.base = known.upto = base
            known.unsaved = known.unsaved_bytes = 0
        with suppress(PacsError):
            more, more_bytes, last = await self._archive.db.read(partial(_unsaved, known.upto))
            if known.base == base:
                known.unsaved += more
                known.unsaved_bytes += more_bytes
                known.upto = max(known.upto, last)

    def safe_upto(self, copies: int = 1) -> int:
        """Return the highest instance row that the newest snapshots of so many targets may have, 0 for none; only
        `protection` tells for sure."""
        found = (self.newest(known) for known in self.targets.values())
        rows = sorted((int(newest["last_row"]) for newest in found if newest is not None), reverse=True)
        return rows[copies - 1] if 0 < copies <= len(rows) else 0

    def newest(self, known: Standing) -> dict[str, Any] | None:
        """Return the newest snapshot of a target that counts."""
        return known.newest(self._clock.now())

    def recount(self) -> None:
        """Count anew what is not safe: something was deleted."""
        for known in self.targets.values():
            known.base = -1

    def best(self) -> Standing | None:
        """Return the target with the newest snapshot, of those that answer if one of them has any."""
        newest = {name: self.newest(known) for name, known in self.targets.items()}
        having = {name: each for name, each in newest.items() if each is not None}
        having = {name: each for name, each in having.items() if self.targets[name].problem is None} or having
        name = max(having, key=lambda name: moment(having[name]["at"]), default=None)
        return self.targets[name] if name is not None else None

    def part(self) -> dict[str, int]:
        """Return the counts for the status; ages in seconds, -1 for never."""
        best = self.best()
        newest = self.newest(best) if best is not None else None
        states = [self.state(known)[0] for known in self.targets.values()]
        now = self._clock.now()
        return {
            "targets": len(self.targets),
            "late": states.count("late") + states.count("never"),
            "failed": states.count("failed") + states.count("away"),
            "unsaved": best.unsaved if best is not None else self.total[0],
            "age_s": max(0, int((now - moment(newest["at"])).total_seconds())) if newest is not None else -1,
            "running": int(any(self.running(name) for name in self.targets)),
        }

    @property
    def total(self) -> tuple[int, int]:
        """Instances and bytes of the archive, as far as they were counted for a target without snapshot."""
        for known in self.targets.values():
            if known.base == 0:
                return known.unsaved, known.unsaved_bytes
        return 0, 0

    def running(self, name: str) -> int:
        for kind in ("backup", "restore", "drill", "verify", "prune"):
            row = self._jobs.row(f"{kind} {name}")
            if row is not None and row.running:
                return row.running
        return 0

    def state(self, known: Standing) -> tuple[str, str, str]:
        """Return state, problem and hint of a target."""
        if known.problem is not None:
            return "away", known.problem.message, known.problem.hint
        row = self._jobs.row(f"backup {known.spec.name}")
        last = row.last if row is not None else None
        if last is not None and last.state == "failed":
            return "failed", f"the last backup failed: {last.text}", last.hint
        if not known.snapshots:
            return ("never", "nothing was backed up to it yet", _again(known)) if known.told else ("asking", "", "")
        if strange := self._strange(known):
            return strange
        now = self._clock.now()
        newest = self.newest(known)
        if newest is None:
            text = "all snapshots are of times to come: the clock is wrong, or was"
            return "late", text, f"correct the clock; {_again(known)}"
        check = (known.survey or {}).get("check")
        if check and not check["ok"] and str(check["at"]) >= str(newest["at"])[:19]:
            return (
                "failed",
                f"verification: {check['text']}",
                f"{_again(known)}; then verify: {_command(known, 'verify --full')}",
            )
        if now - moment(newest["at"]) > timedelta(hours=known.settings.objective_h):
            hint = f"{_again(known)}; is its job enabled, and are jobs paused? pacstui jobs list"
            return "late", f"the newest snapshot is from {ago(moment(newest['at']), now)}", hint
        if newest["missing"]:
            return (
                "good", f"{plural(int(newest['missing']), 'instance')} could not be saved",
                "they cannot be read in the archive: pacstui storage missing",
            )  # fmt: skip
        return "good", *self._doubt(known)

    @staticmethod
    def _strange(known: Standing) -> tuple[str, str, str] | None:
        """Return what somebody else seems to have done to a target, none if nothing."""
        gone = str((known.survey or {}).get("gone", ""))
        if gone:
            hint = f"who else may write there? What is gone travels again: {_again(known)}"
            return "failed", f"the newest snapshot, {gone}, is gone from it, and no prune removed it", hint
        doubted = [each for each in known.snapshots if each.get("signed") in DOUBTED]
        if doubted:
            first = f"{doubted[0]['id']}: {doubted[0].get('signature', '')}"
            text = f"{plural(len(doubted), 'snapshot')} may be somebody else's: {first}"
            return "failed", text, "who else may write there? What is not yours, remove from the target by hand"
        return None

    def _doubt(self, known: Standing) -> tuple[str, str]:
        """Return what is unwise about a target that works."""
        if (known.survey or {}).get("same_volume"):
            return "it is on the archive's own volume", "a dead disk takes both: use another disk or machine"
        drill = (known.survey or {}).get("drill")
        if drill and not drill["ok"]:
            told = f"rehearse again: {_command(known, 'drill')}; verify all: {_command(known, 'verify --full')}"
            return f"the last restore drill failed: {drill['text']}", told
        return "", ""

    def problems(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Yield what is wrong, for the list of problems."""
        if not self.targets:
            yield (
                "backup none", "note", "nothing is backed up: there is no target",
                "write [[backups.targets]] with name and url into the configuration", "backups",
            )  # fmt: skip
        for name, known in self.targets.items():
            state, problem, hint = self.state(known)
            if state in ("away", "failed", "late"):
                level = "fail" if state == "failed" else "warn"
                yield f"backup {name}", level, f"backup {safe(name, 64)}: {safe(problem, 300)}", hint, "backups"
            elif state == "never":
                yield f"backup {name}", "note", f"backup {safe(name, 64)}: {problem}", hint, "backups"
            elif problem:
                yield f"backup {name}", "note", f"backup {safe(name, 64)}: {safe(problem, 300)}", hint, "backups"

    def row(self, name: str, known: Standing) -> TargetRow:
        state, problem, hint = self.state(known)
        survey = known.survey or {}
        check, drill, newest = survey.get("check"), survey.get("drill"), self.newest(known)
        job = self._jobs.row(f"backup {name}")
        return TargetRow(
            name=name,
            url=known.spec.url,
            kind=known.spec.kind,
            state=state,
            problem=problem,
            hint=hint,
            last_good=moment(newest["at"]) if newest is not None else None,
            objective_h=known.settings.objective_h,
            unsaved=known.unsaved,
            unsaved_bytes=known.unsaved_bytes,
            growth_bytes_per_day=self._growth(known),
            snapshots=len(known.snapshots),
            kept=rules_told(known.spec.keep),
            bytes=int(survey.get("bytes", 0)),
            free_bytes=survey.get("free"),
            encrypted=bool(survey.get("encrypted", known.spec.encrypt_to or known.spec.passphrase_file)),
            checked=f"{check['depth']}: {check['text']}" if check else "",
            checked_at=moment(check["at"]) if check else None,
            checked_ok=bool(check["ok"]) if check else None,
            drill=str(drill["text"]) if drill else "",
            drill_at=moment(drill["at"]) if drill else None,
            drill_ok=bool(drill["ok"]) if drill else None,
            next_run=job.next_run if job is not None else None,
            run=self.running(name),
        )

    def _growth(self, known: Standing) -> float:
        since = self._clock.now() - timedelta(days=_GROWTH_DAYS)
        now = self._clock.now()
        recent = [each for each in known.snapshots if moment(each["at"]) >= since and _counts(each, now)]
        if len(recent) < 2:
            return 0.0
        span = (moment(recent[0]["at"]) - moment(recent[-1]["at"])).total_seconds() / 86400
        return sum(int(each["new_bytes"]) for each in recent[:-1]) / max(span, 1.0)


def moment(text: str) -> datetime:
    """Return a time as surveys have it."""
    return datetime.fromisoformat(text)


def _unsaved(after: int, db: sqlite3.Connection) -> tuple[int, int, int]:
    found = db.execute(_UNSAVED, (after,)).fetchone()
    return int(found[0]), int(found[1]), int(found[2])


def snapshot_row(target: str, found: dict[str, Any]) -> SnapshotRow:
    """Return a snapshot of a survey as lists show it."""
    rest = {key: value for key, value in found.items() if key != "last_row"}
    row = SnapshotRow(target=target, **rest)
    return replace(
        row, at=moment(found["at"]), keeps=tuple(found["keeps"]),
        checked_at=moment(found["checked_at"]) if found["checked_at"] else None,
    )  # fmt: skip


def _see_survey(survey: dict[str, Any]) -> None:
    """See that a survey of an earlier session is one; what it raises tells that it is none."""
    for each in survey["snapshots"]:
        row = snapshot_row("", each)
        if row.at.tzinfo is None or not isinstance(row.id, str):
            raise ValueError("a time without a zone")
        _ = (int(each["last_row"]), int(row.missing), int(row.bytes), int(row.new_bytes))
        if {type(each.get("signed", "")), type(each.get("signature", ""))} != {str}:
            raise ValueError("a signature that is no text")
    for which in ("check", "drill"):
        if found := survey[which]:
            if moment(found["at"]).tzinfo is None:
                raise ValueError("a time without a zone")
            _ = (bool(found["ok"]), str(found["text"]), str(found["depth"]), float(found["rate_bytes_per_s"]))
    _ = (int(survey["bytes"]), int(survey["free"] or 0), bool(survey["encrypted"]))
