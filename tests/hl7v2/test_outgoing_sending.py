"""Messages go out in order, are tried again, set aside, and never called sent without an answer that says so."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from pacstui.dicom.net.tls import server_context
from pacstui.events import MessageNotSent, ReceiverDown, ReceiverUp
from tests.hl7v2.receivers import (
    EVERYTHING,
    Answering,
    accepts,
    ack,
    answers,
    hangs_up,
    message,
    office,
    receiver,
    says,
    silent,
    to,
)
from tests.services.certificates import Authority, needed


async def test_many_go_over_one_connection_in_their_order(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        wanted = [f"M{number}" for number in range(40)]
        await here.take(*map(message, wanted))
        await here.until(lambda: len(ris.got) == 40)
        await here.until_states(**dict.fromkeys(wanted, "sent"))
        assert ris.got == wanted
        assert ris.lines == 1
        row = (await here.rows())["M7"]
        assert (row.answer, row.destination, row.what, row.kind, row.source) == (
            "AA",
            "RIS",
            "everything",
            "ADT^A08",
            8,
        )
        assert (await here.receiver()).sent == 40


async def test_what_is_sent_on_is_what_came(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        text = message("M1", more="NTE|1||Größe \\T\\ mehr\r")
        await here.take(text)
        await here.until(lambda: ris.raw)
        assert ris.raw == [text.encode()]


async def test_an_error_is_final_and_the_next_one_goes(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        ris.for_control["M1"] = answers("AE", "", "ERR||PID^1^3^1^4|204^Unknown key^HL70357|E||||patient unknown here")
        await here.take(message("M1"), message("M2"))
        await here.until_states(M1="failed", M2="sent")
        row = (await here.rows())["M1"]
        assert row.answer == "AE"
        assert "PID-3.4: patient unknown here" in row.text
        assert "then send again" in row.hint
        assert ris.got == ["M1", "M2"]
        told = [each for each in here.heard if isinstance(each, MessageNotSent)]
        assert [(each.receiver, each.kind) for each in told] == [("RIS", "ADT^A08")]
        assert (await here.receiver()).failed == 1
        assert any("1 HL7 message could not be sent to RIS" in each[2] for each in here.out.problems())


async def test_a_rejection_is_tried_again_before_the_next_one_goes(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        ris.for_control["M1"] = answers("AR", "come back later")
        await here.take(message("M1"), message("M2"))
        row = await here.until(lambda: _tried(here, "M1", 1))
        assert row.state == "waiting"
        assert "come back later" in row.text
        assert row.next_try is not None
        standing = await here.receiver()
        assert standing.status == "waiting"
        assert "ADT^A08 was answered AR: it could not take the message" in standing.why
        assert ris.got == ["M1"]
        ris.for_control.clear()
        await here.advance(60)
        await here.until_states(M1="sent", M2="sent")
        assert ris.got == ["M1", "M1", "M2"]


async def test_a_poisonous_message_is_set_aside_after_its_limit(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port, retries=2)], forward=[EVERYTHING]) as here:
        ris.for_control["M1"] = answers("AR", "no")
        await here.take(message("M1"), message("M2"))
        for tries in (1, 2):
            await here.until(lambda tries=tries: _tried(here, "M1", tries))
            await here.advance(400)
        await here.until_states(M1="failed", M2="sent")
        assert ris.got == ["M1", "M1", "M1", "M2"]


async def test_which_answers_are_final_is_a_setting(tmp_path: Path) -> None:
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port, retry_on=["AE"])], forward=[EVERYTHING]) as here:
            ris.for_control = {"M1": answers("AR"), "M2": answers("AE")}
            await here.take(message("M1"), message("M2"))
            await here.until(lambda: _tried(here, "M2", 1))
            assert await here.states() == {"M1": "failed", "M2": "waiting"}


UNCLEAR: list[tuple[Answering, str]] = [
    (says(ack("OTHER")), 'answered AA for "OTHER"'),
    (says(ack("")), 'answered AA for "no message"'),
    (says(b"\x0bhello\x1c\r"), "no HL7 message"),
    (says(b"\x0bMSH|^~\\&|R||||||ADT^A08|1|P|2.5\r\x1c\r"), "no MSA segment"),
    (says(ack("M1", "OK")), '"OK" in MSA-1'),
    (says(b"\x0b\x1c\r"), "empty message"),
    (hangs_up(), "connection was lost after the message was sent"),
    (hangs_up(b"\x0bMSH|^~\\&|RIS"), "lost in the middle of its answer"),
]


@pytest.mark.parametrize(("answer", "told"), UNCLEAR, ids=[told for _, told in UNCLEAR])
async def test_no_answer_that_counts_is_no_success(tmp_path: Path, answer: Answering, told: str) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        ris.answer = answer
        await here.take(message("M1"))
        row = await here.until(lambda: _tried(here, "M1", 1))
        assert row.state == "waiting"
        assert told in row.text
        ris.answer = accepts
        await here.advance(60)
        await here.until_states(M1="sent")
        assert ris.got == ["M1", "M1"]
        assert ris.lines == 2


@pytest.mark.parametrize(
    ("octets", "told"),
    [(b"", "gave no answer within"), (b"\x0bMSH|", "began to answer"), (b"HTTP/1.1 400\r\n", "no MLLP")],
)
async def test_silence_is_told_as_such(tmp_path: Path, octets: bytes, told: str) -> None:
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port, answer_s=0.05)], forward=[EVERYTHING]) as here:
            ris.answer = says(octets)
            await here.take(message("M1"))
            row = await here.until(lambda: _tried(here, "M1", 1))
            assert told in row.text
            assert row.state == "waiting"


async def test_of_a_receiver_that_answers_nothing_one_message_is_set_aside_and_no_more(tmp_path: Path) -> None:
    async with receiver() as ris:
        settings = to(ris.port, answer_s=0.05, retries=1)
        async with office(tmp_path, receivers=[settings], forward=[EVERYTHING]) as here:
            ris.answer = silent
            await here.take(message("M1"), message("M2"), message("M3"))
            await here.until(lambda: _tried(here, "M1", 1))
            await here.advance(400)
            await here.until_states(M1="failed")
            for tries in (1, 2, 3, 4):
                await here.until(lambda tries=tries: _tried(here, "M2", tries))
                await here.advance(400)
            assert (await here.states())["M2"] == "waiting"
            standing = await here.until(lambda: _status(here, "stuck"))
            assert "gave no answer" in standing.why
            assert [type(each) for each in here.heard if isinstance(each, ReceiverDown)] == [ReceiverDown]
            ris.answer = accepts
            await here.change(receivers=[to(ris.port, retries=1)])  # with patience: this machine may be slow

            async def sent() -> bool:  # a try that was under way may still have failed: then it is due again later
                await here.advance(400)
                return list((await here.states()).values()) == ["failed", "sent", "sent"]

            await here.until(sent)
            assert any(isinstance(each, ReceiverUp) for each in here.heard)
            assert (await here.receiver()).status == "idle"


async def test_a_receiver_that_is_off_costs_no_message_a_try(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port, retries=1)], forward=[EVERYTHING]) as here:
        await ris.stop()
        await here.take(message("M1"), message("M2"))
        for _ in range(5):
            standing = await here.until(lambda: _status(here, "down"))
            await here.advance(400)
        assert "refuses the connection" in standing.why
        assert standing.waiting == 2
        assert standing.hint
        assert {row.attempts for row in (await here.rows()).values()} == {0}
        assert len([each for each in here.heard if isinstance(each, ReceiverDown)]) == 1
        assert any("cannot be reached" in problem[2] for problem in here.out.problems())
        await ris.start()
        await here.out.send_again(destination="RIS")
        await here.until_states(M1="sent", M2="sent")
        assert len([each for each in here.heard if isinstance(each, ReceiverUp)]) == 1


async def test_what_waits_too_long_for_a_receiver_that_is_off_can_be_given_up(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port, give_up_h=1)], forward=[EVERYTHING]) as here:
        await ris.stop()
        await here.take(message("M1"))
        await here.until(lambda: _status(here, "down"))
        assert await here.states() == {"M1": "waiting"}
        await here.advance(3700)
        await here.until_states(M1="failed")
        assert "given up" in (await here.rows())["M1"].text


async def test_a_connection_that_was_closed_for_being_idle_costs_no_try(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        await here.take(message("M1"))
        await here.until_states(M1="sent")
        ris.hang_up()
        await asyncio.sleep(0)
        await here.take(message("M2"))
        await here.until_states(M2="sent")
        assert (await here.rows())["M2"].attempts == 1
        ris.for_control["M3"] = hangs_up()
        await here.take(message("M3"))
        await here.until(lambda: _tried(here, "M3", 1))
        assert ris.got.count("M3") == 2


async def test_a_connection_without_messages_is_closed_after_a_while(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port, linger_s=5)], forward=[EVERYTHING]) as here:
        await here.take(message("M1"))
        await here.until_states(M1="sent")
        await here.advance(6)
        await here.until(lambda: not ris._writers)
        await here.take(message("M2"))
        await here.until_states(M2="sent")
        assert ris.lines == 2


async def test_an_accept_then_an_error_is_a_failure(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        ris.for_control["M1"] = says(ack("M1", "CA"))
        await here.take(message("M1"))
        await here.until_states(M1="sent")
        assert (await here.rows())["M1"].answer == "CA"

        async def late(ris_: object, control: str, writer: asyncio.StreamWriter) -> None:
            writer.write(ack("M1", "AE", "no such ward") + ack(control))

        ris.for_control["M2"] = late
        await here.take(message("M2"))
        await here.until_states(M1="failed", M2="sent")
        row = (await here.rows())["M1"]
        assert row.answer == "AE"
        assert "accepted first" in row.text
        assert "no such ward" in row.text


async def test_each_receiver_has_a_queue_of_its_own(tmp_path: Path) -> None:
    async with receiver() as ris, receiver() as emr:
        receivers = [to(ris.port), to(emr.port, "EMR")]
        async with office(tmp_path, receivers=receivers, forward=[{"name": "all", "to": ["RIS", "EMR"]}]) as here:
            ris.answer = answers("AR", "busy")
            await here.take(*(message(f"M{n}") for n in range(5)))
            await here.until(lambda: len(emr.got) == 5)
            assert ris.got == ["M0"]


async def test_hold_cancel_and_release(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        await here.out.hold(destination="RIS")
        await here.take(message("M1"), message("M2"), message("M3"))
        rows = await here.rows()
        standing = await here.receiver()
        assert (standing.status, standing.waiting) == ("held", 3)
        assert "op1" in standing.why
        assert await here.out.drop((rows["M1"].id,)) == 1
        assert await here.out.hold((rows["M2"].id,)) == 1
        await here.out.release(destination="RIS")
        await here.until_states(M1="cancelled", M2="held", M3="sent")
        assert ris.got == ["M3"]
        await here.out.release((rows["M2"].id,))
        await here.until_states(M2="sent")
        assert await here.out.drop((rows["M2"].id,)) == 0


async def test_what_failed_is_sent_again_when_somebody_says_so(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
        ris.answer = answers("AE", "no")
        await here.take(message("M1"))
        await here.until_states(M1="failed")
        ris.answer = accepts
        row = (await here.rows())["M1"]
        assert await here.out.send_again((row.id,)) == 1
        await here.until_states(M1="sent")
        await here.out.send_again((row.id,))  # once more: a new row, the old one keeps what was answered
        await here.until(lambda: len(ris.got) == 3)
        page = await here.until(lambda: _all_sent(here, 2))
        assert [each.control for each in page.rows] == ["M1", "M1"]


async def test_a_hold_outlives_the_node(tmp_path: Path) -> None:
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
            await here.out.hold(destination="RIS")
            await here.take(message("M1"))
        async with office(tmp_path, receivers=[to(ris.port)]) as again:
            standing = await again.receiver()
            assert (standing.status, standing.waiting) == ("held", 1)
            await again.out.release(destination="RIS")
            await again.until_states(M1="sent")


async def test_nothing_is_sent_outside_of_its_hours(tmp_path: Path) -> None:
    settings = {"hours": "20:00-06:00"}
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port, **settings)], forward=[EVERYTHING]) as here:
        here.closed_until = here.clock.now() + timedelta(hours=1)
        await here.take(message("M1"))
        standing = await here.receiver()
        assert standing.status == "closed"
        assert "sends from" in standing.why
        await here.advance(3601)
        await here.until_states(M1="sent")


@needed
async def test_tls_with_whom_its_certificate_is_of(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "other")
    own = authority.sign("ris")
    context = server_context(str(own.certificate), str(own.key), "", mutual=False)
    async with receiver(context) as ris:
        secure = {"tls": True, "ca": str(stranger.pair.certificate)}
        async with office(tmp_path, receivers=[to(ris.port, **secure)], forward=[EVERYTHING]) as here:
            await here.take(message("M1"))
            standing = await here.until(lambda: _status(here, "down"))
            assert "is not trusted" in standing.why
            assert "ca of its [[hl7.receivers]]" in standing.hint
            assert ris.got == []
            await here.change(receivers=[to(ris.port, tls=True, ca=str(authority.pair.certificate))])
            await here.until_states(M1="sent")
            assert "(TLS)" in (await here.receiver()).address
            await here.change(receivers=[to(ris.port)])
            await here.take(message("M2"))
            row = await here.until(lambda: _tried(here, "M2", 1))
            assert row.state == "waiting"


async def test_it_keeps_to_its_pace(tmp_path: Path) -> None:
    settings = to(0, max_per_second=2)
    async with (
        receiver() as ris,
        office(tmp_path, receivers=[settings | {"port": ris.port}], forward=[EVERYTHING]) as here,
    ):
        await here.take(message("M1"), message("M2"))
        await here.until_states(M1="sent")
        await here.until(lambda: not here.out._senders["RIS"].busy)
        assert ris.got == ["M1"]
        await here.advance(0.6)
        await here.until_states(M2="sent")


async def test_rolled_back_messages_are_not_sent(tmp_path: Path) -> None:
    async with receiver() as ris, office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:

        def fails(connection: object) -> None:
            from pacstui.hl7v2.message import Message
            from pacstui.hl7v2.outcome import Outcome

            text = message("M1")
            here.out.beside(connection, 1, Message(text), text.encode(), Outcome(), 1)  # type: ignore[arg-type]
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await here.database.write(fails)
        assert await here.rows() == {}


async def test_what_waits_for_a_receiver_that_was_removed_is_told(tmp_path: Path) -> None:
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port)], forward=[EVERYTHING]) as here:
            await here.out.hold(destination="RIS")
            await here.take(message("M1"))
        async with office(tmp_path) as again:
            standing = await again.receiver()
            assert (standing.status, standing.waiting) == ("unknown", 1)
            assert any("go nowhere" in problem[2] for problem in again.out.problems())
            await again.out.drop(((await again.rows())["M1"].id,))
            assert await again.out.receivers() == ()


async def _tried(here: object, control: str, times: int) -> object:
    row = (await here.rows()).get(control)  # type: ignore[attr-defined]
    return row if row is not None and row.attempts >= times else None


async def _status(here: object, status: str) -> object:
    row = await here.receiver()  # type: ignore[attr-defined]
    return row if row.status == status else None


async def _all_sent(here: object, number: int) -> object:
    page = await here.out.outgoing(state="sent")  # type: ignore[attr-defined]
    return page if len(page.rows) == number else None
