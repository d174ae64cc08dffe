"""Settings and data to what the engine takes: `RunSpec` with its bundle of arrays (`backtest_engine.md` 17.1)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from config.settings import BacktestSettings, backtest_settings
from config.warmup import DEFAULT_SET
from core.dates import date_to_ts
from core.errors import ConfigError
from core.terms import PSIDES, Pside
from simulation.market_settings import META, ValidRows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MarketSettings = Mapping[str, Any]

STEPS_AND_MINIMA = ("qty_step", "price_step", "min_qty", "min_cost", "c_mult")


@dataclass(frozen=True, slots=True)
class Payload:
    """One run: the bundle, and the engine's arguments; lists are in the order of `backtest_params["coins"]`.

    `approved` are the coins that may open on each side; a reduced payload counts them again.
    """

    bundle: Any  # passivbot_rust.HlcvsBundle
    bot_params_list: list[dict[str, Any]]
    exchange_params: list[dict[str, float]]
    backtest_params: dict[str, Any]
    approved: Mapping[Pside, frozenset[str]]


def build_backtest_payload(
    hlcvs: Floats,
    mss: Mapping[str, MarketSettings],
    config: Mapping[str, Any],
    exchange: str,
    btc_usd_prices: Floats,
    timestamps: Ints | None = None,
    *,
    coin_indices: Sequence[int] | None = None,
) -> Payload:
    """The engine's arguments for the coins `config.backtest.coins[exchange]`.

    `hlcvs` is float64 [T, N, 4], `btc_usd_prices` float64 [T], `timestamps` int64 [T]; `mss` maps coins to market
    settings and `__meta__` to facts about the data. `coin_indices` names the column of each coin; without it the
    columns are the coins in alphabetical order. Raises ValueError when coins, columns and settings disagree.
    """
    coins = coins_of_run(config, exchange)
    cube = _Cube(_columns(hlcvs, coins, coin_indices), btc_usd_prices, timestamps, tuple(coins))
    payload = _payload(cube, mss, config, exchange)
    if coin_indices is not None:
        payload.backtest_params["active_coin_indices"] = list(range(len(coins)))
    return payload


def build_view_payload(
    hlcvs: Floats,
    mss: Mapping[str, MarketSettings],
    config: Mapping[str, Any],
    exchange: str,
    btc_usd_prices: Floats,
    timestamps: Ints | None,
    all_coins: Sequence[str],
) -> Payload:
    """The same for a run on some of the columns, `all_coins` naming all of them: nothing is copied."""
    payload = _payload(_Cube(hlcvs, btc_usd_prices, timestamps, tuple(all_coins)), mss, config, exchange)
    columns = [all_coins.index(coin) for coin in payload.backtest_params["coins"]]
    payload.backtest_params["active_coin_indices"] = columns
    return payload


def coins_of_run(config: Mapping[str, Any], exchange: str) -> list[str]:
    """The coins that a config runs on a dataset, in the engine's order."""
    return sorted(set(config["backtest"]["coins"][exchange]))


@dataclass(frozen=True, slots=True)
class _Cube:
    """The arrays of a bundle and the coin of each column."""

    hlcvs: Floats
    btc_usd: Floats
    timestamps: Ints | None
    coins: tuple[str, ...]


def _payload(cube: _Cube, mss: Mapping[str, MarketSettings], config: Mapping[str, Any], exchange: str) -> Payload:
    settings = backtest_settings(dict(config))
    coins = coins_of_run(config, exchange)
    if missing := [coin for coin in (*coins, *cube.coins) if coin not in mss]:
        raise ConfigError(f"no market settings of {', '.join(dict.fromkeys(missing))} on {exchange}")
    of_all = {coin: _valid_rows(cube.hlcvs[:, i, 2], mss[coin], settings, coin) for i, coin in enumerate(cube.coins)}
    if missing := [coin for coin in coins if coin not in of_all]:
        raise ConfigError(f"no candles of {', '.join(missing)} in the data of {exchange}")
    rows = [of_all[coin] for coin in coins]
    run_meta = _run_meta(mss.get(META, {}), settings, cube.timestamps)
    meta = _bundle_meta(cube.coins, mss, list(of_all.values()), run_meta)
    payload = Payload(
        bundle=_bundle(cube.hlcvs, cube.btc_usd, cube.timestamps, meta),
        bot_params_list=[settings.bot_params(coin) for coin in coins],
        exchange_params=[_exchange_params(mss[coin], settings) for coin in coins],
        backtest_params=_backtest_params(coins, rows, settings, meta, cube.timestamps),
        approved={pside: frozenset(settings.approved[pside]) for pside in PSIDES},
    )
    payload.backtest_params["maker_fee"] = payload.exchange_params[0]["maker_fee"] if coins else 0.0
    _limit_n_positions(payload)
    return payload


