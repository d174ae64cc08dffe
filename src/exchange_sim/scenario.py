"""A regression as one file (`exchange_simulator.md` 11): a market, an account, faults at times, and what must hold.

{
    about: "a human closes the position"
    // minute: price, straight lines in between, for each coin
    prices: {BTC: {"0": 95000, "30": 93000}}
    minutes: 30
    // as POST /sim/v1/account takes it
    account: {balance: 1000, positions: [{symbol: "BTC/USDT:USDT", size: 0.01, entry: 95000}]}
    // laid over the config that the bot runs on
    config: {live: {hedge_mode: false}}
    // as POST /sim/v1/faults takes them, from their minute on
    faults: [{at: 5, action: "external_position", market: "BTCUSDT", size: 0}]
    // Python expressions that must be true after the cycle of their minute
    checks: [{at: 7, expr: "not positions and not orders"}]
}

In a check stand `balance`, `equity`, `positions`, `orders`, `fills` (lists of records as the control interface shows
them), `minute`, `requests` (method and path of all so far) and `errors` (texts of the cycles that failed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from config.text import read_hjson
from core.clock import DAY_MS, MINUTE_MS
from core.dates import date_to_ts
from core.errors import ConfigError
from exchange_sim.control_accounts import AccountControl
from exchange_sim.market import Instrument, VenueMarket
from exchange_sim.server import SimServer
from markets import sample
from markets.candle import CANDLE_DTYPE, REST, Candles
from markets.market import market_of

START_MS = date_to_ts("2025-02-03")
HISTORY_DAYS = 400  # before minute 0, at its price
BTC, BTC_PRICE = "BTC", 95000.0
KEYS = ("about", "prices", "minutes", "account", "config", "faults", "checks")


@dataclass(frozen=True, slots=True)
class Check:
    """An expression that must be true after a minute's cycle."""

    at: int
    expr: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a file says; `prices` by coin, `account` and `config` as they stand in it."""

    name: str
    about: str
    prices: Mapping[str, Mapping[int, float]]
    minutes: int
    account: Mapping[str, Any]
    config: Mapping[str, Any]
    faults: tuple[Mapping[str, Any], ...]
    checks: tuple[Check, ...]

    def market(self) -> VenueMarket:
        """The contracts of the sample market's table at the scenario's prices."""
        table = {str(entry["base"]): entry for entry in sample.ccxt_markets().values()}
        if unknown := sorted(set(self.prices) - set(table)):
            raise ConfigError(f"{self.name}: no contract of {unknown[0]}; there are {', '.join(table)}")
        prices = {BTC: {0: BTC_PRICE}, **self.prices}  # Binance's clock is read off its ticker
        launch = START_MS - HISTORY_DAYS * DAY_MS
        items = [Instrument(table[coin]["id"], market_of(table[coin], sample.EXCHANGE), launch) for coin in prices]
        lines = {item.symbol: prices[item.market.coin] for item in items}
        return VenueMarket(items, lambda symbol, start, end: _candles(lines[symbol], start, end), self.about)

    def prepare(self, sim: SimServer, protocol: str, key: str) -> None:
        """Make the account what the file says."""
        if self.account:
            AccountControl(sim.venue).put({"protocol": protocol, "key": key, "hedge": True, **self.account})

    def strike(self, sim: SimServer, minute: int) -> None:
        """Add the faults of a minute."""
        for fault in self.faults:
            if fault["at"] == minute:
                sim.faults.add_mapping({name: value for name, value in fault.items() if name != "at"})

    def failures(self, sim: SimServer, minute: int, errors: Sequence[str]) -> list[str]:
        """The checks of a minute that do not hold, with what there was instead."""
        due = [check for check in self.checks if check.at == minute]
        if not due:
            return []
        state = AccountControl(sim.venue).show({})
        names = {
            **{name: state[name] for name in ("balance", "equity", "positions", "orders", "fills")},
            "minute": minute,
            "requests": [f"{record.method} {record.path}" for record in sim.requests],
            "errors": list(errors),
        }
        shown = {name: value for name, value in names.items() if name != "requests"}
        return [
            f"{self.name}, minute {minute}: {check.expr} does not hold; {shown}"
            for check in due
            if not eval(check.expr, {"len": len, "sum": sum, "abs": abs, "any": any, "all": all}, names)
        ]


def read_scenario(path: Path) -> Scenario:
    """The scenario of a file. Raises ConfigError naming file and key."""
    content = read_hjson(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is {type(content).__name__}, an object is needed")
    for key in content:
        if key not in KEYS:
            raise ConfigError(f"{path} has unknown key {key}; known are {', '.join(KEYS)}")
    for key in ("prices", "minutes", "checks"):
        if not content.get(key):
            raise ConfigError(f"{path} has no {key}")
    prices = {coin: {int(at): float(price) for at, price in line.items()} for coin, line in content["prices"].items()}
    checks = tuple(Check(int(check["at"]), str(check["expr"])) for check in content["checks"])
    minutes = int(content["minutes"])
    if late := [check.at for check in checks if check.at >= minutes]:
        raise ConfigError(f"{path}: a check at minute {late[0]} comes never, there are {minutes} minutes")
    return Scenario(
        path.stem,
        str(content.get("about", "")),
        prices,
        minutes,
        content.get("account", {}),
        content.get("config", {}),
        tuple(content.get("faults", ())),
        checks,
    )


def _candles(line: Mapping[int, float], start_ts: int, end_ts: int) -> Candles:
    """Minutes along a line of prices; before its first point and after its last it is level."""
    opens = np.arange(start_ts, end_ts + MINUTE_MS, MINUTE_MS, dtype=np.int64)
    at, prices = zip(*sorted(line.items()), strict=True)
    rows = np.zeros(len(opens), CANDLE_DTYPE)
    rows["ts"], rows["src"], rows["bv"] = opens, REST, 1000.0
    minutes = (opens - START_MS) / MINUTE_MS
    rows["o"] = np.interp(minutes, at, prices)
    rows["c"] = np.interp(minutes + 1.0, at, prices)
    rows["h"], rows["l"] = np.maximum(rows["o"], rows["c"]), np.minimum(rows["o"], rows["c"])
    return rows
