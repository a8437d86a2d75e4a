"""A real rsyslog on free ports of this machine: Debian's, with its files in a temporary folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.running import free_port
from tests.services.certificates import Authority

RSYSLOGD = next((p for p in ("/usr/sbin/rsyslogd", shutil.which("rsyslogd") or "") if p and Path(p).exists()), "")
needed = pytest.mark.skipif(
    not RSYSLOGD or not any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")) or not shutil.which("openssl"),
    reason="rsyslog, rsyslog-gnutls or openssl is not installed",
)
CONFIG = """
global(workDirectory="{folder}" maxMessageSize="64k" net.enableDNS="off"
    defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}"
    defaultNetstreamDriverKeyFile="{key}")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="{mode}"{permitted})
template(name="each" type="list" option.jsonf="on") {{
    property(outname="at" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="program" name="app-name" format="jsonf")
    property(outname="id" name="msgid" format="jsonf")
    property(outname="facility" name="syslogfacility" format="jsonf")
    property(outname="severity" name="syslogseverity" format="jsonf")
    property(outname="protocol" name="protocol-version" format="jsonf")
    property(outname="text" name="msg" format="jsonf")
}}
ruleset(name="audit") {{ action(type="omfile" file="{folder}/messages" template="each") }}
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="audit")
input(type="imptcp" address="127.0.0.1" port="{tcp}" ruleset="audit")
input(type="imtcp" address="127.0.0.1" port="{tls}" ruleset="audit")
"""


@dataclass
class Rsyslog:
    """A running server. ``ports`` are by the scheme of our settings."""

    folder: Path
    authority: Authority
    ports: dict[str, int]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.folder / "own.log").open("ab")
        self.process = subprocess.Popen(
            [RSYSLOGD, "-n", "-f", str(self.folder / "conf"), "-i", str(self.folder / "pid")], stdout=log, stderr=log
        )
        until = time.monotonic() + 20
        while not (self.folder / "pid").exists() or not self._listens():
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError((self.folder / "own.log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def _listens(self) -> bool:
        listening = {
            line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"
        }
        return all(
            f"0100007F:{port:04X}" in listening for name, port in self.ports.items() if name != "syslog+udp"
        )  # fmt: skip

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None
            (self.folder / "pid").unlink(missing_ok=True)

    def messages(self) -> list[dict[str, Any]]:
        """Return what was written down so far."""
        file = self.folder / "messages"
        text = file.read_text("utf-8") if file.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]


@contextmanager
def running(folder: Path, mode: str = "anon") -> Iterator[Rsyslog]:
    """Serve. With ``mode`` x509/name only clients whose certificate is for ``node`` are taken."""
    folder.mkdir(exist_ok=True)
    authority = Authority(folder / "tls")
    pair = authority.sign("server")
    ports = {name: free_port() for name in ("syslog+udp", "syslog+tcp", "syslog+tls")}
    made = Rsyslog(folder, authority, ports)
    (folder / "conf").write_text(
        CONFIG.format(
            folder=folder, ca=authority.pair.certificate, certificate=pair.certificate, key=pair.key, mode=mode,
            permitted=' permittedPeer=["node"]' if mode != "anon" else "",
            udp=ports["syslog+udp"], tcp=ports["syslog+tcp"], tls=ports["syslog+tls"],
        )
    )  # fmt: skip
    made.start()
    try:
        yield made
    finally:
        made.stop()
