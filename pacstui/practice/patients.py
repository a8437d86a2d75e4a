"""Patients who are nobody: names in many scripts that no person bears, with the quirks of real registers."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import date, timedelta

_FAMILIES = (
    "TESTER",
    "SAMPLE",
    "DEMO",
    "PHANTOM",
    "MUSTER",
    "SPECIMEN",
    "EXAMPLE",
    "DUMMY",
    "PLACEHOLDER",
    "MANNEQUIN",
)
_GIVEN_F = ("ALPHA", "CHARLINE", "ECHO", "INDIA", "JULIET", "OSCARINE", "SIERRA", "UNA", "VICTORIA", "ZULA")
_GIVEN_M = ("BRAVO", "DELTO", "FOXTROT", "GOLF", "KILO", "MIKE", "ROMEO", "TANGO", "WHISKY", "YANKEE")

# name (PN), Specific Character Set values, sex
_FOREIGN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("PRÜFLING^JÖRN", ("ISO_IR 100",), "M"),
    ("MÜSTER^ÄNNE^^DR.", ("ISO_IR 100",), "F"),
    ("ÉCHANTILLON^ZOÉ", ("ISO_IR 100",), "F"),
    ("PRÓBKA^ŁUCJA", ("ISO_IR 101",), "F"),
    ("ПРОБА^ОБРАЗЕЦ", ("ISO_IR 144",), "M"),
    ("ΔΟΚΙΜΗ^ΑΛΦΑ", ("ISO_IR 126",), "F"),
    ("TESUTO^TAROU=試験^太郎=てすと^たろう", ("", "ISO 2022 IR 87"), "M"),
    ("MIHON^HANAKO=見本^花子=みほん^はなこ", ("", "ISO 2022 IR 87"), "F"),
    ("SIHEOM^HWANJA=試驗^患者=시험^환자", ("", "ISO 2022 IR 149"), "M"),
    ("CESHI^YANGBEN=测试^样本", ("GB18030",), "F"),
    ("ÖRNEK^ŞAHIS", ("ISO_IR 192",), "O"),
)


@dataclass(frozen=True, slots=True)
class Patient:
    """One synthetic patient.

    ``name`` is a PN value with its component groups, ``charset`` the Specific Character Set it needs (empty for ASCII).
    ``patient_id`` may be empty, as it is for people who came by ambulance.
    """

    name: str
    patient_id: str
    born: date | None
    sex: str
    charset: tuple[str, ...]
    height_m: float
    weight_kg: float
    girth: float

    def age(self, on: date) -> str:
        """Return the age as an AS value (PS3.5 6.2), empty if unknown."""
        if self.born is None:
            return ""
        years = on.year - self.born.year - ((on.month, on.day) < (self.born.month, self.born.day))
        return f"{years:03}Y"


def uid(rng: random.Random) -> str:
    """Return a UID made of a random UUID, under 2.25 (PS3.5 B.2)."""
    return f"2.25.{uuid.UUID(int=rng.getrandbits(128), version=4).int}"


def register(rng: random.Random, today: date, count: int = 48) -> tuple[Patient, ...]:
    """Return ``count`` patients, among them one without Patient ID and names in every script that the list knows."""
    patients = []
    foreign = list(_FOREIGN)
    rng.shuffle(foreign)
    for number in range(count):
        if number % 4 == 1 and foreign:
            name, charset, sex = foreign.pop()
        else:
            sex = rng.choice("FM")
            given = rng.choice(_GIVEN_F if sex == "F" else _GIVEN_M)
            name, charset = f"{rng.choice(_FAMILIES)}^{given}", ()
        patient_id = f"PRA{rng.randrange(10**6):06}"
        born: date | None = today - timedelta(days=rng.randrange(19 * 365, 92 * 365))
        if number == 6:
            name, charset, patient_id, born, sex = "UNKNOWN^EMERGENCY 1", (), "", None, ""
        height = rng.uniform(1.52, 1.96)
        girth = rng.uniform(0.9, 1.06)
        patients.append(
            Patient(name, patient_id, born, sex, charset, round(height, 2), round(26 * girth**2 * height**2, 1), girth)
        )
    return tuple(patients)
