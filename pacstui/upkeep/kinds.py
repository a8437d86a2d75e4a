"""Kinds of jobs for upkeep, and those jobs that a node makes by itself."""

from __future__ import annotations

from pacstui.archive import Archive
from pacstui.audit.room import AuditRoom
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.equipment.room import PeersRoom
from pacstui.jobs.kinds import Kind, Wanted
from pacstui.upkeep.audit import audit_kind
from pacstui.upkeep.database import database_kind
from pacstui.upkeep.echo import echo_kind
from pacstui.upkeep.files import reconcile_kind, reindex_kind
from pacstui.upkeep.integrity import integrity_kind


def kinds(archive: Archive, peers: PeersRoom, audit: AuditRoom, bus: Bus, clock: Clock) -> tuple[Kind, ...]:
    """Return all kinds of upkeep."""
    return (
        echo_kind(peers), reindex_kind(archive), reconcile_kind(archive), integrity_kind(archive, bus, clock),
        database_kind(archive.db), audit_kind(audit),
    )  # fmt: skip


def wanted(any_peers: bool) -> tuple[Wanted, ...]:
    """Return the jobs that a node makes by itself; people may change them."""
    sweep = (Wanted("echo-sweep", "echo-sweep", {}, "every 15 min"),) if any_peers else ()
    return (
        *sweep,
        Wanted("integrity", "integrity", {"percent": "2"}, "daily 01:30"),
        Wanted("database", "database", {}, "sun 04:30"),
        Wanted("audit-verify", "audit-verify", {}, "sun 04:00"),
        Wanted("reindex", "reindex", {}, ""),
        Wanted("reconcile", "reconcile", {}, ""),
    )


KINDS = ("echo-sweep", "integrity", "database", "audit-verify", "reindex", "reconcile")
"""The kinds whose jobs `wanted` speaks for."""
