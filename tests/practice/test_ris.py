"""The RIS of the practice hospital: what it writes, what it makes of answers, and what its account says."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.hl7v2.message import Message
from pacstui.practice import messages
from pacstui.practice.booked import slipped
from pacstui.practice.hospital import Hospital
from pacstui.practice.messages import Ordered, Who
from pacstui.practice.mllp import Line, NoAnswer, code_of

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
WHO = Who("PRA000001", "TESTER^ALPHA", date(1970, 1, 2), "F", "WARD 1")
ORDER = Ordered(
    WHO, "PL1", "FI1", "A1", "RP1", "SPS1", "2.25.1", "CTA01", "CT CHEST & ABDOMEN", "CT", "CT1", "Room 1", NOW, "STAT",
    "REFERRER^ONE", "cough",
)  # fmt: skip


class Standing:
    """A clock that stands."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return 0.0


class Intake:
    """Something that takes HL7 and answers as it is told; ``answer`` gets a message and returns MSA-1."""

    def __init__(self, answer: Callable[[Message], str] = lambda message: "AA") -> None:
        self.answer = answer
        self.got: list[Message] = []
        self.raw: list[bytes] = []
        self.port = 0
        self.heard = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                frame = await reader.readuntil(b"\x1c\r")
                raw = frame[1:-2]
                self.raw.append(raw)
                charset = "latin-1" if b"|8859/1" in raw.split(b"\r")[0] else "utf-8"
                message = Message(raw.decode(charset))
                self.got.append(message)
                self.heard.set()
                code = self.answer(message)
                if not code:
                    break
                ack = f"MSH|^~\\&|||||20260101||ACK|1|P|2.5\rMSA|{code}|{message.control}\r"
                writer.write(b"\x0b" + ack.encode() + b"\x1c\r")
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def intake(answer: Callable[[Message], str] = lambda message: "AA") -> AsyncIterator[Intake]:
    taken = Intake(answer)
    server = await asyncio.start_server(taken.serve, "127.0.0.1", 0)
    taken.port = server.sockets[0].getsockname()[1]
    try:
        yield taken
    finally:
        server.close()
        await server.wait_closed()


def hospital(port: int, seed: int = 3) -> Hospital:
    """A hospital with nothing but its RIS."""
    house = Hospital("127.0.0.1", 1, "ARCHIVE", pace=200.0, seed=seed, hl7=port, devices=())
    assert house.ris is not None
    house._devices = (house.ris,)
    return house


async def day_of(taken: Intake, enough: Callable[[], bool], seed: int = 3) -> dict[str, Any]:
    """Let the RIS work until there is enough; return the report."""
    house = hospital(taken.port, seed)
    assert house.ris is not None

    def look() -> None:
        if enough():
            house.stop()

    answer = taken.answer

    def watched(message: Message) -> str:
        code = answer(message)
        for before in taken.got[:-1][-5:]:  # modalities begin what was answered a moment ago
            house.ris.begun(before.value("OBR", 18))  # type: ignore[union-attr]
        look()
        return code

    taken.answer = watched
    await asyncio.wait_for(house.run(), 30)
    return house.report()


async def test_a_day_at_the_desk() -> None:
    async with intake() as taken:
        report = await day_of(taken, lambda: len(taken.got) > 300)
        kinds = Counter(f"{m.kind}^{m.trigger}" for m in taken.got)
        assert {"ADT^A01", "ADT^A02", "ADT^A04", "ADT^A08", "ADT^A40", "ORM^O01", "OMG^O19", "OMI^O23"} <= set(kinds)
        controls = {m.value("ORC", 1) for m in taken.got if m.kind == "ORM"}
        assert {"NW", "XO", "CA"} <= controls
        assert report["ris"]["repeated_messages"] >= 1
        assert set(report["ris"]["orders"].values()) == {"ordered", "changed", "cancelled"}
        assert report["ris"]["merged"]
        assert report["faults"] == []
        told = {m.control for m in taken.got}
        assert set(report["ris"]["messages"]) == told


