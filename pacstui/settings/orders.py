"""Patients and orders as HL7 messages tell of them, and which steps an ordered procedure becomes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pacstui.settings.base import AeTitle, Section
from pacstui.settings.routing import Pattern

Issuer = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=16)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]


class ProcedureSettings(Section):
    """What an ordered procedure becomes. All conditions have to hold; the first entry that fits counts, and with it
    those after it that say also."""

    code: tuple[Pattern, ...] = ()
    """Only procedures with one of these codes (OBR-4.1, or OBR-4.4); empty: all. Here and below * stands for anything,
    ? for one character, and case does not matter."""

    scheme: tuple[Pattern, ...] = ()
    """Only codes of one of these coding schemes (OBR-4.3)."""

    description: tuple[Pattern, ...] = ()
    """Only procedures with such a text (OBR-4.2)."""

    ordered_modality: tuple[Pattern, ...] = ()
    """Only orders that name one of these modalities themselves (OBR-24 or IPC-5)."""

    sender: tuple[Pattern, ...] = ()
    """Only orders from one of these: sending application, or application and facility with | between them."""

    also: bool = False
    """One step more of the procedure of the entry before, for what needs several."""

    modality: Short = ""
    """Modality of the step (PS3.3 C.7.3.1.1.1); empty: what the order says."""

    station_ae: tuple[AeTitle, ...] = ()
    """AE titles of the stations where it can be done; empty: what the order says, else any of the modality."""

    station_name: Short = ""
    """Name of the station."""

    room: Short = ""
    """Where it is done; empty: what the order says."""

    duration_min: Annotated[int, Field(ge=0, le=1440)] = 0
    """Minutes that it takes; each further step begins when the one before is over."""

    step: Text = ""
    """Description of the step; empty: the text of the procedure."""

    protocol: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=150)], ...] = ()
    """Protocol codes as "code^scheme^meaning"; empty: what the order says, else the code of the procedure."""

    study: Literal["own", "accession"] = "own"
    """Which Study Instance UID a procedure gets whose order names none: one of its own, or the same for all with one
    Accession Number."""


class OrdersSettings(Section):
    """Patients and orders as HL7 messages tell of them."""

    issuers: tuple[Issuer, ...] = ()
    """Assigning authorities whose patient IDs count first where PID-3 has several, in this order; without one the first
    ID of type MR, then PI, then the first."""

    local_issuer: Issuer = ""
    """Assigning authority of IDs that come without one, in messages and in objects; empty: the only one that is known
    for the ID."""

    update_unknown: Literal["create", "refuse"] = "create"
    """What an update (A08, A31) of a patient who is not known does: it creates the patient, or is answered with AE."""

    change_unknown: Literal["create", "refuse"] = "create"
    """What a change (XO) of an order that is not known does: it is taken as a new one, or answered with AE."""

    accession: Literal["filler", "placer", "made", "refuse"] = "filler"
    """Where the Accession Number comes from if the order has none: from the filler's or the placer's number, made here,
    or the order is answered with AE."""

    uid_root: Annotated[str, StringConstraints(pattern=r"^([0-2](\.(0|[1-9][0-9]*))+)?$", max_length=30)] = ""
    """Root of Study Instance UIDs that are made; empty: 2.25 (PS3.5 B.2)."""

    procedures: tuple[ProcedureSettings, ...] = ()
    """Which steps an ordered procedure becomes; the first that fits counts."""
