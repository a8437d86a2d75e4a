"""The directory as the node asks it: in threads, a few at a time, never on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from pacstui.contract.accounts import DirectoryStep
from pacstui.directory.faults import Away, Wrong
from pacstui.directory.persons import Person
from pacstui.errors import Unavailable
from pacstui.settings import DirectorySettings

if TYPE_CHECKING:
    from pacstui.directory.people import People

T = TypeVar("T")
_AT_ONCE = 4
_WAITING = 32
_PATIENCE_S = 25.0  # less than a command waits for the node


class Directory:
    """Who people are and whether their passwords are right. ``fault`` is why it could not say so last."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self._people: People | None = None
        self.fault: Away | None = None
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="directory")
        self._waiting = 0

    @property
    def on(self) -> bool:
        """Whether there is a directory at all."""
        return bool(self.settings.servers)

    @property
    def looks(self) -> bool:
        """Whether people can be looked up without their password."""
        return self.on and bool(self.settings.bind_dn or not self.settings.user_dn)

    def replace(self, settings: DirectorySettings) -> None:
        """Take other settings from now on."""
        if settings != self.settings:
            self.settings, self._people, self.fault = settings, None, None

    def _asked(self) -> People:
        """Return who asks. LDAP is imported where it is used: a node without directory does without."""
        from pacstui.directory.people import People

        if self._people is None or self._people.settings is not self.settings:
            self._people = People(self.settings)
        return self._people

    async def verify(
        self, name: str, password: str, may_try: Callable[[str], None], ended: Callable[[bool], None]
    ) -> Person:
        """Return who this is; see `People.verify`. ``ended`` is told in the thread, when nothing is tried any more,
        whether the password was wrong."""

        def work() -> Person:
            wrong = False
            try:
                return self._asked().verify(name, password, may_try)
            except Wrong as fault:
                wrong = not fault.told
                raise
            finally:
                ended(wrong)

        return await self._run(work)

    async def probe(self, name: str) -> None:
        """See whether the directory can be asked; see `People.probe`."""
        await self._run(lambda: self._asked().probe(name))

    async def look(self, names: Iterable[str]) -> dict[str, Person | None]:
        """Return who people are now; see `People.look`."""
        wanted = tuple(names)
        return await self._run(lambda: self._asked().look(wanted), _PATIENCE_S * 10)

    async def steps(self, name: str) -> tuple[DirectoryStep, ...]:
        """Look at it step by step."""

        def work() -> tuple[DirectoryStep, ...]:
            from pacstui.directory.steps import steps

            return tuple(steps(self.settings, name))

        return await self._run(work)

    async def _run(self, work: Callable[[], T], patience: float = _PATIENCE_S) -> T:
        if self._waiting >= _WAITING:
            raise Unavailable("too many sign-ins at once", "wait some seconds, then try again")
        self._waiting += 1
        try:
            asked = asyncio.get_running_loop().run_in_executor(self._pool, work)
            answer = await asyncio.wait_for(asked, patience)
        except TimeoutError:
            self.fault = Away("the directory does not come to an end with its answers", "is it overloaded?")
            raise self.fault from None
        except Away as fault:
            self.fault = fault
            raise
        finally:
            self._waiting -= 1
        self.fault = None
        return answer

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what is wrong now, for ``monitor.problems``."""
        if self.fault is not None and self.on:
            yield ("directory", "warn", f"{self.fault.message}; local accounts still work", self.fault.hint, "accounts")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
