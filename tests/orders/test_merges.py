"""A merge that the RIS sent by mistake is listed, shown and undone, by a node's socket and at a shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pacstui.cli import main
from pacstui.errors import BadRequest, Stale
from pacstui.hl7v2.client import send_all
from tests.archive.objects import Object
from tests.orders.ward import adt, merge, order, pid
from tests.running import NodeProcess, free_port, running_node
from tests.services.test_query import keep

RICHARD = pid("A", "ROE^RICHARD", "19500505", "M")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def node(tmp_path: Path, port: int) -> Iterator[NodeProcess]:
    with running_node(tmp_path, f"[hl7]\nport = {port}\n") as running:
        yield running


def hear(port: int, *texts: str) -> None:
    for text in texts:
        assert all(answer.good for answer in send_all(text.encode(), "127.0.0.1", port, 20)), text


def stored(node: NodeProcess, patient: str, name: str) -> str:
    thing = Object(patient=patient, name=name)
    keep(node, thing)
    return thing.study


def study(node: NodeProcess, uid: str) -> dict[str, str]:
    found: dict[str, str] = node.call("studies", "show", study=uid)["row"]
    return found


def test_it_is_found_by_its_message_and_by_the_study_and_undone_with_what_went_along(
    node: NodeProcess, port: int
) -> None:
    hear(port, adt("A01", RICHARD), adt("A01", pid("B", "DOE^JANE"), control="2"), order(RICHARD, "1"))
    one, other = stored(node, "A", "ROE^RICHARD"), stored(node, "B", "DOE^JANE")
    hear(port, merge("A", "B"))
    assert study(node, one)["patient_id"] == "B"
    (row,) = node.call("merges", "list_all")["rows"]
    assert (row["prior_id"], row["survivor_id"], row["orders"], row["studies"], row["irreversible"]) == (
        "A", "B", 1, 1, ""
    )  # fmt: skip
    message = node.call("hl7", "messages", kind="ADT^A40")["rows"][0]["id"]
    assert row["message"] == message
    for how in ({"message": message}, {"study": one}, {"study": other}):
        assert [each["id"] for each in node.call("merges", "list_all", **how)["rows"]] == [row["id"]], how
    assert node.call("merges", "list_all", message=message - 1)["rows"] == []
    shown = node.call("merges", "show", id=row["id"])
    assert {(each["old"], each["new"]) for each in shown["changes"]} == {
        ("DOE, JANE (B, HOSP)", "ROE, RICHARD (A, HOSP)")
    }
    assert len(shown["changes"]) == 2 and "1 study and 1 order go back" in shown["sentence"]
    with pytest.raises(BadRequest, match="why"):
        node.call("merges", "undo", id=row["id"], why=" ")
    late = stored(node, "A", "ROE^RICHARD")
    with pytest.raises(Stale):
        node.call("merges", "undo", id=row["id"], why="twins", token=shown["token"])
    token = node.call("merges", "show", id=row["id"])["token"]
    done = node.call("merges", "undo", id=row["id"], why="twins", token=token)
    assert done["undone"] and done["why"] == "twins" and "already" in done["irreversible"]
    assert {study(node, uid)["patient_id"] for uid in (one, late)} == {"A"} and study(node, other)["patient_id"] == "B"
    (step,) = node.call("worklist", "steps", day="all")["rows"]
    assert step["patient_id"] == "A"
    assert "merge into B (HOSP) was undone" in node.call("worklist", "step", id=step["id"])["history"][-1]
    told = [each for each in node.call("audit", "list", limit=50)["rows"] if each["action"] == "merges.undo"]
    assert any(each["patient"] == "A" for each in told)


def test_at_a_shell(node: NodeProcess, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    hear(port, adt("A01", RICHARD), merge("A", "B"), adt("A47", pid("C", "DOE^JANE"), "MRG|B^^^HOSP^MR", control="9"))

    def run(*words: str) -> str:
        with pytest.raises(SystemExit):
            main(["--config", str(node.folder / "pacstui.toml"), "merges", *words])
        printed = capsys.readouterr()
        return printed.out + printed.err

    text = run("list")
    assert "ROE, RICHARD (A, HOSP)" in text and "change of ID" in text
    assert "a patient of its own again" in run("show", "1")
    assert "give --yes" in run("undo", "1", "twins")
    assert "merge 1 is undone" in run("undo", "1", "twins", "--yes")
    assert "cannot be undone" in run("undo", "2", "twins", "--yes")
    assert "- undone by" in run("list")
