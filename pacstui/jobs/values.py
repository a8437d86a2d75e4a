"""What may be said of a kind's parameters: numbers within bounds, lists with commas."""

from __future__ import annotations

from collections.abc import Callable


def number(least: float, most: float) -> Callable[[str], object]:
    """Return a check for numbers from ``least`` to ``most``."""

    def check(text: str) -> None:
        try:
            value = float(text)
        except ValueError:
            raise ValueError("it is no number") from None
        if not least <= value <= most:
            raise ValueError(f"it is from {least:g} to {most:g}")

    return check


def whole(least: int, most: int) -> Callable[[str], object]:
    """Return a check for whole numbers from ``least`` to ``most``."""

    def check(text: str) -> None:
        if not (text.isascii() and text.isdigit() and least <= int(text[:18]) <= most):
            raise ValueError(f"it is a whole number from {least:,} to {most:,}")

    return check


def listed(text: str) -> list[str]:
    """Return what stands between commas, each once, in its order."""
    return list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))


def some(text: str) -> None:
    """Check that something stands between commas."""
    if not listed(text):
        raise ValueError("at least one is needed")