def _columns(hlcvs: Floats, coins: Sequence[str], coin_indices: Sequence[int] | None) -> Floats:
    wanted = len(coins) if coin_indices is None else len(coin_indices)
    if coin_indices is not None:
        _check_indices(coin_indices, hlcvs.shape[1])
        hlcvs = np.ascontiguousarray(hlcvs[:, list(coin_indices)])
    if wanted != len(coins) or hlcvs.shape[1] != len(coins):
        raise ConfigError(f"{len(coins)} coins ({', '.join(coins)}) do not fit {hlcvs.shape[1]} columns of candles")
    return hlcvs


def _check_indices(indices: Sequence[int], n_columns: int) -> None:
    if wrong := [index for index in indices if not 0 <= index < n_columns]:
        raise ConfigError(f"coin index {wrong[0]} is outside of the {n_columns} columns of candles")


def _valid_rows(closes: Floats, market: MarketSettings, settings: BacktestSettings, coin: str) -> ValidRows:
    """Stated rows and warm-up, else those of the first and last finite close and of the coin's own parameters."""
    n_rows = len(closes)
    first, last = market.get("first_valid_index"), market.get("last_valid_index")
    if first is None or last is None:
        finite = np.flatnonzero(np.isfinite(closes))
        inferred = (int(finite[0]), int(finite[-1])) if finite.size else (n_rows, n_rows)
        first, last = inferred[0] if first is None else first, inferred[1] if last is None else last
    warmups = settings.coin_warmup_minutes
    warmup = market.get("warmup_minutes", warmups.get(coin, warmups[DEFAULT_SET]))
    return ValidRows(min(int(first), n_rows), min(int(last), n_rows - 1), int(warmup))


def _exchange_params(market: MarketSettings, settings: BacktestSettings) -> dict[str, float]:
    maker = settings.maker_fee_override
    return {key: float(market[key]) for key in STEPS_AND_MINIMA} | {
        "maker_fee": float(market["maker"]) if maker is None else maker
    }


def _run_meta(stated: Mapping[str, Any], settings: BacktestSettings, timestamps: Ints | None) -> dict[str, int]:
    """The bundle's own facts: start asked for, start of the data, warm-up asked for and given."""
    requested = stated.get("requested_start_ts")
    first_ms = 0 if timestamps is None or not len(timestamps) else int(timestamps[0])
    return {
        "requested_start_timestamp_ms": int(date_to_ts(settings.start_date) if requested is None else requested),
        "effective_start_timestamp_ms": int(stated.get("effective_start_ts", first_ms)),
        "warmup_minutes_requested": int(stated.get("warmup_minutes_requested", settings.warmup_minutes)),
        "warmup_minutes_provided": int(stated.get("warmup_minutes_provided", 0)),
    }


def _bundle_meta(
    coins: Sequence[str],
    mss: Mapping[str, MarketSettings],
    rows: Sequence[ValidRows],
    run_meta: Mapping[str, int],
) -> dict[str, Any]:
    return {**run_meta, "coins": [_coin_meta(i, coin, mss[coin], rows[i]) for i, coin in enumerate(coins)]}


def _coin_meta(index: int, coin: str, market: MarketSettings, rows: ValidRows) -> dict[str, Any]:
    symbol = str(market.get("symbol", coin))
    return {
        "index": index,
        "symbol": symbol,
        "coin": coin,
        "exchange": str(market.get("exchange", "")),
        "quote": str(market.get("quote", "")),
        "base": str(market.get("base", coin)),
        **{key: float(market[key]) for key in STEPS_AND_MINIMA},
        "maker_fee": float(market["maker"]),
        "taker_fee": float(market["taker"]),
        "first_valid_index": rows.first,
        "last_valid_index": rows.last,
        "warmup_minutes": rows.warmup,
        "trade_start_index": rows.trade_start,
    }


