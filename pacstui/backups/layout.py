"""What lies in a target, by name and form.

    pacstui-backup.json                   which archive's backups these are, and for whom they are encrypted
    keys/identity.age                     with a passphrase: the identity that opens all the rest
    packs/ab/abcd....tar[.age]            objects; the name is the SHA-256 of the file as it lies there
    packs/ab/abcd....list                 the digests of what is in that pack, and where
    packs/ab/abcd....damaged              a verification found that pack damaged: its objects travel again
    snapshots/20261128T020000Z-1f2e3d4c/  one moment: manifest.json and its signature, index.db.gz[.age],
                                          extra.tar[.age]
    checks/20261128T033000Z-....json      how a verification or a restore drill went
    lock.json                             who writes here now

JSON files end with the SHA-256 of themselves, so that a changed bit is found. A snapshot counts when its manifest is
there, which is written last and removed first.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from struct import Struct
from typing import Any, Final

from pacstui.errors import Corrupt

FORMAT: Final = 1
MARKER: Final = "pacstui-backup.json"
IDENTITY: Final = "keys/identity.age"
LOCK: Final = "lock.json"
PACKS: Final = "packs/"
SNAPSHOTS: Final = "snapshots/"
CHECKS: Final = "checks/"
AGE: Final = ".age"
STAMP: Final = "%Y%m%dT%H%M%SZ"

_SNAPSHOT = re.compile(r"snapshots/(\d{8}T\d{6}Z-[0-9a-f]{8})/manifest\.json")
_PACK = re.compile(r"packs/[0-9a-f]{2}/([0-9a-f]{64})\.tar(\.age)?")
_LIST = re.compile(r"packs/[0-9a-f]{2}/([0-9a-f]{64})\.list")
_DAMAGED = re.compile(r"packs/[0-9a-f]{2}/([0-9a-f]{64})\.damaged")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TYPES: Final[dict[str, Any]] = {"str": str, "int": int, "float": (int, float), "bool": bool}
_HEAD = b"pacstui-list 1\n"
_MEMBER = Struct(">32s32sQQI")
KEY_BYTES: Final = 64


def sealed(value: dict[str, Any]) -> bytes:
    """Return a JSON object with the SHA-256 of itself as the last member."""
    bare = {name: each for name, each in value.items() if name != "sha256"}
    return json.dumps({**bare, "sha256": _seal(bare)}, indent=1, ensure_ascii=True).encode("ascii") + b"\n"


def _seal(bare: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(bare, separators=(",", ":"), ensure_ascii=True).encode("ascii")).hexdigest()


def opened(data: bytes, name: str) -> dict[str, Any]:
    """Return what :func:`sealed` made.

    Raises
    ------
    Corrupt
        When it is not as it was written.
    """
    try:
        value = json.loads(data)
        good = isinstance(value, dict) and value.get("sha256") == _seal(
            {key: each for key, each in value.items() if key != "sha256"}
        )
    except (ValueError, RecursionError):
        good = False
    if not good or sealed(value) != data:
        raise Corrupt(f"{name} in the target is not as it was written", "what else is damaged: backup verify --full")
    return dict(value)


def pack_name(digest: str, encrypted: bool) -> str:
    """Return where a pack lies, given the SHA-256 of its file."""
    return f"{PACKS}{digest[:2]}/{digest}.tar{AGE if encrypted else ''}"


def list_name(digest: str) -> str:
    """Return where the list of a pack lies."""
    return f"{PACKS}{digest[:2]}/{digest}.list"


def pack_of(name: str) -> str:
    """Return the digest that a pack's name tells, empty for what is no pack."""
    found = _PACK.fullmatch(name)
    return found[1] if found else ""


def list_of(name: str) -> str:
    """Return the digest that a list's name tells, empty for what is no list."""
    found = _LIST.fullmatch(name)
    return found[1] if found else ""


def damaged_name(digest: str) -> str:
    """Return the file that tells that a pack is damaged, so that nobody counts on it."""
    return f"{PACKS}{digest[:2]}/{digest}.damaged"


def damaged_of(name: str) -> str:
    """Return the digest of a pack that a file says is damaged, empty for another file."""
    found = _DAMAGED.fullmatch(name)
    return found[1] if found else ""


def snapshot_of(name: str) -> str:
    """Return the snapshot whose manifest has this name, empty for what is no manifest."""
    found = _SNAPSHOT.fullmatch(name)
    return found[1] if found else ""


def manifest_name(snapshot: str) -> str:
    """Return where the manifest of a snapshot lies."""
    return f"{SNAPSHOTS}{snapshot}/manifest.json"


def signature_name(name: str) -> str:
    """Return where the signature of a file lies."""
    return f"{name}.sig"


def stamp(at: datetime) -> str:
    """Return a moment as it stands in names."""
    return at.astimezone(UTC).strftime(STAMP)


@dataclass(frozen=True, slots=True)
class Member:
    """An object in a pack: ``key`` is the SHA-256 of its data set and that of what stands before (32 bytes each), or of
    the whole file and zeros where it is no object of the index. ``head`` is the length of what stands before the data
    set. The file's bytes are at ``offset`` of the tar."""

    key: bytes
    offset: int
    size: int
    head: int


