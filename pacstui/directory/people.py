"""People in the directory: found by name, proved by password, with their groups. Blocking, for threads only."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pacstui.directory.faults import Away, Wrong
from pacstui.directory.link import Entry, Link
from pacstui.directory.names import filled, octets_value, same_dn, user_of
from pacstui.directory.persons import Person
from pacstui.settings import DirectorySettings
from pacstui.text import safe

_IDS = ("entryUUID", "objectGUID", "nsUniqueId", "ipaUniqueID")
_STATE = (
    "userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime", "pwdLastSet",
    "msDS-User-Account-Control-Computed",
)  # fmt: skip
_PRIMARY = ("primaryGroupID", "objectSid")
_DISABLED = 2  # ADS_UF_ACCOUNTDISABLE
_LOCKED, _PASSWORD_EXPIRED = 0x10, 0x800000  # ADS_UF_LOCKOUT, ADS_UF_PASSWORD_EXPIRED
_NEVER = 0x7FFFFFFFFFFFFFFF
_SINCE_1601_S = 11_644_473_600
_IN_CHAIN = "1.2.840.113556.1.4.1941"  # LDAP_MATCHING_RULE_IN_CHAIN
_DEEPEST = 10
_MOST_GROUPS = 2000


def _unix(file_time: str) -> float:
    """Return seconds since 1970 of a time in units of 100 ns since 1601."""
    return int(file_time) / 1e7 - _SINCE_1601_S


def state_of(entry: Entry, now: datetime) -> str:
    """Return why an entry's owner may not sign in, as far as the entry says so."""
    control = entry.text("userAccountControl")
    if control.lstrip("-").isdigit() and int(control) & _DISABLED:
        return "is disabled in the directory"
    if entry.text("nsAccountLock").casefold() == "true":
        return "is disabled in the directory"
    if entry.text("pwdAccountLockedTime") == "000001010000Z":  # locked by an administrator, for good
        return "is locked in the directory"
    expires = entry.text("accountExpires")
    if expires.isdigit() and int(expires) not in (0, _NEVER) and _unix(expires) <= now.timestamp():
        return "has expired in the directory"
    return ""


def password_state_of(entry: Entry) -> str:
    """Return why Active Directory would take no password now. Who is signed in already stays so: else whoever types
    wrong passwords could end the sessions of others."""
    computed = entry.text("msDS-User-Account-Control-Computed")
    bits = int(computed) if computed.lstrip("-").isdigit() else 0
    if bits & _LOCKED:
        return "is locked in the directory after wrong passwords"
    if entry.text("pwdLastSet") == "0":
        return "has to change the password in the directory first"
    return "has a password that has expired in the directory" if bits & _PASSWORD_EXPIRED else ""


def primary_group(entry: Entry) -> bytes:
    """Return the security identifier of an entry's primary group, which ``memberOf`` leaves out; empty without one.

    It is the entry's own with another last number, which is its relative identifier of 32 bits, little-endian
    (MS-DTYP 2.4.2.2).
    """
    number, own = entry.text("primaryGroupID"), next(iter(entry.raw.get("objectsid", ())), b"")
    if not number.isdecimal() or int(number) >= 1 << 32 or len(own) < 12 or len(own) != 8 + 4 * own[1]:
        return b""
    return own[:-4] + int(number).to_bytes(4, "little")


def id_of(entry: Entry) -> str:
    """Return what stays with an entry when it is renamed or moved, empty if the directory shows nothing such."""
    for name in _IDS:
        octets = next(iter(entry.raw.get(name.casefold(), ())), b"")
        if octets:
            text = octets.hex() if name == "objectGUID" else octets.decode("utf-8", "replace")
            return f"{name}={safe(text, 80)}"
    return ""


