"""A row of the engine's numbers as named metrics, as `simulation.results.expand_analysis` names them, but quickly.

Which number goes where is worked out once: a search reads hundreds of rows a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import passivbot_rust as pbr

from config.objectives import CURRENCY_METRICS
from core.terms import PSIDES, Pside
from simulation.results import PER_EXPOSURE_METRICS

Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class _Column:
    """A metric: its place in the row, the place to look when that has no number, the side whose limit divides it."""

    name: str
    place: int
    otherwise: int
    pside: Pside | None = None


def _columns() -> Iterator[_Column]:
    names = [row[0] for row in pbr.metric_table()]
    places = {name: place for place, name in enumerate(names)}
    for name, place in places.items():
        if name in CURRENCY_METRICS:
            yield _Column(f"{name}_usd", place, place)
            yield _Column(f"{name}_btc", place + len(names), place + len(names))
        else:
            yield _Column(name, place, place + len(names))
    for pside in PSIDES:
        for name in PER_EXPOSURE_METRICS:
            for currency, start in (("usd", 0), ("btc", len(names))):
                place = places[name] + start
                yield _Column(f"{name}_per_exposure_{pside}_{currency}", place, place, pside)


_COLUMNS = sorted(_columns(), key=lambda column: column.name)
_NAMES = tuple(column.name for column in _COLUMNS)
_PLACES = np.array([column.place for column in _COLUMNS])
_OTHERWISE = np.array([column.otherwise for column in _COLUMNS])
_OF_SIDE = {pside: np.array([column.pside == pside for column in _COLUMNS]).nonzero()[0] for pside in PSIDES}


def metric_values(row: npt.NDArray[np.float64], exposure_limits: Mapping[Pside, float]) -> Metrics:
    """The finite metrics of a run, sorted by name; one that is not finite is absent.

    `row` is float64 [106] of `passivbot_rust.backtest_batch`, `exposure_limits` each side's
    `total_wallet_exposure_limit` in that run.
    """
    values = row[_PLACES]
    values = np.where(np.isnan(values), row[_OTHERWISE], values)
    for pside, places in _OF_SIDE.items():
        values[places] = _per_exposure(values[places], exposure_limits[pside])
    numbers = values.tolist()
    if np.isfinite(values).all():
        return dict(zip(_NAMES, numbers, strict=True))
    return {name: value for name, value in zip(_NAMES, numbers, strict=True) if math.isfinite(value)}


def _per_exposure(values: npt.NDArray[np.float64], limit: float) -> npt.NDArray[np.float64]:
    """A value per unit of the limit, 0 without one; what is no number stays none."""
    if limit > 0.0:
        with np.errstate(over="ignore"):
            return values / limit
    return np.where(np.isnan(values), values, 0.0)
