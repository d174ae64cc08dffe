"""Golden cases from the command line: import, prepare, run; the fills equal those of the engine on a slice made here.

Edits of a case's config as `additions.md` 11 permits them: one exchange, dates inside the data, no minimum age, markets
in the import format, BTC/USD imported as BTC's candles where the set has no BTC.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import passivbot_rust as pbr
import pytest
from programs import only_result, run_program

MINUTE_MS = 60_000
FILL_COLUMNS = [
    "index", "timestamp", "coin", "pnl", "fee_paid", "usd_total_balance", "btc_cash_wallet", "usd_cash_wallet",
    "btc_price", "qty", "price", "psize", "pprice", "type", "wallet_exposure", "twe_long", "twe_short", "twe_net",
]  # fmt: skip
SPANS = ["ema_span_0", "ema_span_1", "filter_volume_ema_span", "filter_volatility_ema_span"]
MARKET_KEYS = ["qty_step", "price_step", "min_qty", "min_cost", "c_mult"]
CASES = [
    ("um_2023aug_oct_2-06-both-grid", "2023-08-20", "2023-10-10"),
    ("syn_late_delist_5-03-both-mix", "2024-01-06", "2024-01-31"),
    ("um_2023jul_aug_11-04-both-mix", "2023-07-27", "2023-08-15"),
]


class Slice:
    """A golden dataset cut to a config's dates, prepared without any code of the product."""

    def __init__(self, dataset: Path, config: dict[str, Any]) -> None:
        self.config = config
        self.markets = json.loads((dataset / "markets.json").read_text())
        self.coins: list[str] = json.loads((dataset / "dataset.json").read_text())["coins"]
        start, end = (self.ms(config["backtest"][key]) for key in ("start_date", "end_date"))
        self.requested = start
        self.warmup = {coin: self.warmup_of([self.params(coin)]) for coin in self.coins}
        self.global_warmup = self.warmup_of([self.config["bot"], *(self.params(coin) for coin in self.coins)])
        frames = {
            coin: self.read(dataset / f"{coin}.parquet", start - self.global_warmup * MINUTE_MS, end)
            for coin in self.coins
        }
        self.first = min(int(frame.index[0]) for frame in frames.values())
        self.index = pd.Index(np.arange(self.first, end + 1, MINUTE_MS))
        columns = ["high", "low", "close", "volume"]
        self.hlcvs = np.stack([frame.reindex(self.index)[columns].to_numpy() for frame in frames.values()], axis=1)
        rows = {coin: (frame.index[[0, -1]].to_numpy() - self.first) // MINUTE_MS for coin, frame in frames.items()}
        self.valid = [[int(rows[coin][i]) for coin in self.coins] for i in (0, 1)]
        if "BTC" in self.coins:
            self.btc = frames["BTC"].reindex(self.index)["close"].to_numpy()
        else:
            prices = pd.read_parquet(dataset / "btc_usd.parquet").set_index("timestamp")["price"]
            self.btc = prices.reindex(self.index).to_numpy()
        midnight = (
            int(self.index[-1]) // 86_400_000 * 86_400_000
        )  # the series ends at the last midnight and is carried on
        self.btc = pd.Series(np.where(self.index <= midnight, self.btc, np.nan)).ffill().to_numpy()

    @staticmethod
    def ms(date: str) -> int:
        return int(pd.Timestamp(date, tz="UTC").timestamp() * 1000)

    @staticmethod
    def read(path: Path, start: int, end: int) -> pd.DataFrame:
        frame = pd.read_parquet(path)
        frame["timestamp"] = frame["timestamp"].astype("int64")
        frame = frame.set_index("timestamp")
        return frame.loc[start:end]

    def params(self, coin: str) -> dict[str, Any]:
        override = self.config["coin_overrides"].get(coin, {}).get("bot", {})
        return {side: self.config["bot"][side] | override.get(side, {}) for side in ("long", "short")}

    def warmup_of(self, sets: list[dict[str, Any]]) -> int:
        spans = [float(p[key]) for s in sets for p in s.values() for key in SPANS]
        spans += [60 * float(p["entry_volatility_ema_span_hours"]) for s in sets for p in s.values()]
        return math.ceil(max(spans) * self.config["live"]["warmup_ratio"])

    def run(self) -> Any:
        approved = self.config["live"]["approved_coins"]
        bot = []
        for coin in self.coins:
            sides = self.params(coin)
            for side, params in sides.items():
                params.setdefault("wallet_exposure_limit", -1.0)
                params["n_positions"] = min(params["n_positions"], len(approved[side]))
            bot.append(sides)
        override = self.config["backtest"]["maker_fee_override"]
        exchange = [
            {key: self.markets[coin][key] for key in MARKET_KEYS}
            | {"maker_fee": self.markets[coin]["maker"] if override is None else float(override)}
            for coin in self.coins
        ]
        backtest = self.config["backtest"]
        inherited = self.config["live"]["filter_by_min_effective_cost"]
        own = backtest["filter_by_min_effective_cost"]
        run = {
            "coins": self.coins,
            "starting_balance": backtest["starting_balance"],
            "btc_collateral_cap": backtest["btc_collateral_cap"],
            "btc_collateral_ltv_cap": backtest["btc_collateral_ltv_cap"],
            "filter_by_min_effective_cost": inherited if own is None else own,
            "hedge_mode": self.config["live"]["hedge_mode"],
            "first_timestamp_ms": self.first,
            "requested_start_timestamp_ms": self.requested,
            "first_valid_indices": self.valid[0],
            "last_valid_indices": self.valid[1],
            "warmup_minutes": [self.warmup[coin] for coin in self.coins],
            "global_warmup_bars": self.global_warmup,
        }
        return pbr.run_backtest(np.ascontiguousarray(self.hlcvs), self.btc, bot, exchange, run)


def write_import_files(dataset: Path, folder: Path) -> Path:
    """The dataset's candles and markets in the form that the import tool reads; returns the settings file."""
    folder.mkdir()
    markets = json.loads((dataset / "markets.json").read_text())
    coins = {}
    for coin, market in markets.items():
        (folder / f"{coin}.parquet").symlink_to(dataset / f"{coin}.parquet")
        coins[coin] = {key: market[key] for key in [*MARKET_KEYS, "symbol"]}
        coins[coin] |= {"maker_fee": market["maker"], "taker_fee": market["taker"]}
    if "BTC" not in coins:
        prices = pd.read_parquet(dataset / "btc_usd.parquet")
        candles = dict.fromkeys(("open", "high", "low", "close"), prices["price"])
        ts = prices["timestamp"].astype("int64")
        pd.DataFrame({"timestamp": ts, **candles, "volume": 0.0}).to_parquet(folder / "BTC.parquet")
        coins["BTC"] = {"price_step": 0.1, "qty_step": 0.001, "maker_fee": 0.0002, "taker_fee": 0.0005}
    settings = folder.parent / "settings.json"
    settings.write_text(json.dumps({"quote": "USDT", "coins": coins}))
    return settings


@pytest.mark.parametrize(("case", "start", "end"), CASES)
def test_golden_case_from_the_command_line(shared: Path, tmp_path: Path, case: str, start: str, end: str) -> None:
    """Import tool and backtester give the fills of the engine on independently prepared arrays, to the last digit."""
    golden = shared / "golden"
    dataset = golden / "datasets" / case.split("-")[0]
    config = json.loads((golden / "backtests" / case / "config.json").read_text())
    config["backtest"] |= {"exchanges": ["local"], "start_date": start, "end_date": end, "base_dir": "backtests"}
    config["live"]["minimum_coin_age_days"] = 0
    (tmp_path / "config.json").write_text(json.dumps(config))
    settings = write_import_files(dataset, tmp_path / "candles")
    run_program(
        "tools/import_candles.py", "candles", "--exchange", "local", "--market-settings", settings, cwd=tmp_path
    )
    run_program("backtest.py", "config.json", "--offline", "-dp", cwd=tmp_path)
    got = pd.read_csv(only_result(tmp_path / "backtests") / "fills.csv")
    fills, *_ = Slice(dataset, config).run()
    want = pd.DataFrame(list(map(list, fills)), columns=FILL_COLUMNS)
    assert len(want) > 30
    assert len(got) == len(want)
    got["timestamp"] = pd.to_datetime(got["timestamp"]).astype("datetime64[ms]").astype("int64")
    for column in FILL_COLUMNS:
        assert got[column].tolist() == want[column].tolist(), column
