"""A node as a process of its own for the tests of a file, and a tap on the way to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.relay import Relay
from tests.running import NodeProcess, running_node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node that runs for the whole file."""
    with running_node(tmp_path_factory.mktemp("node") / "node") as running:
        yield running
        assert running.stop() == 0
        running.stored()
        assert "Traceback" not in running.log


@pytest.fixture
def relay(node: NodeProcess) -> Iterator[Relay]:
    """The way to that node, tapped."""
    with Relay(node.port) as tap:
        yield tap
