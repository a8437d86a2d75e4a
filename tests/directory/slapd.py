"""A real LDAP server on a free port of this machine: Debian's slapd, with its files in a temporary folder."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pacstui.settings import DirectoryRoleSettings, DirectorySettings
from tests.services.certificates import Authority, Pair

SLAPD = next((p for p in ("/usr/sbin/slapd", shutil.which("slapd") or "") if p and Path(p).exists()), "")
needed = pytest.mark.skipif(
    not SLAPD or not all(map(shutil.which, ("openssl", "ldapadd", "ldapmodify"))),
    reason="slapd, ldap-utils or openssl is not installed",
)
BASE = "dc=example,dc=org"
PEOPLE, GROUPS = f"ou=people,{BASE}", f"ou=groups,{BASE}"
MANAGER, MANAGER_PASSWORD = f"cn=manager,{BASE}", "manager's secret"
SEARCHER, SEARCHER_PASSWORD = f"cn=searcher,{BASE}", "searcher's secret"
ADMINS, READERS = f"cn=pacs-admins,{GROUPS}", f"cn=Readers\\2C Radiology,{GROUPS}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ldif(dn: str, **attributes: Any) -> str:
    """Return an entry as LDIF; everything in base64, so that nothing has to be escaped."""

    def line(name: str, value: str) -> str:
        return f"{name}:: {base64.b64encode(value.encode()).decode()}"

    lines = [line("dn", dn)]
    for name, value in attributes.items():
        lines += [line(name, each) for each in ([value] if isinstance(value, str) else value)]
    return "\n".join(lines) + "\n"


def person(uid: str, password: str, name: str = "", **more: Any) -> str:
    name = name or uid.capitalize()
    return ldif(f"uid={uid},{PEOPLE}", objectClass=["inetOrgPerson"], uid=uid, cn=name, sn=name,
                mail=f"{uid}@example.org", userPassword=password, **more)  # fmt: skip


def group(dn: str, *members: str) -> str:
    return ldif(dn, objectClass=["groupOfNames"], member=[f"uid={m},{PEOPLE}" if "=" not in m else m for m in members])


CONTENT = "\n".join((
    ldif(BASE, objectClass=["dcObject", "organization"], dc="example", o="Example"),
    ldif(PEOPLE, objectClass="organizationalUnit", ou="people"),
    ldif(GROUPS, objectClass="organizationalUnit", ou="groups"),
    ldif(SEARCHER, objectClass=["organizationalRole", "simpleSecurityObject"], cn="searcher",
         userPassword=SEARCHER_PASSWORD),
    person("dora", "dora's password", "Dora Directory"),
    person("rita", "rita's password", "Rita Reader"),
    person("nora", "nora's password", "Nora Nobody"),
    person("otto.o", "otto's password", "Otto O. (night) * \\ #"),
    group(ADMINS, "dora"),
    group(READERS, "rita", "otto.o"),
    group(f"cn=choir,{GROUPS}", "nora", "rita"),
))  # fmt: skip

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient never
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{searcher}" read by self read by anonymous auth by * none
database mdb
maxsize 10485760
suffix "{base}"
rootdn "{manager}"
rootpw "{password}"
directory {folder}/data
overlay memberof
"""


def _confined() -> bool:
    try:
        return Path("/sys/module/apparmor/parameters/enabled").read_text().strip() == "Y"
    except OSError:
        return False


@dataclass
class Slapd:
    """A running server. ``asked`` are the binds and searches that it was asked for, as far as the log was read."""

    folder: Path
    port: int
    secure_port: int
    authority: Authority
    process: subprocess.Popen[bytes] | None = None
    password_file: Path = field(default_factory=Path)

    @property
    def plain(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def secure(self) -> str:
        return f"ldaps://127.0.0.1:{self.secure_port}"

    def settings(self, **more: Any) -> DirectorySettings:
        """Return settings that work, with changes."""
        given: dict[str, Any] = {
            "servers": (self.plain,), "base": PEOPLE, "bind_dn": SEARCHER, "password_file": str(self.password_file),
            "timeout_s": 3.0, "group_base": GROUPS,
            "roles": (
                DirectoryRoleSettings(group=ADMINS.upper(), role="administrator"),
                DirectoryRoleSettings(group=READERS, role="radiologist"),
            ),
        }  # fmt: skip
        return DirectorySettings(**(given | more))

    def change(self, text: str, *how: str) -> None:
        """Change the content, by LDIF of changes; with ``-M`` referrals themselves."""
        subprocess.run(
            ["ldapmodify", "-x", "-H", self.plain, "-D", MANAGER, "-w", MANAGER_PASSWORD, *how], input=text.encode(),
            check=True, capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        program = SLAPD
        if _confined():  # Debian's profile for this path would keep it out of temporary folders
            program = shutil.copy(SLAPD, self.folder / "slapd")
        log = (self.folder / "slapd.log").open("ab")
        self.process = subprocess.Popen(
            [program, "-d", "stats", "-f", str(self.folder / "slapd.conf"), "-h", f"{self.plain}/ {self.secure}/"],
            stdout=log, stderr=log,
        )  # fmt: skip
        until = time.monotonic() + 20
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.secure_port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError((self.folder / "slapd.log").read_text()[-2000:])

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def log(self) -> str:
        """Return what was asked so far."""
        return (self.folder / "slapd.log").read_text(errors="replace")


@contextmanager
def running(folder: Path) -> Iterator[Slapd]:
    folder.mkdir(exist_ok=True)
    (folder / "data").mkdir()
    authority = Authority(folder / "tls")
    pair: Pair = authority.sign("server")
    secret = folder / "searcher.password"
    secret.write_text(SEARCHER_PASSWORD + "\n")
    made = Slapd(folder, free_port(), free_port(), authority, password_file=secret)
    (folder / "slapd.conf").write_text(CONFIG.format(
        folder=folder, ca=authority.pair.certificate, certificate=pair.certificate, key=pair.key, searcher=SEARCHER,
        base=BASE, manager=MANAGER, password=MANAGER_PASSWORD,
    ))  # fmt: skip
    made.start()
    try:
        subprocess.run(
            ["ldapadd", "-x", "-H", made.plain, "-D", MANAGER, "-w", MANAGER_PASSWORD], input=CONTENT.encode(),
            check=True, capture_output=True,
        )  # fmt: skip
        yield made
    finally:
        made.stop()
