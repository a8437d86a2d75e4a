"""Work on long data sets, away from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet
from pacstui.dicom.net.service import BufferSink

T = TypeVar("T")
_SMALL: Final = 65536


async def aside(size: int, work: Callable[[], T]) -> T:
    """Do work on ``size`` bytes, in a thread where it would hold up the event loop."""
    return work() if size <= _SMALL else await asyncio.to_thread(work)


async def decoded(sink: BufferSink) -> DataSet:
    """Return the data set that a sink has taken; raises DataSetError."""
    read = partial(dataset.decode, bytes(sink.data), sink.request.context.transfer_syntax)
    return await aside(len(sink.data), read)
