"""What is kept of messages, looked through, and put right; a disk that is full and a database that is locked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pacstui import events
from pacstui.errors import BadRequest, NotFound, Unavailable
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outcome import Outcome
from tests.hl7v2.house import Counting, adt, house, refusing


async def test_a_locked_database_and_a_full_disk_are_answered_ar_and_pass_by_themselves(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        assert await client.code(adt("1")) == "AA"
        other = sqlite3.connect(tmp_path / "index.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        _, msa, err = await client.ask(adt("2"))
        assert msa[1:3] == ["AR", "2"]
        assert err[3].startswith("207^")
        assert "locked" in msa[3]
        assert (await client.ask(adt("2b", m15="AL", m16="AL")))[1][1] == "CR"
        assert any("cannot be kept" in each[2] for each in it.exchange.problems())
        other.execute("ROLLBACK")
        assert await client.code(adt("2")) == "AA"
        assert not list(it.exchange.problems())
        pages = (await it.db.write(lambda c: c.execute("PRAGMA page_count").fetchone()))[0]
        await it.db.write(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchone())
        long = "NTE|1||" + "x" * 1_000_000 + "\r"
        codes = [await client.code(adt(f"F{n}") + long) for n in range(8)]
        assert codes[-1] == "AR"
        assert any("no room" in each[2] for each in it.exchange.problems())
        await it.db.write(lambda c: c.execute("PRAGMA max_page_count=1000000").fetchone())
        assert await client.code(adt("F7") + long) == "AA"
        assert not list(it.exchange.problems())
        good = ["1", "2", *(f"F{n}" for n, code in enumerate(codes) if code == "AA"), "F7"]
        assert await it.acted() == good
        assert [row.control for row in reversed((await it.room.messages()).rows)] == good
        assert it.applier.forgotten >= 2
        told = [each for each in it.events if isinstance(each, events.MessageFailed)]
        assert told[0].id == 0


async def test_messages_are_found_by_identifiers_and_words_page_by_page(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        for n in range(25):
            await client.ask(adt(f"C{n}", name=f"MEIER^NR{n}"))
        await client.ask(adt("M1").replace("ADT^A08^ADT_A01", "ADT^A40") + "MRG|OLD7^^^LAB\r")
        await client.ask(
            adt("O1").replace("ADT^A08^ADT_A01", "ORM^O01") + "ORC|NW|PL1|FI1\rOBR|1|PL1|FI1|||||||||||||||ACC1\r"
        )
        found = []
        before = 0
        while True:
            page = await it.room.messages(before=before, limit=10)
            found += [row.control for row in page.rows]
            before = page.next
            if not before:
                break
        assert found == ["O1", "M1", *(f"C{n}" for n in range(24, -1, -1))]

        async def by(search: str, **more: str) -> list[str]:
            return [row.control for row in (await it.room.messages(search=search, **more)).rows]

        assert await by("C7") == ["C7"]
        assert await by("old7") == ["M1"]
        assert await by("PL1") == await by("fi1") == await by("acc1") == ["O1"]
        assert await by("meier nr21") == ["C21"]
        assert await by("100%_") == []
        assert await by("", kind="ORM") == ["O1"]
        assert await by("", kind="ADT^A40") == ["M1"]
        assert len(await by("P100", kind="adt")) == 26
        assert await by("", state="failed") == []
        with pytest.raises(BadRequest, match="there are"):
            await by("", state="nonsense")


async def test_a_message_is_shown_taken_apart_with_what_is_wrong_marked(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.applier.how = refusing(field=3, hint="admit first")
        await (await it.connect()).ask(adt("C1", name="SMITH\\T\\SONS^ANN") + "PID|2||P2\rNTE|1||\x1b[2J bad\r")
        view = await it.room.message(1)
        assert view.row.state == "failed"
        assert (view.row.hint, view.row.patient_id) == ("admit first", "P100")
        first, second = [each for each in view.segments if each.name == "PID"]
        assert (first.title, first.wrong, second.wrong) == ("patient", ("PID-3",), ())
        shown = {field.place: (field.name, field.value) for field in first.fields}
        assert shown["PID-5"] == ("patient name", "SMITH&SONS^ANN")
        assert shown["PID-7"] == ("birth date", "19700101")
        assert "PID-4" not in shown
        assert view.segments[0].fields[1].value == "^~\\&"
        assert "\x1b" not in view.raw + "".join(f.value for s in view.segments for f in s.fields)
        assert "MSA|AE|C1" in view.reply
        assert view.raw.split("\n")[2].startswith("PID|1||P100")
        with pytest.raises(NotFound):
            await it.room.message(99)


async def test_a_failed_message_is_edited_and_resubmitted_and_the_first_is_resolved(tmp_path: Path) -> None:
    async with house(tmp_path) as it:

        def how(message: object) -> Outcome:
            if "WRONG" in message.text:  # type: ignore[attr-defined]
                return refusing()(message)  # type: ignore[arg-type]
            return Outcome(done="right")

        it.applier.how = how
        raw = adt("C1", name="WRONG^M\u00fc", m18="8859/1").encode("latin-1")
        assert await (await it.connect()).code(raw) == "AE"
        assert "1 HL7 message could not" in next(iter(it.exchange.problems()))[2]
        text = (await it.room.message(1)).raw
        still = await it.room.resubmit(1, text + "\nNTE|1||x")
        assert (still.state, still.by, still.origin) == ("failed", "anna", "127.0.0.1")
        assert (await it.room.message(1)).row.state == "ignored"
        assert (await it.room.show()).failed_open == 1
        good = await it.room.resubmit(still.id, text.replace("WRONG", "M\u00fcLLER"))
        assert good.state == "done"
        assert {(await it.room.message(n)).row.state for n in (1, 2)} == {"resolved"}
        assert (await it.room.message(3)).original == 2
        assert (await it.room.message(2)).later == (3,)
        assert (await it.rows("SELECT name FROM acted"))[-1] == ("M\u00fcLLER",)
        assert not list(it.exchange.problems())
        assert await (await it.connect()).code(raw) == "AE"  # a new failure, as before: nobody has mended the sender
        with pytest.raises(BadRequest, match="character set"):
            await it.room.resubmit(1, text.replace("WRONG", "\u5c71"))
        with pytest.raises(BadRequest, match="begins with MSH"):
            await it.room.resubmit(1, "PID|1")


async def test_messages_are_replayed_in_their_order_and_ignored_with_a_reason(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        usual, it.applier.how = it.applier.how, refusing()
        client = await it.connect()
        for n in range(3):
            await client.ask(adt(f"C{n}"))
        with pytest.raises(BadRequest, match="why"):
            await it.room.ignore((1,), " ")
        assert await it.room.ignore((1,), "a test of theirs") == 1
        assert (await it.room.message(1)).row.by == "anna: a test of theirs"
        it.applier.how = usual
        rows = await it.room.replay((3, 2))
        assert [row.control for row in rows] == ["C1", "C2"]
        assert await it.acted() == ["C1", "C2"]
        assert (await it.room.show()).failed_open == 0
        with pytest.raises(BadRequest, match="none of them"):
            await it.room.ignore((2,), "x")
        with pytest.raises(BadRequest):
            await it.room.replay(())


async def test_old_messages_go_and_open_errors_stay(tmp_path: Path) -> None:
    async with house(tmp_path, keep_days=30) as it:
        client = await it.connect()
        await client.ask(adt("OLD"))
        usual, it.applier.how = it.applier.how, refusing()
        await client.ask(adt("BAD"))
        it.applier.how = usual
        it.clock.advance(31 * 86400)
        await client.ask(adt("NEW"))
        await it.exchange.tick()
        assert [row.control for row in (await it.room.messages()).rows] == ["NEW", "BAD"]
        assert await it.rows("SELECT count(*) FROM hl7_bodies") == [(2,)]
        assert await it.rows("SELECT count(*) FROM hl7_keys WHERE message NOT IN (SELECT id FROM hl7_messages)") == [
            (0,)
        ]


async def test_what_forwards_messages_sees_each_in_its_transaction_and_its_faults_take_nothing_back(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as it:
        seen = []

        def beside(
            connection: sqlite3.Connection, ident: int, message: object, raw: bytes, outcome: Outcome, at: int
        ) -> None:
            assert connection.execute("SELECT count(*) FROM hl7_messages WHERE id = ?", (ident,)).fetchone() == (1,)
            seen.append((ident, outcome.code))
            if ident == 2:
                raise ValueError

        it.exchange.forward(beside)
        client = await it.connect()
        for n in range(3):
            assert await client.code(adt(str(n))) == "AA"
        await client.ask(adt("2"))
        assert seen == [(1, "AA"), (2, "AA"), (3, "AA")]


async def test_counts_of_senders_outlive_the_node(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        for n in range(3):
            await client.ask(adt(str(n)))
        view = await it.room.show()
        assert (view.today, view.senders[0].messages, view.senders[0].connected) == (3, 3, 1)
        assert view.listening == f"127.0.0.1:{it.port}"
    async with house(tmp_path) as it:
        view = await it.room.show()
        assert (view.today, view.senders[0].sender, view.senders[0].messages) == (3, "RIS", 3)
        assert view.senders[0].connected == 0


async def test_what_a_transaction_did_is_told_before_the_next_one_begins(tmp_path: Path) -> None:
    class Telling(Counting):
        def __init__(self) -> None:
            super().__init__()
            self.open: set[str] = set()
            self.told: list[set[str]] = []

        def apply(self, connection: sqlite3.Connection, message: Message, at: int) -> Outcome:
            self.open.add(message.control)
            return super().apply(connection, message, at)

        def committed(self) -> None:
            self.told.append(set(self.open))
            self.open.clear()

    applier = Telling()
    async with house(tmp_path, applier) as it:
        clients = [await it.connect() for _ in range(4)]
        for n, client in enumerate(clients):
            client.send(b"".join(b"\x0b" + adt(f"{n}-{k}").encode() + b"\x1c\r" for k in range(200)))
        for client in clients:
            for _ in range(200):
                await client.answer()
        assert sum(len(each) for each in applier.told) == 800
        assert len(set().union(*applier.told)) == 800


async def test_a_node_that_stops_tells_who_replays(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await (await it.connect()).ask(adt("1"))
        await it.exchange.intake.close()
        with pytest.raises(Unavailable, match="being stopped"):
            await it.room.replay((1,))
