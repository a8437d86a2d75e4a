"""The few shapes that all phantoms are drawn with: ellipses, rings, bands, clouds and grain."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@lru_cache(maxsize=16)
def grid(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Return x and y of every pixel; the shorter side runs from -1 to 1."""
    short = min(rows, columns)
    y = ((np.arange(rows, dtype=np.float32) - (rows - 1) / 2) * (2 / short)).astype(np.float32)
    x = ((np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * (2 / short)).astype(np.float32)
    return x[None, :], y[:, None]


def disc(x: Floats, y: Floats, cx: float, cy: float, rx: float, ry: float, soft: float = 0.06) -> Floats:
    """Return an ellipse, 1 inside and 0 outside; ``soft`` is the width of its rim as a part of its radius."""
    square = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
    return np.clip((1 - square) / (2 * soft) + 0.5, 0, 1).astype(np.float32)


def turned(x: Floats, y: Floats, cx: float, cy: float, angle: float) -> tuple[Floats, Floats]:
    """Return coordinates around (cx, cy), turned by ``angle`` radians."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return ((x - cx) * c + (y - cy) * s).astype(np.float32), ((y - cy) * c - (x - cx) * s).astype(np.float32)


def ring(x: Floats, y: Floats, cx: float, cy: float, rx: float, ry: float, width: float) -> Floats:
    """Return the rim of an ellipse as a bell of ``width`` (a part of its radius)."""
    radius = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    return np.exp(-(((radius - 1) / width) ** 2)).astype(np.float32)


def band(distance: Floats, width: float) -> Floats:
    """Return a band with soft edges around distance 0."""
    square = (distance / np.float32(width)) ** 2
    return np.exp(-square * square).astype(np.float32)


def paint(picture: Floats, mask: Floats, value: float | Floats) -> None:
    """Blend ``value`` into ``picture`` where ``mask`` says so."""
    picture += mask * (value - picture)


def clouds(rng: np.random.Generator, rows: int, columns: int, cells: int) -> Floats:
    """Return smooth noise of unit variance or a little less, about ``cells`` bumps across the picture."""
    down, across = max(2, cells * rows // max(rows, columns)), max(2, cells * columns // max(rows, columns))
    coarse = rng.standard_normal((down + 2, across + 2)).astype(np.float32)
    v = np.linspace(0, down, rows, dtype=np.float32)
    u = np.linspace(0, across, columns, dtype=np.float32)
    i, j = v.astype(np.intp), u.astype(np.intp)
    f, g = (v - i), (u - j)
    f, g = (f * f * (3 - 2 * f))[:, None], (g * g * (3 - 2 * g))[None, :]
    top, bottom = coarse[i], coarse[i + 1]
    rowwise = top * (1 - f) + bottom * f
    picture: Floats = rowwise[:, j] * (1 - g) + rowwise[:, j + 1] * g
    return picture


@lru_cache(maxsize=8)
def grain(seed: int, rows: int, columns: int) -> Floats:
    """Return white noise of unit variance; slices shift it instead of drawing their own."""
    return np.random.default_rng(seed).standard_normal((rows, columns), dtype=np.float32)


@lru_cache(maxsize=8)
def texture(seed: int, rows: int, columns: int, cells: int) -> Floats:
    rng = np.random.default_rng(seed)
    fine = clouds(rng, rows, columns, cells) + 0.6 * clouds(rng, rows, columns, 2 * cells)
    return (fine / np.float32(1.17)).astype(np.float32)


def bump(z: float, low: float, high: float) -> float:
    """Return the size of something that lies between two heights: 0 at the ends, 1 in the middle."""
    if not low < z < high:
        return 0.0
    return float(np.sqrt(np.sin(np.pi * (z - low) / (high - low))))
