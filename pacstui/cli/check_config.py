"""``pacstui check-config``: every mistake at once, with file, line and key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pacstui.cli.doors import door, new_app
from pacstui.cli.out import say, say_json
from pacstui.configuration import HINT, ConfigurationError, Loaded, load
from pacstui.errors import PacsError
from pacstui.text import plural

if TYPE_CHECKING:
    from pacstui.configuration.mistakes import Mistake
    from pacstui.settings import Settings

app = new_app()


def _tell(mistakes: Sequence[Mistake], as_json: bool) -> None:
    """Print what is wrong."""
    if as_json:
        rows = [{"file": m.file, "line": m.line, "key": m.key, "text": m.text} for m in mistakes]
        say_json({"ok": False, "mistakes": rows, "notes": [], "source": None, "settings": None})
        return
    for mistake in mistakes:
        say(mistake)
    say(f"{plural(len(mistakes), 'mistake')}; {HINT}")


def transform_mistakes(loaded: Loaded) -> list[Mistake]:
    """Return what is wrong with the transforms of a configuration: attributes, VRs, templates, patterns."""
    from pacstui.configuration.lines import Lines, key_of
    from pacstui.configuration.mistakes import Mistake
    from pacstui.transform import examine

    text = loaded.source.read_text("utf-8-sig", "replace") if loaded.source is not None else ""
    lines = Lines(text)
    found: list[Mistake] = []
    for index, settings in enumerate(loaded.settings.transforms):
        for fault in examine(settings)[1]:
            at = ("transforms", index, *fault.at)
            found.append(Mistake(str(loaded.source or "environment"), lines.of(at), key_of(at), fault.text))
    return found


def hl7_mistakes(loaded: Loaded) -> list[Mistake]:
    """Return what is wrong with HL7 forward rules, templates and hours."""
    from pacstui.configuration.lines import Lines, key_of
    from pacstui.configuration.mistakes import Mistake
    from pacstui.hl7v2.outgoing_notify import template_of
    from pacstui.hl7v2.outgoing_rules import Mistaken, Rule
    from pacstui.jobs.schedule import window_of

    hl7 = loaded.settings.hl7
    lines = Lines(loaded.source.read_text("utf-8-sig", "replace") if loaded.source is not None else "")
    found: list[Mistake] = []

    def wrong(at: tuple[str | int, ...], text: str, hint: str) -> None:
        told = f"{text} ({hint})" if hint else text
        found.append(Mistake(str(loaded.source or "environment"), lines.of(at), key_of(at), told))

    for index, receiver in enumerate(hl7.receivers):
        try:
            window_of(receiver.hours)
        except PacsError as fault:
            wrong(("hl7", "receivers", index, "hours"), fault.message, fault.hint)
    for index, forward in enumerate(hl7.forward):
        try:
            Rule.of(forward)
        except Mistaken as mistaken:
            wrong(("hl7", "forward", index, "where"), mistaken.text, mistaken.hint)
    for index, notification in enumerate(hl7.notifications):
        try:
            template_of(notification)
        except Mistaken as mistaken:
            key = next((key for key in ("template_file", "template") if getattr(notification, key)), "message")
            wrong(("hl7", "notifications", index, key), mistaken.text, mistaken.hint)
    return found


def schedule_faults(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with the schedules that are not the usual ones; a job without a good one never runs."""
    usual = type(settings)(node=settings.node)
    for section in ("space", "reports"):
        text = getattr(settings, section).schedule
        if text != getattr(usual, section).schedule:
            from pacstui.jobs.schedule import schedule_of

            try:
                schedule_of(text)
            except PacsError as error:
                yield f"[{section}] schedule: {error.message} ({error.hint})"


@app.command()
def check_config(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with the settings that are in force.")] = False,
) -> None:
    """Check the configuration and say where it comes from. Exit 0 usable, 2 with mistakes."""
    try:
        loaded = load(door(context).config)
    except ConfigurationError as fault:
        _tell(fault.mistakes, json)
        raise typer.Exit(2) from None
    mistakes = transform_mistakes(loaded) if loaded.settings.transforms else []
    hl7 = loaded.settings.hl7
    if hl7.receivers or hl7.forward or hl7.notifications:
        mistakes += hl7_mistakes(loaded)
    if mistakes:
        _tell(mistakes, json)
        raise typer.Exit(2)
    if loaded.settings.backups.targets:
        from pacstui.cli.checks.backups import target_faults

        for name, text, remedy in target_faults(loaded.settings):
            loaded.notes.append(f"backup target {name}: {text} ({remedy})")
    loaded.notes.extend(schedule_faults(loaded.settings))
    source = str(loaded.source) if loaded.source is not None else None
    if json:
        settings = loaded.settings.model_dump(mode="json")
        say_json({"ok": True, "mistakes": [], "notes": loaded.notes, "source": source, "settings": settings})
        return
    say(f"{source}: no mistakes" if source else "no configuration file: defaults and environment, no mistakes")
    for note in loaded.notes:
        say(f"note: {note}")
    dicom = loaded.settings.dicom
    say(f"{dicom.ae_title} on {dicom.host}:{dicom.port}, data in {loaded.settings.node.data_dir}")
