"""How what goes out looks: words with symbols, the columns of a sending, and what is told of a chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pacstui.contract.queue import DestinationRow, OutboxRow, SendingRow
from pacstui.contract.sheets import status_word
from pacstui.text import ago, count, duration, plural, safe, size
from screens.job_cells import when
from screens.privacy import Privacy
from screens.widgets import columns as cols
from screens.widgets.line import Line, fit
from screens.widgets.panel import words

C = cols.Column
DESTINATION = {
    "down": ("x down", "fail"), "unknown": ("x unknown", "fail"), "paused": ("! paused", "warn"),
    "held up": ("! held up", "warn"), "sending": ("> sending", "good"), "waiting": (". waiting", "accent"),
    "closed": ("- closed", "dim"), "idle": ("= idle", "dim"),
}  # fmt: skip
"""Words for the status of a destination."""

STATES = {
    "gathering": (". gathering", "accent"), "waiting": (". waiting", "accent"), "sending": ("> sending", "good"),
    "retrying": ("! retrying", "warn-text"), "held": ("- held", "warn-text"), "failed": ("x failed", "fail-text"),
    "warning": ("! warning", "warn-text"), "filtered": ("! kept back", "warn-text"),
    "cancelled": ("- cancelled", "dim"), "sent": ("= sent", "good"),
}  # fmt: skip
"""Words for the state of a sending, and of an object."""

FILTERS = (
    ("unsent", "not sent yet"), ("trouble", "in trouble"), ("failed", "failed"), ("held", "held"),
    ("warning", "sent with a warning"), ("filtered", "kept back"), ("cancelled", "cancelled"), ("sent", "sent"),
    ("all", "all"),
)  # fmt: skip
"""What a list of sendings can be limited to, as the node calls it and as people do."""

SENDING = (
    C("", 1),
    C("state", 11),
    C("patient", 10, grow=2, most=32, role="strong"),
    C("ID", 8, grow=1, rank=6, most=20),
    C("mod", 3, rank=4),
    C("study", 10, grow=2, most=48),
    C("done", 9, align=">"),
    C("age", 7, align=">"),
    C("tries", 5, align=">", rank=3),
    C("next try", 11, rank=2),
    C("status", 6, rank=5),
    C("what is happening", 12, grow=14, rank=1, most=90),
    C("route", 10, grow=1, rank=7, most=24, role="dim"),
    C("priority", 8, rank=8, role="dim"),
)
OBJECT = (
    C("state", 11),
    C("SOP instance", 16, grow=4, most=64, role="strong"),
    C("size", 7, align=">", rank=3),
    C("tries", 5, align=">"),
    C("next try", 11, rank=2),
    C("status", 6),
    C("what was answered", 22, grow=6, rank=1, most=120),
)


def status_of(row: DestinationRow) -> tuple[str, str]:
    """Return the status of a destination as a word with its symbol."""
    if row.failed and row.status in ("idle", "waiting"):
        return "! failed", "fail-text"
    return DESTINATION.get(row.status, (safe(row.status, 20), "warn-text"))


def troubled(row: DestinationRow) -> bool:
    """Return whether somebody should look at a destination."""
    return bool(row.failed) or row.status in ("down", "unknown", "held up", "paused")


def happening(row: DestinationRow, at: datetime, counts: bool = True) -> str:
    """Say what happens at a destination; where it is down, since when, first; with how many failed and are held."""
    text = safe(row.state, 300)
    if row.status == "down" and row.down_since is not None:
        text = f"since {when(row.down_since, at).removeprefix('today ')}: {text}"
    elif row.status == "sending" and row.rate > 0:
        text = f"{text}, about {duration(row.waiting / row.rate)} left"
    more: list[str] = []
    if not counts:
        return text
    if row.failed and "failed" not in text:
        more.append(f"{count(row.failed)} failed")
    if row.held and "held" not in text:
        more.append(f"{count(row.held)} held")
    return f"{text}; {', '.join(more)}" if more else text


def objects(row: SendingRow) -> int:
    """Return how many objects a sending has."""
    return row.waiting + row.sent + row.warning + row.failed + row.cancelled + row.filtered


def state(word: str) -> tuple[str, str]:
    """Return a state as a word with its symbol."""
    return STATES.get(word, (safe(word, 20), "warn-text"))


def words_of(row: SendingRow, now: datetime) -> str:
    """Say what happens to a sending."""
    if row.state == "gathering" and row.due is not None:
        return f"waits until nothing more comes: {duration((row.due - now).total_seconds())}"
    if row.state == "held":
        return "held: l lets it go" + (f"; {safe(row.error, 200)}" if row.error else "")
    return safe(row.error, 300)


def next_try(due: datetime | None, waiting: int, now: datetime) -> cols.Cell:
    """Return when something is tried next."""
    if not waiting:
        return "-", "dim"
    return when(due, now) if due is not None else "now"


def sending(row: SendingRow, now: datetime, privacy: Privacy, marked: bool) -> Sequence[cols.Cell]:
    """Return the cells of a sending."""
    told = words_of(row, now)
    bad = row.failed or row.filtered
    done = f"{count(row.sent + row.warning)}/{count(objects(row))}"
    return (
        ("*", "key") if marked else " ",
        state(row.state),
        privacy.name(row.patient_name),
        privacy.ident(row.patient_id, "(none)"),
        safe(row.modalities, 12) or "-",
        safe(row.description, 128) or ("(no description)", "dim"),
        (done, "fail-text" if row.failed else "text"),
        duration((now - row.queued).total_seconds()),
        count(row.attempts) if row.attempts else ("-", "dim"),
        next_try(row.due, row.waiting, now),
        status_word(row.status) or ("-", "dim"),
        (told, "fail-text" if bad else "warn-text") if row.error else (told, "dim"),
        safe(row.route, 64) or f"by {safe(row.asked_by, 64) or 'hand'}",
        safe(row.priority, 8),
    )


def outbox(row: OutboxRow, now: datetime) -> Sequence[cols.Cell]:
    """Return the cells of an object of a sending."""
    return (
        state(row.state),
        safe(row.sop_instance, 64),
        size(row.size),
        count(row.attempts) if row.attempts else ("-", "dim"),
        next_try(row.next_try, row.state == "waiting", now),
        status_word(row.status) or ("-", "dim"),
        (safe(row.error, 300), "fail-text" if row.state == "failed" else "warn-text") if row.error else ("", "dim"),
    )


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def counted(row: SendingRow) -> str:
    """Say how many objects of a sending are where: ``398 of 412 sent, 12 failed, 2 wait``."""
    parts = [f"{count(row.sent + row.warning)} of {plural(objects(row), 'object')} sent"]
    for number, word in (
        (row.waiting, _wait(row.waiting)), (row.failed, "failed"), (row.warning, "with a warning"),
        (row.filtered, "kept back"), (row.cancelled, "cancelled"),
    ):  # fmt: skip
        if number:
            parts.append(f"{count(number)} {word}")
    return ", ".join(parts)


def error_of(error: str, status: int | None) -> str:
    """Return an error with the status that was answered, where the error does not name it itself."""
    word = status_word(status)
    text = safe(error, 400)
    return text if not word or word in text else f"{text} ({word})"


def told(row: SendingRow, now: datetime, width: int) -> list[Line]:
    """Return what is told of a sending below a list: the error in full, its status, what mends it, then the rest."""
    lines: list[Line] = []
    if row.error:
        mark, role = ("x ", "fail-text") if row.failed else ("! ", "warn-text")
        lines += words(error_of(row.error, row.status), width, role, 2, Line(mark, role))
        if row.hint:
            lines += words(safe(row.hint, 300), width, "strong", 2, Line("> ", "accent"))
    tries = f", {plural(row.attempts, 'try', 'tries')} failed" if row.attempts else ""
    due = f", next try {when(row.due, now)}" if row.due is not None and row.state != "gathering" else ""
    by = f"route {safe(row.route, 64)}" if row.route else f"asked for by {safe(row.asked_by, 64) or 'somebody'}"
    through = f", through {safe(row.transform, 64)}" if row.transform else ""
    text = f"{counted(row)}{tries}{due}; queued {ago(row.queued, now)}, {by}{through}, {safe(row.priority, 8)} priority"
    return lines + words(text, width, "dim")


def facts(row: DestinationRow | None, name: str, at: datetime, width: int) -> list[Line]:
    """Return a destination in some lines: status and counts, what is happening, what mends it."""
    if row is None:
        return [Line("Nothing waits for it, and nothing was sent to it since the node started.", "dim")]
    word, role = status_of(row)
    line = Line(word, role).add(f"  {count(row.waiting)} {_wait(row.waiting)}", "strong")
    if row.waiting:
        line.add(f" ({size(row.bytes)})", "dim")
    line.add(f"  {count(row.failed)} failed", "fail-text" if row.failed else "dim")
    if row.held:
        line.add(f"  {count(row.held)} held", "warn-text")
    if row.oldest is not None:
        line.add(f"  oldest {duration((at - row.oldest).total_seconds())}")
    line.add(f"  {count(row.sent)} sent since start", "dim")
    if row.last_sent is not None:
        line.add(f", last {ago(row.last_sent, at)}", "dim")
    lines = [line.cut(width)]
    bad = row.status in ("down", "unknown")
    lines += words(
        happening(row, at, counts=False), width, "fail-text" if bad else "text", 2, Line("x " if bad else "  ", "fail")
    )
    if row.hint:
        lines += words(safe(row.hint, 300), width, "strong", 2, Line("> ", "accent"))
    elif row.status == "paused":
        lines += words("z resumes it", width, "strong", 2, Line("> ", "accent"))
    elif row.failed:
        lines += words("e says why; r tries again all that failed", width, "strong", 2, Line("> ", "accent"))
    elif row.held and row.held == row.waiting:
        lines += words("Enter shows it; a, then l lets all of it go", width, "strong", 2, Line("> ", "accent"))
    return lines


def label(text: str, width: int = 11) -> Line:
    """Return the name of a fact."""
    return Line(fit(text, width), "dim")
