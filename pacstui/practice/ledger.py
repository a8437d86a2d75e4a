"""The hospital's own account of what it sent and what was acknowledged, to hold against the archive afterwards."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacstui.practice.studies import Instance


@dataclass(slots=True)
class _Entry:
    instance: str
    study: str
    digest: str
    size: int
    pixels: str = ""


def acknowledges(status: int) -> bool:
    """Return whether a C-STORE status says that the object was taken: success or a warning (PS3.4 B.2.3)."""
    return status == 0x0000 or status & 0xF000 == 0xB000


class Ledger:
    """What happened to every instance.

    An instance counts as sent once a C-STORE of it was begun, unless the sender itself cut it off and never sent it
    again. It counts as acknowledged when the first C-STORE of it succeeded; later ones are repeats (the same bytes) or
    duplicates (other bytes under the same UID).
    """

    def __init__(self) -> None:
        self._open: dict[str, _Entry] = {}
        self._kept: dict[str, _Entry] = {}
        self._others: list[tuple[_Entry, int]] = []
        self._refused: dict[str, tuple[_Entry, int, str]] = {}
        self._refusals: Counter[tuple[str, str, str]] = Counter()
        self._faults: Counter[tuple[str, str]] = Counter()
        self.repeats = 0
        self.dropped = 0
        self.echoes = 0
        self.bytes = 0
        self.messages = 0
        self.worklist_queries = 0
        self.worklist_answers = 0
        self.scheduled: set[str] = set()
        self.performed: dict[str, str] = {}
        self.typed = 0
        self.emergencies = 0
        self.lost = 0

    def begins(self, instance: Instance) -> None:
        """A C-STORE of this instance is about to begin."""
        if instance.sop_instance not in self._kept:
            self._open[instance.sop_instance] = _entry(instance)

    def answered(self, instance: Instance, status: int, comment: str) -> None:
        """The C-STORE was answered."""
        self.messages += 1
        entry, uid = _entry(instance), instance.sop_instance
        first = self._kept.get(uid)
        if first is not None and first.digest != entry.digest:
            self._others.append((entry, status))
        elif first is not None:
            self.repeats += 1
        elif acknowledges(status):
            self._open.pop(uid, None)
            self._refused.pop(uid, None)
            self._kept[uid] = entry
            self.bytes += entry.size
        else:
            self._open.pop(uid, None)
            self._refused[uid] = (entry, status, comment)

    def cut(self, instance: Instance) -> None:
        """The sender dropped the connection in the middle of this instance."""
        self.dropped += 1
        self._open.pop(instance.sop_instance, None)

    def association_refused(self, calling: str, called: str, text: str) -> None:
        """An association was rejected."""
        self._refusals[(calling, called, text)] += 1

    def fault(self, calling: str, text: str) -> None:
        """Something that a healthy node does not do to a caller: no connection, an abort, a lost association."""
        self._faults[(calling, text)] += 1

    def kept(self, sop_instance: str) -> bool:
        """Return whether an instance was acknowledged."""
        return sop_instance in self._kept

    @property
    def acknowledged(self) -> int:
        """Number of instances acknowledged."""
        return len(self._kept)

    def instances(self) -> frozenset[str]:
        """Return the SOP Instance UIDs of what was acknowledged."""
        return frozenset(self._kept)

    def report(self, seconds: float) -> dict[str, Any]:
        """Return the whole account as a JSON object; ``instances`` and ``duplicates`` hold SHA-256 of data sets."""
        return {
            "sent": len(self._kept) + len(self._refused) + len(self._open),
            "acknowledged": len(self._kept),
            "studies": len({entry.study for entry in self._kept.values()}),
            "bytes": self.bytes,
            "seconds": round(seconds, 3),
            "messages": self.messages,
            "repeats": self.repeats,
            "dropped": self.dropped,
            "echoes": self.echoes,
            "worklist_queries": self.worklist_queries,
            "worklist_answers": self.worklist_answers,
            "answered_accessions": sorted(self.scheduled),
            "performed": dict(self.performed),
            "typed_by_hand": self.typed,
            "emergencies": self.emergencies,
            "images_lost_at_the_modality": self.lost,
            "refused_associations": sum(self._refusals.values()),
            "refusals": [
                {"calling": calling, "called": called, "text": text, "count": count}
                for (calling, called, text), count in self._refusals.items()
            ],
            "faults": [
                {"calling": calling, "text": text, "count": count} for (calling, text), count in self._faults.items()
            ],
            "refused": [
                {"sop_instance": uid, "status": f"{status:04X}", "comment": comment}
                for uid, (_, status, comment) in self._refused.items()
            ],
            "unanswered": list(self._open),
            "duplicates": [
                {"sop_instance": entry.instance, "sha256": entry.digest, "size": entry.size, "status": f"{status:04X}"}
                for entry, status in self._others
            ],
            "instances": [
                {
                    "sop_instance": uid,
                    "study": entry.study,
                    "sha256": entry.digest,
                    "size": entry.size,
                    "pixels": entry.pixels,
                }
                for uid, entry in self._kept.items()
            ],
        }


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write a report to ``path`` as a whole or not at all."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(json.dumps(report), encoding="utf-8")
    os.replace(partial, path)


def _entry(instance: Instance) -> _Entry:
    return _Entry(instance.sop_instance, instance.study, instance.digest, len(instance.data), instance.pixels)
