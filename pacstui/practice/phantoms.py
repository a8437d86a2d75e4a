"""Pictures of nobody: synthetic pixel data that looks like something when it is drawn.

Everything is computed from ellipses and seeded noise. Sizes are small on purpose (a CT slice of 256 x 256 pixels is
128 KiB), so that a laptop sends and keeps them without getting warm. Arrays are C-ordered, ready for ``tobytes``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pacstui.practice.shapes import Floats, band, bump, clouds, disc, grain, grid, paint, ring, texture, turned

Words = NDArray[np.uint16]
Bytes = NDArray[np.uint8]

CT_INTERCEPT = -1024
"""Hounsfield units of stored value 0 in a CT slice (slope 1)."""


@dataclass(frozen=True, slots=True)
class Body:
    """What makes one synthetic patient's pictures differ from another's.

    ``girth`` scales the outline (about 0.9 to 1.1), ``tilt`` moves organs sideways (about -0.05 to 0.05), ``lesion``
    is how big the finding is (0 for none, 1 for plain to see) and ``seed`` fixes the noise.
    """

    seed: int
    girth: float = 1.0
    tilt: float = 0.0
    lesion: float = 0.0


def _twelve_bits(picture: Floats) -> Words:
    out: Words = np.clip(picture, 0, 4095).astype(np.uint16)
    return out


def ct(z: float, body: Body, *, size: int = 256, contrast: bool = False, noise: float = 18.0) -> Words:
    """Return an axial CT slice, 12 bits stored in 16, Hounsfield units = value + :data:`CT_INTERCEPT`.

    Parameters
    ----------
    z
        Height in the trunk, 0 at the shoulders, 1 in the pelvis.
    contrast
        Whether vessels and kidneys shine.
    noise
        Standard deviation in Hounsfield units.
    """
    x, y = grid(size, size)
    tilt = body.tilt
    wide = (0.86 - 0.10 * max(0.0, 0.18 - z) / 0.18 - 0.05 * bump(z, 0.5, 0.8)) * body.girth
    deep = (0.56 + 0.05 * bump(z, 0.2, 0.7)) * body.girth
    picture = np.full((size, size), -1000.0, np.float32)

    couch = np.abs(y - (0.70 * body.girth + 0.03 - 0.10 * x * x))
    paint(picture, np.where((np.abs(x) < 0.82) & (couch < 0.055), 1.0, 0.0).astype(np.float32), -880.0)
    paint(picture, np.where((np.abs(x) < 0.82) & (np.abs(couch - 0.05) < 0.008), 1.0, 0.0).astype(np.float32), -150.0)

    paint(picture, disc(x, y, 0, 0, wide, deep, 0.02), -95.0)
    paint(picture, disc(x, y, 0, 0.01, wide - 0.055, deep - 0.05, 0.03), 52.0)

    lungs = bump(z, 0.04, 0.56)
    if lungs:
        pattern = texture(body.seed, size, size, 34)
        vessels = np.clip((np.roll(pattern, int(z * 90), axis=0) - 0.75) * 3.0, 0, 1)
        for side in (-1.0, 1.0):
            across, down = 0.29 * (0.45 + 0.55 * lungs), 0.40 * (0.4 + 0.6 * lungs)
            lung = disc(x, y, side * 0.38 + tilt, -0.02, across, down, 0.04)
            paint(picture, lung, (-860.0 + 780.0 * vessels).astype(np.float32))
        if body.lesion and 0.22 < z < 0.34:
            radius = 0.075 * body.lesion * bump(z, 0.22, 0.34) + 1e-3
            paint(picture, disc(x, y, 0.42 + tilt, -0.12, radius, radius, 0.25), 35.0)
    blood = 210.0 if contrast else 42.0
    heart = bump(z, 0.26, 0.52)
    if heart:
        u, v = turned(x, y, 0.10 + tilt, -0.12, 0.6)
        paint(picture, disc(u, v, 0, 0, 0.33 * heart, 0.22 * heart, 0.06), 48.0)
        paint(picture, disc(u, v, 0.05, 0, 0.17 * heart, 0.12 * heart, 0.1), blood)
    if z < 0.24:
        paint(picture, disc(x, y, 0.0, -0.06, 0.05, 0.05, 0.15), -990.0)
    liver = bump(z, 0.44, 0.78)
    if liver:
        pattern = texture(body.seed + 1, size, size, 60)
        shape = disc(x, y, -0.36 + tilt, -0.03, 0.36 * liver, 0.38 * liver, 0.05)
        paint(picture, shape, 62.0 + 50 * contrast + 6 * pattern)
        paint(picture, disc(x, y, 0.52 + tilt, 0.10, 0.15 * liver, 0.20 * liver, 0.07), 58.0 + 60 * contrast)
    kidneys = bump(z, 0.60, 0.86)
    if kidneys:
        for side in (-1.0, 1.0):
            u, v = turned(x, y, side * 0.34 + tilt, 0.20, -side * 0.5)
            paint(picture, disc(u, v, 0, 0, 0.10 * kidneys, 0.15 * kidneys, 0.08), 34.0 + 140 * contrast)
            paint(picture, disc(u, v, -side * 0.05, 0, 0.04 * kidneys, 0.07 * kidneys, 0.2), -30.0)
    if z > 0.62:
        loops = np.clip((np.roll(texture(body.seed + 2, size, size, 13), int(z * 60), axis=1) - 0.4) * 2.5, 0, 1)
        belly = disc(x, y, 0.05, -0.20, 0.58, 0.26, 0.08)
        paint(picture, belly, (-60.0 + 90.0 * loops).astype(np.float32))
        paint(picture, disc(x, y, 0.28, -0.30, 0.09, 0.06, 0.2), -920.0)
    paint(picture, disc(x, y, 0.09, 0.17, 0.055, 0.055, 0.15), blood)

    disc_space = 0.5 + 0.5 * float(np.cos(z * 2 * np.pi * 16))
    paint(picture, disc(x, y, 0, 0.33, 0.135, 0.105, 0.08), 520.0 - 330.0 * disc_space)
    paint(picture, disc(x, y, 0, 0.33, 0.110, 0.080, 0.10), 210.0 - 120.0 * disc_space)
    paint(picture, disc(x, y, 0, 0.455, 0.050, 0.040, 0.15), 18.0)
    paint(picture, ring(x, y, 0, 0.455, 0.062, 0.052, 0.16), 480.0)
    paint(picture, disc(x, y, 0, 0.525, 0.022, 0.06, 0.2), 430.0)
    for side in (-1.0, 1.0):
        u, v = turned(x, y, side * 0.13, 0.45, side * 0.35)
        paint(picture, disc(u, v, 0, 0, 0.10, 0.025, 0.2), 400.0)
    if z < 0.62:
        cage_x, cage_y = wide - 0.13, deep - 0.11
        for k in range(7):
            angle = 0.35 + k * 0.42 + (z * 7.0) % 0.42
            if angle < 2.9:
                for side in (-1.0, 1.0):
                    cx, cy = side * cage_x * float(np.sin(angle)), cage_y * float(np.cos(angle))
                    u, v = turned(x, y, cx, cy, -side * (angle + 0.15))
                    paint(picture, disc(u, v, 0, 0, 0.085, 0.022, 0.25), 470.0)
    if z < 0.5:
        paint(picture, disc(x, y, 0, -deep + 0.10, 0.10, 0.025, 0.2), 330.0)
    if z > 0.84:
        wings = bump(z, 0.82, 1.25)
        for side in (-1.0, 1.0):
            u, v = turned(x, y, side * 0.46, 0.16, side * 0.75)
            paint(picture, disc(u, v, 0, 0, 0.30 * wings, 0.045, 0.15), 460.0)

    speckle = np.roll(grain(body.seed, size, size), (int(z * 997), int(z * 613)), axis=(0, 1))
    picture += noise * speckle
    return _twelve_bits(picture - CT_INTERCEPT)


_TISSUE = {
    # scalp, skull, fluid, grey, white
    "T1": (900.0, 60.0, 120.0, 430.0, 640.0),
    "T2": (620.0, 50.0, 1050.0, 560.0, 390.0),
    "FLAIR": (640.0, 50.0, 70.0, 610.0, 470.0),
    "DWI": (90.0, 30.0, 120.0, 480.0, 400.0),
}
MR_WEIGHTINGS = tuple(_TISSUE)


def mr(z: float, body: Body, *, size: int = 192, weighting: str = "T2") -> Words:
    """Return an axial slice of a head, 12 bits stored in 16, in arbitrary units.

    ``z`` is 0 at the skull base and 1 at the vertex; ``weighting`` is one of :data:`MR_WEIGHTINGS`.
    """
    scalp, skull, fluid, grey, white = _TISSUE[weighting]
    x, y = grid(size, size)
    whole = float(np.sqrt(max(0.03, 1 - (0.92 * max(0.0, z - 0.12)) ** 2.2)))
    wide, deep = 0.68 * whole * body.girth, 0.86 * whole * body.girth
    picture = np.zeros((size, size), np.float32)
    paint(picture, disc(x, y, 0, 0, wide, deep, 0.02), scalp)
    paint(picture, disc(x, y, 0, 0, wide - 0.05, deep - 0.05, 0.02), skull)
    paint(picture, disc(x, y, 0, 0, wide - 0.10, deep - 0.10, 0.02), fluid)

    angle = np.arctan2(y, x)
    folds = 0.045 * np.sin(19 * angle + 9 * z) + 0.03 * np.sin(31 * angle - 14 * z) + 0.03 * np.sin(47 * angle + 3.0)
    pattern = np.roll(texture(body.seed, size, size, 18), int(z * 40), axis=1)
    radius = np.sqrt((x / (wide - 0.125)) ** 2 + (y / (deep - 0.125)) ** 2)
    cortex = np.clip((1 - radius) / 0.05 + 0.5, 0, 1).astype(np.float32)
    sulci = np.clip((folds - 0.035) * 60, 0, 1) * np.clip((radius - 0.80) * 9, 0, 1)
    paint(picture, cortex, grey)
    paint(picture, (cortex * sulci).astype(np.float32), fluid)
    inner = np.clip((0.84 + 2.1 * folds + 0.05 * pattern - radius) / 0.06 + 0.5, 0, 1).astype(np.float32)
    paint(picture, inner, white)

    deep_grey = bump(z, 0.22, 0.62)
    if deep_grey:
        for side in (-1.0, 1.0):
            u, v = turned(x, y, side * 0.17, 0.02, side * 0.35)
            paint(picture, disc(u, v, 0, 0, 0.10 * deep_grey, 0.16 * deep_grey, 0.15), grey)
    horns = bump(z, 0.30, 0.74)
    if horns:
        for side in (-1.0, 1.0):
            for cy, tilt, length in ((-0.17, 0.38, 0.16), (0.24, -0.45, 0.19)):
                u, v = turned(x, y, side * (0.075 + 0.10 * abs(cy)), cy, side * tilt)
                paint(picture, disc(u, v, 0, 0, 0.045 * horns, length * horns, 0.15), fluid)
    if z < 0.26:
        paint(picture, disc(x, y, 0, 0.42, 0.36, 0.24, 0.08), grey)
        paint(picture, disc(x, y, 0, 0.05, 0.15, 0.13, 0.10), white)
        paint(picture, disc(x, y, 0, 0.20, 0.06, 0.045, 0.2), fluid)
        for side in (-1.0, 1.0):
            paint(picture, disc(x, y, side * 0.30, -deep + 0.18, 0.14, 0.14, 0.06), scalp * 0.8)
            paint(picture, disc(x, y, side * 0.30, -deep + 0.18, 0.115, 0.115, 0.06), fluid * 0.95)
    midline = np.exp(-((x / 0.012) ** 2)) * np.clip((radius - 0.35) * 4, 0, 1) * cortex
    paint(picture, (0.8 * midline).astype(np.float32), fluid)
    if body.lesion and 0.46 < z < 0.66:
        size_now = 0.10 * body.lesion * bump(z, 0.46, 0.66) + 1e-3
        glow = {"T1": 300.0, "T2": 980.0, "FLAIR": 1000.0, "DWI": 1150.0}[weighting]
        paint(picture, disc(x, y, -0.30, 0.22, size_now, size_now * 0.8, 0.35), glow)

    shading = 1 + 0.10 * x - 0.12 * y + 0.05 * pattern
    speckle = np.roll(grain(body.seed, size, size), (int(z * 977), int(z * 577)), axis=(0, 1))
    other = np.roll(grain(body.seed, size, size), (31 + int(z * 331), 57), axis=(0, 1))
    picture = np.hypot(picture * shading + 16 * speckle, 16 * other)
    return _twelve_bits(picture)


def chest(body: Body, *, rows: int = 512, columns: int = 448, lateral: bool = False) -> Words:
    """Return a chest projection, 12 bits stored in 16, dense parts bright (MONOCHROME2)."""
    x, y = grid(rows, columns)
    x = x / (0.94 * body.girth)
    rng = np.random.default_rng(body.seed)
    haze = clouds(rng, rows, columns, 6)
    branches = texture(body.seed + 5, rows, columns, 60)
    air = np.zeros((rows, columns), np.float32)
    dense = np.zeros((rows, columns), np.float32)
    if lateral:
        trunk = disc(x, y, 0, 0.05, 0.80, 1.45, 0.06)
        u, v = turned(x, y, 0.0, -0.08, 0.10)
        air += 1.35 * disc(u, v, 0, 0, 0.60, 0.82, 0.12)
        dome = np.clip((y - 0.52 - 0.22 * (x + 0.1) ** 2) * 9, 0, 1)
        dense += 0.55 * disc(x, y, -0.26, 0.28, 0.30, 0.34, 0.25)
        spine_x = 0.50 - 0.10 * np.cos(1.3 * y)
        spine = band(x - spine_x, 0.11)
        dense += 0.75 * spine * (0.85 + 0.25 * np.sign(np.sin(24 * y)))
        ribs = np.sin(17 * (y - 0.55 * x) + 1.0)
        dense += 0.16 * np.clip((ribs - 0.55) * 4, 0, 1) * (np.abs(x) < 0.72)
    else:
        trunk = np.clip(disc(x, y, 0, 0.25, 0.98, 1.40, 0.05) + disc(x, y, 0, -1.0, 0.30, 0.45, 0.08), 0, 1)
        for side in (-1.0, 1.0):
            u, v = turned(x, y, side * 0.43, -0.06, side * 0.12)
            wide = 0.33 + 0.06 * np.clip(v + 0.2, -0.5, 0.6)
            air += 1.25 * np.clip((1 - (u / wide) ** 2 - (v / 0.80) ** 2) * 4.5, 0, 1).astype(np.float32)
        centre = np.where(x < 0, -0.42, 0.42).astype(np.float32)
        dome = np.clip((y - (0.46 + 0.05 * (x > 0)) - 0.55 * (x - centre) ** 2) * 12, 0, 1)
        dense += 0.62 * disc(x, y, 0.15 + body.tilt, 0.30, 0.36, 0.30, 0.30)
        dense += 0.45 * disc(x, y, 0.10, -0.18, 0.14, 0.26, 0.5)
        dense += 0.55 * band(x, 0.10) * (0.9 + 0.12 * np.sign(np.sin(26 * y)))
        dense -= 0.45 * band(x, 0.05) * np.clip((-0.22 - y) * 6, 0, 1)
        cage = disc(x, y, 0, -0.02, 0.86, 0.95, 0.1)
        outer = (np.abs(x) > 0.3) & (np.abs(x) < 0.78)
        for k in range(9):
            start = -0.86 + 0.16 * k
            arch = y - (start + 0.30 * x * x + 0.10 * np.abs(x))
            dense += 0.15 * band(arch, 0.034) * cage
            front = y - (start + 0.34 - 0.42 * (np.abs(x) - 0.75))
            dense += 0.06 * band(front, 0.03) * outer
        for side in (-1.0, 1.0):
            u, v = turned(x, y, side * 0.44, -0.76, side * -0.22)
            dense += 0.30 * band(v, 0.035) * (np.abs(u) < 0.40)
            dense += 0.22 * np.exp(-(((x - side * 0.16) / 0.10) ** 2) - ((y - 0.02) / 0.14) ** 2)
        if body.lesion:
            dense += 0.40 * body.lesion * disc(x, y, -0.46, -0.26, 0.085, 0.085, 0.5)
    air *= (1 - dome) * trunk
    lungs = np.clip(air, 0, 1)
    path = 1.55 * trunk - 0.92 * air + dense * trunk
    path += lungs * (0.10 * np.clip(branches, 0, 2) + 0.05 * haze) + 0.04 * haze * trunk
    picture = 3600 * (1 - np.exp(-0.85 * np.clip(path, 0, None))) + 140
    picture += (10 + 12 * trunk) * rng.standard_normal((rows, columns), dtype=np.float32)
    mark = picture[rows // 24 : rows // 24 + 18, columns // 20 : columns // 20 + 12]
    mark[:, :3], mark[-3:, :] = 4000, 4000
    return _twelve_bits(picture)


def _fan(rows: int, columns: int) -> tuple[Floats, Floats, Floats]:
    """Return depth (0 at the probe, 1 at the bottom), angle (-1 to 1) and the mask of the sector."""
    y = np.linspace(-0.06, 1.02, rows, dtype=np.float32)[:, None]
    x = (np.linspace(-1, 1, columns, dtype=np.float32) * (0.54 * columns / rows)).astype(np.float32)[None, :]
    apex = 0.16
    far = np.hypot(x, y + apex)
    angle = np.arctan2(x, y + apex) / np.float32(0.66)
    depth = (far - apex - 0.06) / np.float32(0.92)
    mask = (depth > 0) & (depth < 1) & (np.abs(angle) < 1)
    return depth.astype(np.float32), angle.astype(np.float32), mask.astype(np.float32)


def sector(body: Body, *, frame: float = 0.0, rows: int = 240, columns: int = 320) -> Bytes:
    """Return an ultrasound sector image with speckle, 8 bits; ``frame`` (0 to 1) is the phase of a heart beat."""
    depth, angle, mask = _fan(rows, columns)
    beat = 0.06 * float(np.sin(2 * np.pi * frame))
    tissue = 0.40 + 0.14 * texture(body.seed, rows, columns, 9)
    px, py = angle * (0.25 + 0.75 * depth), depth
    cortex = 0.26 + 0.06 * texture(body.seed + 3, rows, columns, 24)
    paint(tissue, disc(px, py, -0.10, 0.52 + beat / 3, 0.42, 0.22, 0.10), cortex)
    paint(tissue, disc(px, py, -0.08, 0.52 + beat / 3, 0.20, 0.085, 0.25), 1.1)
    paint(tissue, disc(px, py, 0.42, 0.60, 0.15 + beat / 2, 0.12 + beat / 2, 0.12), 0.03)
    if body.lesion:
        paint(tissue, disc(px, py, -0.32, 0.34, 0.10 * body.lesion, 0.07 * body.lesion, 0.2), 0.22)
    wall = np.exp(-(((depth - 0.10 - 0.02 * angle) / 0.014) ** 2)) + 0.8 * np.exp(-(((depth - 0.86) / 0.02) ** 2))
    tissue += 0.5 * wall
    tissue *= 1 + 0.9 * np.exp(-(((angle - 0.52) / 0.10) ** 2)) * np.clip((depth - 0.70) * 5, 0, 1)
    a = np.roll(grain(body.seed, rows, columns), int(frame * 211), axis=1)
    b = np.roll(grain(body.seed + 1, rows, columns), int(frame * 127), axis=0)
    a, b = a + np.roll(a, 1, axis=1) + np.roll(a, 2, axis=1), b + np.roll(b, 1, axis=1) + np.roll(b, 2, axis=1)
    speckle = np.hypot(a, b) / np.float32(2.17)
    echo = np.clip(tissue, 0.01, None) * speckle * (1.25 - 0.65 * depth)
    shown = 255 * np.clip(0.66 + 0.42 * np.log10(echo + 1e-3), 0, 1) * mask
    top, bottom = rows // 8, rows * 7 // 8
    shown[top:bottom, columns - 12 : columns - 6] = np.linspace(250, 5, bottom - top)[:, None]
    out: Bytes = np.clip(shown, 0, 255).astype(np.uint8)
    return out


def doppler(body: Body, *, frame: float = 0.0, rows: int = 240, columns: int = 320) -> Bytes:
    """Return a colour Doppler image: the sector in grey with a box of red and blue flow, RGB by pixel."""
    grey = sector(body, frame=frame, rows=rows, columns=columns)
    colour = np.repeat(grey[:, :, None], 3, axis=2)
    depth, angle, mask = _fan(rows, columns)
    box = (np.abs(angle + 0.15) < 0.42) & (depth > 0.34) & (depth < 0.74) & (mask > 0)
    speed = texture(body.seed + 7, rows, columns, 12)
    speed = (speed - speed[box].mean()) * (0.75 + 0.35 * np.float32(np.sin(2 * np.pi * frame)))
    towards, away = box & (speed > 0.42), box & (speed < -0.42)
    strength = np.clip(np.abs(speed) * 120 + 60, 0, 255).astype(np.uint8)
    colour[towards] = np.stack([strength, strength // 5, strength // 12], axis=-1)[towards]
    colour[away] = np.stack([strength // 12, strength // 4, strength], axis=-1)[away]
    edge = box & ~(np.roll(box, 1, 0) & np.roll(box, -1, 0) & np.roll(box, 1, 1) & np.roll(box, -1, 1))
    colour[edge] = (210, 210, 60)
    return np.ascontiguousarray(colour)


def breast(body: Body, *, left: bool, oblique: bool, rows: int = 512, columns: int = 384) -> Words:
    """Return a mammogram, 12 bits stored in 16, dense parts bright.

    The chest wall is at the left edge of a left breast; ``oblique`` is the MLO view, otherwise CC.
    """
    rng = np.random.default_rng(body.seed + 2 * left + oblique)
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(0, 1.5, columns, dtype=np.float32)[None, :]
    sag = 0.10 if oblique else 0.0
    reach = (0.98 if oblique else 0.88) * body.girth
    square = (x / reach) ** 2 + ((y - sag) / 0.80) ** 2
    thick = np.sqrt(np.clip(1 - square, 0, 1))
    inside = thick > 0
    gland = clouds(rng, rows, columns, 7)
    for cells, weight in ((16, 0.7), (40, 0.5)):
        gland = gland + weight * clouds(rng, rows, columns, cells)
    fan = np.exp(-(((x - 0.42 * reach) / 0.34) ** 2) - ((y - sag) / 0.42) ** 2)
    strands = np.clip(np.abs(gland) * -1.2 + 0.9, 0, 1)
    path = thick * (1.0 + 0.55 * fan * (1 + 0.5 * gland) + 0.30 * strands * fan) * inside
    picture = 260 + 1750 * np.clip(path, 0, None) ** 0.85
    picture += 420 * np.exp(-(((square - 0.985) / 0.02) ** 2)) * (square < 1.0)
    picture += 500 * np.exp(-(((x - reach) / 0.022) ** 2) - (((y - sag) / 0.03) ** 2))
    if oblique:
        muscle = np.clip((0.48 - x - 0.42 * (y + 0.95)) * 14, 0, 1)
        picture += muscle * inside * (900 + 60 * gland)
    if body.lesion and left:
        picture += 650 * body.lesion * disc(x, y, 0.46, sag - 0.18, 0.055, 0.05, 0.5)
        for _ in range(9):
            cx, cy = 0.5 + 0.07 * rng.standard_normal(), sag + 0.2 + 0.06 * rng.standard_normal()
            picture += 1100 * disc(x, y, float(cx), float(cy), 0.008, 0.008, 0.8)
    picture = np.where(inside, picture, 60.0)
    picture += (6 + 18 * inside) * rng.standard_normal((rows, columns), dtype=np.float32)
    out = _twelve_bits(picture)
    return out if left else np.ascontiguousarray(out[:, ::-1])