async def test_one_message_has_8859_and_one_no_patient_id() -> None:
    async with intake() as taken:
        await day_of(taken, lambda: any(b"8859/1" in raw for raw in taken.raw) and len(taken.got) > 100)
        assert any("MÜSTER".encode("latin-1") in raw for raw in taken.raw)
        nobody = [m for m in taken.got if m.kind == "ORM" and not m.value("PID", 3)]
        assert nobody
        assert all(m.value("PID", 5) == "FORGOTTEN" for m in nobody)


@pytest.mark.parametrize(
    "clock", [datetime(2026, 11, 28, 9, 0, tzinfo=UTC), datetime(2026, 11, 28, 23, 55, tzinfo=UTC)]
)
async def test_what_is_put_off_or_cancelled_was_never_to_be_done_now(clock: datetime) -> None:
    async with intake() as taken:
        house = hospital(taken.port)
        assert house.ris is not None
        house.ris._clock = Standing(clock)
        house._site = replace(house._site, clock=Standing(clock))
        answer = taken.answer

        def watched(message: Message) -> str:
            if len(taken.got) > 200:
                house.stop()
            return answer(message)

        taken.answer = watched
        await asyncio.wait_for(house.run(), 30)
        starts = {m.value("OBR", 18): m.value("OBR", 36) for m in taken.got if m.value("ORC", 1) in ("NW", "XO")}
        soon = f"{clock.astimezone() + timedelta(minutes=15):%Y%m%d%H%M%S}"
        gone = {m.value("OBR", 18) for m in taken.got if m.value("ORC", 1) in ("CA", "XO")}
        assert gone
        assert all(starts[accession] > soon for accession in gone)


async def test_one_examination_at_a_time_is_on_hold_with_a_reason_and_released_again() -> None:
    async with intake() as taken:
        house = hospital(taken.port)
        answer = taken.answer

        def watched(message: Message) -> str:
            if len(taken.got) > 250:
                house.stop()
            return answer(message)

        taken.answer = watched
        await asyncio.wait_for(house.run(), 30)
        told = [(m.value("ORC", 1), m.value("OBR", 18)) for m in taken.got if m.value("ORC", 1) in ("HD", "RL")]
        assert [code for code, _ in told[:3]] == ["HD", "RL", "HD"] and told[0][1] == told[1][1]
        assert {m.value("ORC", 16, 2) for m in taken.got if m.value("ORC", 1) == "HD"} == {"creatinine is missing"}


async def test_an_order_is_changed_under_the_name_that_its_patient_has_by_now() -> None:
    async with intake() as taken:
        report = await day_of(taken, lambda: len(taken.got) > 300)
        last: dict[str, str] = {}
        for message in taken.got:
            last[message.value("PID", 3)] = f"{message.value('PID', 5, 1)}^{message.value('PID', 5, 2)}"
        corrected = {ident: name for ident, name in report["ris"]["names"].items() if "-TEST^" in name}
        assert corrected
        gone = report["ris"]["merged"]
        assert {i: n for i, n in last.items() if i in corrected and i not in gone} == {
            i: n for i, n in corrected.items() if i not in gone
        }


async def test_what_was_refused_is_no_order() -> None:
    refuse = lambda m: "AE" if m.value("OBR", 24) == "MR" else "AA"  # noqa: E731
    async with intake(refuse) as taken:
        report = await day_of(taken, lambda: len(taken.got) > 60)
        refused = {m.value("OBR", 18) for m in taken.got if m.value("OBR", 24) == "MR"}
        assert refused
        assert not refused & set(report["ris"]["orders"])


