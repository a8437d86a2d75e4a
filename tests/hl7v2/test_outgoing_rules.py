"""Which messages are sent on, and what of them is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outcome import Outcome
from pacstui.hl7v2.outgoing_rules import Mistaken, Rule, as_sent, condition, readdressed, ready, rules
from pacstui.settings import Hl7ForwardSettings
from tests.hl7v2.receivers import message, office, receiver, to

MORE = 'PID|2||A^^^X~B^^^HOSPITAL\rOBR|1|||||||||||||||||||||||CT\rZDS|1.2.3\rNTE|1||""\r'
TEXT = message("M1", more=MORE)


def wants(code: str = "AA", **settings: Any) -> bool:
    rule = Rule.of(Hl7ForwardSettings.model_validate({"name": "r", "to": ["A"], **settings}))
    return rule.wants(Message(TEXT), Outcome(code))


@pytest.mark.parametrize(
    "given_settings",
    [
        {}, {"sender": ["ris"]}, {"sender": ["X", "R?S"]}, {"sender": ["RIS@HOSP*"]}, {"kind": ["ADT"]},
        {"kind": ["adt^a08"]}, {"kind": ["ORM", "ADT^A*"]}, {"patient_class": ["I", "O"]},
        {"where": ["PID-3.4 = HOSPITAL"]}, {"where": ["PID-3.1 = P1"]}, {"where": ["OBR-24 = MR | CT"]},
        {"where": ["PV1-3.1 != TEST*"]}, {"where": ["ZDS-1 present"]}, {"where": ["PID-30 absent"]},
        {"where": ["NTE-3 absent"]}, {"where": ["XYZ-1 absent"]}, {"where": ["pid-3.4=hospital", "MSH-12 = 2.*"]},
        {"where": ["XYZ-1 != A"]},
    ],
)  # fmt: skip
def test_what_fits(given_settings: dict[str, Any]) -> None:
    assert wants(**given_settings)


@pytest.mark.parametrize(
    "given_settings",
    [
        {"sender": ["HIS"]}, {"sender": ["RIS@ELSEWHERE"]}, {"kind": ["ADT^A01"]}, {"kind": ["A08"]},
        {"patient_class": ["O"]}, {"where": ["PID-3.4 = OTHER"]}, {"where": ["PID-3.4 != HOSPITAL"]},
        {"where": ["ZDS-2 present"]}, {"where": ["ZDS-1 absent"]}, {"where": ["XYZ-1 = A"]},
        {"kind": ["ADT"], "where": ["PID-3.1 = P9"]}, {"outcome": "accepted", "_code": "AE"},
    ],
)  # fmt: skip
def test_what_does_not_fit(given_settings: dict[str, Any]) -> None:
    code = given_settings.pop("_code", "AA")
    assert not wants(code, **given_settings)


def test_errors_are_forwarded_where_that_is_asked_for() -> None:
    assert wants("AE", outcome="all")


@pytest.mark.parametrize(
    "text",
    [
        "PID",
        "PID-3",
        "PID-0 = A",
        "PID-3.0 = A",
        "PID-3 =",
        "PID-3 = A |",
        "PID-3 > 4",
        "PIDX-3 = A",
        "PID-3 present x",
    ],
)
def test_what_cannot_be_understood_is_told_and_not_in_use(text: str) -> None:
    with pytest.raises(Mistaken) as caught:
        condition(text)
    assert "PID-3.4 = HOSPITAL" in caught.value.hint
    one = Hl7ForwardSettings.model_validate({"name": "bad", "to": ["A"], "where": [text + " " * (5 - len(text))]}) \
        if len(text) >= 5 else None  # fmt: skip
    if one is not None:
        found, mistaken = rules([one, Hl7ForwardSettings.model_validate({"name": "good", "to": ["A"]})])
        assert [rule.name for rule in found] == ["good"]
        assert [name for name, _ in mistaken] == ["bad"]


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_a_mistake(text: str) -> None:
    try:
        condition(text)(Message(TEXT))
    except Mistaken as fault:
        assert fault.text


def test_only_the_address_is_changed() -> None:
    raw = b"MSH|^~\\&|RIS|H\xd6SP|OLD||2026||ADT^A08|C1|P|2.5||||||8859/1\rPID|1||P1||M\xfcller^J\xe4n\r"
    made = readdressed(raw, ((5, "NEW^1.2^ISO"), (6, "HERE|X")))
    assert made == raw.replace(b"|OLD||", b"|NEW^1.2^ISO|HERE X|")
    assert readdressed(raw, ()) == raw
    short = readdressed(b"MSH|^~\\&|RIS\rPID|1\r", ((6, "X"),), "F7")
    assert Message(short.decode()).control == "F7"
    assert Message(short.decode()).header.value(6) == "X"


def test_a_separator_within_a_japanese_name_is_none() -> None:
    name = b"\x1b$B;3|\x1b(B"  # 7CH is the half of a character there
    raw = b"MSH|^~\\&|" + name + b"|H|OLD|X|2026||ADT^A08|C1|P|2.5||||||~ISO IR87\rPID|1\r"
    assert readdressed(raw, ((5, "NEW"),)) == raw.replace(b"|OLD|", b"|NEW|")


@given(st.binary(max_size=80), st.lists(st.sampled_from([3, 4, 5, 6]), unique=True))
def test_whatever_the_bytes_the_rest_stays(body: bytes, fields: list[int]) -> None:
    raw = b"MSH|^~\\&|A|B|C|D|2026||ADT^A08|C1|P|2.5\r" + body
    made = readdressed(raw, tuple((field, "N") for field in fields))
    assert made.partition(b"\r")[2] == body
    assert made.split(b"|")[8:] == raw.split(b"|")[8:]


def test_line_ends_become_those_of_the_standard() -> None:
    assert ready(b"MSH|a\r\nPID|1\nPV1|1\r\r") == b"MSH|a\rPID|1\rPV1|1\r"
    assert as_sent(b"junk MSH|^~\\&|A\nPID|1", "") == (b"MSH|^~\\&|A\rPID|1\r", ())


def test_what_mllp_cannot_carry_goes_as_utf_8() -> None:
    text = "MSH|^~\\&|A|||||||C1|P|2.5||||||UNICODE\rPID|1||P1||漢\r"
    sent, changes = as_sent(text.encode("utf-16-le"), text)
    made = readdressed(sent, changes)
    assert Message(made.decode()).header.value(18) == "UNICODE UTF-8"
    assert "漢" in made.decode()


async def test_each_message_goes_once_to_each_receiver_and_acknowledgements_to_none(tmp_path: Path) -> None:
    forward = [
        {"name": "first", "to": ["RIS"], "receiving_application": "ONE"},
        {"name": "second", "to": ["RIS", "EMR"], "receiving_application": "TWO"},
    ]
    async with receiver() as ris, receiver() as emr:
        async with office(tmp_path, receivers=[to(ris.port), to(emr.port, "EMR")], forward=forward) as here:
            await here.take(message("M1"), message("A1", "ACK"))
            await here.until(lambda: ris.got and emr.got)
            assert (ris.got, emr.got) == (["M1"], ["M1"])
            assert Message(ris.raw[0].decode()).header.value(5) == "ONE"
            assert Message(emr.raw[0].decode()).header.value(5) == "TWO"
