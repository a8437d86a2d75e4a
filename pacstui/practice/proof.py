"""Holds what was acknowledged against what the archive has: index, files and their bytes."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pacstui.archive.paths import DATABASE, TRASH
from pacstui.db.database import Database
from pacstui.index.queries import Index, Instance
from pacstui.practice.receivers import GOOD
from pacstui.practice.told import told


@dataclass(frozen=True, slots=True)
class Proof:
    """How many acknowledged instances were found unchanged, and, one line each, what differs.

    ``routed`` are those that were queued for the good destination, ``arrived`` those of them that it has: unchanged, or
    ``corrected``, where the RIS has told another patient, name or ID of the study than its objects say.
    ``messages``, ``orders`` and ``performed`` are those of the RIS and of the modalities that the node has as they were
    answered.
    """

    found: int
    set_aside: int
    differences: tuple[str, ...]
    routed: int = 0
    arrived: int = 0
    corrected: int = 0
    messages: int = 0
    orders: int = 0
    performed: int = 0


async def prove(data_dir: Path, report: dict[str, Any]) -> Proof:
    """Compare the archive of a node that has ended with the hospital's ledger.

    An instance is found if the index has it, or the trash where somebody deleted it, and the bytes in its file, read
    now, have the digest of those that were acknowledged. A duplicate that was acknowledged must be in the archive or be
    set aside, with all its bytes. What the archive says was sent to the good destination must be there, as it was
    received.
    """
    differences: list[str] = []
    found = set_aside = 0
    database = await Database.open(data_dir / DATABASE)
    try:
        index = Index(database)
        queued = await database.read(_queued)
        deleted = await database.read(_deleted)
        told_otherwise = await database.read(_told_otherwise)
        around = await database.read(lambda connection: told(connection, report))
        for sent in report["instances"]:
            uid = sent["sop_instance"]
            wrong = _compare(data_dir, await index.instance(uid) or deleted.get(uid), sent)
            if wrong:
                differences.append(f"{sent['sop_instance']}: {wrong}")
            else:
                found += 1
        aside = {
            _tail(data_dir / row.path, row.bytes): row.sop_instance for row in await index.quarantine(limit=1_000_000)
        }
        for sent in report["duplicates"]:
            if aside.get(sent["sha256"]) == sent["sop_instance"]:
                set_aside += 1
            elif sent["status"] == "0000" or sent["status"].startswith("B"):
                differences.append(f"{sent['sop_instance']}: acknowledged with other content, which is nowhere")
    finally:
        await database.close()
    for refused in report["refused"]:
        differences.append(f"{refused['sop_instance']}: refused with {refused['status']} {refused['comment']}".rstrip())
    for uid in report["unanswered"]:
        differences.append(f"{uid}: sent, but never answered")
    has = report.get("received", {}).get(GOOD, {})
    kept = {sent["sop_instance"]: sent["sha256"] for sent in report["instances"]}
    pixels = {sent["sop_instance"]: sent.get("pixels", "") for sent in report["instances"]}
    has_pixels = report.get("received_pixels", {}).get(GOOD, {})
    arrived = corrected = 0
    for uid, state in queued.items():
        if uid in has and has[uid] == kept.get(uid, has[uid]):
            arrived += 1
        elif uid in has and uid in told_otherwise and has_pixels.get(uid, "") == pixels.get(uid):
            arrived += 1
            corrected += 1
        elif uid in has:
            differences.append(f"{uid}: arrived at {GOOD} with other bytes than were acknowledged")
        elif state == "sent":
            differences.append(f"{uid}: said to be sent to {GOOD}, which does not have it")
    differences += around.differences
    return Proof(
        found,
        set_aside,
        tuple(differences),
        len(queued),
        arrived,
        corrected,
        around.messages,
        around.orders,
        around.performed,
    )


def _queued(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the states of what was queued for the good destination, by SOP Instance UID."""
    rows = connection.execute(
        "SELECT o.sop_instance, o.state FROM outbox o JOIN sendings s ON s.id = o.sending WHERE s.destination = ?",
        (GOOD,),
    )
    return {str(uid): str(state) for uid, state in rows}


def _told_otherwise(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the SOP Instance UIDs of objects of which the index says something else than they do themselves, or may
    have before they were moved to the trash."""
    rows = connection.execute(
        "SELECT i.sop_instance FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study"
        " WHERE s.corrected != '' OR s.identity != 0 OR e.corrected != '' UNION SELECT sop_instance FROM trashed"
    )
    return frozenset(str(uid) for (uid,) in rows)


class _Deleted(NamedTuple):
    """An instance that somebody moved to the trash: it is there, and can come back."""

    digest: bytes
    path: str
    data_offset: int


def _deleted(connection: sqlite3.Connection) -> dict[str, _Deleted]:
    rows = connection.execute(
        "SELECT d.sop_instance, d.digest, t.folder, d.path, d.data_offset FROM trashed d JOIN trash t ON t.id = d.trash"
    )
    return {
        str(uid): _Deleted(bytes(digest), f"{TRASH}/{folder}/{str(path).rpartition('/')[2]}", int(offset))
        for uid, digest, folder, path, offset in rows
    }


def _compare(data_dir: Path, instance: Instance | _Deleted | None, sent: dict[str, Any]) -> str:
    if instance is None:
        return "acknowledged, but not in the index"
    if instance.digest.hex() != sent["sha256"]:
        return "the index has another digest than the acknowledged data set"
    try:
        with (data_dir / instance.path).open("rb") as stream:
            stream.seek(instance.data_offset)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"acknowledged, but its file cannot be read: {error.strerror}"
    return "" if digest == sent["sha256"] else "its file has other bytes than were acknowledged"


def _tail(path: Path, size: int) -> str:
    """Return the digest of the last ``size`` bytes of a file, empty if there are none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - size))
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
