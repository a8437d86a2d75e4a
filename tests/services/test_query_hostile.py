"""Identifiers that are nonsense, huge or cruel, and cancels at odd moments: each request gets one final answer, and the
next caller is served."""

from __future__ import annotations

import asyncio
import random
import resource
import struct
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet, Element
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.errors import AssociationEnded
from pacstui.dicom.syntaxes import EXPLICIT, IMPLICIT
from pacstui.index.attributes import ATTRIBUTES, IMAGE
from pacstui.index.more import ITEMS
from tests.archive.conftest import send
from tests.archive.objects import Object
from tests.services.inside import FIND, GET, MOVE, Inside, inside

FIELDS = {FIND: Field.C_FIND, MOVE: Field.C_MOVE, GET: Field.C_GET}
FIRST = Object(patient="P1")


class Place:
    """An archive for all examples of a test, in an event loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.inside: Inside = self.run(self.stack.enter_async_context(inside(folder)))
        for thing in (FIRST, FIRST.beside(), Object(patient="P2")):
            self.run(send(self.inside.archive, thing))

    def run(self, work: Any, seconds: float = 20) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, seconds))

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    opened = Place(tmp_path_factory.mktemp("hostile"))
    yield opened
    opened.close()


async def final(association: Association, model: str, data: bytes, **more: Any) -> int:
    exchange = await association.request(
        model, FIELDS[model], data, priority=0, affected_sop_class=model,
        **({"move_destination": "WS1"} if model == MOVE else {}), **more,
    )  # fmt: skip
    return (await exchange.final()).status


async def answered(place: Inside, model: str, data: bytes) -> int:
    """Send an identifier; return its final status after a plain query was answered on the same association."""
    async with place.calling(model, FIND) as caller:
        status = await final(caller, model, data)
        assert await final(caller, FIND, plain()) == 0
    return status


def plain() -> bytes:
    identifier = DataSet()
    identifier.put(0x00080052, "STUDY")
    identifier.put(0x0020000D, FIRST.study)
    return dataset.encode(identifier, EXPLICIT)


KNOWN = {0x0000, 0xA700, 0xA701, 0xA702, 0xA801, 0xA900, 0xB000, 0xC001}
LEVELS = st.sampled_from(["STUDY", "SERIES", "IMAGE", "PATIENT", "", "study", "X"])
TAGS = st.sampled_from(sorted({*ATTRIBUTES[IMAGE], *ITEMS, 0x00080054, 0x00080056, 0x00080053, 0x00091001, 0x00280000}))
VRS = st.sampled_from(["PN", "LO", "CS", "DA", "TM", "DT", "UI", "IS", "DS", "US", "UN", "OB", "SQ", "AE", "UT"])
values = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="*?[]^=\\-.0123456789AZaz\u00fc\u5c71", max_size=40).map(lambda text: text.encode("utf-8")),
)


@st.composite
def identifiers(draw: st.DrawFn, depth: int = 0) -> DataSet:
    found = DataSet()
    if not depth:
        found.put(0x00080052, draw(LEVELS), "CS")
        found.put(
            0x00080005, draw(st.sampled_from(["", "ISO_IR 192", "ISO 2022 IR 87", "\\ISO 2022 IR 149", "X"])), "CS"
        )
    for tag in draw(st.lists(TAGS, max_size=6)):
        vr = draw(VRS)
        if vr == "SQ":
            inner = st.lists(identifiers(depth=depth + 1), max_size=2) if depth < 3 else st.just([])
            found[tag] = Element("SQ", items=draw(inner))
        else:
            found[tag] = Element(vr, draw(values))
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(identifier=identifiers(), model=st.sampled_from([FIND, FIND, MOVE, GET]))
def test_any_identifier_gets_a_final_answer(place: Place, identifier: DataSet, model: str) -> None:
    assert place.run(answered(place.inside, model, dataset.encode(identifier, EXPLICIT))) in KNOWN


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=200), cut=st.integers(0, 200), model=st.sampled_from([FIND, MOVE, GET]))
def test_any_bytes_for_an_identifier(place: Place, data: bytes, cut: int, model: str) -> None:
    assert place.run(answered(place.inside, model, data)) in KNOWN
    assert place.run(answered(place.inside, model, plain()[:cut] + data)) in KNOWN


def level(of: str, **keys: str) -> DataSet:
    tags = {"study": 0x0020000D, "series": 0x0020000E, "sop": 0x00080018, "name": 0x00100010, "text": 0x00081030}
    found = DataSet()
    found.put(0x00080052, of)
    for name, value in keys.items():
        found.put(tags[name], value)
    return found


def deep(count: int) -> bytes:
    """Return sequences in sequences, by hand."""
    head = struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return dataset.encode(level("STUDY"), EXPLICIT) + head * count


MANY = "\\".join(f"1.2.3.{n}" for n in range(60_000))
CRUEL = {
    "uids": level("STUDY", study=MANY[:60_000]),
    "wildcards": level("STUDY", text="*?" * 20_000, name="?*" * 20_000 + "^" * 1000),
    "equal signs": level("STUDY", name="=" * 50_000),
    "letters": level("STUDY", name="*A" * 30_000),
    "backslashes": level("STUDY", text="\\" * 60_000),
}


@pytest.mark.parametrize("what", CRUEL)
def test_cruel_keys_take_neither_long_nor_much(place: Place, what: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    assert place.run(answered(place.inside, FIND, dataset.encode(CRUEL[what], EXPLICIT))) in KNOWN
    assert time.perf_counter() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize("model", [MOVE, GET, FIND])
def test_sixty_thousand_uids(place: Place, model: str) -> None:
    identifier = level("IMAGE", study=FIRST.study, series=FIRST.series)
    identifier[0x00080018] = Element("UI", MANY.encode("ascii"))
    data = dataset.encode(identifier, EXPLICIT)
    assert place.run(answered(place.inside, model, data)) == 0, "none of them is here: nothing to send"


@pytest.mark.parametrize("data", [deep(5000), b"\0" * (2 << 20), b"\xff" * 100_000], ids=["deep", "long", "ones"])
def test_what_is_too_deep_or_too_long_is_refused(place: Place, data: bytes) -> None:
    assert place.run(answered(place.inside, FIND, data)) in (0xA900, 0xC001)


async def _cancels(place: Inside, model: str, seed: int) -> None:
    rng = random.Random(seed)
    async with place.calling(model, FIND) as caller:
        for _ in range(12):
            exchange = await caller.request(
                model, FIELDS[model], plain(), priority=0, affected_sop_class=model,
                **({"move_destination": "WS1"} if model == MOVE else {}),
            )  # fmt: skip
            for _ in range(rng.randrange(3)):
                for _ in range(rng.randrange(30)):
                    await asyncio.sleep(0)
                await exchange.cancel()
            assert (await exchange.final()).status in (*KNOWN, 0xFE00)
        assert await final(caller, FIND, plain()) == 0


@pytest.mark.parametrize("model", [FIND, MOVE, GET])
def test_cancels_at_odd_moments(place: Place, model: str) -> None:
    """Before the first answer, between, after the last, twice: one final answer each, and the association goes on."""
    for seed in range(8):
        place.run(_cancels(place.inside, model, seed))


async def _leaves(place: Inside, model: str, seed: int) -> None:
    rng = random.Random(seed)
    async with place.calling(model) as caller:
        try:
            await caller.request(
                model, FIELDS[model], plain(), priority=0, affected_sop_class=model,
                **({"move_destination": "WS1"} if model == MOVE else {}),
            )  # fmt: skip
            for _ in range(rng.randrange(60)):
                await asyncio.sleep(0)
            caller.abort("gone")
        except AssociationEnded:
            pass


@pytest.mark.parametrize("model", [FIND, MOVE, GET])
def test_callers_that_leave_at_odd_moments_leave_nothing_behind(place: Place, model: str) -> None:
    async def all_quiet() -> None:
        while place.inside.served.listener.connections or len(place.inside.archive.db._idle) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)

    for seed in range(20):
        place.run(_leaves(place.inside, model, seed))
    place.run(all_quiet())
    assert place.inside.calls.open == {}
    assert place.run(answered(place.inside, FIND, plain())) == 0


def test_an_implicit_identifier_is_as_good(place: Place) -> None:
    async def ask() -> int:
        from pacstui.dicom.net.requestor import associate

        port = place.inside.served.port
        async with associate(
            "127.0.0.1", port, called="PACS", calling="ASKER", contexts=[(FIND, [IMPLICIT])]
        ) as caller:
            return await final(caller, FIND, dataset.encode(CRUEL["uids"], IMPLICIT))

    assert place.run(ask()) == 0
