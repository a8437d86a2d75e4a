"""Memory is bounded whatever an object's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.sender import EXPLICIT
from tests.node import streaming
from tests.running import NodeProcess, Sender, running_node

MB = 1_000_000
SIZE = 64 << 20
pytestmark = pytest.mark.slow


class Peak:
    """The largest resident size of a process since this was made (``VmHWM``), in bytes."""

    def __init__(self, node: NodeProcess) -> None:
        assert node.process is not None
        self._proc = Path(f"/proc/{node.process.pid}")
        try:
            (self._proc / "clear_refs").write_text("5")
        except OSError as error:
            pytest.skip(f"the peak cannot be reset here: {error}")
        self.before = self._of("VmRSS")

    def _of(self, name: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    @property
    def growth(self) -> int:
        return self._of("VmHWM") - self.before


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A node that has stored something already, so that all its modules are loaded."""
    with running_node(tmp_path / "node", plainly=True) as running:
        for size in (2_000, 3 * MB):
            warm = Sender(running.port, size, 2, size)
            warm.start()
            warm.join(30)
            assert warm.statuses == [0, 0]
        yield running


@pytest.mark.parametrize(
    ("instance", "pieces", "syntax"),
    [
        ("1.2.3.4.1", streaming.native, EXPLICIT),
        ("1.2.3.4.2", streaming.encapsulated, streaming.JPEG),
        ("1.2.3.4.3", streaming.big_value, EXPLICIT),
        ("1.2.3.4.4", streaming.deflated, streaming.DEFLATED),
    ],
    ids=["pixel data", "fragments", "private value", "deflated"],
)
def test_a_large_object_is_streamed(
    node: NodeProcess, instance: str, pieces: Callable[[int], Iterator[bytes]], syntax: bytes
) -> None:
    peak = Peak(node)
    status, digest = streaming.send(node.port, instance, pieces(SIZE), syntax)
    assert status == 0
    assert peak.growth < 40 * MB, f"{peak.growth / MB:.0f} MB for an object of {SIZE / MB:.0f} MB"
    assert node.stop() == 0
    assert node.stored()[instance] == digest
