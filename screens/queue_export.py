"""The list of what goes out, written to a file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pacstui.contract.sheets import sendings_csv, sendings_json
from pacstui.text import count, safe
from screens import files
from screens.modals.form import Form, Values
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

_PAGE = 500


def export(app: ConsoleApp, destination: str = "", state: str = "", search: str = "") -> None:
    """Ask for a file, and write to it all that the list has."""

    async def send(values: Values) -> str:
        path = files.free(values["path"])
        rows: list[Mapping[str, Any]] = []
        before, more = 0, True
        while more:
            page = await app.client.queue.sendings(
                destination=destination, state=state, search=search, before=before, limit=_PAGE
            )
            rows.extend(asdict(row) for row in page.rows)
            more = page.more and bool(page.rows)
            before = page.rows[-1].id if page.rows else 0
        write = sendings_json if path.suffix.lower() == ".json" else sendings_csv
        await files.write_new(path, await asyncio.to_thread(write, rows))
        return f"{count(len(rows))} lines written to {path}"

    if app.allowed("queue.sendings"):
        of = f"-{destination}" if destination.isalnum() else ""
        note = ".csv or .json; a relative path begins where the console was started"
        field = Field("path", "file", f"queue{safe(of, 64)}-{app.now():%Y-%m-%d}.csv", note=note)
        form = Form("Write this list to a file", [field], send)
        app.push_screen(form, lambda told: app.say(told) if told else None)
