"""Calling the engine: one payload to fills, equity and expanded metrics (`backtest_engine.md` 17.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from simulation.payload import Floats, Ints, MarketSettings, Payload, build_backtest_payload
from simulation.results import expand_analysis

RunOutcome = tuple[npt.NDArray[np.object_] | None, Floats | None, dict[str, Any]]


def execute_backtest(payload: Payload, config: Mapping[str, Any]) -> RunOutcome:
    """`(fills, equities, analysis)`: object [n, 18], float64 [m, 3] (both None with `metrics_only`), expanded metrics.

    Raises ValueError naming field and row when the engine refuses its input.
    """
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    fills, equities, usd, btc = passivbot_rust.backtest_multi_coin(
        payload.bundle, payload.bot_params_list, payload.exchange_params, payload.backtest_params
    )
    return fills, equities, expand_analysis(usd, btc, fills, equities, config)


def run_backtest(
    hlcvs: Floats,
    mss: Mapping[str, MarketSettings],
    config: Mapping[str, Any],
    exchange: str,
    btc_usd_prices: Floats,
    timestamps: Ints | None = None,
) -> RunOutcome:
    """Build the payload of `simulation.payload` and run it."""
    payload = build_backtest_payload(hlcvs, mss, config, exchange, btc_usd_prices, timestamps)
    return execute_backtest(payload, config)