async def test_an_intake_that_hangs_up_is_a_fault_and_the_ris_goes_on() -> None:
    sent = Counter[str]()

    def sometimes(message: Message) -> str:
        sent["all"] += 1
        return "" if sent["all"] == 5 else "AA"

    async with intake(sometimes) as taken:
        report = await day_of(taken, lambda: sent["all"] > 40)
        assert [fault["calling"] for fault in report["faults"]] == ["RIS"]
        assert len(report["ris"]["messages"]) >= 38


async def test_the_same_seed_gives_the_same_orders() -> None:
    found = []
    for _ in range(2):
        async with intake() as taken:
            await day_of(taken, lambda taken=taken: len(taken.got) > 30, seed=11)
            found.append([(m.kind, m.value("OBR", 18), m.value("PID", 3)) for m in taken.got[:20]])
    assert found[0] == found[1]


async def test_nobody_there_is_told_in_words() -> None:
    line = Line("127.0.0.1", 1)
    with pytest.raises(NoAnswer, match="no connection for HL7"):
        await line.ask(b"MSH|^~\\&|\r")


def test_the_code_of_an_answer() -> None:
    assert code_of(b"MSH|^~\\&|A\rMSA|AE|C1|no\r") == ("AE", "C1")
    assert code_of(b"MSH|^~\\&|A\r") == ("", "")
    assert code_of(b"garbage") == ("", "")


@pytest.mark.parametrize("kind", ["ORM^O01^ORM_O01", "OMG^O19^OMG_O19", "OMI^O23^OMI_O23"])
def test_an_order_says_the_same_in_each_dialect(kind: str) -> None:
    m = Message(messages.order(ORDER, "NW", "C1", NOW, kind=kind))
    assert (m.kind, m.control, m.value("PID", 3), m.value("PID", 5, 2)) == (kind[:3], "C1", "PRA000001", "ALPHA")
    assert (m.value("OBR", 18), m.value("OBR", 24), m.value("OBR", 4, 2)) == ("A1", "CT", "CT CHEST & ABDOMEN")
    assert m.value("ORC", 7, 4) == "20260128093000".replace("0128", "1128")
    assert (m.value("ZDS", 1) or m.value("IPC", 3)) == "2.25.1"


def test_a_name_in_three_scripts_is_three_repetitions() -> None:
    who = Who("P", "TESUTO^TAROU=試験^太郎=てすと^たろう", None, "M")
    m = Message(messages.adt("A04", who, "C", NOW))
    pid = m.first("PID")
    assert pid is not None
    assert [pid.value(5, 8, 1, n) for n in (1, 2, 3)] == ["A", "I", "P"]
    assert pid.value(5, 1, 1, 2) == "試験"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_any_text_comes_through_as_one_component(text: str) -> None:
    m = Message(
        messages.adt("A04", Who("P", f"{text.replace('^', '').replace('=', '') or 'X'}^G", None, "F"), "C", NOW)
    )
    assert m.value("PID", 5, 2) == "G"


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_slip_is_never_what_stands_on_the_paper(number: int) -> None:
    rng = random.Random(number)
    for _ in range(50):
        ident = f"PRA{rng.randrange(10**6):06}"
        name, typed = slipped("TESTER^ALPHA", ident, number)
        same_digits = len(set(ident[3:])) == 1
        assert (name, typed) != ("TESTER^ALPHA", ident) or same_digits
        assert sorted(typed) == sorted(ident)


async def test_a_long_day_leaves_somebody_to_examine_for_every_modality() -> None:
    house = hospital(1)
    ris, site = house.ris, house._site
    assert ris is not None
    women = [p for p in site.patients if p.patient_id and p.sex in ("F", "O")]

    async def taken(*_: object) -> str:
        return "AA"

    ris._say = taken  # type: ignore[method-assign, assignment]
    for patient in women:
        ris._seen.append(await ris._admitted(patient))
        await ris._registered_twice(site)
    assert ris.account.merged
    assert 2 * len(ris.account.merged) <= len(women) + 1
