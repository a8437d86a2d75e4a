from __future__ import annotations

import json
from pathlib import Path

from pacstui.practice.ledger import Ledger, write_report
from pacstui.practice.studies import Instance


def instance(uid: str = "2.25.1", digest: str = "aa") -> Instance:
    return Instance("1.2.3", uid, "2.25.7", "2.25.8", "1.2.840.10008.1.2", b"1234", digest)


def test_an_instance_that_was_cut_counts_as_sent_only_when_it_comes_again() -> None:
    ledger = Ledger()
    ledger.begins(instance())
    ledger.cut(instance())
    assert (ledger.report(1)["sent"], ledger.dropped) == (0, 1)
    ledger.begins(instance())
    ledger.answered(instance(), 0, "")
    assert (ledger.report(1)["sent"], ledger.acknowledged) == (1, 1)


def test_what_was_never_answered_is_sent_and_not_acknowledged() -> None:
    ledger = Ledger()
    ledger.begins(instance())
    report = ledger.report(1)
    assert (report["sent"], report["acknowledged"], report["unanswered"]) == (1, 0, ["2.25.1"])


def test_a_refusal_is_forgotten_when_the_instance_is_taken_later() -> None:
    ledger = Ledger()
    for status in (0xA700, 0x0000):
        ledger.begins(instance())
        ledger.answered(instance(), status, "full")
    report = ledger.report(1)
    assert (report["sent"], report["acknowledged"], report["refused"]) == (1, 1, [])


def test_a_repeat_that_is_cut_or_fails_leaves_the_first_acknowledged() -> None:
    ledger = Ledger()
    ledger.begins(instance())
    ledger.answered(instance(), 0, "")
    ledger.begins(instance())
    ledger.cut(instance())
    ledger.begins(instance())
    report = ledger.report(1)
    assert (report["sent"], report["acknowledged"], report["unanswered"]) == (1, 1, [])


def test_the_report_is_written_as_a_whole(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.begins(instance())
    ledger.answered(instance(), 0xB000, "")
    write_report(tmp_path / "ledger.json", ledger.report(2.0))
    assert json.loads((tmp_path / "ledger.json").read_text()) == ledger.report(2.0)
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]
