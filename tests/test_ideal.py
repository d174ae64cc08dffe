"""Ideal point and distance: every example of optimizer_pareto_tools.md 7."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import UsageError
from optimization.ideal import MODES, distances, ideal_point, mode_name, scaled

POINTS = np.array([(0, 10), (1, 6), (2, 5), (5, 2), (9, 1), (10, 0)], dtype=float)


@pytest.mark.parametrize(
    ("mode", "weights", "expected"),
    [
        ("min", (0.0,), (0, 0)),
        ("weighted", (0.1, 0.2), (1, 2)),
        ("weighted", (0.0,), (0, 0)),
        ("weighted", (0.5,), (5, 5)),
        ("utopian", (0.0,), (-0.01, -0.01)),
        ("percentile", (0.0,), (0.5, 0.5)),
        ("midrange", (0.0,), (5, 5)),
        ("geomedian", (0.0,), (3.97969235, 3.84816391)),
    ],
)
def test_ideal_of_the_example(mode: str, weights: tuple[float, ...], expected: tuple[float, float]) -> None:
    """The modes on the points of 6.5."""
    assert ideal_point(POINTS, mode, weights) == pytest.approx(expected, abs=5e-9)


def test_distances_of_the_example() -> None:
    """To the ideal (0, 0); of equally near members the first is the closest."""
    found = distances(POINTS, np.zeros(2))
    assert found == pytest.approx([1, 0.60827625, 0.53851648, 0.53851648, 0.90553851, 1], abs=5e-9)
    assert int(np.argmin(found)) == 2


def test_constant_columns_are_not_scaled() -> None:
    """A column without width adds its plain difference."""
    points = np.array([(0.0, 7.0), (4.0, 7.0)])
    assert scaled(points, points).tolist() == [[0.0, 7.0], [1.0, 7.0]]
    assert distances(points, np.array([0.0, 5.0])) == pytest.approx([2.0, np.sqrt(5.0)])


@pytest.mark.parametrize("mode", MODES)
def test_one_member(mode: str) -> None:
    """A front of one: it is its own ideal."""
    point = np.array([[3.0, -2.0]])
    assert ideal_point(point, mode) == pytest.approx(point[0])
    assert distances(point, ideal_point(point, mode)) == pytest.approx([0.0])


def test_geometric_median_of_a_point_it_stands_on() -> None:
    """Starting on a member does not divide by zero."""
    cross = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)], dtype=float)
    assert ideal_point(cross, "geomedian") == pytest.approx((0, 0))


def test_names_and_weights() -> None:
    """Modes have short names; other words, and a wrong number of weights, are errors."""
    short = ["m", "w", "u", "p", "mi", "g"]
    assert [mode_name(text) for text in short] == list(MODES)
    assert [mode_name(mode.upper()) for mode in MODES] == list(MODES)
    with pytest.raises(UsageError, match="mode 'best' does not exist"):
        mode_name("best")
    with pytest.raises(UsageError, match="3 weights for 2 objectives"):
        ideal_point(POINTS, "weighted", (1, 2, 3))
