"""Which orders a study may belong to: a few look-ups by index, never a walk over all orders.

From what is surest to what is least sure: Study Instance UID; accession number, also with other leading zeros; the
patient's ID, with merged ones resolved; birth date, also with slips; name; and where nothing of that gave an order
that fits well, what is scheduled for the modality about that time. Everything here reads.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from pacstui.index.fold import fold, name_keys
from pacstui.orders.holding import BODY, ON_HOLD, hold_of
from pacstui.orders.rows import OPEN
from pacstui.qc import likeness
from pacstui.qc.likeness import Kind
from pacstui.qc.scoring import Arrived, Expected, Scored, score

_PER_PERSON: Final = 30
"""Orders that are looked at of one patient: those that were changed last."""
_PERSONS: Final = 60
_OF_DAY: Final = 2000
_DAYS: Final = 1
_ENOUGH: Final = 60
"""A score with which what is scheduled about that time need not be looked through."""
_LONGEST: Final = 16
"""Characters of an accession number (PS3.5 6.2, VR SH)."""
_FROM: Final = ' FROM orders o JOIN persons p ON p.id = o.person LEFT JOIN steps s ON s."order" = o.id WHERE o.id'
_ORDER: Final = (
    "SELECT o.id, s.id, o.study, o.accession, p.patient_id, p.issuer, p.name, p.birth_date, p.sex,"  # noqa: S608
    " coalesce(s.modality, ''), coalesce(s.station_ae, ''), coalesce(s.station_name, ''), coalesce(s.date, ''),"
    " coalesce(s.time, ''), o.description, coalesce(s.description, ''), o.state, coalesce(s.state, ''), p.id, p.body,"
    ' (SELECT count(*) FROM matches m WHERE m."order" = o.id AND m."order" != 0 AND m.state = \'matched\''
    f" AND m.study != ?), {BODY}{_FROM}"
)


def accession_keys(accession: str) -> list[str]:
    """Return the keys under which an accession number may be kept: as it is, without blanks and signs, with fewer and
    with more leading zeros."""
    whole = fold(accession)
    if not whole:
        return []
    bare = likeness.normal(accession)
    plain = "".join(char for char in whole if char.isalnum())
    zeros = [bare.rjust(length, "0") for length in range(len(bare), _LONGEST + 1)] if bare else []
    return list(dict.fromkeys((whole, plain, *zeros)))


def id_forms(patient_id: str) -> list[str]:
    """Return the ways in which a Patient ID may be kept: blanks, case and leading zeros vary."""
    ident = patient_id.strip()
    if not ident:
        return []
    forms = [ident, ident.upper(), ident.lower(), "".join(ident.split())]
    bare = ident.lstrip("0")
    if bare:
        forms += [bare.rjust(length, "0") for length in range(len(bare), 13)]
        plain = likeness.normal(ident)
        forms += [plain, plain.upper()]
    return list(dict.fromkeys(forms))


def _marks(values: Sequence[object]) -> str:
    return "(" + ",".join("?" * len(values)) + ")"


def persons_of(connection: sqlite3.Connection, patient_id: str) -> list[tuple[int, str, str]]:
    """Return the patients that an ID may mean, merged ones resolved: row, ID and issuer as they were found."""
    forms = id_forms(patient_id)
    if not forms:
        return []
    rows = connection.execute(
        f"SELECT CASE merged_into WHEN 0 THEN id ELSE merged_into END, patient_id, issuer FROM persons"  # noqa: S608
        f" WHERE patient_id IN {_marks(forms)} LIMIT {_PERSONS}",
        forms,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def issuers_of(connection: sqlite3.Connection, patient_id: str) -> tuple[str, ...]:
    """Return the issuers that have exactly that ID, of patients who are not one by now."""
    rows = connection.execute(
        "SELECT issuer, CASE merged_into WHEN 0 THEN id ELSE merged_into END FROM persons WHERE patient_id=?",
        (patient_id.strip(),),
    ).fetchall()
    if len({row[1] for row in rows}) < 2:
        return ()
    return tuple(sorted({row[0] for row in rows}))


def _named(connection: sqlite3.Connection, name: str) -> list[int]:
    """Return patients whose name begins like this one, or like it with its parts the other way round."""
    found: list[int] = []
    for key in name_keys(name):
        if not key:
            continue
        turned = " ".join(reversed(key.split(" ", 1)))
        family = key.split(" ", 1)[0]
        for low, high in ((key, key + "\U0010ffff"), (turned, turned + "\U0010ffff"), (family + " ", family + "!")):
            rows = connection.execute(
                "SELECT CASE merged_into WHEN 0 THEN id ELSE merged_into END FROM persons"
                " WHERE name_key >= ? AND name_key < ? LIMIT ?",
                (low, high, _PERSONS),
            ).fetchall()
            if len(rows) < _PERSONS:  # a name that many have is no way to one of them
                found += [row[0] for row in rows]
    return found


def _born(connection: sqlite3.Connection, arrived: Arrived) -> list[int]:
    """Return patients born on that day, or on one that a slip makes of it, whose name is not another one."""
    if not likeness.is_date(arrived.born) or not arrived.name:
        return []
    days = list(likeness.slips_of(arrived.born))
    rows = connection.execute(
        "SELECT CASE merged_into WHEN 0 THEN id ELSE merged_into END, name FROM persons"  # noqa: S608 - marks only
        f" WHERE birth_date IN {_marks(days)} AND birth_date != ''",
        days,
    )
    return [row[0] for row in rows if likeness.names(arrived.name, row[1]).kind > Kind.MISSING]


def _orders_of(connection: sqlite3.Connection, persons: Iterable[int]) -> list[int]:
    found: list[int] = []
    for person in list(dict.fromkeys(persons))[:_PERSONS]:
        rows = connection.execute(
            "SELECT id FROM orders WHERE person=? ORDER BY id DESC LIMIT ?", (person, _PER_PERSON)
        ).fetchall()
        found += [row[0] for row in rows]
    return found


def _scheduled(connection: sqlite3.Connection, arrived: Arrived) -> list[int]:
    """Return orders of which a step for the modality is scheduled about that time, if the name or the birth date might
    be the same."""
    if arrived.moment is None:
        return []
    try:
        first, last = (f"{arrived.moment.date() + timedelta(days=days):%Y%m%d}" for days in (-_DAYS, _DAYS))
    except OverflowError:
        return []
    rows = connection.execute(
        'SELECT s."order", s.modality, p.name, p.birth_date FROM steps s JOIN orders o ON o.id = s."order"'
        " JOIN persons p ON p.id = o.person WHERE s.date >= ? AND s.date <= ? LIMIT ?",
        (first, last, _OF_DAY),
    )
    wanted = {each.strip().upper() for each in arrived.modalities}
    letters = _first_letters(arrived.name)
    found = []
    for order, modality, name, born in rows:
        if wanted and modality and modality.upper() not in wanted:
            continue
        if (arrived.born and born == arrived.born) or (
            letters & _first_letters(name) and likeness.names(arrived.name, name).kind > Kind.MISSING
        ):
            found.append(order)
    return found


def near(connection: sqlite3.Connection, arrived: Arrived, most: int) -> list[Scored]:
    """Return what was scheduled for the modality about that time and has no study, nearest first: the last resort of
    people, where nothing that a study says of its patient leads to an order."""
    if arrived.moment is None:
        return []
    day = f"{arrived.moment:%Y%m%d}"
    rows = connection.execute(
        "SELECT s.\"order\", s.modality, s.time FROM steps s WHERE s.date = ? AND s.state IN ('scheduled', 'arrived')"
        ' AND NOT EXISTS (SELECT 1 FROM matches m WHERE m."order" = s."order" AND m."order" != 0'
        " AND m.state = 'matched') LIMIT ?",
        (day, _OF_DAY),
    ).fetchall()
    wanted = {each.strip().upper() for each in arrived.modalities}
    fit = [(row[0], moment_of(day, row[2])) for row in rows if not row[1] or row[1].upper() in wanted]
    at = arrived.moment
    timed = sorted((abs(moment - at), order) for order, (moment, told) in fit if moment is not None and told)
    orders = list(dict.fromkeys(order for _, order in timed))[:most]
    found = {each.order: each for each in expected(connection, orders, arrived.study)}
    return [score(arrived, found[order]) for order in orders if order in found]


def _first_letters(name: str) -> set[str]:
    return {word[:2] for word in name_keys(name)[0].split() if len(word) > 1}


def moment_of(day: str, clock: str) -> tuple[datetime | None, bool]:
    """Return a date and time of the index as local time, and whether the time was told; none for no date."""
    if not likeness.is_date(day):
        return None, False
    try:
        there = date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        return None, False
    digits = clock.strip().partition(".")[0]
    if len(digits) >= 4 and digits.isascii() and digits.isdigit():
        try:
            return datetime.combine(there, time(int(digits[:2]), int(digits[2:4]))), True
        except ValueError:
            pass
    return datetime.combine(there, time(12)), False


def expected(connection: sqlite3.Connection, orders: Sequence[int], study: str) -> list[Expected]:
    """Return orders as they are compared, one for each of their steps; ``study`` is whom they are compared with."""
    found: list[Expected] = []
    aliases: dict[int, tuple[tuple[str, str], ...]] = {}
    for start in range(0, len(orders), 500):
        some = orders[start : start + 500]
        rows = connection.execute(f"{_ORDER} IN {_marks(some)}", (study, *some)).fetchall()
        for row in rows:
            person = row[18]
            body = _body(row[19])
            if person not in aliases:
                aliases[person] = _former(connection, person, body)
            moment, timed = moment_of(row[12], row[13])
            state = row[17] if row[17] == "cancelled" else row[16]
            hold = hold_of(row[21]) if state in OPEN else None
            found.append(
                Expected(
                    row[0], row[1] or 0, row[2], row[3], row[4], row[5], aliases[person], row[6],
                    _names(body, row[6]), row[7], row[8], row[9],
                    tuple(part for part in (*row[10].split("\\"), row[11]) if part), moment, timed,
                    row[14] or row[15], state if hold is None else ON_HOLD, row[20],
                    "" if hold is None else hold.who, "" if hold is None else hold.why,
                )
            )  # fmt: skip
    return found


def patient(connection: sqlite3.Connection, person: int) -> Expected:
    """Return a patient as compared who has no order, or without regard to any."""
    row = connection.execute(
        "SELECT patient_id, issuer, name, birth_date, sex, body FROM persons WHERE id=?", (person,)
    ).fetchone()
    body = _body(row[5])
    return Expected(
        patient_id=row[0], issuer=row[1], former=_former(connection, person, body), name=row[2],
        former_names=_names(body, row[2]), born=row[3], sex=row[4],
    )  # fmt: skip


def _former(connection: sqlite3.Connection, person: int, body: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return a patient's other IDs: those merged into the present one, and those told beside it."""
    merged = connection.execute(
        "SELECT patient_id, issuer FROM persons WHERE merged_into=? AND merged_into != 0", (person,)
    ).fetchall()
    told = [(str(e[0]), str(e[1])) for e in _list(body, "other_ids") if isinstance(e, list) and len(e) > 1]
    return (*((each[0], each[1]) for each in merged), *told)


