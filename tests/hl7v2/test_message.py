"""A message is what hl7 makes of it as a whole, though its fields are taken apart one by one."""

from __future__ import annotations

from typing import Any

import hl7
from hypothesis import given
from hypothesis import strategies as st

from pacstui.hl7v2.message import Message


def told(part: Any, *numbers: int) -> str:
    """Return what hl7 has at a place: repetition, component, subcomponent."""
    for number in numbers:
        if isinstance(part, str):
            part = part if number == 1 else ""
        else:
            part = part[number - 1] if number <= len(part) else ""
    return str(part)


@given(st.lists(st.text('ab^~&|"', max_size=25), max_size=4))
def test_each_part_is_what_hl7_says(lines: list[str]) -> None:
    text = "".join(f"{line}\r" for line in ["MSH|^~\\&|A^1&2~B|C||D", *(f"PID|x{line}" for line in lines)])
    message, whole = Message(text), hl7.parse(text)
    assert len(message.segments) == len(whole)
    for segment, parsed in zip(message.segments, whole, strict=True):
        for field in range(3, len(parsed)):
            assert segment.raw(field) == str(parsed[field])
            for place in ((r, c, s) for r in (1, 2, 3) for c in (1, 2, 3) for s in (1, 2, 3)):
                r, c, s = place
                assert segment.value(field, c, s, r) == told(parsed[field], *place)
