"""The chain: each entry carries a code (HMAC-SHA256) over itself and the code of the entry before it.

Who has no key cannot change, remove or put in an entry without breaking it. What was cut off at the end is told by the
head, a small file beside the database that says how far the chain goes. Entries that retention removed are stood for
by a checkpoint with the code of the last of them.
"""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacstui.contract.audit import Flaw, Verdict
from pacstui.errors import Unavailable
from pacstui.text import plural

KEY_BYTES = 32
COLUMNS = "id, at, kind, outcome, who, how, origin, action, target, patient, detail"
ID = "ID "
"""In the field ``patient`` of an entry, Patient IDs stand after this."""
_FLAWS = 100
_CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; ``at`` is microseconds since 1970. See :class:`pacstui.contract.audit.AuditRow`."""

    id: int
    at: int
    kind: str
    outcome: str
    who: str
    how: str
    origin: str
    action: str
    target: str
    patient: str
    detail: str

    def values(self) -> tuple[Any, ...]:
        """Return the values in the order of `COLUMNS`."""
        return (self.id, self.at, self.kind, self.outcome, self.who, self.how, self.origin, self.action, self.target,
                self.patient, self.detail)  # fmt: skip


def code(key: bytes, before: bytes, values: Iterable[Any]) -> bytes:
    """Return the code of an entry with these values after one with the code ``before``."""
    text = json.dumps(list(values), ensure_ascii=True, separators=(",", ":"))
    return hmac.digest(key, before + text.encode("ascii"), "sha256")


def read_key(path: Path) -> bytes:
    """Return the key of the chain.

    Raises
    ------
    Unavailable
        When it cannot be read, or is none.
    """
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no hexadecimal number"
        raise Unavailable(
            f"the audit trail's key {path} cannot be read: {why}",
            "put it back from the backup; without it no entry can be checked, and a new one begins a new chain",
        ) from None
    if len(key) < KEY_BYTES:
        raise Unavailable(f"the audit trail's key {path} is too short", "put it back from the backup")
    return key


def head_text(key: bytes, last: int, its_code: bytes) -> str:
    """Return what the head file says of the last entry."""
    seal = hmac.digest(key, b"head" + last.to_bytes(8, "big") + its_code, "sha256")
    return json.dumps({"last": last, "code": its_code.hex(), "seal": seal.hex()}) + "\n"


def read_head(key: bytes, path: Path) -> tuple[int, bytes] | str:
    """Return number and code of the last entry that the head knows, or what is wrong with it."""
    try:
        told = json.loads(path.read_text("ascii"))
        last, its_code, seal = int(told["last"]), bytes.fromhex(told["code"]), bytes.fromhex(told["seal"])
        right = hmac.digest(key, b"head" + last.to_bytes(8, "big") + its_code, "sha256")
    except FileNotFoundError:
        return "the head file is gone"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "the head file cannot be read"
    return (last, its_code) if hmac.compare_digest(seal, right) else "the head file was changed"


def _checkpoint(key: bytes, connection: sqlite3.Connection, flaws: list[Flaw]) -> tuple[int, bytes]:
    """Return where the chain begins: number and code of the last entry that retention removed."""
    upto, last_code, before = 0, b"", b""
    for row in connection.execute("SELECT id, at, upto, entries, last_code, mac FROM audit_checkpoints ORDER BY id"):
        if not hmac.compare_digest(bytes(row[5]), code(key, before, (*row[:4], bytes(row[4]).hex()))):
            flaws.append(Flaw(upto + 1, row[2], "the checkpoint of a retention was changed or put in"))
        upto, last_code, before = row[2], bytes(row[4]), bytes(row[5])
    return upto, last_code


def _rows(connection: sqlite3.Connection) -> Iterator[Any]:
    last = -(1 << 62)
    while True:
        rows = connection.execute(
            f"SELECT {COLUMNS}, mac FROM audit WHERE id > ? ORDER BY id LIMIT {_CHUNK}",  # noqa: S608
            (last,),
        ).fetchall()
        yield from rows
        if len(rows) < _CHUNK:
            return
        last = rows[-1][0]


def verify(connection: sqlite3.Connection, key: bytes, head: Path, written: int = 0) -> Verdict:
    """Check every entry.

    Parameters
    ----------
    head
        The head file; it may be behind, never ahead.
    written
        Number of the last entry that the node itself remembers to have written, 0 if it is not asked.
    """
    flaws: list[Flaw] = []
    upto, before = _checkpoint(key, connection, flaws)
    expected, first, entries, last = upto + 1, 0, 0, upto
    told = read_head(key, head)
    for row in _rows(connection):
        number = row[0]
        if number < expected:
            flaws.append(Flaw(number, number, "was put in before the chain begins"))
            continue
        if number > expected:
            flaws.append(Flaw(expected, number - 1, f"{plural(number - expected, 'entry', 'entries')} removed"))
        mac = bytes(row[11]) if isinstance(row[11], bytes) else b""
        if number == expected and not hmac.compare_digest(mac, code(key, before, row[:11])):
            flaws.append(Flaw(number, number, "was changed or put in"))
        elif number > expected and len(mac) != 32:
            flaws.append(Flaw(number, number, "has no code"))
        if not isinstance(told, str) and number == told[0] and not hmac.compare_digest(mac, told[1]):
            flaws.append(Flaw(number, number, "is not the entry that the head knows"))
        entries, first, last, before, expected = entries + 1, first or number, number, mac, number + 1
        if len(flaws) >= _FLAWS:
            flaws.append(Flaw(number, number, "and more: the check ended here"))
            break
    else:
        if isinstance(told, str):
            if entries:
                flaws.append(Flaw(last, last, told))
            told = (0, b"")
        known = max(told[0], written)
        if known > last:
            flaws.append(Flaw(last + 1, known, f"{plural(known - last, 'entry', 'entries')} cut off at the end"))
    return Verdict(entries, first, last, tuple(flaws), _summary(entries, first, last, flaws))


def _summary(entries: int, first: int, last: int, flaws: list[Flaw]) -> str:
    if flaws:
        return f"the audit trail was tampered with or damaged: {plural(len(flaws), 'place')}"
    if not entries:
        return "the audit trail is empty"
    return f"{plural(entries, 'entry', 'entries')}, {first:,} to {last:,}, each as it was written"
