"""Peers from and to CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pacstui.contract.peers import FIELDS, PeerLine, PeerPlan
from pacstui.equipment.book import PeerBook
from pacstui.equipment.peer import Peer, peer_of, texts_of
from pacstui.errors import BadRequest
from pacstui.text import safe

LINES = 5000
_NEVER_EMPTY = ("ae_title", "host", "port", "tls", "allow", "probe", "limit")
_RISKY = ("=", "+", "-", "@", "\t", "'")
"""What spreadsheets take for a formula when a cell begins so, and the mark that keeps them from it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: the peer as it is and as it would be; ``after`` is none where ``mistake`` says why."""

    number: int
    name: str
    before: Peer | None
    after: Peer | None
    mistake: str = ""


def read(text: str, book: PeerBook) -> Iterator[Line]:
    """Yield what each line of a CSV file asks for. Columns that the file leaves out stay as they are.

    Raises
    ------
    BadRequest
        When it is no CSV file, or its first line does not name columns that are known.
    """
    if "\0" in text:
        raise BadRequest("this is no CSV file: it has NUL characters", "save it as CSV UTF-8")
    text = text.lstrip("\ufeff")
    first = text.partition("\n")[0]
    mark = ";" if first.count(";") > first.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, delimiter=mark)
    try:
        names = [name.strip().lower().replace(" ", "_") for name in reader.fieldnames or ()]
        unknown = [name for name in names if name not in (*FIELDS, "origin")]
        if "name" not in names or unknown or len(set(names)) != len(names):
            what = (
                f"does not know {', '.join(safe(name, 30) for name in unknown[:5])}"
                if unknown
                else ("has no column name" if "name" not in names else "names a column twice")
            )
            known = f"columns are {', '.join(FIELDS)}; only name is needed"
            raise BadRequest(f"the first line of the file {what}", known)
        reader.fieldnames = names
        seen: dict[str, int] = {}
        for row in reader:
            if reader.line_num > LINES:
                raise BadRequest(f"the file has more than {LINES} lines", "import it in parts")
            yield _line(reader.line_num, row, seen, book)
    except csv.Error as error:
        raise BadRequest(f"this is no CSV file: {error}") from None


def _line(number: int, row: dict[str, str], seen: dict[str, int], book: PeerBook) -> Line:
    name = _cell(row.get("name") or "")
    before = book.named(name)
    try:
        if None in row or None in row.values():
            raise BadRequest("it has another number of columns than the first line")
        folded = name.casefold()
        if folded in seen:
            raise BadRequest(f"{safe(name, 64)} stands in line {seen[folded]} already")
        seen[folded] = number
        twin = next((each for each in book.names() if each.casefold() == folded), name)
        if twin != name:
            raise BadRequest(f"there is a peer {safe(twin, 64)}, which differs in capitals only")
        texts = {column: _cell(text) for column, text in row.items() if column not in ("name", "origin")}
        if before is not None:  # an empty cell empties words; of the rest it says nothing
            texts = {column: text for column, text in texts.items() if text or column not in _NEVER_EMPTY}
        after = peer_of(texts if before is not None else {**texts, "name": name}, before)
    except BadRequest as mistake:
        told = mistake.message + (f" ({mistake.hint})" if mistake.hint else "")
        return Line(number, safe(name, 64), before, None, safe(told, 400))
    return Line(number, name, before, after)


def _cell(text: str) -> str:
    text = text.strip()
    return text[1:] if text[:1] == "'" and text[1:2] in _RISKY else text


def plan(lines: Iterable[Line]) -> PeerPlan:
    """Return in words what lines would do."""
    told = tuple(map(_told, lines))
    mistakes = sum(line.what == "mistake" for line in told)
    return PeerPlan(told, mistakes, sum(line.what in ("create", "change") for line in told))


def _told(line: Line) -> PeerLine:
    if line.after is None:
        return PeerLine(line.number, line.name, "mistake", line.mistake)
    new = texts_of(line.after)
    if line.before is None:
        return PeerLine(line.number, line.name, "create", f"{new['ae_title']} at {new['host']}:{new['port']}")
    old = texts_of(line.before)
    what = [
        f"{name.replace('_', ' ')}: {safe(old[name], 60) or '-'} -> {safe(new[name], 60) or '-'}"
        for name in FIELDS
        if old[name] != new[name]
    ]
    if not what:
        return PeerLine(line.number, line.name, "nothing", "is as the file says")
    return PeerLine(line.number, line.name, "change", "; ".join(what))


def written(peers: Iterable[Peer]) -> str:
    """Return peers as CSV, with a column that says where they come from and is not read."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow((*FIELDS, "origin"))
    for peer in peers:
        cells = (*texts_of(peer).values(), "configuration" if peer.configured else "register")
        writer.writerow(f"'{cell}" if cell.startswith(_RISKY) else cell for cell in cells)
    return out.getvalue()
