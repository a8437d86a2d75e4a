"""``pacstui peers``: what it prints of peers, tests and callers, and what it asks before."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pacstui.cli.checks import peers as peers_check
from pacstui.contract.peers import (
    CallerRow,
    CallersView,
    DayRow,
    EchoSample,
    EndRow,
    FaultRow,
    Negotiated,
    PeerDetail,
    PeerHistory,
    PeerLine,
    PeerPlan,
    Removal,
    TestStep,
    TestView,
)
from pacstui.settings import PeerSettings
from tests.cli import samples
from tests.cli.samples import AT, NASTY

CONTEXTS = (
    Negotiated("1.2", "CT Image Storage", ("JPEG Baseline",), ""),
    Negotiated("1.3", "MR Image Storage", ("JPEG Baseline",), ""),
    Negotiated("1.4", NASTY, (), "SOP class not supported"),
)
DETAIL = PeerDetail(
    replace(samples.PEERS[0], uptime=0.975, flaws=("CT1 has not answered since 11:03",)),
    {"name": "CT1", "ae_title": "CT1", "vendor": NASTY},
    ("the route night sends to it",),
    (EndRow("in", AT, 412, "10.0.0.4", NASTY, 16384, CONTEXTS), EndRow("out", None, 0, "", "", 0, ())),
    (FaultRow(AT, "out", NASTY, "", 3),),
    "",
    AT,
    "op1",
)
DAY = DayRow(date(2026, 3, 1), 96, 95, 85_000.0, 900.0, 1.0, 2.5, 40.0, 3, 96)
HISTORY = PeerHistory("CT1", (DAY,), (DAY,), (EchoSample(AT, False, 9.0, NASTY),))
STRANGER = CallerRow(
    7, NASTY, "PACS", "10.0.4.17", "refused", "is not known here", "add it", 3, 1, AT, AT, "", (), "", False
)
FAILED = TestView(
    "CT1",
    False,
    AT,
    (TestStep("name", "ok", 1.0, "10.0.0.4"), TestStep("TCP", "fail", 9.0, "nothing listens")),
    "TCP",
    "no program listens on that port",
    "To the administrator of CT1\n\nPlease:\n- tell us the port",
    (),
)
WELL = replace(FAILED, steps=(TestStep("echo", "ok", 1.0, "answered"),), failed="", letter="", takes=CONTEXTS)


@pytest.mark.parametrize(
    ("words", "name", "value", "shown"),
    [
        (("show", "CT1"), "show", DETAIL, ("97.5 %", "in JPEG Baseline:", "CT Image, MR Image", "(3 times)", "by op1")),
        (("history", "CT1"), "history", HISTORY, ("2026-03 ", "99.0 %", "95 of 96", "15:00", "FAIL: ")),
        (("callers",), "callers", CallersView((STRANGER,), 2, 0), ("10.0.4.17", "not known here: add it", "2 callers")),
        (("callers",), "callers", CallersView((), 0, 0), ("nobody but peers has called",)),
        (("removal", "CT1"), "removal", Removal("CT1", ("the route night sends to it",)), ("breaks: the route",)),
        (("tested", "CT1"), "tested", FAILED, ("FAIL TCP", "- tell us the port")),
        (("add", "CT9", "CT9", "10.0.0.9"), "add", samples.PEERS[0], ("in effect now",)),
        (("test", "CT1"), "test", WELL, ("ok   echo", "CT1 accepts", "x SOP class not supported")),
        (("export",), "export_csv", "name,ae_title\r\nCT1,CT1\r\n", ("CT1,CT1",)),
    ],
)  # fmt: skip
def test_what_is_printed(
    fake_node: Any, run: Callable[..., Any], words: tuple[str, ...], name: str, value: Any, shown: tuple[str, ...]
) -> None:
    fake_node.will_answer(f"peers.{name}", value)
    told = run("peers", *words)
    assert (told.code, told.err) == (0, "")
    for text in shown:
        assert text in told.out
    assert all(ord(char) >= 32 and not 0x7F <= ord(char) <= 0x9F for char in told.out.replace("\n", ""))
    assert run("peers", *words, "--json").out.isascii()


def test_a_test_that_fails_prints_what_to_ask_and_fails(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("peers.test", FAILED)
    told = run("peers", "test", "CT1")
    assert told.code == 1
    for text in ("FAIL TCP", "fails at TCP: no program listens on that port", "To the administrator of CT1"):
        assert text in told.out


def test_a_test_object_takes_a_yes(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("peers.test_object", WELL)
    assert run("peers", "test-object", "CT1").code == 1
    assert fake_node.calls == []
    assert run("peers", "test-object", "CT1", "--yes").code == 0


def test_removing_says_what_breaks_before_it_asks(fake_node: Any, run: Callable[..., Any]) -> None:
    fake_node.will_answer("peers.removal", Removal("CT1", ("the route night sends to it",)))
    fake_node.will_answer("peers.remove", None)
    told = run("peers", "remove", "CT1")
    assert "breaks: the route night sends to it" in told.out
    assert told.code == 1
    assert [call[0] for call in fake_node.calls] == ["peers.removal"]
    assert "may not call any more" in run("peers", "remove", "CT1", "--yes").out


def test_an_import_is_shown_before_it_is_done(fake_node: Any, run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "peers.csv"
    file.write_text("\ufeffname\nCT1\n")
    plan = PeerPlan((PeerLine(2, "CT1", "create", "CT1 at h:104"),), 0, 1)
    fake_node.will_answer("peers.preview_import", plan)
    fake_node.will_answer("peers.import_csv", plan)
    assert "--yes does it" in run("peers", "import", str(file)).out
    assert run("peers", "import", str(file), "--yes").code == 0
    assert [(name, given["csv"]) for name, given in fake_node.calls] == [
        ("peers.preview_import", "name\nCT1\n"), ("peers.import_csv", "name\nCT1\n"),
    ]  # fmt: skip
    assert run("peers", "import", str(tmp_path / "none.csv")).code == 1


def test_the_doctor_quotes_a_name_as_the_shell_wants_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        peer = PeerSettings(name="CT 1", ae_title="CT1", host="127.0.0.1", port=there.getsockname()[1])
        finding = peers_check._reach(peer)
    assert finding.level == "ok"
    assert "pacstui peers echo 'CT 1'" in finding.text
