"""The programs' command lines as data: which keys have flags, which further options there are, what the help says.

`config_cli_suite.md` 8.1 and 8.5, `additions.md` 15 and 16.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from config.flags import FALSE_WORDS, TRUE_WORDS, boolean, has_flag, integer, number, numbers, texts
from config.key import Key
from config.schema import BY_PATH, KEYS


@dataclass(frozen=True, slots=True)
class Option:
    """An option besides the generated ones. `dest` is the dotted path of the key it sets, or a name of its own.

    const           the value of the option without a value; None: a value is needed
    accepts         with `const`: which next word is the option's value; None: it never takes one
    repeatable      given several times, the values are collected in a list
    switch          a further option that is set whenever this one is given; without a value this one then sets no key
    """

    flags: tuple[str, ...]
    dest: str
    doc: str
    parse: Callable[[str], Any] = str
    const: Any = None
    accepts: Callable[[str], bool] | None = None
    metavar: str = "X"
    repeatable: bool = False
    switch: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """One command line. `usual` are the paths that the short help shows."""

    name: str
    purpose: str
    sections: tuple[str, ...]
    live_keys: tuple[str, ...] | None  # None: all
    backtest_keys: tuple[str, ...] | None
    options: tuple[Option, ...]
    usual: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    with_log_level: bool = False
    runs_engine: bool = True

    def keys(self) -> list[Key]:
        """The keys that have flags, in built-in order."""
        return [key for key in KEYS if has_flag(key) and self._concerns(key)]

    def _concerns(self, key: Key) -> bool:
        if key.path == "logging.level":
            return self.with_log_level
        wanted = {"live": self.live_keys, "backtest": self.backtest_keys}.get(key.section)
        return key.section in self.sections and (wanted is None or key.name in wanted)


def _is_bool_word(word: str) -> bool:
    return word.strip().lower() in TRUE_WORDS + FALSE_WORDS


def _is_number(word: str) -> bool:
    try:
        number(word)
    except ArgumentTypeError:
        return False
    return True


def _lower(word: str) -> str:
    return word.lower()


def _is_protocol(word: str) -> bool:
    return word.lower() in BY_PATH["paper.protocol"].choices


_LOGGING = (
    Option(("--debug-level", "--log-level"), "debug_level", "0 warnings, 1 info, 2 debug, 3 trace"),
    Option(("-v", "--verbose"), "verbose", "same as --debug-level 2", const=True),
)
_CACHE_DIR = Option(("--cache-dir",), "cache_dir", "directory of candles and datasets (default caches)", metavar="DIR")
_OFFLINE = Option(("--offline",), "backtest.offline", "no network: only what is on disk", const=True)
_SUITE = (
    Option(("--suite",), "suite", "run all scenarios of backtest.suite", boolean, True, _is_bool_word, "[y/n]"),
    Option(("--suite-config",), "suite_config", "take backtest.suite from that config", metavar="PATH"),
)
_MISSING = Option(
    ("--fail-on-missing-coins",), "fail_on_missing_coins", "a coin that fails to load ends the run", const=True
)
_ENDPOINTS = Option(
    ("--custom-endpoints",), "custom_endpoints", "endpoints file, or none, off, disable", metavar="FILE"
)
_REFETCH = Option(("--force-refetch-gaps",), "force_refetch_gaps", "clear known gaps and fetch them again", const=True)
_FETCHING = (_OFFLINE, _CACHE_DIR, _ENDPOINTS, _MISSING)

_PAPER = (
    Option(("--paper",), "paper.protocol", "paper trading on the local simulator", _lower, "", _is_protocol,
           "[bybit|binance]", switch="paper"),
    Option(("--paper-balance",), "paper.balance", "starting USDT, first start only", number),
    Option(("--paper-data",), "paper.data", "cache, replay, live, sample, or a directory", metavar="D"),
    Option(("--paper-start",), "paper.start", "first minute of the candles", metavar="DATE"),
    Option(("--paper-end",), "paper.end", "where the candles end", metavar="DATE"),
    Option(("--paper-speed",), "paper.speed", "real-time factor", number),
    Option(("--paper-fill-model",), "paper.fill_model", "strict, touch, pessimistic, probabilistic, partial",
        metavar="M"),
    Option(("--paper-fees",), "paper.fees", "maker,taker as fractions", numbers, metavar="M,T"),
    Option(("--paper-seed",), "paper.seed", "seed of the synthetic source", integer, metavar="N"),
    Option(("--paper-state",), "paper.state", "directory of the paper account", metavar="PATH"),
    Option(("--paper-reset",), "paper_reset", "forget the paper account first", const=True),
)  # fmt: skip

BACKTEST = Program(
    "backtest",
    "Replays one-minute candles through the bot's engine; the result goes to backtests/{exchange}/{time}/.",
    ("backtest", "bot", "live", "logging"),
    ("approved_coins", "hedge_mode", "ignored_coins", "minimum_coin_age_days"),
    None,
    (
        *_LOGGING,
        Option(("-dp", "--disable_plotting"), "disable_plotting", "no plots of single coins", const=True),
        *_SUITE,
        *_FETCHING,
        _REFETCH,
        Option(("--cm-debug",), "backtest.cm_debug_level", "candle manager debug 0..3", integer, 1, _is_number, "[N]"),
        Option(("--cm-progress",), "backtest.cm_progress_log_interval_seconds", "seconds between progress logs, 0 off",
               number, 30.0, _is_number, "[S]"),
        Option(("--cm-remote",), "backtest.cm_remote_fetch_bar", "progress bar of remote candle requests", const=True),
    ),
    ("backtest.start_date", "backtest.end_date", "backtest.exchanges", "backtest.starting_balance",
     "live.approved_coins", "bot.long.total_wallet_exposure_limit", "bot.short.total_wallet_exposure_limit"),
    (
        ("configs/examples/sample.json", "offline, on the built-in synthetic market"),
        ("my.json -sd 2024 -ed 2024-07 -s BTC,ETH", "two coins, half a year"),
        ("my.json -lnp 3 -ltwel 1.5 -stwel 0", "other parameters, short side off"),
        ("my.json --offline -dp", "without network, without plots of single coins"),
    ),
)  # fmt: skip

OPTIMIZE = Program(
    "optimize",
    "Searches bot parameters with a genetic algorithm; results go to optimize_results/.",
    ("backtest", "optimize", "live", "logging"),
    ("approved_coins", "minimum_coin_age_days"),
    None,
    (
        *_LOGGING, *_SUITE, *_FETCHING,
        Option(("-t", "--start"), "start", "seed configs: a file or a directory", metavar="PATH", repeatable=True),
        Option(("--resume",), "resume", "continue a stopped run", metavar="RUN_DIR"),
        Option(("--ray-address",), "ray_address", "cluster for the executor ray, or auto", metavar="ADDR"),
        Option(("-ft", "--fine_tune_params", "--fine-tune-params"), "fine_tune_params",
               "comma list of bounds keys to keep tunable", texts, metavar="KEYS"),
    ),
    ("backtest.start_date", "backtest.end_date", "optimize.iters", "optimize.n_cpus", "optimize.scoring",
     "optimize.limits"),
    (
        ("my.json -i 20000 -c 4", "20000 evaluations on four workers"),
        ("my.json -t configs/starting_pool/", "start from existing configs"),
        ("my.json -ft long_entry_grid_spacing_pct,long_entry_initial_qty_pct", "tune only these"),
    ),
    with_log_level=True,
)  # fmt: skip

MAIN = Program(
    "main",
    "Trades the account `live.user` of api-keys.json.",
    ("bot", "live", "logging"),
    None,
    None,
    (
        *_LOGGING, _CACHE_DIR, _ENDPOINTS,
        Option(("--dry-run",), "dry_run", "plan and log, never post or cancel", const=True),
        *_PAPER,
    ),
    ("live.user", "live.approved_coins", "live.leverage", "bot.long.total_wallet_exposure_limit"),
    (
        ("my.json -u bybit_01", "trade that account"),
        ("my.json --paper", "paper trading, no keys needed"),
        ("my.json --dry-run", "show what would be done"),
    ),
)  # fmt: skip

DOWNLOAD = Program(
    "tools/download",
    "Fills the candle cache for a config and shows what it did.",
    ("backtest", "live", "logging"),
    ("approved_coins", "ignored_coins"),
    ("combine_ohlcvs", "end_date", "exchanges", "start_date"),
    (*_LOGGING, *_FETCHING, _REFETCH),
    ("backtest.start_date", "backtest.end_date", "backtest.exchanges", "live.approved_coins"),
    (
        ("my.json", "what a backtest of that config needs"),
        ("my.json -sd 2024 -s BTC,ETH -e binance", "two coins of one exchange, from 2024 on"),
        ("my.json --force-refetch-gaps", "ask again for candles that were missing"),
    ),
    with_log_level=True,
    runs_engine=False,
)

BACKTEST_SUITE = replace(
    BACKTEST,
    name="backtest_suite",
    purpose="Backtests every scenario of a suite; the results go to backtests/suite_runs/{time}/.",
    options=tuple(option for option in BACKTEST.options if option not in (_SUITE[0], _REFETCH)),
    examples=(
        ("my.json", "all scenarios of backtest.suite, whether it is enabled or not"),
        ("my.json --suite-config scenarios.json", "the scenarios of another config"),
        ("my.json -sd 2024 --offline -dp", "another base window, without network and plots of single coins"),
    ),
)
