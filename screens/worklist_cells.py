"""How steps of the worklist look: states as words with symbols, days and times, lateness, expected against received."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from pacstui.contract.worklist import PerformedRow, StepRow
from pacstui.text import count, person, plural, safe
from screens.privacy import Privacy
from screens.widgets import columns as cols

C = cols.Column
STATES = {
    "scheduled": ("\u00b7 scheduled", "text"),
    "arrived": ("+ arrived", "accent"),
    "on hold": ("~ on hold", "warn-text"),
    "in progress": ("> in progress", "good"),
    "completed": ("= completed", "dim"),
    "no images yet": ("! no images", "warn"),
    "discontinued": ("- discontinued", "warn-text"),
    "cancelled": ("- cancelled", "dim"),
}
"""Words for where a step stands."""

PERFORMED = {
    "IN PROGRESS": ("> in progress", "good"), "COMPLETED": ("= completed", "dim"),
    "DISCONTINUED": ("- discontinued", "warn-text"),
}  # fmt: skip
"""Words for the state of a performed procedure step."""

URGENT = ("STAT", "HIGH")
GRACE_MIN = 5
"""Minutes after its time for which nobody calls a step late."""

STEPS = (
    C("time", 6),
    C("state", 13),
    C("mod", 3),
    C("room", 7, grow=1, most=20),
    C("patient", 11, grow=3, most=36, role="strong"),
    C("ID", 9, grow=1, rank=2, most=20),
    C("born", 10, rank=5),
    C("procedure", 12, grow=6, most=60),
    C("accession", 10, grow=1, rank=3, most=18),
    C("station", 8, grow=1, rank=4, most=16),
    C("images", 7, align=">"),
    C("asked by", 10, grow=1, rank=6, most=30, role="dim"),
)
"""Columns of a list of steps."""


def state(text: str) -> tuple[str, str]:
    """Return where a step stands as a word with its symbol."""
    return STATES.get(text, (safe(text, 20), "warn-text"))


def performed(text: str) -> tuple[str, str]:
    """Return the state of a performed step as a word with its symbol."""
    return PERFORMED.get(text, (safe(text, 20), "warn-text"))


def clock(text: str) -> str:
    """Return a TM value as people write it: 09:30; empty if there is none."""
    return f"{text[:2]}:{text[2:4]}" if text[:4].isdigit() and len(text[:4]) == 4 else safe(text, 8)


def day(text: str, today: date) -> str:
    """Return a DA value as people say it: today, tomorrow, Mon 30 Nov, 2027-01-04."""
    try:
        found = datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return safe(text, 16)
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}.get((found - today).days)
    return near or (f"{found:%a} {found.day} {found:%b}" if abs((found - today).days) < 200 else f"{found:%Y-%m-%d}")


def weekday(text: str) -> str:
    """Return the day of the week and the date of a DA value: Sat 28 Nov."""
    found = datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    return f"{found:%a} {found.day} {found:%b}"


def date_short(text: str) -> str:
    """Return a DA value in six cells: 28 Nov."""
    try:
        found = datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return safe(text, 8)
    return f"{found.day} {found:%b}"


def moved(text: str, by: int) -> str:
    """Return the day ``by`` days after a DA value."""
    found = datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    return f"{found + timedelta(days=by):%Y%m%d}"


def standing(row: StepRow) -> cols.Cell:
    """Return where a step stands as a word with its symbol; of one that is overdue how late it is."""
    if not is_late(row):
        return state(row.state)
    if row.state == "arrived":
        return f"! arrived {short(row.late_min)}", "warn"
    return f"! {row.late_min} min late" if row.late_min < 100 else f"! {row.late_min // 60} h late", "warn"


def is_late(row: StepRow) -> bool:
    """Return whether a step should have begun some time ago."""
    return row.late_min >= GRACE_MIN and row.state in ("scheduled", "arrived")


def short(minutes: int) -> str:
    """Return some minutes in three cells: 23m, 3h."""
    return f"{minutes}m" if minutes < 100 else f"{min(99, minutes // 60)}h"


def late_words(minutes: int) -> str:
    """Return how late a step is in words."""
    return f"{plural(minutes, 'minute')} late" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min late"


def images(expected: int, received: int, over: bool = True) -> tuple[str, str]:
    """Return received of expected instances; while the work is not ``over``, fewer are nothing to look at."""
    if expected < 0:
        return (count(received), "text") if received else ("-", "dim")
    told = f"{count(received)}/{count(expected)}"
    if received == expected:
        return told, "good"
    return (f"!{told}", "warn") if over or received > expected else (told, "text")


def is_over(row: StepRow) -> bool:
    """Return whether nothing more is to come of a step."""
    return row.state in ("completed", "no images yet", "discontinued", "cancelled")


def procedure(row: StepRow) -> cols.Cell:
    """Return what is to be done, after its priority where that is one to hurry for."""
    text = safe(row.description, 128) or "(no description)"
    if row.priority.upper() in URGENT:
        return f"{row.priority.upper()}: {text}", "warn-text"
    return (text, "text") if row.description else (text, "dim")


def step(row: StepRow, privacy: Privacy, day: str = "") -> tuple[cols.Cell, ...]:
    """Return the cells of `STEPS`; of a step of another day than ``day`` the date stands in place of the time."""
    return (
        (clock(row.time) or ("-", "dim")) if row.date == (day or row.date) else (date_short(row.date), "accent"),
        standing(row),
        safe(row.modality, 8),
        safe(row.room or row.station_ae, 64) or ("-", "dim"),
        privacy.name(row.patient_name),
        privacy.ident(row.patient_id, "(none)"),
        privacy.ident(born(row.birth_date)),
        procedure(row),
        privacy.ident(row.accession),
        safe(row.station_ae, 32) or ("any", "dim"),
        images(row.expected, row.received, is_over(row)),
        physician(row.physician),
    )


def born(text: str) -> str:
    """Return a birth date as people write it."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else safe(text, 16)


def physician(name: str) -> str:
    """Return a physician's name as it is read; empty if there is none."""
    return person(name, "")


def missing(row: PerformedRow | StepRow) -> str:
    """Say in words how what was named and what came differ; empty if they do not, or nothing was named."""
    if row.expected < 0 or row.expected == row.received:
        return ""
    if row.received < row.expected:
        return f"{plural(row.expected - row.received, 'image')} of {count(row.expected)} not here"
    return f"{plural(row.received - row.expected, 'image')} more than the {count(row.expected)} that were named"


def counted(counts: Mapping[str, int]) -> int:
    """Return how many steps there are in all."""
    return sum(counts.values())
