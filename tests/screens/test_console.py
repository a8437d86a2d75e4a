"""Keys and what they show."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from pacstui.contract.feed import FeedRow
from pacstui.contract.node import Problem
from pacstui.contract.storage import MissingRow
from screens.widgets.row_table import RowTable
from tests.screens.conftest import driven
from tests.screens.fake_client import FakeClient, SteppedClient

MODES = {
    "1": "Storage", "2": "Associations", "3": "Arriving", "4": "Studies", "5": "Peers", "6": "Jobs", "7": "Backups",
    "8": "Accounts", "9": "Audit", "0": "Events",
}  # fmt: skip


async def test_the_dashboard_shows_its_panels_and_the_feed_at_80x24():
    async with driven() as console:
        text = await console.shows("CT1")
        for words in ("Associations", "refused today 4", "Storage", "Queue", "Events", "2.1 TB of 4.0 TB", "in 98"):
            assert words in text
        assert 'calls "PACS"' in text
        assert len(console.lines) == 24
        assert "RADNODE1" in console.lines[0]
        assert "! degraded: 2" in console.lines[0]
        assert "1Dash" in console.lines[-1]


@pytest.mark.parametrize(("key", "words"), MODES.items())
async def test_a_number_key_opens_its_screen(key, words):
    async with driven() as console:
        await console.press(key)
        await console.shows(words)
        assert console.lines[0].startswith(" RADNODE1")


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_an_association_says_what_was_asked_for_and_how_many_answers_there_were(size):
    async with driven(size=size) as console:
        await console.press("2")
        await console.shows("Associations")
        await console.press("enter")
        text = await console.shows("What it asked for  2")
        assert "0 answers  Modality Worklist FIND" in text and "PatientName TESTA*" in text
        assert "212 answers, ended with A700H" in text and "everything was asked for" in text
        assert text.index("0 answers") < text.index("212 answers") and "\x1b" not in text
        await console.press("P")
        await console.until(lambda: "TESTA" not in console.text)


async def test_what_is_scrolled_past_has_its_title_no_more():
    async with driven(size=(60, 15)) as console:
        await console.press("2")
        await console.shows("Associations")
        await console.press("enter")
        text = await console.shows("What it asked for")
        assert "╭─ open" in text
        await console.press(*["down"] * 20)
        await console.shows("╭─ What it asked for  2")
        await console.press(*["up"] * 20)
        await console.shows("╭─ open")


async def test_enter_leads_from_a_refusal_to_what_mends_it_and_escape_back():
    async with driven() as console:
        panel = console.app.screen.query_one("#associations")
        while panel.cursor != ("association", 8835):
            await console.press("down")
        await console.press("enter")
        text = await console.shows("What mends it")
        assert "(1/1/7)" in text
        assert "set the remote AE title to RADNODE1" in text
        assert "refused 3 times today" in text
        text = await console.press("p")
        assert "Add a peer" in text
        assert text.count("XRAY9") >= 2
        assert "10.0.4.17" in text
        await console.press("escape")
        await console.press("escape")
        assert "Storage" in console.text


async def test_an_event_leads_to_its_association():
    async with driven(SteppedClient(speed=0)) as console:
        await console.press("0")
        await console.shows("duplicate instance")
        await console.press("slash", *"duplicate", "enter", "enter")
        await console.shows("Presentation contexts")


async def test_an_event_without_association_is_shown_in_full():
    async with driven(SteppedClient(speed=0)) as console:
        await console.press("0")
        await console.shows("echo to WS-RAD3")
        await console.press("enter")
        await console.shows("2026-11-25")


async def test_the_problems_list_names_the_remedy_and_leads_to_the_screen():
    async with driven() as console:
        await console.press("exclamation_mark")
        text = await console.shows("What is wrong now")
        assert "set the remote AE title to RADNODE1 on XRAY9" in text
        await console.press("down", "enter")
        await console.shows("Set aside")


async def test_abort_asks_and_the_safe_answer_has_the_focus():
    async with driven() as console:
        await console.press("2")
        await console.shows("stores")
        table = console.app.screen.query_one(RowTable)
        chosen = table.cursor
        await console.press("x")
        await console.shows(f"Abort association {chosen}?")
        await console.press("enter")
        assert ("associations.abort", chosen) not in console.client.calls
        await console.press("x")
        await console.shows("Abort association")
        await console.press("right", "enter")
        await console.until(lambda: ("associations.abort", chosen) in console.client.calls, "the abort")
        await console.shows(f"aborted association {chosen}")


async def test_abort_goes_to_the_row_that_was_chosen_though_new_ones_came_in():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("2")
        await console.shows("stores")
        await console.press("down")
        table = console.app.screen.query_one(RowTable)
        chosen = table.cursor
        client._open("NEW1", "stores", "CT", 5.0)
        client._open("NEW2", "stores", "CT", 5.0)
        await console.step()
        await console.until(lambda: table.shown and "NEW2" in str(table._all[0]), "the new rows")
        assert table.cursor == chosen
        await console.press("x")
        await console.shows(f"Abort association {chosen}?")


async def test_rows_keep_their_place_while_new_ones_come_in_above():
    client = SteppedClient(speed=0)
    for number in range(60):
        client.say("info", "node", f"line {number}")
    async with driven(client) as console:
        await console.press("0", "pagedown", "down")
        table = console.app.screen.query_one(RowTable)
        place = [n for n, line in enumerate(console.lines) if "\u25b8" in line]
        for number in range(5):
            client.say("info", "node", f"news {number}")
        await console.step()
        await console.until(lambda: table.unseen == 5, "the announcement")
        assert [n for n, line in enumerate(console.lines) if "\u25b8" in line] == place
        assert "5 new above" in console.text


async def test_an_association_that_ended_shows_its_last_count():
    async with driven() as console:
        world = console.client
        row = next(each for each in world._rows if each.calling == "CT1")
        await console.shows("CT1 ")
        world._rows.remove(row)
        world._ended.append(replace(row, state="released", doing="released", stored=4321))
        await console.step()
        text = await console.shows("ended")
        assert [" 4,321 " in line for line in text.splitlines() if "ended" in line] == [True], text


async def test_read_only_holds_actions_back():
    async with driven() as console:
        await console.press("2")
        await console.shows("stores")
        await console.press("R", "x")
        await console.shows("read-only: abort is held back")
        assert "READ-ONLY" in console.lines[0]
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("e")
        assert not [c for c in console.client.calls if c[0] == "peers.echo"]


async def test_frozen_says_so_and_how_far_behind():
    async with driven() as console:
        await console.press("space")
        rows = console.lines[1:-1]
        for _ in range(3):
            await console.step()
        assert "FROZEN 0:03 behind" in console.lines[0]
        assert console.lines[1:-1] == rows
        await console.press("space")
        assert "FROZEN" not in console.text
        assert console.app.view is console.app.latest


@pytest.mark.parametrize("key", ["1", "3", "4"])
async def test_privacy_hides_names_and_ids_everywhere(key):
    client = SteppedClient()
    async with driven(client, (160, 48)) as console:
        client.say("info", "CT1", "study of P009985 for DOE, JOHN arrived")
        await console.step()
        await console.press("4")
        await console.shows("DOE, JOHN")
        await console.press("P", key)
        await console.shows("\u2022" * 6)
        for secret in ("DOE, J", "P00", "A09985", "[/], A", "\u5c71"):
            assert secret not in console.text, secret


async def test_the_clipboard_gets_the_chosen_row_wrapped_for_tmux(monkeypatch):
    from screens.clipboard import osc52

    monkeypatch.setenv("TMUX", "/tmp/x,1,0")
    assert osc52("hi", {}) == "\x1b]52;c;aGk=\x07"
    assert osc52("hi", {"TMUX": "x"}) == "\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\"
    async with driven() as console:
        written = []
        console.app._driver.write = written.append
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("home", "y")
        await console.shows("copied")
        sequence = next(w for w in written if "52;c;" in w)
        assert sequence.startswith("\x1bPtmux;")
        text = base64.b64decode(sequence.split("52;c;")[1].split("\x07")[0]).decode()
        assert "TELERAD" in text
        assert "\x1b" not in text


async def test_help_is_written_from_the_bindings():
    async with driven() as console:
        await console.press("2")
        await console.press("question_mark")
        await console.shows("Abort an association")
        text = console.text
        for _ in range(6):
            text += await console.press("pagedown")
        for words in ("Hide or show patients", "Studies: what the archive holds", "Leave the console"):
            assert words in text


async def test_the_palette_does_what_is_chosen():
    async with driven() as console:
        await console.press("colon")
        await console.shows("Commands")
        await console.press(*"peers", "enter")
        await console.shows("TELERAD")
        await console.press("ctrl+p", *"echo", "enter")
        await console.shows("Echo TELERAD")


async def test_an_echo_shows_each_step_and_what_to_do():
    async with driven() as console:
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("home", "e")
        await console.shows("ask whether")
        told = " ".join(console.text.replace("\u2502", " ").split())
        assert "ask whether their DICOM service runs" in told


async def test_a_filter_and_its_inversion():
    async with driven(SteppedClient(speed=0)) as console:
        await console.press("0")
        await console.shows("started;")
        await console.press("slash", *"refused")
        await console.shows("is no known peer")
        assert "started;" not in console.text
        await console.press("home", "exclamation_mark")
        await console.shows("started;")
        assert "is no known peer" not in console.text
        await console.press("escape")
        await console.shows("is no known peer")


async def test_studies_are_fetched_in_pages_and_searched_on_the_node():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("4")
        await console.shows("10,000")
        table = console.app.screen.query_one(RowTable)
        assert len(table._all) == 200
        await console.press(*["pagedown"] * 10)
        await console.until(lambda: len(table._all) == 400, "the next page")
        await console.press("slash", *"anna")
        asked = [("studies.list", ("anna", 200, None))]
        await console.until(lambda: client.calls[-1:] == asked, "the search")
        await console.shows("found for anna")
        await console.press("enter", "enter")
        await console.shows("Series")


async def test_end_goes_to_the_last_study_of_all():
    client = SteppedClient(studies=1500)
    async with driven(client) as console:
        await console.press("4")
        await console.shows("1,500")
        await console.press("end")
        await console.shows("of 1,500 ")
        await console.shows("P000001")
        table = console.app.screen.query_one(RowTable)
        assert table.cursor == "1.2.826.0.1.3680043.8.498.1"
        await console.press("home")
        await console.shows("P001500")


async def test_studies_of_two_patients_are_listed_alone_and_say_why():
    from screens.ways import problem

    client = SteppedClient()
    async with driven(client) as console:
        await problem(console.app, "studies:conflicts")
        text = await console.shows("Studies with objects of two patients  1")
        assert "! " in text
        await console.press("enter")
        text = await console.shows("doubtful")
        assert "objects of patient P7 came under a study of P8" in text
        await console.press("escape")
        await console.shows("Studies with objects of two patients")
        await console.press("escape")
        await console.shows("Studies  10,000")


def lost(client: FakeClient, *instances: str) -> None:
    """Let the node miss files of the newest study but one."""
    study = f"1.2.826.0.1.3680043.8.498.{client.total - 1}"
    client.missing = [
        MissingRow(uid, f"{study}.1", study, f"objects/5a/{study}/{uid}.dcm", 524_288, "CT1", client.at)
        for uid in instances
    ]
    told = Problem(
        "objects-missing", f"{len(instances)} objects of the index without file", "which: pacstui storage missing",
        client.at, "studies:missing", "fail",
    )  # fmt: skip
    client._problems = (told, *client._problems[1:])


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_objects_without_file_are_listed_under_storage_and_lead_to_their_study(size):
    client = SteppedClient()
    lost(client, "1.2.3.1", "1.2.3.2")
    async with driven(client, size=size) as console:
        console.app.screen.query_one("#storage").focus()
        await console.press("enter")
        text = await console.shows("Without file  2")
        assert "1.2.3.1" in text
        assert "1.2.3.2" in text
        assert "objects/5a/" in text
        await console.press("down", "enter")
        text = await console.shows("Without file  2")
        assert "2 objects without file" in text
        assert "1.2.3.1" in text
        assert "1.2.3.2" in text
        study = f"1.2.826.0.1.3680043.8.498.{client.total - 1}"
        assert client.calls[-1] == ("storage.missing", (200, study))
        assert study in text


async def test_a_problem_has_the_mark_of_its_gravity_and_says_in_words_where_it_leads():
    client = SteppedClient()
    lost(client, "1.2.3.1")
    note = replace(client._problems[0], name="n", text="somebody may look", level="note")
    client._problems = (*client._problems, note)
    async with driven(client) as console:
        await console.press("exclamation_mark")
        text = await console.shows("What is wrong now")
        assert "x 1 objects of the index without file" in text
        assert "! 3 objects were set aside" in text
        assert "- somebody may look" in text
        assert "Enter: the studies" in text
        assert "Enter: Storage" in text
        assert "studies:missing" not in text


async def test_what_a_study_says_of_two_patients_is_hidden_with_their_ids():
    client = SteppedClient()
    async with driven(client) as console:
        from screens.ways import follow

        await follow(console.app, ("study", f"1.2.826.0.1.3680043.8.498.{client.total - 6}"))
        await console.shows("objects of patient P7 came under a study of P8")
        await console.press("P")
        text = await console.shows("objects of another patient came under this study")
        assert "P7" not in text
        assert "P8" not in text


async def test_an_event_of_an_instance_names_its_uid_and_leads_to_the_association():
    client = SteppedClient()
    ident = client._rows[0].id
    client._feed.append(
        FeedRow(len(client._feed) + 1, client.at, "warn", "CT1", "instance refused", "", ident, 1, 0, "1.2.3.4.5")
    )
    async with driven(client) as console:
        await console.press("0")
        await console.shows("instance refused")
        await console.press("home", "enter")
        await console.shows("SOP Instance UID: 1.2.3.4.5")
        await console.press("enter")
        await console.shows("Presentation contexts")


async def test_studies_at_a_peer_are_looked_for_compared_and_fetched():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("5")
        await console.shows("CT1")
        await console.press("j", "f")
        text = await console.shows("DOE, JANE")
        assert "Studies at CT1" in text
        peer, keys = next(call[1] for call in client.calls if call[0] == "remote.find")
        assert (peer, list(keys)) == ("CT1", ["date"])
        await console.press("c")
        text = await console.shows("Only at CT1  39")
        assert "2 instances here, 40 at CT1, 1 at both" in text
        await console.press("escape")
        await console.step()
        await console.press("p")
        await console.until(lambda: ("remote.pull", ("CT1", "1.2.0")) in client.calls, "the fetch")
        await console.shows("7 of 40")
        await console.step()
        await console.press("x")
        await console.until(lambda: ("remote.cancel", 1) in client.calls, "the cancel")
        await console.press("slash", *"P17")
        await console.until(lambda: ("remote.find", ("CT1", {"id": "P17*"})) in client.calls, "the search")
        for _ in "P17":
            await console.press("backspace")
        await console.press(*"nobody")
        await console.shows("It has no such study")


async def test_a_study_shows_its_series_and_missing_ids_are_named():
    async with driven() as console:
        await console.press("4")
        await console.shows("10,000")
        await console.press(*["down"] * 9, "enter")
        text = await console.shows("Series  ")
        assert "none: never merged" in text


async def test_a_node_that_goes_away_is_named_with_the_time_and_comes_back():
    client = SteppedClient()
    async with driven(client) as console:
        client.down = True
        client.poke()
        await console.shows("x not reached since")
        assert "trying again" in console.lines[0]
        await console.press("exclamation_mark")
        await console.shows("start it with: pacstui serve")
        await console.press("escape")
        client.down = False
        console.app.bridge.again.set()
        await console.until(lambda: console.app.away_since is None, "the return")
        await console.shows("degraded")


async def test_a_node_started_from_the_console():
    client = SteppedClient()
    client.down = True
    started = []

    def start() -> None:
        started.append(1)
        client.down = False

    async with driven(client, connected=False, start_node=start) as console:
        await console.shows("S starts one")
        await console.press("S")
        await console.shows("RADNODE1")
        assert started == [1]
        assert console.app.owned


async def test_quitting_asks_only_when_the_node_is_ours_and_staying_is_the_default():
    async with driven(owned=True) as console:
        await console.press("q")
        await console.shows("stop the node")
        await console.press("enter")
        assert console.app.is_running
        assert "Leave the console" not in console.text
        await console.press("q")
        await console.press("right", "right", "enter")
        await console.until(lambda: ("node.stop", None) in console.client.calls, "the stop")
    async with driven(owned=False) as console:
        await console.pilot.press("q")
    assert ("node.stop", None) not in console.client.calls


async def test_each_mode_keeps_its_own_stack():
    async with driven() as console:
        await console.press("4")
        await console.shows("10,000")
        await console.press("enter")
        await console.shows("Series  ")
        await console.press("1")
        await console.shows("Storage")
        await console.press("4")
        await console.shows("Series  ")
        await console.press("escape")
        await console.shows("10,000")


async def test_an_idle_node_has_empty_states_that_teach():
    client = SteppedClient(speed=0, problems=0, studies=0)
    client._feed.clear()
    client._ended.clear()
    async with driven(client) as console:
        text = console.text
        for words in ("Nobody is connected", "Nothing arrives", "Nothing waits to go out", "Nothing has happened"):
            assert words in text
        await console.press("4")
        await console.shows("The archive is empty")
        await console.press("2")
        await console.shows("Nobody was connected yet")


async def test_a_view_that_was_not_shown_is_replaced_and_no_feed_line_is_lost():
    from screens.bridge import Bridge

    client = FakeClient(speed=0)
    woken = []
    bridge = Bridge(client, 1.0, lambda: woken.append(1))
    first = client.view(0)
    bridge._arrived(first)
    client.say("info", "a", "one")
    bridge._arrived(client.view(first.feed[-1].id))
    client.say("info", "a", "two")
    last = client.view(bridge.feed[-1].id)
    bridge._arrived(last)
    assert woken == [1]
    assert bridge.replaced == 2
    assert bridge.taken() is last
    assert [row.text for row in bridge.feed][-2:] == ["one", "two"]


async def test_a_line_that_is_told_anew_stands_once_however_many_tellings_were_not_seen():
    client = SteppedClient(speed=0)
    at = len(client._feed) + 1
    first = client.say("warn", "XRAY9", "refused: it calls us by a name that is not ours")
    async with driven(client) as console:
        await console.press("0")
        await console.shows("name that is not")
        await console.press("slash", *"refused: it", "enter")
        client._feed[-1] = replace(first, id=at + 4, replaces=at, count=5)
        await console.step()
        client._feed[-1] = replace(first, id=at + 9, replaces=at, count=1207)
        await console.step()
        text = await console.shows("1,207\u00d7 refused")
        assert text.count("it calls us by") == 1
        table = console.app.screen.query_one(RowTable)
        assert table.cursor == at
        await console.press("enter")
        await console.shows("1,207 times")


async def test_plots_of_now_and_of_the_last_hours():
    async with driven() as console:
        await console.press("t")
        await console.shows("Last hours")
        await console.shows("one column for")
        assert "\u2588" in console.text
