"""A damaged object comes back from another archive: by C-GET, and by C-MOVE from one that offers no C-GET."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.archive.objects import Object
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.test_query import keep

FIRST = Object(patient="P1", name="DOE^JANE")
STUDY = [FIRST, *(FIRST.beside(number=str(n)) for n in range(2, 5))]


def peers(port: int, allow: str = "") -> str:
    return f'[[peers]]\nname = "here"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {port}\n{allow}'


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, NodeProcess]]:
    folder, port = tmp_path_factory.mktemp("recall"), free_port()
    with running_node(folder / "there", peers(port)) as there:
        known = f'[[peers]]\nname = "vna"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {there.port}\n'
        with running_node(folder / "here", known, port=port) as here:
            for node in (there, here):
                keep(node, *STUDY)
            yield there, here


def harm(node: NodeProcess, thing: Object, remove: bool) -> None:
    with sqlite3.connect(node.data_dir / "index.db") as index:
        row = index.execute("SELECT path FROM instances WHERE sop_instance=?", (thing.sop,)).fetchone()
    path = Path(node.data_dir / row[0])
    path.unlink() if remove else path.write_bytes(path.read_bytes()[:-2] + b"xx")


def run(node: NodeProcess, job: str, **parameters: str) -> dict[str, Any]:
    begun = node.call("jobs", "start", job=job, parameters=parameters)
    return until(lambda: (row := node.call("jobs", "run", id=begun["id"]))["ended"] and row)


def repair_after(node: NodeProcess, integrity: dict[str, Any]) -> dict[str, Any]:
    """Return the repair that followed a reading back, when it has ended."""

    def ended() -> dict[str, Any] | None:
        (row,) = node.call("jobs", "history", job="repair", limit=1) or ({"id": 0},)
        return row if row["id"] > integrity["id"] and row["ended"] else None

    return until(ended)


@pytest.mark.parametrize("verb", ["C-GET", "C-MOVE"])
def test_an_object_comes_back_from_a_peer(nodes: tuple[NodeProcess, NodeProcess], verb: str) -> None:
    there, here = nodes
    if verb == "C-MOVE":
        toml = there.folder / "pacstui.toml"
        toml.write_text(toml.read_text() + 'allow = ["echo", "store", "find", "move"]\n')
        there.signal(signal.SIGHUP)
        until(lambda: "configuration reloaded" in there.log)
    harm(here, STUDY[1], remove=True)
    harm(here, STUDY[2], remove=False)
    found = run(here, "integrity", percent="100")
    assert "1 damaged, 1 missing" in found["text"]
    done = repair_after(here, found)
    assert done["started_by"] == "integrity"
    assert done["text"].startswith(f"2 objects repaired (2 from vna by {verb})")
    again = run(here, "integrity", percent="100")
    assert again["state"] == "done"
    repair_after(here, again)
