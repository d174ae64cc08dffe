"""Every key of a config, in one place: sections `backtest`, `live`, `logging`, `optimize`, `paper`, `coin_overrides`.

Section `bot` and the search bounds stand in `config.schema_bot`. Defaults here are the built-in ones that complete a
loaded file; the shipped values are those of `configs/template.json`. The order matters: short flags are made in it
(`config.flags`). Meaning of each field: `config.key`. Source: `config_cli_suite.md` 4-7, `additions.md` 16.
"""

from __future__ import annotations

import copy
import math
from functools import cache
from typing import Any

from config.key import Key, Kind
from config.schema_bot import bot_rows, bound_rows

_POSITIVE = math.ulp(0.0)
_BOTH_SIDES_EMPTY: dict[str, list[str]] = {"long": [], "short": []}
LEGACY_LIMITS = "--drawdown_worst 0.333 --loss_profit_ratio: 0.9 --position_unchanged_hours_max 300.0"

# fmt: off
_BACKTEST = (
    Key("backtest.balance_sample_divider", 60, unit="minutes", lenient=True,
        doc="bucket of balance_and_equity.csv.gz; at least 1, rounded; what is no number counts as 60"),
    Key("backtest.base_dir", "backtests", Kind.TEXT, "path", "root of the result directories"),
    Key("backtest.btc_collateral_cap", 1.0, unit="share", low=0, lenient=True,
        doc="target share of equity held in BTC; 0 = USD only, > 1 = leveraged BTC; what is no number counts as 0"),
    Key("backtest.btc_collateral_ltv_cap", None, unit="ratio", nullable=True,
        doc="USD debt / equity above which no more BTC is bought; null = no ceiling"),
    Key("backtest.coin_sources", {}, Kind.DICT, "coin -> exchange", nullable=True, free=True,
        doc="forces the data exchange of a coin in combined mode"),
    Key("backtest.combine_ohlcvs", True, Kind.BOOL,
        doc="true: best feed per coin in one dataset named `combined`; false: one run per exchange"),
    Key("backtest.compress_cache", True, Kind.BOOL, doc="gzip the prepared arrays in caches/hlcvs_data/"),
    Key("backtest.end_date", "now", Kind.DATE, nullable=True,
        doc="last minute is its midnight; now, today, empty or null = two days ago"),
    Key("backtest.exchanges", ["binance", "bybit", "gateio", "bitget"], Kind.STRINGS,
        doc="data exchanges; their order decides ties; `sample` is the built-in synthetic market"),
    Key("backtest.filter_by_min_effective_cost", None, Kind.BOOL, nullable=True,
        doc="null takes the value of live.filter_by_min_effective_cost"),
    Key("backtest.gap_tolerance_ohlcvs_minutes", 120.0, unit="minutes", low=0, strict=True,
        doc="largest candle gap tolerated"),
    Key("backtest.maker_fee_override", None, Kind.NUMERIC, "fraction", nullable=True, low=-0.01, high=0.1,
        doc="maker fee of all coins (0.0002 = 0.02 %); null = each coin's own"),
    Key("backtest.max_warmup_minutes", 0.0, unit="minutes",
        doc="accepted, not read; the cap in force is live.max_warmup_minutes"),
    Key("backtest.offline", False, Kind.BOOL, optional=True, doc="no network (also --offline, PASSIVBOT_OFFLINE=1)"),
    Key("backtest.start_date", "2021-04-01", Kind.DATE, doc="first minute that may trade, UTC"),
    Key("backtest.starting_balance", 100000.0, unit="quote units", low=_POSITIVE, strict=True,
        doc="balance at the requested start"),
    Key("backtest.suite.enabled", False, Kind.BOOL, doc="run the suite; --suite overrides"),
    Key("backtest.suite.include_base_scenario", False, Kind.BOOL, doc="prepend the base scenario"),
    Key("backtest.suite.base_label", "base", Kind.TEXT, doc="label of the base scenario"),
    Key("backtest.suite.aggregate", {"default": "mean"}, Kind.DICT, "metric -> mode", free=True,
        doc="how a metric is aggregated over scenarios: mean, min, max, std, median"),
    Key("backtest.suite.aggregate.default", "mean", Kind.TEXT, doc="mode of metrics that are not listed"),
    Key("backtest.suite.scenarios", [], Kind.LIST,
        doc="scenarios, each with label, dates, coins, exchanges, overrides"),
    Key("backtest.taker_fee_override", None, Kind.NUMERIC, "fraction", nullable=True,
        optional=True, low=-0.01, high=0.1,
        doc="as maker_fee_override, for the taker fee in the market settings; simulated fills pay the maker fee"),
    Key("backtest.archive_exchanges", ["binance", "bitget", "kucoin"], Kind.STRINGS, optional=True,
        doc="exchanges whose public archives are used; default: those with archives except bybit"),
)

