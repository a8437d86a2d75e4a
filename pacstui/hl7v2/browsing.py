"""Looking through messages that came in: pages, newest first, and one message taken apart."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pacstui.clock import moment
from pacstui.contract.hl7 import FieldText, MessagePage, MessageRow, MessageView, SegmentText
from pacstui.errors import BadRequest, NotFound
from pacstui.hl7v2 import charset, names, store
from pacstui.hl7v2.message import Delimiters, Malformed, unescape
from pacstui.hl7v2.outcome import Fault
from pacstui.hl7v2.reading import read
from pacstui.text import safe

STATES: Final = (store.DONE, store.FAILED, store.REPEATED, store.RESOLVED, store.IGNORED)
_ROW: Final = (
    "id, at, sender, facility, origin, kind, control, state, answer, text, hint, patient_id, accession, size, batch,"
    " made_by, resolved_by"
)
_CHUNK: Final = 4000
_SCAN_S: Final = 1.0
_MOST_PREFIX: Final = 500
WHOLE: Final = 400_000
"""Characters up to which a message is shown whole; of longer ones long fields are cut."""
CUT: Final = "\N{HORIZONTAL ELLIPSIS}[characters left out: "
_SHOWN: Final = 2000
_MOST_FIELDS: Final = 20_000


def _cell(text: str, limit: int = 300) -> str:
    return safe(text, limit)


def row_of(row: tuple[Any, ...]) -> MessageRow:
    """Return a row of the table as the contract has it."""
    (ident, at, sender, facility, origin, kind, control, state, answer, text, hint, patient, accession, size, batch,
     made_by, resolved_by) = row  # fmt: skip
    return MessageRow(
        ident, moment(at), _cell(sender), _cell(facility), _cell(origin), _cell(kind), _cell(control), state,
        answer, _cell(text, 1000), _cell(hint), _cell(patient), _cell(accession), size, batch,
        _cell(resolved_by or made_by),
    )  # fmt: skip


def page(connection: sqlite3.Connection, search: str, state: str, kind: str, before: int, limit: int) -> MessagePage:
    """Return messages, newest first.

    ``search`` is an identifier in the message (patient, order, accession, control), or words that
    all stand in its text.
    Where there are very many, a page may end early and the next one goes on.
    """
    if state and state not in STATES:
        raise BadRequest(f"{safe(state, 32)} is no state of a message", f"there are: {', '.join(STATES)}")
    most = max(1, min(limit, 1000))
    where, values = ["m.id < ?"], [before or 1 << 62]
    more: list[Any] = list(values)
    if state:
        where.append("m.state = ?")
        more.append(state)
    if kind:
        where.append("(m.kind = ? OR m.kind LIKE ? ESCAPE '!')")
        more += [kind.upper(), _pattern(kind.upper()) + "^%"]
    words = search.split()
    if len(words) == 1:
        key = key_of(words[0])
        if connection.execute("SELECT 1 FROM hl7_keys WHERE key = ?", (key,)).fetchone():
            where.append("m.id IN (SELECT message FROM hl7_keys WHERE key = ?)")
            more.append(key)
            words = []
    if not words:
        sql = f"SELECT {_ROW} FROM hl7_messages m WHERE {' AND '.join(where)} ORDER BY m.id DESC LIMIT ?"  # noqa: S608
        found = connection.execute(sql, (*more, most + 1)).fetchall()
        rows = tuple(row_of(row) for row in found[:most])
        return MessagePage(rows, rows[-1].id if len(found) > most else 0)
    return _scan(connection, where, more, words, most)


def _scan(
    connection: sqlite3.Connection, where: list[str], values: list[Any], words: list[str], most: int
) -> MessagePage:
    """Look through texts from the newest on, in pieces, for as long as somebody wants to wait."""
    like = [f"(b.words LIKE ? ESCAPE '!' OR m.text LIKE ? ESCAPE '!' OR {_HEADS})"] * len(words)
    patterns = [f"%{_pattern(word)}%" for word in words for _ in range(5)]
    columns = ", ".join(f"m.{name.strip()}" for name in _ROW.split(","))
    sql = (
        f"SELECT {columns} FROM hl7_messages m JOIN hl7_bodies b ON b.id = m.id"  # noqa: S608
        f" WHERE {' AND '.join([*where, 'm.id >= ?', *like])} ORDER BY m.id DESC LIMIT ?"
    )
    deadline = time.monotonic() + _SCAN_S
    top = min(
        int(values[0]), 1 + int(connection.execute("SELECT coalesce(max(id), 0) FROM hl7_messages").fetchone()[0])
    )
    rows: list[MessageRow] = []
    while top > 1:
        floor = max(1, top - _CHUNK)
        wanted = most - len(rows)
        found = connection.execute(sql, (top, *values[1:], floor, *patterns, wanted + 1)).fetchall()
        rows += [row_of(row) for row in found[:wanted]]
        if len(found) > wanted:
            return MessagePage(tuple(rows), rows[-1].id)
        top = floor
        if top > 1 and (len(rows) == most or time.monotonic() > deadline):
            return MessagePage(tuple(rows), top)
    return MessagePage(tuple(rows), 0)


_HEADS: Final = "m.sender LIKE ? ESCAPE '!' OR m.control LIKE ? ESCAPE '!' OR m.origin LIKE ? ESCAPE '!'"


def _pattern(text: str) -> str:
    return "".join(f"!{c}" if c in "!%_" else c for c in text[:_MOST_PREFIX])


def key_of(text: str) -> str:
    """Return an identifier as it is looked up: without regard to case."""
    return text.strip().casefold()[:128]


_KEYS: Final[dict[str, tuple[int, ...]]] = {
    "PID": (2, 3, 4, 18), "MRG": (1, 2, 4), "ORC": (2, 3, 4), "OBR": (2, 3, 18, 19, 20), "IPC": (1, 2, 3, 4),
    "ZDS": (1,), "PV1": (19,), "MSH": (10,), "MSA": (2,),
}  # fmt: skip


def keys(text: str, marks: Delimiters) -> set[str]:
    """Return the identifiers in a message by which it is found."""
    found: set[str] = set()
    for line in text.split("\r"):
        places = _KEYS.get(line[:3])
        if places is None:
            continue
        fields = line.split(marks.field, 64)
        shift = 1 if line[:3] == "MSH" else 0
        for place in places:
            if place - shift < len(fields) and (field := fields[place - shift]):
                for part in field.split(marks.repetition)[:16]:
                    value = part.split(marks.component, 1)[0].split(marks.subcomponent, 1)[0]
                    if value and value != '""' and len(found) < 200:
                        found.add(key_of(unescape(value, marks)))
    found.discard("")
    return found


def one(connection: sqlite3.Connection, ident: int) -> tuple[MessageRow, bytes, bytes, str, int, str]:
    """Return a message: row, bytes, answers as kept, faults, the one it was made from, its character set."""
    sql = f"SELECT {_ROW}, original, charset FROM hl7_messages WHERE id = ?"  # noqa: S608
    row = connection.execute(sql, (ident,)).fetchone()
    if row is None:
        raise NotFound(f"there is no HL7 message {ident}", "it may have been removed: [hl7] keep_days")
    body = connection.execute("SELECT raw, reply, faults FROM hl7_bodies WHERE id = ?", (ident,)).fetchone()
    raw, reply, faults = body or (b"", b"", "")
    told = row_of(row[:-2])
    if not raw and told.state == store.REPEATED and row[-2]:
        raw, reply = connection.execute("SELECT raw, reply FROM hl7_bodies WHERE id = ?", (row[-2],)).fetchone() or (
            raw, reply,
        )  # fmt: skip
    return told, bytes(raw), bytes(reply), faults, row[-2], row[-1]


def view(connection: sqlite3.Connection, ident: int) -> MessageView:
    """Return one message as sent, taken apart, and how it was answered."""
    row, raw, kept, faults, original, charset_name = one(connection, ident)
    later = tuple(
        int(each[0]) for each in connection.execute(
            "SELECT id FROM hl7_messages WHERE original = ? AND state != 'repeated' ORDER BY id LIMIT 100", (ident,)
        )
    )  # fmt: skip
    got = read(raw)
    reply = "\n".join(
        safe_lines(data.decode(charset.codec(charset_name), "replace")) for _, data in store.unpacked(kept)
    )
    return MessageView(
        row, safe_lines(shortened(got.text)), charset_name, tuple(segments(got.text, store.faults_of(faults))), reply,
        original, later,
    )  # fmt: skip


def safe_lines(text: str) -> str:
    """Return a message's text as lines to be shown."""
    return "\n".join(safe(line, WHOLE) for line in text.rstrip("\r").split("\r"))


