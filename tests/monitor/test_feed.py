"""The feed tells what happened in sentences, gathers like events and never carries control characters."""

from __future__ import annotations

import logging

import pytest

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.monitor.feed import KEPT, EventFeed
from pacstui.monitor.logbook import Logbook


def _refused(clock: FakeClock, calling: str = "XRAY9") -> events.AssociationRefused:
    return events.AssociationRefused(
        clock.now(), 4, calling, "PACS", "10.0.4.17", 1, 1, 7, 'calls "PACS", we are "RADNODE1"', "set the AE title"
    )


def _taken(clock: FakeClock, number: int, kind: str) -> events.MessageTaken:
    return events.MessageTaken(clock.now(), number, "RIS", "HOSPITAL", "10.0.0.9", kind, f"C{number}", "done", "")


def test_like_refusals_within_a_minute_are_one_line_with_a_count() -> None:
    clock, bus = FakeClock(), Bus()
    feed = EventFeed(bus)
    for _ in range(3):
        bus.publish(_refused(clock))
        clock.advance(10)
    bus.publish(_refused(clock, "OTHER"))
    rows = feed.after(0, 100)
    assert [(row.source, row.count) for row in rows] == [("XRAY9", 3), ("OTHER", 1)]
    assert (rows[0].id, rows[0].replaces, rows[0].line) == (3, 1, 1)
    assert (rows[1].id, rows[1].replaces, rows[1].line) == (4, 0, 4)
    clock.advance(120)
    bus.publish(_refused(clock))
    assert [row.count for row in feed.after(0, 100)] == [3, 1, 1]


def test_only_newer_lines_are_given_and_the_newest_when_there_are_too_many() -> None:
    clock, bus = FakeClock(), Bus()
    feed = EventFeed(bus)
    for number in range(KEPT + 50):
        feed.note(clock.now(), "info", "node", f"line {number}")
    rows = feed.after(0, 5)
    assert [row.text for row in rows] == [f"line {KEPT + n}" for n in range(45, 50)]
    assert feed.after(rows[-1].id, 5) == ()
    assert len(feed.after(0, 10 * KEPT)) == KEPT


def test_network_text_in_a_line_is_made_harmless() -> None:
    clock, bus = FakeClock(), Bus()
    feed = EventFeed(bus)
    bus.publish(_refused(clock, "\x1b]0;owned\x07"))
    assert "\x1b" not in feed.after(0, 1)[0].source + feed.after(0, 1)[0].text


def test_a_failing_subscriber_does_not_stop_the_others() -> None:
    clock, bus = FakeClock(), Bus()

    def broken(_: events.Event) -> None:
        raise RuntimeError("subscriber")

    bus.subscribe(events.Event, broken)
    feed = EventFeed(bus)
    bus.publish(_refused(clock))
    assert len(feed.after(0, 9)) == 1
    assert bus.failures == 1


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0xC111, 0x0110])
def test_a_refused_instance_is_named_in_the_log_with_what_to_do(caplog: pytest.LogCaptureFixture, status: int) -> None:
    clock, bus = FakeClock(), Bus()
    feed = EventFeed(bus)
    Logbook(bus)
    with caplog.at_level(logging.INFO):
        bus.publish(events.InstanceRefused(clock.now(), 7, "CT1", "1.2.3.4", status, "why it is so"))
        bus.publish(events.InstanceQuarantined(clock.now(), 7, "CT1", "1.2.3.5", "keep", "quarantine/x"))
    refused, aside = caplog.messages
    assert f"CT1: instance refused, {status:04X}H: why it is so (association 7, instance 1.2.3.4) [" in refused
    assert "(association 7, instance 1.2.3.5) [" in aside
    assert feed.after(0, 9)[0].hint


def _stored(clock: FakeClock, sop: str, new: bool = True, association: int = 0) -> events.InstanceStored:
    return events.InstanceStored(
        clock.now(), association, "IMPORT", sop, "1.2", "1.1", "DOE^JANE", "CT", "CHEST", 100, new
    )


def test_an_import_is_told_as_one_line() -> None:
    clock, bus = FakeClock(), Bus()
    feed = EventFeed(bus)
    for number in range(50):
        bus.publish(_stored(clock, f"1.3.{number}"))
    bus.publish(_stored(clock, "1.3.0", new=False))
    bus.publish(_stored(clock, "1.3.99", association=5))
    assert [(row.source, row.text, row.count, row.instance) for row in feed.after(0, 100)] == [
        ("IMPORT", "instance imported", 50, "1.3.49"),
        ("IMPORT", "instance imported again, it was there already", 1, "1.3.0"),
    ]


def test_what_a_person_did_is_told_in_words() -> None:
    clock, bus = FakeClock(), Bus()
    feed = EventFeed(bus)
    bus.publish(events.OperatorActed(clock.now(), "anna", "associations.abort", "17"))
    bus.publish(events.OperatorActed(clock.now(), "anna", "peers.echo", "CT1"))
    bus.publish(events.PeerEchoed(clock.now(), "CT1", True, 3.0, ""))
    assert [(row.source, row.text) for row in feed.after(0, 100)] == [
        ("anna", "abort an association: 17"), ("CT1", "echo answered in 3 ms"),
    ]  # fmt: skip


def test_an_import_is_logged_once_a_minute_and_what_is_wrong_with_it_always(caplog: pytest.LogCaptureFixture) -> None:
    clock, bus = FakeClock(), Bus()
    Logbook(bus)
    with caplog.at_level(logging.INFO):
        for number in range(5):
            bus.publish(_stored(clock, f"1.3.{number}"))
            bus.publish(events.InstanceQuarantined(clock.now(), 0, "IMPORT", f"1.4.{number}", "keep", "quarantine/x"))
        clock.advance(61)
        bus.publish(_stored(clock, "1.3.9"))
    assert sum("set aside (instance 1.4." in text for text in caplog.messages) == 5
    assert [text for text in caplog.messages if "imported" in text] == [
        "IMPORT: instance imported (instance 1.3.0)", "IMPORT: instance imported (instance 1.3.9, and 4 before)",
    ]  # fmt: skip


def test_files_that_are_missing_after_a_stop_are_told_with_what_lists_them() -> None:
    clock, bus = FakeClock(), Bus()
    feed = EventFeed(bus)
    bus.publish(events.ReconciliationDone(clock.now(), 1, 3, 0, 0))
    (row,) = feed.after(0, 9)
    assert (row.level, row.text) == ("fail", "after the last stop: 1 file adopted, 3 files missing")
    assert "pacstui storage missing" in row.hint


def test_messages_of_a_sender_are_one_line_that_does_not_count_them_as_the_last_ones_kind() -> None:
    clock, bus = FakeClock(), Bus()
    feed = EventFeed(bus)
    for number, kind in enumerate(("ADT^A08", "ORM^O01", "ADT^A40"), 1):
        bus.publish(_taken(clock, number, kind))
    assert [(row.count, row.text) for row in feed.after(0, 9)] == [(3, "HL7 messages, last ADT^A40, patients merged")]
    clock.advance(120)
    bus.publish(_taken(clock, 4, "ADT^A08"))
    assert [row.text for row in feed.after(0, 9)][-1] == "ADT^A08, patient updated"