class People:
    """Asks the servers of the settings in turn, the one that answered last first."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self._best = 0

    # connections

    def _in_turn(self) -> list[tuple[int, str]]:
        urls = list(enumerate(self.settings.servers))
        return urls[self._best :] + urls[: self._best]

    @contextmanager
    def _link(self) -> Iterator[Link]:
        """Yield a connection to the first server that takes one."""
        faults: list[Away] = []
        for number, url in self._in_turn():
            link = Link(url, self.settings)
            try:
                link.__enter__()
            except Away as fault:
                faults.append(fault)
                continue
            self._best = number
            try:
                yield link
            finally:
                link.close()
            return
        raise together(faults)

    def password(self) -> str:
        """Return the password of ``bind_dn``."""
        if not self.settings.password_file:
            return self.settings.bind_password.get_secret_value()
        try:
            return Path(self.settings.password_file).read_text("utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise Away(
                f"the directory cannot be asked: [directory] password_file {self.settings.password_file}: {why}",
                "the node's user has to be able to read it",
            ) from None

    def sign_in(self, link: Link) -> None:
        """Sign in as the one who searches."""
        if not self.settings.bind_dn:
            link.bind_nobody()
            return
        try:
            link.bind(self.settings.bind_dn, self.password())
        except Wrong as fault:
            raise Away(
                f"the directory at {safe(link.host, 80)} does not let the node search: {fault.message}",
                "is [directory] bind_dn right, and its password?",
            ) from None

    # entries

    @property
    def _attributes(self) -> list[str]:
        own = self.settings
        return [own.full_name, own.email, own.group_attribute, *_IDS, *_STATE, *_PRIMARY]

    def entries(self, link: Link, name: str) -> list[Entry]:
        """Return the entries that a name finds: one, if all is well."""
        own = self.settings
        try:
            if own.user_dn and "=" in own.user_dn:
                return link.search(user_of(own.user_dn, name), "(objectClass=*)", self._attributes, itself=True)
            return link.search(own.base, filled(own.filter, name), self._attributes, most=3)
        except LookupError:
            if own.user_dn and "=" in own.user_dn:
                return []
            raise Away(
                f"the directory at {safe(link.host, 80)} has no {safe(own.base, 120)}", "correct [directory] base"
            ) from None

    def groups(self, link: Link, name: str, entry: Entry) -> tuple[str, ...]:
        """Return the DNs of the groups that somebody is in."""
        own = self.settings
        found: dict[object, str] = {}
        if own.groups == "attribute":
            found = {same_dn(group): group for group in entry.texts.get(own.group_attribute.casefold(), ())}
        else:
            found = {same_dn(group): group for group in self._holding(link, name, entry.dn, own.group_filter)}
        primary = self._primary(link, entry)
        found |= {same_dn(group): group for group in primary}
        if own.nested_groups == "in-chain":
            chain = f"(member:{_IN_CHAIN}:={{dn}})"
            for dn in (entry.dn, *primary):
                found |= {same_dn(group): group for group in self._holding(link, name, dn, chain)}
        fresh = list(found.values())
        for _ in range(_DEEPEST if own.nested_groups == "search" else 0):
            above = [dn for group in fresh for dn in self._holding(link, name, group, "(member={dn})")]
            fresh = [dn for dn in above if same_dn(dn) not in found]
            found |= {same_dn(dn): dn for dn in fresh}
            if not fresh or len(found) > _MOST_GROUPS:
                break
        return tuple(found.values())

    def _primary(self, link: Link, entry: Entry) -> list[str]:
        identifier = primary_group(entry)
        return self._holding(link, "", "", f"(objectSid={octets_value(identifier)})") if identifier else []

    def _holding(self, link: Link, name: str, dn: str, text: str) -> list[str]:
        base = self.settings.group_base or self.settings.base
        try:
            return [each.dn for each in link.search(base, filled(text, name, dn), ["1.1"])]
        except LookupError:
            raise Away(
                f"the directory at {safe(link.host, 80)} has no {safe(base, 120)}", "correct [directory] group_base"
            ) from None

    def person(self, link: Link, name: str, entry: Entry) -> Person:
        """Return who an entry is."""
        own = self.settings
        return Person(
            name, entry.dn, id_of(entry), safe(entry.text(own.full_name), 128), safe(entry.text(own.email), 254),
            self.groups(link, name, entry), state_of(entry, datetime.now(UTC)),
        )  # fmt: skip

    # questions

    def verify(self, name: str, password: str, may_try: Callable[[str], None]) -> Person:
        """Return who signs in with this name and password.

        Parameters
        ----------
        may_try
            Is told the DN (or whom else) before the password is tried; what it raises ends the attempt.

        Raises
        ------
        Wrong
            When they are not right.
        Away
            When the directory cannot say.
        """
        if not password:
            raise Wrong("without a password nothing is asked")
        if self.settings.user_dn:
            return self._verify_directly(name, password, may_try)
        with self._link() as link:
            self.sign_in(link)
            found = self.entries(link, name)
            if len(found) != 1 or not found[0].dn:
                self._as_long(link)
                raise Wrong("several entries of the directory have this name" if found else "not in the directory")
            may_try(found[0].dn)
            self._prove(link.url, found[0].dn, password)
            return self.person(link, name, found[0])

    def _prove(self, url: str, dn: str, password: str) -> None:
        with Link(url, self.settings) as own:
            own.bind(dn, password)

    def _as_long(self, link: Link) -> None:
        """Take as long as for a name that there is."""
        with Link(link.url, self.settings) as own:
            try:
                own.bind(f"cn=nobody-{secrets.token_hex(4)},{self.settings.base}", secrets.token_hex(8))
            except Wrong:
                pass

    def _verify_directly(self, name: str, password: str, may_try: Callable[[str], None]) -> Person:
        user = user_of(self.settings.user_dn, name)
        with self._link() as link:
            may_try(user)
            link.bind(user, password)
            if self.settings.bind_dn:
                self.sign_in(link)
            found = self.entries(link, name)
            if len(found) != 1:
                raise Wrong(
                    "the entry cannot be read", "the password is right, but the directory does not show your entry"
                )
            return self.person(link, name, found[0])

    def look(self, names: Iterable[str]) -> dict[str, Person | None]:
        """Return by name who people are now, none for somebody who is gone.

        Raises
        ------
        Away
            When the directory cannot say.
        """
        with self._link() as link:
            self.sign_in(link)
            told: dict[str, Person | None] = {}
            for name in names:
                found = self.entries(link, name)
                told[name] = self.person(link, name, found[0]) if len(found) == 1 else None
            return told

    def probe(self, name: str) -> None:
        """Go the way of `verify` up to the password, so that who is not there cannot be told from who is.

        Raises
        ------
        Away
            When the directory cannot be asked.
        """
        with self._link() as link:
            if self.settings.user_dn:
                return
            self.sign_in(link)
            self.entries(link, name)
            self._as_long(link)


def together(faults: list[Away]) -> Away:
    """Return one fault for those of all servers."""
    if len(faults) == 1:
        return faults[0]
    told = "; ".join(fault.message.removeprefix("the directory at ") for fault in faults)
    return Away(f"no server of the directory can be asked: {told}", faults[0].hint if faults else "")
