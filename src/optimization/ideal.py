"""The ideal point of a front, and who is closest to it (`optimizer_pareto_tools.md` 7); objectives are minimised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from core.errors import UsageError

Floats = npt.NDArray[np.float64]

MODES = ("min", "weighted", "utopian", "percentile", "midrange", "geomedian")
ALIASES = {"m": "min", "w": "weighted", "u": "utopian", "p": "percentile", "mi": "midrange", "g": "geomedian"}

_UTOPIAN_STEP = 0.001
_PERCENTILE = 10.0
_WEISZFELD_STEPS = 10
_WEISZFELD_STOP = 1e-9


def mode_name(text: str) -> str:
    """The mode a name or its alias means. Raises UsageError."""
    name = ALIASES.get(text.strip().lower(), text.strip().lower())
    if name not in MODES:
        raise UsageError(f"mode {text!r} does not exist: use {', '.join(MODES)} ({', '.join(ALIASES)})")
    return name


def weight_vector(weights: Sequence[float], count: int) -> Floats:
    """One weight an objective; a single one counts for all. Raises UsageError for another number of weights."""
    if len(weights) not in (1, count):
        raise UsageError(f"{len(weights)} weights for {count} objectives: give one, or one an objective")
    return np.broadcast_to(np.asarray(weights, dtype=np.float64), (count,))


def ideal_point(points: Floats, mode: str = "min", weights: Sequence[float] = (0.0,)) -> Floats:
    """The point to aim at, f64[m], for `points` f64[n, m], n > 0. `weights` count in the mode `weighted` only."""
    low, width = points.min(axis=0), np.ptp(points, axis=0)
    if mode == "weighted":
        return np.asarray(low + weight_vector(weights, points.shape[1]) * width)
    return _IDEALS[mode](points, low, width)


def _geometric_median(points: Floats) -> Floats:
    """The point of the smallest sum of distances, as far as a few Weiszfeld steps from the mean go."""
    centre = np.asarray(points.mean(axis=0))
    for _ in range(_WEISZFELD_STEPS):
        distance = np.linalg.norm(points - centre, axis=1)
        apart = distance > 0.0  # a point that the centre has reached would weigh infinitely much
        if not apart.any():
            break
        pull = 1.0 / distance[apart]
        moved = np.asarray((points[apart] * pull[:, None]).sum(axis=0) / pull.sum())
        step = float(np.linalg.norm(moved - centre))
        centre = moved
        if step < _WEISZFELD_STOP:
            break
    return centre


_IDEALS: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "min": lambda points, low, width: low,
    "utopian": lambda points, low, width: low - _UTOPIAN_STEP * width,
    "percentile": lambda points, low, width: np.percentile(points, _PERCENTILE, axis=0),
    "midrange": lambda points, low, width: (low + points.max(axis=0)) / 2.0,
    "geomedian": lambda points, low, width: _geometric_median(points),
}


def scaled(points: Floats, reference: Floats) -> Floats:
    """`points` with the lowest of each column of `reference` at 0 and the highest at 1; constant columns stay."""
    low, width = reference.min(axis=0), np.ptp(reference, axis=0)
    varies = width > 0.0
    return np.where(varies, (points - low) / np.where(varies, width, 1.0), points)


def distances(points: Floats, ideal: Floats) -> Floats:
    """Euclidean distance of each point to the ideal, f64[n], every column scaled by its own range."""
    return np.asarray(np.linalg.norm(scaled(points, points) - scaled(ideal, points), axis=1))
