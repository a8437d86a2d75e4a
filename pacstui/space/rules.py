"""Which studies a rule is for, and which are kept whatever rules say. Nothing here touches the archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import translate
from re import IGNORECASE, compile

from pacstui.clock import moment
from pacstui.settings import RuleSettings
from pacstui.text import plural


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study as rules see it. ``key`` is its row; ``received`` and ``changed`` are when its first and last object came
    (microseconds since 1970), ``date`` the study date (DA). ``missing`` counts objects without a good file, ``aside``
    objects of other content that were set aside under its UIDs. ``pinned`` says by whom it is kept by hand."""

    key: int
    study: str
    patient_name: str
    patient_id: str
    date: str
    accession: str
    description: str
    modalities: tuple[str, ...]
    calling: tuple[str, ...]
    conflict: str
    instances: int
    bytes: int
    received: int
    changed: int
    missing: int = 0
    aside: int = 0
    pinned: str = ""


def why_kept(study: Candidate, now: datetime, keep_hours: float) -> str:
    """Return why a study is kept whatever rules say, empty if nothing keeps it."""
    if study.pinned:
        return study.pinned
    if study.conflict:
        return "objects of two patients came under it: that has to be settled first"
    if study.missing:
        return f"{plural(study.missing, 'object')} of it have no good file: repair it first"
    if study.aside:
        return f"{plural(study.aside, 'object')} of other content under its UIDs are set aside: compare them first"
    if now - moment(study.changed) < timedelta(hours=keep_hours):
        return f"something of it came in the last {plural(int(keep_hours), 'hour')}"
    return ""


class Rule:
    """A rule, made ready."""

    def __init__(self, settings: RuleSettings) -> None:
        self.settings = settings
        self._modalities = {each.upper() for each in settings.modalities}
        self._calling = set(settings.calling)
        self._pattern = compile(translate(settings.description), IGNORECASE) if settings.description else None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.settings.name

    def age(self, study: Candidate, now: datetime) -> int:
        """Return the age that counts, in whole days; -1 where it is not known."""
        if self.settings.by == "received":
            return (now - moment(study.changed)).days
        try:
            day = datetime.strptime(study.date, "%Y%m%d").astimezone()
        except ValueError:
            return -1
        return (now - day).days

    def why(self, study: Candidate, now: datetime) -> str:
        """Return why the rule is for a study, empty if it is not."""
        days = self.age(study, now)
        if days < 0 or days <= self.settings.days:
            return ""
        if self._modalities and self._modalities.isdisjoint(each.upper() for each in study.modalities):
            return ""
        if self._calling and self._calling.isdisjoint(study.calling):
            return ""
        if self._pattern is not None and not self._pattern.match(study.description):
            return ""
        what = "received" if self.settings.by == "received" else "made"
        return f"{what} {plural(days, 'day')} ago"

    def told(self) -> str:
        """Return the rule in words."""
        rule = self.settings
        parts = [f"{'received' if rule.by == 'received' else 'made'} more than {plural(rule.days, 'day')} ago"]
        if rule.modalities:
            parts.append("/".join(rule.modalities))
        if rule.calling:
            parts.append(f"from {', '.join(rule.calling)}")
        if rule.description:
            parts.append(f'like "{rule.description}"')
        parts.append(f"in {plural(rule.copies, 'backup', 'backups')}" if rule.only_if_backed_up else "backed up or not")
        if rule.only_if_sent_to:
            parts.append(f"sent to {' and '.join(rule.only_if_sent_to)}")
        if rule.when == "full":
            parts.append("while the volume is full")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Choice:
    """A study that a rule is for, and why; it stays when ``kept`` says why."""

    study: Candidate
    rule: RuleSettings
    why: str
    kept: str = ""


def choose(
    studies: Sequence[Candidate], rules: Iterable[Rule], now: datetime, keep_hours: float, full: bool
) -> Iterator[Choice]:
    """Yield studies in the order in which they go: rule by rule, of each the oldest first, each study once.

    ``full`` tells whether rules for a full volume apply.
    """
    seen: set[int] = set()
    for rule in rules:
        if rule.settings.when == "full" and not full:
            continue
        fits = [(study, rule.why(study, now)) for study in studies if study.key not in seen]
        for study, why in sorted(
            (each for each in fits if each[1]), key=lambda each: (-rule.age(each[0], now), each[0].key)
        ):
            seen.add(study.key)
            yield Choice(study, rule.settings, why, why_kept(study, now, keep_hours))
