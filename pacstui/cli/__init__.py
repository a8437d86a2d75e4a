"""The front door: the ``pacstui`` command. One file per command group, imported only when it is called."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed or declined, 2 wrong usage or configuration, 130 interrupted.

    ``status`` has exit codes of its own.
    """
    from pacstui.cli.doors import root
    from pacstui.errors import PacsError, SettingsError

    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # looking for plug-ins costs every start 20 ms
    try:
        root()(_config_first(sys.argv[1:] if arguments is None else arguments), prog_name="pacstui")
    except PacsError as fault:
        from pacstui.cli.out import complain

        complain(fault)
        sys.exit(2 if isinstance(fault, SettingsError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _config_first(arguments: list[str]) -> list[str]:
    """Move ``--config FILE`` to the front, so that it may stand after the command as well."""
    kept: list[str] = []
    moved: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            kept += [word, *rest]
        elif word == "--config":
            moved += [word, *([value] if (value := next(rest, None)) is not None else [])]
        elif word.startswith("--config="):
            moved.append(word)
        else:
            kept.append(word)
    return moved + kept
