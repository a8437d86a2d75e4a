from __future__ import annotations

import numpy as np
import pytest

from pacstui.practice import phantoms
from pacstui.practice.phantoms import Body

BODY = Body(seed=11, lesion=1.0)


def test_a_ct_slice_has_air_lung_soft_tissue_and_bone_where_they_belong() -> None:
    hounsfield = phantoms.ct(0.3, BODY, noise=0.0).astype(int) + phantoms.CT_INTERCEPT
    assert hounsfield.shape == (256, 256)
    assert hounsfield[2, 2] < -900  # air around
    assert np.median(hounsfield[100:140, 60:90]) < -700  # lung
    assert hounsfield[128 + 42, 128 + 12] > 100  # rim of a vertebra
    assert -120 < hounsfield[128, 128 - 100] < 80  # wall of the chest


@pytest.mark.parametrize("weighting", phantoms.MR_WEIGHTINGS)
def test_slices_vary_along_the_body(weighting: str) -> None:
    assert np.abs(phantoms.ct(0.2, BODY).astype(int) - phantoms.ct(0.7, BODY)).mean() > 50
    low, high = phantoms.mr(0.2, BODY, weighting=weighting), phantoms.mr(0.9, BODY, weighting=weighting)
    assert np.count_nonzero(low > 200) > 1.5 * np.count_nonzero(high > 200)


def test_fluid_is_bright_in_t2_and_dark_in_flair() -> None:
    ventricle = (slice(76, 82), slice(87, 90))
    t2 = phantoms.mr(0.52, BODY, weighting="T2")[ventricle].mean()
    flair = phantoms.mr(0.52, BODY, weighting="FLAIR")[ventricle].mean()
    assert t2 > 2 * flair


def test_twelve_bit_pictures_fit_and_use_their_range() -> None:
    pictures = [
        phantoms.ct(0.5, BODY),
        phantoms.chest(BODY),
        phantoms.chest(BODY, lateral=True),
        phantoms.breast(BODY, left=True, oblique=True),
    ]
    for picture in pictures:
        assert picture.dtype == np.uint16
        assert picture.flags.c_contiguous
        assert picture.max() <= 4095
        assert picture.max() - picture.min() > 1000


def test_a_right_breast_lies_at_the_right_edge() -> None:
    left, right = (phantoms.breast(BODY, left=side, oblique=False) for side in (True, False))
    assert left[:, :40].mean() > 4 * left[:, -40:].mean()
    assert right[:, -40:].mean() > 4 * right[:, :40].mean()
    assert right.flags.c_contiguous


def test_the_colour_patch_is_colour_and_the_rest_is_grey() -> None:
    picture = phantoms.doppler(BODY)
    coloured = (picture.max(axis=2).astype(int) - picture.min(axis=2)) > 20
    assert picture.shape == (240, 320, 3)
    assert 300 < np.count_nonzero(coloured) < coloured.size / 4


def test_the_same_body_gives_the_same_picture_and_another_does_not() -> None:
    assert (phantoms.ct(0.4, BODY) == phantoms.ct(0.4, Body(seed=11, lesion=1.0))).all()
    assert (phantoms.sector(BODY) != phantoms.sector(Body(seed=12))).any()


@pytest.mark.parametrize("size", [64, 512])
def test_sizes_can_be_chosen(size: int) -> None:
    assert phantoms.ct(0.5, BODY, size=size).shape == (size, size)
    assert phantoms.mr(0.5, BODY, size=size).shape == (size, size)
