"""A report as text, CSV, JSON or a page of HTML. What the network sent is never markup, nor a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from html import escape
from typing import Final

from pacstui.contract.reports import PartRow, UsageReport
from pacstui.text import count, guarded, plural, safe, size

Cell = str | int


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report: its heading, its columns, its rows; ``empty`` says what there would be."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    sizes: frozenset[int] = frozenset()
    """Columns of bytes: shown in words for people, as numbers for programs."""


def when(at: datetime | None) -> str:
    """Return a local time, ``never`` for none."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at is not None else "never"


def head(report: UsageReport) -> tuple[tuple[str, str], ...]:
    """Return what is said before the tables: words and what they are."""
    used = report.volume_bytes - report.free_bytes
    percent = f" ({100 * used / report.volume_bytes:.0f}%)" if report.volume_bytes else ""
    full = f"full on {report.full_on} at the present growth" if report.full_on else "not full within ten years"
    unsaved = min((row.unsaved for row in report.backups), default=-1)
    safe_words = "no backup target" if unsaved < 0 else f"{plural(unsaved, 'instance')} in no newest snapshot"
    failed = sum(row.failed for row in report.jobs)
    return (
        ("node", safe(report.node, 16)),
        ("period", f"{report.first} to {report.last}"),
        ("made", when(report.made)),
        ("received", f"{plural(report.studies, 'study', 'studies')}, {plural(report.instances, 'instance')}, "
                     f"{size(report.bytes)}"),
        ("archive", f"{plural(report.archive_studies, 'study', 'studies')}, "
                    f"{plural(report.archive_instances, 'instance')}, {size(report.archive_bytes)}"),
        ("volume", f"{size(used)} of {size(report.volume_bytes)} used{percent}, {size(report.free_bytes)} free"),
        ("growth", f"{size(report.growth_bytes_per_day)} a day; {full}"),
        ("backups", safe_words),
        ("jobs", f"{plural(sum(row.runs for row in report.jobs), 'run')}, {count(failed)} failed"),
    )  # fmt: skip


def tables(report: UsageReport) -> tuple[Table, ...]:
    """Return the tables of a report."""

    def parts(rows: Sequence[PartRow]) -> tuple[tuple[Cell, ...], ...]:
        return tuple((row.name, row.studies, row.instances, row.bytes) for row in rows)

    received = ("studies", "instances", "bytes")
    busy = [row for row in report.days if row.instances] if len(report.days) > 62 else report.days
    return (
        Table("Days", ("day", *received),
              tuple((row.day.isoformat(), row.studies, row.instances, row.bytes) for row in busy),
              "nothing was received", frozenset({3})),
        Table("Modalities", ("modality", *received), parts(report.modalities), "nothing was received", frozenset({3})),
        Table("Senders", ("AE title", *received), parts(report.senders), "nothing was received", frozenset({3})),
        Table("Associations",
              ("AE title", "associations", "broken off", "refused", "not stored", "set aside", "sent", "not sent",
               "fetched", "not fetched"),
              tuple((row.name, row.associations, row.broken, row.refused, row.not_stored, row.set_aside, row.sent,
                     row.not_sent, row.fetched, row.not_fetched) for row in report.callers),
              "nobody called"),
        Table("Backups", ("target", "state", "last good", "unsaved", "unsaved bytes", "checked", "drill", "problem"),
              tuple((row.name, row.state, when(row.last_good), row.unsaved, row.unsaved_bytes, row.checked, row.drill,
                     row.problem) for row in report.backups),
              "there is no backup target: what the disk loses is lost", frozenset({4})),
        Table("Jobs", ("job", "runs", "done", "with a warning", "failed", "late"),
              tuple((row.job, row.runs, row.done, row.warnings, row.failed, row.late) for row in report.jobs),
              "no job ran"),
    )  # fmt: skip


def _told(table: Table, row: Sequence[Cell]) -> list[str]:
    """Return a row's cells for a person."""
    return [
        size(cell) if at in table.sizes and isinstance(cell, int) else count(cell) if isinstance(cell, int)
        else safe(cell, 200)
        for at, cell in enumerate(row)
    ]  # fmt: skip


def _numeric(table: Table, at: int) -> bool:
    return bool(table.rows) and isinstance(table.rows[0][at], int)


def text(report: UsageReport) -> str:
    """Return the report as plain text."""
    lines = [f"{name:<10}{told}" for name, told in head(report)]
    for table in tables(report):
        lines += ["", table.heading.upper()]
        if not table.rows:
            lines.append(table.empty)
            continue
        body = [list(table.columns), *(_told(table, row) for row in table.rows)]
        widths = [max(len(row[at]) for row in body) for at in range(len(table.columns))]
        for row in body:
            cells = [
                f"{cell:>{widths[at]}}" if _numeric(table, at) else f"{cell:<{widths[at]}}"
                for at, cell in enumerate(row)
            ]
            lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def comma_separated(report: UsageReport) -> str:
    """Return the report as CSV (RFC 4180): the tables one after the other, an empty line between."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([name, guarded(told)] for name, told in head(report))
    for table in tables(report):
        writer.writerow([])
        writer.writerow([table.heading])
        writer.writerow(table.columns)
        writer.writerows([guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows)
    return out.getvalue()


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


def as_json(report: UsageReport) -> str:
    """Return the report as JSON, with the names of :class:`pacstui.contract.reports.UsageReport`."""
    return json.dumps(asdict(report), default=_plain, indent=2) + "\n"


_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.2rem .8rem;text-align:left;"
    "border-bottom:1px solid #ddd}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}h2{margin:1.5rem 0 0}"
)


def html(report: UsageReport) -> str:
    """Return the report as one page of HTML without anything from elsewhere."""
    title = f"{safe(report.node, 16)}, {report.first} to {report.last}"
    return "\n".join([
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8">', f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style></head><body>", f"<h1>{escape(title)}</h1>", "<table>",
        *(f"<tr><th>{escape(name)}</th><td>{escape(told)}</td></tr>" for name, told in head(report)), "</table>",
        *(line for table in tables(report) for line in _html(table)), "</body></html>", "",
    ])  # fmt: skip


def _html(table: Table) -> Iterator[str]:
    yield f"<h2>{escape(table.heading)}</h2>"
    if not table.rows:
        yield f"<p>{escape(table.empty)}</p>"
        return
    style = ['class="n"' if _numeric(table, at) else "" for at in range(len(table.columns))]
    yield "<table><tr>" + "".join(f"<th {style[at]}>{escape(name)}</th>" for at, name in enumerate(table.columns))
    for row in table.rows:
        yield "</tr><tr>" + "".join(f"<td {style[at]}>{escape(told)}</td>" for at, told in enumerate(_told(table, row)))
    yield "</tr></table>"


FORMATS: Final[dict[str, Callable[[UsageReport], str]]] = {
    "txt": text, "csv": comma_separated, "json": as_json, "html": html,
}  # fmt: skip
