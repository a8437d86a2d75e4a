"""The jobs ``reindex`` and ``reconcile``: files and the index, brought to agree."""

from __future__ import annotations

from pacstui.archive import Archive
from pacstui.archive.reconcile import Report
from pacstui.archive.reindex import Reindex
from pacstui.jobs.kinds import Kind, Outcome, Run
from pacstui.jobs.waiting import until_done
from pacstui.text import plural

_KEEP_EVERY = 2_000


def reindex_kind(archive: Archive) -> Kind:
    """Return the kind of job that reads further attributes of objects into the index."""

    async def work(run: Run) -> Outcome:
        after = int(run.kept) if run.kept.isdigit() else 0
        total, before = await archive.db.read(
            lambda c: c.execute("SELECT count(*), sum(id <= ?) FROM instances", (after,)).fetchone()
        )
        reading = Reindex(archive.data_dir, archive.db, after)
        run.tell(total=total, done=before or 0, unit="objects")
        if after:
            run.note(f"goes on after {before:,} objects")
        kept = 0
        async for progress in reading.steps():
            run.tell(done=(before or 0) + progress.read, errors=progress.unreadable)
            if run.stopping or progress.read - kept >= _KEEP_EVERY:
                kept = progress.read
                await run.keep(str(reading.after))
            run.check()
        await run.keep("")
        progress = reading.progress
        for path, why in reading.unreadable:
            run.note(f"{path} could not be read: {why}", "warn")
        told = f"{plural((before or 0) + progress.read, 'object')} read into the index"
        if progress.unreadable:
            told += f", {progress.unreadable:,} could not be read"
        return Outcome(told, bool(progress.unreadable), "the run's log names them" if progress.unreadable else "")

    text = "Reads further attributes of all stored objects into the index, after the settings ask for others."
    label, permission = "read objects into the index", "storage.reindex"
    return Kind("reindex", label, text, work, resumes=True, lane="archive", permission=permission)


def reconcile_kind(archive: Archive) -> Kind:
    """Return the kind of job that compares files and index."""

    async def work(run: Run) -> Outcome:
        reports: list[Report] = []
        total = (await archive.db.read(lambda c: c.execute("SELECT count(*) FROM instances").fetchone()))[0]
        run.tell(total=total, done=0, unit="files")

        def look() -> None:
            if reports:
                report = reports[0]
                run.tell(done=min(report.scanned, total), errors=report.missing + report.unreadable)

        report = await until_done(run, archive.reconcile(watch=reports.append), look)
        for path in report.missing_paths:
            run.note(f"{path} is not there, or not whole", "fail")
        found = [
            f"{number:,} {what}"
            for number, what in (
                (report.adopted, "adopted"), (report.found_again, "found again"), (report.missing, "missing"),
                (report.unreadable, "unreadable, set aside"), (report.duplicates, "duplicates"),
            )
            if number
        ]  # fmt: skip
        told = f"{plural(report.scanned, 'file')} compared: {', '.join(found) or 'files and index agree'}"
        bad = bool(report.missing or report.unreadable)
        return Outcome(told, bad, "pacstui storage missing lists what has no file" if report.missing else "")

    text = "Compares all files with the index: adopts files without a row, marks rows without a file."
    return Kind("reconcile", "compare files and index", text, work, resumes=True, lane="archive")
