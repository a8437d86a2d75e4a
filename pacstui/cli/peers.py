"""``pacstui peers``: the equipment around us."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table


def _list(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["name", "AE title", "address", "last call", "stored", "echo", "may", "notes"],
        (
            [
                r["name"],
                r["ae_title"],
                f"{r['host']}:{r['port']}",
                moment(r["seen"]),
                f"{r['stored']:,}",
                r["echo"] if r["echo"] != "ok" else f"ok, {r['echo_ms']:.0f} ms",
                "all" if r["allow"] is None else ", ".join(r["allow"]) or "nothing",
                r["notes"],
            ]
            for r in rows
        ),
        empty="no peers; add one to the configuration as a [[peers]] table with name, ae_title, host and port",
    )


def _echo(result: dict[str, Any]) -> Iterator[str]:
    yield f"{result['peer']}: {'answers' if result['ok'] else 'does not answer'}, {result['milliseconds']:.0f} ms"
    yield from table(
        ["", "step", "ms", ""],
        (["ok" if s["ok"] else "fail", s["name"], f"{s['milliseconds']:.1f}", s["detail"]] for s in result["steps"]),
    )
    if result["hint"]:
        yield result["hint"]


app = group(
    "peers",
    "The equipment around us.",
    {"list": _list, "echo": _echo},
    words={"name": "The peer's name, as the list shows it."},
    failed=lambda method, value: method == "echo" and not value["ok"],
)
