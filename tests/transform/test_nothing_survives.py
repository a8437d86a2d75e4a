"""Whatever is in an object, and wherever: what identifies the patient is not in the bytes of the copy."""

from __future__ import annotations

import zlib
from io import BytesIO

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacstui.dicom.dataset import DataSet, Element, encode
from pacstui.dicom.dictionary import known_keywords, tag_of, vr_of
from pacstui.transform import TransformError
from pacstui.transform.plan import Plan
from pacstui.transform.profile import OPTIONS
from tests.transform.making import CT, basic, plan

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
NAMES = {
    "": ("ascii", "Xanthopoulos^Wolfgang"),
    "ISO_IR 100": ("latin_1", "Grünwäldle^Jörgina"),
    "ISO_IR 144": ("iso8859_5", "Щербаков^Фёдоровна"),
    "ISO_IR 126": ("iso8859_7", "Καλογερόπουλος^Ελευθερία"),
    "ISO_IR 192": ("utf_8", "北条早雲^氏綱康"),
    "GB18030": ("gb18030", "欧阳修^醉翁亭"),
}
NUMBERS = ("QX-774411", "ACC998877Z")
BIRTH = "19610321"
PUBLIC = [tag for tag in map(tag_of, known_keywords()) if 0x0008 <= tag >> 16 < 0x7FE0 and tag & 0xFFFF]
SEQUENCES = [tag for tag in PUBLIC if vr_of(tag) == "SQ"]
ODD = [0x00081FFF, 0x0019100C, 0x00190010, 0x00291010, 0x50003000, 0x60003000, 0x60024000, 0x00093333, 0x00041220]
FIXED = {0x00080005, 0x00080016, 0x00080018, 0x00100010, 0x00100020, 0x00280301, 0x00280302, 0x00080060, 0x00080064}
VRS = ["AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "OB", "OF", "OW", "PN", "SH", "SL", "SS",
       "ST", "TM", "UC", "UI", "UL", "UN", "UR", "US", "UT"]  # fmt: skip


def forms(name: str) -> list[str]:
    family, given_name = name.split("^")
    return [name, name.upper(), f"{family} {given_name}", f"{given_name.lower()}_{family}1", f"seen: {family}", family]


@st.composite
def planted(draw: st.DrawFn, codec: str, name: str) -> bytes:
    """A value that holds something that identifies."""
    text = draw(st.sampled_from([*forms(name), *NUMBERS, f"x {NUMBERS[0].lower()} y", f"born {BIRTH}"]))
    text = draw(st.sampled_from(["", "other\\", "a "])) + text + draw(st.sampled_from(["", "\\other", " z"]))
    value = text.encode(draw(st.sampled_from([codec, codec, "utf_8", "utf_16_le"])), "ignore")
    return value + b" " * (len(value) & 1)


@st.composite
def items(draw: st.DrawFn, codec: str, name: str, depth: int) -> dict[int, Element]:
    found: dict[int, Element] = {}
    for _ in range(draw(st.integers(0, 5))):
        tag = draw(st.sampled_from(PUBLIC) | st.sampled_from(ODD))
        if tag in FIXED:
            continue
        vr = vr_of(tag) if draw(st.booleans()) else draw(st.sampled_from(VRS))
        if vr != "SQ":
            found[tag] = Element(vr, draw(planted(codec, name)))
    if depth:
        for tag in draw(st.lists(st.sampled_from(SEQUENCES), max_size=2)):
            inner = draw(st.lists(items(codec, name, depth - 1), max_size=2))
            found[tag] = Element("SQ", items=[DataSet(each) for each in inner])
    return found


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, str, str]:
    """A file, the name in it, and its transfer syntax."""
    terms = draw(st.sampled_from(list(NAMES)))
    codec, name = NAMES[terms]
    data = DataSet(draw(items(codec, name, 2)))
    for tag, text in (
        (0x00080016, CT),
        (0x00080018, "1.2.3.4.1"),
        (0x0020000D, "1.2.3.4.2"),
        (0x0020000E, "1.2.3.4.3"),
        (0x00080005, terms),
        (0x00100020, NUMBERS[0]),
        (0x00080050, NUMBERS[1]),
        (0x00100030, BIRTH),
    ):
        data.put(tag, text)
    data.put(0x00100010, name, codec=codec)
    syntax = draw(st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED]))
    head = b"\2\0\x10\0UI" + (len(syntax) + (len(syntax) & 1)).to_bytes(2, "little") + syntax.encode()
    head += b"\0" * (len(syntax) & 1)
    return NUMBERS[0].encode().ljust(128) + b"DICM" + head + encode(data, syntax), name, syntax


def left(plan: Plan, data: bytes, name: str, syntax: str) -> list[str]:
    """Return what of the patient is in the copy."""
    out = BytesIO()
    try:
        outcome = plan.write(BytesIO(data), out)
    except TransformError:
        return []
    written = out.getvalue()
    if syntax == DEFLATED:
        written = written[: outcome.data_set_at] + zlib.decompress(written[outcome.data_set_at :], -zlib.MAX_WBITS)
    parts = [part for part in name.replace("^", " ").split() if len(part) > 1]
    codecs = {codec for codec, _ in NAMES.values()} | {"utf_16_le", "utf_16_be"}
    found = []
    low = written.lower()
    for text in (*parts, *NUMBERS, BIRTH):
        for form in (text, text.lower(), text.upper()):
            for codec in codecs:
                try:
                    seed = form.encode(codec).lower()
                except UnicodeEncodeError:
                    continue
                if len(seed) > 3 and seed in low:
                    found.append(f"{form} in {codec}")
    return found


OPTION_SETS = st.sets(st.sampled_from(sorted(set(OPTIONS) - {"retain-full-dates"})))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(objects(), OPTION_SETS)
def test_nothing_that_identifies_survives(thing: tuple[bytes, str, str], options: set[str]) -> None:
    data, name, syntax = thing
    assert left(basic(*sorted(options), burned_in="send"), data, name, syntax) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(objects(), st.binary(max_size=60), st.integers(0, 2000))
def test_damaged_objects_are_faults_or_copies_and_nothing_else(
    thing: tuple[bytes, str, str], noise: bytes, where: int
) -> None:
    data = bytearray(thing[0])
    at = 132 + where % (len(data) - 132)
    data[at : at + len(noise)] = noise
    for each in (basic(burned_in="send"), plan({"attribute": "PatientID", "action": "set", "value": "x"})):
        try:
            each.apply(bytes(data))
        except TransformError as fault:
            assert fault.message
