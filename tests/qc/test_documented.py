"""The documentation says the points that are given."""

from __future__ import annotations

from pathlib import Path

from pacstui.qc.scoring import POINTS
from pacstui.settings.qc import QcSettings


def test_the_points_are_documented_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "docs" / "matching.md").read_text("utf-8")
    for attribute, points in POINTS.items():
        assert f"| {attribute} | {' | '.join(map(str, points))} |" in text
    assert f"`[qc] matched_score` ({QcSettings().matched_score})" in text
    assert f"`[qc] probable_score` ({QcSettings().probable_score})" in text
    assert f"`prior_days` ({QcSettings().prior_days})" in text
