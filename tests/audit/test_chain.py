"""What is done to the audit trail by hand is found, and where."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pacstui.audit import chain
from pacstui.audit.trail import HEAD, KEY
from pacstui.cli import main
from pacstui.contract.audit import Verdict
from pacstui.errors import StorageFull, Unavailable
from pacstui.text import guarded
from tests.accounts.making import opened
from tests.running import running_node, until


async def write(folder: Path, count: int = 10) -> None:
    async with opened(folder) as doors:
        for number in range(count - len(await doors.entries())):
            await doors.trail.record("action", "ok", "eva", action="peers.echo", target=f"peer {number}")


def by_hand(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "index.db")) as connection:
        for name in ("audit_stays", "audit_kept"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def verdict(folder: Path) -> Verdict:
    with closing(sqlite3.connect(folder / "index.db")) as connection:
        return chain.verify(connection, chain.read_key(folder / KEY), folder / HEAD)


async def test_an_untouched_trail_is_whole_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    await write(tmp_path)
    assert verdict(tmp_path).flaws == ()
    await write(tmp_path, 15)
    found = verdict(tmp_path)
    assert (found.entries, found.first, found.last, found.flaws) == (15, 1, 15, ())


@pytest.mark.parametrize(
    ("statement", "where", "words"),
    [
        ("UPDATE audit SET who='otto' WHERE id=4", [(4, 4)], "changed"),
        ("UPDATE audit SET at=at+1 WHERE id=10", [(10, 10)], "changed"),
        ("UPDATE audit SET patient='x' WHERE id=1", [(1, 1)], "changed"),
        ("UPDATE audit SET mac=x'00' WHERE id=5", [(5, 5), (6, 6)], "changed"),
        ("DELETE FROM audit WHERE id=4", [(4, 4)], "1 entry removed"),
        ("DELETE FROM audit WHERE id BETWEEN 4 AND 6", [(4, 6)], "3 entries removed"),
        ("DELETE FROM audit WHERE id=1", [(1, 1)], "1 entry removed"),
        ("DELETE FROM audit WHERE id>7", [(8, 10)], "3 entries cut off at the end"),
        ("DELETE FROM audit", [(1, 10)], "10 entries cut off at the end"),
        ("UPDATE audit SET id=11 WHERE id=10", [(10, 10)], "removed"),
        ("INSERT INTO audit SELECT 0, at, kind, outcome, who, how, origin, action, target, patient, detail, mac"
         " FROM audit WHERE id=3", [(0, 0)], "put in"),
        ("INSERT INTO audit_checkpoints (id, at, upto, entries, last_code, mac) VALUES (1, 0, 3, 3, x'00', x'00')",
         [(1, 3), (1, 1)], "put in"),
    ],
)  # fmt: skip
async def test_what_was_done_by_hand_is_found(
    tmp_path: Path, statement: str, where: list[tuple[int, int]], words: str
) -> None:
    await write(tmp_path)
    by_hand(tmp_path, statement)
    found = verdict(tmp_path)
    assert [(flaw.first, flaw.last) for flaw in found.flaws][: len(where)] == where
    assert any(words in flaw.text for flaw in found.flaws)
    assert "tampered" in found.text


async def test_two_entries_that_change_places_are_found(tmp_path: Path) -> None:
    await write(tmp_path)
    by_hand(
        tmp_path, "UPDATE audit SET id=99 WHERE id=4", "UPDATE audit SET id=4 WHERE id=5",
        "UPDATE audit SET id=5 WHERE id=99",
    )  # fmt: skip
    assert [(flaw.first, flaw.last) for flaw in verdict(tmp_path).flaws] == [(4, 4), (5, 5), (6, 6)]


async def test_the_database_itself_refuses_a_change(tmp_path: Path) -> None:
    await write(tmp_path)
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        for statement in ("UPDATE audit SET who='x'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="audit entries"):
                connection.execute(statement)


async def test_a_head_that_was_changed_or_is_gone_is_said(tmp_path: Path) -> None:
    await write(tmp_path)
    head = tmp_path / HEAD
    told = json.loads(head.read_text())
    head.write_text(json.dumps(told | {"last": 3}))
    assert [flaw.text for flaw in verdict(tmp_path).flaws] == ["the head file was changed"]
    head.write_bytes(b"\xff")
    assert [flaw.text for flaw in verdict(tmp_path).flaws] == ["the head file cannot be read"]
    head.unlink()
    assert [flaw.text for flaw in verdict(tmp_path).flaws] == ["the head file is gone"]


async def test_numbers_that_were_cut_off_are_not_given_again(tmp_path: Path) -> None:
    await write(tmp_path)
    by_hand(tmp_path, "DELETE FROM audit WHERE id>7")
    await write(tmp_path, 9)
    found = verdict(tmp_path)
    assert [(flaw.first, flaw.last) for flaw in found.flaws] == [(8, 10)]
    assert found.last == 12


async def test_without_its_key_a_trail_is_not_continued(tmp_path: Path) -> None:
    await write(tmp_path)
    (tmp_path / KEY).rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="cannot be read"):
        async with opened(tmp_path):
            pass
    (tmp_path / KEY).write_text("zz")
    with pytest.raises(Unavailable, match="no hexadecimal number"):
        async with opened(tmp_path):
            pass


async def test_what_is_older_than_kept_is_stood_for_by_a_checkpoint(tmp_path: Path) -> None:
    async with opened(tmp_path, days=30) as doors:
        for day in range(60):
            await doors.trail.record("action", "ok", "eva", target=str(day))
            doors.clock.advance(86400)
        await doors.audit.tick()
        entries = await doors.entries()
        assert entries[0].target == "30"
        assert "31 entries older than 30 days" in entries[-1].detail
        assert (await doors.audit.verify()).flaws == ()
    found = verdict(tmp_path)
    assert (found.first, found.flaws) == (32, ())
    by_hand(tmp_path, "UPDATE audit_checkpoints SET upto=33", "DELETE FROM audit WHERE id<=33")
    assert verdict(tmp_path).flaws


async def test_entries_wait_for_a_disk_that_is_full_and_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacstui.audit.trail._RETRY_S", 0.0)
    monkeypatch.setattr("pacstui.audit.trail.PATIENCE_S", 0.01)
    async with opened(tmp_path) as doors:
        write_it = doors.database.write
        full = asyncio.Event()

        async def no_room(*_: object) -> None:
            full.set()
            raise StorageFull("the disk is full")

        doors.database.write = no_room  # type: ignore[method-assign, assignment]
        await doors.trail.record("action", "ok", "eva", target="1")
        await doors.trail.record("action", "ok", "eva", target="2")
        await full.wait()
        assert (doors.trail.unwritten, doors.trail.problem) == (2, "the disk is full")
        doors.database.write = write_it  # type: ignore[method-assign]
        assert [each.target for each in await doors.entries()][-2:] == ["1", "2"]
        assert (await doors.audit.state()).problem == ""


async def test_searching_and_paging(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        for number in range(5):
            await doors.trail.record("patients seen", "ok", "eva", action="studies.list", patient=f"Doe {number}")
            doors.clock.advance(86400)
        await doors.trail.record("denied", "denied", "otto", action="node.stop")
        page = await doors.audit.list(limit=2)
        assert [row.kind for row in page.rows] == ["denied", "patients seen"]
        page = await doors.audit.list(limit=2, before=page.next)
        assert [row.patient for row in page.rows] == ["Doe 3", "Doe 2"]
        assert [row.patient for row in (await doors.audit.list("doe 1")).rows] == ["Doe 1"]
        doors.audit.sees_patients = lambda: False
        assert (await doors.audit.list("doe 1")).rows == ()
        doors.audit.sees_patients = lambda: True
        assert [row.who for row in (await doors.audit.list(who="otto")).rows] == ["otto"]
        day = doors.clock.now().date().isoformat()
        assert [row.kind for row in (await doors.audit.list(since=day)).rows] == ["denied"]
        assert len((await doors.audit.list(kind="patients seen")).rows) == 5
        text = await doors.audit.export_csv()
        assert text.count("\n") == 1 + len(await doors.entries())


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(text: str) -> None:
    assert guarded(text) == "'" + text


def test_the_command_finds_an_edited_database_with_and_without_a_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(tmp_path / "node" / "pacstui.toml"), "audit", "verify"])
        return int(ended.value.code or 0), capsys.readouterr().out

    with running_node(tmp_path / "node") as node:
        until(lambda: (node.data_dir / HEAD).exists())
        code, text = command()
        assert (code, "each as it was written" in text) == (0, True)
        node.call("peers", "list")
        by_hand(node.data_dir, "UPDATE audit SET detail='nothing happened' WHERE id=1")
        code, text = command()
        assert (code, "entry 1: was changed or put in" in text) == (1, True)
    code, text = command()
    assert (code, "entry 1: was changed or put in" in text) == (1, True)


async def test_the_bus_is_heard(tmp_path: Path) -> None:
    from pacstui import events

    async with opened(tmp_path) as doors:
        refused = events.AssociationRefused(
            doors.clock.now(), 1, "CT9", "PACS", "10.0.0.9", 1, 1, 3, '"CT9" is not known here', "add it"
        )
        doors.audit._refused(refused)
        doors.audit._refused(refused)
        told = [each for each in await doors.entries() if each.kind == "association refused"]
        assert [(each.who, each.origin, each.outcome) for each in told] == [("CT9", "10.0.0.9", "denied")]
