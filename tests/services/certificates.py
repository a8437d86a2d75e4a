"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needed = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.pair.key, "-out",
                  self.pair.certificate, "-days", "400", "-subj", f"/CN=Test CA {name}")  # fmt: skip

    def _run(self, *arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def sign(self, name: str, days: int = 90, address: str = "IP:127.0.0.1") -> Pair:
        """Return a certificate for ``address``."""
        made = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        request, more = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        more.write_text(f"subjectAltName = {address}\n")
        self._run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        self._run("x509", "-req", "-in", request, "-CA", self.pair.certificate, "-CAkey", self.pair.key,
                  "-CAcreateserial", "-out", made.certificate, "-days", str(days), "-extfile", more)  # fmt: skip
        made.key.chmod(0o600)
        return made