def encode_list(members: Iterable[Member]) -> bytes:
    """Return the list of a pack: a line of text, 84 bytes a member (digest, digest, offset, size, length of the head,
    big-endian), and the SHA-256 of all before."""
    body = _HEAD + b"".join(_MEMBER.pack(m.key[:32], m.key[32:], m.offset, m.size, m.head) for m in members)
    return body + hashlib.sha256(body).digest()


def decode_list(data: bytes, name: str, length: int) -> Iterator[Member]:
    """Yield the members of a pack whose file has ``length`` bytes; raises Corrupt."""
    body, seal = data[:-32], data[-32:]
    whole = len(data) >= len(_HEAD) + 32 and (len(body) - len(_HEAD)) % _MEMBER.size == 0
    if not whole or not body.startswith(_HEAD) or hashlib.sha256(body).digest() != seal:
        raise Corrupt(f"{name} in the target is not as it was written", "what else is damaged: backup verify --full")
    for first, second, offset, size, head in _MEMBER.iter_unpack(body[len(_HEAD) :]):
        if offset + size > length or head > size:
            raise Corrupt(f"{name} in the target names places outside of its pack", "do not trust this target")
        yield Member(first + second, offset, size, head)


@dataclass(frozen=True, slots=True)
class PackRef:
    """A pack as a snapshot needs it: SHA-256 of its file, its size, and the SHA-256 of its list."""

    name: str
    size: int
    list: str


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file of a snapshot: its name below the snapshot, its size as it lies there, and the SHA-256 of that."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One snapshot. ``missing`` are paths of objects that could not be read and have no earlier copy; ``last_row`` is
    the highest instance row of the index; ``revision`` is the schema's; ``index_sha256`` and ``index_size`` are of the
    index as it was before compression."""

    id: str
    at: str
    archive: str
    node: str
    version: str
    revision: str
    by: str
    encrypted: bool
    patients: int
    studies: int
    instances: int
    bytes: int
    last_row: int
    new_instances: int
    new_bytes: int
    seconds: float
    index: FileRef
    index_sha256: str
    index_size: int
    extra: FileRef | None
    packs: tuple[PackRef, ...]
    missing: tuple[str, ...] = ()
    missing_total: int = 0
    format: int = field(default=FORMAT)

    @property
    def moment(self) -> datetime:
        """When the index was copied."""
        return datetime.fromisoformat(self.at)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as it is written."""
    value = asdict(manifest)
    value["packs"] = [[pack.name, pack.size, pack.list] for pack in manifest.packs]
    value["missing"] = list(manifest.missing)
    return sealed(value)


def manifest_from(data: bytes, name: str) -> Manifest:
    """Return the manifest that was written; raises Corrupt."""
    value = opened(data, name)
    value.pop("sha256")
    if value.get("format") != FORMAT:
        raise Corrupt(
            f"{name} has format {value.get('format')}, this version reads {FORMAT}", "use a newer version of pacstui"
        )
    try:
        value["packs"] = tuple(PackRef(*pack) for pack in value["packs"])
        value["missing"] = tuple(value["missing"])
        value["index"] = FileRef(**value["index"])
        value["extra"] = FileRef(**value["extra"]) if value["extra"] else None
        manifest = Manifest(**value)
        _see(manifest, snapshot_of(name))
    except (KeyError, TypeError, ValueError) as error:
        raise Corrupt(f"{name} in the target cannot be read: {error}", "use the version that wrote it") from None
    return manifest


def typed(value: Any) -> None:
    """See that each field of a dataclass that came from a target is what it is declared as; raises ValueError."""
    for each in fields(value):
        found = getattr(value, each.name)
        kind = _TYPES.get(str(each.type))
        if kind is None:
            continue
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            raise ValueError(f"{each.name} is no {each.type}")
        if kind is not bool and isinstance(found, (int, float)) and not 0 <= found < 1 << 62:
            raise ValueError(f"{each.name} is out of bounds")


def zoned(text: str) -> datetime:
    """Return the moment that a text with its zone tells; raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text[:40]} is a time without a zone")
    at.astimezone(UTC)
    return at


def _see(manifest: Manifest, snapshot: str) -> None:
    """See that a manifest names nothing outside of its place; raises ValueError."""
    typed(manifest)
    try:
        zoned(manifest.at)
    except OverflowError as error:
        raise ValueError(str(error)) from None
    if manifest.id != snapshot:
        raise ValueError(f"it calls itself {manifest.id[:40]}")
    files = {manifest.index: "index.db.gz", manifest.extra: "extra.tar"}
    for file, usual in files.items():
        if file is not None:
            typed(file)
            if file.name not in (usual, usual + AGE) or not _DIGEST.fullmatch(file.sha256):
                raise ValueError(f"a file that is not called {usual}")
    if not _DIGEST.fullmatch(manifest.index_sha256):
        raise ValueError("index_sha256 is no SHA-256")
    for pack in manifest.packs:
        typed(pack)
        if not (_DIGEST.fullmatch(pack.name) and _DIGEST.fullmatch(pack.list)):
            raise ValueError("a pack whose name is no SHA-256")
    if not all(isinstance(each, str) for each in manifest.missing):
        raise ValueError("missing has other things than paths")
