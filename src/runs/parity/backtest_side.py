"""The engine's trades of a span."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.clock import MINUTE_MS
from core.terms import Pside
from runs.parity.span import Span
from runs.parity.trades import Trade
from simulation.market_settings import META
from simulation.payload import build_backtest_payload
from simulation.results import FILL_COLUMNS
from simulation.run import execute_backtest

EXCHANGE = "parity"
CUBE_FIELDS = ("h", "l", "c", "bv")


def backtest_trades(span: Span) -> list[Trade]:
    """The fills of the engine, in its order. Its last row fills nothing: it gets one more than is compared."""
    end_ms = span.last_ms + MINUTE_MS
    timestamps = np.arange(span.first_ms, end_ms + MINUTE_MS, MINUTE_MS, dtype=np.int64)
    rows = [span.market.finished(item, span.first_ms, end_ms) for item in span.items]
    hlcvs = np.stack([np.stack([candles[name] for name in CUBE_FIELDS], axis=1) for candles in rows], axis=1)
    config = {**span.config, "backtest": {**span.config["backtest"], "coins": {EXCHANGE: span.coins}}}
    settings: dict[str, dict[str, Any]] = {
        item.market.coin: {
            "symbol": item.symbol, "coin": item.market.coin, "exchange": EXCHANGE, "quote": item.market.quote,
            "base": item.market.base, "qty_step": item.market.qty_step, "price_step": item.market.price_step,
            "min_qty": item.market.min_qty, "min_cost": item.market.min_cost, "c_mult": item.market.c_mult,
            "maker": item.market.maker_fee, "taker": item.market.taker_fee,
        }
        for item in span.items
    }  # fmt: skip
    settings[META] = {"requested_start_ts": span.planned_ms, "effective_start_ts": span.first_ms}
    btc_usd = np.ones(len(timestamps))
    payload = build_backtest_payload(hlcvs, settings, config, EXCHANGE, btc_usd, timestamps)
    payload.backtest_params["coins"] = span.coins
    fills, _, _ = execute_backtest(payload, config)
    rows_of_fills = [dict(zip(FILL_COLUMNS, row, strict=True)) for row in (() if fills is None else fills)]
    return [
        Trade(int(row["timestamp"]), row["coin"], _pside(row["type"]), row["qty"], row["price"], row["type"])
        for row in rows_of_fills
        if row["timestamp"] <= span.last_ms
    ]


def _pside(order_type: str) -> Pside:
    return "short" if order_type.endswith("short") else "long"
