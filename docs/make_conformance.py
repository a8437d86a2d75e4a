"""Writes what the conformance statement says of SOP classes, transfer syntaxes and attributes, from the code's tables:
``python docs/make_conformance.py``. A test sees that nobody forgot to."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pacstui.dicom import syntaxes, uids  # noqa: E402
from pacstui.dicom.dictionary import keyword_of  # noqa: E402
from pacstui.dicom.sequences import Inner  # noqa: E402
from pacstui.dicom.syntaxes import PLAIN  # noqa: E402
from pacstui.dicom.uids import name_of  # noqa: E402
from pacstui.imaging.convert import LOSSLESS  # noqa: E402
from pacstui.index.attributes import ATTRIBUTES, LEVELS, UNIQUE  # noqa: E402
from pacstui.index.more import ITEMS  # noqa: E402
from pacstui.orders import keys, reading  # noqa: E402
from pacstui.services import models, policy, remote  # noqa: E402
from pacstui.services.commitment import COMMITMENT  # noqa: E402
from pacstui.services.mpps import MPPS, MPPS_RETRIEVE  # noqa: E402
from pacstui.services.worklist import WORKLIST  # noqa: E402

_ASKED = (remote.FIND, remote.MOVE, remote.GET)
DOCUMENT = ROOT / "docs" / "conformance.md"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def services() -> str:
    """Return the SOP classes that are served, and those that are used."""
    rows = [("Verification", uids.VERIFICATION, "yes", "yes, to test a peer")]
    rows.append((f"Storage: {len(uids.STORAGE_CLASSES)} SOP classes, and private and unknown ones", "PS3.4 B.5", "yes",
                 "yes, for C-MOVE, C-GET and what is sent on"))  # fmt: skip
    for verb, found in (("FIND", models.FIND), ("MOVE", models.MOVE), ("GET", models.GET)):
        rows += [
            (f"{model.name} Query/Retrieve, {verb}", uid, "yes", "yes" if uid in _ASKED else "no")
            for uid, model in found.items()
        ]
    rows.append(("Storage Commitment Push Model", COMMITMENT, "yes", "yes"))
    rows.append(("Modality Worklist, FIND", WORKLIST, "yes", "no"))
    rows.append(("Modality Performed Procedure Step", MPPS, "yes", "yes, to pass on what modalities told"))
    rows.append(("Modality Performed Procedure Step Retrieve", MPPS_RETRIEVE, "yes", "no"))
    return _table(("service", "UID", "SCP", "SCU"), rows)


def transfer_syntaxes() -> str:
    """Return the transfer syntaxes of storage."""
    taken = [uid for uid in syntaxes.TRANSFER_SYNTAXES if uid in policy._STORABLE]
    return _table(("transfer syntax", "UID"), [(name_of(uid), uid) for uid in taken])


def levels() -> str:
    """Return the models, their levels and unique keys."""
    rows = []
    for model in dict.fromkeys(models.FIND.values()):
        keys = ", ".join(f"{level} ({keyword_of(UNIQUE[level])})" for level in model.levels)
        rows.append((model.name, keys))
    return _table(("model", "levels and their unique keys"), rows)


def attributes() -> str:
    """Return what is matched and returned at each level."""
    rows = []
    seen: set[int] = set()
    for level in LEVELS:
        for tag, attribute in sorted(ATTRIBUTES[level].items(), key=lambda each: each[0]):
            if attribute.level == level and tag not in seen:
                seen.add(tag)
                how = "counted when asked for" if attribute.computed else "indexed"
                rows.append((level, keyword_of(tag), f"({tag >> 16:04X},{tag & 0xFFFF:04X})", attribute.vr, how))
    return _table(("level", "attribute", "tag", "VR", ""), rows)


def _keys(inner: Inner) -> str:
    return ", ".join(
        keyword_of(tag) if isinstance(kind, str) else f"{keyword_of(tag)} ({_keys(kind)})"
        for tag, kind in sorted(inner.items())
    )


def sequences() -> str:
    """Return by what the items of sequences are matched."""
    return _table(("sequence", "keys in its item"), [(keyword_of(tag), _keys(ITEMS[tag])) for tag in sorted(ITEMS)])


def _key_rows(inner: Inner, before: str = "") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for tag, kind in sorted(inner.items()):
        vr = kind if isinstance(kind, str) else "SQ"
        required = "R" if tag in keys.REQUIRED else "O"
        rows.append((f"{before}{keyword_of(tag)}", f"({tag >> 16:04X},{tag & 0xFFFF:04X})", vr, required))
        if not isinstance(kind, str):
            rows += _key_rows(kind, f"{before}&gt; ")
    return rows


def worklist() -> str:
    """Return the keys of the worklist."""
    return _table(("key", "tag", "VR", "matching"), _key_rows(keys.KEYS))


def states() -> str:
    """Return the values of Scheduled Procedure Step Status."""
    return _table(("a step that is", "Scheduled Procedure Step Status"), list(keys.TERMS.items()))


def performed() -> str:
    """Return what has to be in a performed procedure step."""
    rows = [(keyword_of(tag), "N-CREATE") for tag in reading.NEEDED]
    rows += [(keyword_of(tag), "the N-SET that makes it COMPLETED, or one before") for tag in reading.NEEDED_LAST]
    return _table(("attribute that needs a value", "in"), rows)


def fixed() -> str:
    """Return what an N-SET does not change."""
    return ", ".join(keyword_of(tag) for tag in reading.FIXED)


def conversions() -> str:
    """Return what becomes what."""
    rows = [(", ".join(name_of(uid) for uid in PLAIN), "each of these")]
    rows.append((", ".join(name_of(uid) for uid in syntaxes.TRANSFER_SYNTAXES if uid in LOSSLESS), "the plain ones"))
    return _table(("kept as", "sent as well as"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "services": services, "transfer syntaxes": transfer_syntaxes, "levels": levels, "attributes": attributes,
    "sequences": sequences, "conversions": conversions, "worklist": worklist, "worklist states": states,
    "performed": performed, "performed fixed": fixed,
}  # fmt: skip
_BLOCK = re.compile(r"(<!-- from the code: (.*?) -->\n\n).*?(\n\n<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """Return the document with its blocks as the code has them."""
    return _BLOCK.sub(lambda match: match.group(1) + BLOCKS[match.group(2)]() + match.group(3), text)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text("utf-8")), "utf-8")
