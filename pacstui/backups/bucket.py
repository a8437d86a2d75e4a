"""A target in a bucket that speaks S3."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import obstore
from obstore import exceptions as faults
from obstore.store import S3Store

from pacstui.backups.store import Refused
from pacstui.errors import Corrupt, NotFound, Unavailable

_PIECE: Final = 4 << 20
_WHOLE: Final = 64 << 20
_MOST: Final = 256 << 20
RETRIES: Final = 4
TIMEOUT_S: Final = 120.0
"""For one request: a pack at 280 kB a second."""


class Denied(Unavailable):
    """The server does not let us do that."""


class BucketStore:
    """A bucket, or a folder in one.

    Parameters
    ----------
    url
        ``s3://bucket/folder``.
    config
        Of obstore: endpoint, region, access_key_id, secret_access_key; what is missing is taken from the environment
        (AWS_ACCESS_KEY_ID and so on).
    spool
        Folder for temporary files, on this machine.
    """

    kind = "bucket"

    def __init__(self, url: str, config: dict[str, Any], spool: Path) -> None:
        self.url = url
        self._config = {"virtual_hosted_style_request": False, **config}
        self._spool = spool
        self._store: S3Store | None = None

    @contextmanager
    def _guarded(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except (faults.NotFoundError, FileNotFoundError) as error:
            if "NoSuchBucket" in str(error):
                raise Unavailable(f"{self.url}: there is no such bucket", "make it, or correct the address") from None
            raise NotFound(f"{name or 'the bucket'} is not in {self.url}", "check the address of the target") from None
        except (faults.PermissionDeniedError, faults.UnauthenticatedError, PermissionError):
            raise Denied(
                f"{self.url} does not let us in", "check access_key and secret_key_file of the target, and its policy"
            ) from None
        except (faults.AlreadyExistsError, faults.PreconditionError, FileExistsError):
            raise
        except faults.BaseError as error:
            told = " ".join(str(error).split())
            if "NoSuchBucket" in told:
                raise Unavailable(f"{self.url}: there is no such bucket", "make it, or correct the address") from None
            if "403" in told or "AccessDenied" in told or "SignatureDoesNotMatch" in told:
                raise Denied(
                    f"{self.url} does not let us in", "check access_key and secret_key_file of the target"
                ) from None
            raise Unavailable(
                f"{self.url} cannot be reached: {told[:160]}", "check endpoint and network; the next run goes on"
            ) from None
        except ValueError as error:
            raise Unavailable(f"{self.url}: {error}", "correct the target's address") from None

    @property
    def _open(self) -> S3Store:
        if self._store is None:
            raise Unavailable(f"{self.url} is not open", "")
        return self._store

    def open(self, make: bool) -> None:
        """See `Store`. A bucket is never made."""
        with self._guarded():
            client: Any = {"timeout": timedelta(seconds=TIMEOUT_S), "connect_timeout": timedelta(seconds=10)}
            if str(self._config.get("endpoint", "")).startswith("http:"):
                client["allow_http"] = True
            retry: Any = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=60)}
            config: Any = self._config
            self._store = S3Store.from_url(self.url, config=config, client_options=client, retry_config=retry)
            for _ in obstore.list(self._store, prefix="snapshots", chunk_size=1):
                break

    def get(self, name: str) -> bytes:
        """See `Store`."""
        with self._guarded(name):
            found = obstore.get(self._open, name)
            if int(found.meta["size"]) > _MOST:
                raise Corrupt(f"{name} in {self.url} is far too large", "somebody else wrote there: look at it")
            return bytes(found.bytes())

    def pieces(self, name: str) -> Iterator[bytes]:
        """See `Store`."""
        with self._guarded(name):
            for piece in obstore.get(self._open, name).stream(min_chunk_size=_PIECE):
                yield bytes(piece)

    def part(self, name: str, offset: int, size: int) -> bytes:
        """See `Store`."""
        if not size:
            return b""
        with self._guarded(name):
            return bytes(obstore.get_range(self._open, name, start=offset, length=size))

    def put(self, name: str, data: bytes) -> None:
        """See `Store`."""
        with self._guarded(name):
            obstore.put(self._open, name, data, use_multipart=len(data) > _WHOLE)

    def put_file(self, name: str, path: Path) -> None:
        """See `Store`."""
        with self._guarded(name), path.open("rb") as file:
            obstore.put(self._open, name, file, use_multipart=path.stat().st_size > _WHOLE)

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`; by a conditional write, or where the server knows none by looking first."""
        with self._guarded(name):
            try:
                obstore.put(self._open, name, data, mode="create", use_multipart=False)
            except (faults.AlreadyExistsError, faults.PreconditionError, FileExistsError):
                return False
            except faults.NotSupportedError:
                try:
                    obstore.head(self._open, name)
                except (faults.NotFoundError, FileNotFoundError):
                    obstore.put(self._open, name, data)
                    return True
                return False
            return True

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store`."""
        with self._guarded():
            for chunk in obstore.list(self._open, prefix=prefix.rstrip("/") or None, chunk_size=1000):
                for each in chunk:
                    yield str(each["path"]), int(each["size"])

    def delete(self, name: str) -> None:
        """See `Store`. A bucket with versions hides the file; it stays until a rule of the bucket removes it."""
        try:
            with self._guarded(name):
                obstore.delete(self._open, name)
        except NotFound:
            pass
        except Denied as error:
            raise Refused(
                f"{name} may not be removed from {self.url}", "it is locked until its time has passed, or the key of "
                "the target may not delete",
            ) from error  # fmt: skip

    def free(self) -> int | None:
        """See `Store`."""
        return None

    def spool(self) -> Path:
        """See `Store`."""
        self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._spool

    def close(self) -> None:
        """See `Store`."""

    def clear(self) -> None:
        """See `Store`."""
        shutil.rmtree(self._spool, ignore_errors=True)
