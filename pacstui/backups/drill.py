"""The restore drill: a backup counts when it has been restored.

Index and some packs of objects are restored into a scratch folder, a throw-away node is started on it, and what the
node sends by C-GET (PS3.4 C.4.3) is compared with the digests of the index. The rate tells how long the whole would
take.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from pacstui.archive import paths
from pacstui.backups import checks, extra, source
from pacstui.backups.checks import Check
from pacstui.backups.layout import Manifest, Member
from pacstui.backups.reading import Packs, check_index, fetch_index, read_extra
from pacstui.backups.restore import fits
from pacstui.backups.store import translate
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, PacsError, StorageFull, Unavailable
from pacstui.text import count, duration, plural, size

_START_S: Final = 60.0
_GET_S: Final = 120.0
_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
_AT_ONCE: Final = 50
_CONTEXTS: Final = 100
_SERVE: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: who started it is gone, then it goes as well
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, "-P", "-m", "pacstui", "--config", sys.argv[2], "serve"])
"""
_INSTANCES: Final = (
    "SELECT s.study, e.series, i.sop_instance, i.sop_class, i.transfer_syntax, i.digest, i.meta_digest, i.path"
    ", {hidden} FROM ix.instances i JOIN ix.series e ON e.id = i.series JOIN ix.studies s ON s.id = e.study"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """An instance that is restored and fetched."""

    study: str
    series: str
    sop_instance: str
    sop_class: str
    transfer_syntax: str
    digest: bytes
    path: str
    member: Member
    pack: tuple[str, int]
    hidden: bool = False  # rejected: no query or retrieval finds it


@dataclass(frozen=True, slots=True)
class Drilled:
    """How a drill ended."""

    check: Check
    text: str
    hint: str


class Drill:
    """One rehearsal."""

    def __init__(self, target: Target, manifest: Manifest, instances: int, by: str, watch: Watch) -> None:
        self._target = target
        self._manifest = manifest
        self._wanted = max(1, instances)
        self._by = by
        self._watch = watch
        self._title = f"D{token_hex(7)}".upper()
        self._wrong: list[str] = []

    def run(self) -> Drilled:
        """Rehearse, and keep the result in the target.

        Raises
        ------
        Cancelled
            When it was told to end.
        PacsError
            When the drill cannot be held; a snapshot that does not come back is no such error but its result.
        """
        began = time.monotonic()
        fits(self._manifest)
        manifest = self._manifest
        try:
            with self._target.scratch("drill") as scratch:
                free = shutil.disk_usage(scratch).free
                if free < manifest.index_size * 3:
                    raise StorageFull(f"{scratch} has {size(free)} free: too little for the index", "make room")
                rate, sample = self._restore(scratch / "data")
                fetched = self._fetch(scratch, sample) if sample and not self._wrong else 0
        except OSError as error:
            raise translate(error, str(self._target.folder)) from error
        return self._told(rate, len(sample), fetched, time.monotonic() - began)

    def _restore(self, data: Path) -> tuple[float, list[Sample]]:
        """Restore index and sample; return bytes per second, and the sample."""
        manifest, watch = self._manifest, self._watch
        data.mkdir(mode=0o700)
        index = data / paths.DATABASE
        try:
            fetch_index(self._target, manifest, index, watch)
        except Corrupt as error:
            self._wrong.append(error.message)
            return 0.0, []
        watch.tell(now="checking the index")
        problem = check_index(index, self._watch)
        with closing(source.connect(index)) as db:
            held = source.counts(db)
        if problem:
            self._wrong.append(f"the index is damaged: {problem}")
        elif (held.instances - manifest.missing_total, held.studies) != (manifest.instances, manifest.studies):
            self._wrong.append(
                f"the index has {count(held.instances)} instances of {count(held.studies)} studies, "
                f"the snapshot says {count(manifest.instances)} of {count(manifest.studies)}"
            )
        if self._wrong:
            return 0.0, []
        sample = self._choose(index)
        began, total = time.monotonic(), 0
        packs = Packs(self._target, data, watch)
        watch.tell(total=len(sample), unit="instances", total_bytes=sum(each.member.size for each in sample))
        by_pack: dict[tuple[str, int], list[Sample]] = {}
        for each in sample:
            by_pack.setdefault(each.pack, []).append(each)
        for (name, length), group in by_pack.items():
            watch.check()
            places = {each.member.key: each.path for each in group}

            def put(member: Member, pieces: Any, places: dict[bytes, str] = places) -> None:
                place = data / places[member.key]
                place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with place.open("wb") as file:
                    file.writelines(pieces)
                watch.add(done_bytes=member.size)

            for member, why in packs.objects(name, length, [each.member for each in group], put):
                self._wrong.append(f"{places[member.key]}: {why.message}")
            total += sum(each.member.size for each in group)
        os.sync()
        return total / max(time.monotonic() - began, 0.001), sample

    def _choose(self, index: Path) -> list[Sample]:
        """Take whole packs at random until there are enough instances, so that the rate is that of a restore."""
        known = self._target.known
        self._target.learn(self._watch)
        db = known.db
        sample: list[Sample] = []
        with known.beside(index):
            needed = {pack.name for pack in self._manifest.packs}
            packs = [row for row in db.execute("SELECT id, name, size FROM packs").fetchall() if row[1] in needed]
            random.SystemRandom().shuffle(packs)
            for row, name, length in packs:
                if len(sample) >= self._wanted:
                    break
                sample += self._of_pack(db, int(row), (str(name), int(length)))
        return sample

    def _of_pack(self, db: sqlite3.Connection, row: int, pack: tuple[str, int]) -> list[Sample]:
        members = {
            bytes(key): Member(bytes(key), int(offset), int(length), int(head))
            for key, offset, length, head in db.execute(
                "SELECT key, offset, size, head FROM members WHERE pack=?", (row,)
            )
        }
        found: list[Sample] = []
        columns = {each[1] for each in db.execute("PRAGMA ix.table_info(studies)")}
        query = _INSTANCES.format(hidden="s.hidden" if "hidden" in columns else "0")
        for study, series, uid, sop_class, syntax, digest, meta, path, hidden in db.execute(query):
            member = members.get(bytes(digest) + bytes(meta))
            if member is not None:
                found.append(Sample(str(study), str(series), str(uid), str(sop_class), str(syntax), bytes(digest),
                                    str(path), member, pack, bool(hidden)))  # fmt: skip
                if len(found) == len(members):
                    break
        return found

    def _fetch(self, scratch: Path, sample: list[Sample]) -> int:
        """Start a node on what was restored and fetch the sample from it; return how many came as they were."""
        self._believe(scratch / "data")
        self._give_key(scratch / "data")
        port = _free_port()
        configuration = scratch / "pacstui.toml"
        configuration.write_text(
            f'[node]\ndata_dir = "{scratch / "data"}"\nrehearsal = true\n'
            f'[dicom]\nae_title = "{self._title}"\nport = {port}\n'
            'unknown_callers = "none"\n[retrieve]\ncorrected = false\n[audit]\nserver = ""\n'
            f'[[peers]]\nname = "drill"\nae_title = "{self._title}"\nhost = "127.0.0.1"\nallow = ["get"]\n'
        )
        self._watch.tell(now="starting a node on it")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PACSTUI_")}
        with (scratch / "node.log").open("wb") as log:
            node = subprocess.Popen(
                [sys.executable, "-P", "-c", _SERVE, str(os.getpid()), str(configuration)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        try:
            self._await(node, scratch, port)
            return self._get(port, sample)
        finally:
            node.send_signal(signal.SIGTERM)
            try:
                node.wait(15)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()

    @staticmethod
    def _believe(data: Path) -> None:
        """Let the node not look for the files that were left out."""
        with closing(sqlite3.connect(data / paths.DATABASE)) as db:
            row = db.execute("SELECT value FROM state WHERE name='session'").fetchone()
        (data / "session").write_text(f"clean 0 {row[0] if row else ''}\n", "ascii")

    def _give_key(self, data: Path) -> None:
        """Let the node go on with the audit trail: with its key, else (which lies elsewhere then) without the trail."""
        key = extra.audit_key_in(read_extra(self._target, self._manifest))
        if key:
            (data / extra.AUDIT_KEY).write_bytes(key)
            return
        with closing(sqlite3.connect(data / paths.DATABASE)) as db:
            db.executescript(
                "DROP TRIGGER IF EXISTS audit_stays; DROP TRIGGER IF EXISTS audit_kept;"
                "DELETE FROM audit; DELETE FROM audit_checkpoints;"
            )

    def _await(self, node: subprocess.Popen[bytes], scratch: Path, port: int) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            self._watch.check()
            if node.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                return
            time.sleep(0.1)
        lines = (scratch / "node.log").read_text("utf-8", "replace").strip().splitlines()
        last = lines[-1][:200] if lines else "it said nothing"
        raise Unavailable(f"a node could not be started on what was restored: {last}", "is the machine overloaded?")

    def _get(self, port: int, sample: list[Sample]) -> int:
        """Fetch by C-GET, series by series."""
        good = 0
        by_series: dict[tuple[str, str], list[Sample]] = {}
        for each in sample:
            if each.hidden:  # its bytes were compared when they were restored
                good += 1
                self._watch.add(done=1)
                continue
            by_series.setdefault((each.study, each.series), []).append(each)
        for group in by_series.values():
            for at in range(0, len(group), _AT_ONCE):
                self._watch.check()
                part = group[at : at + _AT_ONCE]
                came = _fetched(port, part, self._title)
                whole = set(came.values())  # what was corrected may be known by another UID than it carries
                for each in part:
                    if each.digest in whole:
                        good += 1
                    else:
                        what = "differs" if each.sop_instance in came else "did not come"
                        self._wrong.append(f"{each.sop_instance} {what} by C-GET")
                self._watch.add(done=len(part))
        return good

    def _told(self, rate: float, sampled: int, fetched: int, seconds: float) -> Drilled:
        manifest, wrong = self._manifest, len(self._wrong)
        whole = (manifest.bytes + manifest.index_size) / rate if rate else 0.0
        if wrong:
            text = f"{plural(wrong, 'fault')}: {self._wrong[0]}"
            hint = "pacstui backup verify --full tells what is damaged; back up now, to another target as well"
            for line in self._wrong[:100]:
                self._watch.note(line, "fail")
        else:
            text = f"{plural(fetched, 'instance')} restored and fetched, all as they were; index whole"
            if rate:
                text += f"; {size(rate)}/s: all of it in about {duration(whole)}"
            hint = ""
        check = Check(
            checks.DRILL, checks.now(), "", manifest.id, not wrong, text, self._by, round(seconds, 1), sampled,
            0, wrong, round(rate, 1),
        )  # fmt: skip
        try:
            checks.write(self._target, check)
        except PacsError as error:
            self._watch.note(f"the result could not be kept in the target: {error}", "warn")
        return Drilled(check, text, hint)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fetched(port: int, part: list[Sample], title: str) -> dict[str, bytes]:
    """Return the digest of each instance's data set that came."""
    from pydicom.dataset import Dataset
    from pynetdicom import AE, build_role, evt

    came: dict[str, bytes] = {}

    def keep(event: Any) -> int:
        came[str(event.request.AffectedSOPInstanceUID)] = sha256(event.request.DataSet.getvalue()).digest()
        return 0

    kinds = sorted({(each.sop_class, each.transfer_syntax) for each in part})[:_CONTEXTS]
    ae = AE(ae_title=title)
    ae.dimse_timeout = ae.network_timeout = ae.acse_timeout = _GET_S
    ae.add_requested_context(_GET)
    for sop_class, syntax in kinds:
        ae.requested_contexts = [*ae.requested_contexts, _context(sop_class, syntax)]
    roles: list[Any] = [build_role(kind, scp_role=True) for kind in sorted({kind for kind, _ in kinds})]
    association = ae.associate("127.0.0.1", port, ae_title=title, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, keep)])
    if not association.is_established:
        return came
    try:
        asked = Dataset()
        asked.QueryRetrieveLevel = "IMAGE"
        asked.StudyInstanceUID = part[0].study
        asked.SeriesInstanceUID = part[0].series
        asked.SOPInstanceUID = [each.sop_instance for each in part]
        for status, _ in association.send_c_get(asked, _GET):
            if not status:
                break
    finally:
        association.release()
    return came


def _context(sop_class: str, syntax: str) -> Any:
    from pynetdicom import build_context

    return build_context(sop_class, syntax)
