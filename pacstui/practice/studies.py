"""Studies of synthetic patients: planned from a seed, drawn and encoded one instance at a time."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from pacstui.dicom.syntaxes import EXPLICIT, IMPLICIT, JPEG_LOSSLESS, RLE
from pacstui.practice import modalities
from pacstui.practice.headers import Equipment, Order
from pacstui.practice.modalities import EXAMINATIONS, Examination, Recipe
from pacstui.practice.patients import Patient, uid

UNCOMPRESSED = (EXPLICIT, IMPLICIT)
PIXELS = b"\xe0\x7f\x10\x00"
"""The tag of Pixel Data, with which the last element of a data set begins here."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance ready to send; ``data`` is the data set in ``transfer_syntax``, ``digest`` its SHA-256, ``pixels``
    that of its Pixel Data."""

    sop_class: str
    sop_instance: str
    series: str
    study: str
    transfer_syntax: str
    data: bytes
    digest: str
    pixels: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """A planned study: its order and the recipes of its instances, in the order of sending."""

    order: Order
    modality: str
    recipes: tuple[Recipe, ...]

    @property
    def uid(self) -> str:
        """Study Instance UID."""
        return self.order.study

    def contexts(self) -> list[tuple[str, list[str]]]:
        """Return what to propose: for each SOP class its compressed transfer syntax, if any, and the plain ones."""
        wanted: list[tuple[str, list[str]]] = []
        own = self.order.equipment.transfer_syntax
        for sop_class in dict.fromkeys(recipe.sop_class for recipe in self.recipes):
            if own not in UNCOMPRESSED:
                wanted.append((sop_class, [own]))
            wanted.append((sop_class, [IMPLICIT] if own == IMPLICIT else list(UNCOMPRESSED)))
        return wanted

    def instances(self, transfer_syntax: str = "") -> Iterator[Instance]:
        """Yield the instances, drawn when asked for, in the equipment's transfer syntax or the given one."""
        for recipe in self.recipes:
            yield self.instance(recipe, transfer_syntax or self.order.equipment.transfer_syntax)

    def instance(self, recipe: Recipe, transfer_syntax: str, *, comment: str = "") -> Instance:
        """Return one instance; with a ``comment`` (Image Comments) it has other content under the same UID."""
        d = recipe.make(transfer_syntax)
        if comment:
            d.ImageComments = comment
        data = encode(d, transfer_syntax)
        digest, pixels = (hashlib.sha256(part).hexdigest() for part in (data, data[max(0, data.find(PIXELS)) :]))
        return Instance(
            recipe.sop_class, recipe.sop_instance, recipe.series, self.order.study, transfer_syntax, data, digest,
            pixels,
        )  # fmt: skip


def encode(d: Dataset, transfer_syntax: str) -> bytes:
    """Return a data set's bytes in a little endian transfer syntax."""
    out = DicomBytesIO()
    out.is_little_endian = True
    out.is_implicit_VR = transfer_syntax == IMPLICIT
    write_dataset(out, d)
    return out.getvalue()


_REFERRERS = ("REFERRER^ONE^^DR.", "REFERRER^TWO^^DR.", "WARD^THREE", "EMERGENCY^DEPARTMENT", "")


def plan(
    modality: str,
    equipment: Equipment,
    patients: tuple[Patient, ...],
    rng: random.Random,
    when: datetime,
) -> Study:
    """Return the next study of a device. The same state of ``rng`` and the same ``when`` give the same study.

    Parameters
    ----------
    modality
        CT, MR, CR, DX, US or MG.
    when
        Begin of the study, local time.
    """
    what = rng.choice(EXAMINATIONS[modality])
    patient = pick(modality, patients, rng)
    number = rng.randrange(10**7)
    order = Order(
        patient=patient,
        equipment=equipment,
        study=uid(rng),
        study_id=f"{number:07}",
        accession=f"A{number:07}",
        description=what.description,
        body_part=what.body_part,
        referrer=rng.choice(_REFERRERS),
        when=when,
    )
    return Study(order, modality, tuple(_recipes(modality, order, what, rng)))


def made(modality: str, order: Order, rng: random.Random) -> Study:
    """Return the study that an order asks for; where its description is none of ours, one of this modality."""
    fitting = [each for each in EXAMINATIONS[modality] if each.description == order.description]
    what = fitting[0] if fitting else rng.choice(EXAMINATIONS[modality])
    return Study(order, modality, tuple(_recipes(modality, order, what, rng)))


def pick(modality: str, patients: tuple[Patient, ...], rng: random.Random) -> Patient:
    fitting = [patient for patient in patients if patient.sex in ("F", "O")] if modality == "MG" else list(patients)
    return rng.choice(fitting)


def _recipes(modality: str, order: Order, what: Examination, rng: random.Random) -> Iterator[Recipe]:
    match modality:
        case "CT":
            return modalities.ct(order, what, rng)
        case "MR":
            return modalities.mr(order, what, rng)
        case "US":
            return modalities.us(order, what, rng)
        case "MG":
            return modalities.mg(order, what, rng)
        case "CR" | "DX":
            return modalities.chest(order, what, rng, modality=modality)
    raise ValueError(f"the practice hospital has no equipment of modality {modality}")


__all__ = [
    "EXPLICIT", "IMPLICIT", "JPEG_LOSSLESS", "RLE", "Equipment", "Instance", "Study", "encode", "made", "pick", "plan",
]  # fmt: skip
