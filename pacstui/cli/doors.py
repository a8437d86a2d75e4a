"""The commands by name, each imported only when it is called, and the options that all of them share."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pacstui import __version__
from pacstui.api import plain
from pacstui.api.plain import TOKEN_FILE
from pacstui.configuration import data_dir

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Try it: a simulated hospital sends to a scratch archive"),
    "serve": ("serve", "Run the node in the foreground"),
    "status": ("status", "Show the state of the node; exit 0 healthy, 1 degraded, 2 down"),
    "doctor": ("doctor", "Check configuration, disk, ports, database and peers; say what to do"),
    "check-config": ("check_config", "Check the configuration: every mistake at once"),
    "import": ("importing", "Take files and folders into the archive"),
    "deidentify": ("deidentify", "Copies of files without what identifies the patient"),
    "studies": ("studies", "The archive's content"),
    "corrections": ("corrections", "Studies put right: assigned, edited, split, merged, moved, rejected; undo"),
    "merges": ("merges", "Patients that the RIS merged; taking them apart again"),
    "associations": ("associations", "Who is connected, and who was refused"),
    "queue": ("queue", "What is arriving and what waits to go out"),
    "routes": ("routes", "What is sent on, where to, when and how changed"),
    "storage": ("storage", "Space, growth and speed of the archive"),
    "space": ("space", "The trash, what rules purge, and repair of objects"),
    "peers": ("peers", "The equipment around us"),
    "hl7": ("hl7", "HL7 messages: what came in and went out, and putting failed ones right"),
    "remote": ("remote", "Studies at other archives: find, compare, fetch"),
    "backup": ("backup", "Copies of the archive elsewhere: taking, verifying, restoring"),
    "commitments": ("commitments", "Storage commitments that were asked for"),
    "exceptions": ("exceptions", "Studies that do not fit their order or patient"),
    "worklist": ("worklist", "What is scheduled, where it stands, and what was performed"),
    "report": ("reports", "Usage and operations of a period, in numbers"),
    "jobs": ("jobs", "What the node does by itself, when, and how it went"),
    "maintenance": ("maintenance", "Out of service in order: draining, planned windows, what was changed"),
    "upgrade": ("upgrade", "See whether this version can take over: schema, space, backups, a rehearsal"),
    "accounts": ("accounts", "Who may do what, and signing in"),
    "audit": ("audit", "Who did what, in a chain in which every change is found"),
    "events": ("events", "What happened"),
    "node": ("node", "The node as a whole: history, stop"),
}


@dataclass(frozen=True, slots=True)
class Door:
    """What the options before the command said."""

    config: Path | None

    def data_dir(self) -> Path:
        """Return the data directory, without checking the rest of the configuration."""
        return data_dir(self.config)


def door(context: typer.Context) -> Door:
    """Return the shared options of this call."""
    found = context.find_object(Door)
    return found if found is not None else Door(None)


class Doors(TyperGroup):
    """A group that imports a command's module when the command is called; help shows the table above."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name, none for a name that there is not."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = import_module(f"pacstui.cli.{entry[0]}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pacstui {__version__}")
        raise typer.Exit


def new_app(**kwargs: Any) -> typer.Typer:
    """Return a Typer application with the habits that all commands share."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **kwargs,
    )


def root() -> Any:
    """Return the whole command line."""
    app = new_app(cls=Doors, invoke_without_command=True)

    @app.callback()
    def pacstui(
        context: typer.Context,
        config: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Configuration; else PACSTUI_CONFIG, ./pacstui.toml, ...")
        ] = None,
        token_file: Annotated[
            Path | None,
            typer.Option(metavar="FILE", envvar=TOKEN_FILE, help="Be the service whose token is in FILE."),
        ] = None,
        version: Annotated[
            bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        """A PACS archive node and its console. Without a command: open the console; start a node if none runs."""
        context.obj = Door(config)
        if config is not None:
            before, plain.start_command = plain.start_command, f"pacstui --config {shlex.quote(str(config))} serve"
            context.call_on_close(lambda: setattr(plain, "start_command", before))
        if token_file is not None:
            os.environ[TOKEN_FILE] = str(token_file)
            os.environ.pop("PACSTUI_TOKEN", None)
        if context.invoked_subcommand is None:
            from pacstui.cli.console import open_console

            raise typer.Exit(open_console(context.obj))

    return typer.main.get_command(app)
