"""The job ``purge``: empties the trash of what is old, and moves to it what rules say.

While the volume is fuller than it should be the trash is emptied early, and what a rule moves there is removed at once.
A study that cannot be moved is told of and left; the next run tries it again, once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Protocol

from pacstui.archive import Archive
from pacstui.archive.trash_rows import Entry, Which
from pacstui.backups.protection import Kept
from pacstui.clock import Clock, microseconds
from pacstui.errors import NotFound, PacsError
from pacstui.jobs.kinds import Outcome, Run
from pacstui.settings import SpaceSettings
from pacstui.space.rules import Choice, Rule, choose
from pacstui.space.studies import Pinned, instances, matching
from pacstui.text import plural, safe, size

log = logging.getLogger("pacstui.space")
_GROUP = 20_000
_GROUP_STUDIES = 200
ALL = "all"
Told = Callable[[str, str, str, str], None]
"""Writes into the audit trail what was purged: action, Study Instance UID, Patient ID, and why."""


class Backups(Protocol):
    """What is asked of backups."""

    async def held(self, instances: Sequence[Kept], copies: int) -> list[bool]:
        """Return for each instance whether the newest snapshots of so many targets have it."""
        ...


def used_percent(free: int, total: int) -> float:
    """Return how full a volume is."""
    return 100 * (total - free) / total if total else 0.0


@dataclass(slots=True)
class _Sum:
    studies: int = 0
    bytes: int = 0
    emptied: int = 0
    emptied_bytes: int = 0
    failed: list[str] = field(default_factory=list)
    unsent: int = 0
    unsafe: int = 0
    unseen: str = ""
    kept: int = 0


Sent = Callable[[str, Sequence[str]], Awaitable[str]]
"""Says why a study was not sent to all of some destinations, empty if all of it was."""


class Purge:
    """One run. ``sent`` knows what was sent on; without it no study counts as sent."""

    def __init__(
        self, archive: Archive, backups: Backups, settings: SpaceSettings, clock: Clock, told: Told, run: Run,
        pinned: Pinned = lambda study: "", sent: Sent | None = None,
    ) -> None:  # fmt: skip
        self._sent = sent
        self._archive = archive
        self._backups = backups
        self._settings = settings
        self._clock = clock
        self._told = told
        self._run = run
        self._pinned = pinned
        self._full = False
        self._sum = _Sum()

    async def work(self) -> Outcome:
        """Do it."""
        asked = self._run.parameters.get("rule", ALL)
        self._full = await self._used() > self._settings.purge_above_percent
        if asked == ALL:
            await self._empty_old()
        if self._full:
            await self._empty_early()
        rules = [Rule(each) for each in self._settings.rules if asked in (ALL, each.name)]
        if rules:
            await self._purge(rules)
        return await self._outcome()

    async def _used(self) -> float:
        archive = self._archive
        try:
            free, total = await asyncio.to_thread(archive.disk.statvfs, archive.data_dir)
        except OSError as error:
            self._run.note(f"the volume cannot be asked how full it is: {error.strerror}", "fail")
            return 0.0
        return used_percent(free, total)

    async def _short(self) -> bool:
        """Return whether space is still needed; once there is enough, this run needs no more."""
        self._full = self._full and await self._used() > self._settings.purge_until_percent
        return self._full

    # the trash

    async def _empty_old(self) -> None:
        before = microseconds(self._clock.now() - timedelta(days=self._settings.trash_days))
        for entry in reversed(await self._archive.trash.entries()):
            if entry.at < before:
                await self._empty(entry, f"{plural(self._settings.trash_days, 'day')} in the trash")

    async def _empty_early(self) -> None:
        """Make room: first what rules purged, which is in backups, then what people deleted; oldest first."""
        entries = sorted(await self._archive.trash.entries(), key=lambda each: (not each.rule, each.id))
        for entry in entries:
            if not await self._short():
                return
            await self._empty(entry, "space is needed")

    async def _empty(self, entry: Entry, why: str) -> None:
        self._run.check()
        try:
            await self._archive.trash.empty(entry.id, by="purge")
        except NotFound:
            return
        except PacsError as error:
            self._fail(f"{entry.id} in the trash", error)
            return
        self._sum.emptied += 1
        self._sum.emptied_bytes += entry.bytes
        self._told("space.empty", entry.study, entry.patient_id, why)

    # rules

    async def _purge(self, rules: Sequence[Rule]) -> None:
        now = self._clock.now()
        run = self._run
        run.tell(now="looking for studies")
        found = await matching(self._archive.db, rules, now, self._pinned)
        choices = list(choose(found, rules, now, self._settings.keep_hours, self._full))
        for choice in choices:
            if choice.kept:
                self._sum.kept += 1
                run.note(f"{choice.study.study} stays: {choice.kept}")
        going = [choice for choice in choices if not choice.kept]
        run.tell(
            done=0, total=len(going), unit="studies", done_bytes=0, total_bytes=sum(each.study.bytes for each in going)
        )
        done = 0
        for _, same in groupby(going, key=lambda each: each.rule):
            for group in _groups(list(same)):
                if group[0].rule.when == "full" and not await self._short():
                    break
                await self._group(group)
                done += len(group)
                run.tell(done=done, done_bytes=self._sum.bytes, errors=len(self._sum.failed))

    async def _group(self, group: Sequence[Choice]) -> None:
        """Purge some studies of one rule, as far as they are protected."""
        rule, run = group[0].rule, self._run
        run.check()
        contents = [await instances(self._archive.db, choice.study.key) for choice in group]
        if rule.only_if_backed_up:
            try:
                safe_ones = await self._backups.held([each for content in contents for each in content], rule.copies)
            except PacsError as error:
                self._sum.unseen = str(error)
                self._sum.unsafe += len(group)
                return
        else:
            safe_ones = [True] * sum(len(content) for content in contents)
        at = 0
        for choice, content in zip(group, contents, strict=True):
            held = sum(safe_ones[at : at + len(content)])
            at += len(content)
            if held < len(content):
                self._sum.unsafe += 1
                lacking = plural(len(content) - held, "object")
                run.note(f"{choice.study.study} stays: {lacking} of it are not in the newest snapshot", "warn")
                continue
            if rule.only_if_sent_to and (why := await self._not_sent(choice)):
                self._sum.unsent += 1
                run.note(f"{choice.study.study} stays: {why}", "warn")
                continue
            run.check()
            if rule.when == "full" and not await self._short():
                return
            await self._one(choice, content)

    async def _not_sent(self, choice: Choice) -> str:
        to = choice.rule.only_if_sent_to
        if self._sent is None:
            return f"nobody knows whether it was sent to {' and '.join(to)}"
        try:
            return await self._sent(choice.study.study, to)
        except PacsError as error:
            return str(error)

    async def _one(self, choice: Choice, content: Sequence[Kept]) -> None:
        study = choice.study
        if pinned := self._pinned(study.study):  # since it was chosen
            self._sum.kept += 1
            self._run.note(f"{study.study} stays: {pinned}")
            return
        why = f"{choice.why}; {'backed up' if choice.rule.only_if_backed_up else 'backed up or not'}"
        only = frozenset(each.digest for each in content)
        self._run.tell(now=study.study)
        try:
            entry = await self._archive.trash.delete(
                Which(study.study), why=why, by="purge", rule=choice.rule.name, only=only
            )
        except NotFound:
            return  # somebody was faster
        except PacsError as error:
            self._fail(study.study, error)
            return
        self._sum.studies += 1
        self._sum.bytes += entry.bytes
        self._told("space.delete", study.study, study.patient_id, f"rule {choice.rule.name}: {why}")
        if await self._short():
            await self._empty(entry, "space is needed")

    def _fail(self, what: str, error: PacsError) -> None:
        self._sum.failed.append(what)
        self._run.note(f"{what}: {error}", "fail")
        self._run.tell(errors=len(self._sum.failed))

    async def _outcome(self) -> Outcome:
        found = self._sum
        amount = f" ({size(found.bytes)})" if found.bytes else ""
        parts = [f"{plural(found.studies, 'study', 'studies')} purged{amount}"]
        if found.emptied:
            emptied = plural(found.emptied, "entry", "entries")
            parts.append(f"{emptied} of the trash removed ({size(found.emptied_bytes)})")
        if found.kept:
            parts.append(f"{found.kept:,} kept for other reasons")
        hint = ""
        if found.unsafe:
            parts.append(f"{found.unsafe:,} kept because they are not backed up")
            hint = found.unseen or "back up; the run's log names them"
        if found.unsent:
            parts.append(f"{found.unsent:,} kept because they were not sent everywhere")
            hint = hint or "the queue says why; the run's log names them"
        if found.failed:
            parts.append(f"{len(found.failed):,} could not be moved: {safe(found.failed[0], 80)}")
            hint = "the run's log says why; the others were purged all the same"
        still = self._full and await self._short()
        if still:
            parts.append(f"the volume is still {await self._used():.0f}% full")
            hint = hint or (
                "no rule lets more go: add space, or change [[space.rules]]" if self._settings.rules
                else "nothing is purged without [[space.rules]]: add space, or write rules"
            )  # fmt: skip
        return Outcome("; ".join(parts), bool(found.failed or still or found.unseen), hint)


def _groups(choices: list[Choice]) -> list[list[Choice]]:
    """Cut into groups that are looked for in backups at once."""
    groups: list[list[Choice]] = []
    amount = _GROUP
    for choice in choices:
        if amount + choice.study.instances > _GROUP or len(groups[-1]) >= _GROUP_STUDIES:
            groups.append([])
            amount = 0
        groups[-1].append(choice)
        amount += choice.study.instances
    return groups
