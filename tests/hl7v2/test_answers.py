"""What senders are told: codes, headers, errors by version, both modes of acknowledgement, repeated messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacstui.hl7v2.outcome import Outcome
from tests.hl7v2.house import Counting, adt, house, refusing


async def test_the_header_of_an_answer_is_the_message_turned_round(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        msh, msa = await client.ask(
            adt("C7", m3="RIS^1.2^ISO", m11="T", m12="2.5.1", m18="UNICODE UTF-8", name="M\u00fc")
        )
        assert msh[2:6] == ["PACS", "NODE", "RIS^1.2^ISO", "LAB"]
        assert msh[8] == "ACK^A08^ACK"
        assert msh[9] not in ("", "C7")
        assert (msh[10], msh[11], msh[17]) == ("T", "2.5.1", "UNICODE UTF-8")
        assert msa == ["MSA", "AA", "C7"]
        assert (await client.ask(adt("C8")))[0][9] != msh[9]


async def test_an_answer_has_the_delimiters_of_the_message(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.applier.how = refusing()
        client = await it.connect()
        text = "MSH#@*!$#RIS#LAB#PACS#NODE#1##ADT@A08#C#1#2.5\rPID#1##P1@@@LAB\r".replace("#C#1#", "#C#P#")
        msh, msa, err = await client.ask(text)
        assert msh[1] == "@*!$"
        assert msh[8] == "ACK@A08@ACK"
        assert msa[1:3] == ["AE", "C"]
        assert err[2] == "PID@1@3"


NEW = ["ERR", "", "PID^1^3", "204^Unknown key identifier^HL70357", "E", "", "", "admit first", "no such patient"]


@pytest.mark.parametrize(
    ("version", "errors"),
    [
        ("2.2", ["ERR", "PID^1^3^204&no such patient&HL70357"]),
        ("2.3.1", ["ERR", "PID^1^3^204&no such patient&HL70357"]),
        ("2.5", NEW),
        ("2.8", NEW),
    ],
)  # fmt: skip
async def test_errors_are_told_as_the_version_has_them(tmp_path: Path, version: str, errors: list[str]) -> None:
    async with house(tmp_path) as it:
        it.applier.how = refusing(hint="admit first")
        client = await it.connect()
        msh, msa, err = await client.ask(adt("C", m12=version))
        assert msa[:3] == ["MSA", "AE", "C"]
        assert err == errors
        assert msh[8] == ("ACK^A08" if version == "2.2" else "ACK^A08^ACK")


@pytest.mark.parametrize(
    ("fields", "code", "condition", "place"),
    [
        ({"m10": ""}, "AE", "101", "MSH^1^10"), ({"m9": ""}, "AR", "101", "MSH^1^9"),
        ({"m12": "3.0"}, "AR", "203", "MSH^1^12"), ({"m11": "X"}, "AR", "103", "MSH^1^11"),
        ({"m11": "D"}, "AR", "202", "MSH^1^11"), ({"m3": "OTHER"}, "AR", "103", "MSH^1^3"),
    ],
)  # fmt: skip
async def test_a_header_that_cannot_be_acted_on_is_refused_and_kept(
    tmp_path: Path, fields: dict[str, str], code: str, condition: str, place: str
) -> None:
    senders = [{"name": "RIS", "application": "RIS"}]
    async with house(tmp_path, processing=["P", "T"], unknown_senders="none", senders=senders) as it:
        client = await it.connect()
        _, msa, err = await client.ask(adt(**{"control": "C", **fields}))
        assert msa[1] == code
        assert (err[2], err[3].split("^")[0]) == (place, condition)
        assert [row.state for row in (await it.room.messages()).rows] == ["failed"]
        assert not await it.acted()
        _, msa, err = await client.ask(adt(**{"control": "C", **fields, "m15": "AL", "m16": "AL"}))
        assert msa[1] == {"AE": "CE", "AR": "CR"}[code]


@pytest.mark.parametrize(
    ("accept", "apply", "refused", "codes"),
    [
        ("AL", "AL", False, ["CA", "AA"]), ("AL", "AL", True, ["CA", "AE"]), ("AL", "NE", True, ["CA"]),
        ("NE", "AL", False, ["AA"]), ("ER", "ER", False, []), ("ER", "ER", True, ["AE"]), ("SU", "SU", True, ["CA"]),
        ("SU", "SU", False, ["CA", "AA"]), ("NE", "NE", True, []), ("AL", "", False, ["CA"]), ("al", "", False, ["CA"]),
    ],
)  # fmt: skip
async def test_enhanced_mode(tmp_path: Path, accept: str, apply: str, refused: bool, codes: list[str]) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        if refused:
            usual = it.applier.how
            it.applier.how = lambda m: refusing()(m) if m.control == "C" else usual(m)
        for control, fields in (("C", {"m15": accept, "m16": apply}), ("END", {})):
            client.send(b"\x0b" + adt(control, **fields).encode() + b"\x1c\r")
        got = []
        while (answer := await client.answer())[1][2] != "END":
            got.append(answer[1][1])
            assert answer[0][14:16] in ([], ["NE", "NE"])
        assert got == codes


async def test_the_same_message_again_is_answered_the_same_and_not_acted_on(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        first = await client.ask(adt("C"))
        again = await (await it.connect()).ask(adt("C"))
        assert again == first
        other = await client.ask(adt("C", name="OTHER^PERSON"))
        assert other[1][:2] == ["MSA", "AA"]
        assert await it.acted() == ["C", "C"]
        rows = (await it.room.messages()).rows
        assert [row.state for row in rows] == ["done", "repeated", "done"]
        assert "control ID of message 1, other content" in rows[0].text
        assert (await client.code(adt("C", m3="OTHER"))) == "AA"
        assert len(await it.acted()) == 3
        it.clock.advance(8 * 86400)
        assert (await client.code(adt("C"))) == "AA"
        assert len(await it.acted()) == 4


async def test_a_failed_message_is_tried_again_when_it_is_sent_again(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        usual, it.applier.how = it.applier.how, refusing()
        assert [await client.code(adt("C")) for _ in range(3)] == ["AE", "AE", "AE"]
        assert [row.state for row in (await it.room.messages()).rows] == ["repeated", "repeated", "failed"]
        it.applier.how = usual
        assert await client.code(adt("C")) == "AA"
        assert [row.state for row in (await it.room.messages()).rows][0::3] == ["done", "resolved"]
        assert await it.acted() == ["C"]


async def test_what_a_refused_message_did_is_undone_and_of_no_other(tmp_path: Path) -> None:
    async with house(tmp_path) as it:

        def how(message: object) -> Outcome:
            control = getattr(message, "control", "")
            if control == "2":
                return refusing()(message)  # type: ignore[arg-type]
            if control == "3":
                raise RuntimeError("a fault of ours")
            if control == "4":
                raise ZeroDivisionError
            return Outcome()

        it.applier.how = how
        client = await it.connect()
        client.send(b"".join(b"\x0b" + adt(str(n)).encode() + b"\x1c\r" for n in range(1, 7)))
        assert [(await client.answer())[1][1] for _ in range(6)] == ["AA", "AE", "AE", "AE", "AA", "AA"]
        assert await it.acted() == ["1", "5", "6"]


async def test_acknowledgements_are_not_acknowledged(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        client.send(b"\x0bMSH|^~\\&|RIS|LAB|PACS|NODE|1||ACK^A08^ACK|9|P|2.5\rMSA|AA|1\r\x1c\r")
        assert (await client.ask(adt("C")))[1][2] == "C"
        assert len((await it.room.messages()).rows) == 2


async def test_a_batch_is_answered_message_by_message_and_a_wrong_count_is_told(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        client.send(b"\x0bFHS|^~\\&|RIS\rBHS|^~\\&|RIS\r" + b"".join(adt(str(n)).encode() for n in range(5))
                    + b"BTS|9\rFTS|1\r\x1c\r")  # fmt: skip
        assert [(await client.answer())[1][1:3] for _ in range(5)] == [["AA", str(n)] for n in range(5)]
        rows = (await it.room.messages()).rows
        assert len({row.batch for row in rows}) == 1
        assert rows[0].batch
        assert "BTS-1 says 9 messages, 5 came" in rows[0].text
        client.send(b"\x0bFHS|^~\\&|RIS\rBHS|^~\\&|RIS\rBTS|0\rFTS|1\r\x1c\r")
        assert (await client.answer())[1][1] == "AR"


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(st.one_of(
    st.binary(min_size=1, max_size=120),
    st.text("MSHPIDOBXZ|^~\\&\r\n\x1b$B(2.5ADTA08\u00fc\u5c71\x0c\x85\u2028", min_size=1, max_size=120).map(
        lambda text: ("MSH|^~\\&|" + text).encode()),
    st.text("|^~\\&\rPIDMSH#\"2.", max_size=80).map(lambda text: (adt("F")[:120] + text).encode()),
), min_size=1, max_size=60))  # fmt: skip
async def test_whatever_comes_is_answered_and_the_next_one_is_taken(
    tmp_path_factory: object, bodies: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")  # type: ignore[attr-defined]
    applier = Counting()
    async with house(folder, applier) as it:
        client = await it.connect()
        for body in bodies:
            client.send(b"\x0b" + body.translate(None, b"\x0b\x1c") + b"\r\x1c\r")
        client.send(b"\x0b" + adt("LAST").encode() + b"\x1c\r")
        count = 0
        while (await client.answer())[1][2] != "LAST":
            count += 1
        told = [body.translate(None, b"\x0b\x1c").strip(b"\r\n \t\0") for body in bodies]
        assert count >= sum(bool(body) and not body.startswith(b"MSH") for body in told)
