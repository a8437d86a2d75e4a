"""The jobs that a node makes by itself: made where they are missing, changed while nobody else changed them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pacstui.clock import Clock, microseconds
from pacstui.jobs.kinds import Wanted
from pacstui.jobs.runner import Runner
from pacstui.jobs.store import Job


async def want(
    runner: Runner, clock: Clock, wanted: Sequence[Wanted], of: Collection[str] = ()
) -> None:  # fmt: skip
    """Make the jobs that are missing.

    Of those that were wanted earlier and are not now, the ones go that nobody changed; others stay and can be
    deleted. Only jobs of the kinds that ``wanted`` names, and of those in ``of``, are looked at.
    """
    names = {each.name for each in wanted}
    kinds = {each.kind for each in wanted}.union(of)
    now = microseconds(clock.now())
    for each in wanted:
        entry = runner.entries.get(each.name)
        old = entry.job if entry is not None else Job(each.name, each.kind, upto=now, enabled=each.enabled)
        job = replace(old, builtin=True)
        if not old.edited:
            job = replace(
                job, kind=each.kind, parameters=dict(each.parameters), schedule=each.schedule, follows=each.after,
                retries=each.retries, retry_ms=round(each.retry_s * 1000), timeout_ms=round(each.timeout_s * 1000),
            )  # fmt: skip
            if job.schedule != old.schedule:
                job = replace(job, upto=now)
        if entry is None or job != old:
            await runner.put(job)
    gone = [
        entry.job for entry in runner.entries.values()
        if entry.job.builtin and entry.job.kind in kinds and entry.job.name not in names
    ]  # fmt: skip
    await runner.remove(job.name for job in gone if not job.edited)
    for job in gone:
        if job.edited:
            await runner.put(replace(job, builtin=False))
