"""``pacstui check-config``: every mistake at once, with file, line and key."""

from __future__ import annotations

from typing import Annotated

import typer

from pacstui.cli.doors import door, new_app
from pacstui.cli.out import say, say_json
from pacstui.configuration import ConfigurationError, load
from pacstui.text import plural

app = new_app()


@app.command()
def check_config(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with the settings that are in force.")] = False,
) -> None:
    """Check the configuration and say where it comes from. Exit 0 usable, 2 with mistakes."""
    try:
        loaded = load(door(context).config)
    except ConfigurationError as fault:
        if json:
            mistakes = [{"file": m.file, "line": m.line, "key": m.key, "text": m.text} for m in fault.mistakes]
            say_json({"ok": False, "mistakes": mistakes, "notes": [], "source": None, "settings": None})
        else:
            for problem in fault.problems:
                say(problem)
            say(f"{plural(len(fault.mistakes), 'mistake')}; {fault.hint}")
        raise typer.Exit(2) from None
    if loaded.settings.backups.targets:
        from pacstui.cli.checks import target_faults

        for name, text, remedy in target_faults(loaded.settings):
            loaded.notes.append(f"backup target {name}: {text} ({remedy})")
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