def _backtest_params(
    coins: Sequence[str],
    rows: Sequence[ValidRows],
    settings: BacktestSettings,
    meta: Mapping[str, Any],
    timestamps: Ints | None,
) -> dict[str, Any]:
    params: dict[str, Any] = {
        "coins": list(coins),
        "starting_balance": settings.starting_balance,
        "btc_collateral_cap": settings.btc_collateral_cap,
        "btc_collateral_ltv_cap": settings.btc_collateral_ltv_cap,
        "filter_by_min_effective_cost": settings.filter_by_min_effective_cost,
        "hedge_mode": settings.hedge_mode,
        "metrics_only": False,
        "first_timestamp_ms": 0 if timestamps is None else int(timestamps[0]),
        "requested_start_timestamp_ms": meta["requested_start_timestamp_ms"],
        "first_valid_indices": [row.first for row in rows],
        "last_valid_indices": [row.last for row in rows],
        "warmup_minutes": [row.warmup for row in rows],
        "trade_start_indices": [row.trade_start for row in rows],
        "global_warmup_bars": settings.warmup_minutes,
    }
    modes = [
        {p: settings.forced_modes.simulated(coin, p, approved=coin in settings.approved[p]) for p in PSIDES}
        for coin in coins
    ]
    return _with_modes(params, modes)


def _with_modes(params: dict[str, Any], modes: list[dict[Pside, Any]]) -> dict[str, Any]:
    """Forced modes are left out when there are none."""
    if any(mode is not None for sides in modes for mode in sides.values()):
        params["forced_modes"] = modes
    return params


def _limit_n_positions(payload: Payload) -> None:
    """No more positions of a side than coins that may open on it (decision E2)."""
    coins = payload.backtest_params["coins"]
    for pside in PSIDES:
        openable = sum(coin in payload.approved[pside] for coin in coins)
        for sides in payload.bot_params_list:
            sides[pside]["n_positions"] = min(sides[pside]["n_positions"], openable)


def _bundle(hlcvs: Floats, btc_usd: Floats, timestamps: Ints | None, meta: Mapping[str, Any]) -> Any:
    import passivbot_rust  # lazily: programs rebuild a stale extension before its first import

    stamps = np.arange(len(hlcvs), dtype=np.int64) if timestamps is None else timestamps
    return passivbot_rust.HlcvsBundle(hlcvs, btc_usd, stamps, dict(meta))


def subset_backtest_payload(
    payload: Payload,
    *,
    coin_indices: Sequence[int] | None = None,
    coin_symbols: Sequence[str] | None = None,
) -> Payload:
    """The payload reduced to some coins: by column, or by coin name or symbol (these in the order of the columns).

    Raises ValueError for an unknown coin or column, and when neither is given.
    """
    metas = payload.bundle.meta["coins"]
    if coin_symbols is not None:
        wanted = {_index_of(name, metas) for name in coin_symbols}
        indices = sorted(wanted)
    elif coin_indices is not None:
        indices = list(coin_indices)
    else:
        raise ConfigError("a reduced payload needs coin_indices or coin_symbols")
    _check_indices(indices, len(metas))
    return _reduced(payload, indices)


def _index_of(name: str, metas: Sequence[Mapping[str, Any]]) -> int:
    for index, meta in enumerate(metas):
        if name in (meta["coin"], meta["symbol"]):
            return index
    raise ConfigError(f"coin {name!r} is not in the payload; it has {', '.join(meta['coin'] for meta in metas)}")


def _reduced(payload: Payload, indices: Sequence[int]) -> Payload:
    bundle, old = payload.bundle, payload.backtest_params
    per_coin = ("coins", "first_valid_indices", "last_valid_indices", "warmup_minutes", "trade_start_indices")
    params = {key: value for key, value in old.items() if key != "forced_modes"}
    params |= {key: [old[key][i] for i in indices] for key in per_coin}
    params["active_coin_indices"] = list(range(len(indices)))
    if "forced_modes" in old:
        params = _with_modes(params, [old["forced_modes"][i] for i in indices])
    metas = [{**bundle.meta["coins"][i], "index": new} for new, i in enumerate(indices)]
    hlcvs = np.ascontiguousarray(bundle.hlcvs[:, list(indices)])
    reduced = replace(
        payload,
        bundle=_bundle(hlcvs, bundle.btc_usd, bundle.timestamps, {**bundle.meta, "coins": metas}),
        bot_params_list=[copy.deepcopy(payload.bot_params_list[i]) for i in indices],
        exchange_params=[dict(payload.exchange_params[i]) for i in indices],
        backtest_params=params,
    )
    _limit_n_positions(reduced)
    return reduced