def shortened(text: str) -> str:
    """Return a message's text; of a very long one the long fields are cut, and it is said by how much."""
    if len(text) <= WHOLE:
        return text
    lines = []
    for line in text.split("\r")[:5000]:
        mark = line[3:4] or "|"
        parts = line.split(mark) if len(line) > _SHOWN else [line]
        lines.append(mark.join(
            part if len(part) <= _SHOWN else f"{part[:80]}{CUT}{len(part) - 80:,}]" for part in parts
        ))  # fmt: skip
    return "\r".join(lines)[: 2 * WHOLE]


def segments(text: str, faults: Iterable[Fault]) -> Iterator[SegmentText]:
    """Yield the segments of a message with the names of their fields, values unescaped, empty ones left out."""
    try:
        marks = Delimiters.of(text)
    except Malformed:
        marks = Delimiters()
    counts: dict[str, int] = {}
    left = _MOST_FIELDS
    for line in [line for line in text.split("\r") if line.strip()][:5000]:
        name = line[:3]
        counts[name] = counts.get(name, 0) + 1
        told = names.fields(name)
        values = line.split(marks.field, 500)[1:]
        if name in ("MSH", "FHS", "BHS"):
            values.insert(0, marks.field)
        shown = tuple(
            FieldText(
                f"{safe(name)}-{number}", told[number - 1] if number <= len(told) else "",
                _value(value, marks, bare=number <= 2 and name in ("MSH", "FHS", "BHS")),
            )
            for number, value in enumerate(values, 1)
            if value
        )[:left]  # fmt: skip
        left -= len(shown)
        wrong = tuple(dict.fromkeys(
            f"{safe(name)}-{fault.field}" if fault.field else safe(name)
            for fault in faults
            if fault.segment == name and fault.occurrence == counts[name]
        ))  # fmt: skip
        yield SegmentText(safe(name), names.title(name), shown, wrong)


def _value(value: str, marks: Delimiters, bare: bool) -> str:
    cut = value[:_SHOWN]
    more = f"{CUT}{len(value) - _SHOWN:,}]" if len(value) > _SHOWN else ""
    return safe(cut if bare else unescape(cut, marks)) + more