_LIVE = (
    Key("live.approved_coins", _BOTH_SIDES_EMPTY, Kind.COINS, nullable=True,
        doc="coins that may be traded: a list, a mapping by side, a comma text, or the path of a file"),
    Key("live.auto_gs", True, Kind.BOOL,
        doc="positions that must not be renewed go to graceful_stop (true) or manual (false)"),
    Key("live.balance_hysteresis_snap_pct", 0.02, unit="fraction", low=0,
        doc="balance changes smaller than this keep the old balance; 0 = off"),
    Key("live.balance_override", None, Kind.NUMERIC, nullable=True,
        doc="fixed balance, no balance fetch; null or empty = off"),
    Key("live.bybit_legacy_balance", False, Kind.BOOL, optional=True, doc="older balance formula of bybit"),
    Key("live.candle_lock_timeout_seconds", 10.0, unit="seconds", low=0, doc="wait for the candle lock of a symbol"),
    Key("live.empty_means_all_approved", False, Kind.BOOL, doc="an empty approved list means every eligible market"),
    Key("live.execution_delay_seconds", 2.0, unit="seconds", low=0, doc="sleep after each execution loop"),
    Key("live.filter_by_min_effective_cost", True, Kind.BOOL,
        doc="skip coins whose first entry would be under the exchange minimum"),
    Key("live.forced_mode_long", "", Kind.MODE, nullable=True,
        doc="mode of every long position: normal, manual, graceful_stop, panic, tp_only; empty = none"),
    Key("live.forced_mode_short", "", Kind.MODE, nullable=True, doc="the same for short positions"),
    Key("live.hedge_mode", True, Kind.BOOL, doc="allow both sides on one coin"),
    Key("live.ignored_coins", _BOTH_SIDES_EMPTY, Kind.COINS, nullable=True,
        doc="coins never opened; forms as approved_coins"),
    Key("live.inactive_coin_candle_ttl_minutes", 10.0, unit="minutes", low=0,
        doc="refresh age of candles of untraded coins"),
    Key("live.leverage", 10.0, low=0, overridable=True,
        doc="set on the exchange, truncated to an integer; not simulated"),
    Key("live.market_orders_allowed", True, Kind.BOOL, doc="near-touch orders may go as market orders"),
    Key("live.max_disk_candles_per_symbol_per_tf", 2000000, Kind.INT, doc="candles on disk beyond this are pruned"),
    Key("live.max_memory_candles_per_symbol", 20000, Kind.INT, lenient=True,
        doc="candles kept in memory; what is no number above 0 counts as 20000"),
    Key("live.max_n_cancellations_per_batch", 5, doc="per execution, truncated"),
    Key("live.max_n_creations_per_batch", 3, doc="per execution, truncated"),
    Key("live.max_n_restarts_per_day", 10, doc="the process ends when restarts within 24 h exceed it, truncated"),
    Key("live.max_warmup_minutes", 0.0, unit="minutes", doc="cap of the warm-up; 0 = none"),
    Key("live.minimum_coin_age_days", 7.0, unit="days", low=0, doc="younger coins are skipped"),
    Key("live.order_match_tolerance_pct", 0.0002, unit="fraction",
        doc="cancel/create pairs closer than this in price and quantity are kept; <= 0 off"),
    Key("live.pnls_max_lookback_days", 30.0, unit="days", low=0, doc="fill history for pnl and peak balance"),
    Key("live.price_distance_threshold", 0.002, unit="fraction",
        doc="initial, unstuck and partial-entry orders farther from the market are withheld"),
    Key("live.recv_window_ms", 5000, unit="ms", nullable=True, lenient=True, doc="receive window; null or empty = off"),
    Key("live.time_in_force", "good_till_cancelled", Kind.TEXT, doc="post_only makes limit orders post-only"),
    Key("live.unstuck_use_lookback", False, Kind.BOOL, optional=True,
        doc="unstuck allowance from the fills inside pnls_max_lookback_days only"),
    Key("live.user", "bybit_01", Kind.TEXT, doc="account: an entry of api-keys.json"),
    Key("live.warmup_jitter_seconds", 30.0, unit="seconds", low=0, doc="random start delay, uniform in [0, x]"),
    Key("live.warmup_ratio", 0.2, unit="ratio", doc="warm-up = longest span x this; negatives act as 0"),
    Key("live.warmup_concurrency", 0, Kind.INT, doc="symbols warmed at once; 0 = 8 (hyperliquid 2)"),
    Key("live.max_concurrent_api_requests", None, Kind.NUMERIC, nullable=True, lenient=True,
        doc="cap on candle requests in flight; null, empty or 0 = none"),
    Key("live.base_config_path", "", Kind.TEXT, "path",
        optional=True, doc="set on load: base of relative override paths"),
    Key("live.custom_endpoints_path", None, Kind.TEXT, "path", nullable=True, optional=True,
        doc="custom endpoints file, or `none`"),
    Key("live.enable_archive_candle_fetch", False, Kind.BOOL, optional=True, doc="use archives for live candles"),
    Key("live.foreign_orders", "cancel", Kind.TEXT, optional=True, choices=("cancel", "leave", "stop_opening"),
        doc="what happens with orders on managed symbols that are not ours"),
    Key("live.second_instance", "stop_opening", Kind.TEXT, optional=True, choices=("stop_opening", "ignore"),
        doc="what happens when a second bot is found on the account"),
    Key("live.heartbeat_path", None, Kind.TEXT, "path", nullable=True, optional=True,
        doc="JSON file replaced every cycle; default off"),
    Key("live.metrics_port", None, Kind.INT, nullable=True, optional=True, low=1, high=65535, strict=True,
        doc="Prometheus metrics on 127.0.0.1; default off"),
    Key("live.notify", [], Kind.STRINGS, optional=True, doc="apprise URLs that get notices; secret"),
)