def _names(body: dict[str, Any], name: str) -> tuple[str, ...]:
    return tuple(str(each) for each in _list(body, "names") if each != name)


def _body(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _list(body: dict[str, Any], key: str) -> list[Any]:
    value = body.get(key)
    return value if isinstance(value, list) else []


def sure(connection: sqlite3.Connection, arrived: Arrived) -> list[int]:
    """Return orders by Study Instance UID and accession number."""
    found = [row[0] for row in connection.execute("SELECT id FROM orders WHERE study=? AND study != ''",
                                                  (arrived.study,))]  # fmt: skip
    keys = accession_keys(arrived.accession)
    if keys:
        rows = connection.execute(
            f"SELECT id FROM orders WHERE accession_key IN {_marks(keys)} AND accession_key != '' LIMIT 100",  # noqa: S608
            keys,
        )
        found += [row[0] for row in rows]
    return found


def candidates(connection: sqlite3.Connection, arrived: Arrived) -> list[Scored]:
    """Return the orders that a study may belong to, each of their steps with its score, in no order."""
    scored: list[Scored] = []
    known: set[int] = set()

    def add(orders: Iterable[int]) -> int:
        fresh = [order for order in dict.fromkeys(orders) if order not in known]
        known.update(fresh)
        scored.extend(score(arrived, each) for each in expected(connection, fresh, arrived.study))
        return max((each.score for each in scored), default=0)

    add(sure(connection, arrived))
    mine = persons_of(connection, arrived.patient_id)
    best = add(_orders_of(connection, (row[0] for row in mine)))
    if best < _ENOUGH:
        best = add(_orders_of(connection, (*_born(connection, arrived), *_named(connection, arrived.name))))
    if best < _ENOUGH:
        add(_scheduled(connection, arrived)[:200])
    return scored
