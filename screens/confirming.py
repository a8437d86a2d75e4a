"""The console's client, as the screens have it: where the node wants the password once more, it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pacstui.contract import NOUNS
from pacstui.errors import Denied, Unconfirmed

if TYPE_CHECKING:
    from screens.door import Door

_OWN = ("me", "sign_in", "sign_out", "confirm", "set_password", "begin_totp", "finish_totp")


class _Noun:
    def __init__(self, noun: Any, name: str, door: Door) -> None:
        self._noun, self._name, self._door = noun, name, door

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._noun, method)
        if self._name == "accounts" and method in _OWN:
            return call

        async def asking(*args: Any, **kwargs: Any) -> Any:
            try:
                return await call(*args, **kwargs)
            except Unconfirmed as error:
                if not await self._door.confirm(error.message):
                    raise Denied("the password was not said, and nothing was done") from None
            except Denied:
                self._door.doubt()
                raise
            return await call(*args, **kwargs)

        return asking


class Confirming:
    """Like the client that it is made of. A call that raises `Unconfirmed` is made once more after the password was
    said; after one that is denied the node is asked anew what the account may do."""

    def __init__(self, client: Any, door: Door) -> None:
        object.__setattr__(self, "_client", client)
        object.__setattr__(self, "_door", door)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        return _Noun(value, name, self._door) if name in NOUNS else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._client, name, value)
