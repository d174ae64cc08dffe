"""The engine's arguments from config and data (`backtest_engine.md` 17.1, `config_cli_suite.md` 11.3)."""

from __future__ import annotations

import copy
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.load import load_config
from config.normalize import format_config
from config.overrides import resolve_coin_overrides
from config.warmup import compute_backtest_warmup_minutes
from core.clock import ManualClock
from core.dates import date_to_ts

pytest.importorskip("passivbot_rust", reason="the Rust extension is not built: maturin develop --release")

from simulation.payload import Payload, build_backtest_payload, subset_backtest_payload
from simulation.run import execute_backtest, run_backtest

CLOCK = ManualClock(date_to_ts("2026-11-21"))
COINS = ["BTC", "ETH", "XRP"]
ROWS = 50


def market(coin: str, **more: Any) -> dict[str, Any]:
    steps = {"qty_step": 0.001, "price_step": 0.1, "min_qty": 0.001, "min_cost": 5.0, "c_mult": 1.0}
    facts = {"symbol": f"{coin}/USDT:USDT", "exchange": "sample", "quote": "USDT", "base": coin}
    fees = {"maker": 0.0002 + 0.0001 * COINS.index(coin), "taker": 0.0005}
    return {**steps, **facts, **fees, **more}


def config_of(**live: Any) -> dict[str, Any]:
    """A formatted config of three coins on both sides; keyword arguments replace live keys or `coin_overrides`."""
    overrides = live.pop("coin_overrides", {})
    base = load_config(clock=CLOCK)
    base["live"] |= {"approved_coins": COINS, "ignored_coins": [], "warmup_ratio": 0.0} | live
    for pside in ("long", "short"):
        base["bot"][pside] |= {"n_positions": 7, "total_wallet_exposure_limit": 1.0}
    base.pop("_coins_sources")
    base["coin_overrides"] = overrides
    config = resolve_coin_overrides(format_config(base, clock=CLOCK), clock=CLOCK)
    config["backtest"]["coins"] = {"sample": COINS}
    return config


def arrays() -> tuple[Any, Any, Any]:
    cube = np.arange(ROWS * len(COINS) * 4, dtype=np.float64).reshape(ROWS, len(COINS), 4) + 1.0
    return cube, np.full(ROWS, 50_000.0), 1_700_000_000_000 + 60_000 * np.arange(ROWS, dtype=np.int64)


def payload_of(config: dict[str, Any], mss: dict[str, Any] | None = None, **options: Any) -> Payload:
    cube, btc, stamps = arrays()
    settings = {coin: market(coin) for coin in COINS} if mss is None else mss
    return build_backtest_payload(cube, settings, config, "sample", btc, stamps, **options)


def test_plain_payload() -> None:
    """All coins on both sides: the dynamic limit, own fees, no forced modes, positions limited by the coins."""
    payload = payload_of(config_of())
    assert payload.backtest_params["coins"] == COINS
    assert "forced_modes" not in payload.backtest_params
    assert "active_coin_indices" not in payload.backtest_params
    assert [p["maker_fee"] for p in payload.exchange_params] == pytest.approx([0.0002, 0.0003, 0.0004])
    assert payload.backtest_params["maker_fee"] == 0.0002
    assert payload.backtest_params["first_timestamp_ms"] == 1_700_000_000_000
    assert {p[s]["wallet_exposure_limit"] for p in payload.bot_params_list for s in ("long", "short")} == {-1.0}
    assert {p[s]["n_positions"] for p in payload.bot_params_list for s in ("long", "short")} == {3}
    assert payload.backtest_params["last_valid_indices"] == [ROWS - 1] * 3
    assert payload.bundle.meta["coins"][2]["coin"] == "XRP"


def test_fee_override() -> None:
    """`maker_fee_override` replaces the maker fee of every coin and of the run; a text of a number counts (E15)."""
    config = config_of()
    config["backtest"]["maker_fee_override"] = "0.0001"
    payload = payload_of(config)
    assert [p["maker_fee"] for p in payload.exchange_params] == [0.0001] * 3
    assert payload.backtest_params["maker_fee"] == 0.0001


def test_sides_by_list() -> None:
    """A coin approved on one side only gets graceful_stop on the other, where positions count less coins (E2)."""
    payload = payload_of(config_of(approved_coins={"long": COINS, "short": ["ETH"]}))
    stop = {"long": None, "short": "graceful_stop"}
    assert payload.backtest_params["forced_modes"] == [stop, {"long": None, "short": None}, stop]
    assert [p["long"]["n_positions"] for p in payload.bot_params_list] == [3, 3, 3]
    assert [p["short"]["n_positions"] for p in payload.bot_params_list] == [1, 1, 1]


