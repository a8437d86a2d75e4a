"""``pacstui serve``: the node, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from pacstui.cli.doors import door, new_app

app = new_app()


@app.command()
def serve(
    context: typer.Context,
    log_json: Annotated[bool, typer.Option("--log-json", help="Write the log as JSON, one line an event.")] = False,
) -> None:
    """Run the node; log to standard error. SIGTERM or Ctrl+C drains and ends it, SIGHUP reloads settings."""
    from pacstui.configuration import load
    from pacstui.node import run

    raise typer.Exit(run(load(door(context).config), log_json=log_json))
