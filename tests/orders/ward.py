"""Messages, and a node's database without the node: what messages make of patients, orders and the index."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from importlib.resources import files
from typing import Any

from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outcome import Fault, Outcome, Refused
from pacstui.index import identities
from pacstui.index.entry import Entry, Place
from pacstui.index.ingest import IndexWriter
from pacstui.orders.applying import Applying
from pacstui.settings import OrdersSettings

SENDER = ("RIS", "HOSPITAL")
UID = "2.25.3000"


def message(
    kind: str, *segments: str, sender: tuple[str, str] = SENDER, control: str = "1", version: str = "2.5"
) -> str:
    """Return the text of a message."""
    head = f"MSH|^~\\&|{sender[0]}|{sender[1]}|PACS|NODE|20260101120000||{kind}|{control}|P|{version}"
    return "\r".join((head, *segments)) + "\r"


def pid(id: str, name: str = "DOE^JANE", birth: str = "19700102", sex: str = "F", **more: str) -> str:
    """Return a PID; an ID without ^ is one of the hospital's. ``more``: fields by number, as ``f11``."""
    fields = {3: id if "^" in id or not id else f"{id}^^^HOSP^MR", 5: name, 7: birth, 8: sex}
    fields |= {int(key[1:]): value for key, value in more.items()}
    return "PID|" + "|".join(fields.get(n, "") for n in range(1, max(fields) + 1))


def adt(event: str, *segments: str, **more: Any) -> str:
    """Return an ADT message."""
    return message(f"ADT^{event}", f"EVN|{event}|20260101120000", *segments, **more)


def merge(prior: str, survivor: str, **more: Any) -> str:
    """Return an A40 that merges one ID into another."""
    given = f"{prior}^^^HOSP^MR" if "^" not in prior else prior
    return adt("A40", pid(survivor, **more), f"MRG|{given}")


def obr(number: str = "", code: str = "CTTHO^CT thorax^LOCAL", **more: str) -> str:
    """Return an OBR; ``more``: fields by number, as ``f24``."""
    fields = {2: number, 3: f"F{number}" if number else "", 4: code, 24: "CT", 36: "20260102103000"}
    fields |= {int(key[1:]): value for key, value in more.items()}
    return "OBR|" + "|".join(fields.get(n, "") for n in range(1, max(fields) + 1))


def orc(control: str, number: str = "", **more: str) -> str:
    """Return an ORC."""
    fields = {1: control, 2: number, 3: f"F{number}" if number else ""}
    fields |= {int(key[1:]): value for key, value in more.items()}
    return "ORC|" + "|".join(fields.get(n, "") for n in range(1, max(fields) + 1))


def orm(patient: str, *segments: str, kind: str = "ORM^O01", **more: Any) -> str:
    """Return an order message; ``patient`` is a PID or an ID."""
    first = patient if patient.startswith("PID") else pid(patient)
    return message(kind, *([first] if patient else []), *segments, **more)


def order(patient: str, number: str, control: str = "NW", **more: str) -> str:
    """Return a message with one order."""
    return orm(patient, orc(control, number), obr(number, **more))


def entry_of(
    sop: str, study: str, series: str, patient_id: str, issuer: str, told: tuple[str, str, str],
    description: str = "CT", accession: str = "",
) -> Entry:  # fmt: skip
    """Return an object as the index takes it; ``told`` is name, birth date, sex."""
    values = (*told, "20260101", "120000", accession, "", description, "", "", "")
    series_values = ("1", "CT", "", "", "", "", "", "", "")
    patient = (patient_id, issuer, "" if patient_id else study)
    known = (study, series, patient, values, series_values, "CT1", False)
    instance = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "1", "", "", "", "", "", "", "")
    return Entry(sop, known, patient, study, values, series, series_values, "CT1", False, instance)


