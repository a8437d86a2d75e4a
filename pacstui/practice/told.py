"""Holds what RIS and modalities told, and what they were told, against what the node keeps."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Around:
    """How many messages, orders and performed steps the node has as they were answered, and what differs."""

    messages: int
    orders: int
    performed: int
    differences: tuple[str, ...]


def told(connection: sqlite3.Connection, report: dict[str, Any]) -> Around:
    """Compare the hospital's ledger with the tables of a node that has ended.

    A message is found if the node keeps it with the answer that its sender got; an order if it stands as the RIS left
    it; a performed step if its state is the one that the modality was told is taken. Patients have the name that was
    told last, merged ones their survivor, and no modality was told of an order that nobody placed.
    """
    differences: list[str] = []
    ris = report.get("ris", {})
    kept = dict(
        connection.execute("SELECT control, answer FROM hl7_messages WHERE state != 'repeated' AND control != ''")
    )
    messages = 0
    for control, sent in ris.get("messages", {}).items():
        if control not in kept:
            differences.append(f"message {control}: answered with {sent['answer']}, but not kept")
        elif kept[control] != sent["answer"]:
            differences.append(f"message {control}: answered with {sent['answer']}, kept as {kept[control]}")
        else:
            messages += 1
    stands = dict(connection.execute("SELECT accession, state FROM orders"))
    orders = 0
    for accession, state in ris.get("orders", {}).items():
        if accession not in stands:
            differences.append(f"order {accession}: accepted, but not there")
        elif (state == "cancelled") != (stands[accession] == "cancelled"):
            differences.append(f"order {accession}: {state}, but the node says {stands[accession]}")
        else:
            orders += 1
    for accession in report.get("answered_accessions", ()):
        if accession not in ris.get("orders", {}):
            differences.append(f"order {accession}: on a worklist, but nobody placed it")
    done = dict(connection.execute("SELECT sop_instance, state FROM performed"))
    performed = 0
    for instance, state in report.get("performed", {}).items():
        if instance not in done:
            differences.append(f"performed step {instance}: {state}, but not there")
        elif state not in ("IN PROGRESS", done[instance]):  # the answer to its end may have been lost when all closed
            differences.append(f"performed step {instance}: {state}, but the node says {done[instance]}")
        else:
            performed += 1
    differences += _people(connection, ris)
    return Around(messages, orders, performed, tuple(differences))


def _people(connection: sqlite3.Connection, ris: dict[str, Any]) -> list[str]:
    rows = connection.execute("SELECT id, patient_id, name, merged_into FROM persons").fetchall()
    names = {str(ident): str(name) for _, ident, name, _ in rows}
    own = {int(number): str(ident) for number, ident, _, _ in rows}
    into = {str(ident): own.get(int(merged), "") for _, ident, _, merged in rows if merged}
    merged: dict[str, str] = ris.get("merged", {})
    differences = []
    for ident, name in ris.get("names", {}).items():
        if ident not in merged and names.get(ident) != name:
            differences.append(f"patient {ident}: told as {name}, kept as {names.get(ident, 'nobody')}")
    for prior, survivor in merged.items():
        while survivor in merged:
            survivor = merged[survivor]
        if into.get(prior) != survivor:
            differences.append(
                f"patient {prior}: merged into {survivor}, but the node says {into.get(prior, 'nobody')}"
            )
    return differences
