"""Copies that are changed on their way out: what routes name as a transformation, applied to one object."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Final, cast

from pacstui.archive import paths
from pacstui.archive.reading import WHOLE, Content, Part
from pacstui.errors import SettingsError
from pacstui.index.retrieve import Copy
from pacstui.routing.outbox import Item
from pacstui.routing.ways import Unfit, Withheld
from pacstui.services.corrected import ChangedContent
from pacstui.settings import TransformSettings
from pacstui.text import safe
from pacstui.transform import KEY, Context, Plan, Refused, TransformError, compile, read_key

_SUFFIX: Final = ".part"


class Changing:
    """Applies transformations by name. On any thread.

    Parameters
    ----------
    data_dir
        Of the archive; large copies lie in its incoming folder while they are sent.
    settings
        The transformations that there are, by name.
    titles
        AE titles by name of destination.
    called
        Our own AE title.
    now
        The time, for templates.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: Callable[[], Mapping[str, TransformSettings]],
        titles: Callable[[], Mapping[str, str]],
        called: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        self._data_dir = data_dir
        self._settings = settings
        self._titles = titles
        self._called = called
        self._now = now
        self._plans: dict[str, tuple[TransformSettings, Plan]] = {}

    def names(self) -> tuple[str, ...]:
        """Return the names of the transformations that there are."""
        return tuple(self._settings())

    def __call__(
        self, name: str, destination: str, item: Item, copy: Copy, content: Content | None = None
    ) -> tuple[Copy, ChangedContent]:
        """Return the changed copy of an object; of ``content``, where that was changed already.

        Raises
        ------
        Withheld
            When it may not leave as it is.
        Unfit
            When the transformation is not there any more, or cannot be applied to this object.
        OSError
            When a file cannot be read or written.
        """
        plan = self._plan(name)
        local = self._now().astimezone()
        context = Context(
            calling_ae=item.calling, called_ae=self._called(), peer=destination,
            peer_ae=self._titles().get(destination, ""), route=item.route, today=f"{local:%Y%m%d}",
            now=f"{local:%H%M%S}",
        )  # fmt: skip
        already = content if isinstance(content, ChangedContent) else None
        syntax, at = (copy.transfer_syntax, already.offset) if already is not None else ("", 0)
        try:
            with already.opened() if already is not None else open(self._data_dir / copy.path, "rb") as source:
                make = self._small if copy.size <= WHOLE else self._large
                return make(plan, copy, source, context, syntax, at)
        except Refused as refused:
            raise Withheld(f"{safe(name, 64)}: {refused.message}", refused.hint) from refused
        except TransformError as fault:
            raise Unfit(f"{safe(name, 64)}: {fault.message}", fault.hint) from fault

    def _plan(self, name: str) -> Plan:
        settings = self._settings().get(name)
        if settings is None:
            raise Unfit(f"there is no transformation {safe(name, 64)} (any more)", "see [[transforms]], then try again")
        known = self._plans.get(name)
        if known is not None and known[0] is settings:
            return known[1]
        try:
            plan = compile(settings, read_key(self._data_dir / KEY))
        except SettingsError as fault:
            raise Unfit(fault.message, fault.hint) from fault
        self._plans[name] = (settings, plan)
        return plan

    def _small(
        self, plan: Plan, copy: Copy, source: BinaryIO, context: Context, syntax: str, at: int
    ) -> tuple[Copy, ChangedContent]:
        out = BytesIO()
        outcome = plan.write(source, out, context, syntax=syntax, at=at)
        data = out.getvalue()[outcome.data_set_at :]
        part = Part("", 0, len(data), sha256(data).digest())
        changed = Copy(
            outcome.sop_class, outcome.sop_instance, outcome.transfer_syntax, copy.path, 0, part.size, part.digest
        )
        return changed, ChangedContent(Path(), part, data)

    def _large(
        self, plan: Plan, copy: Copy, source: BinaryIO, context: Context, syntax: str, at: int
    ) -> tuple[Copy, ChangedContent]:
        folder = self._data_dir / paths.INCOMING
        with NamedTemporaryFile("w+b", dir=folder, prefix="out-", suffix=_SUFFIX, delete=False) as out:
            path = Path(out.name)
            try:
                outcome = plan.write(source, cast(BinaryIO, out), context, syntax=syntax, at=at)
                out.flush()
                size = out.seek(0, os.SEEK_END) - outcome.data_set_at
                out.seek(outcome.data_set_at)
                digest = file_digest(out, "sha256").digest()
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        part = Part(str(path), outcome.data_set_at, size, digest)
        changed = Copy(
            outcome.sop_class,
            outcome.sop_instance,
            outcome.transfer_syntax,
            copy.path,
            outcome.data_set_at,
            size,
            digest,
        )
        return changed, ChangedContent(path, part, None)
