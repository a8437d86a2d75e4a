"""What people do with what waits or failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pacstui.contract.queue import Changed, SendingRow
from pacstui.errors import BadRequest, NotFound
from tests.archive.objects import Object
from tests.dicom.serving import Served
from tests.routing.house import House, house, peer, receivers, to
from tests.running import free_port


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[House, Served]]:
    """A destination that is paused, DEAD, and one that takes everything, ONE; nine objects of three studies wait."""
    async with receivers(1) as (one,):
        peers = [peer("DEAD", free_port()), peer("ONE", one.port)]
        async with house(tmp_path, to("DEAD"), peers=peers) as here:
            await here.queue.pause("DEAD", "they move house")
            for patient in ("P1", "P2", "P3"):
                first = Object(patient=patient)
                await here.store(first, first.beside(), first.beside())
            yield here, one


async def rows(here: House, **how: str) -> tuple[SendingRow, ...]:
    return (await here.queue.sendings(**how)).rows  # type: ignore[arg-type]


async def test_a_paused_destination_says_who_paused_it_and_why(two: tuple[House, Served]) -> None:
    here, _ = two
    await here.queue.refresh()
    (row,) = here.queue.outgoing()
    assert (row.status, row.state, row.waiting) == ("paused", "paused by admin: they move house", 9)


async def test_hold_and_release(two: tuple[House, Served]) -> None:
    here, _ = two
    newest = (await rows(here))[0]
    assert await here.queue.hold(ids=(newest.id,)) == Changed(1, 3)
    assert [row.state for row in await rows(here)] == ["held", "waiting", "waiting"]
    assert [row.id for row in await rows(here, state="held")] == [newest.id]
    assert await here.queue.hold(destination="DEAD") == Changed(2, 6)
    assert await here.queue.release(destination="DEAD") == Changed(3, 9)


async def test_cancel_stays_in_the_list(two: tuple[House, Served]) -> None:
    here, _ = two
    newest = (await rows(here))[0]
    assert await here.queue.cancel(ids=(newest.id,)) == Changed(1, 3)
    view = await here.queue.sending(newest.id)
    assert (view.row.state, view.row.waiting, view.row.bytes_waiting, view.row.cancelled) == ("cancelled", 0, 0, 3)
    assert {each.hint for each in view.objects} == {"cancelled by admin"}
    assert here.queue.part().pending == 6


async def test_redirect_sends_it_elsewhere_and_says_so(two: tuple[House, Served]) -> None:
    here, one = two
    assert await here.queue.redirect("ONE", destination="DEAD") == Changed(3, 9)
    await here.settled("ONE")
    assert len(one.store.objects) == 9
    old = await here.queue.sending((await rows(here, destination="DEAD"))[0].id)
    assert {each.hint for each in old.objects} == {"sent to ONE instead, by admin"}
    assert {row.asked_by for row in await rows(here, destination="ONE")} == {"admin"}


async def test_what_is_more_urgent_goes_first(two: tuple[House, Served]) -> None:
    here, one = two
    await here.queue.pause("ONE")
    await here.queue.redirect("ONE", destination="DEAD")
    newest, *_ = await rows(here, destination="ONE")
    assert await here.queue.priority("high", ids=(newest.id,)) == Changed(1, 3)
    assert [row.priority for row in await rows(here, destination="ONE")] == ["high", "medium", "medium"]
    await here.queue.resume("ONE")
    await here.settled("ONE")
    first = {each.sop_instance for each in (await here.queue.sending(newest.id)).objects}
    assert set(list(one.store.objects)[:3]) == first
    with pytest.raises(BadRequest, match="no priority"):
        await here.queue.priority("urgent", ids=(newest.id,))


async def test_send_on_demand(two: tuple[House, Served]) -> None:
    here, one = two
    study = (await rows(here))[0].study
    row = await here.queue.send(study, "ONE", priority="high")
    assert (row.asked_by, row.route, row.destination) == ("admin", "", "ONE")
    await here.settled("ONE")
    assert len(one.store.objects) == 3
    (sop, *_) = one.store.objects
    await here.queue.send(study, "ONE", instance=sop)
    assert [(r.sent + r.waiting) for r in await rows(here, destination="ONE")] == [1, 3]
    with pytest.raises(NotFound, match="no such study"):
        await here.queue.send("1.2.3", "ONE")
    with pytest.raises(NotFound, match="there is no destination NOWHERE"):
        await here.queue.send(study, "NOWHERE")
    with pytest.raises(NotFound, match="no transformation"):
        await here.queue.send(study, "ONE", transform="nonsense")


async def test_pages_go_from_new_to_old(two: tuple[House, Served]) -> None:
    here, _ = two
    page = await here.queue.sendings(limit=2)
    assert (len(page.rows), page.more) == (2, True)
    rest = await here.queue.sendings(limit=2, before=page.rows[-1].id)
    assert (len(rest.rows), rest.more) == (1, False)
    assert [row.patient_id for row in (*page.rows, *rest.rows)] == ["P3", "P2", "P1"]
    assert [row.patient_id for row in await rows(here, search="p2")] == ["P2"]


async def test_a_destination_that_is_gone_keeps_what_waits_and_says_so(two: tuple[House, Served]) -> None:
    here, one = two
    here.settings = here.settings.model_copy(update={"destinations": ()})
    here.book.replace([peer("ONE", one.port)])
    await here.onward.renew()
    await here.queue.refresh(whole=True)
    row = next(row for row in here.queue.outgoing() if row.destination == "DEAD")
    assert (row.status, row.waiting) == ("unknown", 9)
    problems = {problem[0]: problem for problem in here.onward.problems()}
    assert problems["queue DEAD unknown"][1] == "fail"
    assert "the route all sends nothing: there is no destination DEAD" in problems["route all"][2]
    assert (await here.queue.redirect("ONE", destination="DEAD")).objects == 9
    await here.settled("ONE")
    assert len(one.store.objects) == 9
