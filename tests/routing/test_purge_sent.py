"""Studies that a rule lets go only when they were sent on."""

from __future__ import annotations

from pathlib import Path

from pacstui.clock import microseconds
from pacstui.settings import RuleSettings, SpaceSettings
from pacstui.space.purge import Purge
from tests.archive.objects import Object
from tests.routing.house import House, house, peer, receivers, to
from tests.space.conftest import OneRun, Safe

RULES = SpaceSettings(
    rules=(RuleSettings(name="old", days=30, only_if_backed_up=False, only_if_sent_to=("ONE",)),), keep_hours=0
)


async def purge(here: House) -> tuple[str, list[str]]:
    run = OneRun()
    told = await Purge(
        here.archive, Safe(), RULES, here.clock, lambda *what: None, run, sent=here.queue.not_sent
    ).work()  # fmt: skip
    return told.text, run.notes


async def test_only_what_all_of_it_was_taken_there_goes(tmp_path: Path) -> None:
    sent, late = Object(patient="P1"), Object(patient="P2")
    async with (
        receivers(1) as (one,),
        house(tmp_path, to("ONE", modality=("OT",)), peers=[peer("ONE", one.port)]) as here,
    ):
        await here.store(sent, late)
        await here.settled()
        await here.store(late.beside(modality="SR", series="2.25.77"))  # no route is for it
        here.clock.advance(40 * 86400)
        text, notes = await purge(here)
        assert "1 study purged" in text
        assert "1 kept because they were not sent everywhere" in text
        assert notes == [f"{late.study} stays: 1 object of it were not sent to ONE"]
        left = await here.archive.index.instances(late.study)
        assert len(left) == 2


async def test_a_warning_or_a_changed_copy_is_no_reason_to_let_the_original_go(tmp_path: Path) -> None:
    thing = Object()
    async with receivers(1) as (one,), house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)]) as here:
        one.store.status = 0x0111  # it has an object of that UID, nobody knows which
        await here.store(thing)
        assert set((await here.settled()).values()) == {"warning"}
        assert "were not sent to ONE" in await here.queue.not_sent(thing.study, ("ONE",))
        one.store.status = 0
        await here.queue.send(thing.study, "ONE")

        async def taken() -> bool:
            return await here.queue.not_sent(thing.study, ("ONE",)) == ""

        await here.until(taken)
        await here.archive.db.write(lambda c: c.execute("UPDATE sendings SET transform='research'"))
        assert "were not sent to ONE" in await here.queue.not_sent(thing.study, ("ONE",))


async def test_what_was_sent_is_remembered_for_as_long_as_a_rule_asks(tmp_path: Path) -> None:
    thing = Object()
    async with receivers(1) as (one,), house(tmp_path, to("ONE"), peers=[peer("ONE", one.port)]) as here:
        await here.store(thing)
        await here.settled()
        here.clock.advance(400 * 86400)
        before = microseconds(here.clock.now())
        outbox = here.queue._outbox
        assert await outbox.prune(before, ("ONE",)) == 0
        assert await here.queue.not_sent(thing.study, ("ONE",)) == ""
        assert await outbox.prune(before, ("TWO",)) == 1
        assert "were not sent to ONE" in await here.queue.not_sent(thing.study, ("ONE",))
