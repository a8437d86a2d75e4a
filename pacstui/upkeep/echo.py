"""The job ``echo-sweep``: asks all peers whether they answer."""

from __future__ import annotations

import asyncio

from pacstui.contract.peers import EchoResult
from pacstui.equipment.room import PeersRoom
from pacstui.errors import PacsError
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run
from pacstui.jobs.values import listed
from pacstui.jobs.waiting import until_done
from pacstui.text import plural, safe

_AT_ONCE = 4
_NAMED = 8


def echo_kind(peers: PeersRoom) -> Kind:
    """Return the kind of job that echoes peers."""

    async def work(run: Run) -> Outcome:
        asked = listed(run.parameters["peers"])
        names = asked or [peer.name for peer in await peers.list() if peer.probe]
        gate = asyncio.Semaphore(_AT_ONCE)
        found: dict[str, EchoResult] = {}
        unknown: dict[str, str] = {}
        run.tell(total=len(names), done=0, unit="peers")

        async def ask(name: str) -> None:
            async with gate:
                if run.stopping:
                    return
                run.tell(now=safe(name, 64))
                try:
                    found[name] = await peers.echo(name, quiet=True)
                except PacsError as fault:
                    unknown[name] = fault.message
                silent = sum(not each.ok for each in found.values()) + len(unknown)
                run.tell(done=len(found) + len(unknown), errors=silent)

        async def all_of_them() -> None:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(ask(name))

        await until_done(run, all_of_them())
        run.check()
        silent = dict(unknown)
        for name in names:
            if name in found and not found[name].ok:
                step = next(each for each in found[name].steps if not each.ok)
                silent[name] = f"{step.name}: {step.detail}"
        for name, why in silent.items():
            run.note(f"{name} does not answer: {why}", "warn")
        if not names:
            return Outcome("there are no peers to ask")
        if not silent:
            return Outcome(f"{plural(len(names), 'peer')} answered")
        told = ", ".join(f"{safe(name, 64)} ({safe(why, 120)})" for name, why in list(silent.items())[:_NAMED])
        more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
        return Outcome(
            f"{len(names) - len(silent)} of {plural(len(names), 'peer')} answered; silent: {told}{more}", True,
            "the screen Peers has each step of an echo: e",
        )  # fmt: skip

    named = Parameter("peers", "Names of peers with commas between; empty: all")
    text = "Asks each peer by C-ECHO whether it answers, and names those that do not."
    return Kind("echo-sweep", "echo peers", text, work, (named,), quiet=True)