class Rows:
    """What a database holds."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return rows."""
        return self.connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        """Return the one value of the one row."""
        (row,) = self.rows(query, *values)
        (value,) = row
        return value

    def study(self, study: str) -> tuple[Any, ...]:
        """Return what the index says of a study: ID, issuer, name, birth date, sex, conflict."""
        (row,) = self.rows(
            "SELECT patient_id, issuer, patient_name, birth_date, sex, conflict FROM studies WHERE study=?", study
        )
        return row

    def sound(self) -> None:
        """Hold that rows fit together."""
        assert not self.rows("SELECT 1 FROM studies s LEFT JOIN patients p ON p.id = s.patient WHERE p.id IS NULL")
        assert not self.rows("SELECT 1 FROM patients p WHERE NOT EXISTS (SELECT 1 FROM studies WHERE patient = p.id)")
        assert not self.rows(
            "SELECT 1 FROM studies s JOIN patients p ON p.id = s.patient"
            " WHERE (s.patient_id, s.issuer) != (p.patient_id, p.issuer)"
        )
        assert not self.rows(
            "SELECT 1 FROM persons p JOIN persons s ON s.id = p.merged_into WHERE s.merged_into != 0 OR s.id = p.id"
        )
        assert not self.rows("SELECT 1 FROM orders o JOIN persons p ON p.id = o.person WHERE p.merged_into != 0")
        assert not self.rows("SELECT 1 FROM orders o LEFT JOIN persons p ON p.id = o.person WHERE p.id IS NULL")
        assert not self.rows('SELECT 1 FROM steps s LEFT JOIN orders o ON o.id = s."order" WHERE o.id IS NULL')


class Ward(Rows):
    """A database, what acts on messages, and what writes objects into the index."""

    def __init__(self, **settings: Any) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(files("pacstui.db").joinpath("schema.sql").read_text("utf-8"))
        self.bus = Bus()
        self.settings = OrdersSettings.model_validate(settings)
        self.index = IndexWriter()
        self.applying = Applying(lambda: self.settings, self.bus, FakeClock(), self.index.forget_known)
        self.at = 1_767_268_800_000_000
        self.count = 0
        identities.set_local_issuer(self.connection, self.settings.local_issuer)

    def hear(self, *texts: str) -> Outcome:
        """Take messages as the intake does; return what became of the last."""
        for text in texts:
            self.at += 1
            self.connection.execute("SAVEPOINT message")
            try:
                outcome = self.applying.apply(self.connection, Message(text), self.at)
            except Refused as refused:
                self.connection.execute("ROLLBACK TO message")
                outcome = Outcome(refused.code, str(refused), refused.patient, refused.accession, refused.faults)
            self.connection.execute("RELEASE message")
        return outcome

    def refused(self, text: str) -> Fault:
        """Take a message that is refused; return its first fault."""
        before = self.everything()
        outcome = self.hear(text)
        assert outcome.code != "AA", outcome
        assert self.everything() == before
        return outcome.faults[0]

    def store(
        self, patient_id: str = "4711", name: str = "DOE^JANE", birth: str = "19700102", sex: str = "F",
        issuer: str = "", study: str = "", series: str = "", description: str = "CT", accession: str = "",
    ) -> str:  # fmt: skip
        """Store an object; return its Study Instance UID. ``why`` says why its study is doubtful."""
        self.count += 1
        study = study or f"{UID}.{self.count}"
        series = series or f"{study}.{self.count}"
        sop = f"{series}.{self.count}"
        entry = entry_of(sop, study, series, patient_id, issuer, (name, birth, sex), description, accession)
        digest = hashlib.sha256(sop.encode()).digest()
        self.at += 1
        self.connection.execute("BEGIN")
        self.why = self.index.add(self.connection, entry, Place(digest, digest, 0, 100, f"objects/{sop}"), self.at)
        self.index.flush(self.connection, "2026-01-01", self.at)
        self.connection.execute("COMMIT")
        return study

    def everything(self) -> list[Any]:
        """Return all rows that messages can change."""
        tables = ("persons", "orders", "steps", "merges", "patients", "studies", "former_identities", "daily")
        return [self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]

    def person(self, id: str, issuer: str = "HOSP") -> tuple[Any, ...]:
        """Return name, birth date, sex of a person."""
        (row,) = self.rows(
            "SELECT name, birth_date, sex FROM persons WHERE patient_id=? AND issuer=?", id, issuer
        )  # fmt: skip
        return row

    def body(self, id: str, issuer: str = "HOSP") -> dict[str, Any]:
        """Return what else is kept of a person."""
        text = self.one("SELECT body FROM persons WHERE patient_id=? AND issuer=?", id, issuer)
        read: dict[str, Any] = json.loads(text)
        return read