@pytest.mark.parametrize(
    ("globally", "own", "approved", "expected"),
    [
        ("", None, True, None),
        ("", None, False, "graceful_stop"),
        ("normal", None, True, "graceful_stop"),
        ("p", None, False, "panic"),
        ("m", "normal", True, "normal"),
        ("tp", "", True, None),
        ("tp", "", False, "graceful_stop"),
        ("", "T", False, "tp_only"),
    ],
)
def test_forced_modes(globally: str, own: str | None, approved: bool, expected: str | None) -> None:
    """The coin's own mode, else the global one (normal acts as graceful_stop), else approval (11.3)."""
    overrides = {} if own is None else {"BTC": {"live": {"forced_mode_long": own}}}
    coins = {"long": COINS if approved else ["ETH", "XRP"], "short": COINS}
    config = config_of(forced_mode_long=globally, coin_overrides=overrides, approved_coins=coins)
    modes = payload_of(config).backtest_params.get("forced_modes", [{"long": None}])
    assert modes[0]["long"] == expected


def test_overrides_and_their_limit() -> None:
    """Resolved overrides lie over the base of their coin alone; an own exposure limit replaces the dynamic mark."""
    override = {"bot": {"long": {"ema_span_0": 5, "wallet_exposure_limit": 0.25}}}
    payload = payload_of(config_of(coin_overrides={"ETHUSDT": override}))
    btc, eth, _ = payload.bot_params_list
    assert (eth["long"]["ema_span_0"], eth["long"]["wallet_exposure_limit"]) == (5, 0.25)
    assert eth["short"]["wallet_exposure_limit"] == -1.0
    assert btc["long"]["ema_span_0"] != 5


def test_valid_rows() -> None:
    """Stated rows are capped by the data, missing ones come from finite closes; trading starts after the warm-up."""
    cube, btc, stamps = arrays()
    cube[:10, 1] = np.nan
    cube[:, 2] = np.nan
    mss = {
        "BTC": market("BTC", first_valid_index=3, last_valid_index=500, warmup_minutes=7),
        "ETH": market("ETH", warmup_minutes=100),
        "XRP": market("XRP"),
    }
    params = build_backtest_payload(cube, mss, config_of(), "sample", btc, stamps).backtest_params
    assert params["first_valid_indices"] == [3, 10, ROWS]
    assert params["last_valid_indices"] == [ROWS - 1] * 3
    assert params["warmup_minutes"] == [7, 100, 0]
    assert params["trade_start_indices"] == [10, ROWS - 1, ROWS]


def test_coin_indices_choose_columns() -> None:
    """With `coin_indices` the tensor is cut to those columns and the engine sees them as 0..N-1."""
    cube, btc, stamps = arrays()
    config = config_of()
    config["backtest"]["coins"] = {"sample": ["BTC", "XRP"]}
    mss = {coin: market(coin) for coin in COINS}
    payload = build_backtest_payload(cube, mss, config, "sample", btc, stamps, coin_indices=[0, 2])
    assert payload.backtest_params["active_coin_indices"] == [0, 1]
    assert np.array_equal(payload.bundle.hlcvs, cube[:, [0, 2]])
    with pytest.raises(ValueError, match="coin index 3"):
        build_backtest_payload(cube, mss, config, "sample", btc, stamps, coin_indices=[0, 3])
    with pytest.raises(ValueError, match="2 coins"):
        build_backtest_payload(cube, mss, config, "sample", btc, stamps)


def test_missing_timestamps() -> None:
    """Without timestamps the first one is 0, and the requested start is the config's."""
    cube, btc, _ = arrays()
    config = config_of()
    params = build_backtest_payload(cube, {c: market(c) for c in COINS}, config, "sample", btc).backtest_params
    assert params["first_timestamp_ms"] == 0
    assert params["requested_start_timestamp_ms"] == date_to_ts(config["backtest"]["start_date"])


