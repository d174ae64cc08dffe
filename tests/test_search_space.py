"""The search space: bounds on a grid, enforcing, rounding (`optimizer_pareto_tools.md` 2)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from config.bounds import Bound, parse_bound
from core.errors import ConfigError
from optimization.gene_overrides import rules_of
from optimization.space import Gene, SearchSpace, round_dynamic, round_significant


def gene(low: float, high: float, step: float | None = None, name: str = "long_n_positions") -> Gene:
    return SearchSpace.of({name: Bound(low, high, step)}, 3).genes[0]


@pytest.mark.parametrize(
    ("bound", "last"),
    [((7, 20, 1), 13), ((200, 1440, 10), 124), ((0.1, 1.0, 0.25), 3), ((0, 0.3, 0.1), 3), ((5, 5, 1), 0)],
)
def test_last_index(bound: tuple[float, float, float], last: int) -> None:
    """The index of the last grid point, float noise forgiven."""
    assert gene(*bound).last_index == last


@pytest.mark.parametrize(
    ("bound", "pairs"),
    [
        ((7, 20, 1), {7.49: 7, 7.5: 8, 8.5: 9, 13.4999: 13, 19.5: 20, 25: 20}),
        ((0.1, 1.0, 0.25), {-1: 0.1, 0.22: 0.1, 0.2249: 0.1, 0.225: 0.35, 0.5: 0.6, 0.97: 0.85, 2: 0.85}),
    ],
)
def test_quantize(bound: tuple[float, float, float], pairs: dict[float, float]) -> None:
    """The nearest grid point, halves up."""
    found = {value: gene(*bound).quantize(value) for value in pairs}
    assert found == pytest.approx(pairs, abs=0, rel=1e-15)


def test_value_at() -> None:
    """Grid points by place, clamped."""
    grid = gene(7, 20, 1)
    assert [grid.value_at(x) for x in (-0.4, 0.49, 0.5, 12.5, 99)] == [7, 7, 8, 20, 20]


def test_enforce() -> None:
    """Grid genes are quantised, others rounded, then clamped; fixed ones keep all digits."""
    bounds = {
        "long_a": Bound(0.001, 0.05), "long_b": Bound(7, 20, 1), "long_c": Bound(0.01234, 0.01234),
        "short_d": Bound(-1, 1),
    }  # fmt: skip
    values = [0.0123456, 12.7, 9.0, -0.98765]
    expected = {
        3: (0.0123, 13, 0.01234, -0.988),
        None: (0.0123456, 13, 0.01234, -0.98765),
        0: (0.001, 13, 0.01234, -1.0),
    }
    for digits, vector in expected.items():
        assert SearchSpace.of(bounds, digits).enforce(values) == vector
    with pytest.raises(ConfigError, match="3 numbers does not fit 4 bounds"):
        SearchSpace.of(bounds, 3).enforce(values[:3])


def test_enforcing_twice_may_move_a_value() -> None:
    """A bound with more digits than are kept."""
    space = SearchSpace.of({"long_a": Bound(0.001, 0.01231)}, 3)
    assert space.enforce([0.02]) == (0.01231,)
    assert space.enforce([0.01231]) == (0.0123,)


@pytest.mark.parametrize(
    ("value", "digits", "genes", "archive"),
    [
        (0.0123456, 3, 0.0123, 0.0123), (1234.5, 3, 1230.0, 1230.0), (2.5, 1, 2.0, 3.0), (3.5, 1, 4.0, 4.0),
        (0.125, 2, 0.12, 0.13), (26.5, 2, 26.0, 27.0), (-0.45, 1, -0.5, -0.5), (1e-12, 3, 1e-12, 0.0),
        (1.23456e-7, 3, 1.23e-7, 1.23e-7), (1.23456e-9, 3, 1.23e-9, 1.2e-9), (0.0, 3, 0.0, 0.0),
    ],
)  # fmt: skip
def test_two_roundings(value: float, digits: int, genes: float, archive: float) -> None:
    """Genes: decimal, ties to even. Archive and perturbation: the engine's, ties away from zero, ten decimals."""
    assert round_significant(value, digits) == genes
    assert round_dynamic(value, digits) == archive


def test_random_values() -> None:
    """Grid points only, each of them; without a grid below the high end."""
    rng = np.random.default_rng(1)
    assert {gene(7, 20, 1).random(rng) for _ in range(300)} == set(range(7, 21))
    assert all(0.1 <= gene(0.1, 0.2).random(rng) < 0.2 for _ in range(100))
    assert gene(5, 5).random(rng) == 5


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        (5, (5, 5, None)), ([5], (5, 5, None)), ([3, 1], (1, 3, None)), ([7, 20, 1], (7, 20, 1)),
        ([1, 2, None], (1, 2, None)), ([1, 2, "x"], (1, 2, None)), ([1, 2, 0], (1, 2, None)), ([1, 2, 5], (1, 2, None)),
        ([5, 5, 1], (5, 5, 1)), ([1, 2, 3, 4], (1, 2, None)),
    ],
)  # fmt: skip
def test_parsed_bounds(value: object, bound: tuple[float, float, float | None]) -> None:
    """What a bound may look like (2.2)."""
    assert parse_bound("optimize.bounds.x", value) == Bound(*bound)


def test_vector_to_sides_and_back() -> None:
    """The genes of each side under their keys; what is missing or no number is named."""
    space = SearchSpace.of({"long_a": Bound(0, 1), "short_b_c": Bound(0, 1)}, 3)
    assert space.sides((0.25, 0.5)) == {"long": {"a": 0.25}, "short": {"b_c": 0.5}}
    assert space.values({"long": {"a": 1}, "short": {"b_c": 2}}) == [1.0, 2.0]
    for bad in ({}, {"b_c": None}, {"b_c": math.nan}):
        with pytest.raises(ConfigError, match=r"bot\.short\.b_c"):
            space.values({"long": {"a": 1}, "short": bad})


def test_gene_overrides() -> None:
    """The rules of 2.8, the last one winning; an unknown name is an error."""

    def applied(*names: str) -> dict[str, float]:
        side = {
            "close_trailing_threshold_pct": 0.01, "close_trailing_retracement_pct": 0.02,
            "close_grid_markup_start": 0.03, "close_grid_markup_end": 0.01,
        }  # fmt: skip
        for rule in rules_of(names):
            rule(side)
        return side

    found = applied("lossless_close_trailing", "forward_tp_grid")
    assert list(found.values()) == [0.02, 0.02, 0.01, 0.03]
    assert list(applied("forward_tp_grid", "backward_tp_grid").values()) == [0.01, 0.02, 0.03, 0.01]
    assert applied("example") == applied()
    with pytest.raises(ConfigError, match="mirror"):
        rules_of(["mirror_short_from_long"])
