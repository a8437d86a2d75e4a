"""Object lock of buckets: what a snapshot consists of cannot be removed or changed by anybody until a day.

obstore writes objects and knows nothing of their retention, so that this one request (PutObjectRetention, and the
question for what is set) is made here, signed as AWS wants it (Signature Version 4).
"""

from __future__ import annotations

import hmac
import http.client
import os
import re
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pacstui.errors import NotFound, SettingsError, Unavailable

_TIMEOUT_S: Final = 60.0
_TRIES: Final = 3
_UNTIL = re.compile(rb"<RetainUntilDate>([^<]{10,40})</RetainUntilDate>")
_CODE = re.compile(rb"<Code>([^<]{1,80})</Code>")
_SLACK: Final = 0.25


@dataclass(frozen=True, slots=True)
class Login:
    """Access key, secret key, and the token of a session, empty without one."""

    access: str
    secret: str
    token: str = ""


def login_of(config: Mapping[str, Any], environment: Mapping[str, str]) -> Login:
    """Return the keys of the settings, or else of the environment; raises SettingsError."""
    if config.get("access_key_id") and config.get("secret_access_key"):
        return Login(str(config["access_key_id"]), str(config["secret_access_key"]))
    access, secret = environment.get("AWS_ACCESS_KEY_ID", ""), environment.get("AWS_SECRET_ACCESS_KEY", "")
    if not (access and secret):
        raise SettingsError("object lock takes keys", "give the target access_key and secret_key_file")
    return Login(access, secret, environment.get("AWS_SESSION_TOKEN", ""))


def headers(
    method: str, host: str, path: str, query: str, body: bytes, login: Login, region: str, now: datetime
) -> dict[str, str]:
    """Return the headers of a request to S3, signed; ``path`` and ``query`` as they stand in the request."""
    at = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = sha256(body).hexdigest()
    named = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": at}
    if body:
        named["content-md5"] = b64encode(md5(body, usedforsecurity=False).digest()).decode()
    if login.token:
        named["x-amz-security-token"] = login.token
    names = ";".join(sorted(named))
    lines = "".join(f"{name}:{named[name]}\n" for name in sorted(named))
    canonical = "\n".join((method, path, query, lines, names, digest))
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    told = "\n".join(("AWS4-HMAC-SHA256", at, scope, sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{login.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, told.encode(), "sha256").hexdigest()
    named["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={login.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return named


class ObjectLock:
    """Locks objects below an address ``s3://bucket/folder``. Safe on any thread.

    Parameters
    ----------
    config
        As `bucket.BucketStore` takes it.
    mode
        ``governance``: who has a permission for it may still remove them; ``compliance``: nobody.
    days
        So many days at least, from each snapshot on.
    """

    def __init__(self, url: str, config: Mapping[str, Any], mode: str, days: float) -> None:
        self.url = url
        self.days = timedelta(days=days)
        self._mode = mode.upper()
        parts = urlsplit(url)
        self._below = "/".join(each for each in (parts.netloc, parts.path.strip("/")) if each)
        environment = os.environ
        self._region = str(
            config.get("region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
            or "us-east-1"
        )  # fmt: skip
        self._server = urlsplit(str(config.get("endpoint") or f"https://s3.{self._region}.amazonaws.com"))
        self._login = login_of(config, environment)
        self._own = threading.local()

    def until(self, now: datetime) -> datetime:
        """Return until when something is locked that is locked now: some days more than are promised, so that not
        every run has to ask for everything."""
        return (now + self.days * (1 + _SLACK)).replace(microsecond=0)

    def hold(self, name: str, until: datetime) -> None:
        """Lock a file; one that is locked longer stays so.

        Raises
        ------
        SettingsError
            When the bucket knows no object lock.
        Unavailable, NotFound
            When it cannot be locked.
        """
        body = (
            '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Mode>{self._mode}</Mode><RetainUntilDate>{until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}</RetainUntilDate>"
            "</Retention>"
        ).encode()
        status, answer = self._ask("PUT", name, body)
        if status < 300:
            return
        code = _first(_CODE, answer)
        if code in ("InvalidRequest", "ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed"):
            raise SettingsError(
                f"{self.url} has no object lock ({code})",
                "object lock is switched on when a bucket is made: use one that has it, or take lock_days out",
            )
        if status == 404:
            raise NotFound(f"{name} is not in {self.url}", "pacstui backup verify")
        if status == 403 and (held := self.held(name)) is not None and held >= until - self.days * _SLACK:
            return
        raise Unavailable(
            f"{name} in {self.url} cannot be locked: {code or status}", "the key needs s3:PutObjectRetention"
        )

    def held(self, name: str) -> datetime | None:
        """Return until when a file is locked, none if it is not."""
        status, answer = self._ask("GET", name, b"")
        told = _first(_UNTIL, answer) if status < 300 else ""
        try:
            at = datetime.fromisoformat(told)
        except ValueError:
            return None
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)

    def _ask(self, method: str, name: str, body: bytes) -> tuple[int, bytes]:
        path = quote(f"{self._server.path.rstrip('/')}/{self._below}/{name}", safe="/-_.~")
        for left in reversed(range(_TRIES)):
            signed = headers(
                method, self._server.netloc, path, "retention=", body, self._login, self._region, datetime.now(UTC)
            )
            try:
                link = self._link()
                link.request(method, f"{path}?retention=", body or None, signed)
                answer = link.getresponse()
                found = answer.status, answer.read(1 << 16)
                answer.close()
            except (OSError, http.client.HTTPException) as error:
                self._own.link = None
                if not left:
                    raise Unavailable(f"{self.url} cannot be reached: {error}", "check endpoint and network") from None
                continue
            if found[0] < 500 or not left:
                return found
        raise AssertionError

    def _link(self) -> http.client.HTTPConnection:
        link: http.client.HTTPConnection | None = getattr(self._own, "link", None)
        if link is None:
            host, port = self._server.hostname or "", self._server.port
            if self._server.scheme == "http":
                link = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
            else:
                link = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=ssl.create_default_context())
            self._own.link = link
        return link


def _first(pattern: re.Pattern[bytes], answer: bytes) -> str:
    found = pattern.search(answer)
    return found[1].decode("utf-8", "replace") if found else ""
