"""The job ``database``: is it sound, are its statistics fresh, is its log folded in."""

from __future__ import annotations

import asyncio
import os
import sqlite3

from pacstui.db import Database, Writer
from pacstui.db.faults import translate
from pacstui.errors import Corrupt
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run
from pacstui.jobs.waiting import until_done
from pacstui.text import plural, size


def database_kind(database: Database) -> Kind:
    """Return the kind of job that looks after the database."""

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
