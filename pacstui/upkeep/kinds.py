"""Kinds of jobs for upkeep, and those jobs that a node makes by itself."""

from __future__ import annotations

import asyncio
import os
import sqlite3

from pacstui.archive import Archive
from pacstui.archive.reconcile import Report
from pacstui.archive.reindex import Reindex
from pacstui.audit.room import AuditRoom
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.peers import EchoResult
from pacstui.db import Database, Writer
from pacstui.db.faults import translate
from pacstui.equipment.room import PeersRoom
from pacstui.errors import Corrupt, PacsError
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run, Wanted
from pacstui.text import plural, safe, size
from pacstui.upkeep.integrity import integrity_kind
from pacstui.upkeep.waiting import until_done

_AT_ONCE = 4
_NAMED = 8
_KEEP_EVERY = 2_000


def kinds(archive: Archive, peers: PeersRoom, audit: AuditRoom, bus: Bus, clock: Clock) -> tuple[Kind, ...]:
    """Return all kinds of upkeep."""
    return (
        _echo_sweep(peers), _reindex(archive), _reconcile(archive), integrity_kind(archive, bus, clock),
        _database(archive.db), _audit_verify(audit),
    )  # fmt: skip


def wanted(any_peers: bool) -> tuple[Wanted, ...]:
    """Return the jobs that a node makes by itself; people may change them."""
    sweep = (Wanted("echo-sweep", "echo-sweep", {}, "every 15 min"),) if any_peers else ()
    return (
        *sweep,
        Wanted("integrity", "integrity", {"percent": "2"}, "daily 01:30"),
        Wanted("database", "database", {}, "sun 04:30"),
        Wanted("audit-verify", "audit-verify", {}, "sun 04:00"),
        Wanted("reindex", "reindex", {}, ""),
        Wanted("reconcile", "reconcile", {}, ""),
    )


KINDS = ("echo-sweep", "integrity", "database", "audit-verify", "reindex", "reconcile")
"""The kinds whose jobs `wanted` speaks for."""


def _echo_sweep(peers: PeersRoom) -> Kind:
    async def work(run: Run) -> Outcome:
        asked = [name.strip() for name in run.parameters["peers"].split(",") if name.strip()]
        names = asked or [peer.name for peer in await peers.list() if peer.probe]
        gate = asyncio.Semaphore(_AT_ONCE)
        found: dict[str, EchoResult] = {}
        unknown: dict[str, str] = {}
        run.tell(total=len(names), done=0, unit="peers")

        async def ask(name: str) -> None:
            async with gate:
                if run.stopping:
                    return
                run.tell(now=safe(name, 64))
                try:
                    found[name] = await peers.echo(name, quiet=True)
                except PacsError as fault:
                    unknown[name] = fault.message
                silent = sum(not each.ok for each in found.values()) + len(unknown)
                run.tell(done=len(found) + len(unknown), errors=silent)

        async def all_of_them() -> None:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(ask(name))

        await until_done(run, all_of_them())
        run.check()
        silent = dict(unknown)
        for name in names:
            if name in found and not found[name].ok:
                step = next(each for each in found[name].steps if not each.ok)
                silent[name] = f"{step.name}: {step.detail}"
        for name, why in silent.items():
            run.note(f"{name} does not answer: {why}", "warn")
        if not names:
            return Outcome("there are no peers to ask")
        if not silent:
            return Outcome(f"{plural(len(names), 'peer')} answered")
        told = ", ".join(f"{safe(name, 64)} ({safe(why, 120)})" for name, why in list(silent.items())[:_NAMED])
        more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
        return Outcome(
            f"{len(names) - len(silent)} of {plural(len(names), 'peer')} answered; silent: {told}{more}", True,
            "the screen Peers has each step of an echo: e",
        )  # fmt: skip

    named = Parameter("peers", "Names of peers with commas between; empty: all")
    text = "Asks each peer by C-ECHO whether it answers, and names those that do not."
    return Kind("echo-sweep", "echo peers", text, work, (named,), quiet=True)


def _reindex(archive: Archive) -> Kind:
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


def _reconcile(archive: Archive) -> Kind:
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


def _database(database: Database) -> Kind:
    async def work(run: Run) -> Outcome:
        pragma = "integrity_check" if run.parameters["check"] == "full" else "quick_check"
        run.tell(now="looking through all pages")
        rows = await until_done(run, database.read(lambda c: c.execute(f"PRAGMA {pragma}(20)").fetchall()))
        flaws = [str(row[0]) for row in rows if row[0] != "ok"]
        for flaw in flaws:
            run.note(flaw, "fail")
        if flaws:
            raise Corrupt(
                f"the database is damaged in {plural(len(flaws), 'place')}: {flaws[0]}",
                "stop the node, keep a copy, and restore the index from a backup",
            )
        run.tell(now="folding in the log")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def tidy(writer: Writer) -> None:
            writer.connection.execute("PRAGMA analysis_limit=400")
            writer.connection.execute("PRAGMA optimize").fetchall()
            writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

        def finished(_: object, error: BaseException | None) -> None:
            if not done.done():
                done.set_exception(error) if error is not None else done.set_result(None)

        database.submit(tidy, finished)
        try:
            await done
        except sqlite3.Error as error:
            raise translate(error) from error
        pages, free, page = await database.read(_sizes)
        log = await asyncio.to_thread(_length, f"{database.path}-wal")
        return Outcome(f"sound; {size(pages * page)}, {size(free * page)} of it free, log {size(log)}")

    depth = Parameter("check", "quick looks at all pages, full compares indexes too", "quick", ("quick", "full"))
    text = "Looks whether the database is sound, brings its statistics up to date and folds in its log."
    return Kind("database", "check the database", text, work, (depth,), lane="database")


def _sizes(connection: sqlite3.Connection) -> tuple[int, ...]:
    names = ("page_count", "freelist_count", "page_size")
    return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)


def _length(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _audit_verify(audit: AuditRoom) -> Kind:
    async def work(run: Run) -> Outcome:
        verdict = await until_done(run, audit.verify())
        if verdict.flaws:
            for flaw in verdict.flaws:
                run.note(f"entries {flaw.first} to {flaw.last}: {flaw.text}", "fail")
            raise Corrupt(
                f"the audit trail is not as it was written, in {plural(len(verdict.flaws), 'place')}",
                "pacstui audit verify tells where; keep a copy of the data directory as it is",
            )
        return Outcome(f"{plural(verdict.entries, 'entry', 'entries')} as they were written")

    text = "Looks whether an entry of the audit trail was changed, removed or put in."
    return Kind("audit-verify", "verify the audit trail", text, work)
