"""Verification: is all that the snapshots need there, and is it as it was written?

Quick looks at names and sizes. Full reads every byte: each file's SHA-256, then, where a key is here, each object's own
digests, and that every object of every snapshot's index is in a good pack. A sample reads some packs in full, those
first that were not read for longest. A pack that is found damaged is marked, and its objects travel again with the next
run, as far as the archive has them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pacstui.backups import checks, layout
from pacstui.backups.checks import Check
from pacstui.backups.layout import Manifest, Member, PackRef
from pacstui.backups.reading import Packs, check_index, fetch, fetch_index, read_extra
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import BadRequest, Corrupt, NotFound, PacsError
from pacstui.text import plural, size

DEPTHS: Final = ("quick", "sample", "full")
_TOLD: Final = 200
_LACKING: Final = """
SELECT count(*) FROM ix.instances i WHERE NOT EXISTS (
    SELECT 1 FROM members m WHERE m.key = CAST(i.digest || i.meta_digest AS BLOB)
    AND m.pack NOT IN (SELECT pack FROM temp.bad)
)
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: which file, and what about it."""

    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a verification ended. ``unread`` tells why contents could not be looked at (no key), empty if they were."""

    check: Check
    findings: tuple[Finding, ...]
    snapshots: int
    text: str
    hint: str
    unread: str

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.check.ok