def test_subset() -> None:
    """A reduced payload keeps the order of columns, counts approved coins again, and refuses unknown names."""
    payload = payload_of(config_of(approved_coins={"long": COINS, "short": ["BTC"]}))
    part = subset_backtest_payload(payload, coin_symbols=["XRP", "ETH/USDT:USDT"])
    assert part.backtest_params["coins"] == ["ETH", "XRP"]
    assert [p["short"]["n_positions"] for p in part.bot_params_list] == [0, 0]
    assert [p["long"]["n_positions"] for p in part.bot_params_list] == [2, 2]
    assert np.array_equal(part.bundle.hlcvs, payload.bundle.hlcvs[:, [1, 2]])
    assert [c["index"] for c in part.bundle.meta["coins"]] == [0, 1]
    assert payload.bot_params_list[1]["long"]["n_positions"] == 3
    assert subset_backtest_payload(payload, coin_indices=[2]).backtest_params["coins"] == ["XRP"]
    for bad in ({"coin_symbols": ["DOGE"]}, {"coin_indices": [3]}, {}):
        with pytest.raises(ValueError, match="coin"):
            subset_backtest_payload(payload, **bad)  # type: ignore[arg-type]


def test_run(caplog: pytest.LogCaptureFixture) -> None:
    """Payload and engine in one call give what the two steps give; a reduced payload runs like one built smaller."""
    cube, btc, stamps = arrays()
    config = config_of(minimum_coin_age_days=0)
    mss = {coin: market(coin) for coin in COINS}
    fills, equities, analysis = run_backtest(cube, mss, config, "sample", btc, stamps)
    payload = payload_of(config)
    again = execute_backtest(payload, config)
    assert np.array_equal(equities, again[1])
    assert (len(fills), analysis) == (len(again[0]), again[2])
    config["backtest"]["coins"] = {"sample": ["ETH", "XRP"]}
    small = build_backtest_payload(cube, mss, config, "sample", btc, stamps, coin_indices=[1, 2])
    part = subset_backtest_payload(payload, coin_symbols=["ETH", "XRP"])
    assert np.array_equal(execute_backtest(part, config)[1], execute_backtest(small, config)[1])


def golden_cases(shared: Path) -> list[Path]:
    return sorted(path.parent for path in (shared / "golden" / "backtests").glob("*/engine_input.json"))


def test_golden_payloads(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The configs of all golden runs give the golden engine inputs; only fees per coin and the warm-up rule differ."""
    caplog.set_level(logging.WARNING)
    cases = golden_cases(shared)
    assert len(cases) >= 48
    index = {c["case"]: c for c in json.loads((shared / "golden" / "backtests" / "index.json").read_text())}
    for case in cases:
        expected = json.loads((case / "engine_input.json").read_text())
        directory = shared / "golden" / "datasets" / index[case.name]["dataset"]
        _check_golden(case, expected, json.loads((directory / "markets.json").read_text()))


def _check_golden(case: Path, expected: dict[str, Any], markets: dict[str, Any]) -> None:
    config = resolve_coin_overrides(load_config(case / "config.json", clock=CLOCK), clock=CLOCK)
    params = expected["backtest_params"]
    coins = params["coins"]
    config["backtest"]["coins"] = {"x": coins}
    # decision E13: the earlier program let the search bounds decide about the warm-up
    assert compute_backtest_warmup_minutes(config, with_bounds=True) == params["global_warmup_bars"], case.name
    ranges = zip(params["first_valid_indices"], params["last_valid_indices"], params["warmup_minutes"], strict=True)
    mss = {
        coin: {**markets[coin], "first_valid_index": first, "last_valid_index": last, "warmup_minutes": warmup}
        for coin, (first, last, warmup) in zip(coins, ranges, strict=True)
    }
    mss["__meta__"] = {"requested_start_ts": params["requested_start_timestamp_ms"]}
    n_rows = max(params["last_valid_indices"]) + 1
    stamps = params["first_timestamp_ms"] + 60_000 * np.arange(n_rows, dtype=np.int64)
    payload = build_backtest_payload(np.zeros((n_rows, len(coins), 4)), mss, config, "x", np.ones(n_rows), stamps)
    ours = copy.deepcopy(payload.exchange_params)
    assert {p.pop("maker_fee") for p in ours} == {params["maker_fee"]}, case.name
    assert ours == expected["exchange_params"], case.name
    for coin_params in expected["bot_params_list"]:
        for pside in ("long", "short"):
            coin_params[pside].pop("is_forced_active", None)  # the engine does not know it
    assert payload.bot_params_list == expected["bot_params_list"], case.name
    skipped = ("global_warmup_bars",)
    assert {k: v for k, v in payload.backtest_params.items() if k not in skipped} == {
        k: v for k, v in params.items() if k not in skipped
    }, case.name
