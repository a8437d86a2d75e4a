"""What can be asked of a target, each by name: the words between the node, or the command line, and the work."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tarfile import TarError
from typing import Any, Final

from pacstui.backups import browse, checks, prune, retention, selection, signing
from pacstui.backups.drill import Drill
from pacstui.backups.layout import Manifest
from pacstui.backups.lock import holder_of, stale
from pacstui.backups.request import SURVEY, Request
from pacstui.backups.restore import Restore, needed_bytes, see_place, swap
from pacstui.backups.signing import Seal
from pacstui.backups.spec import local_path
from pacstui.backups.store import translate
from pacstui.backups.take import Taking, result
from pacstui.backups.target import Target
from pacstui.backups.verify import Verification
from pacstui.backups.watch import Watch
from pacstui.errors import BadRequest, Corrupt, PacsError, StorageFull, Unavailable

log = logging.getLogger("pacstui.backups")
_STEPS: Final = 100_000
_DOUBT: Final = "verify the target in full: pacstui backup verify --full"


def perform(request: Request, watch: Watch) -> dict[str, Any]:
    """Do it.

    Raises
    ------
    Cancelled
        When it was told to end.
    PacsError
        When it cannot be done; says what mends that.
    """
    work = OPERATIONS.get(request.op)
    if work is None:
        raise BadRequest(f"there is no operation {request.op}")
    try:
        target = Target(request.spec, request.folder, request.archive)
        try:
            target.known.db.set_progress_handler(lambda: int(watch.stopping), _STEPS)
            if request.op != "backup":
                target.open()
            found = work(request, target, watch, **request.arguments)
            watch.flush()
            return found
        finally:
            target.close()
    except PacsError:
        raise
    except sqlite3.Error as error:
        watch.check()
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            raise StorageFull(f"{request.folder} is full", "make room on the archive's disk") from None
        log.exception("%s broke off", request.op)
        if target.known_is_damaged():
            raise Corrupt(
                f"what was remembered of the target {request.spec.name} was damaged and is forgotten", "start it again"
            ) from None
        raise Corrupt(f"an index of the target {request.spec.name} cannot be used: {error}", _DOUBT) from None
    except OSError as error:
        raise translate(error, str(request.folder)) from error
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, MemoryError, TarError) as error:
        log.exception("%s broke off", request.op)
        raise Corrupt(
            f"what lies in the target {request.spec.name} cannot be used: {type(error).__name__}: {error}", _DOUBT
        ) from None


def _backup(request: Request, target: Target, watch: Watch) -> dict[str, Any]:
    archive = request.archive
    if archive is None:
        raise BadRequest("there is no archive here to back up")
    configuration = Path(request.configuration) if request.configuration else None
    secrets = [Path(each) for each in request.secrets]
    return result(Taking(target, archive, request.node, request.by, watch, configuration, secrets).run())


def _verify(request: Request, target: Target, watch: Watch, depth: str, percent: float) -> dict[str, Any]:
    verdict = Verification(target, depth, percent, request.by, watch).run()
    return {
        "ok": verdict.ok, "text": verdict.text, "hint": verdict.hint, "warning": not verdict.ok,
        "snapshots": verdict.snapshots, "objects": verdict.check.objects, "bytes": verdict.check.bytes,
        "unread": verdict.unread,
        "findings": [{"name": each.name, "what": each.what} for each in verdict.findings[:1000]],
    }  # fmt: skip


def _prune(request: Request, target: Target, watch: Watch) -> dict[str, Any]:
    done = prune.prune(target, request.by, watch)
    return {**asdict(done), "warning": False, "hint": ""}


def _prune_plan(request: Request, target: Target, watch: Watch) -> dict[str, Any]:
    manifests = target.snapshots()
    rules = retention.kept(manifests, target.spec.keep, doubted=target.doubted(manifests))
    going = [each for each in manifests if not rules[each.id]]
    staying = [each for each in manifests if rules[each.id]]
    told = checks.read(target)
    return {
        "keep": [summary(each, target.seal(each), rules[each.id], told) for each in staying],
        "remove": [summary(each, target.seal(each), [], told) for each in going],
        "bytes": retention.only_needed_by(going, staying), "rules": retention.rules_told(target.spec.keep),
    }  # fmt: skip


def _drill(request: Request, target: Target, watch: Watch, snapshot: str, instances: int) -> dict[str, Any]:
    done = Drill(target, _trusted(target, snapshot, watch), instances, request.by, watch).run()
    return {
        "ok": done.check.ok, "text": done.text, "hint": done.hint, "warning": not done.check.ok,
        "snapshot": done.check.snapshot, "rate_bytes_per_s": done.check.rate_bytes_per_s,
    }  # fmt: skip


def summary(manifest: Manifest, seal: Seal, keeps: list[str], told: list[checks.Check]) -> dict[str, Any]:
    """Return what lists tell of a snapshot.

    A verification counts for the snapshots that were there when it was made.
    """
    check = next((each for each in told if each.kind == checks.VERIFY and each.at >= manifest.at[:19]), None)
    return {
        "id": manifest.id, "at": manifest.at, "patients": manifest.patients, "studies": manifest.studies,
        "instances": manifest.instances, "bytes": manifest.bytes, "missing": manifest.missing_total,
        "new_instances": manifest.new_instances, "new_bytes": manifest.new_bytes, "seconds": manifest.seconds,
        "by": manifest.by, "version": manifest.version, "encrypted": manifest.encrypted, "keeps": keeps,
        "last_row": manifest.last_row, "signed": seal.state, "signature": seal.text,
        "checked": "" if check is None else f"{check.depth}, {'0 differences' if check.ok else 'FAULTS'}",
        "checked_at": None if check is None else check.at, "checked_ok": None if check is None else check.ok,
    }  # fmt: skip


def _survey(request: Request, target: Target, watch: Watch) -> dict[str, Any]:
    manifests = target.snapshots()
    target.forget(each.id for each in manifests)
    rules = retention.kept(manifests, target.spec.keep, doubted=target.doubted(manifests))
    told = checks.read(target)
    drill = next((asdict(each) for each in told if each.kind == checks.DRILL), None)
    check = next((asdict(each) for each in told if each.kind == checks.VERIFY), None)
    held = {pack.name: pack.size for manifest in manifests for pack in manifest.packs}
    found = {
        "id": target.marker["id"], "encrypted": target.encrypted, "free": target.store.free(),
        "snapshots": [summary(each, target.seal(each), rules[each.id], told) for each in manifests],
        "bytes": sum(held.values()) + sum(manifest.index.size for manifest in manifests),
        "gone": _gone(target, manifests), "same_volume": _on_same_volume(target),
        "drill": drill, "check": check, "asked": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    with suppress(OSError):
        (request.folder / SURVEY).write_text(json.dumps(found), "utf-8")
    return found


def _gone(target: Target, manifests: list[Manifest]) -> str:
    """Return the newest snapshot that was taken from here, if the target does not have it any more."""
    newest = target.known.about("newest")
    return newest if newest and all(each.id != newest for each in manifests) else ""


def _on_same_volume(target: Target) -> bool:
    path = local_path(target.spec.url)
    return path is not None and path.stat().st_dev == target.folder.stat().st_dev


def _studies(
    request: Request, target: Target, watch: Watch, snapshot: str, search: str, limit: int, after: int
) -> dict[str, Any]:
    return browse.studies(target, target.find(snapshot), search, limit, after, request.archive, watch)


def _compare(request: Request, target: Target, watch: Watch, before: str, after: str) -> dict[str, Any]:
    return browse.compare(target, target.find(before), target.find(after), watch)


def _plan(
    request: Request,
    target: Target,
    watch: Watch,
    snapshot: str,
    what: str,
    key: str,
    to: str,
    any_signer: bool = False,
) -> dict[str, Any]:
    manifest = target.find(snapshot)
    told = checks.read(target)
    rate = next((each.rate_bytes_per_s for each in told if each.kind == checks.DRILL and each.rate_bytes_per_s), 0.0)
    plan: dict[str, Any] = {
        "target": target.spec.name, "snapshot": manifest.id, "at": manifest.at, "what": what, "to": to, "studies": 0,
        "instances": 0, "bytes": 0, "there": 0, "free_bytes": 0, "problems": [], "signed": target.seal(manifest).state,
        "signature": target.seal(manifest).text,
    }  # fmt: skip
    try:
        signing.see(target.seal(manifest), manifest.id, any_signer)
        if what == "index" and not to:
            raise BadRequest("the index goes into a new folder", "name one")
        if what == "index" or (what == "all" and to):
            see_place(Path(to), target, manifest, what == "index")
            plan["bytes"] = needed_bytes(manifest, what == "index")
            plan["instances"] = 0 if what == "index" else manifest.instances
            plan["studies"] = manifest.studies
        else:
            wanted = selection.select(target, manifest, what, key, request.archive, watch)
            plan["instances"] = len(wanted)
            plan["bytes"] = sum(each.source.size for each in wanted)
            plan["studies"] = len({each.study for each in wanted})
            if request.archive is not None and not to:
                plan["there"] = selection.here(request.archive, wanted)
    except PacsError as error:
        plan["problems"] = [str(error)]
    plan["seconds"] = plan["bytes"] / rate if rate else None
    return plan


def _restore(
    request: Request,
    target: Target,
    watch: Watch,
    snapshot: str,
    to: str,
    index_only: bool = False,
    any_signer: bool = False,
) -> dict[str, Any]:
    manifest = _trusted(target, snapshot, watch, any_signer)
    done = Restore(target, manifest, Path(to), watch, index_only).run()
    return {
        "objects": done.objects, "bytes": done.bytes, "there": done.there, "failed": done.failed_total,
        "seconds": done.seconds, "text": done.text, "hint": done.hint, "warning": done.warning, "to": to,
    }  # fmt: skip


def _trusted(target: Target, snapshot: str, watch: Watch, any_signer: bool = False) -> Manifest:
    """Return a snapshot that nothing tells against, or that is wanted anyway; say what its signature tells."""
    manifest = target.find(snapshot)
    seal = target.seal(manifest)
    signing.see(seal, manifest.id, any_signer)
    watch.note(f"snapshot {manifest.id}: {seal.text}", "info" if seal.state == "signed" else "warn")
    return manifest


def _swap(request: Request, target: Target, watch: Watch, snapshot: str, any_signer: bool = False) -> dict[str, Any]:
    """Restore beside the archive, and put it in its place; nobody uses the archive meanwhile."""
    archive = request.archive
    if archive is None:
        raise BadRequest("there is no archive here to be replaced", "restore into a folder: --to DIR")
    manifest = target.find(snapshot)
    beside = archive.with_name(f"{archive.name}.restored-{manifest.id}")
    found = _restore(request, target, watch, snapshot, str(beside), any_signer=any_signer)
    if found["failed"]:
        raise Unavailable(
            f"{found['text']}; the archive is as it was, what came is in {beside}",
            "look at what is missing; then move it into place by hand, or restore another snapshot",
        )
    before = swap(archive, beside, datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))
    found["text"] = f"{archive} is as it was at {manifest.moment.astimezone():%Y-%m-%d %H:%M}; the old one is {before}"
    found["hint"] = f"start the node; remove {before} when all is well"
    return found


def _extract(
    request: Request, target: Target, watch: Watch, snapshot: str, what: str, key: str, to: str
) -> dict[str, Any]:
    folder = Path(to)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    manifest = _trusted(target, snapshot, watch)
    wanted = selection.select(target, manifest, what, key, request.archive, watch)
    files, failed = selection.extract(target, wanted, folder, watch)
    return {"files": files, "failed": failed, "wanted": len(wanted)}


def _extract_list(request: Request, target: Target, watch: Watch, wanted: list[list[str]], to: str) -> dict[str, Any]:
    """Write objects by the digests of their data sets; each is digest, SOP Instance UID, calling AE title."""
    folder = Path(to)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    asked = [(bytes.fromhex(digest), uid, calling) for digest, uid, calling in wanted]
    found, lacking = selection.by_digest(target, asked, watch)
    files, failed = selection.extract(target, found, folder, watch)
    return {"files": files, "failed": {**failed, **dict.fromkeys(lacking, "the target does not have it")}}


def _held(request: Request, target: Target, watch: Watch, keys: list[str]) -> dict[str, Any]:
    """Tell of which objects, by key, the newest snapshot has a copy."""
    manifest = target.find("latest")
    signing.see(target.seal(manifest), manifest.id, anyway=False)
    found = selection.held(target, manifest, [bytes.fromhex(key) for key in keys], watch)
    return {
        "snapshot": manifest.id, "at": manifest.at, "last_row": manifest.last_row,
        "held": "".join(str(int(each)) for each in found),
    }  # fmt: skip


def _lock(request: Request, target: Target, watch: Watch) -> dict[str, Any]:
    holder = holder_of(target.store)
    if holder is None:
        return {"lock": None}
    return {
        "lock": {
            "target": target.spec.name, "holder": f"{holder.by} on {holder.host}, process {holder.pid}",
            "what": holder.what, "since": holder.since, "seen": holder.seen,
            "stale": stale(holder, datetime.now(UTC)),
        }
    }  # fmt: skip


def _unlock(request: Request, target: Target, watch: Watch, force: bool = False) -> dict[str, Any]:
    holder = holder_of(target.store)
    if holder is not None:
        if not force and not stale(holder, datetime.now(UTC)):
            raise Unavailable(
                f"{holder.told()} holds it and said {holder.last.astimezone():%H:%M:%S} that it lives",
                "cancel that run; two writers at once could harm the target",
            )
        target.store.delete("lock.json")
    return {"lock": None}


Operation = Callable[..., dict[str, Any]]
OPERATIONS: Final[dict[str, Operation]] = {
    "backup": _backup, "verify": _verify, "prune": _prune, "prune_plan": _prune_plan, "drill": _drill,
    "survey": _survey, "studies": _studies, "compare": _compare, "plan": _plan, "restore": _restore, "swap": _swap,
    "extract": _extract, "extract_list": _extract_list, "held": _held, "lock": _lock, "unlock": _unlock,
}  # fmt: skip
