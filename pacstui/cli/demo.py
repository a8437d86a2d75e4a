"""``pacstui demo``: everything on a scratch archive, with a simulated hospital around it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pacstui.cli.doors import new_app

app = new_app()


@app.command()
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="No console: run, count, report.")] = False,
    seconds: Annotated[float, typer.Option(help="How long to send; 0 until it is ended.", min=0)] = 0.0,
    pace: Annotated[float, typer.Option(help="How busy the hospital is; 1 is an ordinary morning.", min=0.01)] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="With --headless: print the count as JSON.")] = False,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same patients and studies.")] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Work in this new or empty directory, and leave it there.")
    ] = None,
) -> None:
    """Try it: simulated equipment sends real DICOM to a scratch archive. It leaves nothing behind.

    With --headless it exits 0 when everything acknowledged was found in the archive, 1 when not.
    """
    from pacstui.practice.demo import run_demo

    raise typer.Exit(
        run_demo(headless=headless, seconds=seconds or None, pace=pace, json_output=json, seed=seed, keep=keep)
    )
