"""That a study is here, and how an order stands, is told once, and not forgotten when the node ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacstui.errors import BadRequest, NotFound
from pacstui.events import InstanceStored, OrderChanged, StepChanged
from pacstui.hl7v2.message import Message
from tests.hl7v2.receivers import Office, Receiver, office, receiver, to

STUDY = {"name": "images are here", "on": "study received", "to": ["RIS"], "settled_s": 10}
ORDER = {"name": "status", "on": "order status", "to": ["RIS"], "message": "OMG^O19"}


async def study(here: Office, uid: str = "1.2.3", instances: int = 2, tell: bool = True, **more: Any) -> None:
    """Let the archive have a study."""
    row = {
        "patient": 0, "study": uid, "patient_name": "Müller^Erika", "patient_id": "P1", "issuer": "HOSP",
        "birth_date": "19700101", "sex": "F", "date": "20260102", "time": "101112.5", "accession": "ACC1",
        "description": "CT CHEST & ABDOMEN", "modalities": "CT\\SR", "series": 2, "instances": instances,
        "received": int(here.clock.now().timestamp() * 1e6), **more,
    }  # fmt: skip

    def write(connection: Any) -> None:
        connection.execute("PRAGMA defer_foreign_keys=ON")
        connection.execute("INSERT OR IGNORE INTO patients (id) VALUES (0)")
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO studies ({names}) VALUES ({marks})", tuple(row.values()))

    await here.database.write(write)
    if tell:
        here.bus.publish(InstanceStored(here.clock.now(), 1, "CT1", f"{uid}.1", uid, uid, "", "CT", "", 1, True))


async def order(here: Office, state: str = "scheduled", ident: int = 1, **more: Any) -> None:
    row = {
        "id": ident, "person": 1, "placer": "A|1", "filler": "F1", "accession": "ACC1", "accession_key": "ACC1",
        "study": "1.2.9", "state": state, "code": "CTCH", "scheme": "L", "description": "CT chest",
        "changed": int(here.clock.now().timestamp() * 1e6), **more,
    }  # fmt: skip

    def write(connection: Any) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO persons (id, patient_id, issuer, name) VALUES (1, 'P1', 'HOSP', 'Doe^J')"
        )
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(f"INSERT OR REPLACE INTO orders ({names}) VALUES ({marks})", tuple(row.values()))
        connection.execute("INSERT OR REPLACE INTO steps (id, \"order\", modality) VALUES (1, 1, 'CT')")

    await here.database.write(write)


async def tick(here: Office, seconds: float = 0.0) -> None:
    await here.advance(seconds)
    await here.out.tick()


def told(ris: Receiver) -> list[Message]:
    return [Message(raw.decode()) for raw in ris.raw]


async def test_a_study_is_told_when_nothing_more_comes(tmp_path: Path) -> None:
    async with receiver() as ris:
        receivers = [to(ris.port, application="RIS^1.2^ISO")]
        async with office(tmp_path, receivers=receivers, notifications=[STUDY], facility="HERE") as here:
            await study(here)
            await tick(here, 9)
            assert await here.rows() == {}
            await study(here, instances=3)
            await tick(here, 9)
            assert await here.rows() == {}
            await tick(here, 2)
            await here.until(lambda: ris.raw)
            (message,) = told(ris)
            assert (message.kind, message.trigger) == ("ORU", "R01")
            assert message.header.value(3) == "PACSTUI"
            assert message.header.value(4) == "HERE"
            assert [message.header.value(5, each) for each in (1, 2, 3)] == ["RIS", "1.2", "ISO"]
            assert (message.value("PID", 3), message.value("PID", 3, 4)) == ("P1", "HOSP")
            assert message.first("PID").components(5) == ("Müller", "Erika")  # type: ignore[union-attr]
            assert message.value("OBR", 4, 2) == "CT CHEST & ABDOMEN"
            assert (message.value("OBR", 7), message.value("OBR", 18)) == ("20260102101112", "ACC1")
            assert message.value("OBR", 24) == "CT/SR"
            assert [each.value(5) for each in message.all("OBX")] == ["1.2.3", "2", "3"]
            assert message.first("ORC") is None
            (row,) = (await here.rows()).values()
            assert (row.what, row.patient_id, row.accession, row.source) == ("study received", "P1", "ACC1", 0)
            assert len(row.control) <= 20
            await study(here, instances=4)
            await tick(here, 20)
            assert len(await here.rows()) == 1


async def test_more_of_it_is_told_again_where_that_is_asked_for(tmp_path: Path) -> None:
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port)], notifications=[STUDY | {"again": True}]) as here:
            for instances in (2, 2, 5):
                await study(here, instances=instances)
                await tick(here, 20)
            await here.until(lambda: len(ris.raw) == 2)
            assert [list(each.all("OBX"))[2].value(5) for each in told(ris)] == ["2", "5"]


async def test_only_what_is_wanted_is_told_with_the_numbers_of_its_order(tmp_path: Path) -> None:
    wanted = STUDY | {"modality": ["CT"], "ordered_only": True}
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port)], notifications=[wanted]) as here:
            await study(here, "1.2.1", accession="")
            await study(here, "1.2.2", modalities="MR")
            await order(here)
            await study(here, "1.2.9", accession="", description="")
            await tick(here, 20)
            await here.until(lambda: ris.raw)
            (message,) = told(ris)
            assert [message.value("ORC", each) for each in (1, 2, 3)] == ["RE", "A|1", "F1"]
            assert message.value("OBR", 18) == "ACC1"
            assert [message.value("OBR", 4, each) for each in (1, 2, 3)] == ["CTCH", "CT chest", "L"]


async def test_an_order_is_told_when_its_state_changes(tmp_path: Path) -> None:
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port)], notifications=[ORDER]) as here:
            for state in ("scheduled", "in progress", "in progress", "completed", "arrived"):
                await order(here, state)
                here.bus.publish(StepChanged(here.clock.now(), (1,)) if state == "completed" else
                                 OrderChanged(here.clock.now(), (1,)))  # fmt: skip
                await tick(here, 1)
            await here.until(lambda: len(ris.raw) == 2)
            assert [each.value("ORC", 5) for each in told(ris)] == ["IP", "CM"]
            first = told(ris)[0]
            assert (first.kind, first.trigger, first.value("ORC", 1), first.value("ORC", 2)) == (
                "OMG",
                "O19",
                "SC",
                "A|1",
            )
            assert first.value("OBR", 24) == "CT"
            assert {row.what for row in (await here.rows()).values()} == {"order status, IP", "order status, CM"}


async def test_what_happened_just_before_the_node_ended_is_told_afterwards(tmp_path: Path) -> None:
    both = {"notifications": [STUDY, ORDER]}
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port)], **both) as here:
            await tick(here, 40)
            at = here.clock.now()
            await study(here)
            await order(here, "completed")
        async with office(tmp_path, receivers=[to(ris.port)], **both) as again:
            again.clock.advance((at - again.clock.now()).total_seconds())
            await tick(again, 20)
            await again.until(lambda: len(ris.raw) == 2)
            assert {each.kind for each in told(ris)} == {"ORU", "OMG"}
        async with office(tmp_path, receivers=[to(ris.port)], **both) as third:
            await tick(third, 60)
            assert len(await third.rows()) == 2


async def test_what_was_there_before_a_notification_is_not_told(tmp_path: Path) -> None:
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port)]) as here:
            await study(here)
            await tick(here, 60)
        async with office(tmp_path, receivers=[to(ris.port)], notifications=[STUDY]) as again:
            again.clock.advance(3600)
            await tick(again, 60)
            assert await again.rows() == {}


async def test_a_preview_says_it_and_sends_nothing(tmp_path: Path) -> None:
    bad = {"name": "bad", "on": "study received", "to": ["RIS"], "template": "nothing"}
    async with receiver() as ris:
        async with office(tmp_path, receivers=[to(ris.port)], notifications=[STUDY, ORDER, bad]) as here:
            assert any("is not in use" in each[2] for each in here.out.problems())
            await study(here)
            await order(here, "scheduled")
            (text,) = await here.out.preview("images are here")
            assert text.receiver == "RIS"
            assert "PID|1||P1^^^HOSP||Müller^Erika||19700101|F" in text.text.split("\n")
            (text,) = await here.out.preview("status", order=1)
            assert "|IP|" in text.text
            with pytest.raises(NotFound, match="no such study"):
                await here.out.preview("images are here", study="9.9")
            with pytest.raises(NotFound, match="no notification"):
                await here.out.preview("other")
            with pytest.raises(BadRequest, match="is no segment"):
                await here.out.preview("bad")
            assert await here.rows() == {}
