"""A real Active Directory for tests: Debian's Samba as a domain controller that serves LDAP only.

Its ports cannot be chosen (389 and 636), so that it has a loopback address of its own, and takes root.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
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
from tests.services.certificates import Authority

SAMBA = "/usr/sbin/samba"
needed = pytest.mark.skipif(
    not Path(SAMBA).exists() or not Path("/usr/share/samba/setup/ad-schema").exists() or os.geteuid() != 0
    or not any(Path("/usr/lib").glob("*/samba/ldb/samba_dsdb.so"))
    or not all(map(shutil.which, ("samba-tool", "openssl", "ldapmodify"))),
    reason="samba-ad-dc with its provision and dsdb modules, ldap-utils or openssl is missing, or this is not root",
)  # fmt: skip
BASE = "DC=example,DC=test"
STAFF, GROUPS = f"OU=Staff,{BASE}", f"OU=Groups,{BASE}"
ADMINS, READERS = f"CN=PACS Admins,{GROUPS}", f"CN=Readers\\, Radiology,{GROUPS}"
EVERYBODY = f"CN=Domain Users,CN=Users,{BASE}"
PASSWORD = "Correct-Horse-7"
NODE_PASSWORD = "Search-Only-88"
_ADMINISTRATOR = "Admin-Pass-2026"
_DISABLED, _NORMAL = "514", "512"


def ldif(dn: str, change: str = "add", **attributes: Any) -> str:
    """Return a change as LDIF, with everything in base64."""

    def line(name: str, value: str | bytes) -> str:
        octets = value if isinstance(value, bytes) else value.encode()
        return f"{name}:: {base64.b64encode(octets).decode()}"

    lines = [line("dn", dn), f"changetype: {change}"]
    for name, value in attributes.items():
        if change == "modify":
            lines.append(f"replace: {name}")
        lines += [line(name, each) for each in (value if isinstance(value, list) else [value])]
        lines += ["-"] if change == "modify" else []
    return "\n".join(lines) + "\n"


def said(password: str) -> bytes:
    """Return a password as Active Directory takes it."""
    return f'"{password}"'.encode("utf-16-le")


def dn_of(name: str) -> str:
    return f"CN={name},{STAFF}"


def person(name: str, full_name: str, password: str = PASSWORD, control: str = _NORMAL, **more: Any) -> str:
    return ldif(
        dn_of(name), objectClass="user", sAMAccountName=name, userPrincipalName=f"{name}@example.test",
        displayName=full_name, mail=f"{name}@clinic.example", unicodePwd=said(password), userAccountControl=control,
    ) + "".join(f"{key}: {value}\n" for key, value in more.items())  # fmt: skip


def group(dn: str, *members: str) -> str:
    return ldif(dn, objectClass="group", **({"member": list(members)} if members else {}))


CONTENT = "\n".join((
    ldif(STAFF, objectClass="organizationalUnit"),
    ldif(GROUPS, objectClass="organizationalUnit"),
    person("pacs", "The node", NODE_PASSWORD),
    person("dora", "Dora Directory"),
    person("rita", "Rita Reader", "Größe-des-Herzens-€7"),
    person("nora", "Nora Nobody"),
    person("dan", "Dan Disabled", control=_DISABLED),
    person("erna", "Erna Expired", accountExpires="130000000000000000"),
    person("maja", "Maja Must-Change", pwdLastSet="0"),
    person("lola", "Lola Locked"),
    group(f"CN=Night Shift,{GROUPS}", dn_of("dora")),
    group(f"CN=IT,{GROUPS}", f"CN=Night Shift,{GROUPS}"),
    group(ADMINS, f"CN=IT,{GROUPS}"),
    group(READERS, *map(dn_of, ("rita", "dan", "erna", "maja", "lola"))),
))  # fmt: skip

CONFIG = """
[global]
netbios name = DC1
realm = EXAMPLE.TEST
workgroup = EXAMPLE
server role = active directory domain controller
server services = ldap
dcerpc endpoint servers =
interfaces = {address}/8
bind interfaces only = yes
private dir = {folder}/private
state directory = {folder}/state
cache directory = {folder}/cache
lock directory = {folder}
binddns dir = {folder}/bind-dns
pid directory = {folder}/run
ncalrpc dir = {folder}/run/ncalrpc
log file = {folder}/log.%m
logging = file
tls certfile = {certificate}
tls keyfile = {key}
tls cafile = {ca}
"""


@dataclass
class Domain:
    """A running domain controller."""

    folder: Path
    address: str
    ca: Path
    password_file: Path = field(default_factory=Path)

    @property
    def plain(self) -> str:
        return f"ldap://{self.address}"

    @property
    def secure(self) -> str:
        return f"ldaps://{self.address}"

    def settings(self, **more: Any) -> DirectorySettings:
        """Return settings that work, with changes: those of docs/accounts.md for Active Directory."""
        given: dict[str, Any] = {
            "servers": (self.secure,), "ca": str(self.ca), "bind_dn": "pacs@example.test",
            "password_file": str(self.password_file), "base": BASE, "filter": "(sAMAccountName={name})",
            "full_name": "displayName", "nested_groups": "in-chain", "timeout_s": 5.0,
            "roles": (
                DirectoryRoleSettings(group=ADMINS, role="administrator"),
                DirectoryRoleSettings(group=READERS.lower(), role="radiologist"),
            ),
        }  # fmt: skip
        return DirectorySettings(**(given | more))

    def change(self, text: str) -> None:
        """Change the content, by LDIF of changes."""
        done = subprocess.run(
            ["ldapmodify", "-x", "-H", self.secure, "-D", "administrator@example.test", "-w", _ADMINISTRATOR],
            input=text.encode(), capture_output=True, env={**os.environ, "LDAPTLS_CACERT": str(self.ca)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()

    def modify(self, name: str, **attributes: Any) -> None:
        """Change attributes of a person."""
        self.change(ldif(dn_of(name), "modify", **attributes))


@contextmanager
def running(folder: Path, address: str = "") -> Iterator[Domain]:
    """Provision a domain in ``folder`` (5 s), serve it at ``address``, fill it. Without one each process that runs
    tests beside others has its own."""
    address = address or f"127.0.0.{88 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])}"
    folder.mkdir(exist_ok=True)
    dc, config = folder / "dc", folder / "smb.conf"
    subprocess.run(
        ["samba-tool", "domain", "provision", "--realm=EXAMPLE.TEST", "--domain=EXAMPLE", "--server-role=dc",
         "--dns-backend=NONE", f"--adminpass={_ADMINISTRATOR}", f"--targetdir={dc}", "--host-name=dc1",
         f"--host-ip={address}", f"--option=interfaces={address}/8", "--option=bind interfaces only=yes"],
        check=True, capture_output=True,
    )  # fmt: skip
    authority = Authority(folder / "tls")
    pair = authority.sign("dc1", address=f"IP:{address},DNS:dc1.example.test")
    secret = folder / "node.password"
    secret.write_text(NODE_PASSWORD + "\n")
    (dc / "run" / "ncalrpc").mkdir(parents=True)
    config.write_text(CONFIG.format(
        address=address, folder=dc, certificate=pair.certificate, key=pair.key, ca=authority.pair.certificate,
    ))  # fmt: skip
    made = Domain(dc, address, authority.pair.certificate, secret)
    with (folder / "samba.log").open("wb") as log:
        process = subprocess.Popen(
            [SAMBA, "-i", "-M", "single", "-s", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait(process, address, folder / "samba.log")
        made.change(CONTENT)
        yield made
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((address, 636)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(log.read_text(errors="replace")[-2000:])
