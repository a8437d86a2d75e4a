"""A target on a server that speaks SFTP (over SSH), in a folder there.

Writes are made whole: into a temporary file, synced where the server knows how to (OpenSSH does), then renamed over.
The host key has to be known beforehand; nothing is asked and nothing is learnt.
"""

from __future__ import annotations

import asyncio
import shutil
import stat
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, TypeVar, cast
from urllib.parse import unquote, urlsplit

import asyncssh

from pacstui.backups.store import ROOM, Refused
from pacstui.errors import Corrupt, NotFound, SettingsError, StorageFull, Unavailable

T = TypeVar("T")
_PIECE: Final = 1 << 20
_MOST: Final = 256 << 20
_TEMPORARY: Final = "tmp"
_ANSWER_S: Final = 120.0
_BYTES_PER_S: Final = 16_384
"""What is slower than this is taken for a server that does not answer."""
_FULL: Final = 1 << 20
_RIGHT: Final = "is it the right path, and mounted there? pacstui backup run begins a new target"
_NETWORK: Final = "check server and network; the next run goes on"


class SftpStore:
    """A folder on a server.

    Parameters
    ----------
    url
        ``sftp://user@host:port/folder``, the folder from the server's root.
    key_file
        Private key, as OpenSSH has it.
    known_hosts
        File with the server's host key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT); empty for the user's own.
    spool
        Folder for temporary files, on this machine.
    """

    kind = "sftp"

    def __init__(self, url: str, key_file: str, known_hosts: str, spool: Path) -> None:
        self.url = url
        parts = urlsplit(url)
        self._host, self._port, self._user = parts.hostname or "", parts.port or 22, unquote(parts.username or "")
        self._root = unquote(parts.path).rstrip("/") or "/"
        self._key_file, self._known_hosts = key_file, known_hosts
        self._spool = spool
        self._made: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pacstui-sftp", daemon=True)
        self._link: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None

    def _path(self, name: str) -> str:
        if name.startswith("/") or ".." in name.split("/"):
            raise Unavailable(f"{name} leads out of {self.url}", "somebody else wrote there: look at it")
        return f"{self._root}/{name}".rstrip("/")

    def _do(self, work: Coroutine[Any, Any, T], name: str = "", size: int = 0) -> T:
        """Wait for something that is done over there; turn its errors into sentences."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(_ANSWER_S + size / _BYTES_PER_S)
        except TookTooLong:
            future.cancel()
            raise Unavailable(f"{self.url} does not answer any more", _NETWORK) from None
        except asyncssh.SFTPNoSuchFile:
            raise NotFound(f"{name or 'the folder'} is not in {self.url}", "what else: pacstui backup verify") from None
        except asyncssh.SFTPPermissionDenied:
            raise Unavailable(f"{self.url} cannot be used so: no permission", "correct the rights there") from None
        except asyncssh.SFTPConnectionLost as error:
            raise Unavailable(f"{self.url} went away: {error.reason}", "the next run goes on") from None
        except asyncssh.SFTPError as error:
            if self._full():
                raise StorageFull(f"{self.url} is full", ROOM) from None
            raise Unavailable(f"{self.url} refuses {name}: {error.reason}", "look at the folder there") from None
        except (OSError, asyncssh.Error) as error:
            raise Unavailable(f"{self.url} cannot be reached: {error}", _NETWORK) from None

    def _full(self) -> bool:
        with suppress(Exception):
            found = asyncio.run_coroutine_threadsafe(self._sftp.statvfs(self._root), self._loop).result(10)
            return bool(found.bavail * found.frsize < _FULL)
        return False

    @property
    def _sftp(self) -> asyncssh.SFTPClient:
        if self._client is None:
            raise Unavailable(f"{self.url} is not open", "")
        return self._client

    def open(self, make: bool) -> None:
        """See `Store`."""
        if not self._thread.is_alive():
            self._thread.start()
        if self._client is None:
            self._do(self._connect())
        self._do(self._see_folder(make))

    def _keys(self) -> tuple[str, Any]:
        known = Path(self._known_hosts or "~/.ssh/known_hosts").expanduser()
        if not known.is_file():
            raise SettingsError(
                f"{self.url}: no host key is known, {known} is not there",
                f"ssh-keyscan -p {self._port} {self._host} shows it; compare it with the server's own, write it there",
            )
        return str(known), [str(Path(self._key_file).expanduser())] if self._key_file else ()

    async def _connect(self) -> None:
        known, keys = self._keys()
        try:
            self._link = await asyncssh.connect(
                self._host, self._port, username=self._user or (), client_keys=keys, known_hosts=known,
                config=None, agent_path=None, preferred_auth="publickey", connect_timeout=15, login_timeout=30,
                keepalive_interval=20, keepalive_count_max=3,
            )  # fmt: skip
            self._client = await self._link.start_sftp_client()
        except asyncssh.HostKeyNotVerifiable:
            raise Unavailable(
                f"{self.url} shows a host key that is not the one in {known}",
                "is it the right machine? If its key was changed on purpose, write the new one down",
            ) from None
        except asyncssh.PermissionDenied:
            raise Unavailable(
                f"{self.url} does not let us in", "is the public key of key_file in authorized_keys there?"
            ) from None
        except (asyncssh.KeyImportError, ValueError) as error:
            raise SettingsError(f"key_file of {self.url} cannot be used: {error}", "a key without passphrase") from None
        except FileNotFoundError:
            raise SettingsError(f"the key file {self._key_file} is not there", "correct key_file") from None

    async def _see_folder(self, make: bool) -> None:
        if not await self._sftp.lexists(self._root):
            if not make:
                raise NotFound(f"{self._root} is not on {self._host}", _RIGHT)
            if not await self._sftp.isdir(self._root.rpartition("/")[0] or "/"):
                raise Unavailable(f"the folder above {self._root} is not on {self._host}", _RIGHT)
            await self._sftp.mkdir(self._root)
        if not await self._sftp.isdir(self._root):
            raise Unavailable(f"{self._root} on {self._host} is no folder", "correct the url of the target")

    def close(self) -> None:
        """See `Store`."""
        if self._thread.is_alive():
            with suppress(TookTooLong):
                asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result(5)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        self._link = self._client = None

    async def _disconnect(self) -> None:
        if self._link is not None:
            self._link.abort()
            await self._link.wait_closed()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def get(self, name: str) -> bytes:
        """See `Store`."""
        return self._do(self._get(name), name, _MOST // 8)

    async def _get(self, name: str) -> bytes:
        async with self._opened(name) as (file, length):
            if length > _MOST:
                raise Corrupt(f"{name} in {self.url} is far too large", "somebody else wrote there: look at it")
            return cast(bytes, await file.read(length)) if length else b""

    @asynccontextmanager
    async def _opened(self, name: str) -> AsyncIterator[tuple[asyncssh.SFTPClientFile, int]]:
        """Open an ordinary file; yield it with its length."""
        found = await self._sftp.lstat(self._path(name))
        if not stat.S_ISREG(found.permissions or 0):
            raise Unavailable(f"{name} in {self.url} is no ordinary file", "somebody else wrote there: look at it")
        async with await self._sftp.open(self._path(name), "rb", encoding=None) as file:
            yield file, int(found.size or 0)

    def pieces(self, name: str) -> Iterator[bytes]:
        """See `Store`."""
        at = 0
        while True:
            piece = self._do(self._part(name, at, 4 * _PIECE), name, 4 * _PIECE)
            if piece:
                yield piece
            at += len(piece)
            if len(piece) < 4 * _PIECE:
                return

    def part(self, name: str, offset: int, size: int) -> bytes:
        """See `Store`."""
        return self._do(self._part(name, offset, size), name, size)

    async def _part(self, name: str, offset: int, size: int) -> bytes:
        async with self._opened(name) as (file, length):
            size = max(0, min(size, length - offset))
            return cast(bytes, await file.read(size, offset)) if size else b""

    def put(self, name: str, data: bytes) -> None:
        """See `Store`."""
        self._do(self._put(name, iter((data,))), name, len(data))

    def put_file(self, name: str, path: Path) -> None:
        """See `Store`."""
        with path.open("rb") as file:
            self._do(self._put(name, iter(lambda: file.read(_PIECE), b"")), name, path.stat().st_size)

    async def _put(self, name: str, pieces: Iterator[bytes]) -> None:
        temporary = await self._written(pieces)
        try:
            await self._make(name)
            await self._sftp.posix_rename(temporary, self._path(name))
        except BaseException:
            await self._drop(temporary)
            raise

    async def _written(self, pieces: Iterator[bytes]) -> str:
        """Write a temporary file; return where."""
        await self._make(f"{_TEMPORARY}/x")
        temporary = self._path(f"{_TEMPORARY}/{token_hex(8)}")
        try:
            async with await self._sftp.open(temporary, "xb", encoding=None) as file:
                for piece in pieces:
                    await file.write(piece)
                with suppress(asyncssh.SFTPOpUnsupported):
                    await file.fsync()
        except BaseException:
            await self._drop(temporary)
            raise
        return temporary

    async def _drop(self, path: str) -> None:
        with suppress(asyncssh.Error, OSError):
            await self._sftp.remove(path)

    async def _make(self, name: str) -> None:
        folder = self._path(name).rpartition("/")[0]
        if folder not in self._made:
            await self._sftp.makedirs(folder, exist_ok=True)
            self._made.add(folder)

    def create(self, name: str, data: bytes) -> bool:
        """See `Store`. A link does it, else a file that must not be there."""
        return self._do(self._create(name, data), name, len(data))

    async def _create(self, name: str, data: bytes) -> bool:
        temporary = await self._written(iter((data,)))
        try:
            await self._make(name)
            await self._sftp.link(temporary, self._path(name))
            return True
        except asyncssh.SFTPOpUnsupported:
            return await self._create_plainly(name, data)
        except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
            if await self._sftp.lexists(self._path(name)):
                return False
            return await self._create_plainly(name, data)
        finally:
            await self._drop(temporary)

    async def _create_plainly(self, name: str, data: bytes) -> bool:
        try:
            async with await self._sftp.open(self._path(name), "xb", encoding=None) as file:
                await file.write(data)
        except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
            if await self._sftp.lexists(self._path(name)):
                return False
            raise
        return True

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Store`."""
        folders = [prefix]
        while folders:
            here = folders.pop()
            for name, folder, size in self._do(self._entries(here), here):
                if folder and (here or name != _TEMPORARY):
                    folders.append(f"{here}{name}/")
                elif not folder:
                    yield f"{here}{name}", size

    async def _entries(self, folder: str) -> Sequence[tuple[str, bool, int]]:
        found = []
        try:
            async for each in self._sftp.scandir(self._path(folder)):
                mode, name = each.attrs.permissions or 0, str(each.filename)
                if name not in (".", "..") and (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                    found.append((name, stat.S_ISDIR(mode), int(each.attrs.size or 0)))
        except asyncssh.SFTPNoSuchFile:
            if not folder:
                raise
        return sorted(found)

    def delete(self, name: str) -> None:
        """See `Store`."""
        self._do(self._delete(name), name)

    async def _delete(self, name: str) -> None:
        try:
            await self._sftp.remove(self._path(name))
        except asyncssh.SFTPNoSuchFile:
            return
        except asyncssh.SFTPPermissionDenied:
            raise Refused(f"{name} may not be removed from {self.url}", "correct the rights there") from None
        if name.startswith("snapshots/"):
            folder = self._path(name).rpartition("/")[0]
            with suppress(asyncssh.SFTPError):
                await self._sftp.rmdir(folder)
                self._made.discard(folder)

    def free(self) -> int | None:
        """See `Store`."""
        try:
            found = self._do(self._sftp.statvfs(self._root))
        except (Unavailable, NotFound):
            return None
        return int(found.bavail * found.frsize)

    def spool(self) -> Path:
        """See `Store`."""
        self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._spool

    def clear(self) -> None:
        """See `Store`."""
        shutil.rmtree(self._spool, ignore_errors=True)
        self._do(self._clear())

    async def _clear(self) -> None:
        with suppress(asyncssh.SFTPNoSuchFile):
            for name in await self._sftp.listdir(self._path(_TEMPORARY)):
                if name not in (".", ".."):
                    await self._drop(self._path(f"{_TEMPORARY}/{name}"))