_LOGGING = (
    Key("logging.level", 1, lenient=True, doc="0 warning, 1 info, 2 debug, 3 trace"),
    Key("logging.memory_snapshot_interval_minutes", 30.0, unit="minutes", lenient=True, doc="at least one minute"),
    Key("logging.volume_refresh_info_threshold_seconds", 30.0, unit="seconds", lenient=True,
        doc="volume refreshes slower than this log at info"),
)

_OPTIMIZE = (
    Key("optimize.checkpoint_interval_s", 60, unit="seconds", optional=True, low=0, doc="time between checkpoints"),
    Key("optimize.compress_results_file", False, Kind.BOOL,
        doc="store the constant sections of all_results.bin as differences"),
    Key("optimize.crossover_eta", 20.0, doc="crowding of simulated binary crossover"),
    Key("optimize.crossover_probability", 0.7, unit="probability", low=0, high=1, doc="of two parents being mixed"),
    Key("optimize.enable_overrides", [], Kind.STRINGS,
        choices=("lossless_close_trailing", "forward_tp_grid", "backward_tp_grid", "example"),
            doc="rules laid over every candidate"),
    Key("optimize.eval_timeout_s", None, unit="seconds", nullable=True, optional=True, low=_POSITIVE, strict=True,
        doc="a candidate that runs longer counts as failed"),
    Key("optimize.executor", "local", Kind.TEXT, optional=True, choices=("local", "serial", "processes", "ray"),
        doc="local = threads"),
    Key("optimize.iters", 30000, Kind.INT, doc="evaluations; generations = max(1, int(iters / population size))"),
    Key("optimize.limits", LEGACY_LIMITS, Kind.LIMITS, nullable=True, doc="what makes a candidate infeasible"),
    Key("optimize.mutation_eta", 20.0, doc="crowding of polynomial mutation"),
    Key("optimize.mutation_indpb", 0.0, unit="probability", lenient=True, high=1,
        doc="per gene; <= 0 or no number: 1 / number of parameters"),
    Key("optimize.mutation_probability", 0.45, unit="probability", low=0, high=1, doc="of a child being mutated"),
    Key("optimize.n_cpus", 5, Kind.INT, low=1, strict=True, doc="workers of the executors local and processes"),
    Key("optimize.offspring_multiplier", 1.0, lenient=True, low=_POSITIVE,
        doc="children per generation = max(1, round(population x this)); invalid: 1.0"),
    Key("optimize.pareto_max_size", 300, Kind.INT, low=1, strict=True, doc="members kept on disk"),
    Key("optimize.pipeline", {"chunk_size": None, "lag": 1}, Kind.DICT,
        optional=True, free=True, doc="schedule of candidates"),
    Key("optimize.population_size", 1000, Kind.INT, nullable=True, low=1, strict=True,
        doc="candidates of a generation; null = what the sampler wants"),
    Key("optimize.round_to_n_significant_digits", 5, Kind.INT, low=1, strict=True, doc="rounding of unstepped genes"),
    Key("optimize.sampler", "deap_nsga2", Kind.TEXT, optional=True, doc="search method",
        choices=("deap_nsga2", "pymoo_nsga2", "pymoo_nsga3", "pymoo_unsga3", "pymoo_rvea", "pymoo_sms",
                 "optuna_tpe")),
    Key("optimize.scalarize", None, Kind.DICT, nullable=True, optional=True, free=True,
        doc='{"weights": [...]} for the single-objective sampler cma'),
    Key("optimize.scoring", ["adg", "sharpe_ratio"], Kind.STRINGS, doc="objectives"),
    Key("optimize.seed", None, Kind.INT, nullable=True, optional=True, low=0, strict=True,
        doc="seed of the random numbers; null draws one and logs it"),
    Key("optimize.split_scenarios", False, Kind.BOOL, optional=True, doc="one work item per candidate and scenario"),
    Key("optimize.write_all_results", True, Kind.BOOL, doc="write all_results.bin"),
    Key("optimize.holdout", None, Kind.DICT, nullable=True, optional=True, free=True,
        doc='data kept from the search: {"fraction": 0.2}, {"windows": [[from, to], ...]} or {"scenarios": [...]}'),
)

