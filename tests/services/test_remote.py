"""Finding and fetching at other archives: another node, and Orthanc where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacstui.errors import PacsError
from tests.archive.objects import Object
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.test_query import keep

FIRST = Object(patient="P1", name="DOE^JANE")
STUDY = [FIRST, *(FIRST.beside(number=str(n)) for n in range(2, 13)), FIRST.beside(pixels=bytes(3_000_000))]
OTHER = Object(patient="P2", name="M\u00dcLLER^ERIKA")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, int]]:
    """A node with studies, and the port of its peer PACS."""
    here = free_port()
    peer = f'[[peers]]\nname = "here"\nae_title = "HERE"\nhost = "127.0.0.1"\nport = {here}\n'
    with running_node(tmp_path_factory.mktemp("remote") / "there", peer) as node:
        keep(node, *STUDY, OTHER)
        yield node, here


@pytest.fixture
def here(there: tuple[NodeProcess, int], tmp_path: Path) -> Iterator[NodeProcess]:
    peers = (
        f'[[peers]]\nname = "archive"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {there[0].port}\n'
        f'[[peers]]\nname = "gone"\nae_title = "GONE"\nhost = "127.0.0.1"\nport = {free_port()}\n'
    )
    with running_node(tmp_path / "here", peers, port=there[1]) as node:
        yield node


def done(node: NodeProcess, pull: dict[str, Any]) -> dict[str, Any]:
    return until(
        lambda: next(
            (r for r in node.call("remote", "pulls") if r["id"] == pull["id"] and r["state"] != "running"), None
        )
    )


def test_studies_are_found_at_a_peer(here: NodeProcess) -> None:
    page = here.call("remote", "find", peer="archive")
    assert (page["more"], {row["study"] for row in page["rows"]}) == (False, {FIRST.study, OTHER.study})
    (row,) = here.call("remote", "find", peer="archive", name="doe")["rows"]
    assert (row["patient_name"], row["patient_id"], row["instances"], row["here"]) == ("DOE^JANE", "P1", 13, 0)
    (row,) = here.call("remote", "find", peer="archive", name="m\u00fcl")["rows"]
    assert row["patient_name"] == "M\u00dcLLER^ERIKA"
    assert here.call("remote", "find", peer="archive", limit=1)["more"]
    for keys in ({"id": "P3"}, {"date": "20990101-"}, {"modality": "XX"}, {"accession": "none"}):
        assert here.call("remote", "find", peer="archive", **keys)["rows"] == []


def test_a_study_is_fetched_and_compared(here: NodeProcess) -> None:
    keep(here, FIRST, FIRST.beside(sop="2.25.77"))
    before = here.call("remote", "compare", peer="archive", study=FIRST.study)
    assert (before["here"], before["there"], before["both"]) == (2, 13, 1)
    assert before["only_here"] == ["2.25.77"]
    assert set(before["only_there"]) == {thing.sop for thing in STUDY[1:]}
    row = done(here, here.call("remote", "pull", peer="archive", study=FIRST.study))
    assert (row["state"], row["verb"], row["received"], row["total"], row["why"]) == ("done", "C-GET", 13, 13, "")
    assert any(r["text"] == "C-GET of a study: 13 instances fetched" for r in here.call("feed", "list"))
    after = here.call("remote", "compare", peer="archive", study=FIRST.study)
    assert (after["here"], after["both"], after["only_there"]) == (14, 13, [])
    detail = here.call("studies", "show", study=FIRST.study)
    assert "PACS" in detail["calling"]
    assert here.stop() == 0
    stored = here.stored()
    from hashlib import sha256

    assert {thing.sop: sha256(thing.encode()).hexdigest() for thing in STUDY}.items() <= stored.items()


def test_what_goes_wrong_is_told(here: NodeProcess) -> None:
    with pytest.raises(PacsError, match="there is no peer nobody"):
        here.call("remote", "find", peer="nobody")
    with pytest.raises(PacsError, match="nothing listens"):
        here.call("remote", "find", peer="gone")
    with pytest.raises(PacsError, match="no Study Instance UID"):
        here.call("remote", "pull", peer="archive", study="../x")
    row = done(here, here.call("remote", "pull", peer="gone", study="1.2.3"))
    assert (row["state"], row["received"]) == ("failed", 0)
    assert "nothing listens" in row["why"]
    row = done(here, here.call("remote", "pull", peer="archive", study="1.2.3"))
    assert (row["state"], row["received"]) == ("done", 0)
    with pytest.raises(PacsError, match="nothing with the number"):
        here.call("remote", "cancel", id=row["id"])


def pacstui(node: NodeProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), "remote", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_the_command_line_finds_fetches_and_compares(here: NodeProcess) -> None:
    found = pacstui(here, "find", "archive", "--name", "DOE")
    assert (found.returncode, found.stderr) == (0, "")
    assert "DOE, JANE" in found.stdout
    assert FIRST.study in found.stdout
    fetched = pacstui(here, "pull", "archive", FIRST.study, "--json")
    assert fetched.returncode == 0, fetched.stderr
    assert json.loads(fetched.stdout)["received"] == 13
    assert "the same instances at both" in pacstui(here, "compare", "archive", FIRST.study).stdout
    assert pacstui(here, "pull", "gone", FIRST.study).returncode == 1
    assert "done" in pacstui(here, "pulls").stdout


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
def test_orthanc_is_asked_and_fetched_from(here: NodeProcess, tmp_path: Path) -> None:
    from benchmarks.peers import receiver

    port_of_here = here.port
    with receiver("orthanc", tmp_path / "orthanc" / "run", port_of_here) as port:
        toml = here.folder / "pacstui.toml"
        toml.write_text(
            toml.read_text() + f'[[peers]]\nname = "orthanc"\nae_title = "BENCH"\nhost = "127.0.0.1"\nport = {port}\n'
        )
        import signal

        here.signal(signal.SIGHUP)
        until(lambda: any(peer["name"] == "orthanc" for peer in here.call("peers", "list")))
        subprocess.run(
            [sys.executable, "-m", "benchmarks.sender", str(port), "BENCH", "30", "4096", "3"], check=True,
            capture_output=True,
        )  # fmt: skip
        (study,) = here.call("remote", "find", peer="orthanc")["rows"]
        row = done(here, here.call("remote", "pull", peer="orthanc", study=study["study"]))
        assert (row["state"], row["received"]) == ("done", 30), row
        compared = here.call("remote", "compare", peer="orthanc", study=study["study"])
        assert (compared["here"], compared["there"], compared["both"]) == (30, 30, 30)


def test_priors_are_fetched_by_a_job(here: NodeProcess) -> None:
    keep(here, Object(patient="P1", name="DOE^JANE"))
    here.call("jobs", "create", name="priors", kind="prefetch", parameters={"peers": "archive", "years": "0"})
    run = here.call("jobs", "start", job="priors")
    run = until(lambda: (r := here.call("jobs", "run", id=run["id"]))["ended"] and r)
    assert (run["state"], run["text"]) == ("done", "1 patient looked at: 1 study fetched (13 instances)")
    run = here.call("jobs", "start", job="priors", parameters={"patients": "P2"})  # when asked, for somebody
    run = until(lambda: (r := here.call("jobs", "run", id=run["id"]))["ended"] and r)
    assert run["text"] == "1 patient looked at: 1 study fetched (1 instance)"
    assert not any("P2" in row["target"] for row in here.call("audit", "list")["rows"])
