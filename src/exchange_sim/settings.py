"""The file that describes a venue to be (`exchange_sim.py --config`), HJSON; every key is optional.

protocols: ["binance", "bybit"]
data: sample
// or cache (the candle store), or a directory of candle files, or live: prices of the moment
data_seed: 0
// of the sample market
exchange: binance
// whose candles of the store below cache_dir
cache_dir: caches
custom_endpoints: FILE
// where live prices come from, as main.py --custom-endpoints
market_settings: settings.json
// steps and fees of a directory's coins, as import_candles.py takes them; without it settings.json in the directory
start: 2025-06-01
// where the venue's clock starts; without it: the time of day. Where its candles end, or at `end`, such a venue stops
redate_ms: 1760000000000
// shows old candles from that moment on, over and over; redate_from: 2025-03-01, end: 2025-04-01 say which (with a
// state_dir the same ones at every start, whatever has been stored since)
speed: 1
// of the clock; with 0 it moves by POST /sim/v1/clock/advance only
seed: 0
// of faults with a probability, and of the fill model probabilistic
balance: 1000
// of an account when its API key is first used
fill_model: strict
// or touch, pessimistic, probabilistic (fill_probability: 0.5), partial (participation: 0.1 of a candle's volume)
slippage: 0.0002
// of market orders, and of limit orders that cross
fees: {maker: 0.0002, taker: 0.0005}
// in place of those of the markets
funding: {rate: 0.0001, interval_hours: 8}
// without it none
liquidation: false
auth: any
// or strict: only the API keys of secrets: {"key": "secret"}, and their signatures
state_dir: caches/sim
// where accounts outlive the venue; not with speed 0
faults: [{match: {path: "/fapi/v1/klines"}, action: "http", status: 429, count: 2}]
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from config.text import read_hjson
from core.clock import MINUTE_MS, Clock, ManualClock, ScaledClock, SystemClock
from core.dates import date_to_ts, ts_to_date
from core.errors import ConfigError
from core.files import read_json, write_json
from core.redaction import hide
from exchange_sim.feed import Feed
from exchange_sim.market import VenueMarket
from exchange_sim.persistence import saved_until
from exchange_sim.redating import Span, find_span, redated
from exchange_sim.redirect import PROTOCOLS
from exchange_sim.server import SimConfig
from exchange_sim.sources import directory_market, sample_market, store_market
from exchange_sim.trading.engine import Options
from exchange_sim.trading.matching import FillModel
from exchange_sim.trading.upkeep import Funding

DEFAULTS: dict[str, Any] = {
    "protocols": list(PROTOCOLS),
    "data": "sample",
    "data_seed": 0,
    "exchange": "binance",
    "cache_dir": "caches",
    "custom_endpoints": "",
    "market_settings": "",
    "start": "",
    "end": "",
    "redate_ms": 0,
    "redate_from": "",
    "speed": 1.0,
    "seed": 0,
    "balance": 1000.0,
    "fill_model": "strict",
    "fill_probability": 1.0,
    "participation": 0.1,
    "slippage": 0.0002,
    "fees": {},
    "funding": {},
    "liquidation": False,
    "auth": "any",
    "secrets": {},
    "state_dir": "",
    "faults": [],
}
SPAN_FILE = "span.json"  # in the state directory: which candles are shown as of today
MEMBERS: dict[str, tuple[str, ...]] = {"fees": ("maker", "taker"), "funding": ("rate", "interval_hours")}


def read_sim_config(
    path: Path | None, port: int = 0, protocols: tuple[str, ...] | None = None, feed: Feed | None = None
) -> SimConfig:
    """The venue of a file, or the default one; `protocols` of the command line win; `feed` has live prices.

    Raises ConfigError naming file, key and value; DataError if the candles it names cannot be used.
    """
    where, values = _where(path), read_values(path)
    state_dir = state_dir_of(values)
    clock = _clock(values, where, saved_until(state_dir) if state_dir else None)
    market = feed.market if feed else _redated(_market(values, clock), values, state_dir)
    until_ms = _until(market, values, where, clock)
    return SimConfig(
        market=market.with_fees(**values["fees"]) if values["fees"] else market,
        clock=clock,
        protocols=protocols or tuple(values["protocols"]),
        port=port,
        faults=tuple(values["faults"]),
        seed=values["seed"],
        trading=_trading(values),
        secrets=_secrets(values, where),
        state_dir=state_dir,
        until_ms=until_ms,
        feed=feed,
    )


def read_values(path: Path | None) -> dict[str, Any]:
    """A venue's file, checked, with the defaults for what it leaves out. Raises ConfigError."""
    where = _where(path)
    content = read_hjson(path) if path else {}
    if not isinstance(content, dict):
        raise ConfigError(f"{where} is {type(content).__name__}, an object is needed")
    for key, value in content.items():
        _check(where, key, value)
    return {**DEFAULTS, **content}


def state_dir_of(values: dict[str, Any]) -> Path | None:
    """Where accounts are kept."""
    return Path(values["state_dir"]).expanduser() if values["state_dir"] else None


