"""What the newest snapshots have of the archive: asked before something is purged, and when something is damaged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pacstui.errors import PacsError, Unavailable
from pacstui.text import plural, safe

_AT_ONCE: Final = 20_000
Ask = Callable[..., Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance of the index, as it is looked for in targets: its row, when it came (microseconds since 1970), and
    the SHA-256 of its data set and of what stands before."""

    row: int
    received: int
    digest: bytes
    meta_digest: bytes


class Protection:
    """Asks targets. ``targets`` returns their names; ``ask`` asks one: its name, the operation, its arguments."""

    def __init__(self, targets: Callable[[], Sequence[str]], ask: Ask) -> None:
        self._targets = targets
        self._ask = ask

    async def held(self, instances: Sequence[Kept], copies: int) -> list[bool]:
        """Return for each instance whether the newest snapshot of so many targets has it.

        It has it when the snapshot was taken after the instance came, of an index with its row, and a sound pack of
        that snapshot has its very bytes.

        Raises
        ------
        Unavailable
            When fewer targets answer than are needed.
        """
        counts = [0] * len(instances)
        answered = 0
        silent: list[str] = []
        for name in self._targets():
            try:
                for at in range(0, len(instances), _AT_ONCE):
                    part = instances[at : at + _AT_ONCE]
                    keys = [(each.digest + each.meta_digest).hex() for each in part]
                    found = await self._ask(name, "held", keys=keys)
                    taken = round(datetime.fromisoformat(found["at"]).timestamp() * 1e6)
                    for place, each in enumerate(part):
                        counts[at + place] += (
                            found["held"][place] == "1" and each.row <= found["last_row"] and each.received <= taken
                        )
                answered += 1
            except PacsError as error:
                silent.append(f"{safe(name, 64)}: {error.message}")
        if answered < copies:
            told = "; ".join(silent) or f"{plural(answered, 'backup target')} there"
            raise Unavailable(
                f"{plural(copies, 'copy', 'copies')} cannot be seen: {told}", "purging goes on when targets answer"
            )
        return [count >= copies for count in counts]

    async def fetch(self, wanted: Sequence[tuple[bytes, str, str]], to: Path) -> tuple[dict[str, Path], dict[str, str]]:
        """Write objects into a folder, from the first target that has each.

        Parameters
        ----------
        wanted
            Digest of the data set, SOP Instance UID and calling AE title of each.

        Returns
        -------
        tuple
            Files by SOP Instance UID, and of the others why there is none.
        """
        files: dict[str, Path] = {}
        why: dict[str, str] = {}
        for number, name in enumerate(self._targets()):
            rest = [[digest.hex(), uid, calling] for digest, uid, calling in wanted if uid not in files]
            if not rest:
                break
            try:
                found = await self._ask(name, "extract_list", wanted=rest, to=str(to / str(number)))
            except PacsError as error:
                found = {"files": [], "failed": {uid: error.message for _, uid, _ in rest}}
            files.update((str(each["sop_instance"]), Path(each["path"])) for each in found["files"])
            for uid, told in found["failed"].items():
                why[uid] = f"{why[uid]}; {safe(name, 64)}: {told}" if uid in why else f"{safe(name, 64)}: {told}"
        for _, uid, _ in wanted:
            if uid not in files:
                why.setdefault(uid, "there is no backup target")
        return files, {uid: told for uid, told in why.items() if uid not in files}
