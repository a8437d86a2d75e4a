"""Backups in the console: what is shown, and the journey of each key."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pacstui.errors import PacsError
from screens import backup_words
from screens.backup_run import LogPanel
from screens.backups import BackupsScreen
from screens.panels.backups import NowPanel, SnapshotTable, TargetsPanel
from screens.panels.storage import backup
from screens.widgets.row_table import RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_backups import START, snapshot_row, target_row
from tests.screens.fake_client import SteppedClient


def asked(client: SteppedClient, name: str) -> list[object]:
    """Return the arguments of all calls of an action."""
    return [arguments for called, arguments in client.calls if called == name]


async def opened(console: Driven, target: str = "nas") -> BackupsScreen:
    """Go to the screen and choose a target; its snapshots are there."""
    await console.press("7")
    await console.shows("Targets  ")
    screen = console.app.screen
    assert isinstance(screen, BackupsScreen)
    await console.until(lambda: screen.known is not None, "the targets")
    names = [row.name for row in screen.known.targets]
    await console.press("home", *["down"] * names.index(target))
    table = screen.query_one(SnapshotTable)
    await console.until(lambda: f"Snapshots of {target}" in console.text and bool(table.shown), "its snapshots")
    assert screen.target().name == target
    return screen


async def look_again(console: Driven) -> None:
    """Let the screen ask the node once more, and show it."""
    screen = console.app.screen
    before = len(asked(console.client, "backups.show"))
    screen._asked = float("-inf")
    console.client.poke()
    await console.until(lambda: len(asked(console.client, "backups.show")) > before and not screen._busy, "a new look")


async def test_the_screen_says_what_is_safe_and_what_is_wrong():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("7")
        text = await console.shows("x away")
        assert "connection to 192.0.2.9:443 timed out [/bold]\u241b[2J" in text
        assert "> look whether the network and the bucket's host are up, then press b" in text
        assert "x the list of snapshots cannot be read" in text
        for words in ("= good", "3 h of 24 h", "1,204", "18.0 GB/d", "ok 2 d", "02:03"):
            assert words in text
        for words in ("! late", "26 h of 24 h", "41,933", "> running", "\u9060\u9694 [/]", "9,812,440"):
            assert words in text
        for words in ("Running: backup of bucket, started 13:40 by schedule", "41%", "8,112 of 19,840 new objects",
                      "4.1 GB of 9.9 GB", "31.0 MB/s", "left 3 min", "0 errors", "now: CT"):  # fmt: skip
            assert words in text
        assert "lost: 1,204 instances of 3 studies, 612 MB, received since 11:03" in text
        assert "back in about 6 h 10 min (measured in the drill of 23 Nov: 98.0 MB/s)" in text
        await opened(console)
        text = console.text
        assert "Snapshots of nas: 14 daily, 8 weekly, 12 monthly" in text
        assert "kept by last, daily" in text
        assert "! 12 missing" in text
        assert "x 3 differ [/]" in await console.press("tab", "tab", "down", "down", "down")


async def test_a_wide_screen_has_more_columns_the_target_and_a_plot():
    async with driven(SteppedClient(), (160, 48)) as console:
        screen = await opened(console)
        text = await console.shows("Added by day")
        for words in ("Target nas", "/mnt/nas/pacs (folder, encrypted)", "full in 216 days", "kept by", "no rule",
                      "200 instances, 0 different, 2 d ago", "30.0 GB"):  # fmt: skip
            assert words in text
        top = screen.query_one(NowPanel).region.y
        for _ in range(2):
            await console.press("down")
            assert screen.query_one(NowPanel).region.y == top


async def test_with_many_targets_the_chosen_one_and_its_problem_stay_in_sight():
    client = SteppedClient()
    client.backups.targets += [target_row(f"extra{n}") for n in range(7)]
    client.backups.targets.append(target_row("last", state="failed", problem="disk full [/]", hint="prune it: p"))
    async with driven(client) as console:
        screen = await opened(console)
        await console.press("end")
        text = await console.shows("Snapshots of last")
        assert "\u25b8\u25b8" not in text  # one mark is enough
        for words in ("\u25b8  last", "x disk full [/]", "> prune it: p", "8\u201311 of 11", "lost: 1,204"):
            assert words in text
        await console.press("home")
        text = await console.shows("Snapshots of nas")
        assert "\u25b8  nas" in text
        assert screen.target().name == "nas"
        await console.press("up", "up")
        assert screen.target().name == "nas"


async def test_a_filter_looks_in_the_snapshots():
    client = SteppedClient()
    async with driven(client) as console:
        screen = await opened(console)
        await console.press("slash", *"differ", "enter")
        table = screen.query_one(SnapshotTable)
        await console.until(lambda: 0 < table.shown < 34, "some of them")
        await console.press("escape")
        await console.until(lambda: table.shown == 34, "all of them")


async def test_nothing_jumps_as_targets_are_chosen_and_runs_end():
    client = SteppedClient()
    async with driven(client) as console:
        screen = await opened(console)
        places = [w.region for w in (screen.query_one(NowPanel), screen.query_one(SnapshotTable))]
        await console.press("down", "down")
        client.backups.end(31)
        await look_again(console)
        await console.shows("= done: backup of bucket")
        assert [w.region for w in (screen.query_one(NowPanel), screen.query_one(SnapshotTable))] == places
        assert screen.target().state == "away"
        await console.press("up")
        client.backups.held["bucket"].insert(0, snapshot_row("bucket", 0))
        await console.press("tab", "tab", "down")
        cursor = screen.query_one(SnapshotTable).cursor
        assert cursor == "bucket-2"
        client.backups.targets[1] = replace(client.backups.targets[1], last_good=START, snapshots=4)
        await look_again(console)
        await console.until(lambda: screen.query_one(SnapshotTable).shown == 4, "the new snapshot")
        assert screen.query_one(SnapshotTable).cursor == cursor


async def test_the_node_is_asked_once_a_second_in_sight_and_for_snapshots_only_when_they_changed():
    client = SteppedClient()
    async with driven(client) as console:
        clock = [1000.0]
        console.app.door.clock = lambda: clock[0]
        screen = await opened(console)
        assert len(asked(client, "backups.show")) == 1
        await console.step(0.2)
        await console.step(0.2)
        assert len(asked(client, "backups.show")) == 1
        clock[0] += 1.0
        await console.step(0.2)
        await console.until(lambda: not screen._busy, "the answer")
        assert len(asked(client, "backups.show")) == 2
        assert asked(client, "backups.snapshots").count("nas") == 1
        await console.press("1")
        clock[0] += 5.0
        await console.step()
        assert len(asked(client, "backups.show")) == 2
        await console.press("7", "space")
        await console.until(lambda: len(asked(client, "backups.show")) == 3 and not screen._busy, "what came meanwhile")
        clock[0] += 5.0
        client.poke()
        await console.press("down", "up")
        assert len(asked(client, "backups.show")) == 3
        await console.press("space")
        client.backups.targets[0] = replace(client.backups.targets[0], last_good=START)
        clock[0] += 5.0
        await console.step()
        await console.until(lambda: asked(client, "backups.snapshots").count("nas") == 2, "the snapshots anew")


async def test_b_backs_up_and_says_when_something_runs_there():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("b")
        await console.shows("the backup to nas has begun")
        assert asked(client, "backups.run") == ["nas"]
        await console.shows("Running  2")
        await console.shows("backup of nas")
        await console.until(lambda: not console.app.screen._busy, "the answer")
        await console.press("b")
        await console.shows("nas is busy: backup of nas runs, started 14:05 by op1; c cancels it")
        await console.press("down", "down", "b")
        await console.shows("cannot be reached: look whether its host is up")
        assert len(asked(client, "backups.run")) == 2


async def test_v_lets_choose_how_deep():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("v")
        text = await console.shows("Verify nas: how deep?")
        assert "Does not find bytes that went" in text
        assert "about 6 h 2 min at 98.0 MB/s" in text
        await console.press("escape", "v", "down", "enter")
        await console.shows("Verify a sample of nas")
        await console.press("escape")
        assert not asked(client, "backups.verify")
        await console.press("v", "down", "enter")
        await console.press("ctrl+u", *"500", "enter")
        await console.shows("the percentage is a whole number from 1 to 100")
        await console.press("ctrl+u", *"20", "enter")
        await console.shows("nas is being verified (sample)")
        await console.press("v", "down", "down", "enter")
        await console.shows("nas is being verified (full)")
        await console.press("v", "enter")
        await console.shows("nas is being verified (quick)")
        assert asked(client, "backups.verify") == [("nas", "sample", 20.0), ("nas", "full", 5.0), ("nas", "quick", 5.0)]


async def test_t_rehearses_a_restore_of_the_latest_or_the_chosen_snapshot():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("t")
        text = await console.shows("Rehearse a restore from nas")
        assert "Nothing of the archive is touched" in text
        await console.press("escape")
        assert not asked(client, "backups.drill")
        await console.press("t", "ctrl+u", *"many", "enter")
        await console.shows("the number of instances is a whole number")
        await console.press("ctrl+u", *"50", "enter")
        await console.shows("the drill on nas has begun")
        await console.press("tab", "tab", "down", "t")
        await console.shows("of 2026-11-24")
        await console.press("enter")
        await console.until(lambda: len(asked(client, "backups.drill")) == 2, "the second drill")
        assert asked(client, "backups.drill") == [("nas", "latest", 50), ("nas", "nas-1", 200)]


async def test_c_cancels_what_runs_after_a_question():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("c")
        text = await console.shows("Cancel backup of bucket?")
        assert "There will be no snapshot" in text
        await console.press("enter")
        assert not asked(client, "jobs.cancel")
        await console.press("c", "escape", "c", "right", "enter")
        await console.shows("it does so at the next safe point")
        assert asked(client, "jobs.cancel") == [31]
        client.backups.end(31, "cancelled", "cancelled by op1")
        await look_again(console)
        await console.shows("- cancelled: backup of bucket")
        await console.press("c")
        await console.shows("nothing runs, so there is nothing to cancel")


async def test_of_several_runs_c_cancels_the_targets_or_the_chosen_one():
    client = SteppedClient()
    client.backups._begin("verify", "nas")
    async with driven(client) as console:
        await opened(console, "bucket")
        await console.press("c")
        await console.shows("Cancel backup of bucket?")
        await console.press("escape", "tab", "down", "c")
        await console.shows("Cancel verify of nas?")
        await console.press("right", "enter")
        await console.until(lambda: asked(client, "jobs.cancel") == [32], "the end")
        client.backups.targets[1] = replace(client.backups.targets[1], run=0)
        await look_again(console)
        await console.press("shift+tab", "c")
        await console.shows("choose one under Running, then c")


async def test_p_shows_what_pruning_would_remove_before_it_asks():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("p")
        text = await console.shows("27 snapshots would go, 41.2 GB would be free; 7 stay")
        assert "rules: last 3, 14 daily, 8 weekly [/]" in text
        await console.press("escape")
        assert not asked(client, "backups.prune")
        await console.press("p", "p")
        await console.shows("Remove 27 snapshots from nas?")
        await console.press("enter")
        assert not asked(client, "backups.prune")
        await console.press("p", "right", "enter")
        await console.shows("nas is being pruned")
        assert asked(client, "backups.prune") == ["nas"]
        assert isinstance(console.app.screen, BackupsScreen)
        client.backups.held["nas"] = client.backups.held["nas"][:3]
        await console.press("p")
        await console.shows("Nothing to remove: a rule keeps every snapshot")
        await console.press("p")
        await console.shows("there is nothing to remove")


async def test_r_restores_everything_into_a_folder_and_shows_the_run_to_its_end():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("r")
        text = await console.shows("Restore from nas")
        assert "Snapshot: the latest" in text
        await console.press("enter")
        await console.shows("Restore everything into a folder")
        await console.press("enter")
        await console.shows("no folder is named")
        await console.press(*"/srv/back", "enter")
        text = await console.shows("What this restore would do")
        for words in ("38,120 studies, 9,812,440 instances, 2.1 TB", "/srv/back", "about 6 h 10 min", "3.0 TB there"):
            assert words in text
        await console.press("enter")
        await console.shows("To begin, type")
        await console.press(*"bucket", "enter")
        await console.shows("type nas to do it")
        await console.press("escape")
        assert not asked(client, "backups.restore")
        await console.press("r", "enter", *"/srv/back", "enter")
        await console.shows("What this restore would do")
        await console.press("enter")
        await console.shows("To begin, type")
        await console.press(*"nas", "enter")
        text = await console.shows("Restore from nas  > running")
        assert asked(client, "backups.restore") == [("nas", "latest", "all", "", "/srv/back")]
        client.backups.end(32, text="9,812,440 instances restored", hint="start a node on it: pacstui serve")
        await look_again_at_run(console)
        text = await console.shows("= done")
        assert "9,812,440 instances restored" in text
        assert "> start a node on it: pacstui serve" in text
        await console.shows("line 60")
        calls = len(client.calls)
        console.app.screen._asked = float("-inf")
        await console.step()
        assert "jobs.run" not in [name for name, _ in client.calls[calls:]]
        await console.press("escape")
        await console.shows("Targets  ")


async def look_again_at_run(console: Driven) -> None:
    before = len(asked(console.client, "jobs.run"))
    console.app.screen._asked = float("-inf")
    console.client.poke()
    await console.until(lambda: len(asked(console.client, "jobs.run")) > before, "a new look")


async def test_r_says_what_forbids_a_restore():
    client = SteppedClient()
    client.backups.problems = ("the folder is not empty [/bold]\x1b[2J",)
    client.backups.seconds = None
    async with driven(client) as console:
        await opened(console)
        await console.press("r", "down", "enter")
        await console.shows("Restore the index into a folder")
        await console.press(*"/srv/x", "enter")
        text = await console.shows("What stands against it")
        assert "x the folder is not empty [/bold]\u241b[2J" in text
        assert "not known before the first drill" in text
        await console.press("enter")
        await console.shows("it cannot be done so: the page says why")
        assert not asked(client, "backups.restore")
        assert asked(client, "backups.plan") == [("nas", "latest", "index", "", "/srv/x")]


async def test_r_brings_one_patient_back_from_the_chosen_snapshot():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("tab", "tab", "down", "r")
        await console.shows("Snapshot: of 2026-11-24")
        await console.press("down", "down", "down", "enter")
        await console.shows("Restore one patient")
        await console.press(*"nobody", "enter")
        await console.shows("the snapshot has no such patient: browse it")
        await console.press("ctrl+u", *"P0007", "enter")
        text = await console.shows("What this restore would do")
        assert "12 instances already: they stay as they are" in text
        assert "28 instances" in text
        assert "P0007" in text
        assert "the running archive" in text
        await console.press("enter")
        await console.shows("To begin, type")
        await console.press(*"nas", "enter")
        begun = [("nas", "nas-1", "patient", "P0007", "")]
        await console.until(lambda: asked(client, "backups.restore") == begun, "the restore")


async def test_r_takes_another_snapshot_and_what_is_missing():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("r", "end", "enter")
        text = await console.shows("Which snapshot of nas?")
        assert "! 12 missing" in text
        await console.press("down", "down", "enter")
        await console.shows("Snapshot: of 2026-11-23")
        await console.press("down", "down", "enter")
        await console.shows("What this restore would do")
        assert asked(client, "backups.plan") == [("nas", "nas-2", "all", "", "")]


async def test_restoring_takes_the_password_where_the_node_wants_it():
    client = SteppedClient()
    client.unconfirmed = True
    async with driven(client) as console:
        await opened(console)
        await console.press("r", "down", "down", "enter")
        await console.shows("What this restore would do")
        await console.press("enter")
        await console.shows("To begin, type")
        await console.press(*"nas", "enter")
        await console.shows("Your password once more")
        await console.press(*"right password", "enter")
        await console.until(lambda: len(asked(client, "backups.restore")) == 1, "the restore")
        await console.shows("Restore from nas")


async def test_u_removes_a_stale_lock_only():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("u")
        await console.shows("nobody holds nas")
        client.backups.hold("nas", stale="")
        await console.press("u")
        text = await console.shows("Who works on nas")
        assert "archive-2, process 4711 [/]\u241b[2J" in text
        assert "9 h ago" in text
        await console.press("u")
        await console.shows("its holder is at work: the lock stays")
        await console.press("escape")
        client.backups.hold("nas")
        await console.press("u")
        await console.shows("not heard of for 9 hours")
        await console.press("u")
        await console.shows("Remove the lock on nas?")
        await console.press("enter")
        assert not asked(client, "backups.unlock")
        await console.press("u", "right", "enter")
        await console.shows("the lock on nas is removed")
        assert asked(client, "backups.unlock") == ["nas"]


async def test_m_on_two_snapshots_compares_the_older_with_the_newer():
    client = SteppedClient()
    async with driven(client) as console:
        screen = await opened(console)
        table = screen.query_one(SnapshotTable)
        await console.press("m")
        await console.shows("is marked: m on another compares")
        assert table.has_focus
        await console.press("m")
        assert table.marked is None
        await console.press("m", "escape")
        assert table.marked is None
        assert console.app.screen is screen
        await console.press("m", "down", "down", "m")
        text = await console.shows("+42 -12 ~3 images")
        assert asked(client, "backups.compare") == [("nas", "nas-2", "nas-0")]
        for words in ("+ added", "- removed", "~ changed", "DOE, JANE", "\u5c71\u7530", "! first 3"):
            assert words in text
        await console.press("P")
        await console.until(lambda: "DOE" not in console.text and "\u5c71" not in console.text, "the names hidden")
        await console.press("escape")
        await console.shows("Targets  ")


async def test_enter_on_a_snapshot_browses_it_in_pages():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("tab", "tab", "down", "down", "enter")
        text = await console.shows("450 studies")
        assert "! 12 instances missing" in text
        assert "DOE, JANE" in text
        assert "= all" in text
        table = console.app.screen.query_one(RowTable)
        await console.press("end")
        await console.until(lambda: table.selected is not None and table.selected.patient_id == "P00449", "the last")
        pages = [(snapshot, after) for _, snapshot, _, _, after in asked(client, "backups.studies")]
        assert pages == [("nas-2", 0), ("nas-2", 200), ("nas-2", 400)]
        assert [row.study for row in table.held] == [f"1.2.826.0.1.{n}" for n in range(450)]
        await console.press("slash", *"jane", "enter")
        await console.shows("found for jane")
        assert asked(client, "backups.studies")[-1] == ("nas", "nas-2", "jane", 200, 0)
        await console.press("P")
        await console.until(lambda: "DOE, JANE" not in console.text and "P00001" not in console.text, "names hidden")
        await console.press("escape")
        await console.until(lambda: "found for" not in console.text, "all again")
        await console.press("slash", *"zzzz", "enter")
        await console.shows('Nothing is found for "zzzz"')


async def test_enter_on_a_study_of_a_snapshot_offers_to_bring_it_back():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("tab", "tab", "enter")
        await console.shows("DOE, JANE")
        await console.press("down", "enter")
        text = await console.shows("Bring back")
        assert "12 of them are here" in text
        await console.press("escape")
        await console.press("P", "enter")
        text = await console.shows("Bring back")
        assert "DOE" not in text
        await console.press("down", "enter")
        text = await console.shows("What this restore would do")
        assert "P00001" not in text
        await console.press("escape", "P", "enter", "enter")
        await console.shows("one study: 1.2.826.0.1.1")
        await console.press("enter")
        await console.shows("To begin, type")
        await console.press(*"nas", "enter")
        await console.shows("Restore from nas")
        assert asked(client, "backups.plan") == [
            ("nas", "nas-0", "patient", "P00001", ""), ("nas", "nas-0", "study", "1.2.826.0.1.1", ""),
        ]  # fmt: skip
        assert asked(client, "backups.restore") == [("nas", "nas-0", "study", "1.2.826.0.1.1", "")]


async def test_r_on_a_snapshots_page_restores_from_it():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("tab", "tab", "down", "enter")
        await console.shows("DOE, JANE")
        await console.press("r")
        await console.shows("Snapshot: of 2026-11-24")
        await console.press("end", "up", "enter")
        await console.shows("Restore one image")
        await console.press(*"1.2.3", "enter")
        await console.shows("What this restore would do")
        assert asked(client, "backups.plan") == [("nas", "nas-1", "instance", "1.2.3", "")]


async def test_enter_on_a_target_shows_it_live_with_its_lock():
    client = SteppedClient()
    client.backups.hold("bucket")
    async with driven(client) as console:
        await opened(console, "bucket")
        await console.press("enter")
        text = await console.shows("! stale: u removes it")
        for words in ("s3://hospital-backup/pacs (bucket, encrypted)", "the target does not tell", "41,933 instances",
                      "Running: backup of bucket", "archive-2, process 4711"):  # fmt: skip
            assert words in text
        await console.press("u", "u", "right", "enter")
        await console.until(lambda: "stale" not in console.text, "the lock gone")
        client.backups.end(31)
        await look_again(console)
        await console.until(lambda: "Running: backup" not in console.text, "the end of the run")
        await console.press("b")
        await console.shows("the backup to bucket has begun")
        client.backups.targets = client.backups.targets[:1]
        await look_again(console)
        await console.shows("this target is no longer configured")


async def test_enter_on_a_run_shows_its_log_which_follows_unless_one_scrolls():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("tab", "enter")
        text = await console.shows("Backup of bucket  > running")
        assert "line 40: [/]^A\u241b[2J written, 12 objects" in text
        log = console.app.screen.query_one(LogPanel)
        await console.press("pageup")
        assert not log.follows
        assert "line 40" not in console.text
        await console.shows("End follows again")
        client.backups.end(31, "failed", "the bucket refused: 403 [/]", "renew its key")
        await look_again_at_run(console)
        text = await console.shows("x failed")
        assert "renew its key" in text
        assert "line 60" not in text
        await console.press("end")
        await console.shows("line 60")
        assert log.follows
        await console.press("c")
        await console.shows("it has ended already")


async def test_c_on_a_runs_page_cancels_it():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("tab", "enter")
        await console.shows("> running")
        await console.press("c", "escape")
        assert not asked(client, "jobs.cancel")
        await console.press("c", "right", "enter")
        await console.until(lambda: asked(client, "jobs.cancel") == [31], "the end")
        client.backups.end(31, "cancelled", "cancelled by op1")
        await look_again_at_run(console)
        await console.shows("- cancelled")


async def test_how_a_run_ended_is_said_where_it_was_seen():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        client.backups.end(31, "failed", "the bucket refused: 403 [/]\x1b[2J")
        await look_again(console)
        text = await console.shows("x failed: backup of bucket")
        assert "the bucket refused: 403 [/]\u241b[2J" in text
        assert "next: bucket 02:03" in text
        await console.press("tab", "enter")
        await console.shows("line 60")


async def test_without_a_target_it_says_what_to_write():
    client = SteppedClient()
    client.backups.none_at_all()
    async with driven(client) as console:
        await console.press("7")
        text = await console.shows("There is no backup target")
        for words in ("[[backups.targets]]", 'name = "nas"', 'url = "/mnt/nas/pacs"', "pacstui backup targets"):
            assert words in " ".join(text.replace("\u2502", " ").split())
        assert "x everything: 9,812,440 instances of 38,120 studies" in text
        for key in "bvtrpu":
            await console.press(key)
            await console.shows("there is no target yet")
        await console.press("c")
        await console.shows("nothing runs")
        await console.press("m")
        await console.shows("there is no snapshot to compare")


async def test_without_a_good_snapshot_everything_would_be_lost():
    client = SteppedClient()
    client.backups.targets = client.backups.targets[2:]
    client.backups.running = []
    async with driven(client) as console:
        await console.press("7")
        text = await console.shows("x everything: 9,812,440 instances")
        assert "no target has a good snapshot: b makes one" in text
        assert "nothing by itself" in text


async def test_when_nothing_came_and_no_drill_was_made():
    client = SteppedClient()
    client.backups.targets = [replace(client.backups.targets[0], unsaved=0, unsaved_bytes=0, drill_ok=None)]
    client.backups.seconds = None
    async with driven(client) as console:
        await opened(console)
        text = console.text
        assert "nothing: all of it is saved since 11:03" in text
        assert "not known before the first drill; t rehearses a restore" in text


KEYS = (
    ("b", "run", "backups.run"), ("v", "verify", "backups.run"), ("t", "drill", "backups.run"),
    ("r", "restore", "backups.restore"), ("p", "prune", "backups.prune"), ("u", "unlock", "backups.run"),
    ("c", "cancel", "jobs.run"),
)  # fmt: skip


async def test_a_viewer_is_told_which_permission_it_takes():
    client = SteppedClient()
    client.os_account = "view1"
    async with driven(client) as console:
        await opened(console)
        for key, verb, permission in KEYS:
            await console.press(key)
            await console.shows(f"{verb} takes the permission {permission}; view1 lacks it")
        await console.press("tab", "tab", "enter")
        text = await console.shows("\u2022" * 6)
        assert "DOE" not in text
        assert "P00001" not in text
        await console.press("slash", *"doe", "enter")
        await console.shows("a search takes the permission patients.view; view1 lacks it")
        await console.press("escape", "enter")
        await console.shows("restore takes the permission backups.restore; view1 lacks it")
        assert {name for name, _ in client.calls if name.startswith("backups.")} == {
            "backups.show", "backups.snapshots", "backups.studies",
        }  # fmt: skip


async def test_who_may_restore_but_not_see_patients_can_name_none():
    client = SteppedClient()
    client.roles["administrator"] = tuple(p for p in client.roles["administrator"] if p != "patients.view")
    async with driven(client) as console:
        await opened(console)
        await console.press("r", "down", "down", "down", "enter")
        await console.shows("naming one patient takes the permission patients.view")
        assert not asked(client, "backups.plan")


async def test_who_may_not_see_jobs_is_told_so_and_sees_the_run_end_all_the_same():
    client = SteppedClient()
    client.roles["administrator"] = tuple(p for p in client.roles["administrator"] if p != "jobs.view")
    async with driven(client) as console:
        await opened(console)
        await console.press("tab", "enter")
        await console.shows("the log of a run takes the permission jobs.view; op1 lacks it")
        client.backups.end(31)
        await look_again(console)
        await console.shows("Nothing runs.")
        assert not asked(client, "jobs.run")


async def test_read_only_holds_back_what_changes_something():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("R")
        for key, verb, _ in KEYS:
            await console.press(key)
            await console.shows(f"read-only: {verb} is held back")
        await console.press("tab", "tab", "enter")
        await console.shows("450 studies")


async def test_a_node_that_does_not_answer_is_said_and_what_was_known_stays():
    client = SteppedClient()
    async with driven(client) as console:
        screen = await opened(console)
        show = client.backups.show

        async def broken() -> None:
            raise PacsError("the database is locked [/]", "try again")

        client.backups.show = broken
        screen._asked = float("-inf")
        client.poke()
        text = await console.shows("the database is locked [/]")
        assert "x as it was at" in text
        assert "3 h of 24 h" in text
        client.backups.show = show
        await look_again(console)
        await console.until(lambda: "database is locked" not in console.text, "well again")


async def test_a_fault_from_the_beginning_is_said():
    client = SteppedClient()

    async def broken() -> None:
        raise PacsError("the database is locked [/]", "try again")

    client.backups.show = broken
    async with driven(client) as console:
        await console.press("7")
        await console.shows("x the database is locked [/]")
        await console.press("b", "v", "t", "r", "p", "u", "c", "m", "enter", "tab", "enter", "tab", "enter")


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (60, 15), (80, 24), (160, 48)])
async def test_every_page_stands_any_window(size: tuple[int, int]):
    client = SteppedClient()
    client.backups.hold("nas")
    async with driven(client, size=size) as console:
        await console.press("7")
        await console.until(lambda: bool(asked(client, "backups.show")), "the targets")
        await console.press("home")
        for key in ("b", "v", "t", "r", "c", "p", "u", "enter"):
            await console.press(key)
            await console.press("escape", "7")
        await console.press("tab", "enter", "escape", "tab", "m", "down", "m", "escape", "enter", "r", "escape",
                            "enter", "escape", "escape")  # fmt: skip


@pytest.mark.parametrize(
    ("minutes", "old", "drill"),
    [(5, "5 min/26 h", "ok <1 h"), (15, "15 min/26 h", "ok <1 h"), (75, "1 h of 26 h", "ok 1 h"),
     (3000, "2 d of 26 h", "ok 2 d")],
)  # fmt: skip
def test_ages_fit_their_columns(minutes: int, old: str, drill: str):
    at = START - timedelta(minutes=minutes)
    row = target_row("nas", last_good=at, drill_at=at, drill_ok=True, objective_h=26.0)
    assert backup_words.last_good(row, START)[0] == old
    assert backup_words.drill(row, START)[0] == drill


# the dashboard


@pytest.mark.parametrize(
    ("known", "narrow", "role"),
    [
        ({"targets": 0}, "none; see 7", "warn"),
        ({"targets": 2, "age_s": 10_800, "unsaved": 1204}, "3 h ago, 1,204 since", "text"),
        ({"targets": 2, "age_s": 10_800, "unsaved": 0}, "3 h ago, all saved", "text"),
        ({"targets": 2, "age_s": 10_800, "unsaved": 1204, "running": 1}, "> 3 h ago, 1,204 since", "good"),
        ({"targets": 2, "age_s": 120_000, "unsaved": 9_812_440}, "33 h, 9,812,440 since", "text"),
        ({"targets": 2, "age_s": -1, "unsaved": 1}, "! none yet; see 7", "warn"),
        ({"targets": 3, "age_s": 10_800, "late": 1, "unsaved": 4}, "! 1 late, 3 h ago: 7", "warn"),
        ({"targets": 3, "age_s": 10_800, "late": 1, "failed": 2}, "x 2 failed, 3 h ago: 7", "fail"),
    ],
)
def test_the_dashboards_line_about_backups(known: dict[str, int], narrow: str, role: str):
    client = SteppedClient()
    client.saved = known
    line = backup(client.view(), 22)
    assert line is not None
    assert line.text == narrow
    assert role in {said for _, said in line.spans}
    assert line.width <= 22


def test_the_dashboard_says_nothing_where_nothing_is_known():
    assert backup(SteppedClient().view(), 22) is None


async def test_the_dashboards_line_leads_to_the_backups():
    client = SteppedClient()
    client.saved = {"targets": 3, "late": 0, "failed": 0, "unsaved": 1204, "age_s": 10_800, "running": 0}
    async with driven(client) as console:
        text = await console.shows("backup 3 h ago, 1,204 since")
        for words in ("today", "full", "sync", "holds", "aside", "MB/s"):
            assert words in text
        await console.press("tab", "down", "enter")
        await console.shows("Targets  ")
        assert isinstance(console.app.screen, BackupsScreen)
        assert console.app.screen.query_one(TargetsPanel).has_focus


def test_ages_are_counted_in_the_nodes_time():
    client = SteppedClient()
    client.saved = {"targets": 1, "age_s": int(timedelta(days=3).total_seconds()), "unsaved": 2}
    line = backup(client.view(), 40)
    assert line is not None
    assert line.text == "3 d ago, 2 since"
