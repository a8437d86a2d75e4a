"""A node for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running import NodeProcess, running_node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node that runs for the whole file."""
    with running_node(tmp_path_factory.mktemp("node") / "node") as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log
