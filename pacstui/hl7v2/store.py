"""The tables of messages that came in: written by the intake, looked through by the room."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

from pacstui.hl7v2.outcome import Fault

DONE, FAILED, REPEATED, RESOLVED, IGNORED = "done", "failed", "repeated", "resolved", "ignored"
_INSERT: Final = """
INSERT INTO hl7_messages (at, origin, sender, facility, kind, control, digest, state, answer, text, hint, patient_id,
    accession, size, batch, original, made_by, charset)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BODY: Final = "INSERT INTO hl7_bodies (id, raw, reply, words, faults) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Kept:
    """One row to be written."""

    at: int
    origin: str
    sender: str
    facility: str
    kind: str
    control: str
    digest: bytes
    state: str
    answer: str
    text: str
    hint: str
    patient: str
    accession: str
    size: int
    batch: int
    original: int
    by: str
    charset: str
    raw: bytes
    reply: bytes
    words: str
    keys: Iterable[str]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """A message with the same sender and control ID that came before."""

    id: int
    state: str
    answer: str
    same: bool
    reply: bytes


def insert(connection: sqlite3.Connection, kept: Kept) -> int:
    """Write a message; return its id."""
    cursor = connection.execute(_INSERT, (
        kept.at, kept.origin, kept.sender, kept.facility, kept.kind, kept.control, kept.digest, kept.state, kept.answer,
        kept.text, kept.hint, kept.patient, kept.accession, kept.size, kept.batch, kept.original, kept.by, kept.charset,
    ))  # fmt: skip
    ident = cursor.lastrowid
    assert ident is not None
    faults = json.dumps([asdict(fault) for fault in kept.faults]) if kept.faults else ""
    connection.execute(_BODY, (ident, kept.raw, kept.reply, kept.words, faults))
    connection.executemany("INSERT OR IGNORE INTO hl7_keys VALUES (?, ?)", [(key, ident) for key in kept.keys])
    return ident


def earlier(
    connection: sqlite3.Connection, sender: str, facility: str, control: str, digest: bytes, since: int
) -> Earlier | None:
    """Return the message of a sender and control ID that came before: the same one if there is one, else the last."""
    rows = connection.execute(
        "SELECT id, state, answer, digest FROM hl7_messages WHERE control = ? AND sender = ? AND facility = ?"
        " AND original = 0 AND at >= ? ORDER BY id DESC LIMIT 50",
        (control, sender, facility, since),
    ).fetchall()
    if not rows:
        return None
    ident, state, answer, found = next((row for row in rows if row[3] == digest), rows[0])
    same = found == digest
    reply = b""
    if same:
        row = connection.execute("SELECT reply FROM hl7_bodies WHERE id = ?", (ident,)).fetchone()
        reply = row[0] if row else b""
    return Earlier(ident, state, answer, same, reply)


def resolve(connection: sqlite3.Connection, ident: int, by: str) -> None:
    """Take a failed message off the list of errors: it was put right."""
    connection.execute(
        "UPDATE hl7_messages SET state = ?, resolved_by = ? WHERE id = ? AND state = ?", (RESOLVED, by, ident, FAILED)
    )


def replaced(connection: sqlite3.Connection, ident: int, by: str, at: int) -> None:
    """Take a failed message off the list of errors: a later one, made from it, stands there now."""
    connection.execute(
        "UPDATE hl7_messages SET state = ?, resolved_by = ? WHERE id = ? AND state = ?",
        (IGNORED, f"{by}: see message {at}", ident, FAILED),
    )


def mend(connection: sqlite3.Connection, ident: int, by: str) -> None:
    """Take it that a message was put right, and all that it was made from."""
    for _ in range(100):
        row = connection.execute("SELECT original FROM hl7_messages WHERE id = ?", (ident,)).fetchone()
        connection.execute(
            "UPDATE hl7_messages SET state = ?, resolved_by = ? WHERE id = ? AND state IN (?, ?)",
            (RESOLVED, by, ident, FAILED, IGNORED),
        )
        if row is None or not row[0]:
            return
        ident = row[0]


def ignore(connection: sqlite3.Connection, idents: Iterable[int], by: str) -> int:
    """Take failed messages off the list of errors; return how many were on it."""
    return sum(
        connection.execute(
            "UPDATE hl7_messages SET state = ?, resolved_by = ? WHERE id = ? AND state = ?",
            (IGNORED, by, ident, FAILED),
        ).rowcount
        for ident in idents
    )


def faults_of(text: str) -> tuple[Fault, ...]:
    """Return faults as they were written."""
    return tuple(Fault(**each) for each in json.loads(text)) if text else ()


def count_open(connection: sqlite3.Connection) -> int:
    """Return how many messages failed and were not put right."""
    return int(connection.execute("SELECT count(*) FROM hl7_messages WHERE state = 'failed'").fetchone()[0])


def prune(connection: sqlite3.Connection, before: int, failed_before: int, limit: int) -> int:
    """Remove messages that are older, failed ones that are open only from before the second time; return how many."""
    rows: list[tuple[int]] = connection.execute(
        "SELECT id FROM hl7_messages WHERE at < ? AND (state != 'failed' OR at < ?) ORDER BY at LIMIT ?",
        (before, failed_before, limit),
    ).fetchall()
    connection.executemany("DELETE FROM hl7_keys WHERE message = ?", rows)
    connection.executemany("DELETE FROM hl7_bodies WHERE id = ?", rows)
    connection.executemany("DELETE FROM hl7_messages WHERE id = ?", rows)
    return len(rows)


def packed(replies: list[tuple[str, bytes]]) -> bytes:
    """Return answers as they are kept: each with its code and its length before it."""
    return b"".join(code.encode() + len(data).to_bytes(4, "big") + data for code, data in replies)


def unpacked(kept: bytes) -> list[tuple[str, bytes]]:
    """Return answers that were kept by `packed`."""
    out, at = [], 0
    while at + 6 <= len(kept):
        end = at + 6 + int.from_bytes(kept[at + 2 : at + 6], "big")
        out.append((kept[at : at + 2].decode("ascii", "replace"), kept[at + 6 : end]))
        at = end
    return out
