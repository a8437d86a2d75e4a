"""A transformation as routes name it: compiled once, applied to each outgoing copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Final

from pacstui.errors import SettingsError
from pacstui.settings import ChangeSettings, TransformSettings
from pacstui.transform.changes import Change, compile_change
from pacstui.transform.deidentify import Deidentifier
from pacstui.transform.faults import TransformError, named
from pacstui.transform.private import NotPrivate, Safe, safe_private
from pacstui.transform.profile import Profile
from pacstui.transform.pseudonyms import Pseudonyms
from pacstui.transform.templates import Context
from pacstui.transform.tree import Element, Item, Note, Part10, open_object
from pacstui.transform.write import write_object

NOWHERE: Final = Context()


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in the settings of a transform: where it stands below it, and what it is."""

    at: tuple[int | str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the copy is: what an association and a C-STORE have to name, and where the data set begins in the file."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data_set_at: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A transformation, ready to be applied; it has no state and may be used from several threads at once."""

    name: str
    deidentifier: Deidentifier | None
    changes: tuple[Change, ...]
    pseudonyms: Pseudonyms

    def apply(self, data: bytes, context: Context = NOWHERE) -> bytes:
        """Return the changed copy of a DICOM file, as a file; see :meth:`write`."""
        out = BytesIO()
        self.write(BytesIO(data), out, context)
        return out.getvalue()

    def write(
        self,
        source: BinaryIO,
        out: BinaryIO,
        context: Context = NOWHERE,
        note: Note | None = None,
        *,
        syntax: str = "",
        at: int = 0,
    ) -> Outcome:
        """Write the changed copy of a DICOM file; takes its time, so run it on a thread.

        The transfer syntax stays, and pixel data are copied byte by byte, without being held in memory.

        Parameters
        ----------
        source
            A seekable file, with or without file meta information. It is only read.
        out
            Where the copy goes: a file with preamble and file meta information (PS3.10 7.1). When this raises, what
            was written so far is of no use.
        context
            What is known of the sending, for templates.
        note
            Is told of each change.
        syntax, at
            Where ``source`` is a data set without file meta information: its transfer syntax, and where it begins.

        Raises
        ------
        Refused
            When the profile is asked for and a person has to look at the object first.
        TransformError
            When the object cannot be followed, or a value does not fit; the message names the attribute.
        """
        part = open_object(source, syntax, at)
        try:
            return self._written(part, out, context, note or _silent)
        finally:
            part.close()

    def _written(self, part: Part10, out: BinaryIO, context: Context, note: Note) -> Outcome:
        for tag in (0x00080016, 0x00080018):
            if not part.root.text(tag):
                raise TransformError(f"it has no {named(tag)}, so that nobody could be sent it")
        if self.deidentifier is not None:
            self.deidentifier.apply(part, note)
        for change in self.changes:
            change.make(part.root, context, self.pseudonyms, note)
        at = write_object(part, out)
        return Outcome(part.root.text(0x00080016), part.root.text(0x00080018), part.syntax, at)


def _silent(item: Item, tag: int, action: str, before: Element | None, after: Element | None) -> None:
    pass


def compile(settings: TransformSettings, secret: bytes) -> Plan:
    """Return the plan that settings describe.

    Parameters
    ----------
    settings
        One entry of ``[[transforms]]``.
    secret
        The node's key of pseudonyms, see `pseudonyms.read_key`.

    Raises
    ------
    SettingsError
        With all mistakes in ``problems``.
    """
    plan, faults = examine(settings, secret)
    if plan is None:
        problems = tuple(f"transform {settings.name}: {_where(fault.at)}: {fault.text}" for fault in faults)
        message = problems[0] if len(problems) == 1 else f"{len(problems)} mistakes, the first is {problems[0]}"
        raise SettingsError(message, "see docs/de-identification.md", problems)
    return plan


def examine(settings: TransformSettings, secret: bytes = b"") -> tuple[Plan | None, list[Fault]]:
    """Return the plan, or None and all mistakes."""
    faults = list(_options(settings))
    safe: Safe | None = None
    if "retain-safe-private" in settings.options:
        try:
            safe = safe_private(settings.safe_private)
        except NotPrivate as fault:
            faults.append(Fault(("safe_private",), str(fault)))
    changes: list[Change] = []
    for index, entry in enumerate(settings.change):
        change, mistakes = compile_change(entry)
        faults += [Fault(("change", index, mistake.key), str(mistake)) for mistake in mistakes]
        if change is not None:
            changes.append(change)
    if faults:
        return None, faults
    pseudonyms = Pseudonyms(secret, settings.project or settings.name)
    basic = None
    if settings.profile == "basic":
        words = frozenset(word.casefold() for word in settings.words)
        profile = Profile(frozenset(settings.options))
        basic = Deidentifier(profile, pseudonyms, safe, words, settings.burned_in == "send")
    return Plan(settings.name, basic, tuple(changes), pseudonyms), []


def _options(settings: TransformSettings) -> Iterable[Fault]:
    if settings.profile == "none":
        for key in ("options", "safe_private", "words"):
            if getattr(settings, key):
                yield Fault((key,), 'says nothing without profile = "basic"')
        if not settings.change:
            yield Fault((), 'changes nothing: it has neither profile = "basic" nor a change')
        return
    if {"retain-full-dates", "retain-modified-dates"} <= set(settings.options):
        yield Fault(("options",), "dates are either kept (retain-full-dates) or shifted (retain-modified-dates)")
    if settings.safe_private and "retain-safe-private" not in settings.options:
        yield Fault(("safe_private",), "says nothing without the option retain-safe-private")
    if settings.words and "clean-descriptors" not in settings.options:
        yield Fault(("words",), "says nothing without the option clean-descriptors")


def _where(at: tuple[int | str, ...]) -> str:
    out = ""
    for step in at:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out or "as a whole"


__all__ = ["ChangeSettings", "Fault", "Outcome", "Plan", "compile", "examine"]