class Verification:
    """One run over a target."""

    def __init__(self, target: Target, depth: str, percent: float, by: str, watch: Watch) -> None:
        if depth not in DEPTHS:
            raise BadRequest(f"{depth} is no depth", "quick, sample or full")
        if not 0 < percent <= 100:
            raise BadRequest(f"{percent:g} percent cannot be read", "more than 0, at most 100")
        self._target = target
        self._depth = depth
        self._percent = percent
        self._by = by
        self._watch = watch
        self._findings: list[Finding] = []
        self._damaged: set[str] = set()
        self._newest: set[str] = set()
        self._objects = self._bytes = 0
        self._unsigned = self._strangers = 0
        self._unread = ""

    def run(self) -> Verdict:
        """Verify, and keep the result in the target.

        Raises
        ------
        Cancelled
            When it was told to end.
        PacsError
            When the target cannot be read at all.
        """
        began = time.monotonic()
        target, watch = self._target, self._watch
        with target.scratch("verify") as scratch:
            watch.tell(now="reading the manifests")
            manifests = self._manifests()
            believed = [manifest for manifest in manifests if target.seal(manifest).believed]
            newest = max(believed, key=lambda manifest: manifest.moment, default=None)
            self._newest = {pack.name for pack in newest.packs} if newest is not None else set()
            present = dict(target.store.list(""))
            packs = {pack.name: pack for manifest in reversed(manifests) for pack in manifest.packs}
            self._names_and_sizes(manifests, packs, present)
            chosen = self._chosen(list(packs.values()))
            if self._depth != "quick":
                self._read_packs(chosen, present, scratch)
                self._read_snapshots(manifests if self._depth == "full" else manifests[:1], scratch)
        return self._verdict(manifests, len(chosen), len(packs), time.monotonic() - began)

    def _wrong(self, name: str, what: str) -> None:
        self._findings.append(Finding(name, what))
        self._watch.add(errors=1)
        if len(self._findings) <= _TOLD:
            self._watch.note(f"{name}: {what}", "fail")

    def _manifests(self) -> list[Manifest]:
        found = []
        for name in self._target.snapshot_names():
            try:
                data = self._target.store.get(layout.manifest_name(name))
                manifest = layout.manifest_from(data, layout.manifest_name(name))
            except (Corrupt, NotFound) as error:
                self._wrong(layout.manifest_name(name), error.message)
                continue
            found.append(manifest)
            self._see_who_signed(manifest)
        return found

    def _see_who_signed(self, manifest: Manifest) -> None:
        seal = self._target.seal(manifest)
        if not seal.believed:
            self._strangers += 1
            self._wrong(layout.manifest_name(manifest.id), seal.text)
        elif seal.state != "signed":
            self._unsigned += 1
            self._watch.note(f"{manifest.id}: {seal.text}", "warn" if seal.state == "unknown" else "info")

    def _names_and_sizes(self, manifests: list[Manifest], packs: dict[str, PackRef], present: dict[str, int]) -> None:
        for pack in packs.values():
            name = layout.pack_name(pack.name, self._target.encrypted)
            if self._replaced(pack.name, present):
                continue
            before = len(self._findings)
            self._see(present, name, pack.size)
            if layout.damaged_name(pack.name) in present:
                if len(self._findings) == before:
                    self._wrong(name, "it was found damaged, and no backup has brought its objects anew")
                self._damaged.add(pack.name)
            if layout.list_name(pack.name) not in present:
                self._wrong(layout.list_name(pack.name), "it is gone")
                self._damaged.add(pack.name)
            if present.get(name) != pack.size:
                self._damaged.add(pack.name)
        for manifest in manifests:
            for file in (manifest.index, manifest.extra):
                if file is not None:
                    self._see(present, f"{layout.SNAPSHOTS}{manifest.id}/{file.name}", file.size)

    def _see(self, present: dict[str, int], name: str, length: int) -> None:
        found = present.get(name)
        if found is None:
            self._wrong(name, "it is gone")
        elif found != length:
            self._wrong(name, f"it has {found} bytes instead of {length}")

    def _replaced(self, pack: str, present: dict[str, int]) -> bool:
        """Return whether a pack was found damaged, or gone, and is not counted on any more: not by the newest snapshot,
        before which its objects travelled anew as far as the archive had them. Which did not, a full run finds."""
        return layout.damaged_name(pack) in present and pack not in self._newest

    def _chosen(self, packs: list[PackRef]) -> list[PackRef]:
        if self._depth == "full":
            return packs
        if self._depth == "quick":
            return []
        read = dict(self._target.known.db.execute("SELECT name, verified FROM packs"))
        packs.sort(key=lambda pack: read.get(pack.name, 0))
        wanted = max(1, round(sum(pack.size for pack in packs) * self._percent / 100))
        chosen, total = [], 0
        for pack in packs:
            if total >= wanted:
                break
            chosen.append(pack)
            total += pack.size
        return chosen

    def _read_packs(self, chosen: list[PackRef], present: dict[str, int], scratch: Path) -> None:
        target, watch = self._target, self._watch
        watch.tell(total=len(chosen), total_bytes=sum(pack.size for pack in chosen), unit="packs")
        if target.encrypted and not target.keys.opens:
            self._unread = "no key is here: contents were not opened, only compared with what was written"
            watch.note(self._unread, "warn")
        reader = Packs(target, scratch, watch)
        for pack in chosen:
            watch.check()
            watch.tell(now=f"pack {pack.name[:16]}")
            if pack.name not in self._damaged and not self._replaced(pack.name, present):
                self._read_pack(pack, reader, scratch)
            watch.add(done=1, done_bytes=pack.size)

    def _read_pack(self, pack: PackRef, reader: Packs, scratch: Path) -> None:
        target = self._target
        name, listing = layout.pack_name(pack.name, target.encrypted), layout.list_name(pack.name)
        try:
            data = target.store.get(listing)
            if sha256(data).hexdigest() != pack.list:
                raise Corrupt(f"{listing} differs from what was written", "")
            members = list(layout.decode_list(data, listing, pack.size))
            if reader.digest(pack.name, pack.size) != pack.name:
                raise Corrupt(f"{name} differs from what was written", "")
        except (Corrupt, NotFound) as error:
            self._bad(pack.name, name, error.message)
            return
        if not self._unread:
            failed = reader.objects(pack.name, pack.size, members, self._taken)
            for _, why in failed[:1]:
                self._bad(pack.name, name, f"{plural(len(failed), 'object')} in it: {why.message}")
        self._objects += len(members)
        self._bytes += pack.size
        target.known.db.execute("UPDATE packs SET verified=? WHERE name=?", (int(time.time()), pack.name))

    @staticmethod
    def _taken(member: Member, pieces: Iterator[bytes]) -> None:
        """It was compared already."""

    def _bad(self, pack: str, name: str, what: str) -> None:
        self._damaged.add(pack)
        self._wrong(name, what)

    def _read_snapshots(self, manifests: list[Manifest], scratch: Path) -> None:
        """Read the snapshots' own files; see that every object of an index is in a pack that is good."""
        for manifest in manifests:
            self._watch.check()
            self._watch.tell(now=f"index of {manifest.id}")
            try:
                read_extra(self._target, manifest) if self._target.keys.opens or not manifest.encrypted else None
                self._read_index(manifest, scratch)
            except (Corrupt, NotFound) as error:
                self._wrong(f"{layout.SNAPSHOTS}{manifest.id}", error.message)

    def _read_index(self, manifest: Manifest, scratch: Path) -> None:
        path = scratch / "index.db"
        if manifest.encrypted and not self._target.keys.opens:
            name = f"{layout.SNAPSHOTS}{manifest.id}/{manifest.index.name}"
            fetch(self._target, name, path, self._watch, manifest.index.size, manifest.index.sha256)
            return
        fetch_index(self._target, manifest, path, self._watch)
        problem = check_index(path, self._watch)
        if problem:
            raise Corrupt(f"its index is damaged: {problem}", "")
        self._target.learn(self._watch)
        db = self._target.known.db
        with self._target.known.beside(path):
            db.executescript("DROP TABLE IF EXISTS temp.bad; CREATE TEMP TABLE bad (pack INTEGER PRIMARY KEY);")
            db.executemany(
                "INSERT INTO temp.bad SELECT id FROM packs WHERE name = ?", ((name,) for name in self._damaged)
            )
            lacking = db.execute(_LACKING).fetchone()[0]
        if lacking > manifest.missing_total:
            self._wrong(
                f"{layout.SNAPSHOTS}{manifest.id}",
                f"{plural(lacking - manifest.missing_total, 'instance')} of it cannot be restored any more",
            )

    def _mark(self) -> None:
        """Let nobody count on a damaged pack: what is in it travels again with the next run."""
        target = self._target
        for pack in sorted(self._damaged):
            target.store.put(layout.damaged_name(pack), b"a verification found this pack damaged\n")
            row = target.known.db.execute("SELECT id FROM packs WHERE name=?", (pack,)).fetchone()
            if row is not None:
                target.known.drop([int(row[0])])

    def _verdict(self, manifests: list[Manifest], read: int, packs: int, seconds: float) -> Verdict:
        wrong = len(self._findings)
        what = {
            "quick": f"names and sizes of {plural(packs, 'pack')}",
            "sample": f"{read} of {plural(packs, 'pack')} ({size(self._bytes)})",
            "full": f"all {plural(packs, 'pack')} ({size(self._bytes)})",
        }[self._depth]
        hint = ""
        if wrong and wrong == self._strangers:
            first = self._findings[0]
            text = f"{plural(wrong, 'snapshot')} may be somebody else's: {first.name}: {first.what}"
            hint = "who else may write there? What is not yours, remove from the target by hand"
        elif wrong:
            first = self._findings[0]
            text = f"{plural(wrong, 'fault')} in {what}: {first.name}: {first.what}"
            hint = "back up now: what the archive still has travels again; then check the target's disk"
        else:
            text = f"{what} of {plural(len(manifests), 'snapshot')}: 0 differences"
            if self._unsigned:
                text += f"; {self._unsigned} by nobody that is known here"
        if self._unread:
            text += f"; {self._unread}"
        check = Check(
            checks.VERIFY, checks.now(), self._depth, "", not wrong, text, self._by, round(seconds, 1),
            self._objects, self._bytes, wrong,
        )  # fmt: skip
        try:
            self._mark()
            checks.write(self._target, check)
        except PacsError as error:  # the target can be read and not written: the verdict stands all the same
            self._watch.note(f"the result could not be kept in the target: {error}", "warn")
        return Verdict(check, tuple(self._findings), len(manifests), text, hint, self._unread)
