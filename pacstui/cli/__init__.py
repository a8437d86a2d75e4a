"""The front door: the ``pacstui`` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its status."""
    raise SystemExit("not there yet")