def _where(path: Path | None) -> str:
    return str(path) if path else "venue"


def _trading(values: dict[str, Any]) -> Options:
    model = FillModel(values["fill_model"], values["fill_probability"], values["seed"], values["participation"])
    if values["funding"] and "rate" not in values["funding"]:
        raise ConfigError("funding needs a rate: {rate: 0.0001, interval_hours: 8}")
    funding = Funding(**values["funding"]) if values["funding"] else None
    if funding is not None and (type(funding.interval_hours) is not int or funding.interval_hours < 1):
        raise ConfigError(f"funding: interval_hours is {funding.interval_hours!r}, a whole number of hours is needed")
    return Options(values["balance"], model, values["slippage"], funding, values["liquidation"])


def _secrets(values: dict[str, Any], where: str) -> dict[str, str]:
    """Those that signatures are checked against: none unless `auth` is strict."""
    auth, secrets = values["auth"], values["secrets"]
    if auth not in ("any", "strict"):
        raise ConfigError(f"{where}: auth is {auth!r}, any or strict is needed")
    if auth == "any":
        return {}
    if not secrets or not all(isinstance(secret, str) and secret for secret in secrets.values()):
        raise ConfigError(f'{where}: auth strict needs secrets: {{"key": "secret"}} of at least one account')
    hide(*secrets, *secrets.values())
    return dict(secrets)


def _check(where: str, key: str, value: Any) -> None:
    if key not in DEFAULTS:
        raise ConfigError(f"{where} has unknown key {key}; known are {', '.join(DEFAULTS)}")
    wanted = type(DEFAULTS[key])
    if not _is(value, wanted):
        raise ConfigError(f"{where}: {key} is {value!r}, {wanted.__name__} is needed")
    for name in value if key in MEMBERS else ():
        if name not in MEMBERS[key] or not _is(value[name], float):
            raise ConfigError(
                f"{where}: {key} has {name}: {value[name]!r}; it takes numbers: {', '.join(MEMBERS[key])}"
            )


def _is(value: Any, wanted: type) -> bool:
    if isinstance(value, bool) or wanted is bool:
        return isinstance(value, bool) and wanted is bool
    return isinstance(value, int | float if wanted is float else wanted)


def _clock(values: dict[str, Any], where: str, saved_ms: int | None) -> Clock:
    """Stepped at speed 0; the machine's own without a start and at speed 1; scaled otherwise.

    Time never goes back behind what accounts that were saved have seen, as after a run at a greater speed.
    """
    speed = float(values["speed"])
    if speed < 0.0:
        raise ConfigError(f"{where}: speed is {speed:g}, it must be 0 (stepped) or above")
    now_ms = SystemClock().now_ms()
    start_ms = max(date_to_ts(values["start"]) if values["start"] else now_ms, saved_ms or 0)
    if speed == 0.0:
        return ManualClock(start_ms)
    return SystemClock() if speed == 1.0 and start_ms == now_ms else ScaledClock(start_ms, speed)


def _until(market: VenueMarket, values: dict[str, Any], where: str, clock: Clock) -> int | None:
    """When a venue of the past has shown all its candles, or those until `end`; None for one that never has."""
    if not values["start"] or market.last_ts is None:
        return None
    until_ms = max(map(market.last_ts, market.by_symbol)) + MINUTE_MS
    if values["end"]:
        until_ms = min(until_ms, date_to_ts(values["end"]))
    if not isinstance(clock, ManualClock) and clock.now_ms() >= until_ms:
        raise ConfigError(
            f"{where}: it is {ts_to_date(clock.now_ms())} there, and candles end {ts_to_date(until_ms)}; choose an "
            "earlier start, or forget the accounts that have come so far (--paper-reset)"
        )
    return until_ms


def _redated(market: VenueMarket, values: dict[str, Any], state_dir: Path | None) -> VenueMarket:
    """Old candles as of today, if the file says so. Accounts that are kept see the same span again."""
    if not values["redate_ms"]:
        return market
    kept = state_dir / SPAN_FILE if state_dir else None
    if kept is not None and kept.exists():
        return redated(market, values["redate_ms"], Span(**read_json(kept)))
    span = find_span(market, values["redate_from"], values["end"])
    shown = redated(market, values["redate_ms"], span)
    if kept is not None:
        write_json(kept, asdict(span))
    return shown


def _market(values: dict[str, Any], clock: Clock) -> VenueMarket:
    data = values["data"]
    if data in ("sample", "synthetic"):
        return sample_market(values["data_seed"])
    if data == "cache":
        return store_market(Path(values["cache_dir"]), values["exchange"], clock)
    folder = Path(data).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"data is {data!r}: sample, cache or an existing directory is needed")
    beside = folder / "settings.json"
    settings = Path(values["market_settings"]).expanduser() if values["market_settings"] else beside
    given = settings if settings != beside or beside.exists() else None
    return directory_market(folder, given, SystemClock())  # what is there has happened, whatever time is simulated
