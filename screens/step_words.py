"""A step of the worklist told in words: whose it is, what was ordered, and what is wrong with it and mends that."""

from __future__ import annotations

from datetime import date

from pacstui.contract.worklist import PerformedRow, StepRow
from pacstui.text import count, plural, safe
from screens import worklist_cells as cells
from screens.privacy import Privacy
from screens.widgets.line import Line, fit
from screens.widgets.panel import words

LABEL = 11


def fact(lines: list[Line], width: int, label: str, text: str, role: str = "text") -> None:
    """Add a fact under its label; nothing where there is none."""
    if text:
        lines.extend(words(text, width, role, LABEL, Line(fit(label, LABEL), "dim")))


def whose(row: StepRow, privacy: Privacy) -> str:
    """Return whose step it is: name, birth date, sex."""
    born = f", born {privacy.ident(cells.born(row.birth_date))}" if row.birth_date else ""
    sex = f", {safe(row.sex, 4)}" if row.sex else ""
    return f"{privacy.name(row.patient_name)}{born}{sex}"


def where(row: StepRow, today: date) -> str:
    """Return when and where it is to be done, in words."""
    when = f"{cells.day(row.date, today)} {cells.clock(row.time)}".strip() or "at no time"
    room = f" in {safe(row.room, 64)}" if row.room else ""
    station = f" on {safe(row.station_ae, 32)}" if row.station_ae else " on any station"
    late = f"; {cells.late_words(row.late_min)}" if cells.is_late(row) else ""
    return f"{when}{room}{station} ({safe(row.modality, 8)}){late}"


def counted(row: StepRow | PerformedRow) -> str:
    """Return how many images came, of how many."""
    if row.expected < 0:
        came = f"{count(row.received)} here" if row.received else "none here"
        return f"{came}; the modality named none yet"
    if row.expected == row.received:
        return f"all {count(row.expected)} that the modality named are here"
    return f"{count(row.received)} of {count(row.expected)} here: {cells.missing(row)}"


def wrong(row: StepRow, performed: tuple[PerformedRow, ...] | None = None) -> list[tuple[str, str]]:
    """Return what is wrong with a step, each with what mends it.

    ``performed`` are its performed steps, none where they are not known here.
    """
    found: list[tuple[str, str]] = []
    station = safe(row.station_ae, 32) or "the modality"
    named = performed is None or any(each.expected >= 0 for each in performed)
    if row.state == "no images yet":
        told = f"{station} reported it as completed" if named and row.expected >= 0 else "it is completed"
        found.append(
            (
                f"{told}, but no image of it is here",
                f"send it again from {station}; does it send to this node at all? 5 tests it, 2 shows who called",
            )
        )
    elif cells.is_over(row) and row.expected > row.received and row.state != "cancelled":
        found.append(
            (cells.missing(row), f"send the study again from {station}: what is here already is not kept twice")
        )
    elif row.expected >= 0 and row.received > row.expected and cells.is_over(row):
        found.append((cells.missing(row), "nothing is lost: images were added after the modality had reported"))
    if row.state == "on hold":
        why = f": {safe(row.held_why, 200)}" if row.held_why else ", no reason was given"
        came = f"; {plural(row.received, 'image')} came all the same" if row.received else ""
        found.append(
            (
                f"on hold by {safe(row.held, 100)}{why}{came}",
                "no modality is told of it; whoever holds it releases it, or s does (arrived, scheduled)",
            )
        )
    if row.state == "cancelled" and row.received:
        found.append(
            (
                f"it is cancelled, but {plural(row.received, 'image')} came",
                "v shows them; if they belong to another order, X puts that right; s sets it completed",
            )
        )
    if cells.is_late(row):
        if row.received:
            found.append(
                (
                    "its images come, but the modality did not report that it began",
                    "s sets it completed; MPPS at the modality would do so by itself",
                )
            )
        else:
            found.append(
                (
                    f"it should have begun at {cells.clock(row.time)}",
                    "e gives it another time, x cancels it; s says that the patient is here",
                )
            )
    elif row.state == "scheduled" and row.received and not performed:
        found.append(
            (
                "images of it are here, but no modality reported that it was done",
                "s sets it completed; MPPS at the modality would do so by itself",
            )
        )
    if row.state == "in progress" and row.late_min > 0:
        found.append(
            (
                f"it is in progress and {cells.late_words(row.late_min)}",
                "if the modality forgot to end it, s sets it completed",
            )
        )
    return found  # fmt: skip


def trouble(
    row: StepRow, width: int, privacy: Privacy, performed: tuple[PerformedRow, ...] | None = None
) -> list[Line]:
    """Return what is wrong and what mends it, as lines."""
    lines: list[Line] = []
    for what, mends in wrong(row, performed):
        lines += words(privacy.sentence(what), width, "warn-text", 2, Line("! ", "warn"))
        lines += words(mends, width, "strong", 2, Line("> ", "accent"))
    return lines


def told(row: StepRow, privacy: Privacy, today: date, width: int) -> list[Line]:
    """Return a step in some lines: what is wrong with it first."""
    lines = trouble(row, width, privacy)
    fact(lines, width, "patient", f"{whose(row, privacy)}; ID {privacy.ident(row.patient_id, '(none)')}", "strong")
    fact(lines, width, "scheduled", where(row, today))
    fact(lines, width, "accession", privacy.ident(row.accession))
    fact(lines, width, "images", counted(row))
    return lines
