"""What templates make: parsed again, it has the same values, whatever stands in them."""

from __future__ import annotations

import itertools
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.hl7v2 import outgoing_values as values
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outgoing_notify import template_of
from pacstui.hl7v2.outgoing_rules import Mistaken
from pacstui.hl7v2.outgoing_template import Composite, PersonName, Template, encoded
from pacstui.settings import Hl7NotificationSettings

HEAD = "MSH|^~\\&|{own_application}||{application}||{now}||ORU^R01|{control}|P|2.5\n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
DELIMITED = st.text(st.sampled_from('|^~\\&\r\n\x0b\x1c"FSTRE.X0 aé漢'), max_size=30)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Return what of a text arrives: control characters are blanks, edges are bare, two quotes are nothing."""
    text = _CONTROLS.sub(" ", text).strip()
    return "" if text == '""' else text


def filled(body: str, **given_values: object) -> Message:
    text = Template.of(HEAD + body, values.VALUES).fill({"control": "X1", **given_values})  # type: ignore[dict-item]
    assert not set(text) & {"\x0b", "\x1c", "\n"}
    return Message(text)


@given(TEXT | DELIMITED, TEXT | DELIMITED)
def test_values_come_back(one: str, two: str) -> None:
    message = filled("PID|1||{patient_id}^^^{issuer}||{sex}\nOBX|1|ST|A||{description}|", patient_id=one, issuer=two,
                     sex=one, description=two)  # fmt: skip
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "OBX"]
    assert message.value("PID", 3, 1) == plain(one)
    assert message.value("PID", 3, 4) == plain(two)
    assert message.value("PID", 5) == plain(one)
    assert message.value("OBX", 5) == plain(two)
    pid = message.first("PID")
    assert pid is not None
    assert pid.repetitions(3) <= 1


NAME = st.text(st.sampled_from("|~\\&\r\x1cab é漢'"), max_size=8)


@given(st.lists(NAME, min_size=1, max_size=5), st.lists(NAME, max_size=5))
def test_names_of_persons_come_back_component_by_component(alphabetic: list[str], ideographic: list[str]) -> None:
    groups = ["^".join(alphabetic), *(["^".join(ideographic)] if ideographic else [])]
    message = filled("PID|1||X||{patient_name}|", patient_name=PersonName("=".join(groups)))
    pid = message.first("PID")
    assert pid is not None
    wanted = []
    for group in (alphabetic, ideographic):
        parts = [plain(part) for part in group] + [""] * 5
        if any(part.strip("^ ") for part in group):
            wanted.append([parts[0], parts[1], parts[2], parts[4], parts[3]])
    found = [
        [pid.value(5, component, 1, repetition) for component in range(1, 6)]
        for repetition in range(1, pid.repetitions(5) + 1)
    ]
    assert [row for row in found if any(row)] == [row for row in wanted if any(row)]


def test_prefix_and_suffix_change_places() -> None:
    message = filled("PID|1||X||{patient_name}", patient_name=PersonName("Doe^Jane^M^Dr^Jr"))
    assert message.first("PID").components(5) == ("Doe", "Jane", "M", "Jr", "Dr")  # type: ignore[union-attr]
    message = filled("PID|1||X||{patient_name}", patient_name=PersonName("YAMADA^TARO=山田^太郎=やまだ^たろう"))
    pid = message.first("PID")
    assert pid is not None
    assert [pid.value(5, 8, 1, number) for number in (1, 2, 3)] == ["A", "I", "P"]
    message = filled("OBR|1||||||||||||||||{referring}", referring=PersonName("Roe^Rita", numbered=True))
    assert [message.value("OBR", 17, each) for each in (1, 2, 3)] == ["", "Roe", "Rita"]


def test_addresses_keep_their_components() -> None:
    message = filled("PID|1", own_application=Composite("PACS^1.2.3^ISO"), application=Composite("A|B"))
    assert [message.header.value(3, each) for each in (1, 2, 3)] == ["PACS", "1.2.3", "ISO"]
    assert message.header.value(5) == "A|B"


def test_forms() -> None:
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)  # noqa: UP017
    message = filled("ZZZ|{now:%Y%m%d}|{description:5}|{instances}", now=at, description="too long", instances=12)
    assert message.header.value(7) == "20260304050607+0000"
    assert [message.value("ZZZ", each) for each in (1, 2, 3)] == ["20260304", "too l", "12"]


def test_a_segment_of_which_nothing_is_known_is_left_out() -> None:
    body = "?NTE|1||{why}\n?ORC|RE|{placer}|{filler}\n"
    assert [each.name for each in filled(body).segments] == ["MSH"]
    assert [each.name for each in filled(body, filler="F1").segments] == ["MSH", "ORC"]


MISTAKES = [
    ("PID|1||{patient}", "line 2: there is no value {patient}"),
    ("PID|1||{patient_id", "line 2: its braces do not fit"),
    ("pid|1", 'line 2: "pid|1" is no segment'),
    ("PID|{}", "line 2: there is no value {}"),
    ("PID|{now.year}", "there is no value {now.year}"),
    ("PID|{now!r}", "!r means nothing here"),
    ("PID|{patient_id:x}", "is not understood"),
    ("?PID|1", "has no value"),
    ("PID|\x0b|1", "control character"),
]


@pytest.mark.parametrize(("body", "told"), MISTAKES, ids=[told for _, told in MISTAKES])
def test_mistakes_are_told_with_their_line(body: str, told: str) -> None:
    with pytest.raises(Mistaken) as caught:
        Template.of(HEAD + body, values.VALUES)
    assert told in caught.value.text
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "does not begin with MSH"),
        ("PID|1", "does not begin with MSH"),
        ("MSH|^~\\&|A|||||||{control}", "MSH-9 is empty"),
        ("MSH|^~\\&|A|||||ORU^R01|X", "MSH-9 is empty"),
        ("MSH|^~\\&|A||||||ORU^R01|FIX|P|2.5", "MSH-10 is not {control}"),
    ],
)
def test_a_template_is_a_message(text: str, told: str) -> None:
    with pytest.raises(Mistaken, match=re.escape(told)):
        Template.of(text, values.VALUES)


@pytest.mark.parametrize("on,kind", values.BUILT_IN, ids=["-".join(each) for each in values.BUILT_IN])  # noqa: PT006
def test_the_built_in_ones_say_it_where_the_standard_has_it(on: str, kind: str) -> None:
    settings = Hl7NotificationSettings.model_validate({"name": "n", "on": on, "to": ["A"], "message": kind})
    known = {name: name.upper() for name in values.VALUES}
    message = Message(template_of(settings).fill(known))  # type: ignore[arg-type]
    assert f"{message.kind}^{message.trigger}" == kind
    assert (message.control, message.header.value(12), message.header.value(18)) == ("CONTROL", "2.5", "CHARSET")
    assert message.value("PID", 3) == "PATIENT_ID"
    assert message.value("PID", 3, 4) == "ISSUER"
    places = {2: "PLACER", 3: "FILLER", 18: "ACCESSION", 24: "MODALITY"}
    assert {field: message.value("OBR", field) for field in places} == places
    if on == "study received":
        assert message.value("OBX", 5) == "STUDY_UID"
        assert [message.value("OBR", each) for each in (7, 22)] == ["STUDY_TIME", "RECEIVED"]
    else:
        assert (message.value("ORC", 1), message.value("ORC", 5)) == ("SC", "STATUS")
        assert [message.value("OBR", each) for each in (7, 8)] == ["BEGAN", "ENDED"]
    if kind == "ORU^R01":
        assert message.value("OBR", 25) == "R"
        assert [each.value(11) for each in message.all("OBX")] == ["R"] * 3
    if on == "study received" and kind != "ORU^R01":
        assert message.value("ORC", 5) == "STATUS"


def test_an_order_status_is_no_report() -> None:
    settings = Hl7NotificationSettings.model_validate({"name": "n", "on": "order status", "to": ["A"]})
    with pytest.raises(Mistaken, match=re.escape("ORU^R01 does not tell an order status")):
        template_of(settings)


def test_nothing_trails() -> None:
    message = filled("PID|1||{patient_id}^^^{issuer}||{patient_name}|{sex}", own_application="A", sex="F")
    assert message.text.split("\r")[1] == "PID|1|||||F"
    assert filled("PID|1||{patient_id}^^^{issuer}||{sex}").text.split("\r")[1] == "PID|1"


def test_the_documentation_has_all_of_it() -> None:
    text = (Path(__file__).parents[2] / "docs" / "hl7.md").read_text()
    for name, means in values.VALUES.items():
        assert f"| `{{{name}}}` | {means} |" in text
    for template in values.BUILT_IN.values():
        assert "\n".join(f"    {line}" for line in template.strip().split("\n")) in text


def test_character_sets() -> None:
    assert [encoded("é漢", each) for each in ("UNICODE UTF-8", "8859/1", "ASCII")] == ["é漢".encode(), b"\xe9?", b"??"]


@given(st.text(max_size=60))
def test_any_text_is_a_template_or_a_mistake(text: str) -> None:
    for head, tail in itertools.product(("", HEAD), ("", "|")):
        try:
            Template.of(head + text + tail, values.VALUES).fill({"control": "X"})
        except Mistaken as fault:
            assert fault.text
