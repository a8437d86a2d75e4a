"""The directory, looked at step by step: connect, TLS, sign in, search, groups, role. Blocking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from pacstui.contract.accounts import DirectoryStep
from pacstui.directory.faults import Away
from pacstui.directory.link import Link
from pacstui.directory.people import People, password_state_of
from pacstui.directory.persons import groups_in_words, role_by
from pacstui.errors import PacsError
from pacstui.settings import DirectorySettings
from pacstui.text import plural, safe

_SOON_DAYS = 30


def steps(settings: DirectorySettings, name: str = "") -> Iterator[DirectoryStep]:
    """Yield what each step came to, for each server; with ``name`` what would become of that person. A server that
    does not answer is a failure only where no other one does."""
    if not settings.servers:
        yield DirectoryStep("directory", "ok", "none: accounts are local", "[directory] servers names one")
        return
    people = People(settings)
    found = [list(_server(people, url, name)) for url in settings.servers]
    well = any(all(step.level != "fail" for step in server) for server in found)
    for server in found:
        for step in server:
            spared = well and step.step == "connect" and step.level == "fail"
            yield replace(step, level="warn") if spared else step


def _server(people: People, url: str, name: str) -> Iterator[DirectoryStep]:
    where = safe(url, 100)
    try:
        link = Link(url, people.settings)
    except Away as fault:
        yield _fail("TLS", fault)
        return
    try:
        yield from _talk(people, link, where, name)
    except Away as fault:
        yield _fail("connect" if link.fresh else "search", fault)
    finally:
        link.close()


def _fail(step: str, fault: PacsError) -> DirectoryStep:
    return DirectoryStep(step, "fail", fault.message, fault.hint)


def _talk(people: People, link: Link, where: str, name: str) -> Iterator[DirectoryStep]:
    own = people.settings
    begun = time.perf_counter()
    link.connect()
    yield DirectoryStep("connect", "ok", f"{where} answers, in {(time.perf_counter() - begun) * 1000:.0f} ms", "")
    if link.secure:
        try:
            link.begin_tls()
        except Away as fault:
            yield _fail("TLS", fault)
            return
        version, ends = link.tls_words
        days = int((ends - time.time()) // 86400)
        text = f"{version}, its certificate is taken, good until {time.strftime('%Y-%m-%d', time.gmtime(ends))}"
        soon = days < _SOON_DAYS
        yield DirectoryStep(
            "TLS", "warn" if soon else "ok", f"{text}, {plural(days, 'day')}" if soon else text, "have it renewed"
        )
    else:
        yield DirectoryStep("TLS", "warn", "none: passwords can be read on the way", "ldaps://, or start_tls = true")
    if own.user_dn and not own.bind_dn:
        yield DirectoryStep(
            "sign in", "ok", "not tried: people sign in themselves, by user_dn",
            "without bind_dn nobody is looked up, and open sessions are not looked at again",
        )  # fmt: skip
        return
    try:
        people.sign_in(link)
    except Away as fault:
        yield _fail("sign in", fault)
        return
    yield DirectoryStep("sign in", "ok", safe(own.bind_dn, 160) or "as nobody: anybody may search", "")
    if not name:
        people.entries(link, "nobody-has-this-name")
        yield DirectoryStep("search", "ok", f"below {safe(own.base or own.user_dn, 160)}", "")
        return
    yield from _person(people, link, name)


def _person(people: People, link: Link, name: str) -> Iterator[DirectoryStep]:
    own = people.settings
    found = people.entries(link, name)
    if len(found) != 1:
        told = plural(len(found), "entry", "entries") if found else "no entry"
        yield DirectoryStep("search", "fail", f"{told} for {safe(name, 64)}", "correct [directory] filter, or the name")
        return
    person = people.person(link, name, found[0])
    yield DirectoryStep("search", "ok", f"{safe(person.dn, 200)}, {person.full_name or 'no name'}", "")
    if not person.id:
        yield DirectoryStep("entry", "warn", "the directory shows no entryUUID or objectGUID", "let bind_dn read it")
    if person.state:
        yield DirectoryStep("entry", "fail", f"{safe(name, 64)} {person.state}", "enable it there")
    elif password_state_of(found[0]):
        yield DirectoryStep("password", "fail", f"{safe(name, 64)} {password_state_of(found[0])}", "it is mended there")
    hint = "" if person.groups else f"[directory] groups is {own.groups}: is that how groups are told there?"
    yield DirectoryStep("groups", "ok" if person.groups else "warn", groups_in_words(person.groups), hint)
    role, group = role_by(own, person.groups)
    if role:
        yield DirectoryStep("role", "ok", f"{safe(role, 64)}, by {safe(group, 160)}", "")
    else:
        yield DirectoryStep("role", "fail", "none of these groups gives a role here", "add one to [[directory.roles]]")
