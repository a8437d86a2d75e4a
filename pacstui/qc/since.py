"""What has changed between two previews of the same correction, in sentences for who has read the first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final

from pacstui.clock import moment
from pacstui.contract.corrections import ChangeText, Preview
from pacstui.qc.plans import counted
from pacstui.qc.saying import spelled
from pacstui.text import plural, safe

_SINCE: Final = (
    "SELECT c.id, c.by, c.at, c.undone_by, c.undone, c.sentence FROM corrections c"
    " WHERE c.id IN (SELECT correction FROM corrected_studies WHERE study=?) AND (c.at >= ? OR c.undone >= ?)"
    " ORDER BY c.id"
)
_MOST: Final = 5


def corrected_since(connection: sqlite3.Connection, studies: Iterable[str], at: int) -> list[str]:
    """Return who corrected studies, or undid a correction of them, since a moment (microseconds since 1970)."""
    told: dict[int, str] = {}
    for study in filter(None, studies):
        for ident, by, done, undone_by, undone, sentence in connection.execute(_SINCE, (study, at, at)):
            if undone and undone >= at:
                told[ident] = f"{safe(undone_by, 64)} undid correction {ident} at {_clock(undone)}: {sentence}"
            else:
                told[ident] = f"{safe(by, 64)} did correction {ident} at {_clock(done)}: {sentence}"
    return [told[ident] for ident in sorted(told)][-_MOST:]


def _clock(at: int) -> str:
    return f"{moment(at).astimezone():%H:%M}"


def differences(old: Preview, new: Preview) -> Iterator[str]:
    """Yield what a preview says that the one before said otherwise."""
    before, after = _by_attribute(old.changes), _by_attribute(new.changes)
    for key, change in before.items():
        name, now = spelled(change.attribute), after.get(key)
        if now is None:
            yield f"{name} is not changed any more: it is {_value(change.new)} already"
        elif now.old != change.old:
            yield f"{name} is {_value(now.old)} now, and was {_value(change.old)}"
        elif now.new != change.new:
            yield f"{name} becomes {_value(now.new)} now, and not {_value(change.new)}"
    for key, change in after.items():
        if key not in before:
            yield f"{spelled(change.attribute)} is changed too: it is {_value(change.old)} now"
    if (new.series, new.instances) != (old.series, old.instances):
        was = counted(old.series, old.instances)
        yield f"it is about {counted(new.series, new.instances)} now, and was about {was}"
    had = {each.destination: each.instances for each in old.downstream}
    for each in new.downstream:
        more = each.instances - had.get(each.destination, 0)
        if more > 0:
            yield f"{each.destination} got {plural(more, 'image')} of it meanwhile"
    if new.new_uids != old.new_uids:
        yield "copies get new SOP Instance UIDs now" if new.new_uids else "copies keep their SOP Instance UIDs now"
    yield from (f"new: {doubt}" for doubt in new.doubts if doubt not in old.doubts)
    yield from (f"no longer so: {doubt}" for doubt in old.doubts if doubt not in new.doubts)


def _by_attribute(changes: Iterable[ChangeText]) -> dict[tuple[str, str], ChangeText]:
    return {(each.level, each.attribute): each for each in changes}


def _value(text: str) -> str:
    return text if text.strip() else "(none)"
