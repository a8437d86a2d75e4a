"""What is told of HL7 where everybody may read it: events, problems, the log. None of it says who a patient is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pacstui import events
from pacstui.bus import Bus
from pacstui.monitor.feed import EventFeed
from tests.hl7v2.receivers import EVERYTHING, answers, message, office, receiver, to

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_messages_of_a_sender_are_one_line_that_leads_to_the_last() -> None:
    bus = Bus()
    feed = EventFeed(bus)
    for number in range(3):
        who = ("RIS", "H", "10.0.0.1")
        bus.publish(events.MessageTaken(AT, number + 1, *who, "ADT^A40", f"C{number}", "done", "P1 to P2"))
    bus.publish(events.MessageTaken(AT, 9, "RIS", "H", "10.0.0.1", "ADT^A40", "C1", "repeated", ""))
    bus.publish(events.MessageTaken(AT, 10, "", "", "10.0.0.1", "ORU^R01", "C9", "done", ""))
    rows = feed.after(0, 100)
    assert [(row.source, row.text, row.count, row.screen) for row in rows] == [
        ("RIS", "HL7 messages, last ADT^A40, patients merged", 3, "hl7-message:3"),
        ("10.0.0.1", "ORU^R01", 1, "hl7-message:10"),
    ]  # fmt: skip


def test_failures_say_what_is_wrong_and_lead_to_the_message() -> None:
    bus = Bus()
    feed = EventFeed(bus)
    who = ("RIS", "H", "10.0.0.1")
    bus.publish(events.MessageFailed(AT, 7, *who, "ADT^A08", "C1", "AE", "no such ward (PV1-3)", "P1"))
    bus.publish(events.Hl7Refused(AT, "10.0.0.9", "unknown address", "add it"))
    bus.publish(events.ReceiverDown(AT, "EMR", "refuses the connection", "start it"))
    bus.publish(events.ReceiverUp(AT, "EMR"))
    why = "answered AE: it found an error in the message"
    bus.publish(events.MessageNotSent(AT, 4, "EMR", "ORU^R01", why, "mend it"))
    rows = feed.after(0, 100)
    assert [(row.level, row.source, row.screen) for row in rows] == [
        ("warn", "RIS", "hl7-message:7"), ("warn", "10.0.0.9", "hl7"), ("warn", "EMR", "hl7-out:EMR"),
        ("info", "EMR", "hl7-out:EMR"), ("warn", "EMR", "hl7-out:EMR"),
    ]  # fmt: skip
    assert rows[0].text == "ADT^A08 answered AE: no such ward (PV1-3)"
    assert "did not take ORU^R01: answered AE" in rows[4].text


async def test_the_words_of_a_receiver_stay_with_the_message(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        feed = EventFeed(here.bus)
        ris.answer = answers("AE", "JANE DOE is not known")
        await here.take(message("M1"))
        await here.until_states(M1="failed")
        assert "JANE DOE" in (await here.rows())["M1"].text
        ris.answer = answers("AR", "JANE DOE is locked")
        await here.take(message("M2"))
        await here.until(lambda: here.out._senders["RIS"].why)
        await here.out.tick()
        told = [row.text for row in feed.after(0, 10)] + [problem[2] for problem in here.out.problems()]
        told += [row.why + row.hint for row in await here.out.receivers()]
        assert told
        assert not any("JANE" in text for text in told)
        assert here.out.part() == {"out_waiting": 1, "out_failed": 1}