_COIN_OVERRIDES = (
    Key("coin_overrides", {}, Kind.DICT, "coin -> {bot, live, override_config_path}", nullable=True, free=True,
        doc="bot parameters, forced modes and leverage of single coins"),
)

_PAPER = (
    Key("paper.protocol", "bybit", Kind.TEXT, choices=("bybit", "binance"),
        doc="exchange protocol to emulate", optional=True),
    Key("paper.balance", 1000, unit="USDT", low=_POSITIVE, strict=True,
        doc="starting balance, first start only", optional=True),
    Key("paper.data", "cache", Kind.TEXT,
        doc="cache, replay, live, sample (= synthetic), or a directory", optional=True),
    Key("paper.start", None, Kind.DATE, nullable=True, doc="first minute of replayed candles", optional=True),
    Key("paper.end", None, Kind.DATE, nullable=True, doc="last minute of replayed candles", optional=True),
    Key("paper.speed", 1, unit="factor", low=_POSITIVE, strict=True, doc="real-time factor", optional=True),
    Key("paper.fill_model", "strict", Kind.TEXT, doc="when an order counts as filled", optional=True,
        choices=("strict", "touch", "pessimistic", "probabilistic", "partial")),
    Key("paper.fees", None, Kind.LIST, "[maker, taker]", nullable=True, doc="null = the exchange's", optional=True),
    Key("paper.seed", 0, Kind.INT, low=0, strict=True, doc="seed of the synthetic source", optional=True),
    Key("paper.state", None, Kind.TEXT, "path", nullable=True,
        doc="null = caches/paper/<protocol>/<user>/", optional=True),
    Key("paper.slippage", 0.0002, unit="fraction", low=0, strict=True, optional=True, doc="of orders that take"),
    Key("paper.fill_probability", 1.0, unit="probability", low=0, high=1, strict=True,
        optional=True, doc="fill model probabilistic"),
    Key("paper.participation", 0.1, unit="fraction", low=0, high=1, strict=True,
        optional=True, doc="fill model partial"),
    Key("paper.funding", None, Kind.DICT, nullable=True, free=True,
        optional=True, doc='{"rate": r, "interval_hours": 8}'),
    Key("paper.liquidation", False, Kind.BOOL, optional=True, doc="close everything when equity falls to maintenance"),
)
# fmt: on

# In built-in order: short flags are numbered in it.
KEYS: tuple[Key, ...] = (
    *_BACKTEST, *bot_rows(), *_LIVE, *_LOGGING, *bound_rows(), *_OPTIMIZE, *_COIN_OVERRIDES, *_PAPER,
)  # fmt: skip
BY_PATH: dict[str, Key] = {key.path: key for key in KEYS}
SECTIONS = ("backtest", "bot", "coin_overrides", "live", "logging", "optimize")


def nest(rows: dict[str, Any]) -> dict[str, Any]:
    """A nested dict of dotted paths."""
    tree: dict[str, Any] = {}
    for path, value in rows.items():
        *parents, leaf = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def defaults() -> dict[str, Any]:
    """A fresh copy of the complete built-in config; optional keys are not in it."""
    return copy.deepcopy(nest({key.path: copy.deepcopy(key.default) for key in KEYS if not key.optional}))


@cache
def known_tree() -> dict[str, Any]:
    """All known keys as a nested dict whose leaves are `Key`; optional keys are in it, free dicts are leaves."""
    return nest({key.path: key for key in KEYS if not _inside_free(key)})


def _inside_free(key: Key) -> bool:
    parent = BY_PATH.get(key.path.rpartition(".")[0])
    return parent is not None and parent.free
