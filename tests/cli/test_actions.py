"""Commands made from the contract: what they ask for, print and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pacstui.cli.out import cells
from pacstui.errors import NotFound
from tests.cli import samples

CASES: list[tuple[tuple[str, ...], str, Any, dict[str, Any], tuple[str, ...]]] = [
    (("peers", "list"), "peers.list", samples.PEERS, {}, ("10.0.0.4:104", "ok, 3.0 ms", "WS1")),
    (("queue", "list"), "queue.list", samples.QUEUE, {}, ("\u5c71\u7530, \u592a\u90ce", "2 objects", "WS1")),
    (
        ("studies", "list", "--search", "doe", "--limit", "2"),
        "studies.list",
        samples.STUDIES,
        {"search": "doe", "limit": 2},
        ("2026-03-01", "DOE, JANE (?)", "2 of 9 studies", "--before 4"),
    ),
    (("studies", "show", "1.2.3"), "studies.show", samples.STUDY_DETAIL, {"study": "1.2.3"}, ("AXIAL", "sent by CT1")),
    (("associations", "list"), "associations.list", (samples.ROW,), {"ended": False}, ("CT1", "216 MB", "0:14")),
    (
        ("associations", "show", "8"),
        "associations.show",
        samples.DETAIL,
        {"id": 8},
        ("no transfer syntax of ours", "413 C-STORE-RQ", "connected"),
    ),
    (("associations", "refusals"), "associations.refusals", (samples.REFUSAL,), {}, ("3 times", "what mends it: set")),
    (("associations", "abort", "8", "--yes"), "associations.abort", None, {"id": 8}, ("done",)),
    (
        ("storage", "show"),
        "storage.show",
        samples.STORAGE,
        {},
        ("2.1 TB of 4.0 TB", "NOT TAKING OBJECTS: no space left"),
    ),
    (("storage", "quarantine"), "storage.quarantine", (samples.QUARANTINE,), {"limit": 100}, ("other content",)),
    (
        ("storage", "missing", "--study", "1.2.3"),
        "storage.missing",
        (samples.MISSING,),
        {"limit": 100, "study": "1.2.3"},
        ("1.2.3.1.7", "objects/5a/1.2.3/1.2.3.1.7.dcm"),
    ),
    (
        ("studies", "list", "--only", "conflicts"),
        "studies.list",
        samples.CONFLICTS,
        {"only": "conflicts"},
        (" (!) ", "(!) 1.2.3: objects of patient P2 came under a study of P1"),
    ),
    (
        ("events",),
        "feed.list",
        samples.FEED,
        {"after": 0, "limit": 50},
        ("study stored", "(3 times) - set its AE title"),
    ),
    (("node", "history"), "node.history", samples.HISTORY, {"minutes": 180}, ("5.0 MB",)),
    (("node", "status"), "node.status", samples.status(), {}, ("PACS on 127.0.0.1:11112: ok",)),
]
NAMES = [" ".join(case[0]) for case in CASES]


@pytest.mark.parametrize(("words", "name", "value", "arguments", "shown"), CASES, ids=NAMES)
def test_each_command_asks_and_shows(
    fake_node: Any,
    run: Callable[..., Any],
    words: tuple[str, ...],
    name: str,
    value: Any,
    arguments: dict[str, Any],
    shown: tuple[str, ...],
) -> None:
    fake_node.will_answer(name, value)
    told = run(*words)
    assert (told.code, told.err) == (0, "")
    called, given = fake_node.calls[-1]
    assert called == name
    assert {key: given[key] for key in arguments} == arguments
    for text in shown:
        assert text in told.out
    assert all(ord(char) >= 32 and not 0x7F <= ord(char) <= 0x9F for char in told.out.replace("\n", ""))
    assert "\u202e" not in told.out


@pytest.mark.parametrize(("words", "name", "value", "arguments", "shown"), CASES, ids=NAMES)
def test_each_command_prints_json(
    fake_node: Any,
    run: Callable[..., Any],
    words: tuple[str, ...],
    name: str,
    value: Any,
    arguments: dict[str, Any],
    shown: tuple[str, ...],
) -> None:
    fake_node.will_answer(name, value)
    told = run(*words, "--json")
    assert told.json == json.loads(json.dumps(fake_node.answers[name]))
    assert told.out.isascii()


@pytest.mark.parametrize(
    ("words", "name", "value", "shown"),
    [
        (("peers", "list"), "peers.list", (), "[[peers]]"),
        (("studies", "list"), "studies.list", {"rows": [], "next": None, "total": 0}, "no studies"),
        (("associations", "list"), "associations.list", (), "nobody is connected"),
        (("associations", "refusals"), "associations.refusals", (), "nobody was refused"),
        (("storage", "quarantine"), "storage.quarantine", (), "nothing was set aside"),
        (("storage", "missing"), "storage.missing", (), "every object of the index has its file"),
        (("node", "history"), "node.history", {"points": []}, "no history yet"),
    ],
)
def test_nothing_is_said_in_words(
    fake_node: Any, run: Callable[..., Any], words: tuple[str, ...], name: str, value: Any, shown: str
) -> None:
    fake_node.will_answer(name, value)
    assert shown in run(*words).out


def test_a_failed_echo_fails_the_command(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("peers.echo", samples.ECHO)
    told = run("peers", "echo", "CT1")
    assert told.code == 1
    assert "rejected 1/1/7" in told.out
    assert "know us as PACS" in told.out


def test_the_nodes_refusal_is_shown_without_a_traceback(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("associations.show", NotFound("there is no association 8", "see the list"))
    told = run("associations", "show", "8")
    assert (told.code, told.out) == (1, "")
    assert told.err == "pacstui: there is no association 8\n  see the list\n"


def test_a_dangerous_action_is_not_done_unasked(fake_node: Any, run: Callable[..., Any]) -> None:
    told = run("associations", "abort", "8")
    assert told.code == 1
    assert "--yes" in told.err
    assert fake_node.calls == []


@pytest.mark.parametrize(("answer", "done"), [("y\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_a_dangerous_action_asks_and_no_is_the_default(
    fake_node: Any, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, answer: str, done: bool
) -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    fake_node.will_answer("associations.abort", None)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    told = run("associations", "abort", "8")
    assert (told.code == 0) == done
    assert bool(fake_node.calls) == done
    assert "the object being received is not kept" in told.out


@pytest.mark.parametrize(
    "words",
    [("nothing",), ("peers", "nothing"), ("studies", "show"), ("associations", "show", "x"), ("status", "--nothing")],
)
def test_wrong_usage_exits_2(run: Callable[..., Any], words: tuple[str, ...]) -> None:
    told = run(*words)
    assert told.code == 2
    assert "Traceback" not in told.err
    assert told.err


def test_without_a_node_commands_say_so(run: Callable[..., Any]) -> None:
    told = run("peers", "list")
    assert told.code == 1
    assert "no node is running" in told.err
    assert "pacstui serve" in told.err


def test_table_columns_line_up_by_cells(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("studies.list", samples.STUDIES)
    head, wide, plain = run("studies", "list").out.splitlines()[:3]
    start = cells(head[: head.index("ID")])
    assert cells(wide[: wide.index("P1")]) == start
    assert cells(plain[: plain.index("P2")]) == start


def test_following_events_prints_only_new_ones(fake_node: Any, run: Callable[..., Any], monkeypatch: Any) -> None:
    import time

    fake_node.will_answer("feed.list", samples.FEED)
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) > 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", nap)
    told = run("events", "--follow", "--json")
    assert told.code == 130
    assert [given["after"] for _, given in fake_node.calls] == [0, 2, 2]
    assert len(told.out.splitlines()) == 6
