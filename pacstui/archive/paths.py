"""Where files lie below the data directory. Names are made of validated UIDs and digests, of nothing else."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

OBJECTS: Final = "objects"
INCOMING: Final = "incoming"
QUARANTINE: Final = "quarantine"
TRASH: Final = "trash"
DATABASE: Final = "index.db"

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_OBJECT = re.compile(OBJECTS + r"/[0-9a-f]{2}/([0-9.]{1,64})/([0-9.]{1,64}?)(?:\.[0-9a-f]{16})?\.dcm")


def is_uid(text: str) -> bool:
    """Return whether ``text`` can be taken for a UID: components of digits, 64 characters at most (PS3.5 9.1).

    Leading zeros in a component are tolerated; an empty component never is, so that no name is made of dots.
    """
    return 0 < len(text) <= 64 and _UID.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def study_folder(study: str) -> str:
    """Return the folder of a study's objects, relative to the data directory.

    256 folders by hash keep each level short whatever UIDs look like.
    """
    if not is_uid(study):
        raise ValueError("a folder name is made of a valid UID only")
    spread = hashlib.sha1(study.encode("ascii"), usedforsecurity=False).hexdigest()[:2]
    return f"{OBJECTS}/{spread}/{study}"


def object_name(sop_instance: str, digest: bytes = b"") -> str:
    """Return the file name of an object; with ``digest``, that of another content under the same UID."""
    if not is_uid(sop_instance):
        raise ValueError("a file name is made of a valid UID only")
    return f"{sop_instance}.{digest[:8].hex()}.dcm" if digest else f"{sop_instance}.dcm"


def is_object(path: str) -> bool:
    """Return whether a path, relative to the data directory, is one that `study_folder` and `object_name` make."""
    match = _OBJECT.fullmatch(path)
    return match is not None and all(map(is_uid, match.groups()))


def quarantine_folder(day: str) -> str:
    """Return the quarantine's folder of a day given as ``YYYY-MM-DD``."""
    return f"{QUARANTINE}/{day}"
