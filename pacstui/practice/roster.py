"""Who is who in the practice hospital; free of heavy imports, for those who only want the names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """A device that the archive knows."""

    title: str
    notes: str


PEERS = (
    Peer("CT1", "Room 1, trauma"),
    Peer("MR2", "Room 2"),
    Peer("CR3", "Ward, plate reader"),
    Peer("US4", "Outpatients"),
    Peer("MG5", "Screening unit"),
    Peer("OLDCT7", "Annex; the cable to it is known to be bad"),
    Peer("WS-RAD3", "Reading room, workstation"),
)
"""XRAY9 is missing on purpose: nobody told the archive about it."""

DESTINATIONS = (
    Peer("VNA", "Long-term archive; takes everything that comes"),
    Peer("TELERAD", "Night reading, over a bad line; its disk is full now and then"),
    Peer("AI-CHEST", "Reads chest images; takes nothing compressed"),
    Peer("OLDPACS", "The archive before this one; switched off for most of the day"),
)
"""Where studies are sent on to. The first one is good; what it has is what was routed to it."""

ISSUER = "PRACTICE"
"""Who gives out the patient IDs."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where examinations are done: station, modality, room, dialect of its orders, and what codes of it begin with."""

    station: str
    modality: str
    room: str
    kind: str
    prefix: str


ROOMS = (
    Room("CT1", "CT", "Room 1", "ORM^O01^ORM_O01", "CTA"),
    Room("MR2", "MR", "Room 2", "OMI^O23^OMI_O23", "MRA"),
    Room("CR3", "CR", "Ward X-ray", "ORM^O01^ORM_O01", "CRA"),
    Room("US4", "US", "Outpatients", "OMG^O19^OMG_O19", "USA"),
    Room("MG5", "MG", "Screening", "ORM^O01^ORM_O01", "MGA"),
    Room("OLDCT7", "CT", "Annex", "ORM^O01^ORM_O01", "CTB"),
)
"""What the RIS orders for, and where it is done."""
