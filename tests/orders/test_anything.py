"""Whatever a message holds, it is acted on or refused, and rows fit together after it."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pacstui.hl7v2.message import Malformed, Message
from pacstui.orders import coding
from tests.orders.ward import Ward, adt, merge, obr, orc, orm, pid

IPC = "IPC|ACC7|RP7|2.25.123|S1|MR^^DCM|PROT^head^LOCAL|STATION1|^room 3|MR1"
BASES = (
    adt("A01", pid("1^^^HOSP^MR~2^^^X&1.2&ISO^PI", "DOE^JANE~^^I"), "PV1|1|I|W^1||||7^H^A|8^R^R", "AL1|1|DA|1^x"),
    merge("1", "2"),
    adt("A47", pid("3"), "MRG|1^^^HOSP"),
    orm("1", orc("NW", "7"), "TQ1|1||||||202601070915||A", obr("7"), "NTE|1||x", "DG1|1||a^b", "ZDS|2.25.7"),
    orm("1", orc("NW", "8"), obr("8"), IPC, IPC, kind="OMI^O23"),
    orm("1", orc("XO", "7"), obr("7"), obr("7", f19="RP")),
    orm("1", orc("CA", "7")),
)
PIECES = ("|", "^", "~", "&", "\\", '""', "\r", "0", "24", "99999999", "20260230", "Ω", "\x00", "=", "\\X41\\", "-")


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """Return a message with a few places overwritten, left out or filled in."""
    text = draw(st.sampled_from(BASES))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(9, len(text)))
        upto = at + draw(st.integers(0, 12))
        text = text[:at] + draw(st.sampled_from(PIECES) | st.text(max_size=5)) + text[upto:]
    return text


@settings(max_examples=50, deadline=None)
@given(st.lists(spoiled(), min_size=1, max_size=4))
@example([BASES[0].replace("19700102", "x" * 200).replace("DOE", "D\x1b[31mE" * 40)])
def test_no_message_breaks_anything(texts: list[str]) -> None:
    ward = Ward()
    for text in (*BASES[:4], *texts):
        try:
            Message(text)
        except Malformed:
            continue
        ward.hear(text)
        ward.store("1")
        ward.sound()
    for name in ("patient_id", "issuer", "name"):
        for (value,) in ward.rows(f"SELECT {name} FROM persons"):
            assert all(len(group) <= 64 for group in value.split("="))
            assert not set(value) & {"\\", *map(chr, range(32)), *map(chr, range(127, 160))}


@given(st.text(alphabet="0123456789.+-", max_size=24))
def test_a_moment_is_one_or_none(text: str) -> None:
    found = coding.moment(text)
    if found is not None:
        date, time = found
        assert len(date) == 8 and len(time) in (0, 6) and (date + time).isdecimal()
        assert coding.date(text) is not None


@given(st.text(max_size=80))
def test_a_uid_is_one_or_none(text: str) -> None:
    if coding.uid(text):
        assert all(part == str(int(part)) for part in text.split("."))
